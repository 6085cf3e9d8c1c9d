//! One running kernel: its clock, namespaces, sockets and machine-wide state.

use crate::Errno;
use crate::Family;
use crate::Kind;
use crate::addr::{Endpoint, Ip};
use crate::chooser::{Chooser, Seeded};
use crate::conn::segment::Packet;
use crate::conn::socket::{NONE, Sock, State};
use crate::explain::reason::{Refusal, Rule};
use crate::namespace::Namespace;
use crate::nat::{Nat, Ways, is_nat_sysctl};
use crate::port::Ports;
use crate::profile::behaviour::Scope;
use crate::profile::{Behaviours, FlagSet, TrackedBehaviours};
use crate::slab::Slab;
use crate::sysctl::{Values, scope_of, sysctl_has_no_effect, sysctl_names};
use crate::time::Time;
use crate::time_wait::table::TimeWaits;
use crate::timers::Timers;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A network namespace of one machine, as returned by [`Machine::add_namespace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NsId(pub(crate) u16);

/// A socket of one machine, as returned by [`Machine::socket`] and [`Machine::accept`]. It stays
/// valid after close(): calls on a socket that is gone return errors as those on a closed file do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SockId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// The change of a datagram socket by what it has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramEvent {
    /// A datagram is the last one in its receive queue.
    Received(SockId),
    /// The ICMP error about a datagram is its pending error.
    Refused(SockId),
}

/// One running kernel.
///
/// Every call is atomic and takes no time. Segments for addresses of the calling namespace are
/// delivered inside; all others wait in an outbox ([`Machine::segment`]).
///
/// ```
/// use fourtuple_kernel::{Family, Machine, Profile, Seeded};
/// use std::net::SocketAddr;
///
/// let kernel: Profile = "linux-6.18".parse()?;
/// let mut host = Machine::new(kernel.behaviours, Seeded::new(1, "host"));
/// let ns = host.add_namespace();
/// let listener = host.socket(ns, Family::Inet, 0);
/// host.bind(listener, "127.0.0.1:80".parse::<SocketAddr>()?)?;
/// host.listen(listener, 8)?;
/// assert_eq!(host.bucket(ns, 80).map(|bucket| bucket.fastreuse), Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Machine<C: Chooser = Seeded> {
    pub(crate) b: TrackedBehaviours,
    pub(crate) chooser: C,
    pub(crate) clock: Time,
    pub(crate) socks: Slab<Sock>,
    pub(crate) tw: TimeWaits,
    pub(crate) nss: Vec<Namespace>,
    pub(crate) generation: u32,
    /// Machine-wide values of sysctls that are not per namespace.
    pub(crate) values: Values,
    pub(crate) ports: Ports,
    pub(crate) timers: Timers,
    /// Local segments that have not been delivered yet.
    pub(crate) inbox: VecDeque<Packet>,
    pub(crate) outbox: VecDeque<Packet>,
    pub(crate) datagram_event: Option<DatagramEvent>,
    /// Namespaces of this machine reach each other.
    pub(crate) bridged: bool,
    /// The state of each namespace that translates packets.
    pub(crate) nats: BTreeMap<u16, Nat>,
    /// The way of packets between them, where NAT hosts are on it.
    pub(crate) ways: Option<Arc<Ways<NsId>>>,
    pub(crate) explaining: bool,
    pub(crate) refusal: Option<Box<Refusal>>,
}

impl<C: Chooser> Machine<C> {
    /// The time at which a machine's clock starts: 100 s after boot, on a whole second.
    pub const START: Time = Time(100 * crate::time::SEC);

    /// A machine that has just booted.
    #[must_use]
    pub fn new(behaviours: Behaviours, chooser: C) -> Self {
        let b = TrackedBehaviours::new(behaviours);
        Machine {
            chooser,
            clock: Self::START,
            socks: Slab::default(),
            tw: TimeWaits::default(),
            nss: Vec::new(),
            generation: 0,
            values: Values::defaults(b.peek()),
            b,
            ports: Ports::default(),
            timers: Timers::default(),
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            datagram_event: None,
            bridged: false,
            nats: BTreeMap::new(),
            ways: None,
            explaining: false,
            refusal: None,
        }
    }

