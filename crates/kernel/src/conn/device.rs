//! Interfaces: where a host's own addresses are, by which interface a segment arrives, and which
//! sockets see it (`inet_iif`, `inet6_iif`, `inet_sk_bound_dev_eq`).
//!
//! A host has `lo`, with 127.0.0.0/8 and ::1, and one interface with all its other addresses. A
//! socket that is bound to an interface sends by it alone, and sees what arrives by it alone.

use crate::addr::Ip;
use crate::namespace::Namespace;
use crate::profile::TrackedBehaviours;

/// Interface index of `lo`.
pub(crate) const LOOPBACK: u16 = 1;
/// The interface that has a host's addresses.
pub(crate) const ETHERNET: u16 = 2;

/// The interface by which a segment arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Loopback,
    Ethernet,
    /// `lo`, on a route that IPv4 made up for a socket bound to it: no table has the address there
    /// (`ip_route_output_key`).
    OnLink,
    /// The only interface with the address, of a host that no network joins to others: any device
    /// that a socket is bound to.
    Only,
}

impl Arrival {
    /// Returns `true` if a socket bound to a device, or to none (0), sees the segment.
    pub(crate) fn reaches(self, bound: u16) -> bool {
        bound == 0
            || match self {
                Arrival::Loopback | Arrival::OnLink => bound == LOOPBACK,
                Arrival::Ethernet => bound == ETHERNET,
                Arrival::Only => true,
            }
    }
}

impl Namespace {
    /// The interface with an own address.
    fn home(&self, ip: Ip) -> Arrival {
        match (ip.is_loopback(), self.alone) {
            (true, _) => Arrival::Loopback,
            (false, true) => Arrival::Only,
            (false, false) => Arrival::Ethernet,
        }
    }

    /// Returns `true` if a socket bound to `dev`, or to none (0), has a route to an own address.
    pub(crate) fn is_on(&self, ip: Ip, dev: u16) -> bool {
        self.home(ip).reaches(dev)
    }

    /// The interface by which a segment to an own address arrives that a socket bound to `dev`, or
    /// to none (0), sends. `None` if it is lost.
    pub(crate) fn arrival(&self, rules: &TrackedBehaviours, dev: u16, to: Ip) -> Option<Arrival> {
        let home = self.home(to);
        if dev == 0 {
            let by_lo = home == Arrival::Ethernet
                && to.is_v4()
                && self.devices
                && !rules.arrives_by_owner();
            return Some(if by_lo { Arrival::Loopback } else { home });
        }
        if home.reaches(dev) {
            return Some(home);
        }
        (to.is_v4() && dev == LOOPBACK).then_some(Arrival::OnLink)
    }
}
