//! bind(), and taking a port that is known (`inet_csk_get_port`): used by bind() with a port, by
//! listen() on a bound socket, and by the automatic search once it has found a port.

use crate::Errno;
use crate::Family;
use crate::addr::{Endpoint, Ip, SockAddr};
use crate::bucket::conflict::{Mode, conflict, reuseport_match, uid_matches};
use crate::bucket::touch::update_fastreuse;
use crate::bucket::{Bucket, Fastuid, Owner};
use crate::chooser::Chooser;
use crate::conn::device::{ETHERNET, LOOPBACK};
use crate::conn::socket::{NONE, Sock, State};
use crate::explain::reason::Rule;
use crate::machine::{Machine, SockId};
use crate::namespace::Namespace;
use crate::profile::TrackedBehaviours;
use crate::profile::behaviour::{BindFamily, Scope, Touch, V6Foreign};
use crate::tables::Tables;
use std::net::SocketAddr;

/// The outcome of taking a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    Conflict,
    /// The search should start again (old kernels: the best candidate has become unusable).
    Again,
}

/// The answer of [`bind_may_use`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindVerdict {
    /// The port has no bucket.
    Free,
    /// The socket joins the bucket; its owners are not compared.
    Unchecked,
    /// The socket joins the bucket; no owner conflicts.
    Shares,
    /// This owner conflicts.
    Conflict(Owner),
}

/// bind() and listen(): may the socket take `port`?  (`inet_csk_get_port`, all kernels)
///
/// 1. A port without a bucket is free.
/// 2. Under `TCP_REPAIR` (from 3.5 on) every bucket may be joined.
/// 3. The fast path joins without a look at the owners: where the bucket has `fastreuse` 1 and the
///    socket has `SO_REUSEADDR` and does not listen, or where `fastreuseport` and the user fit
///    ([`reuseport_match`], from 3.9 on).
/// 4. Otherwise no owner may conflict ([`conflict`]).
///
/// A bucket that only connect() has used (`fastreuse` -1) is judged by 4 as well: its connections
/// are owners like any other.
pub(crate) fn bind_may_use<C: Chooser>(
    t: &Tables<'_>,
    chooser: &mut C,
    sk: u32,
    port: u16,
    mode: Mode,
    fast_path: bool,
) -> BindVerdict {
    let sock = &t.socks[sk];
    let Some(bucket) = t.ns.bucket(port) else {
        return BindVerdict::Free;
    };
    if sock.reuse == 2 && t.rules.force_reuse() {
        return BindVerdict::Unchecked;
    }
    if fast_path && joins_unchecked(t.rules, chooser, sock, bucket) {
        return BindVerdict::Unchecked;
    }
    match conflict(t, sk, bucket, mode) {
        Some(owner) => BindVerdict::Conflict(owner),
        None => BindVerdict::Shares,
    }
}

/// bind() and listen(): the fast path, which joins a bucket without a look at its owners.
pub(crate) fn joins_unchecked<C: Chooser>(
    rules: &TrackedBehaviours,
    chooser: &mut C,
    sock: &Sock,
    bucket: &Bucket,
) -> bool {
    (sock.reuses() && bucket.fastreuse > 0) || reuseport_match(rules, chooser, sock, bucket)
}

impl<C: Chooser> Machine<C> {
    /// `bind(addr, port)`; port 0 lets the kernel choose.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `EINVAL` or `EAFNOSUPPORT`, in the kernel's order
    /// of checks (`inet_bind`, `inet6_bind`).
    pub fn bind(&mut self, s: SockId, at: SocketAddr) -> Result<(), Errno> {
        let Some(i) = self.live(s) else {
            return Err(Errno::EINVAL);
        };
        let at = self.check_bind(i, at.into())?;
        let only_before = self.socks[i].v6only;
        let native = self.socks[i].family == Family::Inet6 && !at.ip.is_v4() && at.ip != Ip::ANY6;
        if native && self.b.v6only_before_check() {
            self.socks[i].v6only = true;
        }
        let sock = &mut self.socks[i];
        sock.rcv_saddr = at.ip;
        sock.saddr_unset = at.ip.is_multicast() || at.ip.is_broadcast();
        if (at.port != 0 || !sock.no_port) && !self.get_port(i, at.port) {
            let sock = &mut self.socks[i];
            sock.rcv_saddr = Ip::any(sock.family);
            sock.saddr_unset = false;
            sock.v6only = only_before;
            return Err(Errno::EADDRINUSE);
        }
        let sock = &mut self.socks[i];
        if native {
            sock.v6only = true;
        }
        // To inet6_bind() the mapped wildcard is an address like any other: what is accepted there
        // keeps its address. A lock is only ever set: a later bind() of the wildcard does not take
        // it away.
        sock.addr_lock |= match sock.family {
            Family::Inet => !at.ip.is_any(),
            Family::Inet6 => at.ip != Ip::ANY6,
        };
        sock.port_lock |= at.port != 0;
        sock.sport = sock.num;
        sock.daddr = Ip::any(sock.family);
        sock.dport = 0;
        Ok(())
    }

