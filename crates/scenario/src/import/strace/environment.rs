//! The environment of the recorded programs: their host's addresses, the servers they connect to,
//! and their clients. A log shows all of this only indirectly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use indexmap::{IndexMap, IndexSet};

use super::history::{Act, History, Sock};
use crate::import::MAX_IMPORTED_ADDRESSES;
use crate::import::checked::{Assumptions, Holder};
use crate::import::sysctl::{RANGE, range_of};
use crate::model::{Host, Sysctls};
use crate::value::{Answer, PortRange};

/// The host of the recorded programs.
pub(super) const HERE: &str = "host";
/// First port of the kernel's default ephemeral port range.
const DEFAULT_LOW: u16 = 32768;
/// The host of all peers.
pub(super) const THERE: &str = "peers";

/// A server outside the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Server {
    /// `true` if it accepted a connection.
    pub(super) listens: bool,
    /// `true` if steps must create it: it does not listen all the time, or its closes matter.
    pub(super) stepwise: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Environment {
    here: IndexSet<IpAddr>,
    there: IndexSet<IpAddr>,
    sysctls: Sysctls,
    pub(super) servers: IndexMap<SocketAddr, Server>,
    /// `true` if anything runs on the other host.
    pub(super) two_hosts: bool,
}

/// An address as packets carry it: IPv4 for a mapped address, loopback for the wildcard.
pub(super) fn canonical(at: SocketAddr) -> SocketAddr {
    let ip = match at.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, at.port())
}

/// Returns `true` for an address that a host may have.
fn proper(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || broadcast)
}

/// Returns `true` for errnos that mean that packets did not arrive.
fn lost(answer: Option<Answer>) -> bool {
    answer.is_some_and(|answer| {
        matches!(
            answer.as_str(),
            "ETIMEDOUT" | "EHOSTUNREACH" | "ENETUNREACH" | "EHOSTDOWN" | "ENETDOWN"
        )
    })
}

impl Environment {
    /// Derives the environment. Removes expectations that no model can meet from the events.
    pub(super) fn of(
        history: &mut History,
        sysctls: Option<Sysctls>,
        assumptions: &Assumptions,
    ) -> Self {
        let mut environment = Self {
            here: own_addresses(history),
            there: IndexSet::new(),
            sysctls: sysctls.clone().unwrap_or_default(),
            servers: IndexMap::new(),
            two_hosts: false,
        };
        environment.look_at_holders(assumptions);
        environment.look_at_peers(history);
        environment.look_at_closes(history);
        environment.addresses_of_here(history);
        unmeetable(history);
        match assumptions.width {
            Some(width) => environment.narrow(history, width),
            None if sysctls.is_none() => environment.guess_range(history),
            None => {}
        }
        environment.two_hosts = !environment.there.is_empty();
        environment
    }

    /// Returns `true` for an address of the recorded host.
    pub(super) fn is_here(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.here.contains(&ip)
    }

    /// Adds the destinations of sockets outside the log, and their local addresses.
    fn look_at_holders(&mut self, assumptions: &Assumptions) {
        for holder in &assumptions.holders {
            let Holder::Range { from, to, .. } = holder else {
                continue;
            };
            self.here.extend(from.filter(|ip| proper(*ip)));
            let Some(at) = to.map(canonical) else {
                continue;
            };
            if !self.is_here(at.ip()) && proper(at.ip()) {
                self.there.insert(at.ip());
            }
            self.servers.entry(at).or_default().listens = true;
        }
    }

    fn look_at_peers(&mut self, history: &mut History) {
        let History {
            socks,
            events,
            notes,
            ..
        } = history;
        events.retain(|event| {
            let at = match &event.act {
                Act::Connect(to) | Act::SendTo(to) => Some(canonical(*to)),
                Act::Accepted(peer) if socks[event.sock].other_end.is_none() => peer.map(canonical),
                _ => None,
            };
            let Some(at) = at else { return true };
            if !self.is_here(at.ip()) && !self.there.contains(&at.ip()) {
                if lost(event.answer) {
                    return true;
                }
                if !proper(at.ip()) || self.there.len() >= MAX_IMPORTED_ADDRESSES {
                    notes.count(format!("calls with addresses that no host can have, or beyond the first {MAX_IMPORTED_ADDRESSES}"), event.line);
                    return false;
                }
                self.there.insert(at.ip());
            }
            true
        });
        let mut refused: IndexSet<SocketAddr> = IndexSet::new();
        let mut open: IndexSet<usize> = IndexSet::new();
        for event in &*events {
            match event.act {
                Act::Listen(_) if event.answer.is_none_or(Answer::is_ok) => {
                    open.insert(event.sock);
                }
                Act::Close => {
                    open.swap_remove(&event.sock);
                }
                _ => {}
            }
            let Act::Connect(to) = &event.act else {
                continue;
            };
            let at = canonical(*to);
            if socks[event.sock].is_datagram()
                || socks[event.sock].other_end.is_some()
                || lost(event.answer)
                || open.iter().any(|sock| reaches(&socks[*sock], at))
            {
                continue;
            }
            let server = self.servers.entry(at).or_default();
            match event.answer.map(Answer::as_str) {
                Some("ECONNREFUSED") => drop(refused.insert(at)),
                _ => server.listens = at.port() != 0,
            }
        }
        for at in refused {
            if let Some(server) = self.servers.get_mut(&at)
                && server.listens
            {
                server.stepwise = true;
            }
        }
    }

