//! A digest of everything that later answers can depend on, so that equal states are kept once.
//!
//! Indices, places in lists and serial numbers say nothing about the future; they are replaced by
//! names, ports and moments, so that two histories with the same result give the same digest.

use crate::addr::{Endpoint, Ip};
use crate::bucket::Bucket;
use crate::chooser::Chooser;
use crate::conn::socket::{Cold, Sock, Tw};
use crate::machine::{Machine, NsId, SockId};
use crate::profile::behaviour::Scope;
use crate::timers::TimerKind;
use siphasher::sip::SipHasher13;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

fn digest(value: impl Hash) -> u64 {
    let mut h = SipHasher13::new();
    value.hash(&mut h);
    h.finish()
}

/// A socket without the fields that say nothing about the future.
fn lasting(s: &Sock) -> Sock {
    Sock {
        timer: 0,
        bucket: 0,
        place: 0,
        generation: 0,
        cold: None,
        ..s.clone()
    }
}

/// The same of a TIME-WAIT socket.
fn lasting_tw(t: &Tw) -> Tw {
    Tw {
        timer: 0,
        bucket: 0,
        place: 0,
        ..t.clone()
    }
}

/// A digest of a bucket under some port number.
fn bucket(ns: usize, port: u16, b: &Bucket) -> u64 {
    let mut by_addr: Vec<u64> = b.by_addr.iter().map(digest).collect();
    by_addr.sort_unstable();
    let values = (
        port,
        b.fastreuse,
        b.fastreuseport,
        b.fastuid,
        &b.snapshot,
        b.num_owners,
    );
    digest((ns, values, by_addr))
}

/// The class of a port that may be exchanged for others, see [`Machine::digest_by_port`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortClass {
    /// The caller's number of the host.
    pub host: usize,
    /// The class: ports of one class are interchangeable.
    pub class: u16,
}

impl<C: Chooser> Machine<C> {
    /// A digest of everything that later answers can depend on, except the clock and the starts of
    /// connect() searches. For walks through all states: equal digests at one time mean equal
    /// futures under a chooser that picks every start itself. `names` are the sockets that the
    /// caller can still name, in an order of its own.
    #[must_use]
    pub fn digest(&self, names: &[Option<SockId>]) -> u64 {
        self.fingerprint(names)
    }

    /// The same in parts: one for each socket, TIME-WAIT and bucket, and one for the rest. `label`
    /// says by which label the caller knows a socket. `class` says whether a port of a host may be
    /// exchanged for any other port of the same class: the part of such a port goes with the host
    /// and the port, and has the class in the port's place. Two states whose parts, put together by
    /// port, are the same have the same future but for the numbers of these ports.
    ///
    /// `class` gets an address, and the namespace where the address is the local one.
    #[must_use]
    pub fn digest_by_port(
        &self,
        label: &dyn Fn(SockId) -> Option<u64>,
        class: &dyn Fn(Option<NsId>, IpAddr, u16) -> Option<PortClass>,
    ) -> Vec<(Option<(usize, u16)>, u64)> {
        let class = |ns, ip: Ip, port| class(ns, ip.into(), port);
        let key = |class: Option<PortClass>, port: u16| class.map(|one| (one.host, port));
        let stands = |class: Option<PortClass>, port: u16| class.map_or(port, |one| one.class);
        let mut parts = Vec::new();
        let due = self.due();
        for (i, s) in self.socks.iter() {
            let local = class(Some(NsId(s.ns)), s.rcv_saddr, s.num.max(s.sport));
            let remote = class(None, s.daddr, s.dport);
            let id = self.id(i);
            let cold = s.cold.as_ref().map(|c| Cold {
                queue: Default::default(),
                ..(**c).clone()
            });
            let queued = s.cold.as_ref().map_or(0, |c| c.queue.len());
            let plain = Sock {
                num: if s.num == 0 { 0 } else { stands(local, s.num) },
                sport: if s.sport == 0 {
                    0
                } else {
                    stands(local, s.sport)
                },
                dport: stands(remote, s.dport),
                ..lasting(s)
            };
            let at = key(local, s.num.max(s.sport)).or(key(remote, s.dport));
            let value = digest((label(id), plain, cold, queued, due.get(&(false, i))));
            parts.push((at, value));
        }
        for (i, t) in self.tw.socks.iter() {
            let local = class(Some(NsId(t.ns)), t.local, t.lport);
            let remote = class(None, t.remote, t.rport);
            let value = digest((
                Tw {
                    lport: stands(local, t.lport),
                    rport: stands(remote, t.rport),
                    ..lasting_tw(t)
                },
                due.get(&(true, i)),
            ));
            parts.push((key(local, t.lport).or(key(remote, t.rport)), value));
        }
        for (n, ns) in self.nss.iter().enumerate() {
            let ns_id = NsId(u16::try_from(n).unwrap_or(u16::MAX));
            for (_, b) in ns.buckets.iter() {
                let class = class(Some(ns_id), Ip::ANY4, b.port);
                let value = bucket(n, stands(class, b.port), b);
                parts.push((key(class, b.port), value));
            }
            for (port, owners) in ns.udp.iter().filter(|(_, owners)| owners.len() > 1) {
                let class = class(Some(ns_id), Ip::ANY4, port);
                let owners: Vec<_> = owners.iter().map(|&i| label(self.id(i))).collect();
                let value = digest((n, stands(class, port), owners));
                parts.push((key(class, port), value));
            }
        }
        parts.push((None, digest((self.ports.bsockets, self.tw.count))));
        parts.extend(self.nat_digests().map(|part| (None, part)));
        parts
    }