    /// Binds a socket to an interface, which a scope does as well as `SO_BINDTODEVICE`.
    pub(crate) fn bind_to_device(&mut self, i: u32, dev: u16) {
        let sock = &mut self.socks[i];
        sock.dev = dev;
        self.nss[usize::from(sock.ns)].devices |= dev != 0;
    }

    /// The checks before a port is selected (`inet_bind`, `inet6_bind`). Returns the address to
    /// bind: old kernels take the wildcard where the family is wrong.
    fn check_bind(&mut self, i: u32, wanted: SockAddr) -> Result<Endpoint, Errno> {
        let mut at = wanted.end;
        let sock = &self.socks[i];
        let inet6 = sock.family == Family::Inet6;
        let path: &[&'static str] = if inet6 {
            &["sys_bind", "inet6_bind"]
        } else {
            &["sys_bind", "inet_bind"]
        };
        if inet6 && wanted.family == Some(Family::Inet) {
            return self.refuse(Errno::EINVAL, Rule::ShortAddress, path);
        }
        if !inet6 && (wanted.family == Some(Family::Inet6) || !at.ip.is_v4()) {
            match self.b.bind_family() {
                // The bytes where the IPv4 address would be are the flow label: zero.
                BindFamily::Ignored => at.ip = Ip::ANY4,
                BindFamily::Invalid => return self.refuse(Errno::EINVAL, Rule::BindNotLocal, path),
                BindFamily::NoSupport => {
                    return self.refuse(Errno::EAFNOSUPPORT, Rule::BindNotLocal, path);
                }
            }
        }
        let n = self.ns(sock.ns);
        let first_free = || match self.b.unprivileged_port_scope() {
            Scope::Absent => 1024,
            _ => n.values.unprivileged_start,
        };
        let privileged = at.port != 0 && sock.uid != 0 && at.port < first_free();
        let busy = sock.state != State::Close || sock.num != 0;
        let foreign = !self.may_bind(sock, n, at.ip);
        let not_local = match n.is_tentative(at.ip, self.clock) {
            true => Rule::AddressTentative,
            false => Rule::BindNotLocal,
        };
        // inet_bind() checks the address before the port, inet6_bind() after it.
        if !inet6 && foreign {
            return self.refuse(Errno::EADDRNOTAVAIL, Rule::BindNotLocal, path);
        }
        if inet6 && at.ip.is_multicast() && !sock.is_datagram() {
            return self.refuse(Errno::EINVAL, Rule::BindNotLocal, path);
        }
        if privileged {
            return self.refuse(Errno::EACCES, Rule::BindPrivileged, path);
        }
        if busy {
            return self.refuse(Errno::EINVAL, Rule::BindAlreadyBound, path);
        }
        if inet6 && at.ip.is_v4() && sock.v6only {
            return self.refuse(Errno::EINVAL, Rule::BindMappedV6Only, path);
        }
        if inet6 && at.ip.is_link_local6() {
            self.bind_scope(i, wanted.scope, path)?;
        }
        if foreign {
            return self.refuse(Errno::EADDRNOTAVAIL, not_local, path);
        }
        Ok(at)
    }

