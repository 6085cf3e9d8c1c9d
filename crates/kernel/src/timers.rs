//! The queue of timers of a machine.
//!
//! A timer has a window: it may fire from `earliest` on and has fired by `latest`. With a seeded
//! chooser the window is a point; the conformance checker leaves room for ticks.

use crate::time::Time;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// The purpose of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TimerKind {
    /// Sends the delayed acknowledgement of a FIN.
    DelayedAck,
    /// Repeats a SYN.
    SynRetry,
    /// Turns a closed socket that has been in FIN_WAIT2 for longer than 60 s into a TIME-WAIT
    /// socket.
    FinWait2,
    /// Ends a TIME-WAIT socket.
    TimeWait,
    /// A tick of the slot wheel.
    Wheel,
    /// A tick of the fast calendar of short TIME-WAITs.
    Calendar,
}

const KINDS: usize = TimerKind::Calendar as usize + 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    pub(crate) earliest: Time,
    pub(crate) nominal: Time,
    pub(crate) latest: Time,
    /// Ties are broken by the order of arming.
    pub(crate) seq: u32,
    pub(crate) kind: TimerKind,
    pub(crate) target: u32,
}

/// Armed timers, the one that may fire first in front.
///
/// Timers of one kind mostly run equally long, so that each is armed for later than the one before
/// it: those stand in a line, and only the others need a heap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    lines: [VecDeque<Timer>; KINDS],
    others: BinaryHeap<Reverse<Timer>>,
    seq: u32,
    /// No timer may fire before this time. Time passes far more often than timers fire.
    quiet_until: Time,
}

/// The place of the first timer in the queue.
#[derive(Clone, Copy)]
enum Place {
    Line(usize),
    Heap,
}

impl Timers {
    /// Arms a timer and returns the number by which its owner recognises it.
    pub(crate) fn arm(&mut self, mut timer: Timer) -> u32 {
        self.seq += 1;
        timer.seq = self.seq;
        self.put_back(timer);
        timer.seq
    }

    /// Adds a timer that has its number.
    pub(crate) fn put_back(&mut self, timer: Timer) {
        self.quiet_until = self.quiet_until.min(timer.earliest);
        let line = &mut self.lines[timer.kind as usize];
        if line.back().is_none_or(|last| *last <= timer) {
            line.push_back(timer);
        } else {
            self.others.push(Reverse(timer));
        }
    }

    /// Removes a timer that was armed last of its kind. Another one stays in the queue; it is
    /// recognised as cancelled because its owner no longer has its number.
    pub(crate) fn cancel(&mut self, seq: u32) {
        for line in &mut self.lines {
            if line.back().is_some_and(|last| last.seq == seq) {
                line.pop_back();
            }
        }
    }

    /// Returns `true` if timers of a kind may be armed.
    pub(crate) fn any(&self, kind: TimerKind) -> bool {
        !self.lines[kind as usize].is_empty() || !self.others.is_empty()
    }

    /// Takes the timer that may fire first, if it may have fired by `now`.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        if self.is_quiet(now) {
            return None;
        }
        match self.find_first() {
            Some((first, place)) if first.earliest <= now => self.pop(place),
            _ => {
                self.next_time();
                None
            }
        }
    }

    /// The time from which on a timer may fire.
    pub(crate) fn next_time(&mut self) -> Option<Time> {
        let next = self.first().map(|timer| timer.earliest);
        self.quiet_until = next.unwrap_or(Time(u64::MAX));
        next
    }

    /// Returns `true` if no timer can have fired by `now`, without looking at the timers; `false`
    /// means that one may have.
    pub(crate) fn is_quiet(&self, now: Time) -> bool {
        now < self.quiet_until
    }

    pub(crate) fn first(&self) -> Option<&Timer> {
        self.find_first().map(|(timer, _)| timer)
    }

    pub(crate) fn take_first(&mut self) -> Option<Timer> {
        let (_, place) = self.find_first()?;
        self.pop(place)
    }

    fn find_first(&self) -> Option<(&Timer, Place)> {
        let lines = self.lines.iter().enumerate();
        let fronts = lines.filter_map(|(n, line)| Some((line.front()?, Place::Line(n))));
        let heap = self.others.peek().map(|Reverse(t)| (t, Place::Heap));
        fronts.chain(heap).min_by_key(|(timer, _)| *timer)
    }

    fn pop(&mut self, place: Place) -> Option<Timer> {
        match place {
            Place::Line(n) => self.lines[n].pop_front(),
            Place::Heap => self.others.pop().map(|Reverse(timer)| timer),
        }
    }

    /// All timers, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Timer> {
        let others = self.others.iter().map(|Reverse(timer)| timer);
        self.lines.iter().flatten().chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(kind: TimerKind, at: u64) -> Timer {
        Timer {
            earliest: Time(at),
            nominal: Time(at),
            latest: Time(at),
            seq: 0,
            kind,
            target: 0,
        }
    }

    #[test]
    fn timers_fire_in_the_order_of_time_whatever_their_kind_and_order_of_arming() {
        let kinds = [
            TimerKind::SynRetry,
            TimerKind::TimeWait,
            TimerKind::FinWait2,
        ];
        let mut timers = Timers::default();
        let mut moments = Vec::new();
        for n in 0..300u64 {
            // Neither growing nor falling, and with ties.
            let at = n * 37 % 101;
            timers.arm(timer(kinds[(n % 3) as usize], at));
            moments.push(at);
        }
        moments.sort_unstable();
        let mut fired = Vec::new();
        while let Some(next) = timers.pop_due(Time(1_000)) {
            fired.push((next.earliest.0, next.seq));
        }
        assert!(fired.is_sorted());
        let at: Vec<u64> = fired.into_iter().map(|(at, _)| at).collect();
        assert_eq!(at, moments);
    }

    #[test]
    fn no_timer_is_due_while_the_queue_is_quiet() {
        let kinds = [TimerKind::SynRetry, TimerKind::TimeWait];
        let mut timers = Timers::default();
        let mut quiet = 0;
        for n in 0..300u64 {
            let at = n + n * 37 % 101;
            let seq = timers.arm(timer(kinds[(n % 2) as usize], at));
            if n % 7 == 0 {
                timers.cancel(seq);
            }
            for now in [n, n + 10].map(Time) {
                let due = timers.iter().any(|timer| timer.earliest <= now);
                assert!(!(due && timers.is_quiet(now)));
                quiet += u32::from(timers.is_quiet(now));
                assert_eq!(timers.pop_due(now).is_some(), due);
            }
        }
        assert!(quiet > 0);
    }

    #[test]
    fn a_timer_that_was_armed_last_leaves_the_queue_when_it_is_cancelled() {
        let mut timers = Timers::default();
        let first = timers.arm(timer(TimerKind::SynRetry, 5));
        let second = timers.arm(timer(TimerKind::SynRetry, 5));
        timers.cancel(first);
        assert_eq!(timers.iter().count(), 2);
        timers.cancel(second);
        timers.cancel(first);
        assert!(timers.first().is_none());
    }
}
