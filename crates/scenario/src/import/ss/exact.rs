//! Every captured port, by steps: before each call the ephemeral port range is narrowed to the one
//! port that the call must get.

use std::net::SocketAddr;

use indexmap::IndexMap;

use super::AXIS;
use super::state::{ChosenBy, ConnState, State, listens};
use crate::import::notes::Notes;
use crate::import::sysctl::RANGE;

/// Writes everything below `kernel:`.
pub(super) fn write(out: &mut String, state: &State, notes: &mut Notes) {
    let open = state
        .connections
        .iter()
        .any(|one| one.choice == ChosenBy::Open);
    if open {
        notes.assumed(format!(
            "the capture does not show whether bind() or connect() chose a port, so both are tried: {AXIS} is false if bind(ADDR, 0) chose every such port, true if connect() did"
        ));
    }
    if state.has_tcp {
        matrix(out, state, open);
    }
    let mut writer = Writer {
        out,
        state,
        opened: opened(state),
    };
    writer.hosts();
    writer.out.push_str("steps:\n");
    writer.servers();
    writer.datagrams();
    let mut age = None;
    for n in 0..state.connections.len() {
        let now = match state.connections[n].life {
            ConnState::TimeWait(age) => age,
            _ => 0,
        };
        writer.pause(age.unwrap_or(now), now);
        age = Some(now);
        writer.connection(n);
    }
    writer.pause(age.unwrap_or(0), 0);
    if state.has_tcp {
        writer.questions();
    }
    if !state.datagrams.is_empty() {
        writer.datagram_questions();
    }
}

/// Writes the matrix. Each question has a point of its own, so that it cannot affect the answer to
/// another.
fn matrix(out: &mut String, state: &State, open: bool) {
    out.push_str("matrix:\n");
    if open {
        out.push_str(&format!("  {AXIS}: [true, false]\n"));
    }
    let to = state.destinations();
    let to: Vec<String> = to.iter().map(|at| format!("\"{at}\"")).collect();
    out.push_str(&format!(
        "  to: [{}]\n  no_bind: [true, false]\n",
        to.join(", ")
    ));
}

/// Servers that steps must open because they close connections, with the names of their sockets.
/// A server that is a captured listener of the host is opened at the listener's address.
fn opened(state: &State) -> IndexMap<SocketAddr, String> {
    let mut opened = IndexMap::new();
    for (peer, ends) in state.servers() {
        if ends {
            let own = state.listeners.iter().find(|at| listens(&[**at], peer));
            let name = format!("server{}", opened.len() + 1);
            opened.entry(*own.unwrap_or(&peer)).or_insert(name);
        }
    }
    opened
}

struct Writer<'a> {
    out: &'a mut String,
    state: &'a State,
    opened: IndexMap<SocketAddr, String>,
}

