//! Too many ports for single steps: connections with equal address, destination and state become
//! one process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use indexmap::IndexMap;

use super::datagram::by_address;
use super::state::{ConnState, State};
use crate::import::notes::Notes;

/// Most groups that become processes.
const MAX_GROUPS: usize = 200;
/// Most groups that merge several small ones.
const FOLDED_GROUPS: usize = 20;
/// The peer of merged groups.
const FOLDED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1)), 9);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    ip: IpAddr,
    /// The destination; `None` for sockets that are only bound.
    peer: Option<SocketAddr>,
    kind: Kind,
    /// Seconds since it was closed.
    age: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    TimeWait,
    Closing,
    Held,
    Bound,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::TimeWait => "timewait",
            Kind::Closing => "closing",
            Kind::Held => "held",
            Kind::Bound => "bound",
        }
    }
}

/// Resolutions, in seconds, of the age of TIME-WAIT sockets. The finest one for which there are few
/// enough groups is used.
const GRAINS: [u64; 5] = [1, 5, 15, 30, 61];

fn grouped(state: &State, grain: u64) -> IndexMap<Key, usize> {
    let mut groups: IndexMap<Key, usize> = IndexMap::new();
    for one in &state.connections {
        let (kind, age) = match one.life {
            ConnState::TimeWait(age) => (Kind::TimeWait, age / 1000 / grain * grain),
            ConnState::FinWait2 => (Kind::Closing, 0),
            ConnState::Held => (Kind::Held, 0),
            ConnState::Bound => (Kind::Bound, 0),
        };
        let key = Key {
            ip: one.local.ip(),
            peer: Some(one.peer).filter(|_| kind != Kind::Bound),
            kind,
            age,
        };
        *groups.entry(key).or_default() += 1;
    }
    groups.sort_by(|_, a, _, b| b.cmp(a));
    groups
}

/// Merges groups beyond the limit. Only the local ports of connections to other peers matter.
fn fold(groups: &mut IndexMap<Key, usize>, notes: &mut Notes) {
    if groups.len() <= MAX_GROUPS {
        return;
    }
    let tail = groups.split_off(MAX_GROUPS - FOLDED_GROUPS);
    let mut folded: IndexMap<Key, usize> = IndexMap::new();
    for (key, count) in tail {
        let peer = key
            .peer
            .map(|peer| if peer.is_ipv6() { peer } else { FOLDED });
        let folded_key = Key {
            peer,
            age: 0,
            ..key
        };
        *folded.entry(folded_key).or_default() += count;
    }
    folded.sort_by(|_, a, _, b| b.cmp(a));
    let moved: usize = folded.values().take(FOLDED_GROUPS).sum();
    let small: usize = folded.values().skip(FOLDED_GROUPS).sum();
    notes.assumed(format!(
        "{moved} connections to peers with few connections go to {FOLDED} instead: only their local port matters"
    ));
    if small > 0 {
        notes.left_out(format!(
            "{small} connections of small groups: a scenario has at most {MAX_GROUPS} groups"
        ));
    }
    for (key, count) in folded.into_iter().take(FOLDED_GROUPS) {
        *groups.entry(key).or_default() += count;
    }
}

/// Writes everything below `kernel:`.
pub(super) fn write(out: &mut String, state: &State, no_port: bool, notes: &mut Notes) {
    let few = |grain: &u64| grouped(state, *grain).len() <= MAX_GROUPS;
    let grain = GRAINS
        .into_iter()
        .find(few)
        .unwrap_or(GRAINS[GRAINS.len() - 1]);
    let mut groups = grouped(state, grain);
    fold(&mut groups, notes);
    let kind = match state.has_tcp {
        true => "connections",
        false => "sockets",
    };
    let reason = if no_port || !state.has_tcp {
        format!("there are too many {kind} for one step each")
    } else {
        "without IP_BIND_ADDRESS_NO_PORT, connect() cannot be made to choose a given port"
            .to_owned()
    };
    notes.assumed(format!(
        "{reason}: each kind has as many {kind} as captured, on ports that the kernel chooses"
    ));
    if state.has_tcp {
        matrix(out, state, &groups, grain, notes);
    }
    hosts(out, state, &groups);
    out.push_str("processes:\n");
    let mut expected = datagrams(out, state, notes);
    if state.has_tcp {
        expected.push_str(&processes(out, &groups, state.addresses.first().copied()));
    }
    // Checks that the host holds as many sockets as were captured.
    if !expected.is_empty() {
        out.push_str(&format!("expect:\n{expected}"));
    }
}

/// Writes the matrix, and the assumptions behind it.
fn matrix(
    out: &mut String,
    state: &State,
    groups: &IndexMap<Key, usize>,
    grain: u64,
    notes: &mut Notes,
) {
    if state.aged && groups.keys().any(|key| key.kind == Kind::TimeWait) {
        notes.assumed(format!(
            "ages of TIME-WAIT sockets are accurate to {grain} {}",
            if grain == 1 { "second" } else { "seconds" }
        ));
    }
    let first = state.addresses.first().copied();
    if groups.keys().any(|key| Some(key.ip) == first) {
        notes.assumed(
            "whether bind() or connect() chose a port cannot be seen, so both are tried for the first address of the host (axis `bind`); sockets with another address are bound to it in either case",
        );
    }
    let source = SocketAddr::new(state.source(), 0);
    let to = state.destinations();
    let to: Vec<String> = to.iter().map(|at| format!("\"{at}\"")).collect();
    out.push_str(&format!(
        "matrix:\n  bind: [none, \"{source}\"]\n  to: [{}]\n  new_bind: [none, \"{source}\"]\n",
        to.join(", ")
    ));
}

