//! The timer of a TIME-WAIT socket's own (`inet_twsk_schedule`, Linux 4.1 and later).

use crate::chooser::Chooser;
use crate::machine::Machine;
use crate::profile::Behaviours;
use crate::profile::behaviour::TwTimer;
use crate::time::{SEC, Time};
use crate::timers::{Timer, TimerKind};

/// The moment at which a TIME-WAIT socket's own timer of this length, in nanoseconds, fires. On
/// the timer wheel of 4.8 and later that is the first multiple of its level's granularity
/// strictly behind its expiry; `phase` is the time since boot at the moment that is called 0.
pub(crate) fn own_timer_fires(rules: &Behaviours, since: Time, timeout: u64, phase: u64) -> Time {
    let due = since.after(timeout);
    if rules.tw_timer != TwTimer::Grid {
        return due;
    }
    let hz = u64::from(rules.hz);
    let tick = SEC / hz;
    let jiffies = timeout.div_ceil(tick);
    let level = grid_step(rules, timeout) / tick;
    // jiffies starts 300 s before its wrap at boot; only its remainder on the grid matters.
    let now = i128::from(since.nanos().saturating_add(phase) / tick) - i128::from(300 * hz);
    let expiry = now + i128::from(jiffies);
    let at = (expiry.div_euclid(i128::from(level)) + 1) * i128::from(level);
    // The clock ends after 584 years, and so does whatever would fire later.
    let fires = u64::try_from(at + i128::from(300 * hz))
        .unwrap_or(0)
        .saturating_mul(tick)
        .saturating_sub(phase);
    Time(fires).max(due)
}

/// The granularity of the level of the timer wheel that a timer of this length is on, in
/// nanoseconds.
pub(crate) fn grid_step(rules: &Behaviours, timeout: u64) -> u64 {
    let tick = SEC / u64::from(rules.hz);
    let jiffies = timeout.div_ceil(tick);
    let mut level = 1;
    while jiffies > 63 * level - 1 {
        level *= 8;
    }
    level * tick
}

impl Behaviours {
    /// The granularity, in nanoseconds, with which the timer of a TIME-WAIT of this length fires;
    /// none where it fires when it is due.
    #[must_use]
    pub fn time_wait_grid(&self, timeout: u64) -> Option<u64> {
        (self.tw_timer == TwTimer::Grid).then(|| grid_step(self, timeout))
    }
}

impl<C: Chooser> Machine<C> {
    /// Arms a TIME-WAIT socket's own timer (`inet_twsk_schedule` from 4.1 on). The phase of a
    /// recorded kernel's ticks is not known.
    pub(crate) fn arm_own_timer(&mut self, target: u32, timeout: u64) -> u32 {
        let nominal = own_timer_fires(
            self.b.peek(),
            self.clock,
            timeout,
            self.chooser.tick_phase(),
        );
        let slack = self.chooser.slack();
        let (mut earliest, mut latest) = (nominal, nominal);
        if slack > 0 {
            let due = self.clock.after(timeout);
            let step = match self.b.peek().tw_timer {
                TwTimer::Grid => grid_step(self.b.peek(), timeout),
                _ => 0,
            };
            earliest = Time(due.nanos().saturating_sub(slack.min(timeout)));
            latest = due.after(step + slack);
        }
        self.timers.arm(Timer {
            earliest,
            nominal,
            latest,
            seq: 0,
            kind: TimerKind::TimeWait,
            target,
        })
    }
}
