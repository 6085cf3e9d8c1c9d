//! The queue of timers of a machine.
//!
//! A timer has a window: it may fire from `earliest` on and has fired by `latest`. With a seeded
//! chooser the window is a point; a follower of a real kernel leaves room for ticks.

use crate::time::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a timer does when it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TimerKind {
    /// Sends the delayed acknowledgement of a FIN.
    DelayedAck,
    /// Repeats a SYN.
    SynRetry,
    /// A closed socket has been in FIN_WAIT2 for longer than 60 s: it becomes a stand-in.
    FinWait2,
    /// Ends a TIME-WAIT stand-in.
    TimeWait,
    /// A tick of the slot wheel.
    Wheel,
    /// A tick of the fast calendar of short TIME-WAITs.
    Calendar,
}

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

#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<Timer>>,
    seq: u32,
}

impl Timers {
    /// Arms a timer and returns the number by which its owner recognises it.
    pub(crate) fn arm(&mut self, mut timer: Timer) -> u32 {
        self.seq += 1;
        timer.seq = self.seq;
        self.heap.push(Reverse(timer));
        self.seq
    }

    pub(crate) fn put_back(&mut self, timer: Timer) {
        self.heap.push(Reverse(timer));
    }

    /// Takes the timer that may fire first, if it may have fired by `now`.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        if self.heap.peek()?.0.earliest > now {
            return None;
        }
        self.heap.pop().map(|t| t.0)
    }

    pub(crate) fn first(&self) -> Option<&Timer> {
        self.heap.peek().map(|t| &t.0)
    }

    pub(crate) fn drop_first(&mut self) {
        self.heap.pop();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Timer> {
        self.heap.iter().map(|t| &t.0)
    }
}
