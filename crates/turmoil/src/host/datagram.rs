//! The calls on datagram sockets, and the bytes and waiting tasks of these sockets. The port model
//! has the receive queues: which socket a datagram reaches, and its size and sender.

use super::conns::Direction;
use super::mailbox::Mailbox;
use super::state::State;
use bytes::Bytes;
use fourtuple_kernel::{DatagramEvent, Errno, Segment, SockId};
use std::net::{IpAddr, SocketAddr};
use std::task::{Poll, Waker};

type Answer<T> = Result<T, Errno>;

impl State {
    /// `connect()`: the port, and the addresses of later datagrams.
    pub(crate) fn connect_datagram(&mut self, id: SockId, to: SocketAddr) -> Answer<()> {
        let answer = self.machine.connect(id, to);
        self.answered(answer, || format!("connect({to})"))
    }

    /// `sendto()`, or `send()` without a destination.
    ///
    /// # Errors
    /// `EAGAIN` also while a datagram for this host has to wait for the clock
    /// ([`Linux::loopback`](crate::Linux::loopback)).
    pub(crate) fn send_to(
        &mut self,
        id: SockId,
        to: Option<SocketAddr>,
        bytes: &[u8],
    ) -> Answer<u32> {
        let now = self.machine.now();
        let ends = to.or_else(|| self.machine.peer_addr(id).ok());
        let stays = ends.is_some_and(|to| self.stays(id, to));
        let waits = stays && self.loopback.busy_until(now).is_some();
        if let Some(mailbox) = self.datagrams.get_mut(&id) {
            mailbox.waits = waits;
        }
        if waits {
            return Err(Errno::EAGAIN);
        }
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let answer = self.machine.send_to(id, to, len);
        if matches!(answer, Poll::Ready(Ok(_))) {
            let payload = Bytes::copy_from_slice(bytes);
            if stays {
                self.loopback.charge(1, now);
            }
            self.datagram_arrived(payload.clone());
            self.sending = Some(payload);
            self.loops = self.open.get(&id).is_none_or(|o| o.kept.multicast_loop);
        }
        self.route();
        self.sending = None;
        self.answered(answer, || match to {
            Some(to) => format!("sendto({to})"),
            None => format!("send({len})"),
        })
    }

    /// Returns `true` if datagrams to an address do not leave the namespace of a socket.
    fn stays(&self, id: SockId, to: SocketAddr) -> bool {
        let ip = to.ip().to_canonical();
        let ns = self.open.get(&id).map(|open| open.ns);
        ip.is_unspecified() || ns.is_some_and(|ns| self.is_local(ns, ip))
    }

    /// `recvfrom()`: the size of the next datagram and its sender; `None` if none has arrived. A
    /// datagram that is longer than `out` is cut off.
    pub(crate) fn recv_from(
        &mut self,
        id: SockId,
        out: &mut [u8],
    ) -> Answer<Option<(u32, Option<SocketAddr>)>> {
        let len = u32::try_from(out.len()).unwrap_or(u32::MAX);
        let answer = match self.machine.recv_from(id, len) {
            Poll::Pending => return Ok(None),
            answer => self.answered(answer, || format!("recvfrom({len})"))?,
        };
        if let (_, Some(_)) = answer
            && let Some(mailbox) = self.datagrams.get_mut(&id)
            && let Some(payload) = mailbox.payloads.pop_front()
        {
            copy(&payload, out);
        }
        Ok(Some(answer))
    }

    /// `recvfrom()` with `MSG_PEEK`: the datagram stays in the queue. A pending error does not.
    pub(crate) fn peek_from(
        &mut self,
        id: SockId,
        out: &mut [u8],
    ) -> Answer<Option<(u32, Option<SocketAddr>)>> {
        let next = self.machine.next_datagram(id);
        let Some((len, from)) = next.filter(|_| !self.machine.has_error(id)) else {
            return self.recv_from(id, out);
        };
        let mailbox = self.datagrams.get(&id);
        if let Some(payload) = mailbox.and_then(|mailbox| mailbox.payloads.front()) {
            copy(payload, out);
        }
        let room = u32::try_from(out.len()).unwrap_or(u32::MAX);
        Ok(Some((len.min(room), Some(from))))
    }

