//! The way of packets: from host to host, through the NAT hosts in between.

use super::{MachineId, World, WorldNs, WorldSock};
use crate::chooser::Chooser;
use crate::conformance::Op;
use crate::conn::segment::Segment;
use crate::machine::NsId;
use crate::nat::{FlowView, Hop, NatCounters, NatRules, Passage, Passed, Trace, refusal};
use fourtuple_syscall::Outcome;
use std::net::SocketAddr;

impl<C: Chooser> World<C> {
    /// Sends all packets that leave a host through another. Routers must not form a circle.
    pub fn set_router(&mut self, ns: WorldNs, router: WorldNs) {
        self.ways.set_router(ns, router);
        if let Some(journal) = &self.journal {
            let router = journal.host(router);
            self.note_host(ns, |host| Op::Via { host, router }, Outcome::OK);
        }
    }

    /// Makes a host translate the packets that pass it. Addresses of its rules that no host has
    /// become its own. Flows that exist are forgotten.
    pub fn set_nat(&mut self, ns: WorldNs, rules: NatRules) {
        for ip in rules.addresses() {
            self.ways.add_address(ns, ip);
        }
        self.machines[ns.machine.0].set_nat(ns.ns, rules.clone());
        self.has_nat = true;
        self.note_host(ns, |host| Op::Nat { host, rules }, Outcome::OK);
    }

    /// [`Machine::nat_counters`](crate::Machine::nat_counters)
    #[must_use]
    pub fn nat_counters(&self, ns: WorldNs) -> Option<NatCounters> {
        self.machines[ns.machine.0].nat_counters(ns.ns)
    }

    /// [`Machine::nat_flows`](crate::Machine::nat_flows)
    #[must_use]
    pub fn nat_flows(&self, ns: WorldNs) -> Vec<FlowView> {
        self.machines[ns.machine.0].nat_flows(ns.ns)
    }

    /// The way of a connection through the NAT hosts after its socket's host: the source that the
    /// other end sees, and the rule of the host that changed most.
    pub fn passage(&mut self, s: WorldSock) -> Option<Passage> {
        let ends = self.ends_through_nat(s)?;
        match self.trace(s, ends)? {
            Trace::Passed(passage) => Some(passage),
            Trace::Dropped(_) => None,
        }
    }

    /// Follows a connection of a socket with these ends.
    fn trace(&mut self, s: WorldSock, ends: (SocketAddr, SocketAddr)) -> Option<Trace> {
        let machine = &self.machines[s.machine.0];
        let start = WorldNs {
            machine: s.machine,
            ns: NsId(machine.socks[machine.live(s.sock)?].ns),
        };
        let machines = &mut self.machines;
        self.ways.trace(start, ends, |at, from, to| {
            machines[at.machine.0].nat_trace(at.ns, from, to)
        })
    }

    /// The two ends of a socket's connection, in a world with NAT hosts.
    pub(super) fn ends_through_nat(&self, s: WorldSock) -> Option<(SocketAddr, SocketAddr)> {
        if !self.has_nat {
            return None;
        }
        let machine = &self.machines[s.machine.0];
        let to = machine.remote_addr(s.sock)?;
        Some((machine.local_addr(s.sock), to))
    }

    /// Explains a connect() that timed out because a NAT host dropped its SYNs.
    pub(super) fn explain_drop(&mut self, s: WorldSock, ends: Option<(SocketAddr, SocketAddr)>) {
        let dropped = ends.and_then(|ends| self.trace(s, ends));
        let machine = &mut self.machines[s.machine.0];
        if let (Some(Trace::Dropped(dropped)), true) = (dropped, machine.explaining) {
            machine.refusal = Some(Box::new(refusal(dropped)));
        }
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
                if self.ways.are_direct() && !self.has_nat {
                    if let Some(to) = self.ways.owner(seg.dst.ip) {
                        self.machines[to.machine.0].deliver(to.ns, seg);
                    }
                } else {
                    let machine = MachineId(m);
                    self.carry(WorldNs { machine, ns }, seg);
                }
            }
        }
    }

    /// Takes a packet from host to host until it arrives or is lost.
    fn carry(&mut self, from: WorldNs, seg: Segment) {
        let (mut at, mut seg) = (from, seg);
        let mut arrived = false;
        for _ in 0..self.ways.most_hops() {
            let machine = &mut self.machines[at.machine.0];
            match machine.translate(at.ns, seg, &self.ways, at) {
                Passed::On(next) | Passed::Answered(next) => seg = next,
                Passed::Dropped => return,
            }
            match self.ways.hop(at, seg.dst().ip()) {
                Hop::To(next) => at = next,
                Hop::Here if arrived => {
                    self.machines[at.machine.0].deliver(at.ns, seg);
                    return;
                }
                Hop::Here | Hop::Lost => return,
            }
            arrived = true;
        }
    }
}
