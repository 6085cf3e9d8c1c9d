//! connect(): the checks before a port is chosen, the check of a port that the socket has, and what
//! a failure leaves behind (`__inet_stream_connect`, `tcp_v4_connect`, `__inet_hash_connect`).
//!
//! A socket without a port goes on to [`select_connect`](crate::port::select_connect).

use crate::Errno;
use crate::Family;
use crate::addr::{Endpoint, Ip, SockAddr};
use crate::bucket::Owner;
use crate::chooser::Chooser;
use crate::conn::device::{ETHERNET, LOOPBACK};
use crate::conn::established::{Check, check_established};
use crate::conn::segment::SegKind;
use crate::conn::socket::{Link, PortFrom, State};
use crate::explain::reason::Rule;
use crate::machine::{Machine, SockId};
use crate::port::port_range;
use std::net::SocketAddr;
use std::task::Poll;

/// The way to the routing table, for an address of each family.
fn route_path(to: Ip) -> &'static [&'static str] {
    if to.is_v4() {
        &["sys_connect", "tcp_v4_connect", "ip_route_connect"]
    } else {
        &["sys_connect", "tcp_v6_connect", "ip6_dst_lookup_flow"]
    }
}

impl<C: Chooser> Machine<C> {
    /// The range that ephemeral ports of a socket come from.
    pub(crate) fn port_range(&self, s: SockId) -> (u16, u16) {
        let sock = &self.socks[s.index];
        port_range(self.ns(sock.ns), sock, &self.b)
    }

    /// `net.ipv4.ip_local_port_step_width` of the namespace of a socket.
    pub(crate) fn step_width(&self, s: SockId) -> u32 {
        self.ns(self.socks[s.index].ns).values.step_width
    }

