//! Segments that arrive: FIN and RST, and those of a handshake one by one (`tcp_v4_rcv`,
//! `tcp_rcv_state_process`).

use crate::Errno;
use crate::Family;
use crate::addr::{Endpoint, Ip};
use crate::bucket::{Owner, OwnerKind};
use crate::chooser::Chooser;
use crate::conn::device::{Arrival, LOOPBACK};
use crate::conn::established::bound_device;
use crate::conn::segment::{Packet, SegKind, Segment};
use crate::conn::socket::{Sock, State};
use crate::conn::tuples::Tuple;
use crate::machine::{Machine, NsId};
use crate::namespace::Namespace;
use crate::time::MS;
use crate::timers::TimerKind;

impl<C: Chooser> Machine<C> {
    /// The next segment for an address outside its sender's namespace, with that namespace.
    pub fn segment(&mut self) -> Option<(NsId, Segment)> {
        let packet = self.outbox.pop_front()?;
        Some((NsId(packet.ns), packet.segment()))
    }

    /// A segment arrives from outside.
    pub fn deliver(&mut self, ns: NsId, seg: Segment) {
        if self.nss[usize::from(ns.0)].alive {
            debug_assert!(self.inbox.is_empty(), "between calls nothing is under way");
            let via = Arrival::Ethernet;
            let seg = Segment { via, ..seg };
            if !seg.dst.ip.is_v4() && !self.ns(ns.0).is_local(seg.dst.ip) {
                return;
            }
            self.receive(ns.0, seg);
            self.settle();
        }
    }

    /// Delivers all local segments, and those that they give rise to.
    pub(crate) fn settle(&mut self) {
        while let Some(packet) = self.inbox.pop_front() {
            self.receive(packet.ns, packet.segment());
        }
    }

    /// Sends a segment of a socket. What is sent also acknowledges a FIN that was waiting for it.
    pub(crate) fn send(&mut self, i: u32, kind: SegKind) {
        let sock = &mut self.socks[i];
        if sock.unanswered || sock.strays {
            return;
        }
        let pending = std::mem::take(&mut sock.ack_pending);
        let timestamps = match kind {
            SegKind::Syn => self.nss[usize::from(sock.ns)].values.timestamps,
            _ => sock.timestamps,
        };
        let seg = Segment {
            // The port may have been given back already when a reset is sent.
            src: Endpoint::new(sock.rcv_saddr, sock.sport),
            dst: sock.remote(),
            kind,
            saw_fin: sock.fin_in,
            timestamps,
            via: Arrival::Ethernet,
        };
        let (ns, dev) = (sock.ns, sock.dev);
        if pending {
            self.stop_timer(i);
        }
        self.transmit(ns, dev, seg);
    }

    /// Sends a segment by a device, or by any (0).
    pub(crate) fn transmit(&mut self, ns: u16, dev: u16, mut seg: Segment) {
        let n = self.ns(ns);
        if n.is_local(seg.dst.ip) {
            if let Some(via) = n.arrival(&self.b, dev, seg.dst.ip) {
                seg.via = via;
                self.inbox.push_back(Packet::new(ns, &seg));
            }
            return;
        }
        let has_route = seg.dst.ip.is_v4() || n.primary(seg.dst.ip).is_some();
        if dev == LOOPBACK || !has_route {
            return;
        }
        if let Some(ways) = self.ways.clone() {
            self.carry(ns, seg, &ways);
            return;
        }
        let holds = |n: &Namespace| n.alive && n.addresses.contains(&seg.dst.ip);
        match self.nss.iter().position(holds).filter(|_| self.bridged) {
            Some(other) => self.inbox.push_back(Packet::new(other as u16, &seg)),
            None => self.outbox.push_back(Packet::new(ns, &seg)),
        }
    }

    fn receive(&mut self, ns: u16, seg: Segment) {
        if self.ns(ns).is_tentative(seg.dst.ip, self.clock) {
            // The address has no local route yet.
            return;
        }
        if matches!(seg.kind, SegKind::Datagram(_) | SegKind::Unreachable) {
            self.udp_receive(ns, seg);
            return;
        }
        let tuple = Tuple::new(seg.dst, seg.src);
        let n = self.ns(ns);
        let found = n.established.find(&tuple, |owner| {
            !n.devices
                || seg
                    .via
                    .reaches(bound_device(&self.socks, &self.tw.socks, owner))
        });
        match found.map(Owner::kind) {
            Some(OwnerKind::Sock(i)) => self.receive_sock(i, seg),
            Some(OwnerKind::Tw(t)) => self.receive_tw(t, seg),
            None => self.receive_unknown(ns, seg),
        }
    }

