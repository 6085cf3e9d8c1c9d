//! A captured host in the model.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::{Family, Machine, NsId, PortOrigin, PortsLeft, Seeded, State};

use super::{Interval, Origins, Unknown};
use crate::document::{Document, PortBy, Socket};

/// The ephemeral port range of a kernel whose capture lacks it.
const RANGE: &str = "net.ipv4.ip_local_port_range";

/// A capture with the origin of each port.
pub(super) struct Host<'a> {
    pub(super) document: &'a Document,
    pub(super) kernel: &'a Profile,
    /// The origin of the port of each socket; `None` if it is unknown.
    origins: Vec<Option<PortOrigin>>,
}

/// A change of the host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    /// A sysctl with its new value.
    pub(super) sysctl: Option<(&'static str, &'static str)>,
    /// Programs that call bind() with port 0 before connect() set `IP_BIND_ADDRESS_NO_PORT`.
    pub(super) no_port: bool,
    /// Sockets of this state are gone.
    pub(super) without: Option<&'static str>,
}

/// The state of the host at both ends of what is unknown.
#[derive(Clone)]
pub(super) struct Restored {
    /// bind() chose the ports of unknown origin.
    bind: Kernel,
    /// connect() did. `None` if no origin is unknown.
    connect: Option<Kernel>,
}

#[derive(Clone)]
struct Kernel {
    machine: Machine,
    ns: NsId,
}

impl<'a> Host<'a> {
    pub(super) fn new(document: &'a Document, kernel: &'a Profile, unknown: Unknown) -> Self {
        let assumed = match unknown {
            Unknown::Either => None,
            Unknown::Connect => Some(PortOrigin::Connect),
            Unknown::Bind => Some(PortOrigin::Bind),
        };
        let listeners = Listeners::of(document);
        let shared = shared(document, &listeners);
        let origin = |socket: &Socket| {
            let local = socket.local;
            match socket.port_by {
                Some(PortBy::Number | PortBy::Bind) => return Some(PortOrigin::Bind),
                Some(PortBy::Connect) => return Some(PortOrigin::Connect),
                Some(PortBy::Accept) => return Some(PortOrigin::Accept),
                None => {}
            }
            if socket.peer.is_none() {
                Some(PortOrigin::Bind)
            } else if listeners.accepts(local) {
                Some(PortOrigin::Accept)
            } else if socket.bind_address_no_port == Some(true) || shared.contains(&local) {
                Some(PortOrigin::Connect)
            } else {
                assumed
            }
        };
        Host {
            origins: document.sockets.iter().map(origin).collect(),
            document,
            kernel,
        }
    }

