//! The other kernels that a kernel exchanges segments with.

use super::channel::Channel;
use super::wire::Body;
use bytes::Bytes;
use fourtuple_kernel::Segment;
use fourtuple_kernel::time::{MS, SEC, Time};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Waker;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use turmoil::net::tcp::OwnedWriteHalf;

/// `TCP_TIMEOUT_INIT`
const RTO_FIRST: u64 = SEC;
/// `TCP_RTO_MIN`
const RTO_MIN: u64 = 200 * MS;
/// `TCP_RTO_MAX`
const RTO_MAX: u64 = 120 * SEC;

/// The retransmission timeout towards one host (RFC 6298).
#[derive(Debug)]
pub(crate) struct Rto {
    smoothed: Option<(u64, u64)>,
    doublings: u32,
}

impl Rto {
    pub(crate) fn new() -> Self {
        Rto {
            smoothed: None,
            doublings: 0,
        }
    }

    pub(crate) fn measured(&mut self, round_trip: u64) {
        self.smoothed = Some(match self.smoothed {
            None => (round_trip, round_trip / 2),
            Some((mean, deviation)) => (
                (7 * mean + round_trip) / 8,
                (3 * deviation + mean.abs_diff(round_trip)) / 4,
            ),
        });
    }

    pub(crate) fn progress(&mut self) {
        self.doublings = 0;
    }

    pub(crate) fn expired(&mut self) {
        self.doublings = (self.doublings + 1).min(16);
    }

    pub(crate) fn nanos(&self) -> u64 {
        let base = self.smoothed.map_or(RTO_FIRST, |(mean, deviation)| {
            (mean + 4 * deviation).max(RTO_MIN)
        });
        (base << self.doublings).min(RTO_MAX)
    }
}

/// The state of the pipe to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pipe {
    /// Not needed so far.
    None,
    /// The first attempt to open it is in progress.
    Opening,
    Open,
    /// It broke or could not be opened; it is opened again on demand.
    Broken,
}

/// The time at which a stream has to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Now,
    /// Not before this time; `None` for not at all.
    At(Option<Time>),
}

/// The writing half of a stream, and the task that reads the other half.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(super) id: u64,
    pub(super) writer: OwnedWriteHalf,
    pub(super) reader: JoinHandle<()>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Another kernel.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) channel: Channel,
    /// Segments that turmoil's UDP carries, with the payload of Linux's own datagrams.
    pub(crate) datagrams: Vec<(Segment, Bytes)>,
    pub(crate) pipe: Pipe,
    pub(crate) rto: Rto,
    /// Wakes the pipe's task.
    pub(crate) notify: Arc<Notify>,
    /// `true` if the pipe's task has been woken and has not looked at this peer since.
    pub(crate) signalled: bool,
    /// Time of the last attempt to open a pipe.
    pub(crate) tried: Option<Time>,
    /// `true` if a message of the peer has arrived since then.
    pub(crate) alive: bool,
    /// `true` if a pipe is needed although there is nothing to write yet.
    pub(crate) wanted: bool,
    /// Streams opened by the peer.
    pub(crate) adopted: Vec<Stream>,
    /// Streams that have ended.
    pub(crate) ended: Vec<u64>,
    streams: u64,
    started: bool,
    waiting: Vec<Waker>,
}

impl Peer {
    fn new(boot: u64) -> Self {
        Peer {
            channel: Channel::new(boot),
            datagrams: Vec::new(),
            pipe: Pipe::None,
            rto: Rto::new(),
            notify: Arc::new(Notify::new()),
            signalled: false,
            tried: None,
            alive: false,
            wanted: false,
            adopted: Vec::new(),
            ended: Vec::new(),
            streams: 0,
            started: false,
            waiting: Vec::new(),
        }
    }

    /// Allocates a stream number.
    pub(crate) fn next_stream(&mut self) -> u64 {
        self.streams += 1;
        self.streams
    }

