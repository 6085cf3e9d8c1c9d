//! The way of packets: from host to host, through the NAT hosts in between.
//!
//! Hosts form trees: packets that leave a host go to its router, those of a host without one to any
//! host that has none either. A packet goes up from its sender until a host on the way leads down
//! to its destination.

use super::{World, WorldNs, WorldSock};
use crate::Errno;
use crate::addr::{Endpoint, Ip};
use crate::chooser::Chooser;
use crate::conn::segment::Segment;
use crate::explain::reason::{PortVerdict, Refusal};
use crate::machine::NsId;
use crate::nat::{Dropped, FlowView, LinuxNat, Nat, NatCounters, NatRules, Passage, SourceNat};
use crate::nat::{Passed, Place, Route};
use std::collections::BTreeMap;

/// The way of packets between hosts, apart from the hosts themselves.
#[derive(Clone, Copy)]
struct Ways<'a> {
    addresses: &'a BTreeMap<Ip, WorldNs>,
    routers: &'a BTreeMap<WorldNs, WorldNs>,
}

impl Ways<'_> {
    /// The next host on the way from one to an address; the host itself if it has the address.
    fn next(&self, at: WorldNs, to: Ip) -> Option<WorldNs> {
        let Some(owner) = self.addresses.get(&to).copied() else {
            return self.routers.get(&at).copied();
        };
        let mut down = owner;
        loop {
            if down == at {
                return Some(at);
            }
            match self.routers.get(&down) {
                Some(router) if *router == at => return Some(down),
                Some(router) => down = *router,
                None => break,
            }
        }
        self.routers.get(&at).copied().or(Some(down))
    }

    fn route(&self, at: WorldNs, to: Ip) -> Route {
        match self.next(at, to) {
            Some(next) if next == at => Route::Local,
            Some(next) if self.routers.get(&next) == Some(&at) => Route::Inside,
            _ => Route::Outside,
        }
    }
}

impl<C: Chooser> World<C> {
    /// Sends all packets that leave a host through another. Routers must not form a circle.
    pub fn set_router(&mut self, ns: WorldNs, router: WorldNs) {
        self.routers.insert(ns, router);
    }

    /// Makes a host translate the packets that pass it. Addresses of its rules that no host has
    /// become its own. Flows that exist are forgotten.
    pub fn set_nat(&mut self, ns: WorldNs, rules: NatRules) {
        let linux = match &rules.source {
            Some(SourceNat::Linux(linux)) => linux.clone(),
            _ => LinuxNat::default(),
        };
        let pool = linux
            .addresses
            .into_iter()
            .flat_map(|(low, high)| between(low.into(), high.into()));
        let virtual_ones = rules.destinations.iter().map(|rule| Ip::from(rule.to.ip()));
        for ip in pool.chain(virtual_ones).collect::<Vec<_>>() {
            self.addresses.entry(ip).or_insert(ns);
        }
        let own = self.machines[ns.machine.0].ns(ns.ns.0).addresses.to_vec();
        self.nats.insert(ns, Nat::new(rules, own));
    }

    /// The counters of a NAT host.
    #[must_use]
    pub fn nat_counters(&self, ns: WorldNs) -> Option<NatCounters> {
        self.nats.get(&ns).map(|nat| nat.counters)
    }

    /// The flows of a NAT host that have not expired; none for another host.
    #[must_use]
    pub fn nat_flows(&self, ns: WorldNs) -> Vec<FlowView> {
        let nat = self.nats.get(&ns);
        nat.map_or_else(Vec::new, |nat| nat.flows(self.clock))
    }

    /// A value that is equal for equal states of all NAT hosts.
    #[must_use]
    pub fn nat_digest(&self) -> u64 {
        let parts = self.nats.values().map(Nat::digest);
        parts.fold(0, |sum, part| sum.rotate_left(5) ^ part)
    }

    /// The way of a connection through the NAT hosts after its socket's host: the source that the
    /// other end sees, and the rule of the host that changed most.
    pub fn passage(&mut self, s: WorldSock) -> Option<Passage> {
        let (from, to) = self.ends_through_nat(s)?;
        self.passage_of(s, from, to)
    }

    fn passage_of(&mut self, s: WorldSock, from: Endpoint, to: Endpoint) -> Option<Passage> {
        let mut whole: Option<Passage> = None;
        let (mut from, mut to) = (from, to);
        let machine = &self.machines[s.machine.0];
        let mut at = WorldNs {
            machine: s.machine,
            ns: NsId(machine.socks[machine.live(s.sock)?].ns),
        };
        for _ in 0..=self.routers.len() {
            if let Some(nat) = self.nats.get_mut(&at)
                && let Some(one) = nat.passage(from, to, self.clock)
            {
                let chosen = whole.map_or(one.chosen, |before| before.chosen.max(one.chosen));
                (from, to) = (one.source.into(), one.destination.into());
                whole = Some(Passage { chosen, ..one });
            }
            match self.ways().next(at, to.ip) {
                Some(next) if next != at => at = next,
                _ => break,
            }
        }
        whole
    }

