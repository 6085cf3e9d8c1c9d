//! What the rows mean together: listeners, connections that hold a port of their own, addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use indexmap::{IndexMap, IndexSet};

use super::table::{self, Row};
use crate::import::MAX_IMPORTED_ADDRESSES;
use crate::import::notes::Notes;
use crate::import::sysctl::{RANGE, range_of, reserves};
use crate::model::Sysctls;
use crate::value::PortRange;

/// The range of a kernel from 4.2 on.
const DEFAULT_RANGE: PortRange = PortRange {
    low: 32768,
    high: 60999,
};
/// Length of TIME-WAIT in milliseconds.
const TIME_WAIT: u64 = 60_000;
/// Where the question for a new destination goes; an address that is kept for documentation.
const NEW: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 443);

/// A connection that holds a port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) life: Life,
    pub(super) choice: Choice,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Life {
    /// It is in TIME-WAIT; milliseconds since that began.
    TimeWait(u64),
    /// Closed here, not there.
    FinWait2,
    Held,
}

/// Who chose its port, as far as that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// connect(): two connections from one address share the port.
    Connect,
    /// bind() with a number: the port is not in the range, or reserved.
    Bind,
    /// Either.
    Open,
}

/// The host.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) listeners: Vec<SocketAddr>,
    pub(super) connections: Vec<Connection>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) peers: Vec<IpAddr>,
    pub(super) range: PortRange,
    /// The sysctls besides the range.
    pub(super) sysctls: Sysctls,
    /// Ages of TIME-WAIT are known.
    pub(super) aged: bool,
}

impl State {
    pub(super) fn of(rows: &[Row], mut sysctls: Sysctls, notes: &mut Notes) -> Self {
        let range = range_of(&sysctls).unwrap_or_else(|| {
            notes.assumed(format!(
                "the range of local ports is {DEFAULT_RANGE}; give `--sysctl FILE` if it is not"
            ));
            DEFAULT_RANGE
        });
        sysctls.shift_remove(RANGE);
        let listeners = listeners(rows, notes);
        let mut state = Self {
            connections: connections(rows, &listeners, range, &sysctls, notes),
            listeners,
            addresses: Vec::new(),
            peers: Vec::new(),
            range,
            sysctls,
            aged: true,
        };
        state.find_addresses(rows, notes);
        state.check_ages(rows, notes);
        notes.assumed("listeners have SO_REUSEADDR");
        notes.assumed(
            "other sockets have no option set; a port that is bound and neither listens nor is connected cannot be seen",
        );
        state
    }

    /// Whether an address is one of the host.
    pub(super) fn is_here(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.addresses.contains(&ip)
    }