    /// Queues a frame for the pipe. Returns its number.
    pub(crate) fn push(&mut self, body: Body, now: Time) -> u64 {
        let number = self.channel.push(body, now);
        self.want_pipe();
        self.signal();
        number
    }

    /// Wakes the pipe's task.
    pub(crate) fn signal(&mut self) {
        if !self.signalled {
            self.signalled = true;
            self.notify.notify_one();
        }
    }

    /// `true` if the pipe has a task.
    pub(crate) fn is_started(&self) -> bool {
        self.started
    }

    /// Requests a pipe if there is none.
    pub(crate) fn want_pipe(&mut self) {
        if self.pipe == Pipe::None {
            self.pipe = Pipe::Opening;
        }
        if !self.wanted && self.pipe != Pipe::Open {
            self.wanted = true;
            self.signal();
        }
    }

    pub(crate) fn has_pipe(&self) -> bool {
        self.pipe == Pipe::Open
    }

    /// `true` while the first pipe is being opened.
    pub(crate) fn is_opening(&self) -> bool {
        self.pipe == Pipe::Opening
    }

    pub(crate) fn wait_for_pipe(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|w| w.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    /// Records the result of opening a pipe.
    pub(crate) fn set_pipe(&mut self, pipe: Pipe, woken: &mut Vec<Waker>) {
        self.pipe = pipe;
        if pipe == Pipe::Open {
            self.wanted = false;
        }
        woken.append(&mut self.waiting);
    }

    /// Decides about another stream; `is_open` if there is one. Without timeouts if the kernel is
    /// `patient`. [`Due::Now`] begins an attempt.
    pub(crate) fn due(&mut self, now: Time, is_open: bool, patient: bool) -> Due {
        let timeout = self.rto.nanos();
        if is_open {
            let Some(oldest) = self.channel.oldest_written().filter(|_| !patient) else {
                return Due::At(None);
            };
            let expires = oldest.max(self.tried.unwrap_or(Time::ZERO)).after(timeout);
            if now < expires {
                return Due::At(Some(expires));
            }
            self.rto.expired();
        } else {
            if !self.wanted && !self.channel.wants_to_write(now) {
                return Due::At(None);
            }
            let again = self.tried.map(|at| at.after(timeout));
            if let Some(again) = again.filter(|again| now < *again && !self.alive) {
                return Due::At(Some(again));
            }
        }
        self.tried = Some(now);
        self.alive = false;
        self.wanted = false;
        Due::Now
    }

    /// Records that a message of the peer has arrived.
    pub(crate) fn heard(&mut self) {
        if !self.alive {
            self.alive = true;
            if self.pipe == Pipe::Broken {
                self.signal();
            }
        }
    }
}

/// All peers of a kernel, by turmoil address.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    boot: u64,
    table: BTreeMap<IpAddr, Peer>,
}

impl Peers {
    pub(crate) fn set_boot(&mut self, boot: u64) {
        self.boot = boot;
    }

    pub(crate) fn boot(&self) -> u64 {
        self.boot
    }

    pub(crate) fn of(&mut self, host: IpAddr) -> &mut Peer {
        self.table
            .entry(host)
            .or_insert_with(|| Peer::new(self.boot))
    }

    /// Takes the queued datagrams.
    pub(crate) fn datagrams(&mut self) -> Vec<(IpAddr, Vec<(Segment, Bytes)>)> {
        let full = self
            .table
            .iter_mut()
            .filter(|(_, p)| !p.datagrams.is_empty());
        full.map(|(host, p)| (*host, std::mem::take(&mut p.datagrams)))
            .collect()
    }

    /// Hosts whose pipe task has to be started.
    pub(crate) fn unstarted(&mut self) -> Vec<IpAddr> {
        let new = self
            .table
            .iter_mut()
            .filter(|(_, p)| !p.started && p.pipe != Pipe::None);
        new.map(|(host, p)| {
            p.started = true;
            *host
        })
        .collect()
    }

    /// The number of segments that were not sent.
    pub(crate) fn unsent(self) -> u64 {
        self.table.values().map(|p| p.datagrams.len() as u64).sum()
    }
}
