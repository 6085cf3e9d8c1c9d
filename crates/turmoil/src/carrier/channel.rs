//! A reliable, ordered channel between two kernels, on top of pipes that may break.
//!
//! turmoil's TCP does not retransmit: a segment lost in a partition leaves a gap that stops the
//! rest of the stream. Linux retransmits. The frames between two kernels are therefore numbered,
//! kept until they are acknowledged, and written again after a stream has been replaced. This file
//! has no I/O and no clock: it decides which messages to write and which frames have arrived.

use super::wire::{Body, ConnKey, Message};
use fourtuple_kernel::time::Time;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The sending and the receiving direction between two kernels.
#[derive(Debug)]
pub(crate) struct Channel {
    /// Number of this boot, greater than those of all earlier boots in the simulation.
    boot: u64,
    /// Boot number of the peer; 0 before its first message.
    peer_boot: u64,
    /// Number of the first frame in `unacked`.
    first: u64,
    unacked: VecDeque<Sent>,
    /// The number of frames of `unacked` that were written to the current pipe.
    written: usize,
    owe_hello: bool,
    /// Frames received since the last acknowledgement.
    owed: u32,
    /// Number of the next frame to deliver.
    expected: u64,
    /// Frames of a newer pipe that arrived before those of an older one.
    early: BTreeMap<u64, Body>,
}

/// A frame that waits for its acknowledgement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unacknowledged {
    pub(crate) ends: ConnKey,
    /// `true` for a keepalive probe.
    pub(crate) is_probe: bool,
    pub(crate) since: Time,
}

#[derive(Debug)]
struct Sent {
    body: Body,
    queued: Time,
    /// The time of its first write; `None` before that.
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
            owed: 0,
            expected: 0,
            early: BTreeMap::new(),
        }
    }

    /// Queues a frame. Returns its number.
    pub(crate) fn push(&mut self, body: Body, now: Time) -> u64 {
        self.unacked.push_back(Sent {
            body,
            queued: now,
            at: None,
            again: false,
        });
        self.first + self.unacked.len() as u64 - 1
    }

    /// `true` if there are messages that were not written to the current pipe.
    pub(crate) fn wants_to_write(&self) -> bool {
        self.written < self.unacked.len() || self.owed > 0
    }

    /// The number of received frames that were not acknowledged.
    pub(crate) fn owed(&self) -> u32 {
        self.owed
    }

    /// The time of the first write of the oldest unacknowledged frame.
    pub(crate) fn oldest_written(&self) -> Option<Time> {
        self.unacked.front().and_then(|s| s.at)
    }

    /// The time since which the oldest frame waits for its acknowledgement.
    pub(crate) fn oldest(&self) -> Option<Time> {
        self.unacked.front().map(|s| s.queued)
    }

    /// The first frame of each connection that its peer has to acknowledge and has not.
    pub(crate) fn unacknowledged(&self) -> Vec<Unacknowledged> {
        let mut seen: BTreeSet<ConnKey> = BTreeSet::new();
        let mut found = Vec::new();
        for sent in &self.unacked {
            let is_probe = matches!(sent.body, Body::Probe(_));
            let Some((ends, _)) = sent.body.connection() else {
                continue;
            };
            if (is_probe || sent.body.is_repeated()) && seen.insert(ends) {
                found.push(Unacknowledged {
                    ends,
                    is_probe,
                    since: sent.queued,
                });
            }
        }
        found
    }

    /// Repeats no frame of a connection any more.
    pub(crate) fn abandon(&mut self, ends: ConnKey) {
        for sent in &mut self.unacked {
            if sent.body.connection().is_some_and(|(key, _)| key == ends) {
                sent.body = Body::Nothing;
            }
        }
    }

    /// Starts over on a new pipe: every unacknowledged frame is written again. A reset is not
    /// repeated, and neither are frames of its connection before it.
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

    /// Switches to an additional pipe. Older pipes still deliver the frames written to them.
    pub(crate) fn switch(&mut self) {
        self.owe_hello = true;
    }

    /// Takes the messages to write to the current pipe now.
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
        if std::mem::take(&mut self.owed) > 0 {
            write(&Message::Ack {
                next: self.expected,
            });
        }
    }

    /// Handles the peer's hello. Returns `false` for an earlier boot than the known one, whose
    /// pipes are obsolete.
    pub(crate) fn hello(&mut self, boot: u64, first: u64) -> bool {
        if boot > self.peer_boot {
            self.peer_boot = boot;
            self.expected = first;
            self.early.clear();
        }
        boot == self.peer_boot
    }

    /// Handles a frame that arrived on a pipe of the given boot. Delivers every frame that is in
    /// order now.
    pub(crate) fn frame(
        &mut self,
        boot: u64,
        number: u64,
        body: Body,
        mut up: impl FnMut(u64, Body),
    ) {
        if boot != self.peer_boot {
            return;
        }
        self.owed += 1;
        if number >= self.expected {
            self.early.insert(number, body);
        }
        while let Some(body) = self.early.remove(&self.expected) {
            up(self.expected, body);
            self.expected += 1;
        }
    }

    /// Handles an acknowledgement of every frame before `next`. Returns the round-trip time of the
    /// newest of them, if it was written once only (Karn's algorithm), and whether any frame was
    /// acknowledged for the first time.
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
