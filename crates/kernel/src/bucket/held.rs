//! The ports that an address holds, as bits: a bind() search skips ports whose owners certainly
//! conflict without a visit to each.

use crate::Family;
use crate::addr::Ip;
use crate::port::set::PortSet;

/// Addresses beyond this many are not indexed; their ports are visited one by one.
const MAX_ADDRESSES: usize = 64;

/// Ports by family and local address of their owners.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeldPorts {
    by_address: Vec<(Family, Ip, PortSet)>,
    families: [PortSet; 2],
}

/// The set of a search for which the index has no entry.
static NOTHING: PortSet = PortSet::EMPTY;

impl HeldPorts {
    /// Records that an owner of this address is on the port, or that the last one has left.
    pub(crate) fn put(&mut self, family: Family, addr: Ip, port: u16, inside: bool) {
        if inside {
            self.put_family(family, port, true);
        }
        let place = self
            .by_address
            .iter()
            .position(|(f, a, _)| (*f, *a) == (family, addr));
        match place {
            Some(i) => self.by_address[i].2.put(port, inside),
            None if inside && self.by_address.len() < MAX_ADDRESSES => {
                let mut set = PortSet::default();
                set.insert(port);
                self.by_address.push((family, addr, set));
            }
            None => {}
        }
    }

    /// Some owner of the family is on the port, or none is.
    pub(crate) fn put_family(&mut self, family: Family, port: u16, inside: bool) {
        self.families[usize::from(family == Family::Inet6)].put(port, inside);
    }

    /// Ports with an owner of this address; none if the address is not indexed.
    pub(crate) fn address(&self, family: Family, addr: Ip) -> &PortSet {
        self.by_address
            .iter()
            .find(|(f, a, _)| (*f, *a) == (family, addr))
            .map_or(&NOTHING, |(_, _, set)| set)
    }

    /// Ports with an owner of this family.
    pub(crate) fn family(&self, family: Family) -> &PortSet {
        &self.families[usize::from(family == Family::Inet6)]
    }

    /// The empty set.
    pub(crate) fn nothing() -> &'static PortSet {
        &NOTHING
    }
}