    /// The sockets, each with the origin of its port if that is known.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (&'a Socket, Option<PortOrigin>)> {
        let origins = self.origins.iter().copied();
        self.document.sockets.iter().zip(origins)
    }

    /// Counts the sockets of a range by origin.
    pub(super) fn origins(&self, range: RangeInclusive<u16>) -> Origins {
        let mut counts = Origins::default();
        for (socket, origin) in self.sockets() {
            if range.contains(&socket.local.port()) {
                *match origin {
                    Some(PortOrigin::Bind) => &mut counts.bind,
                    Some(PortOrigin::Connect) => &mut counts.connect,
                    Some(PortOrigin::Accept) => &mut counts.accept,
                    None => &mut counts.unknown,
                } += 1;
            }
        }
        counts
    }

    /// The value of a sysctl in the capture.
    pub(super) fn sysctl(&self, name: &str) -> Option<&str> {
        self.document.sysctl.get(name).map(String::as_str)
    }

    /// A destination that no socket of the host is connected to.
    pub(super) fn new_destination(&self, source: IpAddr) -> SocketAddr {
        let ip: IpAddr = match source.to_canonical() {
            IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::new(127, 255, 255, 253).into(),
            IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 253).into(),
            IpAddr::V6(ip) if ip.is_loopback() => ip.into(),
            IpAddr::V6(_) => Ipv6Addr::from((0x2001_0db8 << 96) | 0xfffd).into(),
        };
        let used = self.ports_of(ip);
        let port = (1..=u16::MAX).find(|port| !used.contains(port));
        SocketAddr::new(ip, port.unwrap_or(1))
    }

    /// The ports of an address that sockets of the host are connected to.
    pub(super) fn ports_of(&self, ip: IpAddr) -> BTreeSet<u16> {
        (self.document.sockets.iter())
            .filter_map(|socket| socket.peer)
            .filter(|peer| peer.ip() == ip)
            .map(|peer| peer.port())
            .collect()
    }

    /// The state of the host with a change, at both ends of what is unknown.
    pub(super) fn both(&self, change: &Change) -> Restored {
        let open = self.origins.iter().any(Option::is_none);
        Restored {
            bind: self.restore(PortOrigin::Bind, change),
            connect: open.then(|| self.restore(PortOrigin::Connect, change)),
        }
    }

    fn restore(&self, unknown: PortOrigin, change: &Change) -> Kernel {
        // Nothing that is asked depends on the seed: no search is made.
        let mut machine = Machine::new(self.kernel.behaviours, Seeded::new(1, "host"));
        let ns = machine.add_namespace();
        machine.set_routed(ns, true);
        for ip in &self.document.addresses {
            machine.add_address(ns, *ip);
        }
        for (name, value) in &self.document.sysctl {
            // Sysctls of other kernels than the profile's, and values that the model does not
            // accept, stay at their defaults.
            let _ = machine.sysctl(ns, name, value);
        }
        if let Some((name, value)) = change.sysctl {
            let _ = machine.sysctl(ns, name, value);
        }
        let timestamps = self.sysctl("net.ipv4.tcp_timestamps") != Some("0");
        let (low, high) = machine.ephemeral_range(ns);
        // Listeners come first: their children join their buckets.
        let (listeners, others): (Vec<_>, Vec<_>) = self
            .sockets()
            .partition(|(socket, _)| socket.state == "LISTEN");
        for (socket, origin) in listeners.into_iter().chain(others) {
            let Some(state) = state(&socket.state) else {
                continue;
            };
            if change.without == Some(&*socket.state) {
                continue;
            }
            let in_range = (low..=high).contains(&socket.local.port());
            let origin = match origin {
                Some(PortOrigin::Bind) if change.no_port && changes_style(socket) => {
                    PortOrigin::Connect
                }
                Some(known) => known,
                None if !in_range => PortOrigin::Bind,
                None if change.no_port => PortOrigin::Connect,
                None => unknown,
            };
            machine.restore(ns, &restored(socket, state, origin, timestamps));
        }
        Kernel { machine, ns }
    }
}

/// Returns `true` for a socket that could have got its port inside connect().
fn changes_style(socket: &Socket) -> bool {
    socket.peer.is_some() && socket.port_by != Some(PortBy::Number)
}

fn restored(
    socket: &Socket,
    state: State,
    origin: PortOrigin,
    timestamps: bool,
) -> fourtuple_kernel::Restored {
    let family = if socket.mapped || socket.local.is_ipv6() {
        Family::Inet6
    } else {
        Family::Inet
    };
    let local = socket.local;
    let mut one = fourtuple_kernel::Restored::new(state, family, local, socket.peer).from(origin);
    one.uid = socket.uid;
    // Most servers set it, and listen() takes its effect on connect() away.
    one.reuse = state == State::Listen || origin == PortOrigin::Accept;
    one.reuseport = false;
    one.v6only = socket.v6only == Some(true);
    one.timestamps = timestamps;
    one.left = socket.time_wait_ms().map(|ms| u64::from(ms) * 1_000_000);
    if state == State::TimeWait && one.left.is_none() {
        // Without a timer its age is unknown: a moment.
        one.left = Some(u64::MAX);
    }
    one
}

/// The state that ss prints.
fn state(name: &str) -> Option<State> {
    Some(match name {
        "UNCONN" => State::Close,
        "LISTEN" => State::Listen,
        "SYN-SENT" => State::SynSent,
        "SYN-RECV" => State::SynRecv,
        "ESTAB" => State::Established,
        "FIN-WAIT-1" => State::FinWait1,
        "FIN-WAIT-2" => State::FinWait2,
        "CLOSE-WAIT" => State::CloseWait,
        "LAST-ACK" => State::LastAck,
        "CLOSING" => State::Closing,
        "TIME-WAIT" => State::TimeWait,
        _ => return None,
    })
}

