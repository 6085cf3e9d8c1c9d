//! Hosts.

use std::net::{IpAddr, SocketAddr};

use indexmap::IndexMap;
use schemars::JsonSchema;

use crate::schema::written;
use crate::span::Spanned;

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
    /// Sysctls by name. The range of local ports is written `40000-40003`.
    #[schemars(with = "Option<IndexMap<String, written::Scalar>>")]
    pub sysctl: Sysctls,
    /// Listeners that are there from the start, accept every connection and keep it.
    #[schemars(with = "Option<written::OneOrMany<written::Endpoint>>")]
    pub listen: Vec<SocketAddr>,
    /// The kernel of this host, when it differs from the scenario's.
    pub kernel: Option<Spanned<String>>,
    /// The machine that this host is a network namespace of. Hosts with the same machine share one kernel.
    pub machine: Option<String>,
}
