//! Outgoing and incoming segments of a kernel.

use super::conns::Key;
use super::mailbox::is_group;
use super::state::{Sets, State};
use crate::carrier::wire::{Body, Progress};
use crate::network::Place;
use bytes::Bytes;
use fourtuple_kernel::nat::{Hop, Passed};
use fourtuple_kernel::{NsId, SegKind, Segment, SockId};
use std::net::{IpAddr, SocketAddr};

/// `true` for datagrams, and for the ICMP error about one.
fn is_udp(segment: &Segment) -> bool {
    matches!(segment.kind(), SegKind::Datagram(_) | SegKind::Unreachable)
}

/// Writes a segment to the log, as turmoil writes its packets: the 4-tuple, the flags, the length.
fn log(segment: &Segment, event: &str) {
    let (flags, len) = match segment.kind() {
        SegKind::Syn => ("SYN", 0),
        SegKind::SynAck => ("SYN ACK", 0),
        SegKind::Ack | SegKind::Challenge => ("ACK", 0),
        SegKind::Data(len) => ("PSH ACK", len),
        SegKind::Fin => ("FIN ACK", 0),
        SegKind::Rst => ("RST", 0),
        SegKind::Refuse => ("RST ACK", 0),
        SegKind::Datagram(len) => ("", len),
        SegKind::Unreachable => ("PORT UNREACHABLE", 0),
    };
    let protocol = if is_udp(segment) { "UDP" } else { "TCP" };
    let (src, dst) = (segment.src(), segment.dst());
    tracing::trace!(%src, %dst, protocol, flags, len, "{event}");
}

impl State {
    /// Passes the segments of the model to the carrier, or to another namespace of this machine.
    pub(crate) fn route(&mut self) {
        while let Some((ns, segment)) = self.machine.segment() {
            self.route_one(ns, segment);
        }
    }

    fn route_one(&mut self, ns: NsId, segment: Segment) {
        let key = Key::new(ns, segment.src(), segment.dst());
        match segment.kind() {
            SegKind::Syn => self.syn_went_out(key),
            SegKind::Rst | SegKind::Refuse => self.conns.forget_embryo(key),
            _ => {}
        }
        let bytes = match segment.kind() {
            SegKind::Data(_) | SegKind::Datagram(_) => self.sending.take().unwrap_or_default(),
            _ => Bytes::new(),
        };
        if is_group(segment.dst().ip()) {
            log(&segment, "Send");
            self.send_to_group(segment, &bytes);
            return;
        }
        self.forward(ns, segment, bytes, false);
    }

    /// Sends a packet on its way from a namespace of this machine, through its NAT hosts.
    /// `is_foreign` is `true` if the packet comes from another namespace.
    fn forward(&mut self, ns: NsId, segment: Segment, bytes: Bytes, is_foreign: bool) {
        let (mut at, mut segment) = (self.place(ns), segment);
        let mut has_arrived = is_foreign || !self.network.has_routers();
        loop {
            let ns = self.namespace(at.1);
            if self.machine.is_nat(ns) {
                let ways = self.network.ways();
                match self.machine.translate(ns, segment, &ways, at) {
                    Passed::On(next) | Passed::Answered(next) => segment = next,
                    Passed::Dropped => {
                        log(&segment, "Drop: by the NAT host");
                        return;
                    }
                }
            }
            match self.network.hop(at, segment.dst().ip()) {
                Hop::To((host, _)) if host != self.own => {
                    log(&segment, "Send");
                    self.transmit(host, segment, bytes);
                    return;
                }
                Hop::To(next) => at = next,
                Hop::Here if has_arrived => {
                    self.deliver(segment, bytes);
                    return;
                }
                Hop::Here | Hop::Lost => {
                    log(&segment, "Drop: no host has the address");
                    return;
                }
            }
            has_arrived = true;
        }
    }

