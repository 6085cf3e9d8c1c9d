//! The history of the recorded TCP and UDP sockets: calls converted to events on sockets.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use fourtuple_syscall::SockOpt;
use indexmap::IndexMap;

use super::args;
use super::calls::LogEntry;
use super::fds::{Conclusion, Conclusions};
use crate::import::notes::Notes;
use crate::value::{Answer, Family, PortRange, Shutdown, SocketType};
use reader::Reader;

mod reader;

/// Most times that a log is read again because a close turned out not to end its socket.
const MAX_READINGS: usize = 200;

#[derive(Clone, Debug)]
pub(super) struct Sock {
    /// The recorded task that created it, counted from 0 in order of appearance.
    pub(super) task: usize,
    pub(super) family: Family,
    pub(super) kind: SocketType,
    /// `true` for a UDP socket that has sent or connected, so that it has a port.
    has_port: bool,
    /// The listener that accepted it.
    pub(super) accepted_from: Option<usize>,
    pub(super) bound: Option<SocketAddr>,
    /// Its local address, if the program asked for it.
    pub(super) local: Option<SocketAddr>,
    pub(super) listening: bool,
    /// The recorded socket at the other end.
    pub(super) other_end: Option<usize>,
    /// The destination of its connection, established or not.
    destination: Option<SocketAddr>,
    /// The event of a connect whose outcome is not known yet.
    open_connect: Option<usize>,
    /// Connections to this listener that wait to be accepted.
    pending: VecDeque<usize>,
    closed: bool,
    /// The event of its close.
    close: Option<usize>,
}

/// An event of a socket.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) line: usize,
    pub(super) time: Option<u64>,
    pub(super) sock: usize,
    pub(super) act: Act,
    /// The result; `None` if it is unknown or irrelevant.
    pub(super) answer: Option<Answer>,
    /// The line on which the call returned, if the log splits it.
    pub(super) until: Option<usize>,
    /// `true` for a connect that returned while in progress: it had found a port.
    pub(super) started: bool,
}

/// The kind of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Socket,
    Set(SockOpt),
    Bind(SocketAddr),
    Listen(u32),
    Connect(SocketAddr),
    /// A UDP socket without a port sends to an address.
    SendTo(SocketAddr),
    /// The socket was accepted, with its peer if the log shows it.
    Accepted(Option<SocketAddr>),
    Shutdown(Shutdown),
    Disconnect,
    Close,
    /// A close that did not end the socket, because another process has it open.
    Reverted,
    /// The program saw an end of file.
    PeerClosed,
    /// The program saw a reset.
    PeerReset,
}

impl Act {
    /// Returns `true` if the call asks the kernel for a port, or for a connection on one.
    pub(super) fn asks(&self) -> bool {
        matches!(
            self,
            Self::Bind(_)
                | Self::Listen(_)
                | Self::Connect(_)
                | Self::SendTo(_)
                | Self::Accepted(_)
        )
    }
}

#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) socks: Vec<Sock>,
    pub(super) events: Vec<Event>,
    pub(super) tasks: Vec<String>,
    /// Ports named in calls of the log: bind() to a number, and connect().
    pub(super) named: BTreeSet<u16>,
    /// The ports that the kernel chose, as far as the log shows them: the lowest and the highest.
    pub(super) seen: Option<PortRange>,
    pub(super) notes: Notes,
}

impl Sock {
    pub(super) fn is_datagram(&self) -> bool {
        self.kind == SocketType::Dgram
    }
}

impl History {
    /// Returns `true` for an answer that says that no port was left.
    pub(super) fn refused(&self, event: &Event) -> bool {
        event.act.asks()
            && match event.answer.map(Answer::as_str) {
                Some("EADDRNOTAVAIL" | "EADDRINUSE") => true,
                Some("EAGAIN") => self.socks[event.sock].is_datagram(),
                _ => false,
            }
    }

    /// Leaves out UDP sockets if all of them got their ports and there are TCP sockets: no answer
    /// depends on them.
    pub(super) fn leave_out_datagrams(&mut self) {
        let udp = |event: &Event| self.socks[event.sock].is_datagram();
        let tcp_asks = |event: &Event| event.act.asks() && !udp(event);
        let refused = |event: &Event| udp(event) && self.refused(event);
        if !self.events.iter().any(tcp_asks) || self.events.iter().any(refused) {
            return;
        }
        let events = std::mem::take(&mut self.events);
        let (left, kept): (Vec<Event>, Vec<Event>) = events
            .into_iter()
            .partition(|event| self.socks[event.sock].is_datagram());
        self.events = kept;
        for event in left.iter().filter(|event| event.act == Act::Socket) {
            let what = "UDP sockets, which all got the ports that they asked for";
            self.notes.count(what, event.line);
        }
        self.compact();
    }

