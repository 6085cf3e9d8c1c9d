//! close(), shutdown(), disconnecting, accept(), listen() and the data calls: the end of sockets,
//! and the owner that is left holding the port.

use crate::Errno;
use crate::Shutdown;
use crate::addr::Ip;
use crate::bucket::Owner;
use crate::chooser::Chooser;
use crate::conn::segment::SegKind;
use crate::conn::socket::{Link, NONE, State};
use crate::explain::reason::Rule;
use crate::machine::{Machine, SockId};
use crate::time::SEC;
use crate::timers::TimerKind;
use std::task::Poll;

/// Round-trip timeout of a connection on an ideal network: the kernel's minimum.
const RTO_MIN: u64 = SEC / 5;

impl<C: Chooser> Machine<C> {
    /// `close()`. The end that closes first is left with the TIME-WAIT.
    pub fn close(&mut self, s: SockId) {
        let Some(i) = self.live(s) else { return };
        self.socks[i].has_file = false;
        if self.socks[i].is_datagram() {
            self.destroy(i);
            return;
        }
        let state = self.socks[i].state;
        match state {
            State::Close => self.destroy(i),
            State::Listen => {
                self.set_close(i);
                self.abort_queue(i);
                self.destroy(i);
            }
            State::SynSent => {
                self.set_close(i);
                self.destroy(i);
            }
            _ if self.socks[i].repair() => {
                // Nothing is sent.
                self.tcp_disconnect(i);
                self.destroy(i);
            }
            _ if self.socks[i].unread > 0 => {
                // Unread data turns the close into a reset.
                self.send(i, SegKind::Rst);
                self.set_close(i);
                self.destroy(i);
            }
            _ if self.socks[i].aborts => {
                self.tcp_disconnect(i);
                self.destroy(i);
            }
            State::FinWait2 => self.enter_fin_wait2(i),
            _ => self.send_fin(i),
        }
        self.settle();
    }

    /// Sends a FIN where the state asks for one (`tcp_close_state`).
    pub(crate) fn send_fin(&mut self, i: u32) {
        let next = match self.socks[i].state {
            State::Established | State::SynRecv => State::FinWait1,
            State::CloseWait => State::LastAck,
            _ => return,
        };
        self.socks[i].state = next;
        self.send(i, SegKind::Fin);
    }

    /// `shutdown()`
    ///
    /// # Errors
    /// `ENOTCONN` if the socket is neither connected nor listening.
    pub fn shutdown(&mut self, s: SockId, how: Shutdown) -> Result<(), Errno> {
        let Some(i) = self.live(s) else {
            return Err(Errno::ENOTCONN);
        };
        match self.socks[i].state {
            State::Close => {
                // inet_shutdown() fails and keeps the direction all the same; it shows in recv().
                let sock = &mut self.socks[i];
                sock.shut_read |= how != Shutdown::Write;
                sock.shut_write |= how != Shutdown::Read;
                return self.refuse(
                    Errno::ENOTCONN,
                    Rule::ConnectState,
                    &["sys_shutdown", "inet_shutdown"],
                );
            }
            State::Listen if how == Shutdown::Write => {}
            State::Listen | State::SynSent => {
                self.tcp_disconnect(i);
                self.socks[i].link = Link::Unconnected;
            }
            _ => {
                if how != Shutdown::Write {
                    self.socks[i].shut_read = true;
                }
                if how != Shutdown::Read {
                    self.socks[i].shut_write = true;
                    if !self.socks[i].is_datagram() {
                        self.send_fin(i);
                    }
                }
            }
        }
        self.settle();
        Ok(())
    }

    /// `connect()` to `AF_UNSPEC` (`tcp_disconnect`). A socket that is closed already keeps its
    /// port.
    ///
    /// # Errors
    /// `EINVAL` for a handle whose socket is gone; none that a process would see.
    pub fn disconnect(&mut self, s: SockId) -> Result<(), Errno> {
        let Some(i) = self.live(s) else {
            return Err(Errno::EINVAL);
        };
        if self.socks[i].is_datagram() {
            self.udp_disconnect(i);
            return Ok(());
        }
        self.tcp_disconnect(i);
        self.socks[i].link = Link::Unconnected;
        self.settle();
        Ok(())
    }

    pub(crate) fn tcp_disconnect(&mut self, i: u32) {
        let state = self.socks[i].state;
        let open = matches!(
            state,
            State::Established
                | State::CloseWait
                | State::FinWait1
                | State::FinWait2
                | State::SynRecv
        );
        // The error that the next send() or recv() returns.
        let error = match state {
            State::Listen => self.socks[i].error,
            _ if self.socks[i].repair() => Some(Errno::ECONNABORTED),
            State::SynSent => Some(Errno::ECONNRESET),
            _ if open => {
                self.send(i, SegKind::Rst);
                Some(Errno::ECONNRESET)
            }
            _ => self.socks[i].error,
        };
        if state != State::Close {
            self.set_close(i);
            if state == State::Listen {
                self.abort_queue(i);
            }
        }
        if !self.socks[i].addr_lock {
            let any = Ip::any(self.socks[i].family);
            self.socks[i].saddr_unset = false;
            self.move_address(i, any);
        }
        let sock = &mut self.socks[i];
        sock.dport = 0;
        sock.unread = 0;
        sock.fin_in = false;
        sock.shut_read = false;
        sock.shut_write = false;
        sock.error = error;
    }

