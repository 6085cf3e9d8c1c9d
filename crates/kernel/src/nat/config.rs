//! The configuration of a NAT host.

use crate::addr::Ip;
use std::net::{IpAddr, SocketAddr};

/// The rules of a NAT host: what it translates, and how it chooses ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NatRules {
    /// The translation of sources of flows that leave for the outside; `None` leaves them as they
    /// are.
    pub source: Option<SourceNat>,
    /// Destinations that are translated, each to one of its backends.
    pub destinations: Vec<DestinationNat>,
}

impl NatRules {
    /// The addresses that are the NAT host's own by its rules, unless another host has them: those
    /// of `snat`, and the destinations that it translates.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let pool = match &self.source {
            Some(SourceNat::Linux(linux)) => linux.addresses,
            _ => None,
        };
        let pool = pool.into_iter().flat_map(|(low, high)| between(low, high));
        pool.chain(self.destinations.iter().map(|rule| rule.to.ip()))
    }
}

/// The addresses from one to another.
fn between(low: IpAddr, high: IpAddr) -> impl Iterator<Item = IpAddr> {
    let bits = Ip::from(low).bits()..=Ip::from(high).bits();
    bits.take(MOST_ADDRESSES)
        .map(|bits| Ip::from_bits(bits).into())
}

/// The most addresses of a `snat` rule.
const MOST_ADDRESSES: usize = 256;

/// Source NAT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceNat {
    /// By Linux: `masquerade` or `snat` of nftables, `MASQUERADE` or `SNAT` of iptables.
    Linux(LinuxNat),
    /// By a cloud provider, who hands out a number of ports.
    Quota(QuotaNat),
}

/// The statement of a Linux rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinuxNat {
    /// The first and the last address (`snat to A-B`); `None` is `masquerade`: the NAT host's own.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// The first and the last port (`to :P-Q`).
    pub ports: Option<(u16, u16)>,
    /// The choice of the port.
    pub random: Randomness,
    /// `persistent`: the address depends on the client alone.
    pub persistent: bool,
}

/// The flags of a rule that say how ports are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Randomness {
    /// The client's own port if it is free.
    #[default]
    No,
    /// `random`, `--random`: since 5.0 the same as the next, before a hash of the connection.
    Hashed,
    /// `fully-random`, `--random-fully`: a random port.
    Fully,
}

/// A destination and its backends: `dnat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationNat {
    /// The destination that clients connect to.
    pub to: SocketAddr,
    /// The destinations that they reach, each with the same probability.
    pub backends: Vec<SocketAddr>,
}

/// A NAT of a cloud provider: so many ports, kept for some time after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaNat {
    /// The owner of a number of ports.
    pub share: Share,
    /// The number of ports: of connections at once to one destination.
    pub ports: u32,
    /// The time for which a port is kept after the connection was closed, in nanoseconds.
    pub hold_after_close: u64,
    /// The same after a reset.
    pub hold_after_reset: u64,
    /// The time after which a connection without packets is forgotten, in nanoseconds.
    pub idle: u64,
    /// A packet of a forgotten connection is answered by a reset; otherwise it is lost.
    pub resets: bool,
}

/// The owner of the ports of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Each client has as many.
    Client,
    /// All clients share them.
    All,
}
