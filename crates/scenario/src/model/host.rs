//! Hosts.

use std::net::{IpAddr, SocketAddr};

use indexmap::IndexMap;
use schemars::JsonSchema;

use crate::schema::written;
use crate::span::Spanned;
use crate::value::Switch;

/// Sysctls by name, each with its value in the kernel's own writing. The two ends of `ip_local_port_range`, which a
/// scenario writes as `40000-40003`, are separated by a space here.
pub type Sysctls = IndexMap<String, String>;

/// One simulated Linux network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Host {
    /// The addresses of the host. The loopback addresses are there without being named.
    #[schemars(with = "Option<written::OneOrMany<IpAddr>>")]
    pub addresses: Vec<IpAddr>,
    /// Whether the host has IPv6: `off` is `disable_ipv6` on all interfaces, which takes `::1` away too.
    #[schemars(with = "Option<written::Switch>")]
    pub ipv6: Option<Switch>,
    /// Sysctls by name. The range of local ports is written `40000-40003`.
    #[schemars(with = "Option<IndexMap<String, written::Scalar>>")]
    pub sysctl: Sysctls,
    /// Listeners that are there from the start, accept every connection and keep it.
    #[schemars(with = "Option<written::OneOrMany<written::Endpoint>>")]
    pub listen: Vec<SocketAddr>,
    /// The ticks per second of this host's kernel (`CONFIG_HZ`), when they differ from those of its distribution.
    #[schemars(with = "Option<written::Hz>")]
    pub hz: Option<u32>,
    /// The kernel of this host, when it differs from the scenario's.
    pub kernel: Option<Spanned<String>>,
    /// The machine that this host is a network namespace of. Hosts with the same machine share one kernel.
    pub machine: Option<String>,
}

impl Host {
    /// The sysctls to write before anything runs, those included that other fields stand for.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        let ipv6 = (self.ipv6 == Some(Switch::Off)).then_some((DISABLE_IPV6, "1"));
        let sysctl = self.sysctl.iter();
        ipv6.into_iter()
            .chain(sysctl.map(|(key, value)| (key.as_str(), value.as_str())))
    }
}

const DISABLE_IPV6: &str = "net.ipv6.conf.all.disable_ipv6";
