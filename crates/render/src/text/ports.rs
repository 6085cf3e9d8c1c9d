//! Which local ports a run used, in a line per process.

use std::collections::{BTreeMap, BTreeSet};

use fourtuple_harness::{Attempts, Name, SocketName};

/// Ports shown one by one; more are summed up.
const SHOWN: usize = 12;

/// The local ports of every process (of every socket, in the step form), in the order in which they
/// were taken.
#[must_use]
pub fn lines(attempts: &Attempts, steps: bool) -> Vec<(Name, String)> {
    let mut order: Vec<Name> = Vec::new();
    let mut taken: BTreeMap<Name, Vec<(SocketName<'_>, u16)>> = BTreeMap::new();
    for attempt in attempts {
        let Some(local) = attempt.local() else {
            continue;
        };
        let key: Name = match (attempt.socket(), steps) {
            (SocketName::Named(name), true) => name.clone(),
            _ => attempt.process().clone(),
        };
        let ports = taken.entry(key.clone()).or_insert_with(|| {
            order.push(key);
            Vec::new()
        });
        // A socket that binds and then connects keeps its port: one entry, not two. Sockets of one
        // process follow each other closely, so that a short look back finds it.
        match ports
            .iter_mut()
            .rev()
            .take(64)
            .find(|(socket, _)| *socket == attempt.socket())
        {
            Some((_, port)) if *port == local.port() => {}
            _ => ports.push((attempt.socket(), local.port())),
        }
    }
    order
        .into_iter()
        .map(|name| {
            let ports: Vec<u16> = taken
                .get(&name)
                .into_iter()
                .flatten()
                .map(|(_, port)| *port)
                .collect();
            let words = words(&ports);
            (name, words)
        })
        .collect()
}

fn words(ports: &[u16]) -> String {
    if ports.len() <= SHOWN {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        return ports.join(" ");
    }
    let distinct: BTreeSet<u16> = ports.iter().copied().collect();
    let (low, high) = (
        distinct.first().copied().unwrap_or(0),
        distinct.last().copied().unwrap_or(0),
    );
    format!(
        "{} different ports in {low}-{high}, order {:08x}",
        distinct.len(),
        fingerprint(ports)
    )
}

/// FNV-1a over the ports: a change of any one shows.
fn fingerprint(ports: &[u16]) -> u32 {
    let bytes = ports.iter().flat_map(|port| port.to_be_bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_ports_are_summed_up_with_their_order() {
        let up: Vec<u16> = (40000..40020).collect();
        let down: Vec<u16> = up.iter().rev().copied().collect();
        assert!(words(&up).starts_with("20 different ports in 40000-40019, order "));
        assert_ne!(words(&up), words(&down));
        assert_eq!(words(&up[..2]), "40000 40001");
    }
}
