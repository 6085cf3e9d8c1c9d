//! Programs that run and are checked quickly.

use crate::program::{Call, Program};
use fourtuple_syscall::{OptId, Syscall};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The range that a sysctl sets.
pub(super) fn range_of(key: &str, value: &str) -> Option<(u16, u16)> {
    if key != "net.ipv4.ip_local_port_range" {
        return None;
    }
    let (low, high) = value.split_once(' ')?;
    Some((low.parse().ok()?, high.parse().ok()?))
}

/// Ranges of at most this many ports are checked quickly; with the full range one call can branch
/// into tens of thousands of states.
const FEW_PORTS: u16 = 8;

/// Returns true if a program runs and is checked quickly: the kernel chooses from few ports, and no
/// connect goes to an address without a host, which only the model can reach.
pub(super) fn is_tame(program: &Program) -> bool {
    // The kernel rejects a range whose first port is above its last.
    let small = |key: &str, value: &str| {
        let range = range_of(key, value).filter(|(low, high)| low <= high);
        range.map(|(low, high)| high - low < FEW_PORTS)
    };
    let mut ranges: BTreeMap<Option<&str>, bool> = BTreeMap::new();
    for host in &program.hosts {
        let set = host.sysctls.iter().filter_map(|(k, v)| small(k, v)).next();
        ranges.insert(Some(&host.name), set.unwrap_or(false));
    }
    let anywhere = |ip: IpAddr| {
        let known = |ip: &IpAddr| program.hosts.iter().any(|h| h.addresses.contains(ip));
        program.hosts.is_empty() || ip.is_loopback() || ip.is_unspecified() || known(&ip)
    };
    let first = program.hosts.first().map(|h| &*h.name);
    // The host of each socket, and true if it has a port or few to choose from.
    let mut sockets: BTreeMap<&str, (Option<&str>, bool)> = BTreeMap::new();
    for step in &program.steps {
        let call = match &step.call {
            Call::Sys(call) => call,
            Call::Sysctl { key, value } => {
                if let Some(small) = small(key, value) {
                    ranges.insert(step.host.as_deref().or(first), small);
                }
                continue;
            }
            _ => continue,
        };
        match call {
            Syscall::Socket { sock, .. } => {
                sockets.insert(sock, (step.host.as_deref().or(first), false));
            }
            Syscall::Set { sock, option } if option.id() == OptId::LocalPortRange => {
                if let Some((_, has)) = sockets.get_mut(&**sock) {
                    *has = true;
                }
            }
            Syscall::Accept { sock, new, .. } => {
                let host = sockets.get(&**sock).and_then(|(host, _)| *host);
                sockets.insert(new, (host, true));
            }
            Syscall::Bind { sock, .. }
            | Syscall::Listen { sock, .. }
            | Syscall::Connect { sock, .. } => {
                let explicit = matches!(call, Syscall::Bind { addr, .. } if addr.port() != 0);
                if let Syscall::Connect { addr, .. } = call
                    && !anywhere(addr.ip())
                {
                    return false;
                }
                if let Some((host, has)) = sockets.get_mut(&**sock) {
                    let few = ranges.get(host).copied().unwrap_or(false);
                    if !explicit && !*has && !few {
                        return false;
                    }
                    *has = true;
                }
            }
            _ => {}
        }
    }
    true
}