    fn find_addresses(&mut self, rows: &[Row], notes: &mut Notes) {
        // The address that most connections come from is the one that the kernel chooses.
        let mut uses: IndexMap<IpAddr, usize> = IndexMap::new();
        for connection in &self.connections {
            *uses.entry(connection.local.ip()).or_default() += 1;
        }
        for row in rows {
            uses.entry(row.local.ip()).or_default();
        }
        uses.retain(|ip, _| !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast());
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
                "the host has the address {ip}; the capture does not show which one it has"
            ));
            self.addresses.push(ip);
        }
        let mut peers: IndexSet<IpAddr> = IndexSet::new();
        let (here, connections) = (self.clone(), std::mem::take(&mut self.connections));
        let mut dropped = 0_usize;
        for connection in connections {
            let (local, peer) = (connection.local.ip(), connection.peer.ip());
            let strange = peer.is_multicast() || peer.is_unspecified() || local.is_unspecified();
            let far = !here.is_here(peer);
            let full = far && peers.len() >= MAX_IMPORTED_ADDRESSES - 1 && !peers.contains(&peer);
            if strange || full || !here.is_here(local) || local.is_ipv6() != peer.is_ipv6() {
                dropped += 1;
                continue;
            }
            if far {
                peers.insert(peer);
            }
            self.connections.push(connection);
        }
        if dropped > 0 {
            notes.left_out(format!(
                "{dropped} connections with addresses beyond the first {MAX_IMPORTED_ADDRESSES}, or that no host can have"
            ));
        }
        peers.insert(self.new_destination().ip());
        self.peers = peers.into_iter().filter(|ip| !here.is_here(*ip)).collect();
        let known = self.addresses.clone();
        self.listeners.retain(|at| {
            at.ip().is_unspecified() || at.ip().is_loopback() || known.contains(&at.ip())
        });
    }

    fn check_ages(&mut self, rows: &[Row], notes: &mut Notes) {
        self.aged = rows
            .iter()
            .all(|row| row.state != table::State::TimeWait || row.left.is_some());
        if !self.aged {
            notes.assumed(
                "connections in TIME-WAIT have just been closed; `ss -tano` would show since when",
            );
        }
    }

    /// Steps that [`exact`](super::exact) needs.
    pub(super) fn steps(&self) -> usize {
        let of = |connection: &Connection| if connection.life == Life::Held { 5 } else { 8 };
        self.connections
            .iter()
            .map(of)
            .sum::<usize>()
            .saturating_add(3 * self.servers().len() + 16)
    }

    /// Endpoints that connections go to and that are no listener of the host; whether one of their connections ends.
    pub(super) fn servers(&self) -> IndexMap<SocketAddr, bool> {
        let mut servers = IndexMap::new();
        for connection in &self.connections {
            let ends = matches!(connection.life, Life::TimeWait(_));
            if ends || !listens(&self.listeners, connection.peer) {
                *servers.entry(connection.peer).or_default() |= ends;
            }
        }
        servers
    }

    /// The endpoint that most connections go to.
    pub(super) fn busiest(&self) -> Option<SocketAddr> {
        let mut uses: IndexMap<SocketAddr, usize> = IndexMap::new();
        for connection in &self.connections {
            *uses.entry(connection.peer).or_default() += 1;
        }
        uses.into_iter()
            .rev()
            .max_by_key(|(_, count)| *count)
            .map(|(at, _)| at)
    }

    /// An endpoint that nobody is connected to.
    pub(super) fn new_destination(&self) -> SocketAddr {
        let mut at = NEW;
        while self
            .connections
            .iter()
            .any(|connection| connection.peer == at)
        {
            at.set_port(at.port() + 1);
        }
        at
    }

    /// The sysctls, with a range in front, as they stand in a scenario.
    pub(super) fn sysctl_text(&self) -> String {
        let mut text = format!("{{ {RANGE}: {}", self.range);
        for (name, value) in &self.sysctls {
            text.push_str(&format!(", {name}: {value:?}"));
        }
        text.push_str(" }");
        text
    }
}

/// Whether a connection to an endpoint reaches one of some listeners.
pub(super) fn listens(listeners: &[SocketAddr], to: SocketAddr) -> bool {
    listeners.iter().any(|at| {
        let wildcard = at.ip().is_unspecified() && (at.is_ipv6() || to.is_ipv4());
        at.port() == to.port() && (at.ip() == to.ip() || wildcard)
    })
}

/// Listeners, each port as few times as it takes: several sockets of one group count as one, and so does one that
/// another would overlap, because a scenario's listeners do not share.
fn listeners(rows: &[Row], notes: &mut Notes) -> Vec<SocketAddr> {
    let mut all: Vec<SocketAddr> = Vec::new();
    let mut listening: Vec<&Row> = rows
        .iter()
        .filter(|row| row.state == table::State::Listen)
        .collect();
    // Wildcards first: they are what a connection reaches in the end.
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
            notes.count("listeners on a port of which another one is there already (SO_REUSEPORT or IPV6_V6ONLY)", row.line);
        } else if all.len() < MAX_IMPORTED_ADDRESSES {
            all.push(row.local);
        } else {
            notes.count("listeners beyond the limit of a scenario", row.line);
        }
    }
    all
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
    for row in rows {
        let Some(peer) = row.peer else { continue };
        if listens(listeners, row.local) {
            notes.count(
                "connections that listeners accepted, which take no port of their own",
                row.line,
            );
            continue;
        }
        *owners.entry(row.local).or_default() += 1;
        let life = match row.state {
            table::State::TimeWait => {
                Life::TimeWait(row.left.map_or(0, |left| TIME_WAIT.saturating_sub(left)))
            }
            table::State::FinWait2 if row.left.is_some() => Life::FinWait2,
            _ => Life::Held,
        };
        let (local, choice) = (row.local, Choice::Open);
        all.push(Connection {
            local,
            peer,
            life,
            choice,
        });
    }
    for connection in &mut all {
        let shared = owners
            .get(&connection.local)
            .is_some_and(|count| *count > 1);
        let port = connection.local.port();
        let choosable = range.contains(port) && !reserves(sysctls, port);
        connection.choice = match (choosable, shared) {
            (_, true) => Choice::Connect,
            (false, false) => Choice::Bind,
            (true, false) => Choice::Open,
        };
    }
    // The oldest first, so that all of them can be of their age in the end.
    all.sort_by_key(|connection| match connection.life {
        Life::TimeWait(age) => (0, u64::MAX - age),
        Life::FinWait2 => (1, 0),
        Life::Held => (2, 0),
    });
    all
}