    /// The kernel's behaviours.
    #[must_use]
    pub fn behaviours(&self) -> &Behaviours {
        self.b.table()
    }

    /// The behaviour flags that answers so far depended on: a kernel that agrees on them would have
    /// given the same answers ([`Behaviours::agrees_on`]).
    #[must_use]
    pub fn observed_flags(&self) -> FlagSet {
        self.b.observed_flags()
    }

    /// The chooser.
    #[must_use]
    pub fn chooser(&self) -> &C {
        &self.chooser
    }

    /// The chooser, for callers that steer it.
    pub fn chooser_mut(&mut self) -> &mut C {
        &mut self.chooser
    }

    /// A new network namespace with 127.0.0.0/8 and ::1 as local addresses. The first one of a
    /// machine is its initial namespace.
    pub fn add_namespace(&mut self) -> NsId {
        let mut values = Values::defaults(self.b.peek());
        if self.values != values {
            for key in sysctl_names() {
                if matches!(
                    scope_of(&self.b, key),
                    Some(Scope::Machine | Scope::MachineHidden)
                ) {
                    values.copy(&self.values, key);
                }
            }
        }
        self.nss.push(Namespace::new(values));
        NsId(u16::try_from(self.nss.len() - 1).expect("fewer than 65536 namespaces"))
    }

    /// Ends a namespace: its sockets, buckets and TIME-WAIT sockets are gone, and no segment is
    /// sent.
    pub(crate) fn remove_namespace(&mut self, ns: NsId) {
        let tws: Vec<u32> = self
            .tw
            .socks
            .iter()
            .filter(|(_, t)| t.ns == ns.0)
            .map(|(i, _)| i)
            .collect();
        for tw in tws {
            self.unschedule_tw(tw);
            self.tw.socks.remove(tw);
        }
        let socks: Vec<u32> = self
            .socks
            .iter()
            .filter(|(_, s)| s.ns == ns.0)
            .map(|(i, _)| i)
            .collect();
        for s in socks {
            if self.socks[s].bucket != NONE {
                self.ports.bsockets -= 1;
            }
            self.socks.remove(s);
        }
        self.nats.remove(&ns.0);
        self.inbox.retain(|p| p.ns != ns.0);
        self.outbox.retain(|p| p.ns != ns.0);
        let mut gone = Namespace::new(self.nss[usize::from(ns.0)].values.clone());
        gone.alive = false;
        self.nss[usize::from(ns.0)] = gone;
    }

    /// Gives a namespace an address of its own.
    pub fn add_address(&mut self, ns: NsId, ip: IpAddr) {
        let ip = Ip::from(ip);
        let n = &mut self.nss[usize::from(ns.0)];
        if !n.addresses.contains(&ip) {
            n.addresses.push(ip);
        }
        if let Some(ways) = &mut self.ways {
            Arc::make_mut(ways).add_address(ns, ip.into());
        }
    }

    /// Sets whether destinations outside the namespace have a route. Without one, connecting to
    /// them is `ENETUNREACH`, as in a namespace that has only `lo`.
    pub fn set_routed(&mut self, ns: NsId, routed: bool) {
        self.nss[usize::from(ns.0)].routed = routed;
    }

    /// Sets whether no network joins a namespace to others. The addresses of such a host are on its
    /// only interface, whatever its name: sockets bound to any device reach them. Otherwise they
    /// are on `eth0`, which matters to sockets that are bound to `lo`.
    pub fn set_alone(&mut self, ns: NsId, alone: bool) {
        self.nss[usize::from(ns.0)].alone = alone;
    }

    /// Sets whether the namespaces of this machine reach each other by an ideal network of their
    /// own. Segments between them are then delivered inside, at once.
    pub(crate) fn set_bridged(&mut self, bridged: bool) {
        self.bridged = bridged;
        self.ways = None;
    }

    /// Sets the length of TIME-WAIT (`TCP_TIMEWAIT_LEN`, which real kernels fix at 60 s), in
    /// nanoseconds.
    pub fn set_time_wait(&mut self, ns: NsId, nanos: u64) {
        self.nss[usize::from(ns.0)].time_wait = nanos;
        self.tw.wheel.period = nanos / 8;
    }

