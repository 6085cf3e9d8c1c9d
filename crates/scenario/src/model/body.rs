//! The part of a scenario that runs.

use std::time::Duration;

use indexmap::IndexMap;

use super::{ExpectBlock, Host, Network, Process, Step};
use crate::span::Spanned;
use crate::value::{Protocol, SocketType};

/// Everything that runs, for one point of the matrix: every `${name}` is substituted and every
/// default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Seed of all randomness; 1 unless the file sets it.
    pub seed: u64,
    /// Length of TIME-WAIT; `None` for the kernel's own, 60 seconds.
    pub time_wait: Option<Duration>,
    /// The network between the hosts.
    pub network: Network,
    /// The hosts by name, in the order of the file.
    pub hosts: IndexMap<String, Host>,
    /// The program that runs on them.
    pub program: Program,
    /// Expectations checked in addition to the snapshot.
    pub expect: Vec<ExpectBlock>,
}

/// The program of a scenario, in one of the two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The declarative form: processes by name, in the order of the file.
    Processes(IndexMap<String, Process>),
    /// The step form: socket calls in one total order.
    Steps(Vec<Spanned<Step>>),
}

impl Program {
    /// Returns `true` if a socket of a process is a datagram socket.
    pub fn is_datagram(&self, process: &str, socket: &str) -> bool {
        match self {
            Program::Processes(all) => all
                .get(process)
                .is_some_and(|one| one.protocol == Protocol::Udp),
            Program::Steps(steps) => steps.iter().any(|step| match &step.value {
                Step::Socket(made) => made.socket == socket && made.kind == SocketType::Dgram,
                _ => false,
            }),
        }
    }

    /// The processes of the declarative form.
    pub fn processes(&self) -> Option<&IndexMap<String, Process>> {
        match self {
            Self::Processes(processes) => Some(processes),
            Self::Steps(_) => None,
        }
    }

    /// The steps of the step form.
    pub fn steps(&self) -> Option<&[Spanned<Step>]> {
        match self {
            Self::Processes(_) => None,
            Self::Steps(steps) => Some(steps),
        }
    }
}
