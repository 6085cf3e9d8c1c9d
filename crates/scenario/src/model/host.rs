use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;

use crate::schema::written;
use crate::span::Spanned;
use crate::value::Switch;

/// Sysctls by name, each with its value in the kernel's spelling. The two ends of
/// `ip_local_port_range`, which a scenario writes as `40000-40003`, are separated by a space here.
pub type Sysctls = IndexMap<String, String>;

/// One simulated Linux network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Host {
    /// The addresses of the host. The loopback addresses are implicit.
    #[schemars(with = "Option<written::OneOrMany<IpAddr>>")]
    pub addresses: Vec<IpAddr>,
    /// IPv6 support: `off` sets `disable_ipv6` on all interfaces, which removes `::1` too.
    #[schemars(with = "Option<written::Switch>")]
    pub ipv6: Option<Switch>,
    /// The time, from the start of the run, for which the host's IPv6 addresses are in duplicate
    /// address detection and bind() refuses them [default: 0s].
    #[schemars(with = "Option<written::Duration>")]
    pub tentative: Duration,
    /// Sysctls by name. The ephemeral port range is written `40000-40003`.
    #[schemars(with = "Option<IndexMap<String, written::Scalar>>")]
    pub sysctl: Sysctls,
    /// Listeners that exist from the start, accept every connection and keep it open.
    #[schemars(with = "Option<written::OneOrMany<written::Endpoint>>")]
    pub listen: Vec<SocketAddr>,
    /// The tick rate of this host's kernel (`CONFIG_HZ`), if it differs from its distribution's.
    #[schemars(with = "Option<written::Hz>")]
    pub hz: Option<u32>,
    /// The kernel of this host, if it differs from the scenario's.
    pub kernel: Option<Spanned<String>>,
    /// The machine of which this host is a network namespace. Hosts with the same machine share one
    /// kernel.
    pub machine: Option<String>,
    /// The host through which this one's packets leave: a router, or a NAT host.
    pub via: Option<Spanned<String>>,
    /// The rules by which this host translates the packets that pass it.
    #[schemars(with = "Option<written::Nat>")]
    pub nat: Option<super::Nat>,
}

impl Host {
    /// The sysctls to write before anything runs, including those that other fields imply.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        let ipv6 = (self.ipv6 == Some(Switch::Off)).then_some((DISABLE_IPV6, "1"));
        let sysctl = self.sysctl.iter();
        ipv6.into_iter()
            .chain(sysctl.map(|(key, value)| (key.as_str(), value.as_str())))
    }
}

const DISABLE_IPV6: &str = "net.ipv6.conf.all.disable_ipv6";