impl Writer<'_> {
    fn step(&mut self, text: &str) {
        self.out.push_str(&format!("  - {{ {text} }}\n"));
    }

    fn hosts(&mut self) {
        let state = self.state;
        let list = |items: Vec<String>| format!("[{}]", items.join(", "));
        let ips =
            |ips: &[std::net::IpAddr]| list(ips.iter().map(|ip| format!("\"{ip}\"")).collect());
        let at = |here: bool| {
            let quoted = |at: &SocketAddr| format!("\"{at}\"");
            let fits = |at: &&SocketAddr| !self.opened.contains_key(*at);
            let own = state
                .listeners
                .iter()
                .filter(|_| here)
                .filter(fits)
                .map(quoted);
            let servers = state.servers();
            let covered = |peer: SocketAddr| self.opened.keys().any(|at| listens(&[*at], peer));
            let others: Vec<String> = servers
                .keys()
                .filter(|peer| !covered(**peer) && state.is_here(peer.ip()) == here)
                .map(quoted)
                .collect();
            let new = Some(quoted(&state.new_destination())).filter(|_| !here);
            list(own.chain(others).chain(new).collect())
        };
        let text = format!(
            "hosts:\n  host:\n    addresses: {}\n    sysctl: {}\n    listen: {}\n  peers:\n    addresses: {}\n    listen: {}\n",
            ips(&state.addresses),
            state.sysctl_text(),
            at(true),
            ips(&state.peers),
            at(false),
        );
        self.out.push_str(&text);
    }

    fn servers(&mut self) {
        for (at, name) in self.opened.clone() {
            let here = at.ip().is_unspecified() || self.state.is_here(at.ip());
            let (by, on) = if here {
                ("neighbour", "host")
            } else {
                ("outside", "peers")
            };
            self.step(&format!(
                "socket: {name}{}, by: {by}, on: {on}, options: {{ reuseaddr: true }}",
                family(at)
            ));
            self.step(&format!("bind: {name}, at: \"{at}\""));
            self.step(&format!("listen: {name}, backlog: 4096"));
        }
    }

    fn datagrams(&mut self) {
        for (n, one) in self.state.datagrams.iter().enumerate() {
            let name = format!("u{}", n + 1);
            let options = match (one.reuse, one.v6only) {
                (false, false) => "",
                (true, false) => ", options: { reuseaddr: true }",
                (false, true) => ", options: { v6only: true }",
                (true, true) => ", options: { reuseaddr: true, v6only: true }",
            };
            let family = family(one.local);
            self.step(&format!(
                "socket: {name}{family}, type: dgram, by: holder, on: host{options}"
            ));
            self.step(&format!("bind: {name}, at: \"{}\", expect: ok", one.local));
        }
    }

    fn pause(&mut self, before: u64, now: u64) {
        if before > now {
            self.step(&format!("sleep: {}ms", before - now));
        }
    }

    fn connection(&mut self, n: usize) {
        let one = &self.state.connections[n];
        let (name, port) = (format!("c{}", n + 1), one.local.port());
        let family = family(one.local);
        if one.choice == ChosenBy::Bind {
            let reuse = match one.reuse {
                true => ", options: { reuseaddr: true }",
                false => "",
            };
            self.step(&format!(
                "socket: {name}{family}, by: holder, on: host{reuse}"
            ));
            self.step(&format!("bind: {name}, at: \"{}\", expect: ok", one.local));
            if one.life == ConnState::Bound {
                return;
            }
        } else {
            let value = if one.choice == ChosenBy::Open {
                format!("\"${{{AXIS}}}\"")
            } else {
                "true".to_owned()
            };
            self.step(&format!("sysctl: {{ {RANGE}: {port}-{port} }}, on: host"));
            self.step(&format!(
                "socket: {name}{family}, by: holder, on: host, options: {{ bind_address_no_port: {value} }}"
            ));
            self.step(&format!(
                "bind: {name}, at: \"{}\"",
                SocketAddr::new(one.local.ip(), 0)
            ));
        }
        self.step(&format!(
            "connect: {name}, to: \"{}\", expect: ok, expect_local: \"{}\"",
            one.peer, one.local
        ));
        let server = self
            .opened
            .iter()
            .find(|(at, _)| listens(&[**at], one.peer));
        let server = server.map(|(_, name)| name.clone());
        if let Some(server) = &server {
            self.step(&format!("accept: {server}, as: f{}", n + 1));
        }
        if one.life != ConnState::Held {
            self.step(&format!("close: {name}"));
            if server.is_some() && matches!(one.life, ConnState::TimeWait(_)) {
                self.step(&format!("close: f{}", n + 1));
            }
        }
    }

    fn questions(&mut self) {
        let state = self.state;
        self.step(&format!("sysctl: {{ {RANGE}: {} }}, on: host", state.range));
        let at = SocketAddr::new(state.source(), 0);
        // For programs that do not bind, `bind_address_no_port` leaves the choice of the port to
        // connect().
        self.step(&format!(
            "socket: new{}, by: asker, on: host, options: {{ bind_address_no_port: \"${{no_bind}}\" }}",
            family(at)
        ));
        self.step(&format!("bind: new, at: \"{at}\""));
        self.step("connect: new, to: \"${to}\"");
    }

    /// The two ways in which a UDP socket gets a port, one after the other.
    fn datagram_questions(&mut self) {
        let to = self.state.new_destination();
        let any = match to.is_ipv6() {
            true => "[::]:0",
            false => "0.0.0.0:0",
        };
        let socket = |name: &str| {
            let family = family(to);
            format!("socket: {name}{family}, type: dgram, by: asker, on: host")
        };
        self.step(&socket("new_udp"));
        self.step(&format!("connect: new_udp, to: \"{to}\""));
        self.step("close: new_udp");
        self.step(&socket("bound_udp"));
        self.step(&format!("bind: bound_udp, at: \"{any}\""));
    }
}

fn family(at: SocketAddr) -> &'static str {
    if at.is_ipv6() { ", family: inet6" } else { "" }
}