/// The addresses of listeners by port.
struct Listeners(BTreeMap<u16, Vec<(IpAddr, bool)>>);

impl Listeners {
    fn of(document: &Document) -> Self {
        let mut all: BTreeMap<u16, Vec<(IpAddr, bool)>> = BTreeMap::new();
        for one in document.sockets.iter().filter(|one| one.state == "LISTEN") {
            let only = one.v6only == Some(true);
            all.entry(one.local.port())
                .or_default()
                .push((one.local.ip(), only));
        }
        Listeners(all)
    }

    /// Returns `true` if a connection with this local address came in by a listener.
    fn accepts(&self, local: SocketAddr) -> bool {
        let Some(listeners) = self.0.get(&local.port()) else {
            return false;
        };
        listeners.iter().any(|(ip, only)| match ip {
            IpAddr::V4(any) if any.is_unspecified() => local.is_ipv4(),
            IpAddr::V6(any) if any.is_unspecified() => local.is_ipv6() || !only,
            ip => *ip == local.ip(),
        })
    }
}

/// Local addresses with a port that several outgoing connections share: connect() chose it, because
/// bind() to port 0 does not share a port of the same address, and connect() skips the ports of
/// bind().
fn shared(document: &Document, listeners: &Listeners) -> BTreeSet<SocketAddr> {
    let mut peers: BTreeMap<SocketAddr, SocketAddr> = BTreeMap::new();
    let mut shared = BTreeSet::new();
    for socket in &document.sockets {
        let Some(peer) = socket.peer else {
            continue;
        };
        if socket.port_by.is_some() || listeners.accepts(socket.local) {
            continue;
        }
        if *peers.entry(socket.local).or_insert(peer) != peer {
            shared.insert(socket.local);
        }
    }
    shared
}

impl Restored {
    pub(super) fn range(&self) -> (u16, u16) {
        self.bind.machine.ephemeral_range(self.bind.ns)
    }

    pub(super) fn is_reserved(&self, port: u16) -> bool {
        self.bind.machine.is_reserved(self.bind.ns, port)
    }

    /// The number of connect() calls that succeed, and the reasons at the lower end.
    pub(super) fn connects_left(&mut self, from: IpAddr, to: SocketAddr) -> (Interval, PortsLeft) {
        let least = self.bind.connects_left(from, to);
        let most = match &mut self.connect {
            Some(kernel) => kernel.connects_left(from, to).usable,
            None => least.usable,
        };
        let interval = Interval {
            at_least: least.usable - least.uncertain,
            at_most: most.max(least.usable),
        };
        (interval, least)
    }

    /// The number of bind() calls to port 0 that succeed. The origin of other ports does not
    /// matter.
    pub(super) fn binds_left(&mut self, at: IpAddr) -> u32 {
        let left = self.bind.machine.binds_left(self.bind.ns, at);
        left.usable - left.uncertain
    }

    /// The number of ports of the range that connect() skips.
    pub(super) fn blocked(&self) -> Interval {
        let least = self.connect.as_ref().unwrap_or(&self.bind).blocked();
        Interval {
            at_least: least,
            at_most: self.bind.blocked(),
        }
    }
}

impl Kernel {
    fn connects_left(&mut self, from: IpAddr, to: SocketAddr) -> PortsLeft {
        self.machine.connects_left(self.ns, from, to)
    }

    fn blocked(&self) -> u32 {
        let (low, high) = self.machine.ephemeral_range(self.ns);
        let blocks = |port: &u16| self.machine.blocks_connect(self.ns, *port);
        (low..=high).filter(blocks).count() as u32
    }
}

impl Host<'_> {
    /// Returns `true` if the capture has the range of the namespace.
    pub(super) fn has_range(&self) -> bool {
        self.sysctl(RANGE).is_some()
    }
}
