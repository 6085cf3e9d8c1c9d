//! One running kernel with its environment: the port model, the bytes, the waiting tasks and the
//! outgoing segments.
//!
//! All of this happens under the kernel's lock, takes no time and does no I/O. `calls` has the
//! system calls, `route` the incoming and outgoing segments.

use super::conns::{Conns, Key, Waiters};
use super::loopback::Loopback;
use super::mailbox::Mailbox;
use super::options::Kept;
use super::patience::Patience;
use super::table::Table;
use super::window::Bounds;
use crate::carrier::Peers;
use crate::config::Linux;
use crate::network::{Network, Place};
use bytes::Bytes;
use fourtuple_kernel::nat::Hop;
use fourtuple_kernel::time::{MS, Time};
use fourtuple_kernel::{Errno, Machine, NsId, Refusal, Seeded, SockId, State as Tcp};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// One network namespace of a machine, as configured at boot.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) linux: Linux,
}

/// The configuration with which a turmoil host boots.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Name of the host, or of the machine whose namespaces the scenario's hosts are.
    pub(crate) name: String,
    /// Its turmoil address.
    pub(crate) own: IpAddr,
    pub(crate) namespaces: Vec<Namespace>,
}

/// The shortest time that FIN_WAIT2 and TIME-WAIT last: 3.5 times the minimum RTO.
const LEAST_END: u64 = 700 * MS;

/// The rules of connections, by the configuration of their namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) window: Bounds,
    pub(crate) patience: Patience,
}

/// The object behind a program's handle.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) ns: NsId,
    pub(crate) uid: u32,
    /// Its current or former connection.
    pub(crate) key: Option<Key>,
    pub(crate) kept: Kept,
}

/// The last call that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) call: String,
    pub(crate) errno: Errno,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) at: Time,
}

pub(crate) struct State {
    /// `false` once the host has crashed.
    pub(crate) up: bool,
    /// `true` once the host's software has ended. Tasks that it has left behind make no progress on
    /// sockets any more, as threads of a process that has exited.
    pub(crate) exited: bool,
    pub(crate) machine: Machine<Seeded>,
    pub(crate) namespaces: Vec<(NsId, Rules)>,
    /// No connection is given up earlier.
    pub(crate) shortest_patience: u64,
    local: BTreeMap<IpAddr, NsId>,
    pub(crate) own: IpAddr,
    pub(crate) network: Arc<Network>,
    pub(crate) open: Table<SockId, Open>,
    pub(crate) conns: Conns,
    pub(crate) datagrams: BTreeMap<SockId, Mailbox>,
    /// Tasks that wait in accept(), by port.
    pub(crate) acceptors: BTreeMap<u16, Waiters>,
    pub(crate) peers: Peers,
    pub(crate) loopback: Loopback,
    /// Payload of the segment that the current call sends.
    pub(crate) sending: Option<Bytes>,
    /// After the data segment that is sent, or received, half of its writer's window is under way.
    pub(crate) fills_window: bool,
    /// `IP_MULTICAST_LOOP` of the socket that sends.
    pub(crate) loops: bool,
    pub(crate) woken: Vec<Waker>,
    /// `true` if the pump has work to do.
    pub(crate) kick: bool,
    /// Sysctls that the kernel rejected at boot, by the index of the namespace.
    pub(crate) refused_sysctls: Vec<(usize, String, String, Errno)>,
    pub(crate) failure: Option<Failure>,
    pub(crate) refusal: Option<Refusal>,
    /// No timer fires before this time. Cached, because the kernel's own answer costs a walk over
    /// all timers.
    quiet_until: Option<Time>,
    /// The shortest time until a TIME-WAIT ends.
    shortest_end: u64,
}

/// The kinds of timers that a call or a segment may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sets {
    /// Retransmission of a SYN.
    Syn,
    /// Retransmission of a SYN that was answered with a challenge ACK.
    Challenge,
    /// Acknowledgement of a FIN.
    Ack,
    /// End of a connection.
    End,
}