/// Writes the UDP sockets whose ports the kernel may have selected, and the question whether a new
/// one gets a port. Returns what is expected of them.
fn datagrams(out: &mut String, state: &State, notes: &mut Notes) -> String {
    if state.datagrams.is_empty() {
        return String::new();
    }
    let all = by_address(&state.datagrams, |port| state.is_selectable(port));
    let selectable = |port: u16| state.is_selectable(port);
    let outside = (state.datagrams.iter()).filter(|one| !selectable(one.local.port()));
    match outside.count() {
        0 => {}
        count => notes.left_out(format!("{count} UDP sockets with ports outside the range")),
    }
    let mut expected = String::new();
    let mut names = Vec::new();
    for (n, (ip, count)) in all.into_iter().enumerate() {
        let name = format!("udp{}", n + 1);
        let local = SocketAddr::new(ip, 0);
        let count = count.min(crate::limits::MAX_COUNT as usize);
        out.push_str(&format!(
            "  {name}: {{ on: host, protocol: udp, bind: \"{local}\", connections: {count} }}\n"
        ));
        expected.push_str(&format!("  {name}.bind: ok\n"));
        names.push(name);
    }
    let when = match names.is_empty() {
        true => String::new(),
        false => format!("after: [{}], ", names.join(", ")),
    };
    let to = state.new_destination();
    out.push_str(&format!(
        "  new_udp: {{ on: host, protocol: udp, {when}connect: \"{to}\" }}\n"
    ));
    expected
}

fn hosts(out: &mut String, state: &State, groups: &IndexMap<Key, usize>) {
    let mut listening: Vec<SocketAddr> = state.listeners.clone();
    let mut far: Vec<SocketAddr> = vec![state.new_destination()];
    for peer in groups.keys().filter_map(|key| key.peer) {
        let list = if state.is_here(peer.ip()) {
            &mut listening
        } else {
            &mut far
        };
        if !super::state::listens(list, peer) {
            list.push(peer);
        }
    }
    let quoted = |items: Vec<String>| {
        let items: Vec<String> = items.iter().map(|item| format!("\"{item}\"")).collect();
        format!("[{}]", items.join(", "))
    };
    let ends = |list: &[SocketAddr]| quoted(list.iter().map(SocketAddr::to_string).collect());
    let ips = |list: &[IpAddr]| quoted(list.iter().map(IpAddr::to_string).collect());
    let mut peers = state.peers.clone();
    if groups.keys().any(|key| key.peer == Some(FOLDED)) && !peers.contains(&FOLDED.ip()) {
        peers.push(FOLDED.ip());
    }
    out.push_str(&format!(
        "hosts:\n  host:\n    addresses: {}\n    sysctl: {}\n    listen: {}\n  peers:\n    addresses: {}\n    listen: {}\n",
        ips(&state.addresses),
        state.sysctl_text(),
        ends(&listening),
        ips(&peers),
        ends(&far),
    ));
}

/// Writes the connections, and a new program. Returns what is expected of them.
fn processes(out: &mut String, groups: &IndexMap<Key, usize>, first: Option<IpAddr>) -> String {
    let ordered = sorted(groups);
    let oldest = ordered.iter().map(|key| key.age).max().unwrap_or(0);
    let mut names: Vec<String> = Vec::new();
    for (n, key) in ordered.iter().enumerate() {
        let name = format!("{}{}", key.kind.name(), n + 1);
        let peer = key
            .peer
            .map_or_else(String::new, |peer| format!(", connect: \"{peer}\""));
        let local = SocketAddr::new(key.ip, 0);
        let near = key.peer.is_some_and(|peer| peer.ip().is_loopback());
        let bind = if Some(key.ip) == first && key.peer.is_some() {
            "\"${bind}\"".to_owned()
        } else if key.ip.is_loopback() && near {
            "none".to_owned()
        } else {
            format!("\"{local}\"")
        };
        let hold = match key.kind {
            Kind::TimeWait | Kind::Closing => ", hold: 0s, close: client",
            Kind::Held | Kind::Bound => "",
        };
        let count = groups
            .get(*key)
            .copied()
            .unwrap_or(0)
            .min(crate::limits::MAX_COUNT as usize);
        out.push_str(&format!(
            "  {name}: {{ on: host, start: {}s, bind: {bind}{peer}, connections: {count}{hold} }}\n",
            oldest.saturating_sub(key.age)
        ));
        names.push(name);
    }
    // The program starts once the newest connections exist, and no earlier than their ages require.
    let young = names.iter().zip(&ordered).filter(|(_, key)| key.age == 0);
    let young: Vec<&str> = young.map(|(name, _)| name.as_str()).collect();
    let when = if young.is_empty() {
        format!("start: {oldest}s")
    } else {
        format!("after: [{}]", young.join(", "))
    };
    out.push_str(&format!(
        "  new: {{ on: host, {when}, bind: \"${{new_bind}}\", connect: \"${{to}}\" }}\n"
    ));
    let mut expected = String::new();
    for (name, key) in names.iter().zip(ordered) {
        let call = if key.peer.is_some() {
            "connect"
        } else {
            "bind"
        };
        expected.push_str(&format!("  {name}.{call}: ok\n"));
    }
    expected
}

/// Closed connections first, the oldest ahead: their ports are in use before the others start.
fn sorted(groups: &IndexMap<Key, usize>) -> Vec<&Key> {
    let mut keys: Vec<&Key> = groups.keys().collect();
    keys.sort_by_key(|key| (key.kind, std::cmp::Reverse(key.age)));
    keys
}