    /// Enters state CLOSE (`tcp_set_state`): out of the tables, and out of the port unless the
    /// process had asked for that port by number.
    pub(crate) fn set_close(&mut self, i: u32) {
        let sock = &self.socks[i];
        let (ns, state, port) = (sock.ns, sock.state, sock.num);
        if sock.hashed {
            self.hash_remove(ns, Owner::sock(i));
        }
        if state == State::Listen {
            let n = self.ns_mut(ns);
            if let Some(list) = n.listeners.get_mut(&port) {
                list.retain(|&l| l != i);
                if list.is_empty() {
                    n.listeners.remove(&port);
                }
            }
            n.requests.remove_all_of(i);
        }
        let sock = &mut self.socks[i];
        sock.state = State::Close;
        sock.ack_pending = false;
        let keeps_port = sock.port_lock;
        self.stop_timer(i);
        if !keeps_port {
            self.put_port(i);
        }
    }

    /// Resets the children that have not been accepted (`inet_csk_listen_stop`).
    fn abort_queue(&mut self, i: u32) {
        let queue = match &mut self.socks[i].cold {
            Some(cold) => std::mem::take(&mut cold.queue),
            None => return,
        };
        for child in queue {
            self.tcp_disconnect(child);
            self.socks[child].queued = false;
            self.destroy(child);
        }
    }

    /// Removes a socket for good (`inet_csk_destroy_sock`); an explicit port is given back here.
    pub(crate) fn destroy(&mut self, i: u32) {
        if self.socks[i].hashed {
            let ns = self.socks[i].ns;
            self.hash_remove(ns, Owner::sock(i));
        }
        if self.socks[i].bucket != NONE {
            self.put_port(i);
        }
        if self.socks[i].is_datagram() {
            self.udp_unhash(i);
        }
        self.socks.remove(i);
    }

    /// Removes a dead socket that has no file and is in no accept queue.
    pub(crate) fn drop_orphan(&mut self, i: u32) {
        let sock = &self.socks[i];
        if !sock.has_file && !sock.queued {
            self.destroy(i);
        }
    }

    /// This end's FIN has been acknowledged. A closed socket becomes a TIME-WAIT socket at once
    /// or, with a timeout above 60 s, after the excess (`tcp_rcv_state_process`).
    pub(crate) fn enter_fin_wait2(&mut self, i: u32) {
        self.socks[i].state = State::FinWait2;
        if self.socks[i].has_file || self.socks[i].queued {
            return;
        }
        if self.socks[i].linger2() < 0 {
            self.send(i, SegKind::Rst);
            self.set_close(i);
            self.destroy(i);
            return;
        }
        let timeout = self.fin_time(i);
        let limit = self.time_wait_len(i);
        if timeout > limit {
            self.socks[i].timer = self.arm(TimerKind::FinWait2, i, timeout - limit, 0);
        } else {
            self.time_wait(i, true, timeout);
        }
    }

    /// The length of FIN_WAIT2 without a process, in nanoseconds (`tcp_fin_time`).
    pub(crate) fn fin_time(&self, i: u32) -> u64 {
        let sock = &self.socks[i];
        let seconds = match sock.linger2() {
            0 => u64::from(self.ns(sock.ns).values.fin_timeout),
            n => u64::from(n.unsigned_abs()),
        };
        (seconds * SEC).max(Self::three_and_a_half_rto())
    }

    pub(crate) const fn three_and_a_half_rto() -> u64 {
        RTO_MIN * 4 - RTO_MIN / 2
    }

    pub(crate) fn time_wait_len(&self, i: u32) -> u64 {
        self.ns(self.socks[i].ns).time_wait
    }

    /// `listen()`: takes a port if the socket has none, else the port is judged again with the
    /// socket counting as a listener (`inet_csk_listen_start`).
    ///
    /// # Errors
    /// `EADDRINUSE`, or `EINVAL` for a socket that is connected.
    pub fn listen(&mut self, s: SockId, backlog: u32) -> Result<(), Errno> {
        let Some(i) = self.live(s) else {
            return Err(Errno::EINVAL);
        };
        if self.socks[i].is_datagram() {
            let path = &["sys_listen", "sock_no_listen"];
            return self.refuse(Errno::EOPNOTSUPP, Rule::DatagramSocket, path);
        }
        let sock = &mut self.socks[i];
        if sock.link != Link::Unconnected || !matches!(sock.state, State::Close | State::Listen) {
            return self.refuse(
                Errno::EINVAL,
                Rule::ListenState,
                &["sys_listen", "inet_listen"],
            );
        }
        let values = &self.nss[usize::from(sock.ns)].values;
        let backlog = values.backlog(&self.b, backlog);
        sock.cold().backlog = backlog;
        if sock.state == State::Listen {
            return Ok(());
        }
        sock.state = State::Listen;
        let port = sock.num;
        if !self.get_port(i, port) {
            self.socks[i].state = State::Close;
            return Err(Errno::EADDRINUSE);
        }
        let sock = &mut self.socks[i];
        sock.sport = sock.num;
        sock.daddr = Ip::any(sock.family);
        sock.dport = 0;
        let (ns, port) = (sock.ns, sock.num);
        self.ns_mut(ns).listeners.entry(port).or_default().push(i);
        Ok(())
    }

