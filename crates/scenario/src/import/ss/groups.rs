//! Too many ports to name each: connections alike in address, destination and life are one process.

use std::net::{IpAddr, SocketAddr};

use indexmap::IndexMap;

use super::state::{Life, State};
use crate::import::notes::Notes;

/// Groups that become a process.
const MAX_GROUPS: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    ip: IpAddr,
    peer: SocketAddr,
    life: u8,
}

/// Adds everything below `kernel:`.
pub(super) fn write(out: &mut String, state: &State, no_port: bool, notes: &mut Notes) {
    let mut groups: IndexMap<Key, usize> = IndexMap::new();
    for one in &state.connections {
        let life = match one.life {
            Life::TimeWait(_) => 0,
            Life::FinWait2 => 1,
            Life::Held => 2,
        };
        *groups
            .entry(Key {
                ip: one.local.ip(),
                peer: one.peer,
                life,
            })
            .or_default() += 1;
    }
    groups.sort_by(|_, a, _, b| b.cmp(a));
    let small: usize = groups.values().skip(MAX_GROUPS).sum();
    if small > 0 {
        notes.left_out(format!(
            "{small} connections of small groups: a scenario has at most {MAX_GROUPS} of them"
        ));
    }
    groups.truncate(MAX_GROUPS);
    let reason = if no_port {
        "there are too many connections to name the port of each"
    } else {
        "a kernel without IP_BIND_ADDRESS_NO_PORT cannot be brought to choose one certain port in connect()"
    };
    notes.assumed(format!(
        "{reason}, so that there are as many of each kind as captured, on ports that the kernel chooses; connections in TIME-WAIT have just been closed"
    ));
    let first = state.addresses.first().copied();
    if groups.keys().any(|key| Some(key.ip) == first) {
        notes.assumed(
            "whether bind() or connect() chose a port cannot be seen, so that both are tried for the first address of the host: the axis `bind`; sockets with another address are bound to it in either case",
        );
    }
    if let Some(ip) = first {
        out.push_str(&format!(
            "matrix: {{ bind: [none, \"{}\"] }}\n",
            SocketAddr::new(ip, 0)
        ));
    }
    hosts(out, state, &groups);
    processes(out, state, &groups, first);
}

fn hosts(out: &mut String, state: &State, groups: &IndexMap<Key, usize>) {
    let mut listening: Vec<SocketAddr> = state.listeners.clone();
    let mut far: Vec<SocketAddr> = vec![state.new_destination()];
    for key in groups.keys() {
        let list = if state.is_here(key.peer.ip()) {
            &mut listening
        } else {
            &mut far
        };
        if !super::state::listens(list, key.peer) {
            list.push(key.peer);
        }
    }
    let quoted = |items: Vec<String>| {
        let items: Vec<String> = items.iter().map(|item| format!("\"{item}\"")).collect();
        format!("[{}]", items.join(", "))
    };
    let ends = |list: &[SocketAddr]| quoted(list.iter().map(SocketAddr::to_string).collect());
    let ips = |list: &[IpAddr]| quoted(list.iter().map(IpAddr::to_string).collect());
    out.push_str(&format!(
        "hosts:\n  host:\n    addresses: {}\n    sysctl: {}\n    listen: {}\n  peers:\n    addresses: {}\n    listen: {}\n",
        ips(&state.addresses),
        state.sysctl_text(),
        ends(&listening),
        ips(&state.peers),
        ends(&far),
    ));
}

fn processes(
    out: &mut String,
    state: &State,
    groups: &IndexMap<Key, usize>,
    first: Option<IpAddr>,
) {
    out.push_str("processes:\n");
    // Closed connections first: their ports are taken when the others come.
    let mut ordered: Vec<(&Key, &usize)> = groups.iter().collect();
    ordered.sort_by_key(|(key, _)| key.life);
    let mut last = String::new();
    for (n, (key, count)) in ordered.into_iter().enumerate() {
        let kind = ["timewait", "closing", "held"]
            .get(usize::from(key.life))
            .unwrap_or(&"held");
        let name = format!("{kind}{}", n + 1);
        let bind = if Some(key.ip) == first {
            "\"${bind}\"".to_owned()
        } else if key.ip.is_loopback() && key.peer.ip().is_loopback() {
            "none".to_owned()
        } else {
            format!("\"{}\"", SocketAddr::new(key.ip, 0))
        };
        let after = if last.is_empty() {
            String::new()
        } else {
            format!(", after: {last}")
        };
        let hold = if key.life == 2 {
            ""
        } else {
            ", hold: 0s, close: client"
        };
        out.push_str(&format!(
            "  {name}: {{ on: host{after}, bind: {bind}, connect: \"{}\", connections: {}{hold} }}\n",
            key.peer,
            (*count).min(crate::limits::MAX_COUNT as usize)
        ));
        last = name;
    }
    // Each question leaves nothing behind for the next one.
    let mut ask = |name: &str, call: &str, at: SocketAddr| {
        let after = if last.is_empty() {
            String::new()
        } else {
            format!(", after: {last}")
        };
        out.push_str(&format!(
            "  {name}: {{ on: host{after}, {call}: \"{at}\", hold: 0s, close: reset }}\n"
        ));
        last = name.to_owned();
    };
    if let Some(at) = state.busiest() {
        ask("same-destination", "connect", at);
    }
    ask("new-destination", "connect", state.new_destination());
    if let Some(ip) = first {
        ask("bind-address", "bind", SocketAddr::new(ip, 0));
    }
    ask("bind-wildcard", "bind", SocketAddr::from(([0, 0, 0, 0], 0)));
}
