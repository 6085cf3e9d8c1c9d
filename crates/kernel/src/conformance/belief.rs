//! One possible state of a kernel, and the calls on it.

use super::call::reported;
use super::enumerate::LARGEST_FACTOR;
use super::{EnumeratingChooser, Mentions, Op};
use crate::chooser::Chooser;
use crate::machine::{Machine, NsId, SockId};
use crate::profile::Behaviours;
use crate::time::Time;
use fourtuple_syscall::{Errno, Outcome, Returned, Syscall};
use std::net::IpAddr;

/// The outcome of an operation on a host or a socket that does not exist.
const GONE: Outcome = Outcome::Err(Errno::EINVAL);

/// One possible state of a kernel.
#[derive(Clone)]
pub(super) struct Belief<C: Chooser = EnumeratingChooser> {
    pub(super) machine: Machine<C>,
    /// The namespaces of the present program.
    nss: Vec<NsId>,
    /// Handles by the caller's socket numbers.
    socks: Vec<Option<SockId>>,
}

impl Belief {
    pub(super) fn fingerprint(&self) -> u64 {
        self.machine.fingerprint(&self.socks)
    }

    /// A chooser that first tries the searches that lead straight to the observed port.
    pub(super) fn aiming(
        &self,
        op: &Op,
        seen: &Outcome,
        mentions: Option<&Mentions>,
    ) -> EnumeratingChooser {
        let sock = match op.call() {
            Some(
                Syscall::Bind { sock, .. }
                | Syscall::Listen { sock, .. }
                | Syscall::Connect { sock, .. }
                | Syscall::Send { sock, .. }
                | Syscall::SendTo { sock, .. },
            ) => self.sock(*sock),
            _ => None,
        };
        let Some(sock) = sock else {
            return EnumeratingChooser::new();
        };
        let (low, high) = self.machine.port_range(sock);
        // A search whose candidates are far apart comes to a port from any other one.
        let is_wide = self.machine.step_width(sock) != 0;
        if is_wide && u32::from(high - low) < 2 * LARGEST_FACTOR {
            return EnumeratingChooser::new();
        }
        if op.reports_port(seen, self.machine.kind(sock)) {
            let port = reported(seen).map(|at| at.port());
            return EnumeratingChooser::aiming(u32::from(port.unwrap_or(low).saturating_sub(low)));
        }
        let script = mentions.and_then(|mentions| mentions.chooser(low, high));
        script.map_or_else(EnumeratingChooser::new, |(script, _)| script)
    }

    /// Returns `true` if a search that does not report its port has led here, and another state
    /// stands for this one.
    pub(super) fn is_stood_for(
        &self,
        op: &Op,
        script: &EnumeratingChooser,
        mentions: &Mentions,
    ) -> bool {
        let (Some(Syscall::Connect { sock, .. }), Some(place)) = (op.call(), script.place()) else {
            return false;
        };
        let Some(sock) = self.sock(*sock) else {
            return false;
        };
        let (low, high) = self.machine.port_range(sock);
        let free = mentions.chooser(low, high).map(|(_, place)| place);
        free != Some(place) && !mentions.names(self.machine.local_addr(sock).port())
    }
}

impl<C: Chooser> Belief<C> {
    /// A kernel that has just booted.
    pub(super) fn boot(behaviours: Behaviours, chooser: C, now: Time) -> Self {
        let mut machine = Machine::new(behaviours, chooser);
        machine.set_clock(now);
        // The machine's first namespace stays unused: programs get fresh ones.
        machine.add_namespace();
        Belief {
            machine,
            nss: Vec::new(),
            socks: Vec::new(),
        }
    }

    /// Ends the earlier program, and begins one on fresh namespaces.
    fn begin(&mut self, hosts: &[Vec<IpAddr>]) {
        for ns in std::mem::take(&mut self.nss) {
            self.machine.remove_namespace(ns);
        }
        self.machine.forget_removed_namespaces();
        for addresses in hosts {
            let ns = self.machine.add_namespace();
            for ip in addresses {
                self.machine.add_address(ns, *ip);
            }
            self.machine.set_routed(ns, !addresses.is_empty());
            self.machine.set_alone(ns, hosts.len() == 1);
            self.nss.push(ns);
        }
        self.machine.set_bridged(hosts.len() > 1);
        self.socks.clear();
        // Recorders put machine-wide sysctls back before the next program.
        self.machine.reset_machine_sysctls();
    }

    pub(super) fn sock(&self, i: usize) -> Option<SockId> {
        self.socks.get(i).copied().flatten()
    }

    fn name(&mut self, i: usize, id: SockId) {
        if self.socks.len() <= i {
            self.socks.resize(i + 1, None);
        }
        self.socks[i] = Some(id);
    }