    /// Binds a socket to the interface of a link-local address: the one that the address names,
    /// else the one that the socket is bound to.
    ///
    /// # Errors
    /// `EINVAL` without an interface, `EADDRNOTAVAIL` if the address is on another interface,
    /// `ENODEV` if there is none of this number.
    fn bind_scope(&mut self, i: u32, scope: u16, path: &[&'static str]) -> Result<(), Errno> {
        let dev = match scope {
            0 => self.socks[i].dev,
            named => named,
        };
        match dev {
            0 => self.refuse(Errno::EINVAL, Rule::LinkLocalWithoutScope, path),
            ETHERNET => {
                self.bind_to_device(i, dev);
                Ok(())
            }
            // The addresses of a host are on its other interface.
            LOOPBACK => self.refuse(Errno::EADDRNOTAVAIL, Rule::BindNotLocal, path),
            _ => self.refuse(Errno::ENODEV, Rule::BindNotLocal, path),
        }
    }

    /// Returns `true` if the address is local or something allows to bind it all the same.
    fn may_bind(&self, sock: &Sock, n: &Namespace, ip: Ip) -> bool {
        // ::1 is an address of `lo` alone (`ipv6_chk_addr`); those of a wider scope are of all.
        let of_lo = ip == Ip::LOOPBACK6 && sock.dev != 0 && sock.dev != LOOPBACK;
        let here = !(of_lo && self.b.bind_checks_device());
        if ip.is_any() || here && n.is_local(ip) && !n.is_tentative(ip, self.clock) {
            return true;
        }
        if ip.is_v4() {
            return ip.is_multicast()
                || ip.is_broadcast()
                || n.values.nonlocal_bind
                || sock.freebind
                || sock.transparent;
        }
        match self.b.v6_foreign_bind() {
            V6Foreign::None => false,
            V6Foreign::Transparent => sock.transparent,
            V6Foreign::Freebind => sock.transparent || sock.freebind,
            V6Foreign::Sysctl => sock.transparent || sock.freebind || n.values.nonlocal_bind6,
        }
    }

    /// Takes the wanted port, or selects one if it is 0 (`inet_csk_get_port`). Also called by
    /// listen(), with the socket already in state LISTEN.
    pub(crate) fn get_port(&mut self, sk: u32, want: u16) -> bool {
        if self.socks[sk].is_datagram() {
            return self.udp_get_port(sk, want);
        }
        if want == 0 {
            return self.select_bind(sk);
        }
        if self.take_port(sk, want, Mode::Explicit, None) == Taken::Yes {
            return true;
        }
        if self.explaining {
            self.explain_explicit(sk, want);
        }
        false
    }

    /// Takes one port if the rules allow it. `best` is the remembered candidate of an old kernel's
    /// selection: while there is one, the fast path is not taken here.
    pub(crate) fn take_port(&mut self, sk: u32, port: u16, mode: Mode, best: Option<u16>) -> Taken {
        self.read_undefined(sk, port);
        let ns = self.socks[sk].ns;
        // Up to 4.10 a remembered bucket is judged by its owners.
        let fast_path = best.is_none() || self.b.touch() != Touch::Owners;
        let (t, chooser) = self.tables(ns);
        match bind_may_use(&t, chooser, sk, port, mode, fast_path) {
            BindVerdict::Free => self.take_free(sk, port),
            // Up to 4.10 a fast-path joiner leaves the bucket's values alone.
            BindVerdict::Unchecked if self.b.touch() == Touch::Owners => self.hold(sk, port),
            BindVerdict::Unchecked | BindVerdict::Shares => self.join(sk, port),
            BindVerdict::Conflict(_) if best.is_some() && self.selects_again(sk, port) => {
                return Taken::Again;
            }
            BindVerdict::Conflict(_) => return Taken::Conflict,
        }
        Taken::Yes
    }

    /// Returns `true` if an old kernel's selection starts again because its best candidate has
    /// become unusable.
    fn selects_again(&mut self, sk: u32, port: u16) -> bool {
        let sock = &self.socks[sk];
        let Some(bucket) = self.nss[usize::from(sock.ns)].bucket(port) else {
            return false;
        };
        self.b.touch() == Touch::Owners
            && (sock.reuses()
                || sock.reuseport
                    && self.b.reuseport()
                    && (bucket.fastreuseport > 0 || self.b.rescan_any_uid())
                    && uid_matches(&self.b, &mut self.chooser, sock, bucket))
    }

    /// Joins the bucket of a port that has owners.
    pub(crate) fn join(&mut self, sk: u32, port: u16) {
        self.touch(sk, port, false);
        self.hold(sk, port);
    }

    /// Makes the bucket of a free port and takes it.
    pub(crate) fn take_free(&mut self, sk: u32, port: u16) {
        let ns = self.socks[sk].ns;
        let index = self.ns_mut(ns).create_bucket(port, 0);
        if self.b.peek().fastuid_zeroed {
            self.ns_mut(ns).buckets[index].fastuid = Fastuid::Of(0);
        }
        self.touch(sk, port, true);
        self.hold(sk, port);
    }

    /// Brings the bucket's values up to date for a socket that takes the port.
    fn touch(&mut self, sk: u32, port: u16, empty: bool) {
        let sock = &self.socks[sk];
        let n = &mut self.nss[usize::from(sock.ns)];
        let Some(index) = n.by_port.get(port) else {
            return;
        };
        let bucket = &mut n.buckets[index];
        update_fastreuse(&self.b, &mut self.chooser, sock, bucket, empty);
        n.note_blocked(index);
    }

    /// Links the socket to the bucket unless it is there already (listen() on a bound socket), and
    /// brings the entry by address up to date.
    fn hold(&mut self, sk: u32, port: u16) {
        let ns = self.socks[sk].ns;
        let Some(bucket) = self.ns(ns).by_port.get(port) else {
            return;
        };
        if self.socks[sk].bucket == NONE {
            self.socks[sk].num = port;
            self.link(Owner::sock(sk), bucket);
            self.count_owner(sk, bucket);
        }
        // Only kernels that recompute the bucket on a release look at these
        // (`recompute_on_release`).
        let addr = self.socks[sk].rcv_saddr;
        let b = &mut self.ns_mut(ns).buckets[bucket];
        let values = (b.fastreuse, b.fastreuseport);
        if let Some(a) = b.by_addr.iter_mut().find(|a| a.addr == addr) {
            (a.fastreuse, a.fastreuseport) = values;
        }
    }

    /// Counts a full socket as an owner (`inet_bind_hash`).
    pub(crate) fn count_owner(&mut self, sk: u32, bucket: u32) {
        let ns = self.socks[sk].ns;
        self.ns_mut(ns).buckets[bucket].num_owners += 1;
        self.ports.bsockets += 1;
    }

    /// Gives the port back (`inet_put_port`); the number that getsockname() prints stays.
    pub(crate) fn put_port(&mut self, sk: u32) {
        let sock = &self.socks[sk];
        if sock.bucket == NONE {
            return;
        }
        let (ns, bucket) = (sock.ns, sock.bucket);
        self.ns_mut(ns).buckets[bucket].num_owners -= 1;
        self.ports.bsockets -= 1;
        self.unlink(Owner::sock(sk));
        let sock = &mut self.socks[sk];
        sock.num = 0;
        sock.connect_bind = false;
    }

    /// Changes the local address of a socket; one that holds a port moves to another entry by
    /// address (`inet_bhash2_update_saddr`).
    pub(crate) fn move_address(&mut self, sk: u32, addr: Ip) {
        let sock = &mut self.socks[sk];
        let (old, bucket, ns) = (sock.rcv_saddr, sock.bucket, sock.ns);
        sock.rcv_saddr = addr;
        let (family, connect, port) = (sock.family, sock.connect_bind, sock.num);
        if sock.is_datagram() && port != 0 && old != addr {
            let udp = &mut self.nss[usize::from(ns)].udp;
            udp.moved(port, old, sk, &self.socks);
            // It leaves its reuseport group (`udp_lib_rehash`).
            self.socks[sk].group = false;
        }
        if bucket == NONE || old == addr {
            return;
        }
        let recompute = || self.b.recompute_on_release();
        let n = &mut self.nss[usize::from(ns)];
        // The bucket itself is not recomputed here, which leaves the hole that the kernel has.
        n.leave_address(bucket, old, family, connect, recompute);
        n.enter_address(bucket, addr, family, connect);
    }
}