    /// Makes the IPv6 addresses of a namespace tentative until then: bind() refuses them, packets
    /// to them are lost, and connect() to another host has `::1` as its source, which is lost too.
    pub fn set_tentative(&mut self, ns: NsId, until: Time) {
        self.nss[usize::from(ns.0)].tentative_until = until;
    }

    /// Crashes and restarts a host: all sockets, buckets and TIME-WAIT sockets of its namespace are
    /// gone, and no segment is sent. Addresses, sysctls and rules of NAT stay.
    pub fn crash(&mut self, ns: NsId) {
        let old = self.nss[usize::from(ns.0)].clone();
        let nat = self.nats.remove(&ns.0);
        self.remove_namespace(ns);
        let n = &mut self.nss[usize::from(ns.0)];
        n.alive = true;
        n.addresses = old.addresses;
        n.routed = old.routed;
        n.values = old.values;
        n.time_wait = old.time_wait;
        if let Some(mut nat) = nat {
            nat.restart();
            self.nats.insert(ns.0, nat);
        }
    }

    /// The time on this machine's monotonic clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock
    }

    /// Sets the clock of a machine on which nothing has happened yet.
    pub fn set_clock(&mut self, now: Time) {
        self.clock = now;
    }

    /// Writes a sysctl, for example `net.ipv4.ip_local_port_range` with `40000 40003`.
    ///
    /// # Errors
    /// `ENOENT` if the kernel does not have the key or does not show it in this namespace,
    /// `EINVAL` if it refuses the value.
    pub fn sysctl(&mut self, ns: NsId, key: &str, value: &str) -> Result<(), Errno> {
        if let Some(nat) = self.nats.get_mut(&ns.0)
            && is_nat_sysctl(key)
        {
            return nat.sysctl(key, value);
        }
        if sysctl_has_no_effect(key) {
            return Ok(());
        }
        let scope = scope_of(&self.b, key).unwrap_or(Scope::Absent);
        match scope {
            Scope::Absent => self.refuse(Errno::ENOENT, Rule::SysctlUnknown, &["proc_sys_open"]),
            Scope::MachineHidden if ns.0 != 0 => {
                self.refuse(Errno::ENOENT, Rule::SysctlUnknown, &["proc_sys_open"])
            }
            Scope::Machine | Scope::MachineHidden => self.sysctl_machine(key, value),
            Scope::Netns | Scope::FirstOnly => {
                let owner = if scope == Scope::Netns { ns.0 } else { 0 };
                let r = self.nss[usize::from(owner)]
                    .values
                    .write(&self.b, key, value);
                self.nss[usize::from(owner)].drop_disabled_addresses();
                r.or_else(|e| self.refuse(e, Rule::SysctlInvalid, &["proc_sys_call_handler"]))
            }
        }
    }

    /// Writes a machine-wide sysctl from the first namespace, whichever namespaces exist.
    ///
    /// # Errors
    /// As [`Machine::sysctl`].
    pub(crate) fn sysctl_machine(&mut self, key: &str, value: &str) -> Result<(), Errno> {
        if let Err(e) = self.values.write(&self.b, key, value) {
            return self.refuse(e, Rule::SysctlInvalid, &["proc_sys_call_handler"]);
        }
        for n in &mut self.nss {
            n.values.copy(&self.values, key);
        }
        Ok(())
    }

    /// Puts every machine-wide sysctl back to its default.
    pub(crate) fn reset_machine_sysctls(&mut self) {
        let defaults = Values::defaults(self.b.peek());
        for key in sysctl_names() {
            if matches!(
                scope_of(&self.b, key),
                Some(Scope::Machine | Scope::MachineHidden)
            ) {
                self.values.copy(&defaults, key);
                for n in &mut self.nss {
                    n.values.copy(&defaults, key);
                }
            }
        }
    }

    /// `socket(family, SOCK_STREAM, 0)` by a process with this uid.
    pub fn socket(&mut self, ns: NsId, family: Family, uid: u32) -> SockId {
        self.socket_of(ns, family, Kind::Stream, uid)
    }

    /// `socket(family, kind, 0)` by a process with this uid.
    pub fn socket_of(&mut self, ns: NsId, family: Family, kind: Kind, uid: u32) -> SockId {
        self.generation = self.generation.wrapping_add(1);
        let mut sock = Sock::new(ns.0, family, uid, self.generation);
        sock.kind = kind;
        sock.v6only = family == Family::Inet6 && self.nss[usize::from(ns.0)].values.bindv6only;
        let index = self.socks.insert(sock);
        SockId {
            index,
            generation: self.generation,
        }
    }

    /// The socket behind a handle, unless it is gone.
    pub(crate) fn live(&self, s: SockId) -> Option<u32> {
        self.socks
            .get(s.index)
            .filter(|k| k.generation == s.generation)
            .map(|_| s.index)
    }

    /// The handle of a socket.
    pub(crate) fn id(&self, index: u32) -> SockId {
        let generation = self.socks[index].generation;
        SockId { index, generation }
    }

    /// The user that owns a socket.
    pub(crate) fn uid(&self, s: SockId) -> u32 {
        self.live(s).map_or(0, |i| self.socks[i].uid)
    }

    /// The answer of getsockname(): the port that the socket had last, even if that was lost.
    #[must_use]
    pub fn local_addr(&self, s: SockId) -> SocketAddr {
        let name = match self.live(s) {
            Some(i) => Endpoint::new(self.socks[i].rcv_saddr, self.socks[i].sport),
            None => Endpoint::new(Ip::ANY4, 0),
        };
        name.into()
    }

    /// The answer of getpeername().
    ///
    /// # Errors
    /// `ENOTCONN` unless the socket is connected.
    pub fn peer_addr(&self, s: SockId) -> Result<SocketAddr, Errno> {
        let sock = self
            .live(s)
            .map(|i| &self.socks[i])
            .ok_or(Errno::ENOTCONN)?;
        if sock.dport == 0 || matches!(sock.state, State::Close | State::SynSent) {
            return Err(Errno::ENOTCONN);
        }
        Ok(sock.remote().into())
    }

    /// The remote end of a connection, also of one that has been reset since, as `accept()` reports
    /// it (`inet_getname`).
    #[must_use]
    pub fn remote_addr(&self, s: SockId) -> Option<SocketAddr> {
        let sock = self.live(s).map(|i| &self.socks[i])?;
        (sock.dport != 0).then(|| sock.remote().into())
    }

    /// The type of a socket; [`Kind::Stream`] for one that is gone.
    #[must_use]
    pub fn kind(&self, s: SockId) -> Kind {
        self.live(s).map_or(Kind::Stream, |i| self.socks[i].kind)
    }

    /// The TCP state; [`State::Close`] for a socket that is gone.
    #[must_use]
    pub fn state(&self, s: SockId) -> State {
        self.live(s).map_or(State::Close, |i| self.socks[i].state)
    }

    /// Returns `true` if the socket holds the port that getsockname() prints: after a failed call
    /// the port is gone, and getsockname() may still print it.
    #[must_use]
    pub fn holds_port(&self, s: SockId) -> bool {
        self.live(s).is_some_and(|i| self.socks[i].num != 0)
    }

    pub(crate) fn ns(&self, ns: u16) -> &Namespace {
        &self.nss[usize::from(ns)]
    }

    pub(crate) fn ns_mut(&mut self, ns: u16) -> &mut Namespace {
        &mut self.nss[usize::from(ns)]
    }

    /// Sets whether refusals are explained. Answers do not depend on it.
    pub fn set_explain(&mut self, on: bool) {
        self.explaining = on;
    }

    /// Takes the reason of the last failed call, if explaining is on.
    pub fn take_refusal(&mut self) -> Option<Refusal> {
        self.refusal.take().map(|r| *r)
    }

    /// Fails a call, and notes the reason if explaining is on.
    pub(crate) fn refuse<T>(
        &mut self,
        errno: Errno,
        rule: Rule,
        path: &[&'static str],
    ) -> Result<T, Errno> {
        if self.explaining {
            self.refusal = Some(Box::new(Refusal::plain(errno, rule, path.to_vec())));
        }
        Err(errno)
    }
}
