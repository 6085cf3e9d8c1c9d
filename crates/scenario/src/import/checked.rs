//! The recorded answers of a log, and the assumptions under which a scenario may reproduce them.
//!
//! This crate has no model of a kernel. A caller that has one runs the imported scenario, compares its attempts with
//! [`Imported::recorded`](super::Imported::recorded), and where they differ makes the scenario again with other
//! [`Assumptions`].

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::value::{Answer, Op};

/// Most sockets of one [`Holder::Range`] that the step form writes.
pub const MAX_HELD_STEPS: u32 = 400;

/// A recorded answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The line of the log on which the call begins.
    pub line: usize,
    /// The line on which it returns, if the log splits the call.
    pub until: Option<usize>,
    /// The call.
    pub op: Op,
    /// The address that the call names, if it names one.
    pub at: Option<SocketAddr>,
    /// The local address that the socket was bound to before the call.
    pub bound: Option<SocketAddr>,
    /// The answers that the log allows: one, or several where the log leaves the outcome open.
    pub answers: Vec<Answer>,
    /// The attempt of the scenario that makes the call.
    pub place: Place,
}

impl Recorded {
    /// The call in words: `connect to 10.0.0.4:80`.
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
pub enum Place {
    /// The attempt with this index, counted from 0.
    Attempt(usize),
    /// The attempt with this index among those of one process and one call, counted from 0.
    OfProcess(String, usize),
}

/// Answers to questions that a log leaves open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assumptions {
    /// Sockets outside the log close their end of a connection before the recorded ones do.
    pub outsiders_close_first: bool,
    /// Calls, by the line on which they begin, that have their effect when they return.
    pub late: BTreeSet<usize>,
    /// bind() to port 0 gets the port that the log shows.
    pub known_ports: bool,
    /// Sockets outside the log that hold ports when it begins.
    pub holders: Vec<Holder>,
    /// How many ports the range of local ports has, when neither sysctls nor ports of the log give it.
    pub width: Option<u16>,
}

/// Sockets outside the log that hold ports when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A listener without options.
    Port(SocketAddr),
    /// Sockets on ports of the range of local ports.
    Range {
        /// The local address, if it is not the first one of the host.
        from: Option<IpAddr>,
        /// The destination; none for ports that are bound and not connected.
        to: Option<SocketAddr>,
        /// The number of sockets.
        count: u32,
        /// Whether bind() chose their ports; connect() otherwise.
        bound: bool,
    },
}
