//! The state of the host, derived from all rows: listeners, connections that hold a port of their
//! own, addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use indexmap::{IndexMap, IndexSet};

use super::datagram::{Datagram, datagrams};
use super::table::{self, Chosen, Row};
use crate::import::MAX_IMPORTED_ADDRESSES;
use crate::import::notes::Notes;
use crate::import::sysctl::{RANGE, range_of, reserves};
use crate::model::Sysctls;
use crate::value::{PortRange, Protocol};

/// The default ephemeral port range of kernels since 4.2.
const DEFAULT_RANGE: PortRange = PortRange {
    low: 32768,
    high: 60999,
};
/// Length of TIME-WAIT in milliseconds.
const TIME_WAIT: u64 = 60_000;
/// The address prefix of peers beyond the limit of a scenario: 198.18.0.0/15, reserved for
/// benchmarks.
const FOLDED: [u8; 2] = [198, 18];
/// Most connections of one local endpoint to folded peers.
const MAX_FOLDED: usize = 250;

/// A connection that holds a port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) life: ConnState,
    pub(super) choice: ChosenBy,
    /// `true` if it has `SO_REUSEADDR`: another socket whose port bind() chose has the same local
    /// address.
    pub(super) reuse: bool,
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ConnState {
    /// In TIME-WAIT, with the milliseconds since it began.
    TimeWait(u64),
    /// Closed here, not by the peer.
    FinWait2,
    Held,
    /// Bound only.
    Bound,
}

/// The call that chose its port, as far as the table shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChosenBy {
    /// connect(): two connections from one address share the port.
    Connect,
    /// bind(): a capture says so, or the port is not in the range, or reserved.
    Bind,
    /// Unknown.
    Open,
}

/// The captured host.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) listeners: Vec<SocketAddr>,
    pub(super) connections: Vec<Connection>,
    pub(super) datagrams: Vec<Datagram>,
    /// `true` if the table has TCP sockets.
    pub(super) has_tcp: bool,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) peers: Vec<IpAddr>,
    pub(super) range: PortRange,
    /// The sysctls except the ephemeral port range.
    pub(super) sysctls: Sysctls,
    /// `true` if ages of TIME-WAIT sockets are known.
    pub(super) aged: bool,
}

impl State {
    pub(super) fn of(rows: &[Row], mut sysctls: Sysctls, notes: &mut Notes) -> Self {
        let range = range_of(&sysctls).unwrap_or_else(|| {
            notes.assumed(format!(
                "the ephemeral port range is {DEFAULT_RANGE}; pass `--sysctl FILE` if it differs"
            ));
            DEFAULT_RANGE
        });
        sysctls.shift_remove(RANGE);
        let tcp = rows.iter().filter(|row| row.protocol == Protocol::Tcp);
        let tcp: Vec<Row> = tcp.cloned().collect();
        let listeners = listeners(&tcp, notes);
        let mut state = Self {
            connections: connections(&tcp, &listeners, range, &sysctls, notes),
            listeners,
            datagrams: datagrams(rows, notes),
            has_tcp: !tcp.is_empty(),
            addresses: Vec::new(),
            peers: Vec::new(),
            range,
            sysctls,
            aged: true,
        };
        state.find_addresses(rows, notes);
        state.check_ages(rows, notes);
        if !state.has_tcp {
            return state;
        }
        notes.assumed("listeners have SO_REUSEADDR");
        let bound = tcp.iter().any(|row| row.state == table::State::Bound);
        notes.assumed(if bound {
            "other sockets have no option set"
        } else {
            "other sockets have no option set; sockets that are only bound are not shown (`ss -B` shows them on Linux 6.8)"
        });
        state
    }

    /// Returns `true` for an address of the host.
    pub(super) fn is_here(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.addresses.contains(&ip)
    }