    /// A segment that belongs to no connection: for a listener, or answered by a reset.
    pub(crate) fn receive_unknown(&mut self, ns: u16, seg: Segment) {
        let key = Tuple::new(seg.dst, seg.src);
        let requested = self.ns(ns).requests.get(&key);
        if let Some(request) = requested.filter(|r| seg.via.reaches(self.device_of(r.listener))) {
            match seg.kind {
                SegKind::Ack | SegKind::Data(_) | SegKind::Fin => {
                    if let Some(child) = self.spawn_child(ns, seg, &request) {
                        self.ns_mut(ns).requests.remove(&key);
                        if seg.kind != SegKind::Ack {
                            self.receive_sock(child, seg);
                        }
                    }
                }
                SegKind::Rst | SegKind::Refuse => {
                    self.ns_mut(ns).requests.remove(&key);
                }
                SegKind::Syn => {
                    let dev = self.device_of(request.listener);
                    self.transmit(ns, dev, seg.reply(SegKind::SynAck));
                }
                _ => {}
            }
            return;
        }
        match seg.kind {
            SegKind::Rst | SegKind::Refuse => {}
            SegKind::Syn => self.receive_syn(ns, seg),
            _ => self.answer_without_socket(ns, seg, SegKind::Rst),
        }
    }

    /// Answers a segment that no socket sees (`tcp_v4_send_reset`, `tcp_v6_send_response`): not one
    /// that came by a route of no table, and to ::1 only by the interface by which the segment
    /// came.
    pub(crate) fn answer_without_socket(&mut self, ns: u16, seg: Segment, kind: SegKind) {
        let answer = seg.reply(kind);
        let away = answer.dst.ip == Ip::LOOPBACK6 && seg.via == Arrival::Ethernet;
        if seg.via != Arrival::OnLink && !away {
            self.transmit(ns, 0, answer);
        }
    }

    /// The device that a socket is bound to, 0 if to none.
    pub(crate) fn device_of(&self, i: u32) -> u16 {
        self.socks.get(i).map_or(0, |sock| sock.dev)
    }

    /// The listener for a segment: a specific address before a wildcard, a socket bound to the
    /// device by which it came before others, and AF_INET before AF_INET6 for IPv4
    /// (`compute_score`).
    pub(crate) fn find_listener(&mut self, ns: u16, seg: &Segment) -> Option<u32> {
        let at = seg.dst;
        let list = self.nss[usize::from(ns)].listeners.get(&at.port)?;
        let socks = &self.socks;
        let score = |i: u32| -> Option<u32> {
            let l = &socks[i];
            if !seg.via.reaches(l.dev) {
                return None;
            }
            let family = match (l.family, at.ip.is_v4()) {
                (Family::Inet, true) => 1,
                (Family::Inet6, true) if !l.v6only => 0,
                (Family::Inet6, false) => 1,
                _ => return None,
            };
            let family = family + u32::from(l.dev != 0);
            let wild = l.rcv_saddr.is_any() && (l.rcv_saddr == Ip::any(l.family) || at.ip.is_v4());
            if l.rcv_saddr == at.ip {
                Some(4 + family)
            } else if wild {
                Some(family)
            } else {
                None
            }
        };
        if let [only] = list[..] {
            return score(only).map(|_| only);
        }
        let best = list.iter().filter_map(|&i| score(i)).max()?;
        let mut equal = list.iter().copied().filter(|&i| score(i) == Some(best));
        let pick = match equal.clone().count() {
            1 => 0,
            n => self.chooser.pick_listener(n as u32),
        };
        equal.nth(pick as usize)
    }

    /// Returns `true` if a listener's accept queue is full (`sk_acceptq_is_full`).
    pub(crate) fn queue_is_full(&self, listener: &Sock) -> bool {
        let Some(cold) = &listener.cold else {
            return false;
        };
        cold.queue.len() as u32 > cold.backlog
    }

    fn receive_sock(&mut self, i: u32, seg: Segment) {
        match self.socks[i].state {
            State::SynSent => self.receive_syn_sent(i, seg),
            State::SynRecv => match seg.kind {
                SegKind::SynAck | SegKind::Ack => {
                    self.establish(i, &seg);
                    self.late_fin(i);
                }
                SegKind::Rst => self.reset(i),
                _ => {}
            },
            _ => self.receive_open(i, seg),
        }
    }

    pub(crate) fn establish(&mut self, i: u32, seg: &Segment) {
        let now = self.clock;
        let sock = &mut self.socks[i];
        sock.state = State::Established;
        sock.timestamps = seg.timestamps;
        sock.stamp = now;
        self.stop_timer(i);
    }

    /// A socket that a SYN from outside has opened, and that was shut down for writing before.
    pub(crate) fn late_fin(&mut self, i: u32) {
        if self.socks[i].shut_write && self.b.shutdown_after_handshake() {
            self.send_fin(i);
        }
    }