    /// `connect(to)` on a blocking socket. [`Poll::Pending`] means that the SYN is out and the call
    /// would block (a non-blocking socket returns `EINPROGRESS` here).
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` if ephemeral port selection finds no port, or if the 4-tuple of a bound
    /// socket is in use; `EISCONN`, `ENETUNREACH`, `EINVAL`, `EAFNOSUPPORT`, `ECONNREFUSED`,
    /// `ETIMEDOUT` as on a real kernel.
    pub fn connect(&mut self, s: SockId, to: SocketAddr) -> Poll<Result<(), Errno>> {
        let Some(i) = self.live(s) else {
            return Poll::Ready(Err(Errno::EINVAL));
        };
        if self.socks[i].is_datagram() {
            return Poll::Ready(self.udp_connect(i, to.into()));
        }
        match self.socks[i].link {
            Link::Connected => {
                return Poll::Ready(self.refuse(
                    Errno::EISCONN,
                    Rule::ConnectState,
                    &["sys_connect", "inet_stream_connect"],
                ));
            }
            Link::Connecting => return self.connect_result(s),
            Link::Unconnected => {}
        }
        if self.socks[i].state != State::Close {
            return Poll::Ready(self.refuse(
                Errno::EISCONN,
                Rule::ConnectState,
                &["sys_connect", "inet_stream_connect"],
            ));
        }
        if let Err(e) = self.start_connect(i, to.into()) {
            return Poll::Ready(Err(e));
        }
        self.settle();
        self.connect_result(s)
    }

    /// The present result of a connect() that had to wait.
    ///
    /// # Errors
    /// `ECONNREFUSED` or `ETIMEDOUT`, once, if the handshake failed; `ECONNABORTED` if the socket
    /// was reset or closed since; `ENOTCONN` without a connect().
    pub fn connect_result(&mut self, s: SockId) -> Poll<Result<(), Errno>> {
        let Some(i) = self.live(s) else {
            return Poll::Ready(Err(Errno::ECONNABORTED));
        };
        let sock = &mut self.socks[i];
        match (sock.link, sock.state) {
            (Link::Connecting, State::SynSent | State::SynRecv) => Poll::Pending,
            (Link::Connecting, State::Close) => {
                let errno = sock.error.take().unwrap_or(Errno::ECONNABORTED);
                sock.link = Link::Unconnected;
                self.tcp_disconnect(i);
                let rule = if errno == Errno::ETIMEDOUT {
                    Rule::ConnectTimedOut
                } else {
                    Rule::ConnectRefused
                };
                let path = if rule == Rule::ConnectTimedOut {
                    &[
                        "tcp_retransmit_timer",
                        "tcp_write_timeout",
                        "tcp_write_err",
                        "tcp_done",
                    ][..]
                } else {
                    &[
                        "tcp_v4_rcv",
                        "tcp_rcv_state_process",
                        "tcp_rcv_synsent_state_process",
                        "tcp_reset",
                    ][..]
                };
                Poll::Ready(self.refuse(errno, rule, path))
            }
            (Link::Connecting, _) => {
                sock.link = Link::Connected;
                Poll::Ready(Ok(()))
            }
            (Link::Connected, _) => Poll::Ready(Ok(())),
            (Link::Unconnected, _) => Poll::Ready(Err(Errno::ENOTCONN)),
        }
    }

    /// Everything up to the SYN (`tcp_v4_connect`, `tcp_v6_connect`).
    fn start_connect(&mut self, i: u32, to: SockAddr) -> Result<(), Errno> {
        let to = self.destination(i, to)?;
        let started = self.connect_to(i, to);
        if started.is_err() && to.ip.is_v4() {
            // tcp_v6_connect() goes back to IPv6 operations, whatever the socket had before.
            self.socks[i].mapped_ops = false;
        }
        started
    }

    fn connect_to(&mut self, i: u32, to: Endpoint) -> Result<(), Errno> {
        if to.ip.is_multicast() || to.ip.is_broadcast() {
            let errno = Errno::ENETUNREACH;
            return self.refuse(errno, Rule::ConnectUnreachable, route_path(to.ip));
        }
        let mut stray = false;
        if let Some(src) = self.route_from(i, to.ip, self.socks[i].source())? {
            // Routes lead `::1` nowhere but to itself.
            stray = src == Ip::LOOPBACK6 && to.ip != Ip::LOOPBACK6;
            self.socks[i].saddr_unset = false;
            self.move_address(i, src);
        }
        let sock = &mut self.socks[i];
        sock.strays = stray;
        sock.daddr = to.ip;
        sock.dport = to.port;
        sock.state = State::SynSent;
        if to.ip.is_v4() && sock.family == Family::Inet6 {
            sock.mapped_ops = true;
        }
        if let Err(refused) = self.hash_connect(i) {
            self.after_failed_connect(i);
            if let Some(refusal) = refused {
                self.refusal = Some(refusal);
            }
            return Err(Errno::EADDRNOTAVAIL);
        }
        let sock = &mut self.socks[i];
        // Directions that shutdown() has closed on the unconnected socket stay closed.
        sock.link = Link::Connecting;
        sock.error = None;
        sock.retries = 0;
        sock.fin_in = false;
        sock.unread = 0;
        if sock.repair() {
            // The connection is taken as made (`tcp_connect`).
            sock.state = State::Established;
            sock.timestamps = false;
            return Ok(());
        }
        self.send(i, SegKind::Syn);
        self.arm_syn_retry(i);
        Ok(())
    }

    /// Looks up the route from a source address, and chooses the source if there is none yet
    /// (`ip_route_connect`, `ip6_dst_lookup_flow`).
    ///
    /// # Errors
    /// `ENETUNREACH` without a route; `EINVAL`, or `ENETUNREACH` on new kernels, from a source that
    /// cannot send there; others of IPv6 addresses that are off or tentative.
    pub(crate) fn route_from(
        &mut self,
        i: u32,
        to: Ip,
        source: Option<Ip>,
    ) -> Result<Option<Ip>, Errno> {
        let on_link = self.is_on_link(i, to, source.is_some())?;
        let sock = &self.socks[i];
        let (ns, dev) = (sock.ns, sock.dev);
        let Some(old) = source else {
            return match on_link {
                true => Ok(Some(self.ns(ns).primary(to).unwrap_or(Ip::ANY4))),
                false => self.source(ns, to).map(Some),
            };
        };
        if old.is_v4() && !self.ns(ns).is_local(old) && !sock.transparent {
            // IP_FREEBIND and ip_nonlocal_bind are for bind(); as a source only IP_TRANSPARENT lets
            // such an address pass.
            return self.refuse(
                self.b.foreign_source().errno(),
                Rule::ConnectUnreachable,
                route_path(to),
            );
        }
        if on_link && (dev == LOOPBACK || !old.is_loopback()) {
            // The route needs nothing but the device.
            return Ok(None);
        }
        if let Err(errno) = self.ns(ns).route(to, true) {
            return self.refuse_route(errno, to);
        }
        if old.is_v4() && old.is_loopback() && (on_link || !self.ns(ns).is_local(to)) {
            // Nothing leaves the machine from 127.0.0.0/8 (`__mkroute_output`).
            return self.refuse(Errno::EINVAL, Rule::ConnectUnreachable, route_path(to));
        }
        Ok(None)
    }

    /// Checks the destination and fills in what the caller left open.
    pub(crate) fn destination(&mut self, i: u32, wanted: SockAddr) -> Result<Endpoint, Errno> {
        match self.socks[i].family {
            Family::Inet => self.destination4(i, wanted),
            Family::Inet6 => self.destination6(i, wanted),
        }
    }

    /// The destination of an `AF_INET` socket (`tcp_v4_connect`).
    fn destination4(&mut self, i: u32, wanted: SockAddr) -> Result<Endpoint, Errno> {
        let mut to = wanted.end;
        if wanted.family == Some(Family::Inet6) || !to.ip.is_v4() {
            let path: &[&'static str] = match self.socks[i].is_datagram() {
                true => &[
                    "sys_connect",
                    "inet_dgram_connect",
                    "__ip4_datagram_connect",
                ],
                false => &["sys_connect", "inet_stream_connect", "tcp_v4_connect"],
            };
            return self.refuse(Errno::EAFNOSUPPORT, Rule::ConnectFamily, path);
        }
        let sock = &self.socks[i];
        if to.ip.is_any() {
            to.ip = match sock.rcv_saddr.is_any() {
                true => Ip::LOOPBACK4,
                false => sock.rcv_saddr,
            };
        }
        Ok(to)
    }

    /// The destination of an `AF_INET6` socket (`tcp_v6_connect`).
    fn destination6(&mut self, i: u32, wanted: SockAddr) -> Result<Endpoint, Errno> {
        let path: &[&'static str] = match self.socks[i].is_datagram() {
            true => &[
                "sys_connect",
                "inet_dgram_connect",
                "__ip6_datagram_connect",
            ],
            false => &["sys_connect", "inet_stream_connect", "tcp_v6_connect"],
        };
        let mut to = wanted.end;
        let sock = &self.socks[i];
        if wanted.family == Some(Family::Inet) {
            // A datagram socket takes an IPv4 address in either form.
            match (sock.is_datagram(), sock.v6only) {
                (true, false) => {}
                (true, true) => {
                    return self.refuse(Errno::EAFNOSUPPORT, Rule::ConnectFamily, path);
                }
                (false, _) => return self.refuse(Errno::EINVAL, Rule::ShortAddress, path),
            }
        }
        if to.ip == Ip::ANY6 {
            // The mapped wildcard counts as a mapped address here.
            to.ip = if sock.rcv_saddr.is_v4() {
                Ip::LOOPBACK4
            } else {
                Ip::LOOPBACK6
            };
        }
        if to.ip.is_v4() && to.ip.is_any() {
            to.ip = if sock.rcv_saddr.is_v4() && !sock.rcv_saddr.is_any() {
                sock.rcv_saddr
            } else {
                Ip::LOOPBACK4
            };
        }
        if to.ip.is_link_local6() {
            let differs = wanted.scope != 0 && sock.dev != 0 && wanted.scope != sock.dev;
            if differs || wanted.scope == 0 && sock.dev == 0 {
                return self.refuse(Errno::EINVAL, Rule::LinkLocalWithoutScope, path);
            }
            if wanted.scope != 0 {
                self.bind_to_device(i, wanted.scope);
            }
            if self.socks[i].dev != ETHERNET {
                return self.refuse_route(Errno::ENETUNREACH, to.ip);
            }
        }
        let sock = &self.socks[i];
        if to.ip.is_v4() && sock.v6only {
            return self.refuse(Errno::ENETUNREACH, Rule::ConnectFamily, path);
        }
        let native_bound = !sock.rcv_saddr.is_v4() && sock.rcv_saddr != Ip::ANY6;
        if to.ip.is_v4() && native_bound && !sock.is_datagram() {
            return self.refuse(Errno::ENETUNREACH, Rule::ConnectFamily, path);
        }
        let mapped_source = sock.rcv_saddr.is_v4();
        if !to.ip.is_v4() && mapped_source && self.b.mapped_source_refused() {
            // The route is looked up first (`ip6_dst_lookup_tail`), by the socket's device.
            self.is_on_link(i, to.ip, sock.source().is_some())?;
            let sock = &self.socks[i];
            if let Err(errno) = self.ns(sock.ns).route(to.ip, true) {
                return self.refuse_route(errno, to.ip);
            }
            return self.refuse(Errno::EAFNOSUPPORT, Rule::ConnectFamily, path);
        }
        let unanswered = !to.ip.is_v4() && (mapped_source || sock.mapped_ops);
        self.socks[i].unanswered = unanswered;
        Ok(to)
    }

    /// Returns `true` if a socket is bound to a device that has no route to the destination: IPv4
    /// then takes it for a neighbour on that device (`ip_route_output_key`).
    ///
    /// # Errors
    /// IPv6 has no route by that device.
    fn is_on_link(&mut self, i: u32, to: Ip, has_source: bool) -> Result<bool, Errno> {
        let sock = &self.socks[i];
        let n = self.ns(sock.ns);
        let has_route = match n.is_local(to) {
            true => n.is_on(to, sock.dev),
            false => sock.dev != LOOPBACK,
        };
        if has_route {
            return Ok(false);
        }
        if to.is_v4() {
            return Ok(true);
        }
        let errno = match n.route(to, has_source) {
            Err(errno) => errno,
            Ok(()) => Errno::ENETUNREACH,
        };
        self.refuse_route(errno, to)
    }

    /// The source address that routing chooses.
    fn source(&mut self, ns: u16, to: Ip) -> Result<Ip, Errno> {
        let n = self.ns(ns);
        let waits = |ip| n.is_tentative(ip, self.clock);
        if n.is_local(to) && !waits(to) {
            if !to.is_v4() {
                return Ok(to);
            }
            // 127/8 belongs to one interface address, which newer kernels prefer as the source.
            return Ok(if self.b.source_preferred() && to.is_loopback() {
                Ip::LOOPBACK4
            } else {
                to
            });
        }
        match (n.route(to, false), n.primary(to)) {
            // `ipv6_dev_get_saddr` skips tentative addresses, and takes what is left.
            (Ok(()), Some(ip)) if waits(ip) && n.is_local(Ip::LOOPBACK6) => Ok(Ip::LOOPBACK6),
            (Ok(()), Some(ip)) if waits(ip) => {
                let errno = Errno::EADDRNOTAVAIL;
                self.refuse(errno, Rule::AddressTentative, route_path(to))
            }
            (Ok(()), Some(ip)) => Ok(ip),
            (route, _) => self.refuse_route(route.err().unwrap_or(Errno::ENETUNREACH), to),
        }
    }

    fn refuse_route<T>(&mut self, errno: Errno, to: Ip) -> Result<T, Errno> {
        let rule = match errno {
            Errno::EADDRNOTAVAIL => Rule::Ipv6Off,
            _ => Rule::ConnectUnreachable,
        };
        self.refuse(errno, rule, route_path(to))
    }

    /// Ends a connect() that failed before the SYN.
    fn after_failed_connect(&mut self, i: u32) {
        self.set_close(i);
        let sock = &mut self.socks[i];
        sock.dport = 0;
        let any = Ip::any(sock.family);
        if !sock.addr_lock && self.b.connect_resets_address() {
            self.move_address(i, any);
        }
    }

    /// Finds or checks the port and enters the 4-tuple (`inet_hash_connect`).
    fn hash_connect(&mut self, i: u32) -> Result<(), Option<Box<crate::explain::reason::Refusal>>> {
        let sock = &self.socks[i];
        let (ns, port) = (sock.ns, sock.num);
        if port == 0 {
            return self.select_connect(i);
        }
        let (t, chooser) = self.tables(ns);
        let replaced = match check_established(&t, chooser, i, port, PortFrom::Socket) {
            Check::Free => None,
            Check::Recycle(tw) => Some(tw),
            found => {
                return Err(self
                    .explaining
                    .then(|| self.explain_bound_connect(i, found)));
            }
        };
        self.enter(i);
        if let Some(tw) = replaced {
            self.kill_tw(tw);
        }
        Ok(())
    }

    /// Enters a socket into the established table.
    pub(crate) fn enter(&mut self, i: u32) {
        let ns = self.socks[i].ns;
        self.socks[i].sport = self.socks[i].num;
        self.hash_insert(ns, Owner::sock(i));
    }
}