    /// Executes the operation. A call that has to wait waits until `at`.
    pub(super) fn execute(&mut self, op: &Op, at: Time, seen: &Outcome) -> Outcome {
        match op {
            Op::Ns => self.begin(&[Vec::new()]),
            Op::Hosts(hosts) => self.begin(hosts),
            Op::Address { host, ip } => {
                if let Some(&ns) = self.nss.get(*host) {
                    self.machine.add_address(ns, *ip);
                }
            }
            Op::Tentative { host, until } => {
                if let Some(&ns) = self.nss.get(*host) {
                    self.machine.set_tentative(ns, *until);
                }
            }
            Op::Via { host, router } => {
                if let (Some(&ns), Some(&router)) = (self.nss.get(*host), self.nss.get(*router)) {
                    self.machine.ways_mut().set_router(ns, router);
                }
            }
            Op::Nat { host, rules } => {
                if let Some(&ns) = self.nss.get(*host) {
                    self.machine.set_nat(ns, rules.clone());
                    for ip in rules.addresses() {
                        self.machine.ways_mut().add_address(ns, ip);
                    }
                }
            }
            Op::Sysctl { host, key, value } => return self.sysctl(*host, key, value, seen),
            Op::Call { host, call } => return self.call(*host, call, at),
            Op::Sleep => {}
        }
        Outcome::OK
    }

    fn sysctl(&mut self, host: usize, key: &str, value: &str, seen: &Outcome) -> Outcome {
        let Some(&ns) = self.nss.get(host) else {
            return GONE;
        };
        let mut r = self.machine.sysctl(ns, key, value);
        // A recorder may have written a hidden key from the first namespace.
        if r == Err(Errno::ENOENT) && seen.is_ok() && self.machine.is_hidden(key) {
            r = self.machine.sysctl_machine(key, value);
        }
        r.into()
    }

    fn call(&mut self, host: usize, call: &Syscall<usize>, at: Time) -> Outcome {
        if let Syscall::Socket {
            sock,
            family,
            kind,
            uid,
            ..
        } = *call
        {
            let Some(&ns) = self.nss.get(host) else {
                return GONE;
            };
            let id = self.machine.socket_of(ns, family, kind, uid);
            self.name(sock, id);
            return Outcome::OK;
        }
        let Some(s) = self.sock(*call.sock()) else {
            return match call {
                Syscall::Close { .. } => Outcome::OK,
                _ => GONE,
            };
        };
        let m = &mut self.machine;
        let local = |m: &Machine<C>| Returned {
            local: Some(m.local_addr(s)),
            ..Returned::default()
        };
        let moved = |_: u32| Returned::default();
        match *call {
            Syscall::Socket { .. } => Outcome::OK,
            Syscall::Set { option, .. } => m.set_option(s, option).into(),
            Syscall::Bind { addr, .. } => m.bind(s, addr).map(|()| local(m)).into(),
            Syscall::Listen { backlog, .. } => {
                // A negative backlog is a very long one.
                let backlog = u32::try_from(backlog).unwrap_or(u32::MAX);
                m.listen(s, backlog).map(|()| local(m)).into()
            }
            Syscall::Connect { addr, .. } => {
                let mut r = m.connect(s, addr);
                if r.is_pending() {
                    m.advance(at);
                    r = m.connect_result(s);
                }
                r.map_ok(|()| local(m)).into()
            }
            Syscall::Accept { new, uid, .. } => self.accept(s, new, uid, at),
            Syscall::Send { len, .. } => m.send_bytes(s, len).map_ok(moved).into(),
            Syscall::Recv { len, .. } => m.recv_bytes(s, len).map_ok(moved).into(),
            Syscall::SendTo { addr, len, .. } => {
                m.send_to(s, Some(addr), len).map_ok(|_| local(m)).into()
            }
            Syscall::RecvFrom { len, .. } => {
                let received = |(_, peer)| Returned {
                    peer,
                    ..Returned::default()
                };
                m.recv_from(s, len).map_ok(received).into()
            }
            Syscall::Shutdown { how, .. } => m.shutdown(s, how).into(),
            Syscall::Disconnect { .. } => m.disconnect(s).into(),
            Syscall::Close { sock } => {
                m.close(s);
                self.socks[sock] = None;
                Outcome::OK
            }
            Syscall::Getsockname { .. } => Outcome::Ok(local(m)),
            Syscall::Getpeername { .. } => {
                let peer = |name| Returned {
                    peer: Some(name),
                    ..Returned::default()
                };
                m.peer_addr(s).map(peer).into()
            }
        }
    }

    /// Accepts a connection, which becomes the socket `new`.
    fn accept(&mut self, s: SockId, new: usize, uid: Option<u32>, at: Time) -> Outcome {
        let uid = uid.unwrap_or_else(|| self.machine.uid(s));
        let mut r = self.machine.accept(s, uid);
        if r.is_pending() {
            self.machine.advance(at);
            r = self.machine.accept(s, uid);
        }
        let accepted = r.map_ok(|child| {
            self.name(new, child);
            Returned {
                peer: self.machine.remote_addr(child),
                ..Returned::default()
            }
        });
        accepted.into()
    }
}
