//! NAT hosts as namespaces of a machine.

use super::Nat;
use super::config::NatRules;
use super::pass::{Passed, Place};
use super::view::{FlowView, NatCounters, Trace};
use super::ways::{Hop, Ways};
use crate::chooser::Chooser;
use crate::conn::segment::{Packet, Segment};
use crate::machine::{Machine, NsId};
use std::net::SocketAddr;
use std::sync::Arc;

impl<C: Chooser> Machine<C> {
    /// Makes a namespace translate the packets that pass it ([`Machine::translate`]). Flows that
    /// exist are forgotten.
    pub fn set_nat(&mut self, ns: NsId, rules: NatRules) {
        let nat = Nat::new(rules, self.ns(ns.0).addresses.clone());
        self.nats.insert(ns.0, nat);
    }

    /// Returns `true` if a namespace translates packets.
    #[must_use]
    pub fn is_nat(&self, ns: NsId) -> bool {
        self.nats.contains_key(&ns.0)
    }

    /// The counters of a NAT host.
    #[must_use]
    pub fn nat_counters(&self, ns: NsId) -> Option<NatCounters> {
        self.nats.get(&ns.0).map(|nat| nat.counters)
    }

    /// The flows of a NAT host that have not expired; none for another host.
    #[must_use]
    pub fn nat_flows(&self, ns: NsId) -> Vec<FlowView> {
        let nat = self.nats.get(&ns.0);
        nat.map_or_else(Vec::new, |nat| nat.flows(self.clock))
    }

    /// The trace of a connection with these ends at a NAT host; nothing if the namespace is none,
    /// or has not seen the connection.
    pub fn nat_trace(&mut self, ns: NsId, from: SocketAddr, to: SocketAddr) -> Option<Trace> {
        let now = self.clock;
        let nat = self.nats.get_mut(&ns.0)?;
        nat.trace(from.into(), to.into(), now)
    }

    /// The ends of a connection, a packet's source and destination, behind a NAT host: without
    /// effect on its flow. They stay as they are where there is none.
    pub fn nat_ends(
        &mut self,
        ns: NsId,
        (from, to): (SocketAddr, SocketAddr),
    ) -> (SocketAddr, SocketAddr) {
        let now = self.clock;
        let nat = self.nats.get_mut(&ns.0);
        let ends = nat.and_then(|nat| nat.ends(from.into(), to.into(), now));
        ends.map_or((from, to), |(from, to)| (from.into(), to.into()))
    }

    /// Takes a packet through a namespace, which is the host `at` of a network. One that does not
    /// translate lets it pass as it is.
    pub fn translate<H: Copy + Ord>(
        &mut self,
        ns: NsId,
        segment: Segment,
        ways: &Ways<H>,
        at: H,
    ) -> Passed {
        let Some(nat) = self.nats.get_mut(&ns.0) else {
            return Passed::On(segment);
        };
        let n = &self.nss[usize::from(ns.0)];
        let mut place = Place {
            rules: &self.b,
            chooser: &mut self.chooser,
            now: self.clock,
            own: &|to| n.primary(to),
            route: &|to| ways.route(at, to),
        };
        nat.pass(segment, &mut place)
    }

    /// The way of packets between the namespaces of this machine, to change. From now on NAT hosts
    /// are on it.
    pub(crate) fn ways_mut(&mut self) -> &mut Ways<NsId> {
        let nss = &self.nss;
        let ways = self.ways.get_or_insert_with(|| {
            let mut ways = Ways::default();
            for (n, ns) in nss.iter().enumerate().filter(|(_, ns)| ns.alive) {
                for &ip in &ns.addresses {
                    let id = NsId(u16::try_from(n).unwrap_or(u16::MAX));
                    ways.add_address(id, ip.into());
                }
            }
            Arc::new(ways)
        });
        Arc::make_mut(ways)
    }

    /// Takes a packet from one namespace of this machine to another, through those between.
    pub(crate) fn carry(&mut self, from: u16, segment: Segment, ways: &Ways<NsId>) {
        let (mut at, mut segment) = (NsId(from), segment);
        let mut arrived = false;
        for _ in 0..ways.most_hops() {
            match self.translate(at, segment, ways, at) {
                Passed::On(next) | Passed::Answered(next) => segment = next,
                Passed::Dropped => return,
            }
            match ways.hop(at, segment.dst().ip()) {
                Hop::To(next) => at = next,
                Hop::Here if arrived => {
                    self.inbox.push_back(Packet::new(at.0, &segment));
                    return;
                }
                Hop::Here | Hop::Lost => return,
            }
            arrived = true;
        }
    }
}
