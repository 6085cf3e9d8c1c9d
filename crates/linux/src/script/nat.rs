//! The NAT hosts that real kernels can be.

use fourtuple_harness::{EngineError, refuse_datagrams_through_nat};
use fourtuple_scenario::{Case, Host, NatSource};
use std::net::SocketAddr;

/// The sysctl that only the first namespace of a machine has, for all namespaces.
const MAX: [&str; 2] = ["net.netfilter.nf_conntrack_max", "net.nf_conntrack_max"];

/// Checks that the kernel itself can be the NAT hosts of a case.
pub(super) fn possible(case: &Case) -> Result<(), EngineError> {
    refuse_datagrams_through_nat(case)?;
    for (name, host) in &*case.hosts {
        let Some(nat) = &host.nat else {
            continue;
        };
        if let Some(NatSource::Preset(_) | NatSource::Quota { .. }) = nat.source {
            return Err(EngineError::new(format!(
                "{name} is the NAT of a provider, which no kernel has"
            )));
        }
        if sets(host, &MAX) {
            return Err(EngineError::new(format!(
                "{name} sets nf_conntrack_max, which is one value for all namespaces of a machine"
            )));
        }
    }
    Ok(())
}

/// The destinations that a connection to an address may reach, if a NAT host translates it.
pub(super) fn backends(case: &Case, to: SocketAddr, any_port: bool) -> Vec<SocketAddr> {
    let rules = case.hosts.values().filter_map(|host| host.nat.as_ref());
    let rules = rules.flat_map(|nat| &nat.dnat);
    let of_it = rules.filter(|(at, _)| at.ip() == to.ip() && (any_port || at.port() == to.port()));
    of_it
        .flat_map(|(_, backends)| backends.iter().copied())
        .collect()
}

fn sets(host: &Host, keys: &[&str]) -> bool {
    host.settings().any(|(key, _)| keys.contains(&key))
}