    /// Marks servers whose connections end within the log: steps create them, because it matters
    /// which end closes first.
    fn look_at_closes(&mut self, history: &mut History) {
        let mut to: IndexMap<usize, SocketAddr> = IndexMap::new();
        let mut closes = false;
        for event in &history.events {
            match &event.act {
                Act::Connect(at)
                    if event.answer.is_none_or(Answer::is_ok)
                        && !history.socks[event.sock].is_datagram() =>
                {
                    to.insert(event.sock, canonical(*at));
                }
                Act::Close | Act::PeerClosed | Act::PeerReset | Act::Shutdown(_) => {
                    if let Some(server) =
                        to.get(&event.sock).and_then(|at| self.servers.get_mut(at))
                    {
                        server.stepwise = true;
                        closes = true;
                    }
                }
                _ => {}
            }
        }
        if closes {
            history.notes.assumed(
                "a server outside the log closes after its client, unless the client read an end of file or a reset before",
            );
        }
    }

    /// Gives the host an address of each family in which it connects.
    fn addresses_of_here(&mut self, history: &mut History) {
        let reaches = |v6: bool| self.there.iter().any(|ip| ip.is_ipv6() == v6);
        let has = |v6: bool| self.here.iter().any(|ip| ip.is_ipv6() == v6);
        let mut invented: Vec<IpAddr> = Vec::new();
        if reaches(false) && !has(false) {
            invented.push(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        }
        if reaches(true) && !has(true) {
            invented.push(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)));
        }
        for ip in invented {
            history.notes.assumed(format!(
                "the host has the address {ip}; the log does not show its address"
            ));
            self.here.insert(ip);
        }
    }

    /// Narrows the range to the observed ports if the log shows that ports ran out.
    fn guess_range(&mut self, history: &mut History) {
        let History {
            socks,
            events,
            notes,
            seen,
            ..
        } = history;
        let chose = |sock: usize| socks[sock].bound.is_none_or(|at| at.port() == 0);
        let ran_out =
            events.iter().find(
                |event| match (&event.act, event.answer.map(Answer::as_str)) {
                    (Act::Connect(_), Some("EADDRNOTAVAIL")) => chose(event.sock),
                    (Act::Connect(_) | Act::SendTo(_), Some("EAGAIN")) => {
                        socks[event.sock].is_datagram()
                    }
                    (Act::Bind(at), Some("EADDRINUSE")) => at.port() == 0,
                    _ => false,
                },
            );
        let Some(ran_out) = ran_out else {
            notes.assumed("the ephemeral port range is the kernel's default; pass `--sysctl FILE` if it differs");
            return;
        };
        match *seen {
            Some(PortRange { low, high }) => {
                notes.assumed(format!(
                    "the ephemeral port range is {low}-{high}, the ports that the log shows, because on line {} no port was left; pass `--sysctl FILE` if it differs",
                    ran_out.line
                ));
                self.sysctls.insert(RANGE.to_owned(), format!("{low} {high}"));
            }
            None => notes.assumed(format!(
                "the ephemeral port range is the kernel's default, which contradicts line {}, where no port was left; pass `--sysctl FILE`",
                ran_out.line
            )),
        }
    }

    /// The ephemeral port range, if it is known.
    pub(super) fn range(&self) -> Option<PortRange> {
        range_of(&self.sysctls)
    }

    /// Sets the ephemeral port range to `width` ports, the widest with which the recorded answers
    /// hold.
    fn narrow(&mut self, history: &mut History, width: u16) {
        let known = self.range();
        let low = known.map_or(DEFAULT_LOW, |range| range.low);
        let high = low.saturating_add(width.saturating_sub(1));
        history.notes.assumed(match known {
            Some(known) => format!(
                "the other ports of the range {known} were in use when the log begins: the scenario's range is {low}-{high}, so it cannot be used to try other ranges"
            ),
            None => format!("the ephemeral port range is {low}-{high}; pass `--sysctl FILE` with the range of the host"),
        });
        let range = format!("{low} {high}");
        self.sysctls.insert(RANGE.to_owned(), range);
    }

    /// The hosts of the scenario. With steps, some servers are created by steps.
    pub(super) fn hosts(&self, stepwise: bool) -> IndexMap<String, Host> {
        let listening = |here: bool| {
            let fits = |(at, server): &(&SocketAddr, &Server)| {
                server.listens && self.is_here(at.ip()) == here && !(stepwise && server.stepwise)
            };
            self.servers
                .iter()
                .filter(fits)
                .map(|(at, _)| *at)
                .take(MAX_IMPORTED_ADDRESSES)
                .collect::<Vec<_>>()
        };
        let mut hosts = IndexMap::new();
        hosts.insert(
            HERE.to_owned(),
            Host {
                addresses: self.here.iter().copied().collect(),
                sysctl: self.sysctls.clone(),
                listen: listening(true),
                ..Host::default()
            },
        );
        if self.two_hosts {
            hosts.insert(
                THERE.to_owned(),
                Host {
                    addresses: self.there.iter().copied().collect(),
                    listen: listening(false),
                    ..Host::default()
                },
            );
        }
        hosts
    }

    /// The address that sockets outside the log bind before they connect to `to`; `None` if they do
    /// not bind.
    pub(super) fn bound_from(&self, to: Option<SocketAddr>, bound: bool) -> Option<IpAddr> {
        if !bound {
            return None;
        }
        match to {
            Some(to) if to.ip().is_loopback() => Some(to.ip()),
            Some(to) => self.address_here(to.is_ipv6()),
            None => Some(Ipv4Addr::UNSPECIFIED.into()),
        }
    }

    /// The first address of a family on the host, for clients of a wildcard listener.
    pub(super) fn address_here(&self, v6: bool) -> Option<IpAddr> {
        self.here.iter().copied().find(|ip| ip.is_ipv6() == v6)
    }
}

