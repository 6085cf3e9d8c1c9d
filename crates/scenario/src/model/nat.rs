use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::value::{NatPreset, NatRandom, PortRange};

/// The rules of a NAT host.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Nat {
    /// The translation of the sources of connections that leave for other hosts; `None` if they
    /// stay as they are.
    pub source: Option<NatSource>,
    /// Destinations that are translated, each to one of its backends.
    pub dnat: Vec<(SocketAddr, Vec<SocketAddr>)>,
}

/// A translation of sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatSource {
    /// `masquerade` or `snat` of nftables.
    Linux {
        /// The consecutive addresses of `snat`; none for `masquerade`.
        addresses: Vec<IpAddr>,
        /// The ports to choose from.
        ports: Option<PortRange>,
        /// The flag that says how ports are chosen.
        random: NatRandom,
        /// The `persistent` flag.
        persistent: bool,
    },
    /// A NAT of a cloud provider, by name.
    Preset(NatPreset),
    /// A number of ports for each client.
    Quota {
        /// Connections of a client at once to one destination.
        ports_per_client: u32,
        /// The time for which a port is kept after the connection was closed.
        hold_after_close: Duration,
        /// The time after which a connection without packets is forgotten.
        idle: Duration,
    },
}

/// The time after which a quota forgets a connection without packets, if the scenario has none.
pub(crate) const IDLE: Duration = Duration::from_secs(350);