    /// The two ends of a socket's connection, in a world with NAT hosts.
    pub(super) fn ends_through_nat(&self, s: WorldSock) -> Option<(Endpoint, Endpoint)> {
        if self.nats.is_empty() {
            return None;
        }
        let machine = &self.machines[s.machine.0];
        let to = machine.remote_addr(s.sock)?;
        Some((machine.local_addr(s.sock).into(), to.into()))
    }

    /// Explains a connect() that timed out because a NAT host dropped its SYNs.
    pub(super) fn explain_drop(&mut self, s: WorldSock, ends: Option<(Endpoint, Endpoint)>) {
        let Some((from, to)) = ends else {
            return;
        };
        let dropped = self.dropped_on_the_way(from, to);
        let machine = &mut self.machines[s.machine.0];
        if let (Some(dropped), true) = (dropped, machine.explaining) {
            machine.refusal = Some(Box::new(refusal(dropped)));
        }
    }

    /// The reason why the first NAT host that drops the SYNs of a connection did so. The hosts
    /// before it have a flow for them.
    fn dropped_on_the_way(&mut self, from: Endpoint, to: Endpoint) -> Option<Dropped> {
        let (mut from, mut to, now) = (from, to, self.clock);
        for _ in 0..self.nats.len() {
            if let Some(dropped) = self.nats.values().find_map(|nat| nat.dropped(from, to)) {
                return Some(dropped);
            }
            let mut nats = self.nats.values_mut();
            let next = nats.find_map(|nat| nat.passage(from, to, now))?;
            (from, to) = (next.source.into(), next.destination.into());
        }
        None
    }

    /// Carries all packets that are under way to where they go.
    pub(super) fn settle(&mut self) {
        let mut quiet = 0;
        for m in (0..self.machines.len()).cycle() {
            // Every machine in turn has had nothing to send.
            if quiet == self.machines.len() {
                return;
            }
            quiet += 1;
            if self.machines[m].outbox.is_empty() {
                continue;
            }
            while let Some((ns, seg)) = self.machines[m].segment() {
                quiet = 1;
                if self.routers.is_empty() && self.nats.is_empty() {
                    if let Some(to) = self.addresses.get(&seg.dst.ip).copied() {
                        self.machines[to.machine.0].deliver(to.ns, seg);
                    }
                } else {
                    let from = WorldNs {
                        machine: super::MachineId(m),
                        ns,
                    };
                    self.carry(from, seg);
                }
            }
        }
    }

    /// Takes a packet from host to host until it arrives or is lost.
    fn carry(&mut self, from: WorldNs, seg: Segment) {
        let (mut at, mut seg) = (from, seg);
        // A packet visits each host at most twice, up and down, and once more where it is answered.
        let mut hops = 4 * (self.routers.len() + 2);
        let mut arrived = false;
        loop {
            if self.nats.contains_key(&at) {
                match self.translate(at, seg) {
                    Passed::On(next) => seg = next,
                    Passed::Dropped => return,
                    Passed::Answered(answer) => seg = answer,
                }
            }
            hops -= 1;
            match self.ways().next(at, seg.dst.ip) {
                Some(next) if next != at && hops > 0 => at = next,
                Some(_) if arrived => {
                    self.machines[at.machine.0].deliver(at.ns, seg);
                    return;
                }
                _ => return,
            }
            arrived = true;
        }
    }

    fn ways(&self) -> Ways<'_> {
        Ways {
            addresses: &self.addresses,
            routers: &self.routers,
        }
    }

    fn translate(&mut self, at: WorldNs, seg: Segment) -> Passed {
        let Some(nat) = self.nats.get_mut(&at) else {
            return Passed::On(seg);
        };
        let ways = Ways {
            addresses: &self.addresses,
            routers: &self.routers,
        };
        let machine = &mut self.machines[at.machine.0];
        let (nss, ns) = (&machine.nss, usize::from(at.ns.0));
        let mut place = Place {
            rules: &machine.b,
            chooser: &mut machine.chooser,
            now: self.clock.max(machine.clock),
            own: &|to| nss[ns].primary(to),
            route: &|to| ways.route(at, to),
        };
        nat.pass(seg, &mut place)
    }
}

/// The addresses from one to another.
fn between(low: Ip, high: Ip) -> impl Iterator<Item = Ip> {
    let bits = low.bits()..=high.bits();
    bits.take(MOST_ADDRESSES).map(Ip::from_bits)
}

/// The most addresses of a `snat` rule.
const MOST_ADDRESSES: usize = 256;

/// The reason of a connect() whose SYNs a NAT host dropped.
fn refusal(dropped: Dropped) -> Refusal {
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