    fn find_addresses(&mut self, rows: &[Row], notes: &mut Notes) {
        // The kernel chooses the first address of the host, so the most frequent one is listed
        // first.
        let mut uses: IndexMap<IpAddr, usize> = IndexMap::new();
        for connection in &self.connections {
            *uses.entry(connection.local.ip()).or_default() += 1;
        }
        for row in rows {
            uses.entry(row.local.ip()).or_default();
        }
        uses.retain(|ip, _| {
            let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || broadcast)
        });
        uses.sort_by(|_, a, _, b| b.cmp(a));
        if uses.len() > MAX_IMPORTED_ADDRESSES {
            notes.left_out(format!(
                "addresses of the host beyond the first {MAX_IMPORTED_ADDRESSES}"
            ));
        }
        self.addresses = uses.into_keys().take(MAX_IMPORTED_ADDRESSES).collect();
        if self.addresses.is_empty() {
            let ip = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
            notes.assumed(format!(
                "the host has the address {ip}; the capture does not show its address"
            ));
            self.addresses.push(ip);
        }
        let mut peers: IndexSet<IpAddr> = IndexSet::new();
        let (here, connections) = (self.clone(), std::mem::take(&mut self.connections));
        let (mut dropped, mut moved) = (0_usize, 0_usize);
        let mut folded: IndexMap<SocketAddr, usize> = IndexMap::new();
        for mut connection in connections {
            if connection.life == ConnState::Bound {
                self.connections.push(connection);
                continue;
            }
            let (local, peer) = (connection.local.ip(), connection.peer.ip());
            let strange = peer.is_multicast() || peer.is_unspecified() || local.is_unspecified();
            let far = !here.is_here(peer);
            if strange || !here.is_here(local) || local.is_ipv6() != peer.is_ipv6() {
                dropped += 1;
                continue;
            }
            let limit = MAX_IMPORTED_ADDRESSES - MAX_FOLDED - 1;
            if far && peers.len() >= limit && !peers.contains(&peer) {
                let nth = folded.entry(connection.local).or_default();
                if *nth >= MAX_FOLDED || local.is_ipv6() {
                    dropped += 1;
                    continue;
                }
                let [a, b] = FOLDED;
                let last = u8::try_from(*nth + 1).unwrap_or(u8::MAX);
                let ip = IpAddr::V4(Ipv4Addr::new(a, b, 0, last));
                connection.peer = SocketAddr::new(ip, 9);
                *nth += 1;
                moved += 1;
            } else if far {
                peers.insert(peer);
            }
            self.connections.push(connection);
        }
        if moved > 0 {
            let [a, b] = FOLDED;
            notes.assumed(format!(
                "{moved} connections to peers beyond the first {} go to {a}.{b}.0.0/24: only their local port matters",
                peers.len()
            ));
            peers.extend(
                self.connections
                    .iter()
                    .map(|one| one.peer.ip())
                    .filter(|ip| matches!(ip, IpAddr::V4(ip) if ip.octets().starts_with(&FOLDED))),
            );
        }
        if dropped > 0 {
            notes.left_out(format!(
                "{dropped} connections with addresses beyond the first {MAX_IMPORTED_ADDRESSES}, or that no host can have"
            ));
        }
        peers.insert(self.new_destination().ip());
        self.peers = peers.into_iter().filter(|ip| !here.is_here(*ip)).collect();
        let known = self.addresses.clone();
        let has = |at: &SocketAddr| {
            at.ip().is_unspecified() || at.ip().is_loopback() || known.contains(&at.ip())
        };
        self.listeners.retain(has);
        self.datagrams.retain(|one| has(&one.local));
    }

    fn check_ages(&mut self, rows: &[Row], notes: &mut Notes) {
        self.aged = rows
            .iter()
            .all(|row| row.state != table::State::TimeWait || row.left.is_some());
        if !self.aged {
            notes.assumed(
                "connections in TIME-WAIT were closed just now; `ss -tano` shows their age",
            );
        }
    }

    /// The number of steps that [`exact`](super::exact) needs.
    pub(super) fn steps(&self) -> usize {
        let of = |connection: &Connection| match connection.life {
            ConnState::Bound => 2,
            ConnState::Held => 5,
            ConnState::TimeWait(_) | ConnState::FinWait2 => 8,
        };
        self.connections
            .iter()
            .map(of)
            .sum::<usize>()
            .saturating_add(2 * self.datagrams.len())
            .saturating_add(3 * self.servers().len() + 16)
    }

    /// Destinations that are not listeners of the host. The value is `true` if one of their
    /// connections ends.
    pub(super) fn servers(&self) -> IndexMap<SocketAddr, bool> {
        let mut servers = IndexMap::new();
        for connection in self.connected() {
            let ends = matches!(connection.life, ConnState::TimeWait(_));
            if ends || !listens(&self.listeners, connection.peer) {
                *servers.entry(connection.peer).or_default() |= ends;
            }
        }
        servers
    }

    /// The connections, without sockets that are only bound.
    pub(super) fn connected(&self) -> impl Iterator<Item = &Connection> {
        let connected = |one: &&Connection| one.life != ConnState::Bound;
        self.connections.iter().filter(connected)
    }

    /// The destinations that a new program is asked about: the most frequent one, and an unused
    /// one.
    pub(super) fn destinations(&self) -> Vec<SocketAddr> {
        let mut uses: IndexMap<SocketAddr, usize> = IndexMap::new();
        for connection in self.connected() {
            *uses.entry(connection.peer).or_default() += 1;
        }
        let same = |at: &SocketAddr| at.is_ipv6() == self.v6();
        let uses = uses.into_iter().rev().filter(|(at, _)| same(at));
        let busiest = uses.max_by_key(|(_, count)| *count).map(|(at, _)| at);
        busiest
            .into_iter()
            .chain([self.new_destination()])
            .collect()
    }

    /// The address that a new program binds.
    pub(super) fn source(&self) -> IpAddr {
        let first = self.addresses.first().copied();
        first.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    fn v6(&self) -> bool {
        self.source().is_ipv6()
    }

    /// An endpoint without connections, in a network reserved for documentation.
    pub(super) fn new_destination(&self) -> SocketAddr {
        let taken: IndexSet<IpAddr> = self
            .connections
            .iter()
            .map(|one| one.peer.ip())
            .chain(self.addresses.iter().copied())
            .chain(self.listeners.iter().map(|at| at.ip()))
            .collect();
        let candidate = |n: u16| -> IpAddr {
            if self.v6() {
                Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, n).into()
            } else {
                let [high, low] = n.to_be_bytes();
                Ipv4Addr::new(198, 51, 100_u8.wrapping_add(high), low).into()
            }
        };
        let free = (1..=u16::MAX).map(candidate).find(|ip| !taken.contains(ip));
        SocketAddr::new(free.unwrap_or_else(|| candidate(1)), 443)
    }

    /// Returns `true` for a port that the kernel may select.
    pub(super) fn is_selectable(&self, port: u16) -> bool {
        self.range.contains(port) && !reserves(&self.sysctls, port)
    }

    /// The sysctls with the ephemeral port range in front, as written in a scenario.
    pub(super) fn sysctl_text(&self) -> String {
        let mut text = format!("{{ {RANGE}: {}", self.range);
        for (name, value) in &self.sysctls {
            text.push_str(&format!(", {name}: {value:?}"));
        }
        text.push_str(" }");
        text
    }
}