/// Addresses of the recorded host. Those that the kernel chose for unbound sockets come first,
/// because it chooses the first one.
fn own_addresses(history: &mut History) -> IndexSet<IpAddr> {
    let mut chosen: Vec<IpAddr> = Vec::new();
    let mut asked: Vec<IpAddr> = Vec::new();
    for sock in &history.socks {
        let specific = sock
            .bound
            .filter(|at| !at.ip().to_canonical().is_unspecified());
        match (sock.local, specific) {
            (_, Some(at)) => asked.push(at.ip().to_canonical()),
            (Some(local), None) => chosen.push(local.ip().to_canonical()),
            (None, None) => {}
        }
    }
    let all: IndexSet<IpAddr> = chosen
        .into_iter()
        .chain(asked)
        .filter(|ip| proper(*ip))
        .collect();
    if all.len() > MAX_IMPORTED_ADDRESSES {
        history.notes.left_out(format!(
            "addresses of the host beyond the first {MAX_IMPORTED_ADDRESSES}"
        ));
    }
    all.into_iter().take(MAX_IMPORTED_ADDRESSES).collect()
}

/// Returns `true` if a connect to an address reaches a recorded listener.
fn reaches(listener: &Sock, to: SocketAddr) -> bool {
    listener.bound.is_some_and(|bound| {
        let own = bound.ip().to_canonical();
        let port = match bound.port() {
            0 => listener.local.map_or(0, |local| local.port()),
            port => port,
        };
        port == to.port() && (own == to.ip() || own.is_unspecified())
    })
}

/// Removes answers that depend on routes, devices and firewalls, which scenarios do not contain.
fn unmeetable(history: &mut History) {
    let History {
        events,
        notes,
        socks,
        ..
    } = history;
    events.retain_mut(|event| {
        if !matches!(event.act, Act::Connect(_) | Act::SendTo(_)) {
            return true;
        }
        let datagram = socks[event.sock].is_datagram();
        match event.answer.map(Answer::as_str) {
            Some("EHOSTUNREACH" | "EHOSTDOWN") => {
                let what =
                    "answers of connect() that packets did not arrive (EHOSTUNREACH, EHOSTDOWN)";
                notes.count(what, event.line);
                event.answer = None;
                true
            }
            Some("ENETUNREACH" | "ENETDOWN" | "EPERM" | "EACCES") if datagram => {
                let what = "answers of UDP sockets without a route or the permission to send, which took a port all the same";
                notes.count(what, event.line);
                event.answer = None;
                true
            }
            // The kernel checks route and firewall before it chooses a port.
            Some("ENETUNREACH" | "ENETDOWN") => {
                let what = "connects without a route (ENETUNREACH, ENETDOWN), which took no port";
                notes.count(what, event.line);
                false
            }
            Some("EPERM" | "EACCES") => {
                let what = "connects that a firewall or a policy refused (EPERM, EACCES)";
                notes.count(what, event.line);
                false
            }
            _ => true,
        }
    });
}
