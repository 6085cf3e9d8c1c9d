//! What the recorded programs did with TCP sockets: calls turned into events on sockets.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use fourtuple_syscall::SockOpt;
use indexmap::IndexMap;

use super::args;
use super::calls::Happening;
use super::fds::{Knowledge, Learned};
use crate::import::notes::Notes;
use crate::value::{Answer, Family, How};
use reader::Reader;

mod reader;

/// How often a log is read again because a close turned out not to end its socket.
const MAX_READINGS: usize = 200;

/// A TCP socket of the log.
#[derive(Clone, Debug)]
pub(super) struct Sock {
    /// The recorded task that made it, counted from 0 in the order of appearance.
    pub(super) task: usize,
    pub(super) family: Family,
    /// The listener that it was accepted from.
    pub(super) accepted_from: Option<usize>,
    pub(super) bound: Option<SocketAddr>,
    /// Its own address, if the program asked for it.
    pub(super) local: Option<SocketAddr>,
    pub(super) listening: bool,
    /// The recorded socket at the other end.
    pub(super) other_end: Option<usize>,
    /// Where it is connected to, or about to be.
    destination: Option<SocketAddr>,
    /// The event of a connect whose outcome is not known yet.
    open_connect: Option<usize>,
    /// Connections to this listener that wait to be accepted.
    pending: VecDeque<usize>,
    closed: bool,
}

/// Something that happened to a socket.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) line: usize,
    pub(super) time: Option<u64>,
    pub(super) sock: usize,
    pub(super) act: Act,
    /// What was answered; none if that is not known, or means nothing.
    pub(super) answer: Option<Answer>,
    /// The line on which the call returned, if the log splits it.
    pub(super) until: Option<usize>,
    /// A connect that was under way when it returned: it had found a port.
    pub(super) started: bool,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Socket,
    Set(SockOpt),
    Bind(SocketAddr),
    Listen(u32),
    Connect(SocketAddr),
    /// The socket was accepted; its peer if the log says it.
    Accepted(Option<SocketAddr>),
    Shutdown(How),
    Disconnect,
    Close,
    /// The program saw that the other end closed.
    PeerClosed,
    /// The program saw that the other end sent a reset.
    PeerReset,
}

impl Act {
    /// Whether the call asks the kernel for a port, or for a connection on one.
    pub(super) fn asks(&self) -> bool {
        matches!(
            self,
            Self::Bind(_) | Self::Listen(_) | Self::Connect(_) | Self::Accepted(_)
        )
    }
}

/// The log as events.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) socks: Vec<Sock>,
    pub(super) events: Vec<Event>,
    /// Names of the recorded tasks.
    pub(super) tasks: Vec<String>,
    /// Ports that calls of the log name: bind() to a number, and connect().
    pub(super) named: BTreeSet<u16>,
    pub(super) notes: Notes,
}

impl Story {
    /// Moves calls, by the line on which they begin, to the place where they return.
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

    /// The address of a bind. Port 0 becomes the port that the log shows where other calls of the log name it, and
    /// everywhere if `always`.
    pub(super) fn port_of(&self, sock: usize, at: SocketAddr, always: bool) -> SocketAddr {
        match self.socks[sock].local {
            Some(local) if at.port() == 0 && (always || self.named.contains(&local.port())) => {
                SocketAddr::new(at.ip(), local.port())
            }
            _ => at,
        }
    }
}

/// Happenings that all readings of a log may look at together.
const MAX_WORK: usize = 40_000_000;

/// Reads the calls, as often as it takes to know which tasks have descriptors of their own.
pub(super) fn read(happenings: &[Happening<'_>], make_notes: impl Fn() -> Notes) -> Story {
    let mut known = Knowledge::default();
    let readings = (MAX_WORK / happenings.len().max(1)).clamp(2, MAX_READINGS);
    for _ in 0..readings {
        let mut reader = Reader::new(known.clone(), make_notes());
        match reader.all(happenings) {
            Ok(()) => return reader.story(),
            Err(learned) => {
                if !known.learn(learned) {
                    break;
                }
                for pid in like(happenings, learned) {
                    known.learn(Learned::Process(pid));
                }
            }
        }
    }
    let mut notes = make_notes();
    notes.assumed(
        "tasks share their descriptors, although some seem not to; record clone, clone3, fork and vfork as well",
    );
    let mut reader = Reader::new(known, notes);
    reader.tolerant = true;
    let _ = reader.all(happenings);
    reader.story()
}

/// Tasks whose first call closes the same descriptor as that of a task which turned out to be a process: the children
/// of a server that forks for each connection.
fn like(happenings: &[Happening<'_>], learned: Learned) -> Vec<u32> {
    let Learned::Process(pid) = learned else {
        return Vec::new();
    };
    let mut first: IndexMap<u32, Option<u32>> = IndexMap::new();
    for happening in happenings {
        if let Happening::Call(call) = happening
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