/// Returns `true` if a connection to an endpoint reaches one of some listeners.
pub(super) fn listens(listeners: &[SocketAddr], to: SocketAddr) -> bool {
    listeners.iter().any(|at| {
        let wildcard = at.ip().is_unspecified() && (at.is_ipv6() || to.is_ipv4());
        at.port() == to.port() && (at.ip() == to.ip() || wildcard)
    })
}

/// The listeners of the host. Several sockets of one reuseport group, and listeners that overlap
/// another one, count as one, because a scenario's listeners do not share ports.
fn listeners(rows: &[Row], notes: &mut Notes) -> Vec<SocketAddr> {
    let mut all: Vec<SocketAddr> = Vec::new();
    let mut listening: Vec<&Row> = rows
        .iter()
        .filter(|row| row.state == table::State::Listen)
        .collect();
    // Wildcards first: they accept connections to every address.
    listening.sort_by_key(|row| {
        (
            row.local.port(),
            !row.local.ip().is_unspecified(),
            row.local.is_ipv6(),
            row.line,
        )
    });
    for row in listening {
        let overlaps = all.iter().any(|at| {
            let wild = at.ip().is_unspecified() || row.local.ip().is_unspecified();
            at.port() == row.local.port() && (at.ip() == row.local.ip() || wild)
        });
        if overlaps {
            notes.count(
                "further listeners on the same port (SO_REUSEPORT or IPV6_V6ONLY)",
                row.line,
            );
        } else if all.len() < MAX_IMPORTED_ADDRESSES {
            all.push(row.local);
        } else {
            notes.count("listeners beyond the limit of a scenario", row.line);
        }
    }
    all
}

