//! The part of a scenario that runs.

use std::time::Duration;

use indexmap::IndexMap;

use super::{ExpectBlock, Host, Network, Process, Step};
use crate::span::Spanned;

/// Everything that runs, for one point of the matrix: no `${name}` is left in it and every default is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Seed of everything that is random; 1 when the file does not say.
    pub seed: u64,
    /// Length of TIME-WAIT; none for the kernel's own, which is 60 seconds.
    pub time_wait: Option<Duration>,
    /// The network between the hosts.
    pub network: Network,
    /// The hosts by name, in the order of the file.
    pub hosts: IndexMap<String, Host>,
    /// What runs on them.
    pub program: Program,
    /// What is asked of the results, on top of the snapshot.
    pub expect: Vec<ExpectBlock>,
}

/// What runs on the hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The declarative form: processes by name, in the order of the file.
    Processes(IndexMap<String, Process>),
    /// The step form: socket calls in one total order.
    Steps(Vec<Spanned<Step>>),
}

impl Program {
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
