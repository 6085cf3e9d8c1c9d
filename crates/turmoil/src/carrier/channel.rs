//! A reliable, ordered channel from this kernel to another one, on top of pipes that break.
//!
//! turmoil's TCP never sends a segment twice: what a partition swallows leaves a gap that no later
//! segment of that stream gets past. Linux does send again. So the frames between two kernels are
//! numbered, kept until the other end has them, and written once more when a stream has been
//! replaced. This file has no I/O and no clock: it says what to write and what has arrived.

use super::wire::{Body, ConnKey, Message};
use fourtuple_kernel::time::Time;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One direction of sending and one of receiving, between two kernels.
#[derive(Debug)]
pub(crate) struct Channel {
    /// Number of this boot, greater than that of any earlier boot of the simulation.
    boot: u64,
    /// Boot of the other end, 0 while it has not said anything.
    peer_boot: u64,
    /// Number of the first frame in `unacked`.
    first: u64,
    unacked: VecDeque<Sent>,
    /// How many frames of `unacked` the present pipe has taken.
    written: usize,
    owe_hello: bool,
    owe_ack: bool,
    /// Number of the next frame that may be handed up.
    expected: u64,
    /// Frames that came over a newer pipe before those of an older one.
    early: BTreeMap<u64, Body>,
}

#[derive(Debug)]
struct Sent {
    body: Body,
    /// When it was first written; none if it has not been.
    at: Option<Time>,
    again: bool,
}

impl Channel {
    pub(crate) fn new(boot: u64) -> Self {
        Channel {
            boot,
            peer_boot: 0,
            first: 0,
            unacked: VecDeque::new(),
            written: 0,
            owe_hello: true,
            owe_ack: false,
            expected: 0,
            early: BTreeMap::new(),
        }
    }

    /// Queues a frame.
    pub(crate) fn push(&mut self, body: Body) {
        self.unacked.push_back(Sent {
            body,
            at: None,
            again: false,
        });
    }

    /// Whether there is anything that the present pipe has not taken.
    pub(crate) fn wants_to_write(&self) -> bool {
        self.written < self.unacked.len() || self.owe_ack
    }

    /// The time at which the oldest frame was written that the other end has not confirmed.
    pub(crate) fn oldest(&self) -> Option<Time> {
        self.unacked.front().and_then(|s| s.at)
    }

    /// A new pipe: everything that is not confirmed goes out again on it. A reset is never sent
    /// twice, and it ends the repetition of what its connection had sent before.
    pub(crate) fn restart(&mut self) {
        let mut ended: BTreeSet<ConnKey> = BTreeSet::new();
        for sent in self.unacked.iter_mut().take(self.written).rev() {
            sent.again = true;
            let Some((key, reset)) = sent.body.connection() else {
                continue;
            };
            if reset {
                ended.insert(key);
            }
            if ended.contains(&key) {
                sent.body = Body::Nothing;
            }
        }
        self.written = 0;
        self.owe_hello = true;
    }

    /// A further pipe that is used from now on; older ones still deliver what they have taken.
    pub(crate) fn switch(&mut self) {
        self.owe_hello = true;
    }

    /// Takes what the present pipe should write now.
    pub(crate) fn take(&mut self, now: Time, mut write: impl FnMut(&Message<'_>)) {
        if !self.wants_to_write() {
            return;
        }
        if self.owe_hello {
            self.owe_hello = false;
            write(&Message::Hello {
                boot: self.boot,
                first: self.first,
            });
        }
        while let Some(sent) = self.unacked.get_mut(self.written) {
            write(&Message::Frame {
                number: self.first + self.written as u64,
                body: &sent.body,
            });
            sent.at = Some(now);
            self.written += 1;
        }
        if self.owe_ack {
            self.owe_ack = false;
            write(&Message::Ack {
                next: self.expected,
            });
        }
    }

    /// The other end says who it is. `false` if it is an earlier boot than the one known, whose
    /// pipes are of no use any more.
    pub(crate) fn hello(&mut self, boot: u64, first: u64) -> bool {
        if boot > self.peer_boot {
            self.peer_boot = boot;
            self.expected = first;
            self.early.clear();
        }
        boot == self.peer_boot
    }

    /// A frame has arrived on a pipe of the given boot; hands up what is in order now.
    pub(crate) fn frame(&mut self, boot: u64, number: u64, body: Body, mut up: impl FnMut(Body)) {
        if boot != self.peer_boot {
            return;
        }
        self.owe_ack = true;
        if number >= self.expected {
            self.early.insert(number, body);
        }
        while let Some(body) = self.early.remove(&self.expected) {
            self.expected += 1;
            up(body);
        }
    }

    /// The other end has everything before `next`. Returns how long the newest of these frames
    /// took there and back, if it was written once only, and whether anything was news.
    pub(crate) fn ack(&mut self, boot: u64, next: u64, now: Time) -> (bool, Option<u64>) {
        let mut news = false;
        let mut round_trip = None;
        while boot == self.peer_boot && self.first < next {
            let Some(sent) = self.unacked.pop_front() else {
                break;
            };
            self.first += 1;
            self.written = self.written.saturating_sub(1);
            news = true;
            round_trip = sent.at.filter(|_| !sent.again).map(|at| now.since(at));
        }
        (news, round_trip)
    }
}

#[cfg(test)]
mod tests;
