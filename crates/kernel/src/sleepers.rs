//! TIME-WAIT stand-ins whose end nobody has come near yet.
//!
//! When exactly a stand-in's own timer fires differs between kernels by up to an eighth of its time, and mostly nobody makes a call
//! meanwhile. Such a timer is armed only once time stops between its earliest and its latest moment; until then kernels that
//! differ in their timers only are the same, and one run stands for all of them.

use crate::agenda::Agenda;
use crate::chooser::Chooser;
use crate::machine::Machine;
use crate::time::{MS, Time};
use crate::timers::{Timer, TimerKind};

/// A stand-in that waits for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sleeper {
    /// When its time is over by an exact clock, the earliest moment of its end.
    due: Time,
    /// The number by which its stand-in recognises it.
    seq: u32,
    pub(crate) target: u32,
}

/// Those of a machine.
pub(crate) type Sleepers = Agenda<Sleeper>;

/// By how much the slowest of all kernels with timers of their own is late: a step of its timer wheel is less than an eighth
/// of the time.
pub(crate) const fn lateness(timeout: u64) -> u64 {
    timeout / 7 + 50 * MS
}

impl<C: Chooser> Machine<C> {
    /// Lets a stand-in wait for its end.
    pub(crate) fn sleep(&mut self, target: u32, timeout: u64) -> u32 {
        let seq = self.timers.number();
        let due = self.clock.after(timeout);
        self.sleepers.push(Sleeper { due, seq, target });
        seq
    }

    pub(crate) fn sleeps(&self, sleeper: &Sleeper) -> bool {
        self.tws
            .get(sleeper.target)
            .is_some_and(|w| w.timer == sleeper.seq)
    }

    /// Whether the time of a stand-in may be over.
    pub(crate) fn any_sleeper_due(&self, now: Time) -> bool {
        self.sleepers
            .first()
            .is_some_and(|sleeper| sleeper.due <= now)
    }

    /// Ends the stand-ins that no kernel has any more by `now`, and arms the timers of those that some have and some have not.
    pub(crate) fn wake_sleepers(&mut self, now: Time) {
        if self.parts_by(now) {
            self.settle_put_off();
        }
        while let Some(sleeper) = self.sleepers.first().copied()
            && (sleeper.due <= now || !self.sleeps(&sleeper))
        {
            self.sleepers.pop();
            if !self.sleeps(&sleeper) {
                continue;
            }
            let latest = lateness(self.tws[sleeper.target].timeout);
            if sleeper.due.after(latest) <= now {
                self.kill_tw(sleeper.target);
            } else {
                self.arm_sleeper(sleeper);
            }
        }
    }

    /// Arms the timers that may fire before all others, for those who want to know when that is.
    pub(crate) fn arm_sleepers(&mut self) {
        if self.sleepers.first().is_some() {
            self.settle_put_off();
        }
        while let Some(sleeper) = self.sleepers.first().copied() {
            self.tidy_timers();
            let first = self.timers.first().map(|timer| timer.earliest);
            if first.is_some_and(|first| first < sleeper.due) {
                return;
            }
            self.sleepers.pop();
            if self.sleeps(&sleeper) {
                self.arm_sleeper(sleeper);
            }
        }
    }

    fn arm_sleeper(&mut self, sleeper: Sleeper) {
        let tw = &self.tws[sleeper.target];
        let fires = self.own_timer_fires(tw.since, tw.timeout);
        self.timers.put_back(Timer {
            earliest: fires,
            nominal: fires,
            latest: fires,
            seq: sleeper.seq,
            kind: TimerKind::TimeWait,
            target: sleeper.target,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Behaviours;
    use crate::time::SEC;
    use crate::visits::{Client, behaviours};

    /// One lets time jump, the other looks at every stand-in's timer on the way.
    #[test]
    fn who_sleeps_ends_like_one_whose_timer_was_armed() {
        for kernel in ["linux-4.4", "debian-12", "rhel-9"] {
            let mut jumps = Client::new(behaviours(kernel));
            let mut looks = Client::new(behaviours(kernel));
            for step in 0..400u64 {
                for client in [&mut jumps, &mut looks] {
                    if step.is_multiple_of(7) {
                        client.visit(1);
                    }
                    client.pass(11 * MS + step % 5 * 700 * MS);
                }
                let _ = looks.machine.next_event();
                let seen = |c: &Client| c.machine.sockets(c.ns);
                assert_eq!(seen(&jumps), seen(&looks), "{kernel}, step {step}");
            }
            assert_eq!(jumps.machine.next_event(), looks.machine.next_event());
        }
    }

    #[test]
    fn kernels_differ_only_if_somebody_looks_while_their_timers_may_fire() {
        let (exact, grid) = (behaviours("linux-4.4"), behaviours("debian-12"));
        let alike = |jump: u64| {
            let mut client = Client::new(exact);
            client.visit(1);
            client.pass(jump);
            let asked = client.machine.asked();
            let timer = |mut b: Behaviours| {
                b.tw_timer = grid.tw_timer;
                b
            };
            (exact.alike(&timer(exact), asked), client)
        };
        assert!(alike(59 * SEC).0, "none has fired");
        assert!(!alike(61 * SEC).0, "one has, one has not");
        let (alike, client) = alike(70 * SEC);
        assert!(alike, "both have");
        assert_eq!(client.machine.sockets(client.ns).len(), 1, "the listener");
    }
}
