//! UDP sockets of a table. Each has its port, and neither its state nor its peer matters: it is
//! enough to bind it.

use std::net::{IpAddr, SocketAddr};

use indexmap::IndexMap;

use super::table::Row;
use crate::import::notes::Notes;
use crate::value::Protocol;

/// A UDP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Datagram {
    pub(super) local: SocketAddr,
    /// `true` if it has `SO_REUSEADDR`: it could not exist beside another one otherwise.
    pub(super) reuse: bool,
    /// `true` if it has `IPV6_V6ONLY`: an IPv4 socket has the port on the wildcard address.
    pub(super) v6only: bool,
}

impl Datagram {
    fn overlaps(&self, other: &Datagram) -> bool {
        let families = |one: &Datagram| match one.local.ip() {
            IpAddr::V4(_) => [true, false],
            IpAddr::V6(ip) => [ip.is_unspecified() && !one.v6only, true],
        };
        let shared = families(self).into_iter().zip(families(other));
        let wild = |one: &Datagram| one.local.ip().is_unspecified();
        shared.into_iter().any(|(one, other)| one && other)
            && (wild(self) || wild(other) || self.local.ip() == other.local.ip())
    }
}

/// The UDP sockets of a table that hold a port.
pub(super) fn datagrams(rows: &[Row], notes: &mut Notes) -> Vec<Datagram> {
    let mut ports: IndexMap<u16, Vec<Datagram>> = IndexMap::new();
    let mut connected = false;
    for row in rows.iter().filter(|row| row.protocol == Protocol::Udp) {
        let ip = row.local.ip();
        let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
        if ip.is_multicast() || broadcast {
            let what = "UDP sockets that are bound to a multicast or broadcast address";
            notes.count(what, row.line);
            continue;
        }
        connected |= row.peer.is_some();
        ports.entry(row.local.port()).or_default().push(Datagram {
            local: row.local,
            reuse: false,
            v6only: false,
        });
    }
    let mut shares = false;
    for sockets in ports.values_mut() {
        let wild = |one: &Datagram| one.local.ip().is_unspecified();
        let v4 = sockets.iter().any(|one| wild(one) && one.local.is_ipv4());
        for one in sockets.iter_mut() {
            one.v6only = v4 && wild(one) && one.local.is_ipv6();
        }
        let pairs = |n: usize| sockets[..n].iter().any(|one| one.overlaps(&sockets[n]));
        let share = (1..sockets.len()).any(pairs);
        sockets.iter_mut().for_each(|one| one.reuse = share);
        shares |= share;
    }
    if shares {
        notes.assumed(
            "UDP sockets whose addresses overlap on one port have SO_REUSEADDR: they could not exist together without an option",
        );
    }
    if connected {
        notes.left_out("the peers of connected UDP sockets: no port depends on them");
    }
    ports.into_values().flatten().collect()
}

/// Counts the sockets whose ports the kernel may have selected, by address: those that share a port
/// of an address once.
pub(super) fn by_address(
    all: &[Datagram],
    selectable: impl Fn(u16) -> bool,
) -> IndexMap<IpAddr, usize> {
    let mut seen: IndexMap<IpAddr, Vec<u16>> = IndexMap::new();
    for one in all.iter().filter(|one| selectable(one.local.port())) {
        seen.entry(one.local.ip())
            .or_default()
            .push(one.local.port());
    }
    let counted = seen.into_iter().map(|(ip, mut ports)| {
        ports.sort_unstable();
        ports.dedup();
        (ip, ports.len())
    });
    counted.collect()
}
