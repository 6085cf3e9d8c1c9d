//! A network namespace: its addresses, sysctls, bind buckets and established table.

use crate::Errno;
use crate::Family;
use crate::addr::Ip;
use crate::bucket::held::HeldPorts;
use crate::bucket::{Bucket, ByAddr, Owner, OwnerKind};
use crate::conn::requests::Requests;
use crate::conn::socket::{Sock, Tw};
use crate::conn::tuples::{Tuple, Tuples};
use crate::port::destinations::Destinations;
use crate::port::set::{PortMap, PortSet};
use crate::slab::Slab;
use crate::sysctl::Values;
use crate::time::Time;
use crate::udp::ports::UdpPorts;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    pub(crate) alive: bool,
    pub(crate) addresses: Vec<Ip>,
    /// Destinations that are not local can be reached (a default route exists).
    pub(crate) routed: bool,
    pub(crate) values: Values,
    pub(crate) buckets: Slab<Bucket>,
    pub(crate) by_port: PortMap,
    /// Ports whose bucket connect() without bind() skips.
    pub(crate) blocked: PortSet,
    /// Ports with a bucket.
    pub(crate) used: PortSet,
    /// Ports by the addresses that hold them.
    pub(crate) held: HeldPorts,
    /// Ports in use towards destinations whose ports were often found taken.
    pub(crate) destinations: Destinations,
    /// Sockets and TIME-WAIT sockets by 4-tuple.
    pub(crate) established: Tuples,
    /// Some socket was bound to a device, so that a 4-tuple may be there twice.
    pub(crate) devices: bool,
    /// No network joins this namespace to others: its addresses are on its only interface.
    pub(crate) alone: bool,
    pub(crate) listeners: BTreeMap<u16, Vec<u32>>,
    pub(crate) requests: Requests,
    pub(crate) udp: UdpPorts,
    pub(crate) tw_count: u32,
    /// Length of TIME-WAIT in nanoseconds; the kernel's is 60 s.
    pub(crate) time_wait: u64,
    /// Until then duplicate address detection goes on for the IPv6 addresses.
    pub(crate) tentative_until: Time,
}

impl Namespace {
    pub(crate) fn new(values: Values) -> Self {
        Namespace {
            alive: true,
            addresses: Vec::new(),
            routed: false,
            values,
            buckets: Slab::default(),
            by_port: PortMap::default(),
            blocked: PortSet::default(),
            used: PortSet::default(),
            held: HeldPorts::default(),
            destinations: Destinations::default(),
            established: Tuples::default(),
            devices: false,
            alone: false,
            listeners: BTreeMap::new(),
            requests: Requests::default(),
            udp: UdpPorts::default(),
            tw_count: 0,
            time_wait: 60 * crate::time::SEC,
            tentative_until: Time(0),
        }
    }

    /// Returns `true` if an address belongs to this namespace. 127.0.0.0/8 always does, and ::1
    /// unless IPv6 is switched off.
    pub(crate) fn is_local(&self, ip: Ip) -> bool {
        (ip.is_loopback() || self.addresses.contains(&ip)) && (ip.is_v4() || !self.ipv6_is_off(ip))
    }

    /// Returns `true` if an IPv6 address is in duplicate address detection, and not yet usable
    /// (`ipv6_chk_addr`, `IFA_F_TENTATIVE`).
    pub(crate) fn is_tentative(&self, ip: Ip, now: Time) -> bool {
        now < self.tentative_until && !ip.is_v4() && self.addresses.contains(&ip)
    }

    /// Returns `true` if `disable_ipv6` has taken an IPv6 address, and the routes to it, away.
    fn ipv6_is_off(&self, ip: Ip) -> bool {
        match ip.is_loopback() {
            true => self.values.ipv6_off_on_lo,
            false => self.values.ipv6_off,
        }
    }

    /// Takes away the addresses, and the routes with them, of interfaces that `disable_ipv6` has
    /// switched off (`addrconf_ifdown`). Switching them on again brings back ::1 alone.
    pub(crate) fn drop_disabled_addresses(&mut self) {
        let off = self.values.ipv6_off || self.alone && self.values.ipv6_off_on_lo;
        if off {
            self.addresses.retain(|ip| ip.is_v4());
        }
    }

