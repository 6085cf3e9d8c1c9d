//! sendto(), recvfrom() and the datagrams between sockets (`udp_sendmsg`, `__udp4_lib_lookup`).

use crate::Errno;
use crate::Family;
use crate::addr::{Endpoint, Ip, SockAddr};
use crate::chooser::Chooser;
use crate::conn::device::Arrival;
use crate::conn::segment::{SegKind, Segment};
use crate::conn::socket::{Sock, State};
use crate::explain::reason::Rule;
use crate::machine::{DatagramEvent, Machine, SockId};
use std::net::SocketAddr;
use std::task::Poll;

/// The most datagrams that wait: those that a receive buffer of the default size holds.
const MOST_WAITING: usize = 256;
/// The largest datagram, in bytes.
const LARGEST: u32 = 65_507;

const SEND: &[&str] = &["sys_sendto", "inet_sendmsg", "udp_sendmsg"];

/// The score of a socket for a datagram, `None` if it does not receive it (`compute_score`).
fn score(sock: &Sock, seg: &Segment) -> Option<u32> {
    let v4 = seg.dst.ip.is_v4();
    let own_family = sock.family == Family::Inet6 && !v4 || sock.family == Family::Inet && v4;
    let dual = sock.family == Family::Inet6 && v4 && !sock.v6only;
    let exact = sock.rcv_saddr == seg.dst.ip;
    let wild = sock.rcv_saddr.is_any() && (v4 || sock.rcv_saddr == Ip::ANY6);
    if !(own_family || dual) || !(exact || wild) || !seg.via.reaches(sock.dev) {
        return None;
    }
    let connected = sock.state == State::Established;
    // A socket that is connected to port 0 receives from every port of that address.
    let from_peer = sock.daddr == seg.src.ip && [0, seg.src.port].contains(&sock.dport);
    if connected && !from_peer {
        return None;
    }
    let parts = [
        (exact, 16),
        (connected, 8),
        (sock.dev != 0, 4),
        (own_family, 1),
    ];
    Some(
        parts
            .iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, worth)| worth)
            .sum(),
    )
}

impl<C: Chooser> Machine<C> {
    /// `sendto(to)` of a datagram; without a destination it goes where connect() said.
    ///
    /// # Errors
    /// `EAGAIN` if the socket has no port and there is none left; `EINVAL` for port 0;
    /// `EDESTADDRREQ` without a destination; `ECONNREFUSED` once after a datagram that no socket
    /// received; those of routing.
    pub fn send_to(
        &mut self,
        s: SockId,
        to: Option<SocketAddr>,
        len: u32,
    ) -> Poll<Result<u32, Errno>> {
        let Some(i) = self.live(s) else {
            return Poll::Ready(Err(Errno::EPIPE));
        };
        if !self.socks[i].is_datagram() {
            // TCP does not look at the destination.
            return self.send_bytes(s, len);
        }
        let sent = self.udp_send(i, to.map(SockAddr::from), len);
        self.settle();
        Poll::Ready(sent.map(|()| len))
    }

    fn udp_send(&mut self, i: u32, to: Option<SockAddr>, len: u32) -> Result<(), Errno> {
        self.udp_autobind(i, "sendto")?;
        if len > LARGEST {
            return self.refuse(Errno::EMSGSIZE, Rule::SendTooLong, SEND);
        }
        let to = match to {
            // A connection to port 0 is not refused, as the destination of a call is.
            Some(to) if to.end.port == 0 => {
                self.udp_destination(i, to)?;
                return self.refuse(Errno::EINVAL, Rule::SendPortZero, SEND);
            }
            Some(to) => self.udp_destination(i, to)?,
            None if self.socks[i].state == State::Established => self.socks[i].remote(),
            None => return self.refuse(Errno::EDESTADDRREQ, Rule::SendNoDestination, SEND),
        };
        let (source, _) = self.udp_route(i, to, "sendto")?;
        let mapped = self.socks[i].rcv_saddr.is_v4() && !to.ip.is_v4();
        if mapped && self.b.mapped_source_refused() {
            return self.refuse(Errno::EAFNOSUPPORT, Rule::ConnectFamily, SEND);
        }
        let sock = &mut self.socks[i];
        if let Some(errno) = sock.error.take() {
            return self.refuse(errno, Rule::SendUnreachable, SEND);
        }
        if sock.shut_write {
            return self.refuse(Errno::EPIPE, Rule::ConnectState, SEND);
        }
        let (ns, dev) = (sock.ns, sock.dev);
        let seg = Segment {
            src: Endpoint::new(source, sock.num),
            dst: to,
            kind: SegKind::Datagram(len),
            saw_fin: false,
            timestamps: false,
            via: Arrival::Ethernet,
        };
        self.transmit(ns, dev, seg);
        Ok(())
    }

    /// The destination that sendto() names (`udp_sendmsg`, `udpv6_sendmsg`).
    fn udp_destination(&mut self, i: u32, wanted: SockAddr) -> Result<Endpoint, Errno> {
        let sock = &self.socks[i];
        let inet6 = sock.family == Family::Inet6;
        let v4 = wanted.end.ip.is_v4();
        if !inet6 && (wanted.family == Some(Family::Inet6) || !v4) {
            return self.refuse(Errno::EAFNOSUPPORT, Rule::ConnectFamily, SEND);
        }
        if inet6 && v4 && sock.v6only {
            return self.refuse(Errno::ENETUNREACH, Rule::ConnectFamily, SEND);
        }
        let mut to = wanted.end;
        if to.ip.is_any() {
            let own = source_or_loopback(sock, to.ip);
            to.ip = own;
        }
        Ok(to)
    }

