//! The vocabulary of attempts: the maker of a call, its arguments and its answer.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fourtuple_kernel::Errno;
use fourtuple_scenario::{Family, Shutdown};
use fourtuple_syscall::canonical;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// A name out of the scenario, shared by everything that mentions it.
pub type Name = Arc<str>;

/// Returns whether two names are the same. Attempts of one run share theirs, which is quick to see.
pub(crate) fn same_name(a: &Name, b: &Name) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

/// A process on a host, as one recorder knows it: from [`Recorder::who`](crate::Recorder::who).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedProcess(pub(crate) u32);

/// A socket of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketId {
    /// One with a name, as one recorder knows it: from [`Recorder::named`](crate::Recorder::named).
    Named(u32),
    /// The k-th socket of the process.
    Numbered(u32),
}

/// The maker of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The process and its host.
    pub who: RecordedProcess,
    /// Which of its instances, counted from 1.
    pub instance: u32,
    /// The socket.
    pub socket: SocketId,
}

/// The name of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketName<'a> {
    /// A name from the scenario's steps.
    Named(&'a Name),
    /// The k-th socket of a process of the declarative form.
    Numbered(&'a Name, u32),
}

impl fmt::Display for SocketName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketName::Named(name) => f.write_str(name),
            SocketName::Numbered(process, k) => write!(f, "{process}.{k}"),
        }
    }
}

impl Serialize for SocketName<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The arguments of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Args {
    /// None.
    None,
    /// `socket`: the family.
    Family(Family),
    /// `set`: the option and its value as the scenario has them.
    Option(Name, Name),
    /// `bind`: the address and port.
    At(SocketAddr),
    /// `listen`: the backlog.
    Backlog(u32),
    /// `connect`: the destination.
    To(SocketAddr),
    /// `sendto`: the destination and how many bytes.
    Sent(SocketAddr, u32),
    /// `accept`: the name of the new socket.
    As(Name),
    /// `send`, `recv`, `recvfrom`: how many bytes.
    Len(u32),
    /// `shutdown`: which half.
    How(Shutdown),
}

/// An address as the scenario writes it: with the name of the interface that is its scope.
fn shown_at(at: SocketAddr) -> String {
    match at {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            let (ip, port) = (v6.ip(), v6.port());
            match v6.scope_id() {
                1 => format!("[{ip}%lo]:{port}"),
                2 => format!("[{ip}%eth0]:{port}"),
                other => format!("[{ip}%{other}]:{port}"),
            }
        }
        _ => canonical(at).to_string(),
    }
}

impl Args {
    /// The address in them.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        match self {
            Args::At(at) | Args::To(at) | Args::Sent(at, _) => Some(at.ip().to_canonical()),
            _ => None,
        }
    }

    /// The arguments as pairs of word and value; at most two.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        let (first, second) = match self {
            Args::None => (None, None),
            Args::Family(family) => (Some(("family", family.to_string())), None),
            Args::Option(name, value) => (
                Some(("option", name.to_string())),
                Some(("value", value.to_string())),
            ),
            Args::At(at) => (Some(("at", shown_at(*at))), None),
            Args::Backlog(backlog) => (Some(("backlog", backlog.to_string())), None),
            Args::To(to) => (Some(("to", shown_at(*to))), None),
            Args::Sent(to, len) => (Some(("to", shown_at(*to))), Some(("len", len.to_string()))),
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
            Args::Sent(to, len) => {
                map.serialize_entry("to", &shown_at(*to))?;
                map.serialize_entry("len", len)?;
            }
            _ => {
                for (word, value) in self.pairs() {
                    map.serialize_entry(word, &value)?;
                }
            }
        }
        map.end()
    }
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// Success.
    Ok,
    /// The errno of a failure.
    Errno(Errno),
    /// The call had not returned when the scenario, or the patience for this call, ended.
    Waiting,
    /// A result that is not an errno, of an engine that is not Linux, such as `PANIC`.
    Foreign(Name),
}

impl Answer {
    /// Returns whether the call succeeded.
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

impl JsonSchema for Answer {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Answer".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        str::json_schema(generator)
    }
}