    /// Passes a segment for another machine to the carrier.
    fn transmit(&mut self, host: IpAddr, segment: Segment, bytes: Bytes) {
        self.network.sent(1);
        let peer = self.peers.of(host);
        let is_datagram = match segment.kind() {
            SegKind::Syn => {
                peer.want_pipe();
                true
            }
            SegKind::SynAck
            | SegKind::Challenge
            | SegKind::Refuse
            | SegKind::Datagram(_)
            | SegKind::Unreachable => true,
            // Without a pipe there are no frames that it could overtake.
            SegKind::Rst => !peer.has_pipe(),
            _ => false,
        };
        if is_datagram {
            self.kick = true;
            peer.datagrams.push((segment, bytes));
            return;
        }
        let fills = self.fills_window && matches!(segment.kind(), SegKind::Data(_));
        let body = match fills {
            true => Body::Full(segment),
            false => Body::Segment(segment),
        };
        let number = self.push(host, body);
        let frame = (self.peers.boot(), host, number);
        self.network.payloads.put(frame, bytes);
    }

    /// Queues a frame for the pipe to a host. Returns its number.
    pub(crate) fn push(&mut self, host: IpAddr, body: Body) -> u64 {
        let now = self.machine.now();
        let peer = self.peers.of(host);
        // The pump starts the pipe's task.
        self.kick |= !peer.is_started();
        peer.push(body, now)
    }

    /// Handles a segment of another machine.
    pub(crate) fn receive(&mut self, from: IpAddr, segment: Segment, bytes: Bytes) {
        if is_group(segment.dst().ip()) {
            log(&segment, "Delivered");
            self.receive_from_group(segment, &bytes);
            return;
        }
        match self.network.entry(self.own, from, segment.dst().ip()) {
            Some((_, index)) => self.forward(self.namespace(index), segment, bytes, true),
            None => self.deliver(segment, bytes),
        }
    }

    /// Handles a segment for one of this machine's addresses.
    fn deliver(&mut self, segment: Segment, bytes: Bytes) {
        let Some(ns) = self.namespace_of(segment.dst().ip()) else {
            return;
        };
        log(&segment, "Delivered");
        if is_udp(&segment) {
            self.machine.deliver(ns, segment);
            self.datagram_arrived(bytes);
            self.route();
            return;
        }
        match segment.kind() {
            SegKind::Fin => self.timer_set(Sets::Ack),
            SegKind::Challenge => self.timer_set(Sets::Challenge),
            SegKind::Ack | SegKind::Data(_) if segment.saw_fin() => self.timer_set(Sets::End),
            _ => {}
        }
        let key = Key::new(ns, segment.dst(), segment.src());
        if segment.kind() == SegKind::Syn {
            let machine = &self.machine;
            self.conns
                .embryo(key, |s| machine.state(s) == fourtuple_kernel::State::Close);
        }
        if self.fills_window
            && matches!(segment.kind(), SegKind::Data(_))
            && let Some(conn) = self.conns.get(key)
        {
            conn.wants_report = true;
        }
        let embryo = self
            .conns
            .get(key)
            .is_some_and(|c| c.sock.is_none() && !c.child);
        if embryo
            && matches!(
                segment.kind(),
                SegKind::Ack | SegKind::Data(_) | SegKind::Fin
            )
        {
            self.conns.park(key, segment, bytes);
            self.admit(key);
            return;
        }
        self.arrive(key, segment, bytes);
        if matches!(segment.kind(), SegKind::Rst | SegKind::Refuse) {
            self.conns.forget_embryo(key);
        }
    }

    fn arrive(&mut self, key: Key, segment: Segment, bytes: Bytes) {
        let now = self.machine.now();
        if let Some(conn) = self.conns.get(key) {
            conn.heard = now;
            if !conn.shut_read {
                conn.arrive(bytes);
            }
        }
        self.machine.deliver(key.ns, segment);
        self.touch(key);
        self.route();
    }

