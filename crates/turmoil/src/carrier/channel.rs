//! A reliable, ordered channel between two kernels, on top of pipes that may break.
//!
//! turmoil's TCP does not retransmit: a segment lost in a partition leaves a gap that stops the
//! rest of the stream. Linux retransmits. The frames between two kernels are therefore numbered,
//! kept until they are acknowledged, and written again after a stream has been replaced. This file
//! has no I/O and no clock: it decides which messages to write and which frames have arrived.

use super::wire::{Body, ConnKey, Message};
use fourtuple_kernel::time::{MS, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Received frames that are acknowledged at once.
const OWED: u32 = 64;

/// The time that fewer frames wait for something to be written along (`TCP_DELACK_MIN`).
const DELAYED_ACK: u64 = 40 * MS;

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
    /// The time at which they are acknowledged if nothing else is written before.
    owed_until: Time,
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
            owed_until: Time::ZERO,
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

    /// `true` if there are messages that have to be written to the current pipe now.
    pub(crate) fn wants_to_write(&self, now: Time) -> bool {
        let acknowledges = self.owed >= OWED || self.owed > 0 && now >= self.owed_until;
        self.written < self.unacked.len() || acknowledges
    }

    /// The time at which received frames are acknowledged, if there are any.
    pub(crate) fn acknowledges_at(&self) -> Option<Time> {
        (self.owed > 0).then_some(self.owed_until)
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
        if !self.wants_to_write(now) {
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

    /// Handles a frame that arrived on a pipe of the given boot. Returns it if it is the next one
    /// in order, in which case more of them may wait in [`Channel::next`]; and `true` if the pipe's
    /// task has to look whether it acknowledges.
    pub(crate) fn frame(
        &mut self,
        boot: u64,
        number: u64,
        body: Body,
        now: Time,
    ) -> (Option<(u64, Body)>, bool) {
        if boot != self.peer_boot {
            return (None, false);
        }
        self.owed += 1;
        if self.owed == 1 {
            self.owed_until = now.after(DELAYED_ACK);
        }
        let wakes = self.owed == 1 || self.owed == OWED;
        if number != self.expected {
            if number > self.expected {
                self.early.insert(number, body);
            }
            return (None, wakes);
        }
        self.expected += 1;
        (Some((number, body)), wakes)
    }

    /// Takes the next frame in order, of those that arrived early.
    pub(crate) fn next(&mut self) -> Option<(u64, Body)> {
        let first = self.early.first_entry()?;
        if *first.key() != self.expected {
            return None;
        }
        self.expected += 1;
        Some(first.remove_entry())
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
