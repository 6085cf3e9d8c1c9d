//! The way of packets from host to host, through the NAT hosts in between.
//!
//! Hosts form trees: packets that leave a host go to its router, those of a host without one to any
//! host that has none either. A packet goes up from its sender until a host on the way leads down
//! to its destination.

use super::pass::Route;
use super::view::{Passage, Trace};
use crate::addr::Ip;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The hosts of a network by their addresses, and their routers. `H` names a host.
///
/// ```
/// use fourtuple_kernel::nat::{Hop, Ways};
/// use std::net::IpAddr;
///
/// let [pod, node, server] = [1, 2, 3];
/// let ips: [IpAddr; 3] = [[10, 1, 0, 2], [192, 0, 2, 1], [198, 51, 100, 7]].map(Into::into);
/// let mut ways = Ways::default();
/// for (host, ip) in [pod, node, server].into_iter().zip(ips) {
///     ways.add_address(host, ip);
/// }
/// ways.set_router(pod, node);
/// assert_eq!(ways.hop(pod, ips[2]), Hop::To(node));
/// assert_eq!(ways.hop(node, ips[2]), Hop::To(server));
/// assert_eq!(ways.hop(server, ips[2]), Hop::Here);
/// ```
#[derive(Clone, Debug)]
pub struct Ways<H> {
    addresses: BTreeMap<Ip, H>,
    /// The host through which all packets of a host go that leave it.
    routers: BTreeMap<H, H>,
}

impl<H> Default for Ways<H> {
    fn default() -> Self {
        Ways {
            addresses: BTreeMap::new(),
            routers: BTreeMap::new(),
        }
    }
}

/// The next host on the way of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop<H> {
    /// Another host.
    To(H),
    /// This host: it has the address.
    Here,
    /// None: no host has the address, and this one has no router.
    Lost,
}

impl<H: Copy + Ord> Ways<H> {
    /// Gives a host an address. The first one to have an address gets its packets.
    pub fn add_address(&mut self, host: H, ip: IpAddr) {
        self.addresses.entry(ip.into()).or_insert(host);
    }

    /// Sends all packets that leave a host through another. Routers must not form a circle.
    pub fn set_router(&mut self, host: H, router: H) {
        self.routers.insert(host, router);
    }

    /// The host through which all packets of a host go that leave it.
    #[must_use]
    pub fn router(&self, host: H) -> Option<H> {
        self.routers.get(&host).copied()
    }

    /// Returns `true` if no host has a router.
    #[must_use]
    pub fn are_direct(&self) -> bool {
        self.routers.is_empty()
    }

    /// The host that has an address.
    pub(crate) fn owner(&self, ip: Ip) -> Option<H> {
        self.addresses.get(&ip).copied()
    }

    /// The next host on the way from one to an address.
    #[must_use]
    pub fn hop(&self, at: H, to: IpAddr) -> Hop<H> {
        match self.next(at, to.into()) {
            Some(next) if next == at => Hop::Here,
            Some(next) => Hop::To(next),
            None => Hop::Lost,
        }
    }

    /// The next host on the way from one to an address; the host itself if it has the address.
    fn next(&self, at: H, to: Ip) -> Option<H> {
        let Some(owner) = self.addresses.get(&to).copied() else {
            return self.routers.get(&at).copied();
        };
        let mut down = owner;
        loop {
            if down == at {
                return Some(at);
            }
            match self.routers.get(&down) {
                Some(router) if *router == at => return Some(down),
                Some(router) => down = *router,
                None => break,
            }
        }
        self.routers.get(&at).copied().or(Some(down))
    }

    /// The side of a host that an address is on.
    pub(super) fn route(&self, at: H, to: Ip) -> Route {
        match self.next(at, to) {
            Some(next) if next == at => Route::Local,
            Some(next) if self.routers.get(&next) == Some(&at) => Route::Inside,
            _ => Route::Outside,
        }
    }

    /// The most hosts that a packet passes: each at most twice, up and down, and once more where it
    /// is answered.
    #[must_use]
    pub fn most_hops(&self) -> usize {
        4 * (self.routers.len() + 2)
    }

    /// Follows a connection from a host through the NAT hosts on its way: up to the first that
    /// dropped its SYNs, or to its end, with the rule of the host that changed most. `trace`
    /// looks a connection up at one.
    pub fn trace(
        &self,
        start: H,
        (from, to): (SocketAddr, SocketAddr),
        mut trace: impl FnMut(H, SocketAddr, SocketAddr) -> Option<Trace>,
    ) -> Option<Trace> {
        let (mut at, mut from, mut to) = (start, from, to);
        let mut whole: Option<Passage> = None;
        for _ in 0..=self.routers.len() {
            match trace(at, from, to) {
                Some(Trace::Passed(one)) => {
                    let chosen = whole.map_or(one.chosen, |before| before.chosen.max(one.chosen));
                    (from, to) = (one.source, one.destination);
                    whole = Some(Passage { chosen, ..one });
                }
                Some(dropped) => return Some(dropped),
                None => {}
            }
            match self.hop(at, to.ip()) {
                Hop::To(next) => at = next,
                Hop::Here | Hop::Lost => break,
            }
        }
        whole.map(Trace::Passed)
    }
}
