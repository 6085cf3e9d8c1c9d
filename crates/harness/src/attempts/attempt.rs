//! One attempt of a run, read out of the packed rows.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use fourtuple_scenario::Op;
use serde::{Serialize, Serializer};

use super::pools::Pools;
use super::row::{Mark, Row};
use crate::attempt::{Answer, Args, Name, SocketName};
use crate::why::Why;

/// One socket call and its result, as a look into the [`Attempts`](crate::Attempts) of a run.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    pools: &'a Pools,
    row: &'a Row,
    at: usize,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(pools: &'a Pools, row: &'a Row, at: usize) -> Self {
        Attempt { pools, row, at }
    }

    pub(crate) fn row(self) -> &'a Row {
        self.row
    }

    /// Position in the outcome, counted from 1, in the order in which the calls were made.
    #[must_use]
    pub fn n(self) -> u32 {
        u32::try_from(self.at + 1).unwrap_or(u32::MAX)
    }

    /// Virtual time of the call since the start of the scenario.
    #[must_use]
    pub fn at_ns(self) -> u64 {
        self.row.at_ns()
    }

    /// The host on which the call was made.
    #[must_use]
    pub fn host(self) -> &'a Name {
        self.pools.host(self.row)
    }

    /// The process that made it.
    #[must_use]
    pub fn process(self) -> &'a Name {
        self.pools.process(self.row)
    }

    /// Which of the process's instances, counted from 1.
    #[must_use]
    pub fn instance(self) -> u32 {
        self.row.instance()
    }

    /// The socket it was made on.
    #[must_use]
    pub fn socket(self) -> SocketName<'a> {
        self.pools.socket_name(self.row)
    }

    /// The call.
    #[must_use]
    pub fn op(self) -> Op {
        self.pools.call(self.row).0
    }

    /// Its arguments.
    #[must_use]
    pub fn args(self) -> &'a Args {
        &self.pools.call(self.row).1
    }

    /// The result.
    #[must_use]
    pub fn result(self) -> &'a Answer {
        self.pools.result(self.row)
    }

    /// The socket's own address after a call that succeeded and decides about it.
    #[must_use]
    pub fn local(self) -> Option<SocketAddr> {
        self.pools.local(self.row)
    }

    /// The other end after a call that succeeded and decides about it.
    #[must_use]
    pub fn peer(self) -> Option<SocketAddr> {
        self.pools.peer(self.row)
    }

    /// Bytes that a `send` or `recv` moved.
    #[must_use]
    pub fn bytes(self) -> Option<u32> {
        self.pools.bytes(self.row)
    }

    /// Why the call failed, when the engine knows.
    #[must_use]
    pub fn why(self) -> Option<&'a Arc<Why>> {
        self.pools.why(self.row)
    }

    /// A value that is equal for equivalent attempts of one outcome.
    pub(crate) fn mark(self) -> Mark {
        self.row.mark()
    }

    /// Returns whether two engines made the same call and got the same answer. Times and reasons
    /// are not part of it.
    #[must_use]
    pub fn same_as(self, other: Attempt<'_>) -> bool {
        self.same_call(other) && self.same_answer(other)
    }

    /// The call in words: `plain.1 connect 192.168.0.5:3000`.
    #[must_use]
    pub fn call(self) -> String {
        let mut words = format!("{} {}", self.socket(), self.op());
        for (_, value) in self.args().pairs() {
            words.push(' ');
            words.push_str(&value);
        }
        words
    }

    /// The answer in words: `ok 192.168.0.12:40002` or `EADDRNOTAVAIL`.
    #[must_use]
    pub fn answer(self) -> String {
        let mut words = self.result().to_string();
        if let Some(local) = self.local() {
            words.push(' ');
            words.push_str(&local.to_string());
        }
        if let Some(bytes) = self.bytes() {
            words.push_str(&format!(" {bytes} bytes"));
        }
        words
    }

    /// Returns whether two attempts are the same call.
    #[must_use]
    pub fn same_call(self, other: Attempt<'_>) -> bool {
        self.op() == other.op()
            && self.instance() == other.instance()
            && self.socket() == other.socket()
            && self.process() == other.process()
            && self.host() == other.host()
            && self.args() == other.args()
    }

    /// Returns whether two attempts have the same answer.
    #[must_use]
    pub fn same_answer(self, other: Attempt<'_>) -> bool {
        self.result() == other.result()
            && self.local() == other.local()
            && self.peer() == other.peer()
            && self.bytes() == other.bytes()
    }

    fn entry(self) -> Entry<'a> {
        Entry {
            n: self.n(),
            at_ns: self.at_ns(),
            host: self.host(),
            process: self.process(),
            instance: self.instance(),
            socket: self.socket(),
            op: self.op(),
            args: self.args(),
            result: self.result(),
            local: self.local(),
            peer: self.peer(),
            bytes: self.bytes(),
            why: self.why(),
        }
    }
}

impl PartialEq for Attempt<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
            && self.at_ns() == other.at_ns()
            && self.same_as(*other)
            && self.why() == other.why()
    }
}

impl fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry().fmt(f)
    }
}

impl Serialize for Attempt<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.entry().serialize(to)
    }
}

/// An attempt with its fields side by side, as outcomes show it.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    n: u32,
    at_ns: u64,
    host: &'a Name,
    process: &'a Name,
    instance: u32,
    socket: SocketName<'a>,
    #[serde(serialize_with = "word")]
    op: Op,
    args: &'a Args,
    result: &'a Answer,
    #[serde(serialize_with = "shown")]
    local: Option<SocketAddr>,
    #[serde(serialize_with = "shown")]
    peer: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a Arc<Why>>,
}

fn shown<S: Serializer>(value: &Option<SocketAddr>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(endpoint) => to.collect_str(endpoint),
        None => to.serialize_none(),
    }
}

fn word<S: Serializer>(op: &Op, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(op.as_str())
}
