//! State that comes from outside: the sockets of a captured host, and the ports that they leave.
//!
//! A capture shows sockets and not the calls that made them. [`Machine::restore`] enters a socket
//! into the tables as those calls would have, and [`Machine::connects_left`] and
//! [`Machine::binds_left`] ask the rules of ephemeral port selection about every port of the range.

use crate::Family;
use crate::addr::{Endpoint, Ip};
use crate::bucket::Owner;
use crate::bucket::conflict::Mode;
use crate::chooser::Chooser;
use crate::conn::socket::{Link, Sock, State, Tw};
use crate::explain::reason::PortVerdict;
use crate::machine::{Machine, NsId, SockId};
use crate::port::Verdict;
use crate::port::select_bind::bind_may_select;
use crate::port::select_connect::connect_may_use;
use crate::profile::behaviour::{BindScan, ConnectScan};
use crate::time::Time;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The call that chose, or named, the port of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortOrigin {
    /// bind() or listen(), with a number or with port 0: connect() skips the port.
    Bind,
    /// connect() without bind(), or with `IP_BIND_ADDRESS_NO_PORT`.
    Connect,
    /// accept(): the port of the listener, whose bind bucket stays as it is.
    Accept,
}

/// A socket of a captured host.
///
/// ```
/// use fourtuple_kernel::{Family, Machine, PortOrigin, Profile, Restored, Seeded, State};
/// use std::net::SocketAddr;
///
/// let kernel: Profile = "linux-6.18".parse()?;
/// let mut host = Machine::new(kernel.behaviours, Seeded::new(1, "host"));
/// let ns = host.add_namespace();
/// host.sysctl(ns, "net.ipv4.ip_local_port_range", "40000 40003")?;
/// let local: SocketAddr = "127.0.0.1:40000".parse()?;
/// let server: SocketAddr = "127.0.0.9:80".parse()?;
/// let connected = Restored::new(State::Established, Family::Inet, local, Some(server));
/// host.restore(ns, &connected.from(PortOrigin::Bind));
///
/// let left = host.connects_left(ns, local.ip(), "127.0.0.9:81".parse::<SocketAddr>()?);
/// assert_eq!(left.usable, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The TCP state; [`State::Close`] is a socket that is bound and nothing else.
    pub state: State,
    /// The family of the socket, which may be IPv6 for IPv4 addresses.
    pub family: Family,
    /// The local address and port.
    pub local: SocketAddr,
    /// The other end of a connection.
    pub remote: Option<SocketAddr>,
    /// The call that chose the port.
    pub origin: PortOrigin,
    /// The owner.
    pub uid: u32,
    /// `SO_REUSEADDR`
    pub reuse: bool,
    /// `SO_REUSEPORT`
    pub reuseport: bool,
    /// `IPV6_V6ONLY`
    pub v6only: bool,
    /// The connection uses TCP timestamps.
    pub timestamps: bool,
    /// The time that a TIME-WAIT socket has left, or a FIN-WAIT-2 that has become one, in
    /// nanoseconds.
    pub left: Option<u64>,
}

impl Restored {
    /// A socket without options, whose port bind() chose.
    pub fn new(
        state: State,
        family: Family,
        local: SocketAddr,
        remote: Option<SocketAddr>,
    ) -> Self {
        Restored {
            state,
            family,
            local,
            remote,
            origin: PortOrigin::Bind,
            uid: 0,
            reuse: false,
            reuseport: false,
            v6only: false,
            timestamps: true,
            left: None,
        }
    }

    /// The same socket with a port that another call chose.
    #[must_use]
    pub fn from(mut self, origin: PortOrigin) -> Self {
        self.origin = origin;
        self
    }
}

/// The ports of a range that a call may get, and why it does not get the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortsLeft {
    /// The number of ports that the call may get: as many such calls succeed one after the other.
    pub usable: u32,
    /// Of these, ports that single calls do not visit, depending on where they start: a search of
    /// an odd-sized range leaves one out.
    pub uncertain: u32,
    /// The other ports by reason.
    pub refused: BTreeMap<PortVerdict, u32>,
}

impl PortsLeft {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Use | Verdict::Replace(_) => self.usable += 1,
            Verdict::Skip(why) => *self.refused.entry(why).or_insert(0) += 1,
        }
    }
}

impl<C: Chooser> Machine<C> {
    /// Enters a socket of a captured host into the tables. The order of sockets does not matter,
    /// except that the children of a listener come after it.
    pub fn restore(&mut self, ns: NsId, socket: &Restored) {
        if socket.left.is_some() {
            self.restore_time_wait(ns, socket);
            return;
        }
        let local = Endpoint::from(socket.local);
        self.generation = self.generation.wrapping_add(1);
        let mut sock = Sock::new(ns.0, socket.family, socket.uid, self.generation);
        sock.rcv_saddr = local.ip;
        sock.sport = local.port;
        sock.state = socket.state;
        sock.reuse = u8::from(socket.reuse);
        sock.reuseport = socket.reuseport;
        sock.v6only = socket.v6only;
        sock.timestamps = socket.timestamps;
        sock.stamp = self.clock;
        sock.addr_lock = !local.ip.is_any();
        sock.connect_bind = socket.origin == PortOrigin::Connect;
        if let Some(remote) = socket.remote.map(Endpoint::from) {
            sock.daddr = remote.ip;
            sock.dport = remote.port;
            sock.link = Link::Connected;
            sock.mapped_ops = socket.family == Family::Inet6 && remote.ip.is_v4();
        }
        let i = self.socks.insert(sock);
        let port = local.port;
        match (socket.origin, self.ns(ns.0).by_port.get(port)) {
            (PortOrigin::Bind | PortOrigin::Accept, None) => self.take_free(i, port),
            (PortOrigin::Bind, Some(_)) => self.join(i, port),
            (_, known) => {
                let bucket = known.unwrap_or_else(|| self.ns_mut(ns.0).create_bucket(port, -1));
                self.socks[i].num = port;
                self.link(Owner::sock(i), bucket);
                self.count_owner(i, bucket);
            }
        }
        if socket.remote.is_some() {
            self.hash_insert(ns.0, Owner::sock(i));
        } else if socket.state == State::Listen {
            let list = self.ns_mut(ns.0).listeners.entry(port).or_default();
            list.push(i);
        }
    }

