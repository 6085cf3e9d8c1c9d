//! The visible state of a NAT host: its flows as `conntrack -L` prints them, and its counters.

use super::Nat;
use super::flow::{Chosen, FlowTuple};
use super::tcp::TcpState;
use crate::Errno;
use crate::addr::Endpoint;
use crate::explain::reason::{PortVerdict, Refusal, Rule};
use crate::time::Time;
use fourtuple_syscall::Kind;
use siphasher::sip::SipHasher13;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;

/// The counters of a NAT host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NatCounters {
    /// Flows that kept their port.
    pub kept: u64,
    /// Flows that got another port.
    pub moved: u64,
    /// Flows that got the port of a closing one.
    pub evicted: u64,
    /// `insert_failed` of `conntrack -S`: SYNs whose search found no port.
    pub insert_failed: u64,
    /// `drop` of `conntrack -S`: packets that were dropped.
    pub drop: u64,
    /// `early_drop` of `conntrack -S`: flows that ended because the table was full.
    pub early_drop: u64,
    /// SYNs beyond the ports of a quota.
    pub beyond_quota: u64,
    /// The most flows at once, with those that had expired and were not removed.
    pub most_flows: u64,
}

impl NatCounters {
    /// Returns `true` if no flow was made and no packet dropped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == NatCounters::default()
    }
}

/// The reason why a SYN was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dropped {
    /// All ports that the search tried were taken; their number.
    NoPort(u32),
    /// Another CPU inserted a flow with the same tuple after the search.
    Race,
    /// The table was full (`nf_conntrack_max`).
    TableFull,
    /// All ports of the quota were taken; their number.
    Quota(u32),
}

impl Dropped {
    /// The rule.
    #[must_use]
    pub const fn rule(self) -> Rule {
        match self {
            Dropped::NoPort(_) => Rule::NatDrop,
            Dropped::Race => Rule::NatRace,
            Dropped::TableFull => Rule::NatTableFull,
            Dropped::Quota(_) => Rule::NatQuota,
        }
    }

    /// The number of ports that were tried.
    #[must_use]
    pub const fn tried(self) -> u32 {
        match self {
            Dropped::NoPort(tried) | Dropped::Quota(tried) => tried,
            Dropped::Race | Dropped::TableFull => 0,
        }
    }
}

/// The way of a connection through a NAT host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Passage {
    /// The source that the other end sees.
    pub source: SocketAddr,
    /// The destination that it reached.
    pub destination: SocketAddr,
    /// The rule by which it got its port.
    pub chosen: Chosen,
}

impl Chosen {
    /// The rule.
    #[must_use]
    pub const fn rule(self) -> Rule {
        match self {
            Chosen::Kept => Rule::NatKeep,
            Chosen::Moved => Rule::NatMove,
            Chosen::Evicted => Rule::NatEvict,
        }
    }
}

/// The trace that a connection leaves at a NAT host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// It has a flow.
    Passed(Passage),
    /// Its last SYN was dropped.
    Dropped(Dropped),
}

/// One flow of a NAT host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlowView {
    /// The client's address and port.
    pub client: SocketAddr,
    /// The destination that the client connected to.
    pub to: SocketAddr,
    /// The way of its packets.
    pub passage: Passage,
    /// The state.
    pub state: TcpState,
    /// The moment at which it ends if no packet comes.
    pub expires: Time,
}

impl Nat {
    /// The flows that have not expired, in the order of their numbers.
    pub(crate) fn flows(&self, now: Time) -> Vec<FlowView> {
        let live = self.flows.iter().filter(|(_, flow)| !flow.is_expired(now));
        live.map(|(_, flow)| FlowView {
            client: flow.original.source().into(),
            to: flow.original.destination().into(),
            passage: passage(flow.reply, flow.chosen),
            state: flow.state,
            expires: flow.expires,
        })
        .collect()
    }

    /// A value that is equal for states from which the same can come, whatever the order of the
    /// flows.
    pub(crate) fn digest(&self) -> u64 {
        let flows = self.flows.iter().map(|(_, flow)| {
            hash(&(
                (flow.original, flow.reply, flow.expires, flow.created),
                (flow.sequence, flow.state, flow.chosen, flow.seen_reply),
                (flow.assured, flow.closed_first, flow.aborted),
            ))
        });
        let dropped = self
            .dropped
            .iter()
            .map(|(tuple, syn)| hash(&(*tuple, syn.first, syn.last, syn.sequence)));
        let sum = flows.chain(dropped).fold(0, u64::wrapping_add);
        hash(&(sum, self.rover))
    }

    /// The flow of a connection of a client, or the reason why its SYN was dropped last.
    pub(super) fn trace(&mut self, from: Endpoint, to: Endpoint, now: Time) -> Option<Trace> {
        let tuple = FlowTuple::new(Kind::Stream, from, to);
        match self.flows.find(&tuple, now) {
            Some((i, _)) => {
                let flow = self.flows.get(i);
                Some(Trace::Passed(passage(flow.reply, flow.chosen)))
            }
            None => self.dropped.get(&tuple).map(|syn| Trace::Dropped(syn.why)),
        }
    }
}

/// The reason of a connect() that timed out because a NAT host dropped its SYNs.
#[must_use]
pub fn refusal(dropped: Dropped) -> Refusal {
    let path = match dropped {
        Dropped::NoPort(_) | Dropped::Race => vec![
            "nf_nat_inet_fn",
            "get_unique_tuple",
            "nf_nat_l4proto_unique_tuple",
            "__nf_conntrack_confirm",
            "nf_ct_resolve_clash",
        ],
        Dropped::TableFull => vec!["nf_conntrack_in", "init_conntrack", "early_drop"],
        Dropped::Quota(_) => Vec::new(),
    };
    let mut refusal = Refusal::plain(Errno::ETIMEDOUT, dropped.rule(), path);
    refusal.tried = dropped.tried();
    if refusal.tried > 0 {
        refusal.counts.insert(PortVerdict::FlowTuple, refusal.tried);
    }
    refusal
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn passage(reply: FlowTuple, chosen: Chosen) -> Passage {
    Passage {
        source: reply.destination().into(),
        destination: reply.source().into(),
        chosen,
    }
}