    /// `accept()` by a process with this uid; the child belongs to it from now on.
    ///
    /// # Errors
    /// `EINVAL` if the socket does not listen.
    pub fn accept(&mut self, s: SockId, uid: u32) -> Poll<Result<SockId, Errno>> {
        let Some(i) = self.live(s) else {
            return Poll::Ready(Err(Errno::EINVAL));
        };
        if self.socks[i].is_datagram() {
            let path = &["sys_accept4", "sock_no_accept"];
            return Poll::Ready(self.refuse(Errno::EOPNOTSUPP, Rule::DatagramSocket, path));
        }
        if self.socks[i].state != State::Listen {
            return Poll::Ready(self.refuse(
                Errno::EINVAL,
                Rule::ListenState,
                &["sys_accept4", "inet_csk_accept"],
            ));
        }
        let Some(child) = self.socks[i].cold().queue.pop_front() else {
            return Poll::Pending;
        };
        let sock = &mut self.socks[child];
        sock.queued = false;
        sock.has_file = true;
        sock.uid = uid;
        sock.link = Link::Connected;
        Poll::Ready(Ok(SockId {
            index: child,
            generation: sock.generation,
        }))
    }

    /// `send()` of this many bytes; on this ideal connection all of them go out.
    ///
    /// # Errors
    /// The socket's pending error once, else `EPIPE` if it is not connected or was shut down.
    pub fn send_bytes(&mut self, s: SockId, len: u32) -> Poll<Result<u32, Errno>> {
        let Some(i) = self.live(s) else {
            return Poll::Ready(Err(Errno::EPIPE));
        };
        if self.socks[i].is_datagram() {
            return self.send_to(s, None, len);
        }
        let sock = &mut self.socks[i];
        if let Some(e) = sock.error.take() {
            return Poll::Ready(self.refuse(
                e,
                Rule::ConnectionReset,
                &["sys_sendto", "tcp_sendmsg"],
            ));
        }
        match sock.state {
            State::SynSent | State::SynRecv => Poll::Pending,
            State::Established | State::CloseWait if !sock.shut_write => {
                self.send(i, SegKind::Data(len));
                self.settle();
                Poll::Ready(Ok(len))
            }
            _ => Poll::Ready(self.refuse(
                Errno::EPIPE,
                Rule::ConnectState,
                &["sys_sendto", "tcp_sendmsg"],
            )),
        }
    }

    /// `recv()` of at most this many bytes; 0 is the end of the stream.
    ///
    /// # Errors
    /// The socket's pending error once, else `ENOTCONN`; `EPERM` under `TCP_REPAIR`.
    pub fn recv_bytes(&mut self, s: SockId, len: u32) -> Poll<Result<u32, Errno>> {
        let Some(i) = self.live(s) else {
            return Poll::Ready(Err(Errno::ENOTCONN));
        };
        if self.socks[i].is_datagram() {
            return self.recv_from(s, len).map_ok(|(bytes, _)| bytes);
        }
        let sock = &mut self.socks[i];
        if sock.repair() && sock.state != State::Listen {
            return Poll::Ready(self.refuse(
                Errno::EPERM,
                Rule::ConnectState,
                &["sys_recvfrom", "tcp_recvmsg"],
            ));
        }
        if sock.unread > 0 {
            let got = sock.unread.min(len);
            sock.unread -= got;
            return Poll::Ready(Ok(got));
        }
        // The end of the stream stays the end, whatever came after it; a listener does not look at
        // errors.
        if sock.fin_in {
            return Poll::Ready(Ok(0));
        }
        if sock.state != State::Listen
            && let Some(e) = sock.error.take()
        {
            return Poll::Ready(self.refuse(
                e,
                Rule::ConnectionReset,
                &["sys_recvfrom", "tcp_recvmsg"],
            ));
        }
        if sock.shut_read && sock.state != State::Listen {
            return Poll::Ready(Ok(0));
        }
        match sock.state {
            State::Close if sock.link == Link::Connected => Poll::Ready(Ok(0)),
            State::Close | State::Listen => Poll::Ready(self.refuse(
                Errno::ENOTCONN,
                Rule::ConnectState,
                &["sys_recvfrom", "tcp_recvmsg"],
            )),
            _ => Poll::Pending,
        }
    }
}
