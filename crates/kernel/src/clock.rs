//! The clock of a machine: timers are armed, and fire as time passes.

use crate::chooser::Chooser;
use crate::conn::segment::SegKind;
use crate::machine::Machine;
use crate::time::Time;
use crate::timers::{Timer, TimerKind};

impl<C: Chooser> Machine<C> {
    /// Arms a timer that fires `delay` nanoseconds from now; a recorded kernel may fire it up to
    /// `early` nanoseconds sooner.
    pub(crate) fn arm(&mut self, kind: TimerKind, target: u32, delay: u64, early: u64) -> u32 {
        let timer = self.timer(kind, target, delay, early);
        self.timers.arm(timer)
    }

    pub(crate) fn timer(&self, kind: TimerKind, target: u32, delay: u64, early: u64) -> Timer {
        let nominal = self.clock.after(delay);
        let slack = self.chooser.slack();
        let early = if slack > 0 { early + slack } else { 0 };
        Timer {
            earliest: Time(nominal.0.saturating_sub(early).max(self.clock.0)),
            nominal,
            latest: nominal.after(slack),
            seq: 0,
            kind,
            target,
        }
    }

    /// Stops the timer of a socket, if it has one.
    pub(crate) fn stop_timer(&mut self, i: u32) {
        let seq = std::mem::take(&mut self.socks[i].timer);
        if seq != 0 {
            self.timers.cancel(seq);
        }
    }

    /// The moment at which the next timer can fire.
    #[must_use]
    pub fn next_event(&mut self) -> Option<Time> {
        self.observe_timers(Time(u64::MAX));
        self.next_timer()
    }

    /// The same for callers that stop there and let nothing but the machine see it.
    pub(crate) fn next_timer(&mut self) -> Option<Time> {
        self.tidy_timers();
        self.timers.next_time()
    }

    /// The same for timers that may fire by `to`.
    pub(crate) fn next_timer_by(&mut self, to: Time) -> Option<Time> {
        if self.timers.is_quiet(to) {
            return None;
        }
        self.next_timer().filter(|next| *next <= to)
    }

    /// Notes the behaviours that running timers depend on, before time passes up to `to`.
    fn observe_timers(&self, to: Time) {
        if to <= self.clock && self.chooser.slack() == 0 {
            return;
        }
        if self.timers.any(TimerKind::DelayedAck) {
            self.b.delayed_ack_ms();
        }
        if self.timers.any(TimerKind::SynRetry) {
            self.b.syn_rto_ms();
            self.b.syn_linear();
        }
        if self.tw.first_end().is_some_and(|first| first <= to) {
            self.observe_ends();
        }
    }

    /// Takes timers that were called off away from the front of the queue.
    pub(crate) fn tidy_timers(&mut self) {
        while self.timers.first().is_some_and(|t| !self.timer_valid(t)) {
            self.timers.take_first();
        }
    }

    /// Returns `true` if a timer may have to fire without time passing.
    pub(crate) fn is_due(&self) -> bool {
        let due = |t: &Timer| t.earliest <= self.clock;
        !self.timers.is_quiet(self.clock) && self.timers.first().is_some_and(due)
    }

    pub(crate) fn timer_valid(&self, t: &Timer) -> bool {
        match t.kind {
            TimerKind::TimeWait => self
                .tw
                .socks
                .get(t.target)
                .is_some_and(|w| w.timer == t.seq),
            TimerKind::Wheel => self.tw.wheel.timer == t.seq,
            TimerKind::Calendar => self.tw.wheel.calendar_timer == t.seq,
            _ => self.socks.get(t.target).is_some_and(|s| s.timer == t.seq),
        }
    }

    /// Lets time pass up to `to`: fires every timer that is due, in order. A moment in the past
    /// fires only timers that are due now.
    pub fn advance(&mut self, to: Time) {
        self.observe_timers(to);
        if self.timers.is_quiet(to) {
            self.clock = self.clock.max(to);
            return;
        }
        let mut undecided: Vec<Timer> = Vec::new();
        while let Some(mut timer) = self.timers.pop_due(to) {
            if !self.timer_valid(&timer) {
                continue;
            }
            let in_order = !self.any_order(&timer);
            if timer.latest > to {
                // Timers of one kind and length fire in the order in which they were armed: behind
                // one that has not fired, none of a later moment has. One that may be later than
                // this has another length.
                let skip = in_order
                    && undecided.iter().any(|u| {
                        u.kind == timer.kind
                            && u.nominal <= timer.nominal
                            && u.latest <= timer.latest
                    });
                if skip || !self.chooser.timer_fired(timer.nominal.nanos(), to.nanos()) {
                    undecided.push(timer);
                    continue;
                }
                // Whenever it really fired, its consequences are dated by the nominal moment, so
                // that the conformance checker can merge histories that differ in nothing else.
                let now = self.clock;
                self.clock = timer.nominal.max(now);
                self.fire(timer);
                self.settle();
                self.clock = now;
                continue;
            }
            if !in_order
                && let Some(rival) = self.rival(&timer)
                && self.chooser.uncertain(false)
            {
                timer.earliest = rival.after(1);
                self.timers.put_back(timer);
                continue;
            }
            self.clock = self.clock.max(timer.nominal.min(to));
            self.fire(timer);
            self.settle();
        }
        for timer in undecided {
            self.timers.put_back(timer);
        }
        self.clock = self.clock.max(to);
        self.tidy_timers();
    }

    /// Returns `true` if a timer may fire before ones that were armed earlier, and the order makes
    /// a difference. Each connection delays its acknowledgement by itself; where the number of
    /// TIME-WAIT sockets is limited, the connection that is first gets the last one.
    fn any_order(&self, t: &Timer) -> bool {
        if t.kind != TimerKind::DelayedAck || self.chooser.slack() == 0 {
            return false;
        }
        let ns = self.socks[t.target].ns;
        // Every socket may become a TIME-WAIT socket.
        let most = self.tw.socks.iter().count() + self.socks.iter().count();
        most > self.ns(ns).values.max_tw as usize
    }

    /// The first moment of an acknowledgement that may overtake this one.
    fn rival(&self, timer: &Timer) -> Option<Time> {
        let rivals = self.timers.iter().filter(|t| {
            t.kind == timer.kind
                && t.seq > timer.seq
                && t.earliest < timer.latest
                && self.timer_valid(t)
        });
        rivals.map(|t| t.earliest.max(timer.earliest)).min()
    }

    fn fire(&mut self, t: Timer) {
        match t.kind {
            TimerKind::DelayedAck => {
                if self.socks[t.target].ack_pending {
                    self.send(t.target, SegKind::Ack);
                }
            }
            TimerKind::SynRetry => self.retry_syn(t.target),
            TimerKind::FinWait2 => {
                let rest = self
                    .fin_time(t.target)
                    .saturating_sub(self.time_wait_len(t.target));
                self.time_wait(t.target, true, rest);
            }
            TimerKind::TimeWait => self.kill_tw(t.target),
            TimerKind::Wheel => self.wheel_tick(),
            TimerKind::Calendar => self.calendar_tick(),
        }
    }
}
