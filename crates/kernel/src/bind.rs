//! bind(), and taking a port that is known (`inet_csk_get_port`): used by bind() with a port, by
//! listen() on a bound socket, and by the automatic search once it has found a port.

use crate::Errno;
use crate::Family;
use crate::addr::{Endpoint, Ip};
use crate::bucket::{Bucket, Fastuid, Owner, Snapshot, frp};
use crate::chooser::Chooser;
use crate::conflict::Mode;
use crate::machine::{Machine, SockId};
use crate::ns::Ns;
use crate::profile::behaviour::{BindFamily, ReuseportMatch, Scope, Touch, V6Foreign};
use crate::reason::Rule;
use crate::socket::{NONE, Sock, State};

/// A port that a search or a caller came up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    Conflict,
    /// The search should start again (old kernels: the best candidate has become unusable).
    Again,
}

impl<C: Chooser> Machine<C> {
    /// `bind(addr, port)`; port 0 lets the kernel choose.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `EINVAL` or `EAFNOSUPPORT`, in the kernel's order of
    /// checks (`inet_bind`, `inet6_bind`).
    pub fn bind(&mut self, s: SockId, at: Endpoint) -> Result<(), Errno> {
        let Some(i) = self.live(s) else {
            return Err(Errno::EINVAL);
        };
        let at = self.check_bind(i, at)?;
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
        // To inet6_bind() the mapped wildcard is an address like any other: what is accepted there keeps its address.
        // A lock is only ever set: a later bind() of the wildcard does not take it away.
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

    /// The checks before a port is looked for. Returns the address that is really bound.
    fn check_bind(&mut self, i: u32, mut at: Endpoint) -> Result<Endpoint, Errno> {
        let sock = &self.socks[i];
        let inet6 = sock.family == Family::Inet6;
        let path: &[&'static str] = if inet6 {
            &["sys_bind", "inet6_bind"]
        } else {
            &["sys_bind", "inet_bind"]
        };
        if !inet6 && !at.ip.is_v4() {
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
        if inet6 {
            if at.ip.is_multicast() {
                return self.refuse(Errno::EINVAL, Rule::BindNotLocal, path);
            }
            if privileged {
                return self.refuse(Errno::EACCES, Rule::BindPrivileged, path);
            }
            if busy {
                return self.refuse(Errno::EINVAL, Rule::BindAlreadyBound, path);
            }
            if at.ip.is_v4() && sock.v6only {
                return self.refuse(Errno::EINVAL, Rule::BindMappedV6Only, path);
            }
            if at.ip.is_link_local6() && sock.dev == 0 {
                return self.refuse(Errno::EINVAL, Rule::BindNotLocal, path);
            }
            if foreign {
                return self.refuse(Errno::EADDRNOTAVAIL, Rule::BindNotLocal, path);
            }
        } else {
            if foreign {
                return self.refuse(Errno::EADDRNOTAVAIL, Rule::BindNotLocal, path);
            }
            if privileged {
                return self.refuse(Errno::EACCES, Rule::BindPrivileged, path);
            }
            if busy {
                return self.refuse(Errno::EINVAL, Rule::BindAlreadyBound, path);
            }
        }
        Ok(at)
    }

    /// Whether the address is local or something allows to bind it all the same.
    fn may_bind(&self, sock: &Sock, n: &Ns, ip: Ip) -> bool {
        if ip.is_any() || n.is_local(ip) {
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

    /// Takes the wanted port, or searches one if it is 0 (`inet_csk_get_port`). Also what listen()
    /// calls, with the socket already in state LISTEN.
    pub(crate) fn get_port(&mut self, sk: u32, want: u16) -> bool {
        if want == 0 {
            return self.search_port(sk);
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
    /// search: while there is one, the fast path is not taken here.
    pub(crate) fn take_port(&mut self, sk: u32, port: u16, mode: Mode, best: Option<u16>) -> Taken {
        let ns = self.socks[sk].ns;
        let Some(index) = self.ns(ns).by_port.get(port) else {
            self.take_free(sk, port);
            return Taken::Yes;
        };
        // The bucket is moved out so that the rules can look at it and at all sockets together.
        let mut bucket =
            std::mem::replace(&mut self.ns_mut(ns).buckets[index], Bucket::new(port, 0));
        let verdict = self.judge(sk, &mut bucket, mode, best);
        self.ns_mut(ns).buckets[index] = bucket;
        if verdict == Taken::Yes {
            self.ns_mut(ns).note_blocked(index);
            self.hold(sk, port, index);
        }
        verdict
    }

    /// Decides about a port that has owners, and touches the bucket if the socket may join.
    fn judge(&mut self, sk: u32, bucket: &mut Bucket, mode: Mode, best: Option<u16>) -> Taken {
        self.settle_garbage(sk, bucket);
        let force = self.socks[sk].reuse == 2 && self.b.force_reuse();
        let reuses = self.socks[sk].reuses();
        let fast = (reuses && bucket.fastreuse > 0) || self.reuseport_match(sk, bucket);
        if self.b.touch() == Touch::Owners {
            if force || (best.is_none() && fast) {
                return Taken::Yes;
            }
            if self.conflict(sk, bucket, mode).is_some() {
                let reuseport = self.socks[sk].reuseport && self.b.reuseport();
                let rescan = reuses
                    || (reuseport
                        && (bucket.fastreuseport > 0 || self.b.rescan_any_uid())
                        && self.uid_matches(bucket, sk));
                return if rescan && best.is_some() {
                    Taken::Again
                } else {
                    Taken::Conflict
                };
            }
        } else if !force && !fast && self.conflict(sk, bucket, mode).is_some() {
            return Taken::Conflict;
        }
        self.touch(sk, bucket, false);
        Taken::Yes
    }

    /// Joins the bucket of a port that a search has approved.
    pub(crate) fn join(&mut self, sk: u32, port: u16, index: u32) {
        let ns = self.socks[sk].ns;
        let mut bucket =
            std::mem::replace(&mut self.ns_mut(ns).buckets[index], Bucket::new(port, 0));
        self.touch(sk, &mut bucket, false);
        self.ns_mut(ns).buckets[index] = bucket;
        self.ns_mut(ns).note_blocked(index);
        self.hold(sk, port, index);
    }

    /// Makes the bucket of a free port and takes it.
    pub(crate) fn take_free(&mut self, sk: u32, port: u16) {
        let ns = self.socks[sk].ns;
        let index = self.ns_mut(ns).create_bucket(port, 0);
        let mut bucket =
            std::mem::replace(&mut self.ns_mut(ns).buckets[index], Bucket::new(port, 0));
        bucket.fastuid = Fastuid::OfNew;
        self.touch(sk, &mut bucket, true);
        self.ns_mut(ns).buckets[index] = bucket;
        self.ns_mut(ns).note_blocked(index);
        self.hold(sk, port, index);
    }

    /// Changes `fastreuse` and `fastreuseport` for a socket that takes the port
    /// (`inet_csk_update_fastreuse`). `empty`: the bucket has no owner yet.
    fn touch(&mut self, sk: u32, bucket: &mut Bucket, empty: bool) {
        let reuses = self.socks[sk].reuses();
        let reuseport = self.socks[sk].reuseport && self.b.reuseport();
        let uid = self.uid_of(&self.socks[sk]);
        if self.b.touch() == Touch::Owners {
            if empty {
                bucket.fastreuse = i8::from(reuses);
                bucket.fastreuseport = i8::from(reuseport);
                if reuseport {
                    bucket.fastuid = Fastuid::Of(uid);
                }
                return;
            }
            if bucket.fastreuse != 0 && !reuses {
                bucket.fastreuse = 0;
            }
            if bucket.fastreuseport != 0
                && self.b.reuseport()
                && !(reuseport && self.uid_matches(bucket, sk))
            {
                bucket.fastreuseport = frp::NO;
                if self.b.fastuid_zeroed() {
                    bucket.fastuid = Fastuid::Of(0);
                }
            }
            return;
        }
        let first = match self.b.touch() {
            Touch::Owners | Touch::Every => empty,
            Touch::Inverted => !empty,
            Touch::NeverFirst => false,
        };
        if first {
            bucket.fastreuse = i8::from(reuses);
            bucket.fastreuseport = if reuseport { frp::ANY } else { frp::NO };
        } else {
            if !reuses {
                bucket.fastreuse = 0;
            }
            if !reuseport {
                bucket.fastreuseport = frp::NO;
            } else if !self.reuseport_match(sk, bucket) {
                bucket.fastreuseport = frp::STRICT;
            } else {
                return;
            }
        }
        if reuseport {
            let s = &self.socks[sk];
            bucket.fastuid = Fastuid::Of(uid);
            bucket.snapshot = (self.b.reuseport_match() != ReuseportMatch::Uid).then(|| {
                Box::new(Snapshot {
                    addr: s.rcv_saddr,
                    inet6: s.family == Family::Inet6,
                    v6only: s.v6only,
                })
            });
        }
    }

    /// Links the socket to the bucket unless it is there already (listen() on a bound socket), and
    /// brings the entry by address up to date.
    fn hold(&mut self, sk: u32, port: u16, bucket: u32) {
        if self.socks[sk].bucket == NONE {
            self.socks[sk].num = port;
            self.link(Owner::sock(sk), bucket);
            self.count_owner(sk, bucket);
        }
        // Only kernels that recompute the bucket on a release look at these (`recompute_on_release`).
        let (ns, addr) = (self.socks[sk].ns, self.socks[sk].rcv_saddr);
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
        self.bsockets += 1;
    }

    /// Gives the port back (`inet_put_port`); the number that getsockname() prints stays.
    pub(crate) fn put_port(&mut self, sk: u32) {
        let sock = &self.socks[sk];
        if sock.bucket == NONE {
            return;
        }
        let (ns, bucket) = (sock.ns, sock.bucket);
        self.ns_mut(ns).buckets[bucket].num_owners -= 1;
        self.bsockets -= 1;
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
        if bucket == NONE || old == addr {
            return;
        }
        let (family, connect) = (sock.family, sock.connect_bind);
        let recompute = || self.b.recompute_on_release();
        let n = &mut self.nss[usize::from(ns)];
        // The bucket itself is not recomputed here, which leaves the hole that the kernel has.
        n.leave_address(bucket, old, family, connect, recompute);
        n.enter_address(bucket, addr, family, connect);
    }
}