    /// Joins or leaves a multicast group.
    ///
    /// # Errors
    /// `EINVAL` if the address is none, `EADDRINUSE` if the socket is in the group already,
    /// `EADDRNOTAVAIL` if it is to leave and is not.
    pub(crate) fn set_member(&mut self, id: SockId, group: IpAddr, joins: bool) -> Answer<()> {
        let mailbox = self.datagrams.get_mut(&id).ok_or(Errno::ENOPROTOOPT)?;
        match joins {
            _ if !group.is_multicast() => Err(Errno::EINVAL),
            true if !mailbox.groups.insert(group) => Err(Errno::EADDRINUSE),
            false if !mailbox.groups.remove(&group) => Err(Errno::EADDRNOTAVAIL),
            _ => Ok(()),
        }
    }

    /// Sends a datagram to every host, and to this one unless the socket has turned
    /// `IP_MULTICAST_LOOP` off.
    pub(super) fn send_to_group(&mut self, segment: Segment, payload: &Bytes) {
        let is_broadcast = !segment.dst().ip().is_multicast();
        for host in self.network.all_hosts() {
            if host != self.own {
                self.network.sent(1);
                self.kick = true;
                let peer = self.peers.of(host);
                peer.datagrams.push((segment, payload.clone()));
            } else if is_broadcast || self.loops {
                self.receive_from_group(segment, payload);
            }
        }
    }

    /// Hands a copy of a datagram to each socket on its port that is a member of the group.
    pub(super) fn receive_from_group(&mut self, segment: Segment, payload: &Bytes) {
        let group = segment.dst().ip();
        let is_member = |m: &Mailbox| !group.is_multicast() || m.groups.contains(&group);
        let members = self.datagrams.iter().filter(|(_, m)| is_member(m));
        let members: Vec<SockId> = members.map(|(id, _)| *id).collect();
        for id in members {
            self.machine.deliver_copy(id, segment);
            self.datagram_arrived(payload.clone());
        }
    }

    /// Handles what a datagram, or the ICMP error about one, has changed.
    pub(crate) fn datagram_arrived(&mut self, payload: Bytes) {
        let (id, payload) = match self.machine.take_datagram_event() {
            Some(DatagramEvent::Received(id)) => (id, Some(payload)),
            Some(DatagramEvent::Refused(id)) => (id, None),
            None => return,
        };
        if let Some(mailbox) = self.datagrams.get_mut(&id) {
            mailbox.payloads.extend(payload);
            mailbox.readers.wake_into(&mut self.woken);
        }
    }

    /// Returns `true` if a datagram socket can receive, or send, without waiting.
    pub(super) fn is_datagram_ready(&self, id: SockId, direction: Direction) -> bool {
        match direction {
            Direction::Read => {
                self.machine.next_datagram(id).is_some() || self.machine.has_error(id)
            }
            Direction::Write => {
                let waits = self.datagrams.get(&id).is_some_and(|m| m.waits);
                !(waits && self.loopback.busy_until(self.machine.now()).is_some())
            }
        }
    }

    /// Registers a waker of a datagram socket. Returns `false` if the direction needs no waiting.
    pub(super) fn wait_datagram(
        &mut self,
        id: SockId,
        direction: Direction,
        waker: &Waker,
    ) -> bool {
        let Some(mailbox) = self.datagrams.get_mut(&id) else {
            return false;
        };
        match direction {
            Direction::Read => {
                mailbox.readers.add(waker);
                true
            }
            Direction::Write if mailbox.waits => {
                self.loopback.wait_task(waker);
                self.kick = true;
                true
            }
            Direction::Write => false,
        }
    }

    /// The answer of a call that never waits, whose failure is recorded.
    fn answered<T>(&mut self, answer: Poll<Answer<T>>, call: impl FnOnce() -> String) -> Answer<T> {
        let Poll::Ready(answer) = answer else {
            return Err(Errno::EAGAIN);
        };
        if let Err(errno) = &answer {
            self.failed(call(), *errno);
        }
        answer
    }
}

/// Copies as much of a datagram as fits.
fn copy(payload: &[u8], out: &mut [u8]) {
    let len = payload.len().min(out.len());
    out[..len].copy_from_slice(&payload[..len]);
}
