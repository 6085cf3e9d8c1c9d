//! The attempts of a run, packed.
//!
//! A full-size scenario has tens of thousands of attempts that are much alike: a few processes make a few kinds of calls and
//! get a few kinds of answers. What repeats is kept once, in pools, and an attempt is a row of indices into them, next to
//! what is its own: the time, the instance, the socket and the ports. Readers see an [`Attempt`] for each row.

use std::fmt;
use std::sync::Arc;

use foldhash::fast::FixedState;
use fourtuple_kernel::{Endpoint, Ip};
use fourtuple_scenario::Op;
use indexmap::IndexSet;
use serde::{Serialize, Serializer};

use crate::attempt::{Answer, Args, Attempt, Name, SocketName};
use crate::recorder::{Caller, Seen, SocketId, Who};
use crate::why::Why;

/// How many rows before a new one are looked at first for the same call or the same answer. A program that sets an option,
/// binds and connects over and over finds its own there, without hashing.
const LOOK_BACK: usize = 4;

/// Different values in the order in which they came, so that the same run gives the same indices.
type Pool<T> = IndexSet<T, FixedState>;

/// The attempts of a run, in the order in which the calls were made.
#[derive(Clone, Default)]
pub struct Attempts {
    rows: Vec<Row>,
    pools: Pools,
}

/// One attempt. It has the size of half a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    at_ns: u64,
    /// Where the caller is, times two; odd if the socket has a name.
    caller: u32,
    instance: u32,
    /// The number of the socket, or where its name is.
    socket: u32,
    call: u32,
    answer: u32,
    /// Ports of the addresses that the answer has; 0 where it has none.
    local_port: u16,
    peer_port: u16,
}

/// What rows have in common.
#[derive(Clone, Default)]
struct Pools {
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
    local: Option<Ip>,
    peer: Option<Ip>,
    bytes: Option<u32>,
    why: Option<u32>,
}

/// What attempts of one outcome have in common if it is equal: who called, the call without its socket, and the answer
/// without its ports. The other way round, attempts that are alike in all of this may still have different marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    caller: u32,
    call: u32,
    answer: u32,
}

/// An index for a row. Nothing has so many rows that the number would not do: such an outcome takes far more memory than
/// a run may need. If it had, the last number would stand for all others.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Reply {
    const WAITING: Reply = Reply {
        result: Answer::Waiting,
        local: None,
        peer: None,
        bytes: None,
        why: None,
    };
}

impl Attempts {
    /// With room for a number of attempts.
    pub(crate) fn with_capacity(attempts: usize) -> Self {
        Attempts {
            rows: Vec::with_capacity(attempts),
            pools: Pools::default(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The attempt at a place, counted from 0.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<Attempt<'_>> {
        let row = self.rows.get(at)?;
        Some(Attempt::new(self, row, at))
    }

    /// The attempts in the order of the calls.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            all: self,
            rows: self.rows.iter().enumerate(),
        }
    }

    pub(crate) fn who(&mut self, host: Name, process: Name) -> Who {
        let at = index(self.pools.callers.insert_full((host, process)).0);
        // A row has one bit more to say.
        Who(at.min(u32::MAX >> 1))
    }

    pub(crate) fn socket(&mut self, name: Name) -> SocketId {
        let at = index(self.pools.sockets.insert_full(name).0);
        SocketId::Named(at)
    }

    /// Adds a call that has not returned, and answers its place.
    pub(crate) fn push(&mut self, at_ns: u64, caller: Caller, op: Op, args: Args) -> usize {
        if self.pools.replies.is_empty() {
            self.pools.replies.insert(Reply::WAITING);
        }
        let (named, socket) = match caller.socket {
            SocketId::Named(at) => (true, at),
            SocketId::Numbered(number) => (false, number),
        };
        let call = self.call((op, args));
        let at = self.rows.len();
        self.rows.push(Row {
            at_ns,
            caller: (caller.who.0 << 1) | u32::from(named),
            instance: caller.instance,
            socket,
            call,
            answer: 0,
            local_port: 0,
            peer_port: 0,
        });
        at
    }

    /// Answers the call at a place.
    pub(crate) fn answer(&mut self, at: usize, result: Answer, seen: Seen, why: Option<Why>) {
        let reply = Reply {
            result,
            local: seen.local.map(|local| local.ip),
            peer: seen.peer.map(|peer| peer.ip),
            bytes: seen.bytes,
            why: why.map(|why| self.why(at, why)),
        };
        let answer = self.reply(at, reply);
        let row = &mut self.rows[at];
        row.answer = answer;
        row.local_port = seen.local.map_or(0, |local| local.port);
        row.peer_port = seen.peer.map_or(0, |peer| peer.port);
    }

    /// Gives back the room that no attempt came for.
    pub(crate) fn finished(mut self) -> Self {
        self.rows.shrink_to_fit();
        self
    }

    fn call(&mut self, call: (Op, Args)) -> u32 {
        let mut before = self.rows.iter().rev().take(LOOK_BACK);
        match before.find(|row| *self.pools.call(row) == call) {
            Some(row) => row.call,
            None => index(self.pools.calls.insert_full(call).0),
        }
    }

    fn reply(&mut self, at: usize, reply: Reply) -> u32 {
        let mut before = self.rows[..at].iter().rev().take(LOOK_BACK);
        match before.find(|row| *self.pools.reply(row) == reply) {
            Some(row) => row.answer,
            None => index(self.pools.replies.insert_full(reply).0),
        }
    }

