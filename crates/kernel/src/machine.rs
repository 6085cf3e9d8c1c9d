//! One running kernel: its clock, namespaces, sockets and machine-wide state.

use crate::Family;
use crate::SockOpt;
use crate::addr::{Endpoint, Ip};
use crate::bucket::{ByAddr, Owner, Who};
use crate::chooser::{Chooser, Seeded};
use crate::ns::Ns;
use crate::profile::behaviour::Scope;
use crate::profile::{Asked, Behaviours, Watched};
use crate::reason::{Refusal, Rule};
use crate::segment::Packet;
use crate::slab::Slab;
use crate::socket::{NONE, Sock, State, Tw};
use crate::sysctl::{Values, scope_of, sysctl_names};
use crate::time::Time;
use crate::timers::Timers;
use crate::wheel::Wheel;
use crate::{Errno, PortRange, ShortName};
use std::collections::{BTreeMap, VecDeque};

/// A network namespace of one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NsId(pub(crate) u16);

/// A socket of one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SockId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// The index of an interface: a namespace has `lo`, and `eth0` towards the other hosts. 0 is none.
fn device(name: ShortName) -> Option<u16> {
    match name.as_str() {
        "" => Some(0),
        "lo" => Some(1),
        "eth0" => Some(2),
        _ => None,
    }
}

/// The answer of a call that may have to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<T> {
    /// The call has returned.
    Done(Result<T, Errno>),
    /// The call is still waiting; time or a segment has to come first.
    Waiting,
}

/// One running kernel.
///
/// Every call is atomic and takes no time. Segments for addresses of the calling namespace are
/// delivered inside; all others wait in an outbox ([`Machine::segment`]).
#[derive(Clone)]
pub struct Machine<C: Chooser = Seeded> {
    pub(crate) b: Watched,
    pub(crate) chooser: C,
    pub(crate) clock: Time,
    pub(crate) socks: Slab<Sock>,
    pub(crate) tws: Slab<Tw>,
    pub(crate) nss: Vec<Ns>,
    pub(crate) generation: u32,
    /// Machine-wide values of sysctls that are not per namespace.
    pub(crate) values: Values,
    /// Moves the start of connect() searches (up to 5.11).
    pub(crate) hint: u32,
    /// The same per cell (5.12 and later), filled when first used.
    pub(crate) cells: BTreeMap<u32, u32>,
    /// Bound sockets of the whole machine; drifts on old kernels.
    pub(crate) bsockets: i32,
    /// Children that have joined a bucket, which only some kernels count among these.
    pub(crate) children: i32,
    pub(crate) tw_count: u32,
    pub(crate) wheel: Wheel,
    pub(crate) timers: Timers,
    /// Local segments that have not been delivered yet.
    pub(crate) inbox: VecDeque<Packet>,
    pub(crate) outbox: VecDeque<Packet>,
    /// Namespaces of this machine reach each other.
    pub(crate) bridged: bool,
    pub(crate) explaining: bool,
    pub(crate) refusal: Option<Box<Refusal>>,
}

impl<C: Chooser> Machine<C> {
    /// When a machine's clock starts: 100 s after boot, on a whole second.
    pub const START: Time = Time(100 * crate::time::SEC);

    /// A machine that has just booted.
    #[must_use]
    pub fn new(behaviours: Behaviours, chooser: C) -> Self {
        let b = Watched::new(behaviours);
        Machine {
            chooser,
            clock: Self::START,
            socks: Slab::default(),
            tws: Slab::default(),
            nss: Vec::new(),
            generation: 0,
            values: Values::defaults(&b),
            b,
            hint: 0,
            cells: BTreeMap::new(),
            bsockets: 0,
            children: 0,
            tw_count: 0,
            wheel: Wheel::default(),
            timers: Timers::default(),
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            bridged: false,
            explaining: false,
            refusal: None,
        }
    }

    /// The behaviours that this machine was made with.
    #[must_use]
    pub fn behaviours(&self) -> &Behaviours {
        self.b.table()
    }

    /// The behaviours that its answers until now hang on: any kernel that is alike in all of them
    /// would have given the same.
    #[must_use]
    pub fn asked(&self) -> Asked {
        self.b.asked()
    }

    /// The chooser, for followers that steer it.
    pub fn chooser_mut(&mut self) -> &mut C {
        &mut self.chooser
    }

