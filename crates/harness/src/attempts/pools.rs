//! Pools of the values that attempts share.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use foldhash::fast::FixedState;
use fourtuple_scenario::Op;
use fourtuple_syscall::Returned;
use indexmap::IndexSet;

use super::row::Row;
use crate::attempt::{Answer, Args, Name, RecordedProcess, SocketId, SocketName};
use crate::why::Why;

/// Rows before a new one that are searched first for the same call or the same answer. A
/// program that sets an option, binds and connects over and over finds its own there, without
/// hashing.
const LOOK_BACK: usize = 4;

/// Different values in the order in which they came, so that the same run gives the same indices.
type Pool<T> = IndexSet<T, FixedState>;

/// The pools that rows have indices into.
#[derive(Clone, Default)]
pub(crate) struct Pools {
    /// Host and process.
    callers: Pool<(Name, Name)>,
    /// Names of sockets.
    sockets: Pool<Name>,
    calls: Pool<(Op, Args)>,
    /// The first is that of a call that has not returned.
    replies: Pool<Reply>,
    whys: Pool<Arc<Why>>,
}

/// An answer without its ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Reply {
    result: Answer,
    local: End,
    peer: End,
    bytes: Option<u32>,
    why: Option<u32>,
}

/// An address in an answer. Mostly it is the one that the call names, so that answers are equal
/// for every destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    None,
    /// The address in the arguments.
    Named,
    Other(IpAddr),
}

impl End {
    fn of(end: Option<SocketAddr>, args: &Args) -> End {
        match end {
            None => End::None,
            Some(end) if args.ip() == Some(end.ip()) => End::Named,
            Some(end) => End::Other(end.ip()),
        }
    }

    fn at(self, args: &Args, port: u16) -> Option<SocketAddr> {
        let ip = match self {
            End::None => None,
            End::Named => args.ip(),
            End::Other(ip) => Some(ip),
        };
        Some(SocketAddr::new(ip?, port))
    }
}

/// An index for a row. Nothing has so many rows that the number would not do: such an outcome takes
/// far more memory than a run may need. If it had, the last number would stand for all others.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Reply {
    const WAITING: Reply = Reply {
        result: Answer::Waiting,
        local: End::None,
        peer: End::None,
        bytes: None,
        why: None,
    };
}

impl Pools {
    pub(super) fn who(&mut self, host: Name, process: Name) -> RecordedProcess {
        let at = index(self.callers.insert_full((host, process)).0);
        // A row has one bit more to say.
        RecordedProcess(at.min(u32::MAX >> 1))
    }

    pub(super) fn socket(&mut self, name: Name) -> SocketId {
        SocketId::Named(index(self.sockets.insert_full(name).0))
    }

    /// The number of different answers.
    pub(super) fn answers(&self) -> usize {
        self.replies.len()
    }

    /// The index of no answer yet.
    pub(super) fn waiting(&mut self) -> u32 {
        if self.replies.is_empty() {
            self.replies.insert(Reply::WAITING);
        }
        0
    }

    /// The index of a call that comes after these.
    pub(super) fn add_call(&mut self, before: &[Row], call: (Op, Args)) -> u32 {
        let mut near = before.iter().rev().take(LOOK_BACK);
        match near.find(|row| *self.call(row) == call) {
            Some(row) => row.call(),
            None => index(self.calls.insert_full(call).0),
        }
    }

    /// The index of the answer to a call that comes after these.
    pub(super) fn add_answer(
        &mut self,
        before: &[Row],
        row: &Row,
        result: Answer,
        returned: Returned,
        why: Option<Why>,
    ) -> u32 {
        let why = why.map(|why| self.add_why(before, why));
        let (_, args) = self.call(row);
        let reply = Reply {
            result,
            local: End::of(returned.local, args),
            peer: End::of(returned.peer, args),
            bytes: returned.bytes,
            why,
        };
        let mut near = before.iter().rev().take(LOOK_BACK);
        match near.find(|row| *self.reply(row) == reply) {
            Some(row) => row.answer(),
            None => index(self.replies.insert_full(reply).0),
        }
    }

    /// Thousands of processes are often refused for one and the same reason, one after the other.
    fn add_why(&mut self, before: &[Row], why: Why) -> u32 {
        let near = before.iter().rev().take(LOOK_BACK);
        let mut near = near.filter_map(|row| self.reply(row).why);
        if let Some(found) = near.find(|one| *self.whys[*one as usize] == why) {
            return found;
        }
        index(match self.whys.get_index_of(&why) {
            Some(found) => found,
            None => self.whys.insert_full(Arc::new(why)).0,
        })
    }

    pub(crate) fn host(&self, row: &Row) -> &Name {
        &self.callers[row.caller() as usize].0
    }

    pub(crate) fn process(&self, row: &Row) -> &Name {
        &self.callers[row.caller() as usize].1
    }

    pub(crate) fn socket_name(&self, row: &Row) -> SocketName<'_> {
        match row.socket() {
            SocketId::Named(at) => SocketName::Named(&self.sockets[at as usize]),
            SocketId::Numbered(number) => SocketName::Numbered(self.process(row), number),
        }
    }

    pub(crate) fn call(&self, row: &Row) -> &(Op, Args) {
        &self.calls[row.call() as usize]
    }

    fn reply(&self, row: &Row) -> &Reply {
        &self.replies[row.answer() as usize]
    }

    pub(crate) fn result(&self, row: &Row) -> &Answer {
        &self.reply(row).result
    }

    pub(crate) fn local(&self, row: &Row) -> Option<SocketAddr> {
        let (_, args) = self.call(row);
        self.reply(row).local.at(args, row.local_port())
    }

    pub(crate) fn peer(&self, row: &Row) -> Option<SocketAddr> {
        let (_, args) = self.call(row);
        self.reply(row).peer.at(args, row.peer_port())
    }

    pub(crate) fn bytes(&self, row: &Row) -> Option<u32> {
        self.reply(row).bytes
    }

    pub(crate) fn why(&self, row: &Row) -> Option<&Arc<Why>> {
        let why = self.reply(row).why?;
        Some(&self.whys[why as usize])
    }

    /// Returns whether the indices of a call mean the same in both.
    pub(super) fn same_calls(&self, other: &Pools) -> bool {
        self.callers.as_slice() == other.callers.as_slice()
            && self.sockets.as_slice() == other.sockets.as_slice()
            && self.calls.as_slice() == other.calls.as_slice()
    }

    /// Returns whether the index of an answer means the same in both, for equal calls.
    pub(super) fn same_answers(&self, other: &Pools) -> bool {
        self.replies.as_slice() == other.replies.as_slice()
            && self.whys.as_slice() == other.whys.as_slice()
    }
}