    /// Thousands of processes are often refused for one and the same reason, one after the other.
    fn why(&mut self, at: usize, why: Why) -> u32 {
        let before = self.rows[..at].iter().rev().take(LOOK_BACK);
        let mut before = before.filter_map(|row| self.pools.reply(row).why);
        if let Some(found) = before.find(|one| *self.pools.whys[*one as usize] == why) {
            return found;
        }
        index(match self.pools.whys.get_index_of(&why) {
            Some(found) => found,
            None => self.pools.whys.insert_full(Arc::new(why)).0,
        })
    }
}

impl Pools {
    fn call(&self, row: &Row) -> &(Op, Args) {
        &self.calls[row.call as usize]
    }

    fn reply(&self, row: &Row) -> &Reply {
        &self.replies[row.answer as usize]
    }

    /// Whether the indices of a call mean the same in both.
    fn same_calls(&self, other: &Pools) -> bool {
        self.callers.as_slice() == other.callers.as_slice()
            && self.sockets.as_slice() == other.sockets.as_slice()
            && self.calls.as_slice() == other.calls.as_slice()
    }

    /// Whether the index of an answer means the same in both.
    fn same_answers(&self, other: &Pools) -> bool {
        self.replies.as_slice() == other.replies.as_slice()
            && self.whys.as_slice() == other.whys.as_slice()
    }
}

/// What [`Attempt`] reads of its row.
impl Row {
    pub(crate) fn at_ns(&self) -> u64 {
        self.at_ns
    }

    pub(crate) fn instance(&self) -> u32 {
        self.instance
    }

    pub(crate) fn caller<'a>(&self, all: &'a Attempts) -> &'a (Name, Name) {
        &all.pools.callers[(self.caller >> 1) as usize]
    }

    pub(crate) fn socket<'a>(&self, all: &'a Attempts) -> SocketName<'a> {
        match self.caller & 1 {
            1 => SocketName::Named(&all.pools.sockets[self.socket as usize]),
            _ => SocketName::Numbered(&self.caller(all).1, self.socket),
        }
    }

    pub(crate) fn call<'a>(&self, all: &'a Attempts) -> &'a (Op, Args) {
        all.pools.call(self)
    }

    pub(crate) fn result<'a>(&self, all: &'a Attempts) -> &'a Answer {
        &all.pools.reply(self).result
    }

    pub(crate) fn local(&self, all: &Attempts) -> Option<Endpoint> {
        let ip = all.pools.reply(self).local?;
        Some(Endpoint::new(ip, self.local_port))
    }

    pub(crate) fn peer(&self, all: &Attempts) -> Option<Endpoint> {
        let ip = all.pools.reply(self).peer?;
        Some(Endpoint::new(ip, self.peer_port))
    }

    pub(crate) fn bytes(&self, all: &Attempts) -> Option<u32> {
        all.pools.reply(self).bytes
    }

    pub(crate) fn why<'a>(&self, all: &'a Attempts) -> Option<&'a Arc<Why>> {
        let why = all.pools.reply(self).why?;
        Some(&all.pools.whys[why as usize])
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            caller: self.caller,
            call: self.call,
            answer: self.answer,
        }
    }

    /// Whether two rows are the same in what is no index.
    fn same_own(&self, other: &Row) -> bool {
        self.at_ns == other.at_ns
            && self.instance == other.instance
            && self.local_port == other.local_port
            && self.peer_port == other.peer_port
    }

    /// Whether two rows have the same indices of a call.
    fn same_call(&self, other: &Row) -> bool {
        self.call == other.call && self.caller == other.caller && self.socket == other.socket
    }
}

/// Equal attempts, in whatever order the pools came to be filled.
impl PartialEq for Attempts {
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() {
            return false;
        }
        let calls = self.pools.same_calls(&other.pools);
        let answers = self.pools.same_answers(&other.pools);
        // Of each answer, the other's that was found to be equal. Mostly it is the same one every time.
        let mut known: Vec<Option<u32>> = match answers {
            true => Vec::new(),
            false => vec![None; self.pools.replies.len()],
        };
        let mut same_answer = |one: Attempt<'_>, another: Attempt<'_>| {
            let (ours, theirs) = (one.row.answer, another.row.answer);
            if answers {
                return ours == theirs;
            }
            let known = &mut known[ours as usize];
            if *known != Some(theirs) {
                if !one.same_answer(another) || one.why() != another.why() {
                    return false;
                }
                *known = Some(theirs);
            }
            true
        };
        self.iter().zip(other).all(|(one, another)| {
            let same_call = || match calls {
                true => one.row.same_call(another.row),
                false => one.same_call(another),
            };
            one.row.same_own(another.row) && same_call() && same_answer(one, another)
        })
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl Serialize for Attempts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self)
    }
}

impl<'a> IntoIterator for &'a Attempts {
    type Item = Attempt<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Goes through attempts.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    all: &'a Attempts,
    rows: std::iter::Enumerate<std::slice::Iter<'a, Row>>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Attempt<'a>;

    fn next(&mut self) -> Option<Attempt<'a>> {
        let (at, row) = self.rows.next()?;
        Some(Attempt::new(self.all, row, at))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (at, row) = self.rows.next_back()?;
        Some(Attempt::new(self.all, row, at))
    }
}

impl ExactSizeIterator for Iter<'_> {}