    /// `recvfrom()` of a datagram: its size, and its sender.
    ///
    /// # Errors
    /// `ECONNREFUSED` once after a datagram that no socket received.
    pub fn recv_from(
        &mut self,
        s: SockId,
        len: u32,
    ) -> Poll<Result<(u32, Option<SocketAddr>), Errno>> {
        let Some(i) = self.live(s) else {
            return Poll::Ready(Err(Errno::ENOTCONN));
        };
        if !self.socks[i].is_datagram() {
            return self.recv_bytes(s, len).map_ok(|bytes| (bytes, None));
        }
        let sock = &mut self.socks[i];
        if let Some(errno) = sock.error.take() {
            let path = &["sys_recvfrom", "inet_recvmsg", "udp_recvmsg"];
            return Poll::Ready(self.refuse(errno, Rule::SendUnreachable, path));
        }
        let waiting = sock.cold.as_mut().and_then(|cold| cold.inbox.pop_front());
        match waiting {
            Some((from, bytes)) => Poll::Ready(Ok((bytes.min(len), Some(from.into())))),
            None if sock.shut_read => Poll::Ready(Ok((0, None))),
            None => Poll::Pending,
        }
    }

    /// The size and the sender of the datagram that [`Machine::recv_from`] returns next.
    #[must_use]
    pub fn next_datagram(&self, s: SockId) -> Option<(u32, SocketAddr)> {
        let sock = &self.socks[self.live(s)?];
        let (from, len) = sock.cold.as_ref()?.inbox.front()?;
        Some((*len, (*from).into()))
    }

    /// Returns `true` if the next call on the socket reports an error of an earlier one
    /// (`sk->sk_err`).
    #[must_use]
    pub fn has_error(&self, s: SockId) -> bool {
        self.live(s).is_some_and(|i| self.socks[i].error.is_some())
    }

    /// Takes the pending error of a socket, as `getsockopt(SO_ERROR)` does.
    pub fn take_error(&mut self, s: SockId) -> Option<Errno> {
        let i = self.live(s)?;
        self.socks[i].error.take()
    }

    /// Takes the last change of a datagram socket by what it has received: what was sent to this
    /// machine by its own last call, or by the last segment that was delivered.
    pub fn take_datagram_event(&mut self) -> Option<DatagramEvent> {
        self.datagram_event.take()
    }

    /// `setsockopt(SO_BROADCAST)`: whether the socket may send to the broadcast address.
    pub fn set_broadcast(&mut self, s: SockId, on: bool) {
        if let Some(i) = self.live(s) {
            self.socks[i].cold().broadcast = on;
        }
    }

    /// A copy of a multicast or broadcast datagram arrives at one of the sockets on its port
    /// (`__udp4_lib_mcast_deliver`). A socket whose addresses do not match gets none.
    pub fn deliver_copy(&mut self, s: SockId, seg: Segment) {
        let Some(i) = self.live(s) else {
            return;
        };
        let matches = self.socks[i].num == seg.dst.port && score(&self.socks[i], &seg).is_some();
        if let (true, SegKind::Datagram(len)) = (matches, seg.kind) {
            self.udp_enqueue(i, seg.src, len);
        }
    }

    /// Adds a datagram to a receive queue, unless that is full.
    fn udp_enqueue(&mut self, i: u32, from: Endpoint, len: u32) {
        let inbox = &mut self.socks[i].cold().inbox;
        if inbox.len() < MOST_WAITING {
            inbox.push_back((from, len));
            self.datagram_event = Some(DatagramEvent::Received(self.id(i)));
        }
    }

    /// A datagram arrives, or the answer to one.
    pub(crate) fn udp_receive(&mut self, ns: u16, seg: Segment) {
        let found = self.udp_lookup(ns, &seg);
        match (seg.kind, found) {
            (SegKind::Datagram(len), Some(i)) => {
                self.udp_enqueue(i, seg.src, len);
            }
            (SegKind::Datagram(_), None) => {
                self.answer_without_socket(ns, seg, SegKind::Unreachable);
            }
            // Without IP_RECVERR only a connected socket gets the error (`__udp4_lib_err`).
            (SegKind::Unreachable, Some(i)) if self.socks[i].state == State::Established => {
                self.socks[i].error = Some(Errno::ECONNREFUSED);
                self.datagram_event = Some(DatagramEvent::Refused(self.id(i)));
            }
            _ => {}
        }
    }

    /// The socket that receives a datagram: the one with the best score, of several the one that
    /// took the port last. Sockets with `SO_REUSEPORT` share the datagrams by a hash.
    fn udp_lookup(&mut self, ns: u16, seg: &Segment) -> Option<u32> {
        let owners = self.nss[usize::from(ns)].udp.owners(seg.dst.port);
        let of = |i: u32| score(&self.socks[i], seg);
        let best = owners.iter().filter_map(|&i| of(i)).max()?;
        let mut equal = owners.iter().copied().filter(|&i| of(i) == Some(best));
        let last = equal.next()?;
        if !self.socks[last].reuseport {
            return Some(last);
        }
        let mut group = std::iter::once(last).chain(equal.filter(|&i| self.socks[i].reuseport));
        match group.clone().count() {
            1 => Some(last),
            n => group.nth(self.chooser.pick_listener(n as u32) as usize),
        }
    }
}

/// The destination that a wildcard stands for: the socket's own address, else the loopback one.
fn source_or_loopback(sock: &Sock, to: Ip) -> Ip {
    match (to.is_v4(), sock.source()) {
        (true, Some(own)) if own.is_v4() => own,
        (true, _) => Ip::LOOPBACK4,
        (false, _) if sock.rcv_saddr.is_v4() => Ip::LOOPBACK4,
        (false, _) => Ip::LOOPBACK6,
    }
}
