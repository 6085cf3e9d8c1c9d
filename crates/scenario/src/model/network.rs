//! The network between the hosts and what happens to it.

use std::time::Duration;

use crate::value::{Latency, Loss};

/// The network between the hosts. Engines without a network say that they leave it out.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Network {
    /// How long a packet is under way; none for the engine's own.
    pub latency: Option<Latency>,
    /// The share of packets that is lost.
    pub loss: Loss,
    /// What happens to the network and the hosts, sorted by time; equal times keep the order of the file.
    pub faults: Vec<Fault>,
}

impl Network {
    /// Whether packets take no time, none is lost and nothing happens.
    pub fn is_ideal(&self) -> bool {
        let instant = self.latency.is_none_or(|latency| latency.max.is_zero());
        instant && self.loss.per_million == 0 && self.faults.is_empty()
    }
}

/// Something that happens at a point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When, counted from the start of the run.
    pub at: Duration,
    /// What.
    pub kind: FaultKind,
}

/// What happens. Pairs of hosts are meant in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Packets between two hosts are dropped from now on.
    Partition(String, String),
    /// Packets between two hosts are delivered again after a partition.
    Repair(String, String),
    /// Packets between two hosts are kept back from now on.
    Hold(String, String),
    /// Packets that were kept back are delivered, and later ones as well.
    Release(String, String),
    /// A host stops; its sockets are gone without a packet.
    Crash(String),
    /// A host stops and starts again; its processes begin anew.
    Bounce(String),
}

impl FaultKind {
    /// The word of the fault, as in a scenario.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Partition(..) => "partition",
            Self::Repair(..) => "repair",
            Self::Hold(..) => "hold",
            Self::Release(..) => "release",
            Self::Crash(_) => "crash",
            Self::Bounce(_) => "bounce",
        }
    }

    /// The hosts that it happens to: one or two.
    pub fn hosts(&self) -> Vec<&str> {
        match self {
            Self::Partition(a, b) | Self::Repair(a, b) | Self::Hold(a, b) | Self::Release(a, b) => {
                vec![a, b]
            }
            Self::Crash(host) | Self::Bounce(host) => vec![host],
        }
    }
}