    /// Tries to complete a handshake. Like Linux, the model drops the segment if the accept queue
    /// is full. On Linux the peer retransmits it; here it is kept until there is space.
    fn admit(&mut self, key: Key) {
        let Some((first, _)) = self.conns.get(key).and_then(|c| c.parked.front()).cloned() else {
            return;
        };
        self.machine.deliver(key.ns, first.with_kind(SegKind::Ack));
        self.route();
        // Only a child socket answers this.
        self.machine
            .deliver(key.ns, first.with_kind(SegKind::SynAck));
        let mut child = None;
        while let Some((ns, answer)) = self.machine.segment() {
            match answer.kind() {
                SegKind::Ack if (answer.src(), answer.dst()) == (key.local, key.remote) => {
                    child = Some(true)
                }
                SegKind::Rst if (answer.src(), answer.dst()) == (key.local, key.remote) => {
                    child = Some(false)
                }
                _ => self.route_one(ns, answer),
            }
        }
        match child {
            None => {}
            Some(false) => {
                self.conns.unpark(key);
                self.conns.forget_embryo(key);
            }
            Some(true) => {
                if let Some(conn) = self.conns.get(key) {
                    conn.child = true;
                }
                for (segment, bytes) in self.conns.unpark(key) {
                    if segment.kind() != SegKind::Ack {
                        self.arrive(key, segment, bytes);
                    }
                }
                self.touch(key);
            }
        }
    }

    /// Retries parked handshakes after the accept queue of a port may have got space.
    pub(crate) fn admit_parked(&mut self, port: u16) {
        for key in self.conns.parked_at(port) {
            self.admit(key);
        }
    }

    /// Handles the report that the peer's program has read bytes.
    pub(crate) fn credited(&mut self, key: Key, read: Progress) {
        let Some(sock) = self.conns.get(key).map(|conn| conn.sock) else {
            return;
        };
        let bounds = self.window(key.ns, sock);
        let now = self.machine.now();
        if let Some(conn) = self.conns.get(key) {
            conn.heard = now;
            conn.window.credit(read.bytes, read.buffer, bounds);
            conn.wake(&mut self.woken);
        }
    }

    /// Handles a credit that arrived from another machine.
    pub(crate) fn credit_arrived(
        &mut self,
        host: IpAddr,
        ends: (SocketAddr, SocketAddr),
        read: Progress,
    ) {
        match self.network.entry(self.own, host, ends.1.ip()) {
            Some(at) => self.forward_credit(at, ends, read),
            None => self.credit_here(ends, read),
        }
    }

    fn credit_here(&mut self, (from, to): (SocketAddr, SocketAddr), read: Progress) {
        if let Some(ns) = self.namespace_of(to.ip()) {
            self.credited(Key::new(ns, to, from), read);
        }
    }

    /// Sends a credit on its way from a namespace of this machine, as [`Self::forward`] does.
    fn forward_credit(&mut self, at: Place, ends: (SocketAddr, SocketAddr), read: Progress) {
        let (mut at, mut ends) = (at, ends);
        loop {
            ends = self.machine.nat_ends(self.namespace(at.1), ends);
            match self.network.hop(at, ends.1.ip()) {
                Hop::To((host, _)) if host != self.own => {
                    self.network.sent(1);
                    let (from, to) = ends;
                    self.push(host, Body::Credit { from, to, read });
                    return;
                }
                Hop::To(next) => at = next,
                Hop::Here => return self.credit_here(ends, read),
                Hop::Lost => return,
            }
        }
    }

    /// Reports to the writer of a connection that the program of `sock` has read bytes.
    pub(crate) fn report(&mut self, sock: SockId, key: Key, bytes: u32) {
        let buffer = self.window_of(sock).receive();
        let read = Progress { bytes, buffer };
        if self.is_local(key.ns, key.remote.ip()) {
            self.credited(key.other_end(), read);
            return;
        }
        self.forward_credit(self.place(key.ns), (key.local, key.remote), read);
    }
}