    /// The digest behind [`Machine::digest`]. `names` are the sockets that the caller can still
    /// name, by its numbers.
    pub(crate) fn fingerprint(&self, names: &[Option<SockId>]) -> u64 {
        let due = self.due();
        let of_machine = |kind| matches!(kind, TimerKind::Wheel | TimerKind::Calendar);
        let timers = self.timers.iter().filter(|t| self.timer_valid(t));
        let mut machine_timers: Vec<_> = timers
            .filter(|t| of_machine(t.kind))
            .map(|t| (t.earliest.0, t.latest.0, t.kind))
            .collect();
        machine_timers.sort_unstable();

        let by_index: BTreeMap<u32, usize> = names
            .iter()
            .enumerate()
            .filter_map(|(n, s)| Some((s.as_ref()?.index, n)))
            .collect();
        let mut parts: Vec<u64> = Vec::new();
        for (i, s) in self.socks.iter() {
            let queue: Vec<(Endpoint, bool)> = s
                .cold
                .iter()
                .flat_map(|c| &c.queue)
                .map(|&c| {
                    let child = &self.socks[c];
                    (child.remote(), child.hashed)
                })
                .collect();
            let cold = s.cold.as_ref().map(|c| Cold {
                queue: Default::default(),
                ..(**c).clone()
            });
            parts.push(digest((
                by_index.get(&i),
                lasting(s),
                cold,
                queue,
                due.get(&(false, i)),
            )));
        }
        for (i, t) in self.tw.socks.iter() {
            parts.push(digest((lasting_tw(t), due.get(&(true, i)))));
        }
        for (n, ns) in self.nss.iter().enumerate() {
            for (_, b) in ns.buckets.iter() {
                parts.push(bucket(n, b.port, b));
            }
            // The order of the sockets on a port counts (`udp_conflict`).
            for (port, owners) in ns.udp.iter().filter(|(_, owners)| owners.len() > 1) {
                let owners: Vec<_> = owners.iter().map(|i| by_index.get(i)).collect();
                parts.push(digest((n, port, owners)));
            }
        }
        parts.extend(self.nat_digests());
        parts.sort_unstable();
        let lives = |e| self.entry_lives(e);
        let identity = |i: u32| digest(lasting_tw(&self.tw.socks[i]));
        let wheel = self.tw.wheel.fingerprint(lives, identity);
        digest((
            parts,
            machine_timers,
            wheel,
            self.ports.bsockets,
            self.tw.count,
        ))
    }

    /// The digests of the flows of each NAT host.
    fn nat_digests(&self) -> impl Iterator<Item = u64> {
        let nats = self.nats.iter();
        nats.map(|(ns, nat)| digest((ns, nat.digest())))
    }

    /// The moments at which the timers of sockets and of TIME-WAIT sockets (`true`) fire.
    fn due(&self) -> BTreeMap<(bool, u32), (u64, u64, TimerKind)> {
        let timers = self.timers.iter().filter(|t| self.timer_valid(t));
        timers
            .filter(|t| !matches!(t.kind, TimerKind::Wheel | TimerKind::Calendar))
            .map(|t| {
                let when = (t.earliest.0, t.latest.0, t.kind);
                ((t.kind == TimerKind::TimeWait, t.target), when)
            })
            .collect()
    }

    /// The number of sockets and TIME-WAIT sockets.
    pub(crate) fn sockets_held(&self) -> usize {
        self.socks.iter().count() + self.tw.socks.iter().count()
    }

    /// Gives back the numbers of namespaces that have ended, all but the machine's first.
    pub(crate) fn forget_removed_namespaces(&mut self) {
        while self.nss.len() > 1 && self.nss.last().is_some_and(|n| !n.alive) {
            self.nss.pop();
        }
    }

    /// Returns `true` if a key is machine-wide and shown in the first namespace only.
    pub(crate) fn is_hidden(&self, key: &str) -> bool {
        crate::sysctl::scope_of(&self.b, key) == Some(Scope::MachineHidden)
    }
}
