//! The queue of timers of a machine.
//!
//! A timer has a window: it may fire from `earliest` on and has fired by `latest`. With a seeded
//! chooser the window is a point; a follower of a real kernel leaves room for ticks.

use crate::agenda::Agenda;
use crate::time::Time;

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

/// A timer of a socket that is armed once time is about to pass: most handshakes and closes are over by then, and how long
/// it would have run did not matter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unarmed {
    pub(crate) kind: TimerKind,
    pub(crate) target: u32,
    pub(crate) seq: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    /// Most timers are armed for later than all before them.
    armed: Agenda<Timer>,
    pub(crate) unarmed: Vec<Unarmed>,
    seq: u32,
}

impl Timers {
    /// Arms a timer and returns the number by which its owner recognises it.
    pub(crate) fn arm(&mut self, mut timer: Timer) -> u32 {
        timer.seq = self.number();
        self.put_back(timer);
        timer.seq
    }

    /// A number for a timer that is armed now or later.
    pub(crate) fn number(&mut self) -> u32 {
        self.seq += 1;
        self.seq
    }

    /// Adds a timer that has its number.
    pub(crate) fn put_back(&mut self, timer: Timer) {
        self.armed.push(timer);
    }

    /// Takes the timer that may fire first, if it may have fired by `now`.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        if self.first()?.earliest > now {
            return None;
        }
        self.take_first()
    }

    pub(crate) fn first(&self) -> Option<&Timer> {
        self.armed.first()
    }

    pub(crate) fn take_first(&mut self) -> Option<Timer> {
        self.armed.pop()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Timer> {
        self.armed.iter()
    }
}
