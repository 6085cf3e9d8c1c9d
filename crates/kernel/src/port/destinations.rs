//! The local ports in use towards one destination, as bits.
//!
//! Kept only for destinations whose ports a connect() search has often found taken, so that the
//! next search skips them a word at a time instead of asking the established table for each.

use crate::addr::{Ip, fold};
use crate::conn::socket::Sock;
use crate::port::set::PortSet;
use hashbrown::HashTable;

/// Source address, destination address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) saddr: Ip,
    pub(crate) daddr: Ip,
    pub(crate) dport: u16,
}

impl Destination {
    /// The destination of a socket that connects.
    pub(crate) fn of(s: &Sock) -> Self {
        Destination {
            saddr: s.rcv_saddr,
            daddr: s.daddr,
            dport: s.dport,
        }
    }

    fn hash(&self) -> u64 {
        let ((a, b), (c, d)) = (self.saddr.halves(), self.daddr.halves());
        let source = a.rotate_left(32) ^ b ^ u64::from(self.dport) << 48;
        fold(
            source ^ 0x9e37_79b9_7f4a_7c15,
            c ^ d ^ 0xff51_afd7_ed55_8ccd,
        )
    }
}

#[derive(Clone, Debug)]
pub(crate) struct InUse {
    to: Destination,
    /// Ports with any entry of the established table.
    pub(crate) taken: PortSet,
    /// Those among them that may be usable all the same: only TIME-WAITs or entries of a device.
    soft: PortSet,
    soft_count: u32,
}

impl InUse {
    /// Ports whose entry may give way, if there are any.
    pub(crate) fn soft(&self) -> Option<&PortSet> {
        (self.soft_count > 0).then_some(&self.soft)
    }
}

/// So many destinations cost little memory.
const FEW: usize = 64;
/// One destination for so many connections costs each of them 16 bytes.
const CONNECTIONS: usize = 1024;
/// The number of destinations that are kept; one more replaces the oldest.
const MAX: usize = 4096;

#[derive(Clone, Debug, Default)]
pub(crate) struct Destinations {
    list: Vec<InUse>,
    /// Places in the list by destination.
    places: HashTable<usize>,
    next: usize,
    /// The one that was asked for last: bursts go to one destination.
    last: usize,
}

impl Destinations {
    /// After how many 4-tuples found taken in one search its destination is worth to be kept. The
    /// first ones always are: early, few ports have to be asked for. Where another one has to go
    /// for it, only a search that costs as much as the making of the index does. `connections`: how
    /// many the namespace has; an index may cost each of them as little as those first ones do.
    pub(crate) fn enough(&self, connections: usize) -> u32 {
        match self.list.len() {
            MAX.. => 4096,
            few if few < FEW.max(connections / CONNECTIONS) => 1,
            _ => 16,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn place(&self, to: Destination) -> Option<usize> {
        if self.list.get(self.last).is_some_and(|d| d.to == to) {
            return Some(self.last);
        }
        self.places
            .find(to.hash(), |&place| self.list[place].to == to)
            .copied()
    }

    pub(crate) fn get(&self, place: usize) -> &InUse {
        &self.list[place]
    }

    /// Notes what the established table has for a port now.
    pub(crate) fn put(&mut self, place: usize, port: u16, taken: bool, soft: bool) {
        self.last = place;
        let d = &mut self.list[place];
        d.taken.put(port, taken);
        match (d.soft.contains(port), soft) {
            (false, true) => d.soft_count += 1,
            (true, false) => d.soft_count -= 1,
            _ => return,
        }
        d.soft.put(port, soft);
    }

    /// Starts to keep a destination with no ports in use yet.
    pub(crate) fn add(&mut self, to: Destination) -> usize {
        let entry = InUse {
            to,
            taken: PortSet::EMPTY,
            soft: PortSet::EMPTY,
            soft_count: 0,
        };
        let place = if self.list.len() < MAX {
            self.list.push(entry);
            self.list.len() - 1
        } else {
            let place = self.next;
            self.next = (self.next + 1) % MAX;
            let former = std::mem::replace(&mut self.list[place], entry);
            if let Ok(found) = self.places.find_entry(former.to.hash(), |&p| p == place) {
                found.remove();
            }
            place
        };
        let list = &self.list;
        self.places
            .insert_unique(to.hash(), place, |&place| list[place].to.hash());
        place
    }
}