    /// Enters a TIME-WAIT socket. Its age follows from the time that it has left.
    fn restore_time_wait(&mut self, ns: NsId, socket: &Restored) {
        let Some(remote) = socket.remote.map(Endpoint::from) else {
            return;
        };
        let local = Endpoint::from(socket.local);
        let port = local.port;
        let bind = socket.origin != PortOrigin::Connect;
        let bucket = match self.ns(ns.0).by_port.get(port) {
            Some(bucket) => {
                if socket.origin == PortOrigin::Bind {
                    let b = &mut self.ns_mut(ns.0).buckets[bucket];
                    (b.fastreuse, b.fastreuseport) = (0, 0);
                    self.ns_mut(ns.0).note_blocked(bucket);
                }
                bucket
            }
            None => self
                .ns_mut(ns.0)
                .create_bucket(port, if bind { 0 } else { -1 }),
        };
        let length = self.ns(ns.0).time_wait;
        let left = socket.left.unwrap_or(0).min(length);
        let entered = Time(self.clock.nanos().saturating_sub(length - left));
        let t = self.tw.socks.insert(Tw {
            local: local.ip,
            remote: remote.ip,
            stamp: entered,
            entered,
            since: self.clock,
            timeout: left,
            timer: 0,
            bucket,
            place: 0,
            ns: ns.0,
            lport: port,
            rport: remote.port,
            dev: 0,
            family: socket.family,
            reuse: socket.reuse,
            reuseport: Some(socket.reuseport),
            v6only: socket.v6only,
            connect_bind: !bind,
            timestamps: socket.timestamps,
            fin_wait2: socket.state == State::FinWait2,
        });
        self.link(Owner::tw(t), bucket);
        self.hash_insert(ns.0, Owner::tw(t));
        self.schedule_tw(t, left);
    }

    /// The ports that connect() without bind() may get now from an address to a destination.
    pub fn connects_left(&mut self, ns: NsId, from: IpAddr, to: SocketAddr) -> PortsLeft {
        let to = Endpoint::from(to);
        self.with_newcomer(ns, from.into(), |machine, s| {
            let sock = &mut machine.socks[s.index];
            (sock.daddr, sock.dport) = (to.ip, to.port);
            let (low, high) = machine.port_range(s);
            let (t, chooser) = machine.tables(ns.0);
            let mut left = PortsLeft::default();
            for port in low..=high {
                left.count(connect_may_use(&t, chooser, s.index, port));
            }
            let parity = t.rules.connect_scan() == ConnectScan::Parity;
            left.uncertain = u32::from(parity && leaves_one_out(low, high) && left.usable > 0);
            left
        })
    }

    /// The ports that bind() of an address to port 0, without options, may get now.
    pub fn binds_left(&mut self, ns: NsId, at: IpAddr) -> PortsLeft {
        self.with_newcomer(ns, at.into(), |machine, s| {
            let (low, high) = machine.port_range(s);
            let (t, _) = machine.tables(ns.0);
            let mut left = PortsLeft::default();
            for port in low..=high {
                left.count(bind_may_select(&t, s.index, port, Mode::Automatic));
            }
            let parity = t.rules.bind_scan() != BindScan::Sequential;
            left.uncertain = u32::from(parity && leaves_one_out(low, high) && left.usable > 0);
            left
        })
    }

    /// The ephemeral port range of a namespace.
    #[must_use]
    pub fn ephemeral_range(&self, ns: NsId) -> (u16, u16) {
        self.ns(ns.0).values.range(&self.b)
    }

    /// Returns `true` if ephemeral port selection skips a port because it is reserved.
    #[must_use]
    pub fn is_reserved(&self, ns: NsId, port: u16) -> bool {
        self.ns(ns.0).values.reserved.contains(port)
    }

    /// Returns `true` if connect() without bind() skips a port whatever the destination, because
    /// bind() or listen() touched its bucket.
    #[must_use]
    pub fn blocks_connect(&self, ns: NsId, port: u16) -> bool {
        self.ns(ns.0).blocked.contains(port)
    }

    /// Lets a socket that is gone afterwards ask for ports.
    fn with_newcomer<T>(
        &mut self,
        ns: NsId,
        at: Ip,
        ask: impl FnOnce(&mut Self, SockId) -> T,
    ) -> T {
        let family = if at.is_v4() {
            Family::Inet
        } else {
            Family::Inet6
        };
        let s = self.socket(ns, family, 0);
        self.socks[s.index].rcv_saddr = at;
        let answer = ask(self, s);
        self.socks.remove(s.index);
        answer
    }
}

/// Returns `true` if a search by parity does not visit every port of a range.
fn leaves_one_out(low: u16, high: u16) -> bool {
    let ports = u32::from(high - low) + 1;
    ports > 1 && !ports.is_multiple_of(2)
}