    /// `tcp_rcv_synsent_state_process`
    fn receive_syn_sent(&mut self, i: u32, seg: Segment) {
        match seg.kind {
            SegKind::SynAck => {
                self.establish(i, &seg);
                self.send(i, SegKind::Ack);
            }
            SegKind::Refuse => self.reset(i),
            SegKind::Syn => {
                // Simultaneous open, most often of a socket with itself.
                self.socks[i].state = State::SynRecv;
                self.socks[i].timestamps = seg.timestamps;
                self.send(i, SegKind::SynAck);
            }
            SegKind::Challenge | SegKind::Ack | SegKind::Data(_) | SegKind::Fin => {
                // An old connection's other end answers: it is reset, and the SYN is tried again.
                // Only the first is repeated at once: where the reset does not help (tcp_rfc1337),
                // the others come at their usual distance.
                self.send(i, SegKind::Rst);
                if self.socks[i].retries == 0 && self.b.syn_quick_retry() {
                    let two_ticks = 2_000 * MS / u64::from(self.b.hz());
                    self.stop_timer(i);
                    self.socks[i].timer = self.arm(TimerKind::SynRetry, i, two_ticks, 0);
                }
            }
            // A reset that does not acknowledge the SYN belongs to the old connection.
            SegKind::Rst => {}
            SegKind::Datagram(_) | SegKind::Unreachable => {}
        }
    }

    /// A segment in the middle of a connection.
    fn receive_open(&mut self, i: u32, seg: Segment) {
        match seg.kind {
            SegKind::Syn => {
                if !self.b.syn_mute() {
                    self.send(i, SegKind::Challenge);
                }
            }
            SegKind::SynAck => self.send(i, SegKind::Ack),
            SegKind::Challenge | SegKind::Refuse => {}
            SegKind::Rst => self.reset(i),
            SegKind::Ack => {
                let late = self.socks[i].state == State::FinWait1 && !self.b.fin_ack_stamped();
                if !late {
                    self.note_stamp(i, seg);
                }
                self.acked(i, seg);
                if late
                    && self
                        .socks
                        .get(i)
                        .is_some_and(|s| s.state == State::FinWait2)
                {
                    self.note_stamp(i, seg);
                }
            }
            SegKind::Data(len) => {
                self.note_stamp(i, seg);
                self.receive_data(i, len, seg);
            }
            SegKind::Fin => {
                self.note_stamp(i, seg);
                self.receive_fin(i, seg);
            }
            SegKind::Datagram(_) | SegKind::Unreachable => {}
        }
    }

    fn note_stamp(&mut self, i: u32, seg: Segment) {
        if seg.timestamps {
            self.socks[i].stamp = self.clock;
        }
    }

    fn receive_data(&mut self, i: u32, len: u32, seg: Segment) {
        let sock = &mut self.socks[i];
        let orphan = !sock.has_file && !sock.queued;
        let half_closed = matches!(sock.state, State::FinWait1 | State::FinWait2);
        if orphan || (half_closed && sock.shut_read) {
            // The data will never be read. While this end is open, shutdown() of reading alone
            // refuses nothing.
            self.send(i, SegKind::Rst);
            self.reset(i);
            return;
        }
        if !sock.fin_in {
            sock.unread = sock.unread.saturating_add(len);
        }
        self.acked(i, seg);
    }

    /// The acknowledgement of this end's FIN.
    fn acked(&mut self, i: u32, seg: Segment) {
        if !seg.saw_fin {
            return;
        }
        match self.socks[i].state {
            State::FinWait1 => self.enter_fin_wait2(i),
            State::Closing => self.time_wait(i, false, 0),
            State::LastAck => {
                self.set_close(i);
                self.drop_orphan(i);
            }
            _ => {}
        }
    }

    /// The other end's FIN (`tcp_fin`).
    fn receive_fin(&mut self, i: u32, seg: Segment) {
        let state = self.socks[i].state;
        match state {
            State::Established => {
                self.socks[i].fin_in = true;
                self.socks[i].state = State::CloseWait;
                self.socks[i].ack_pending = true;
                self.arm_delayed_ack(i);
            }
            State::FinWait1 if !seg.saw_fin => {
                self.socks[i].fin_in = true;
                self.socks[i].state = State::Closing;
                self.send(i, SegKind::Ack);
            }
            State::FinWait1 | State::FinWait2 => {
                self.socks[i].fin_in = true;
                self.send(i, SegKind::Ack);
                self.time_wait(i, false, 0);
            }
            State::CloseWait | State::LastAck | State::Closing => {
                self.send(i, SegKind::Ack);
                self.acked(i, seg);
            }
            _ => {}
        }
    }

    /// A reset (`tcp_reset`): the socket dies; its owner finds an error.
    fn reset(&mut self, i: u32) {
        let sock = &mut self.socks[i];
        sock.error = Some(match sock.state {
            State::SynSent => Errno::ECONNREFUSED,
            State::CloseWait => Errno::EPIPE,
            _ => Errno::ECONNRESET,
        });
        self.set_close(i);
        self.drop_orphan(i);
    }
}