/// Local endpoints of accepted connections whose listener the table does not show: outside the
/// ephemeral port range, and with several peers or one whose port is in the range.
fn unseen_listeners(
    rows: &[Row],
    listeners: &[SocketAddr],
    choosable: &dyn Fn(u16) -> bool,
) -> IndexSet<SocketAddr> {
    let mut ends: IndexMap<SocketAddr, (usize, bool)> = IndexMap::new();
    for row in rows {
        if let Some(peer) = row.peer
            && !choosable(row.local.port())
            && !listens(listeners, row.local)
        {
            let end = ends.entry(row.local).or_default();
            end.0 += 1;
            end.1 |= choosable(peer.port());
        }
    }
    let accepted = ends
        .into_iter()
        .filter(|(_, (count, high))| *count > 1 || *high);
    accepted.map(|(local, _)| local).collect()
}

fn connections(
    rows: &[Row],
    listeners: &[SocketAddr],
    range: PortRange,
    sysctls: &Sysctls,
    notes: &mut Notes,
) -> Vec<Connection> {
    let mut all: Vec<Connection> = Vec::new();
    let mut owners: IndexMap<SocketAddr, usize> = IndexMap::new();
    let choosable = |port: u16| range.contains(port) && !reserves(sysctls, port);
    let accepted = unseen_listeners(rows, listeners, &choosable);
    let mut outside: Vec<u16> = Vec::new();
    for row in rows {
        let peer = match (row.peer, row.state) {
            (Some(peer), _) => peer,
            (None, table::State::Bound) => row.local,
            (None, _) => continue,
        };
        let by_accept = row.chosen == Some(Chosen::Accept) || listens(listeners, row.local);
        if row.peer.is_some() && by_accept {
            notes.count(
                "accepted connections, which hold no port of their own",
                row.line,
            );
            continue;
        }
        if accepted.contains(&row.local) {
            notes.count(
                "connections on ports outside the ephemeral port range, assumed to be accepted by listeners that are not shown (`ss -tan` shows them)",
                row.line,
            );
            continue;
        }
        if !choosable(row.local.port()) && !outside.contains(&row.local.port()) {
            outside.push(row.local.port());
        }
        *owners.entry(row.local).or_default() += 1;
        let life = match row.state {
            table::State::TimeWait => {
                ConnState::TimeWait(row.left.map_or(0, |left| TIME_WAIT.saturating_sub(left)))
            }
            table::State::FinWait2 if row.left.is_some() => ConnState::FinWait2,
            table::State::Bound => ConnState::Bound,
            _ => ConnState::Held,
        };
        let local = row.local;
        // The option leaves the choice of the port to connect().
        let choice = match row.chosen {
            Some(Chosen::Bind) => ChosenBy::Bind,
            Some(Chosen::Connect) => ChosenBy::Connect,
            Some(Chosen::Accept) | None => ChosenBy::Open,
        };
        all.push(Connection {
            local,
            peer,
            life,
            choice,
            reuse: false,
        });
    }
    let mut reuses = false;
    for connection in &mut all {
        let shared = owners
            .get(&connection.local)
            .is_some_and(|count| *count > 1);
        let chosen = choosable(connection.local.port());
        connection.choice = match (chosen, shared, connection.life) {
            (_, _, ConnState::Bound) | (false, false, _) => ChosenBy::Bind,
            (_, true, _) if connection.choice == ChosenBy::Bind => ChosenBy::Bind,
            (_, true, _) => ChosenBy::Connect,
            (true, false, _) => connection.choice,
        };
        connection.reuse = shared && connection.choice == ChosenBy::Bind;
        reuses |= connection.reuse;
    }
    if reuses {
        notes.assumed(
            "sockets that share a local address which bind() got have SO_REUSEADDR: the kernel does not show the option, but they could not exist together without it",
        );
    }
    if !outside.is_empty() {
        let named: Vec<String> = outside.iter().take(5).map(u16::to_string).collect();
        notes.assumed(format!(
            "{} local {} outside the range {range} ({}{}), so a program bound them by number, or the range differs: pass `--sysctl FILE` of the host",
            outside.len(),
            if outside.len() == 1 { "port is" } else { "ports are" },
            named.join(", "),
            if outside.len() > named.len() { ", ..." } else { "" },
        ));
    }
    // The oldest first, so that all of them reach their age at the end.
    all.sort_by_key(|connection| match connection.life {
        ConnState::TimeWait(age) => (0, u64::MAX - age),
        ConnState::FinWait2 => (1, 0),
        ConnState::Held => (2, 0),
        ConnState::Bound => (3, 0),
    });
    all
}
