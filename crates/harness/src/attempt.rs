//! One socket call and its answer, in the words of the outcome format.
//!
//! A full-size scenario has tens of thousands of attempts, so an attempt owns next to nothing: names are shared, and
//! equal reasons are one allocation (see [`crate::Recorder`]).

use std::fmt;
use std::sync::Arc;

use fourtuple_kernel::{Endpoint, Errno};
use fourtuple_scenario::{Family, How, Op};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::why::Why;

/// A name out of the scenario, shared by everything that mentions it.
pub type Name = Arc<str>;

/// Whether two names are the same. Attempts of one run share theirs, which is quick to see.
pub(crate) fn same_name(a: &Name, b: &Name) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

/// One socket call and its result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attempt {
    /// Position in the outcome, counted from 1, in the order in which the calls were made.
    pub n: u32,
    /// Virtual time of the call since the start of the scenario.
    pub at_ns: u64,
    /// The host on which the call was made.
    pub host: Name,
    /// The process that made it.
    pub process: Name,
    /// Which of the process's instances, counted from 1.
    pub instance: u32,
    /// The socket it was made on.
    pub socket: SocketName,
    /// The call.
    #[serde(serialize_with = "word")]
    pub op: Op,
    /// Its arguments.
    pub args: Args,
    /// What it returned.
    pub result: Answer,
    /// The socket's own address after a call that succeeded and decides about it.
    #[serde(serialize_with = "shown")]
    pub local: Option<Endpoint>,
    /// The other end after a call that succeeded and decides about it.
    #[serde(serialize_with = "shown")]
    pub peer: Option<Endpoint>,
    /// How many bytes a `send` or `recv` moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u32>,
    /// Why the call failed, when the engine knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Arc<Why>>,
}

fn shown<S: Serializer>(value: &Option<Endpoint>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(endpoint) => to.collect_str(endpoint),
        None => to.serialize_none(),
    }
}

fn word<S: Serializer>(op: &Op, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(op.as_str())
}

impl Attempt {
    /// Whether two engines made the same call and got the same answer. Times and reasons are not part of it.
    #[must_use]
    pub fn same_as(&self, other: &Attempt) -> bool {
        self.same_call(other) && self.same_answer(other)
    }

    /// The call in words: `plain.1 connect 192.168.0.5:3000`.
    #[must_use]
    pub fn call(&self) -> String {
        let mut words = format!("{} {}", self.socket, self.op);
        for (_, value) in self.args.pairs() {
            words.push(' ');
            words.push_str(&value);
        }
        words
    }

    /// The answer in words: `ok 192.168.0.12:40002` or `EADDRNOTAVAIL`.
    #[must_use]
    pub fn answer(&self) -> String {
        let mut words = self.result.to_string();
        if let Some(local) = self.local {
            words.push(' ');
            words.push_str(&local.to_string());
        }
        if let Some(bytes) = self.bytes {
            words.push_str(&format!(" {bytes} bytes"));
        }
        words
    }

    /// Whether two attempts are the same call.
    #[must_use]
    pub fn same_call(&self, other: &Attempt) -> bool {
        self.op == other.op
            && self.instance == other.instance
            && self.socket == other.socket
            && self.process == other.process
            && self.host == other.host
            && self.args == other.args
    }

    /// Whether two attempts were answered alike.
    #[must_use]
    pub fn same_answer(&self, other: &Attempt) -> bool {
        self.result == other.result
            && self.local == other.local
            && self.peer == other.peer
            && self.bytes == other.bytes
    }
}

/// The name of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketName {
    /// A name from the scenario's steps.
    Named(Name),
    /// The k-th socket of a process of the declarative form.
    Numbered(Name, u32),
}

impl fmt::Display for SocketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketName::Named(name) => f.write_str(name),
            SocketName::Numbered(process, k) => write!(f, "{process}.{k}"),
        }
    }
}

impl Serialize for SocketName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The arguments of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Args {
    /// None.
    None,
    /// `socket`: the family.
    Family(Family),
    /// `set`: the option and its value as the scenario has them.
    Option(Name, Name),
    /// `bind`: the address and port.
    At(Endpoint),
    /// `listen`: the backlog.
    Backlog(u32),
    /// `connect`: the destination.
    To(Endpoint),
    /// `accept`: the name of the new socket.
    As(Name),
    /// `send`, `recv`: how many bytes.
    Len(u32),
    /// `shutdown`: which half.
    How(How),
}

impl Args {
    /// The arguments as pairs of word and value; at most two.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        let (first, second) = match self {
            Args::None => (None, None),
            Args::Family(family) => (Some(("family", family.to_string())), None),
            Args::Option(name, value) => (
                Some(("option", name.to_string())),
                Some(("value", value.to_string())),
            ),
            Args::At(at) => (Some(("at", at.to_string())), None),
            Args::Backlog(backlog) => (Some(("backlog", backlog.to_string())), None),
            Args::To(to) => (Some(("to", to.to_string())), None),
            Args::As(name) => (Some(("as", name.to_string())), None),
            Args::Len(len) => (Some(("len", len.to_string())), None),
            Args::How(how) => (Some(("how", how.to_string())), None),
        };
        first.into_iter().chain(second)
    }
}

impl Serialize for Args {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        match self {
            Args::Backlog(number) => map.serialize_entry("backlog", number)?,
            Args::Len(number) => map.serialize_entry("len", number)?,
            _ => {
                for (word, value) in self.pairs() {
                    map.serialize_entry(word, &value)?;
                }
            }
        }
        map.end()
    }
}

/// What a call returned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// Success.
    Ok,
    /// The errno of a failure.
    Errno(Errno),
    /// The call had not returned when the scenario, or the patience for this call, ended.
    Waiting,
    /// What no kernel says: the words of an engine that is not Linux, such as `PANIC`.
    Foreign(Name),
}

impl Answer {
    /// Whether the call succeeded.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        matches!(self, Answer::Ok)
    }

    /// The word in outcomes: `ok`, an errno name, `WAITING`, or a foreign word.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Answer::Ok => "ok",
            Answer::Errno(errno) => errno.name(),
            Answer::Waiting => "WAITING",
            Answer::Foreign(word) => word,
        }
    }
}

impl From<Result<(), Errno>> for Answer {
    fn from(result: Result<(), Errno>) -> Self {
        match result {
            Ok(()) => Answer::Ok,
            Err(errno) => Answer::Errno(errno),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.word())
    }
}