    /// Moves calls, by the line on which they begin, to the position where they return.
    pub(super) fn reorder(&mut self, late: &BTreeSet<usize>) {
        for line in late {
            let place = self.events.iter().position(|event| event.line == *line);
            let Some((place, until)) =
                place.and_then(|place| Some((place, self.events[place].until?)))
            else {
                continue;
            };
            let behind = self.events.iter().skip(place);
            let count = behind.take_while(|event| event.line < until).count();
            self.events[place..place + count].rotate_left(1);
        }
    }

    /// Removes sockets that no event and no other socket refers to.
    pub(super) fn compact(&mut self) {
        let mut needed: Vec<usize> = self.events.iter().map(|event| event.sock).collect();
        let mut new: Vec<Option<usize>> = vec![None; self.socks.len()];
        while let Some(sock) = needed.pop() {
            if new[sock].replace(0).is_none() {
                needed.extend(self.socks[sock].other_end);
                needed.extend(self.socks[sock].accepted_from);
            }
        }
        let kept = new.iter_mut().flatten();
        kept.enumerate().for_each(|(n, place)| *place = n);
        let mut place = new.iter();
        self.socks
            .retain(|_| place.next().is_some_and(Option::is_some));
        let renamed = |sock: Option<usize>| sock.and_then(|sock| new[sock]);
        for sock in &mut self.socks {
            sock.other_end = renamed(sock.other_end);
            sock.accepted_from = renamed(sock.accepted_from);
            sock.pending.clear();
        }
        for event in &mut self.events {
            event.sock = new[event.sock].unwrap_or(event.sock);
        }
    }

    /// The address of a bind. Port 0 becomes the port that the log shows if other calls of the log
    /// name it, or if `always` is set.
    pub(super) fn port_of(&self, sock: usize, at: SocketAddr, always: bool) -> SocketAddr {
        match self.socks[sock].local {
            Some(local) if at.port() == 0 && (always || self.named.contains(&local.port())) => {
                SocketAddr::new(at.ip(), local.port())
            }
            _ => at,
        }
    }
}

/// The lowest and the highest port that the kernel chose, of those that the log shows.
fn seen(socks: &[Sock]) -> Option<PortRange> {
    let chosen = socks.iter().filter(|sock| {
        let chose = sock.bound.is_none_or(|at| at.port() == 0);
        chose && sock.accepted_from.is_none() && !sock.listening
    });
    let ports = chosen.filter_map(|sock| sock.local.map(|at| at.port()));
    ports.fold(None, |range, port| {
        let range = range.unwrap_or(PortRange::new(port, port));
        Some(PortRange::new(range.low.min(port), range.high.max(port)))
    })
}

/// Most entries that all readings of a log may process in total.
const MAX_WORK: usize = 40_000_000;

/// Reads the calls, repeatedly until it is known which tasks have descriptors of their own.
pub(super) fn read(entries: &[LogEntry<'_>], make_notes: impl Fn() -> Notes) -> History {
    let mut known = Conclusions::default();
    let readings = (MAX_WORK / entries.len().max(1)).clamp(2, MAX_READINGS);
    for _ in 0..readings {
        let mut reader = Reader::new(known.clone(), make_notes());
        match reader.all(entries) {
            Ok(()) => return reader.history(),
            Err(learned) => {
                if !known.learn(learned) {
                    break;
                }
                for pid in like(entries, learned) {
                    known.learn(Conclusion::Process(pid));
                }
            }
        }
    }
    let mut notes = make_notes();
    notes.assumed(
        "tasks share their descriptors, although the calls contradict it; record clone, clone3, fork and vfork too",
    );
    let mut reader = Reader::new(known, notes);
    reader.tolerant = true;
    let _ = reader.all(entries);
    reader.history()
}

/// Tasks whose first call closes the same descriptor as that of a task which turned out to be a
/// process: the children of a server that forks for each connection.
fn like(entries: &[LogEntry<'_>], learned: Conclusion) -> Vec<u32> {
    let Conclusion::Process(pid) = learned else {
        return Vec::new();
    };
    let mut first: IndexMap<u32, Option<u32>> = IndexMap::new();
    for entry in entries {
        if let LogEntry::Call(call) = entry
            && !first.contains_key(&call.pid)
        {
            let fd = (call.name == "close").then(|| call.args());
            let fd = fd.and_then(|args| args.first().and_then(|arg| args::fd(arg)));
            first.insert(call.pid, fd);
        }
    }
    let Some(Some(fd)) = first.get(&pid).copied() else {
        return Vec::new();
    };
    let same = first.iter().filter(|(_, own)| **own == Some(fd));
    same.map(|(pid, _)| *pid)
        .skip_while(|one| *one != pid)
        .collect()
}
