//! One possible state of a kernel, and the calls on it.

use super::{End, EnumeratingChooser, Mentions, Observation, Op};
use crate::chooser::Chooser;
use crate::machine::{Machine, NsId, SockId};
use crate::profile::Behaviours;
use crate::time::Time;
use fourtuple_syscall::Errno;
use std::net::IpAddr;
use std::task::Poll;

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
        seen: &Observation,
        mentions: Option<&Mentions>,
    ) -> EnumeratingChooser {
        let (Op::Bind { sock, .. } | Op::Listen { sock, .. } | Op::Connect { sock, .. }) = op
        else {
            return EnumeratingChooser::new();
        };
        let Some(sock) = self.sock(*sock) else {
            return EnumeratingChooser::new();
        };
        let (low, high) = self.machine.port_range(sock);
        if seen.reports_port(op) {
            let port = seen.port.or(seen.name.map(|name| name.port()));
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
        let (Op::Connect { sock, .. }, Some(place)) = (op, script.place()) else {
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

    /// Makes the call, and waits until `at` if it has to wait.
    pub(super) fn call(&mut self, op: &Op, at: Time, seen: &Observation) -> Observation {
        let gone = Observation::bare(End::Err(Errno::EINVAL));
        let m = &mut self.machine;
        match op {
            Op::Ns => {
                self.begin(&[Vec::new()]);
                Observation::bare(End::Ok)
            }
            Op::Hosts(hosts) => {
                self.begin(hosts);
                Observation::bare(End::Ok)
            }
            Op::Address { host, ip } => {
                if let Some(&ns) = self.nss.get(*host) {
                    m.add_address(ns, *ip);
                }
                Observation::bare(End::Ok)
            }
            Op::Tentative { host, until } => {
                if let Some(&ns) = self.nss.get(*host) {
                    m.set_tentative(ns, *until);
                }
                Observation::bare(End::Ok)
            }
            Op::Sleep => Observation::bare(End::Ok),
            Op::Sysctl { host, key, value } => {
                let Some(&ns) = self.nss.get(*host) else {
                    return gone;
                };
                let mut r = m.sysctl(ns, key, value);
                // A recorder may have written a hidden key from the first namespace.
                if r == Err(Errno::ENOENT) && seen.end == End::Ok && m.is_hidden(key) {
                    r = m.sysctl_machine(key, value);
                }
                Observation::of(r)
            }
            Op::Socket {
                host,
                sock,
                family,
                uid,
            } => {
                let Some(&ns) = self.nss.get(*host) else {
                    return gone;
                };
                let id = m.socket(ns, *family, *uid);
                self.name(*sock, id);
                Observation::bare(End::Ok)
            }
            Op::Accept { sock, new, uid } => match self.sock(*sock) {
                Some(s) => self.accept(s, *new, *uid, at),
                None => gone,
            },
            Op::Close { sock } => {
                if let Some(s) = self.sock(*sock) {
                    self.machine.close(s);
                    self.socks[*sock] = None;
                }
                Observation::bare(End::Ok)
            }
            Op::Set { sock, .. }
            | Op::Bind { sock, .. }
            | Op::Listen { sock, .. }
            | Op::Connect { sock, .. }
            | Op::Send { sock, .. }
            | Op::Recv { sock, .. }
            | Op::Shutdown { sock, .. }
            | Op::Disconnect { sock }
            | Op::Getsockname { sock }
            | Op::Getpeername { sock } => match self.sock(*sock) {
                Some(s) => self.on_socket(s, op, at),
                None => gone,
            },
        }
    }

    /// Accepts a connection, which becomes the socket `new`.
    fn accept(&mut self, s: SockId, new: usize, uid: u32, at: Time) -> Observation {
        let mut r = self.machine.accept(s, uid);
        if r == Poll::Pending {
            self.machine.advance(at);
            r = self.machine.accept(s, uid);
        }
        match r {
            Poll::Pending => Observation::bare(End::Waiting),
            Poll::Ready(Err(e)) => Observation::bare(End::Err(e)),
            Poll::Ready(Ok(child)) => {
                self.name(new, child);
                Observation {
                    end: End::Ok,
                    port: None,
                    name: self.machine.remote_addr(child),
                }
            }
        }
    }

    /// Makes a call on an existing socket.
    fn on_socket(&mut self, s: SockId, op: &Op, at: Time) -> Observation {
        let m = &mut self.machine;
        let with_port = |m: &Machine<C>, r: Result<(), Errno>| Observation {
            port: r.is_ok().then(|| m.local_addr(s).port()),
            ..Observation::of(r)
        };
        let waited = |r: Poll<Result<u32, Errno>>| match r {
            Poll::Pending => Observation::bare(End::Waiting),
            Poll::Ready(r) => Observation::of(r.map(|_| ())),
        };
        match op {
            Op::Set { opt, .. } => Observation::of(m.set_option(s, *opt)),
            Op::Bind { at, .. } => {
                let r = m.bind(s, *at);
                with_port(m, r)
            }
            Op::Listen { backlog, .. } => {
                let r = m.listen(s, *backlog);
                with_port(m, r)
            }
            Op::Connect { to, .. } => {
                let mut r = m.connect(s, *to);
                if r == Poll::Pending {
                    m.advance(at);
                    r = m.connect_result(s);
                }
                match r {
                    Poll::Pending => Observation::bare(End::Waiting),
                    Poll::Ready(r) => Observation {
                        name: r.is_ok().then(|| m.local_addr(s)),
                        ..Observation::of(r)
                    },
                }
            }
            Op::Send { len, .. } => waited(m.send_bytes(s, *len)),
            Op::Recv { len, .. } => waited(m.recv_bytes(s, *len)),
            Op::Shutdown { how, .. } => Observation::of(m.shutdown(s, *how)),
            Op::Disconnect { .. } => Observation::of(m.disconnect(s)),
            Op::Getsockname { .. } => Observation {
                end: End::Ok,
                port: None,
                name: Some(m.local_addr(s)),
            },
            Op::Getpeername { .. } => match m.peer_addr(s) {
                Ok(name) => Observation {
                    end: End::Ok,
                    port: None,
                    name: Some(name),
                },
                Err(e) => Observation::bare(End::Err(e)),
            },
            _ => unreachable!("only calls on one socket come here"),
        }
    }
}
