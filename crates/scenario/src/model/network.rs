//! The network between the hosts, and its faults.

use std::time::Duration;

use crate::value::{Latency, Loss};

/// The network between the hosts. Engines without a network report that they ignore it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Network {
    /// The one-way delay of a packet; `None` for the engine's default.
    pub latency: Option<Latency>,
    /// The fraction of packets that is lost.
    pub loss: Loss,
    /// Faults of the network and the hosts, sorted by time; equal times keep the order of the file.
    pub faults: Vec<Fault>,
}

impl Network {
    /// `true` if packets take no time, none is lost and there is no fault.
    pub fn is_ideal(&self) -> bool {
        let instant = self.latency.is_none_or(|latency| latency.max.is_zero());
        instant && self.loss.per_million == 0 && self.faults.is_empty()
    }
}

/// A fault at a point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The time, counted from the start of the run.
    pub at: Duration,
    /// The event.
    pub kind: FaultKind,
}

/// The kind of a fault. Pairs of hosts are affected in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Drops packets between two hosts from now on.
    Partition(String, String),
    /// Delivers packets between two hosts again after a partition.
    Repair(String, String),
    /// Holds packets between two hosts back from now on.
    Hold(String, String),
    /// Delivers the packets that were held back, and later ones.
    Release(String, String),
    /// Stops a host; its sockets disappear without a packet.
    Crash(String),
    /// Stops and restarts a host; its processes start again.
    Bounce(String),
}

impl FaultKind {
    /// The name of the fault in a scenario.
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

    /// The hosts that it affects: one or two.
    pub fn hosts(&self) -> Vec<&str> {
        match self {
            Self::Partition(a, b) | Self::Repair(a, b) | Self::Hold(a, b) | Self::Release(a, b) => {
                vec![a, b]
            }
            Self::Crash(host) | Self::Bounce(host) => vec![host],
        }
    }
}