    /// A new network namespace with 127.0.0.0/8 and ::1 as local addresses. The first one of a
    /// machine is its initial namespace.
    pub fn add_namespace(&mut self) -> NsId {
        let mut values = Values::defaults(&self.b);
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
        self.nss.push(Ns::new(values));
        NsId(u16::try_from(self.nss.len() - 1).expect("fewer than 65536 namespaces"))
    }

    /// Ends a namespace: its sockets, buckets and TIME-WAITs vanish without a segment.
    pub fn remove_namespace(&mut self, ns: NsId) {
        let tws: Vec<u32> = self
            .tws
            .iter()
            .filter(|(_, t)| t.ns == ns.0)
            .map(|(i, _)| i)
            .collect();
        for tw in tws {
            self.unschedule_tw(tw);
            self.tws.remove(tw);
        }
        let socks: Vec<u32> = self
            .socks
            .iter()
            .filter(|(_, s)| s.ns == ns.0)
            .map(|(i, _)| i)
            .collect();
        for s in socks {
            if self.socks[s].bucket != NONE {
                self.bsockets -= 1;
            }
            self.socks.remove(s);
        }
        self.inbox.retain(|p| p.ns != ns.0);
        self.outbox.retain(|p| p.ns != ns.0);
        let mut gone = Ns::new(self.nss[usize::from(ns.0)].values.clone());
        gone.alive = false;
        self.nss[usize::from(ns.0)] = gone;
    }

    /// Gives a namespace an address of its own.
    pub fn add_address(&mut self, ns: NsId, ip: Ip) {
        let n = &mut self.nss[usize::from(ns.0)];
        if !n.addresses.contains(&ip) {
            n.addresses.push(ip);
        }
    }

    /// The addresses that were added to a namespace.
    #[must_use]
    pub fn addresses(&self, ns: NsId) -> &[Ip] {
        &self.nss[usize::from(ns.0)].addresses
    }

    /// Whether destinations outside the namespace have a route. Without one, connecting to them
    /// is `ENETUNREACH`, as in a namespace that has only `lo`.
    pub fn set_routed(&mut self, ns: NsId, routed: bool) {
        self.nss[usize::from(ns.0)].routed = routed;
    }

    /// Whether the namespaces of this machine reach each other by an ideal network of their own.
    /// Segments between them are then delivered inside, at once.
    pub fn set_bridged(&mut self, bridged: bool) {
        self.bridged = bridged;
    }

    /// Sets the length of TIME-WAIT (`TCP_TIMEWAIT_LEN`, which real kernels fix at 60 s), in
    /// nanoseconds.
    pub fn set_time_wait(&mut self, ns: NsId, nanos: u64) {
        self.nss[usize::from(ns.0)].time_wait = nanos;
        self.wheel.period = nanos / 8;
    }

