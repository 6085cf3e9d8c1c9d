//! Recorded answers of a log, and the assumptions under which a scenario may reproduce them.
//!
//! This crate has no kernel model. A caller that has one runs the imported scenario, compares its
//! attempts with [`Imported::recorded`](super::Imported::recorded), and on a difference generates
//! the scenario again with other [`Assumptions`].

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::value::{Answer, Op};

/// Most sockets of one [`Holder::Range`] that the step form writes.
pub const MAX_HELD_STEPS: u32 = 400;

/// A call of the log with its recorded answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The line of the log on which the call begins.
    pub line: usize,
    /// The line on which it returns, if the log splits the call.
    pub until: Option<usize>,
    /// The call.
    pub op: Op,
    /// The address argument of the call, if it has one.
    pub at: Option<SocketAddr>,
    /// The local address of the socket before the call, if it is bound.
    pub bound: Option<SocketAddr>,
    /// The answers that the log permits: one, or several if the log does not show the outcome.
    pub answers: Vec<Answer>,
    /// The attempt of the scenario that makes the call.
    pub place: AttemptRef,
}

impl Recorded {
    /// Formats the call: `connect to 10.0.0.4:80`.
    #[must_use]
    pub fn call(&self) -> String {
        match (self.op, self.at) {
            (Op::Connect, Some(at)) => format!("connect to {at}"),
            (op, Some(at)) => format!("{} {at}", op.as_str()),
            (op, None) => op.as_str().to_owned(),
        }
    }
}

/// The attempt of a scenario that makes a recorded call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptRef {
    /// The attempt with this index, counted from 0.
    Index(usize),
    /// The attempt with this index among those of one process and one call, counted from 0.
    OfProcess(String, usize),
}

/// Choices for facts that a log does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assumptions {
    /// Peers outside the log close their end of a connection before the recorded sockets do.
    pub outsiders_close_first: bool,
    /// Calls that take effect when they return, by the line on which they begin.
    pub late: BTreeSet<usize>,
    /// bind() to port 0 gets the port that the log shows later.
    pub known_ports: bool,
    /// Sockets outside the log that occupy ports when it begins.
    pub holders: Vec<Holder>,
    /// The number of ephemeral ports, if neither sysctls nor ports of the log determine the range.
    pub width: Option<u16>,
}

/// Sockets outside the log that occupy ports when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A listener without options.
    Port(SocketAddr),
    /// Sockets on ephemeral ports.
    Range {
        /// The local address; `None` for the first one of the host.
        from: Option<IpAddr>,
        /// The destination; `None` for sockets that are bound and not connected.
        to: Option<SocketAddr>,
        /// The number of sockets.
        count: u32,
        /// `true` if bind() chose their ports, `false` if connect() did.
        bound: bool,
    },
}
