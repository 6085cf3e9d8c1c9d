//! NAT hosts: machines that forward packets and change their addresses and ports.
//!
//! `Nat` is the state of one, which belongs to a namespace of a [`Machine`](crate::Machine). Each
//! packet that passes is translated by its flow; a packet that begins a flow gets its translation
//! from the rules. [`Ways`] are the ways of packets between hosts.
//!
#![doc = include_str!("../../nat-hosts.md")]
//!
//! # Map of the code
//!
//! | question | function | file in `src/nat` |
//! |---|---|---|
//! | which hosts does a packet pass? | `Ways::hop` | `ways.rs` |
//! | which source does a new flow get? | `unique_source` | `select.rs` |
//! | which port, if its own is taken? | `limited_search`, before 5.0 `scan` | `select.rs` |
//! | which of several addresses? | `source_address` | `address.rs` |
//! | which state is a flow in? | `step` | `tcp.rs` |
//! | when does it end? | `timeout` | `settings.rs` |
//! | how likely is it that a search fails? | `loss_probability` | `odds.rs` |
//! | what does a cloud provider hand out? | `quota_source` | `quota.rs` |

mod address;
mod config;
mod flow;
mod host;
mod odds;
mod pass;
mod quota;
mod select;
mod settings;
mod tcp;
mod view;
mod ways;

pub use config::{DestinationNat, LinuxNat, NatRules, QuotaNat, Randomness, Share, SourceNat};
pub use flow::Chosen;
pub use odds::loss_probability;
pub use pass::Passed;
pub use quota::{PRESETS, Preset};
pub use settings::{is_nat_sysctl, nat_sysctls};
pub use tcp::TcpState;
pub use view::{Dropped, FlowView, NatCounters, Passage, Trace, refusal};
pub use ways::{Hop, Ways};

pub(crate) use select::{ATTEMPTS, HARDER};

use crate::Errno;
use crate::addr::Ip;
use crate::time::Time;
use flow::{FlowTuple, Flows};
use quota::Blocks;
use settings::Settings;
use std::collections::BTreeMap;

/// The state of a NAT host.
#[derive(Clone, Debug)]
pub(crate) struct Nat {
    rules: NatRules,
    settings: Settings,
    flows: Flows,
    blocks: Blocks,
    /// Addresses of the NAT host, in the order in which a quota uses them.
    addresses: Vec<Ip>,
    rover: u16,
    /// SYNs that were dropped, by the tuple of their flow.
    dropped: BTreeMap<FlowTuple, DroppedSyn>,
    /// The number of those at which old ones are removed next.
    purge_at: usize,
    pub(crate) counters: NatCounters,
}

/// A SYN that was dropped, with its repetitions.
#[derive(Clone, Copy, Debug)]
struct DroppedSyn {
    first: Time,
    last: Time,
    /// The initial sequence number, which repetitions have as well, once it was compared.
    sequence: Option<u32>,
    why: Dropped,
}

impl Nat {
    pub(crate) fn new(rules: NatRules, addresses: Vec<Ip>) -> Self {
        Nat {
            rules,
            settings: Settings::default(),
            flows: Flows::default(),
            blocks: Blocks::default(),
            addresses,
            rover: 0,
            dropped: BTreeMap::new(),
            purge_at: 0,
            counters: NatCounters::default(),
        }
    }

    /// Writes a sysctl of connection tracking.
    ///
    /// # Errors
    /// As [`Settings::write`].
    pub(crate) fn sysctl(&mut self, key: &str, value: &str) -> Result<(), Errno> {
        self.settings.write(key, value)
    }

    /// All flows and counters are gone, as after a restart of the host.
    pub(crate) fn restart(&mut self) {
        let settings = self.settings.clone();
        *self = Nat::new(self.rules.clone(), std::mem::take(&mut self.addresses));
        self.settings = settings;
    }
}