    /// Now, on this machine's monotonic clock.
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
        let scope = scope_of(&self.b, key).unwrap_or(Scope::Absent);
        match scope {
            Scope::Absent => self.refuse(Errno::ENOENT, Rule::SysctlUnknown, &["proc_sys_open"]),
            Scope::MachineHidden if ns.0 != 0 => {
                self.refuse(Errno::ENOENT, Rule::SysctlUnknown, &["proc_sys_open"])
            }
            Scope::Machine | Scope::MachineHidden => self.sysctl_machine(key, value),
            Scope::Netns => {
                let r = self.nss[usize::from(ns.0)]
                    .values
                    .write(&self.b, key, value);
                r.or_else(|e| self.refuse(e, Rule::SysctlInvalid, &["proc_sys_call_handler"]))
            }
        }
    }

    /// Writes a machine-wide sysctl from the first namespace, whichever namespaces exist.
    ///
    /// # Errors
    /// As [`Machine::sysctl`].
    pub fn sysctl_machine(&mut self, key: &str, value: &str) -> Result<(), Errno> {
        if let Err(e) = self.values.write(&self.b, key, value) {
            return self.refuse(e, Rule::SysctlInvalid, &["proc_sys_call_handler"]);
        }
        for n in &mut self.nss {
            n.values.copy(&self.values, key);
        }
        Ok(())
    }

    /// Puts every machine-wide sysctl back to its default.
    pub fn reset_machine_sysctls(&mut self) {
        let defaults = Values::defaults(&self.b);
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
        self.generation = self.generation.wrapping_add(1);
        let mut sock = Sock::new(ns.0, family, uid, self.generation);
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

    /// `setsockopt`.
    ///
    /// # Errors
    /// `ENOPROTOOPT` if the kernel does not know the option, `EINVAL`, `EPERM`, `ENODEV` or
    /// `EDOM` for values and states that do not fit.
    pub fn set(&mut self, s: SockId, opt: SockOpt) -> Result<(), Errno> {
        let Some(i) = self.live(s) else {
            return Err(Errno::EINVAL);
        };
        let b = &self.b;
        let sock = &mut self.socks[i];
        let unknown = match opt {
            SockOpt::ReusePort(_) | SockOpt::AttachReuseportBpf(_) if !b.reuseport() => true,
            SockOpt::AttachReuseportBpf(_) => !b.reuseport_group_term(),
            SockOpt::BindAddressNoPort(_) => !b.bind_address_no_port(),
            SockOpt::LocalPortRange(_) => !b.local_port_range_option(),
            SockOpt::V6Only(_) => sock.family == Family::Inet,
            SockOpt::Repair(_) => !b.force_reuse(),
            opt => !opt.info().modelled,
        };
        if unknown {
            return self.refuse(Errno::ENOPROTOOPT, Rule::OptionUnknown, &["sys_setsockopt"]);
        }
        let mut bad = None;
        match opt {
            SockOpt::ReuseAddr(on) => sock.reuse = u8::from(on),
            SockOpt::ReusePort(on) => sock.reuseport = on,
            SockOpt::BindAddressNoPort(on) => sock.no_port = on,
            SockOpt::LocalPortRange(PortRange { low, high }) => {
                if low != 0 && high != 0 && low > high {
                    bad = Some(Errno::EINVAL);
                } else {
                    sock.cold().range = (low, high);
                }
            }
            // The port's owners have been compared with the old value; it must not change now.
            SockOpt::V6Only(_) if sock.num != 0 => bad = Some(Errno::EINVAL),
            SockOpt::V6Only(on) => sock.v6only = on,
            // Any other time changes how long close() takes, which nobody here waits for.
            SockOpt::Linger(l) => sock.aborts = l == Some(0),
            SockOpt::BindToDevice(_) if sock.uid != 0 && !b.device_for_users() => {
                bad = Some(Errno::EPERM);
            }
            SockOpt::BindToDevice(name) => match device(name) {
                None => bad = Some(Errno::ENODEV),
                Some(_) if sock.uid != 0 && sock.dev != 0 => bad = Some(Errno::EPERM),
                Some(dev) => {
                    sock.dev = dev;
                    let ns = usize::from(sock.ns);
                    self.nss[ns].devices |= dev != 0;
                }
            },
            SockOpt::FreeBind(on) => sock.freebind = on,
            SockOpt::Transparent(_) | SockOpt::Repair(_) if sock.uid != 0 => {
                bad = Some(Errno::EPERM)
            }
            SockOpt::Transparent(on) => sock.transparent = on,
            SockOpt::Linger2(secs) => sock.cold().linger2 = secs,
            SockOpt::Repair(_) if !matches!(sock.state, State::Close | State::Established) => {
                bad = Some(Errno::EPERM);
            }
            SockOpt::Repair(on) => {
                sock.cold().repair = on;
                sock.reuse = if on { 2 } else { 0 };
            }
            // Only a socket that has SO_REUSEPORT starts a group, and only before it is connected (`reuseport_attach_prog`).
            SockOpt::AttachReuseportBpf(true)
                if !sock.reuseport
                    || !sock.group && !matches!(sock.state, State::Close | State::Listen) =>
            {
                bad = Some(Errno::EINVAL);
            }
            SockOpt::AttachReuseportBpf(true) => sock.group = true,
            // Nothing attached, nothing to detach.
            SockOpt::AttachReuseportBpf(false) => bad = Some(Errno::ENOENT),
            SockOpt::SynCount(0) => bad = Some(Errno::EINVAL),
            SockOpt::SynCount(n) => sock.cold().syn_count = Some(n),
            _ => bad = Some(Errno::ENOPROTOOPT),
        }
        match bad {
            Some(e) => self.refuse(e, Rule::OptionInvalid, &["sys_setsockopt"]),
            None => Ok(()),
        }
    }

    /// What getsockname() returns: it prints the port that the socket had last, even if that was
    /// lost.
    #[must_use]
    pub fn local(&self, s: SockId) -> Endpoint {
        match self.live(s) {
            Some(i) => Endpoint::new(self.socks[i].rcv_saddr, self.socks[i].sport),
            None => Endpoint::new(Ip::ANY4, 0),
        }
    }

    /// What getpeername() returns.
    ///
    /// # Errors
    /// `ENOTCONN` unless the socket is connected.
    pub fn peer(&self, s: SockId) -> Result<Endpoint, Errno> {
        let sock = self
            .live(s)
            .map(|i| &self.socks[i])
            .ok_or(Errno::ENOTCONN)?;
        if sock.dport == 0 || matches!(sock.state, State::Close | State::SynSent) {
            return Err(Errno::ENOTCONN);
        }
        Ok(sock.remote())
    }

    /// The TCP state; [`State::Close`] for a socket that is gone.
    #[must_use]
    pub fn state(&self, s: SockId) -> State {
        self.live(s).map_or(State::Close, |i| self.socks[i].state)
    }

    /// Whether the port that getsockname() prints is really held.
    #[must_use]
    pub fn holds_port(&self, s: SockId) -> bool {
        self.live(s).is_some_and(|i| self.socks[i].num != 0)
    }

    /// The uid that conflict checks see (`sock_i_uid`): on kernels that read it from the file, a
    /// socket without one counts as root's.
    pub(crate) fn uid_of(&self, sock: &Sock) -> u32 {
        if sock.has_file || self.b.uid_kept() {
            sock.uid
        } else {
            0
        }
    }

    pub(crate) fn ns(&self, ns: u16) -> &Ns {
        &self.nss[usize::from(ns)]
    }

    pub(crate) fn ns_mut(&mut self, ns: u16) -> &mut Ns {
        &mut self.nss[usize::from(ns)]
    }

    /// Sets whether refusals are explained. Answers do not depend on it.
    pub fn explain(&mut self, on: bool) {
        self.explaining = on;
    }

    /// Why the last call failed, if explaining is on.
    pub fn take_refusal(&mut self) -> Option<Refusal> {
        self.refusal.take().map(|r| *r)
    }

    /// Fails a call, noting the reason if somebody wants to know.
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

    /// Puts an owner into a bucket and its entry by address.
    pub(crate) fn link(&mut self, owner: Owner, bucket: u32) {
        let (ns, addr, family, connect) = match owner.who() {
            Who::Sock(i) => {
                let s = &self.socks[i];
                (s.ns, s.rcv_saddr, s.family, s.connect_bind)
            }
            Who::Tw(i) => {
                let t = &self.tws[i];
                (t.ns, t.local, t.family, t.connect_bind)
            }
        };
        let n = &mut self.nss[usize::from(ns)];
        let b = &mut n.buckets[bucket];
        let place = b.owners.len() as u32;
        b.owners.push(owner);
        n.enter_address(bucket, addr, family, connect);
        match owner.who() {
            Who::Sock(i) => {
                let s = &mut self.socks[i];
                s.bucket = bucket;
                s.place = place;
            }
            Who::Tw(i) => {
                let t = &mut self.tws[i];
                t.bucket = bucket;
                t.place = place;
            }
        }
    }

    /// Takes an owner out of its bucket; recomputes and destroys as the kernel does.
    pub(crate) fn unlink(&mut self, owner: Owner) {
        let (ns, bucket, place, addr, family, connect) = match owner.who() {
            Who::Sock(i) => {
                let s = &mut self.socks[i];
                let old = (
                    s.ns,
                    s.bucket,
                    s.place,
                    s.rcv_saddr,
                    s.family,
                    s.connect_bind,
                );
                s.bucket = NONE;
                old
            }
            Who::Tw(i) => {
                let t = &mut self.tws[i];
                let old = (t.ns, t.bucket, t.place, t.local, t.family, t.connect_bind);
                t.bucket = NONE;
                old
            }
        };
        let recompute = || self.b.recompute_on_release();
        let n = &mut self.nss[usize::from(ns)];
        let b = &mut n.buckets[bucket];
        b.owners.swap_remove(place as usize);
        if let Some(moved) = b.owners.get(place as usize).copied() {
            match moved.who() {
                Who::Sock(i) => self.socks[i].place = place,
                Who::Tw(i) => self.tws[i].place = place,
            }
        }
        n.leave_address(bucket, addr, family, connect, recompute);
        let b = &mut n.buckets[bucket];
        if b.owners.is_empty() {
            n.destroy_bucket(bucket);
        } else if (b.fastreuse, b.fastreuseport) != (-1, -1) {
            // 6.18: once every entry by address is connect-only again, so is the bucket.
            let connect_only = |a: &ByAddr| (a.fastreuse, a.fastreuseport) == (-1, -1);
            if b.by_addr.iter().all(connect_only) && recompute() {
                b.fastreuse = -1;
                b.fastreuseport = -1;
                n.note_blocked(bucket);
            }
        }
    }
}