/// A time as the port model has it.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl State {
    pub(crate) fn new(spec: &Spec, boot: u64, network: Arc<Network>) -> Self {
        let first = &spec.namespaces[0].linux;
        // A restarted machine has new secrets.
        let name = if boot == 1 {
            spec.name.clone()
        } else {
            format!("{} boot {boot}", spec.name)
        };
        let mut machine = Machine::new(first.behaviours, Seeded::new(first.seed, &name));
        machine.set_explain(true);
        let mut namespaces = Vec::new();
        let mut refused_sysctls = Vec::new();
        let mut local = BTreeMap::new();
        for space in &spec.namespaces {
            let ns = machine.add_namespace();
            machine.set_routed(ns, true);
            machine.set_alone(ns, space.linux.alone);
            for ip in &space.addresses {
                machine.add_address(ns, *ip);
                local.entry(ip.to_canonical()).or_insert(ns);
            }
            let tentative = machine.now().after(nanos(space.linux.tentative));
            machine.set_tentative(ns, tentative);
            if let Some(length) = space.linux.time_wait {
                machine.set_time_wait(ns, nanos(length));
            }
            if let Some(rules) = &space.linux.nat {
                machine.set_nat(ns, rules.clone());
            }
            for (key, value) in &space.linux.sysctls {
                if let Err(errno) = machine.sysctl(ns, key, value) {
                    refused_sysctls.push((namespaces.len(), key.clone(), value.clone(), errno));
                }
            }
            let rules = Rules {
                window: Bounds::of(&space.linux),
                patience: Patience::of(&space.linux),
            };
            namespaces.push((ns, rules));
        }
        machine.take_refusal();
        State {
            up: true,
            exited: false,
            quiet_until: None,
            shortest_end: spec
                .namespaces
                .iter()
                .filter_map(|n| n.linux.time_wait)
                .min()
                .map_or(LEAST_END, |tw| LEAST_END.min(nanos(tw))),
            machine,
            shortest_patience: namespaces
                .iter()
                .map(|(_, rules)| rules.patience.shortest())
                .min()
                .unwrap_or(u64::MAX),
            namespaces,
            local,
            own: spec.own,
            network,
            open: Table::default(),
            conns: Conns::default(),
            datagrams: BTreeMap::new(),
            acceptors: BTreeMap::new(),
            peers: Peers::default(),
            loopback: Loopback::new(nanos(first.loopback)),
            sending: None,
            fills_window: false,
            loops: true,
            woken: Vec::new(),
            kick: false,
            refused_sysctls,
            failure: None,
            refusal: None,
        }
    }

    /// The namespace with an index.
    pub(crate) fn namespace(&self, index: usize) -> NsId {
        self.namespaces.get(index).unwrap_or(&self.namespaces[0]).0
    }

    /// A namespace as the network knows it.
    pub(crate) fn place(&self, ns: NsId) -> Place {
        let index = self.namespaces.iter().position(|(one, _)| *one == ns);
        (self.own, index.unwrap_or(0))
    }

    /// The turmoil host that is next on the way from a namespace to an address.
    pub(crate) fn next_host(&self, ns: NsId, to: IpAddr) -> Option<IpAddr> {
        let mut at = self.place(ns);
        loop {
            match self.network.hop(at, to) {
                Hop::Here => return Some(self.own),
                Hop::To(next) if next.0 != self.own => return Some(next.0),
                Hop::To(next) => at = next,
                Hop::Lost => return None,
            }
        }
    }

    /// The namespace that has an address, if only by its rules of NAT.
    pub(crate) fn namespace_of(&self, ip: IpAddr) -> Option<NsId> {
        let known = self.local.get(&ip).copied();
        known.or_else(|| {
            let index = self.network.owner_of(self.own, ip)?;
            Some(self.namespace(index))
        })
    }

    /// Returns `true` if an address is reached without leaving the namespace.
    pub(crate) fn is_local(&self, ns: NsId, ip: IpAddr) -> bool {
        ip.is_loopback() || self.local.get(&ip) == Some(&ns)
    }

    /// Returns `true` if connections to an address stay within the first namespace.
    pub(crate) fn is_own(&self, to: SocketAddr) -> bool {
        let ip = to.ip().to_canonical();
        ip.is_unspecified() || self.is_local(self.namespaces[0].0, ip)
    }

    pub(crate) fn rules(&self, ns: NsId) -> Rules {
        let mut all = self.namespaces.iter();
        all.find(|(n, _)| *n == ns).unwrap_or(&self.namespaces[0]).1
    }

    /// The window of a socket's connection. Before the connection is accepted it has no socket, and
    /// the window of its namespace.
    pub(crate) fn window(&self, ns: NsId, id: Option<SockId>) -> Bounds {
        let own = self.rules(ns).window;
        match id.and_then(|id| self.open.get(&id)) {
            Some(open) => own.with_options(open.kept.send_buffer, open.kept.recv_buffer),
            None => own,
        }
    }

    /// The window of an open socket.
    pub(crate) fn window_of(&self, id: SockId) -> Bounds {
        let ns = self
            .open
            .get(&id)
            .map_or(self.namespaces[0].0, |open| open.ns);
        self.window(ns, Some(id))
    }

    /// Records that a timer may have been started, so that the pump checks it in time.
    pub(crate) fn timer_set(&mut self, sets: Sets) {
        let end = self.shortest_end;
        let delay = match sets {
            Sets::Syn => self.machine.syn_timeout(),
            Sets::Challenge => (2 * self.machine.tick()).min(self.machine.syn_timeout()),
            Sets::Ack => self.machine.delayed_ack().min(end),
            Sets::End => end,
        };
        let at = self.machine.now().after(delay);
        if self.quiet_until.is_none_or(|quiet| at < quiet) {
            self.quiet_until = Some(at);
            self.kick = true;
        }
    }

    /// The time of the kernel's next possible timer.
    pub(crate) fn next_event(&mut self) -> Option<Time> {
        let now = self.machine.now();
        if self.quiet_until.is_some_and(|at| at <= now) {
            self.quiet_until = self.machine.next_event();
        }
        let (check, wake) = (self.conns.next_check(), self.loopback.next_wake());
        [self.quiet_until, check, wake].into_iter().flatten().min()
    }

    /// Advances the kernel's clock and fires its timers.
    pub(crate) fn advance(&mut self, now: Time) {
        let now = now.max(self.machine.now());
        self.machine.advance(now);
        self.route();
        for key in self.loopback.due(now, &mut self.woken) {
            self.touch(key);
        }
        for key in self.conns.due_checks(now) {
            let Some(sock) = self.conns.get(key).and_then(|c| c.sock) else {
                continue;
            };
            if self.machine.state(sock) == Tcp::SynSent {
                // The kernel has retransmitted the SYN, or gives up later than expected.
                self.conns
                    .check_again(key, now.after(fourtuple_kernel::time::SEC));
            } else {
                self.touch(key);
                self.probe(key);
            }
        }
    }

    /// Wakes tasks that wait for one end of a connection, or for connections to its port.
    pub(crate) fn touch(&mut self, key: Key) {
        if let Some(conn) = self.conns.get(key) {
            conn.wake(&mut self.woken);
        }
        if let Some(waiters) = self.acceptors.get_mut(&key.local.port()) {
            waiters.wake_into(&mut self.woken);
        }
    }

    pub(crate) fn syn_went_out(&mut self, key: Key) {
        let now = self.machine.now();
        let machine = &self.machine;
        self.conns
            .syn_sent(key, now, |before| machine.syn_repetition(key.ns, before));
    }

    /// Closes every socket, as the kernel does for a process that exits. The kernel goes on.
    pub(crate) fn exit(&mut self) {
        let mut all: Vec<SockId> = self.open.keys().copied().collect();
        all.sort_unstable();
        for id in all {
            self.close(id);
        }
        self.exited = true;
    }

    /// Crashes the host: its sockets disappear without a segment.
    pub(crate) fn crash(&mut self) {
        self.up = false;
        self.exited = false;
        for (ns, _) in &self.namespaces {
            self.machine.crash(*ns);
        }
        while self.machine.segment().is_some() {}
        self.open.clear();
        self.conns = Conns::default();
        self.datagrams.clear();
        self.acceptors.clear();
        let lost = std::mem::take(&mut self.peers).unsent();
        self.network.arrived(lost);
    }
}
