//! The UDP ports in use in a namespace (`struct udp_table`).

use crate::Family;
use crate::addr::Ip;
use crate::bucket::held::HeldPorts;
use crate::conn::socket::Sock;
use crate::slab::Slab;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// The sockets of each port, in the order in which the kernel's hash chain has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct UdpPorts {
    by_port: BTreeMap<u16, SmallVec<[u32; 2]>>,
    /// Ports by the addresses that hold them.
    pub(crate) held: HeldPorts,
}

impl UdpPorts {
    /// The sockets on a port, in the order in which they are compared.
    pub(crate) fn owners(&self, port: u16) -> &[u32] {
        self.by_port.get(&port).map_or(&[], |owners| owners)
    }

    /// Every port in use, with its sockets.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &[u32])> {
        self.by_port
            .iter()
            .map(|(port, owners)| (*port, &owners[..]))
    }

    /// A socket takes a port: at the head of the chain, or at its end.
    pub(crate) fn insert(&mut self, port: u16, sk: u32, sock: &Sock, at_end: bool) {
        let owners = self.by_port.entry(port).or_default();
        let place = if at_end { owners.len() } else { 0 };
        owners.insert(place, sk);
        self.held.put(sock.family, sock.rcv_saddr, port, true);
    }

    /// A socket leaves a port.
    pub(crate) fn remove(&mut self, port: u16, sk: u32, socks: &Slab<Sock>) {
        let Some(owners) = self.by_port.get_mut(&port) else {
            return;
        };
        owners.retain(|owner| *owner != sk);
        if owners.is_empty() {
            self.by_port.remove(&port);
        }
        let sock = &socks[sk];
        self.left(port, sock.family, sock.rcv_saddr, socks);
    }

    /// A socket on a port has another address than before.
    pub(crate) fn moved(&mut self, port: u16, old: Ip, sk: u32, socks: &Slab<Sock>) {
        let sock = &socks[sk];
        self.left(port, sock.family, old, socks);
        self.held.put(sock.family, sock.rcv_saddr, port, true);
    }

    /// An owner of this address has left the port: the index forgets it if it was the last one.
    fn left(&mut self, port: u16, family: Family, addr: Ip, socks: &Slab<Sock>) {
        let owners = self.by_port.get(&port).map_or(&[][..], |owners| owners);
        let of_family = owners.iter().filter(|i| socks[**i].family == family);
        let (mut same, mut any) = (false, false);
        for owner in of_family {
            any = true;
            same |= socks[*owner].rcv_saddr == addr;
        }
        self.held.put(family, addr, port, same);
        self.held.put_family(family, port, any);
    }
}