    /// Looks up the route to an address, for a socket that has a source address or not
    /// (`ip_route_output_key`, `ip6_dst_lookup_tail`).
    ///
    /// # Errors
    /// `ENETUNREACH` without a route, `EADDRNOTAVAIL` where `disable_ipv6` leaves no source
    /// address, the want of which is seen before the route's.
    pub(crate) fn route(&self, to: Ip, has_source: bool) -> Result<(), Errno> {
        if self.is_local(to) {
            return Ok(());
        }
        if !to.is_v4() && self.ipv6_is_off(to) {
            return Err(match has_source {
                true => Errno::ENETUNREACH,
                false => Errno::EADDRNOTAVAIL,
            });
        }
        match self.routed && self.primary(to).is_some() {
            true => Ok(()),
            false => Err(Errno::ENETUNREACH),
        }
    }

    /// The first address of the family of `towards`, which routes to other hosts prefer.
    pub(crate) fn primary(&self, towards: Ip) -> Option<Ip> {
        self.addresses
            .iter()
            .copied()
            .find(|a| a.is_v4() == towards.is_v4())
    }

    pub(crate) fn bucket(&self, port: u16) -> Option<&Bucket> {
        self.by_port.get(port).map(|i| &self.buckets[i])
    }

    /// Brings the set of blocked ports up to date after a bucket has changed.
    pub(crate) fn note_blocked(&mut self, bucket: u32) {
        let b = &self.buckets[bucket];
        if b.blocks_connect() {
            self.blocked.insert(b.port);
        } else {
            self.blocked.remove(b.port);
        }
    }

    pub(crate) fn create_bucket(&mut self, port: u16, value: i8) -> u32 {
        let i = self.buckets.insert(Bucket::new(port, value));
        self.by_port.set(port, i);
        self.used.insert(port);
        self.note_blocked(i);
        i
    }

    pub(crate) fn destroy_bucket(&mut self, bucket: u32) {
        let b = self.buckets.remove(bucket);
        debug_assert!(
            b.owners.is_empty(),
            "a bucket with owners must not be destroyed"
        );
        self.by_port.clear(b.port);
        self.blocked.remove(b.port);
        self.used.remove(b.port);
    }

    /// An owner joins, or makes, the entry by address of a bucket.
    pub(crate) fn enter_address(&mut self, bucket: u32, addr: Ip, family: Family, connect: bool) {
        let b = &mut self.buckets[bucket];
        let value = if connect { -1 } else { 0 };
        let inet6 = family == Family::Inet6;
        let i = b
            .by_addr
            .iter()
            .position(|a| a.addr == addr)
            .unwrap_or_else(|| {
                b.by_addr.push(ByAddr {
                    addr,
                    inet6,
                    fastreuse: value,
                    fastreuseport: value,
                    owners: [0; 2],
                    connect_owners: 0,
                });
                b.by_addr.len() - 1
            });
        let a = &mut b.by_addr[i];
        a.connect_owners += u32::from(connect);
        a.owners[usize::from(inet6)] += 1;
        if a.owners[usize::from(inet6)] == 1 {
            self.held.put(family, addr, b.port, true);
        }
    }

    /// An owner leaves the entry by address; from 6.18 on (`recompute`) the entry becomes
    /// connect-only again once all that are left got their port inside connect().
    pub(crate) fn leave_address(
        &mut self,
        bucket: u32,
        addr: Ip,
        family: Family,
        connect: bool,
        recompute: impl Fn() -> bool,
    ) {
        let b = &mut self.buckets[bucket];
        let inet6 = usize::from(family == Family::Inet6);
        let i = b
            .by_addr
            .iter()
            .position(|a| a.addr == addr)
            .expect("every owner has an entry");
        let a = &mut b.by_addr[i];
        a.owners[inet6] -= 1;
        a.connect_owners -= u32::from(connect);
        let gone = a.owners[inet6] == 0;
        let left = a.owners[0] + a.owners[1];
        if left == 0 {
            b.by_addr.swap_remove(i);
        } else if (a.fastreuse, a.fastreuseport) != (-1, -1)
            && left == a.connect_owners
            && recompute()
        {
            a.fastreuse = -1;
            a.fastreuseport = -1;
        }
        if gone {
            let more = b.by_addr.iter().any(|a| a.owners[inet6] > 0);
            self.held.put(family, addr, b.port, false);
            self.held.put_family(family, b.port, more);
        }
    }
}

pub(crate) fn tuple_of(socks: &Slab<Sock>, tws: &Slab<Tw>, owner: Owner) -> Tuple {
    match owner.kind() {
        OwnerKind::Sock(i) => {
            let s = &socks[i];
            Tuple {
                local: s.rcv_saddr,
                remote: s.daddr,
                lport: s.num,
                rport: s.dport,
            }
        }
        OwnerKind::Tw(i) => {
            let t = &tws[i];
            Tuple {
                local: t.local,
                remote: t.remote,
                lport: t.lport,
                rport: t.rport,
            }
        }
    }
}
