//! The attempts of a run, packed.
//!
//! A full-size scenario has tens of thousands of attempts that are very similar: a few processes
//! make a few kinds of calls and get a few kinds of answers. What repeats is kept once, in pools,
//! and an attempt is a row of indices into them, next to what is its own: the time, the instance,
//! the socket and the ports. Readers see an [`Attempt`] for each row.
//!
//! - this file: adding and reading attempts; `row`: one of them; `pools`: their shared parts

mod pools;
mod row;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use fourtuple_scenario::Op;
use fourtuple_syscall::Returned;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::attempt::{Answer, Args, Caller, Name, RecordedProcess, SocketId, SocketName};
use crate::why::Why;

use pools::Pools;
pub(crate) use row::Mark;
use row::Row;

/// The attempts of a run, in the order in which the calls were made.
#[derive(Clone, Default)]
pub struct Attempts {
    rows: Vec<Row>,
    pools: Pools,
    /// The values that few attempts have, by the places of these.
    rare: BTreeMap<u32, Rare>,
}

/// The values that few attempts have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rare {
    /// The time until the answer, in nanoseconds.
    took: u64,
    /// The source and the destination as the other end sees them.
    translated: Option<(SocketAddr, SocketAddr)>,
}

impl Attempts {
    /// With room for a number of attempts.
    pub(crate) fn with_capacity(attempts: usize) -> Self {
        Attempts {
            rows: Vec::with_capacity(attempts),
            pools: Pools::default(),
            rare: BTreeMap::new(),
        }
    }

    /// The number of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there is none.
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
            rows: self.rows.iter(),
            first: 0,
        }
    }

    /// The attempts of each instant, with its time in nanoseconds.
    pub(crate) fn instants(&self) -> impl Iterator<Item = (u64, Iter<'_>)> {
        let mut first = 0;
        let instants = self.rows.chunk_by(|a, b| a.at_ns() == b.at_ns());
        instants.map(move |rows| {
            let instant = Iter {
                all: self,
                rows: rows.iter(),
                first,
            };
            first += rows.len();
            (rows[0].at_ns(), instant)
        })
    }

    pub(crate) fn who(&mut self, host: Name, process: Name) -> RecordedProcess {
        self.pools.who(host, process)
    }

    pub(crate) fn socket(&mut self, name: Name) -> SocketId {
        self.pools.socket(name)
    }

    /// Adds a call that has not returned, and answers its place.
    pub(crate) fn push(&mut self, at_ns: u64, caller: Caller, op: Op, args: Args) -> usize {
        let call = self.pools.add_call(&self.rows, (op, args));
        let waiting = self.pools.waiting();
        self.rows.push(Row::new(at_ns, caller, call, waiting));
        self.rows.len() - 1
    }

    /// Answers the call at a place.
    pub(crate) fn answer(
        &mut self,
        at: usize,
        result: Answer,
        returned: Returned,
        why: Option<Why>,
    ) {
        let (before, rest) = self.rows.split_at_mut(at);
        let row = &mut rest[0];
        let answer = self.pools.add_answer(before, row, result, returned, why);
        row.answered(answer, returned);
        if returned.translated.is_some() {
            self.rare_mut(at).translated = returned.translated;
        }
    }

    /// Notes the time at which the call at a place was answered.
    pub(crate) fn ended(&mut self, at: usize, at_ns: u64) {
        let took = at_ns.saturating_sub(self.rows[at].at_ns());
        if took > 0 {
            self.rare_mut(at).took = took;
        }
    }

    fn rare_mut(&mut self, at: usize) -> &mut Rare {
        let place = u32::try_from(at).unwrap_or(u32::MAX);
        self.rare.entry(place).or_default()
    }

    /// Gives back the room that no attempt came for.
    pub(crate) fn finished(mut self) -> Self {
        self.rows.shrink_to_fit();
        self
    }
}

/// Equal attempts, in whatever order the pools came to be filled.
impl PartialEq for Attempts {
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() || self.rare != other.rare {
            return false;
        }
        let calls = self.pools.same_calls(&other.pools);
        let answers = self.pools.same_answers(&other.pools);
        // Of each answer, the other's that was found to be equal for equal calls. Mostly it is the
        // same one every time.
        let mut known: Vec<Option<u32>> = match answers {
            true => Vec::new(),
            false => vec![None; self.pools.answers()],
        };
        let mut same_answer = |one: Attempt<'_>, another: Attempt<'_>| {
            let (ours, theirs) = (one.row().answer(), another.row().answer());
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
                true => one.row().same_call(another.row()),
                false => one.same_call(another),
            };
            one.row().same_own(another.row()) && same_call() && same_answer(one, another)
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

impl JsonSchema for Attempts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Attempts".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <[Entry<'_>]>::json_schema(generator)
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
#[derive(Clone)]
pub struct Iter<'a> {
    all: &'a Attempts,
    rows: std::slice::Iter<'a, Row>,
    /// The place of the next one.
    first: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Attempt<'a>;

    fn next(&mut self) -> Option<Attempt<'a>> {
        let row = self.rows.next()?;
        self.first += 1;
        Some(Attempt::new(self.all, row, self.first - 1))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let row = self.rows.next_back()?;
        Some(Attempt::new(self.all, row, self.first + self.rows.len()))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// One socket call and its result, as a look into the [`Attempts`](crate::Attempts) of a run.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    pools: &'a Pools,
    rare: Option<&'a Rare>,
    row: &'a Row,
    at: usize,
}

impl<'a> Attempt<'a> {
    fn new(all: &'a Attempts, row: &'a Row, at: usize) -> Self {
        let place = u32::try_from(at).unwrap_or(u32::MAX);
        Attempt {
            pools: &all.pools,
            rare: all.rare.get(&place),
            row,
            at,
        }
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

    /// The time until the answer, in nanoseconds.
    #[must_use]
    pub fn took_ns(self) -> u64 {
        self.rare.map_or(0, |rare| rare.took)
    }

    /// The source and the destination of a connection as the other end sees them, where a NAT host
    /// on the way changed one.
    #[must_use]
    pub fn translated(self) -> Option<(SocketAddr, SocketAddr)> {
        self.rare?.translated
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
            took_ns: self.took_ns(),
            seen: self.translated().map(|(from, _)| from),
            reached: self.translated().map(|(_, to)| to),
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
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Attempt")]
struct Entry<'a> {
    /// Its number, from 1 in the order in which the calls were made.
    n: u32,
    /// The virtual time of the call, in nanoseconds.
    at_ns: u64,
    /// The host.
    host: &'a Name,
    /// The process.
    process: &'a Name,
    /// The instance of the process, counted from 1.
    instance: u32,
    /// The socket: its name in the steps, or the process and a number.
    #[schemars(with = "String")]
    socket: SocketName<'a>,
    /// The call.
    #[serde(serialize_with = "word")]
    #[schemars(with = "String")]
    op: Op,
    /// Its arguments by their names in the scenario: `at` of bind, `to` of connect, `backlog` and
    /// `len` as numbers.
    #[schemars(schema_with = "arguments")]
    args: &'a Args,
    /// `ok`, the name of an errno, `WAITING` if the call had not returned at the end, or a word of
    /// an engine that is not Linux.
    result: &'a Answer,
    /// The socket's own address after the call.
    #[serde(serialize_with = "shown")]
    #[schemars(with = "Option<String>")]
    local: Option<SocketAddr>,
    /// The address of the other end after the call.
    #[serde(serialize_with = "shown")]
    #[schemars(with = "Option<String>")]
    peer: Option<SocketAddr>,
    /// The number of bytes that `send` or `recv` moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u32>,
    /// The nanoseconds from the call to its answer, if there are any.
    #[serde(skip_serializing_if = "is_zero")]
    took_ns: u64,
    /// The source that the server sees, if a NAT host has changed it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    #[schemars(with = "Option<String>")]
    seen: Option<SocketAddr>,
    /// The server that the connection reaches, if a NAT host has changed the destination.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    #[schemars(with = "Option<String>")]
    reached: Option<SocketAddr>,
    /// The reason of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a Arc<Why>>,
}

/// The schema of a call's arguments.
fn arguments(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": { "type": ["string", "integer"] } })
}

fn shown<S: Serializer>(value: &Option<SocketAddr>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(endpoint) => to.collect_str(endpoint),
        None => to.serialize_none(),
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn word<S: Serializer>(op: &Op, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(op.as_str())
}
