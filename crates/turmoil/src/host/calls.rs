//! The system calls, on sockets by handle. A call that would block returns `EAGAIN`.

use super::conns::{Direction, Key};
use super::mailbox::Mailbox;
use super::options::Kept;
use super::state::{Failure, Open, Sets, State};
use bytes::Bytes;
use fourtuple_kernel::{Errno, Family, Kind, NsId, Shutdown, SockId, SockOpt, State as Tcp};
use fourtuple_syscall::canonical;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};

type Answer<T> = Result<T, Errno>;

impl State {
    /// Records the reason of a failed call.
    fn note<T>(&mut self, answer: Answer<T>, call: impl FnOnce() -> String) -> Answer<T> {
        match &answer {
            Err(errno) if !matches!(*errno, Errno::EAGAIN | Errno::EINPROGRESS) => {
                self.failed(call(), *errno);
            }
            _ => drop(self.machine.take_refusal()),
        }
        answer
    }

    /// Records a failed call and its reason.
    pub(super) fn failed(&mut self, call: String, errno: Errno) {
        let refusal = self.machine.take_refusal();
        self.refusal = refusal.clone();
        self.failure = Some(Failure {
            call,
            errno,
            refusal,
            at: self.machine.now(),
        });
    }

    pub(crate) fn socket_of(
        &mut self,
        ns: NsId,
        family: Family,
        kind: Kind,
        uid: u32,
    ) -> Answer<SockId> {
        let id = self.machine.socket_of(ns, family, kind, uid);
        if kind == Kind::Datagram {
            self.datagrams.insert(id, Mailbox::default());
        }
        self.open.insert(
            id,
            Open {
                ns,
                uid,
                key: None,
                kept: Kept::default(),
            },
        );
        Ok(id)
    }

    /// The answer of a call on a connection that the kernel may have given up: the first one is
    /// `ETIMEDOUT`.
    fn unless_timed_out<T>(&mut self, id: SockId, answer: Answer<T>) -> Answer<T> {
        if !matches!(answer, Err(Errno::ECONNRESET | Errno::EPIPE)) {
            return answer;
        }
        let key = self.key(id);
        match self.conns.of(key, id).filter(|conn| conn.timed_out) {
            Some(conn) => {
                conn.timed_out = false;
                Err(Errno::ETIMEDOUT)
            }
            None => answer,
        }
    }

    fn key(&self, id: SockId) -> Option<Key> {
        self.open.get(&id)?.key
    }

    pub(crate) fn set(&mut self, id: SockId, opt: SockOpt) -> Answer<()> {
        let answer = self.machine.set_option(id, opt);
        self.note(answer, || format!("setsockopt({})", opt.c_name()))
    }

    pub(crate) fn bind(&mut self, id: SockId, at: SocketAddr) -> Answer<()> {
        let answer = self.machine.bind(id, at);
        self.note(answer, || format!("bind({at})"))
    }

    pub(crate) fn listen(&mut self, id: SockId, backlog: u32) -> Answer<()> {
        let answer = self.machine.listen(id, backlog);
        let local = self.machine.local_addr(id);
        self.note(answer, || format!("listen({backlog}) on {local}"))
    }

    /// Starts a connect, or polls one that is in progress.
    pub(crate) fn connect(&mut self, id: SockId, to: SocketAddr) -> Answer<()> {
        if self.datagrams.contains_key(&id) {
            return self.connect_datagram(id, to);
        }
        let before = self.machine.state(id);
        let answer = self.machine.connect(id, to);
        let started = before == Tcp::Close && !matches!(answer, Poll::Ready(Err(Errno::EISCONN)));
        if started && self.is_own(to) {
            // A SYN and its answer.
            self.loopback.charge(2, self.machine.now());
        }
        if started && self.machine.state(id) != Tcp::Close {
            self.connecting(id, canonical(to));
            self.timer_set(Sets::Syn);
        }
        self.route();
        let answer = match answer {
            Poll::Ready(answer) => answer,
            Poll::Pending => Err(Errno::EINPROGRESS),
        };
        self.note(answer, || format!("connect({to})"))
    }

    fn connecting(&mut self, id: SockId, to: SocketAddr) {
        let local = self.machine.local_addr(id);
        // Connecting to the wildcard address means this host.
        let remote = if to.ip().is_unspecified() {
            SocketAddr::new(local.ip(), to.port())
        } else {
            to
        };
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        let key = Key::new(open.ns, local, remote);
        open.key = Some(key);
        self.conns.connecting(key, id);
        if self.is_local(key.ns, remote.ip()) {
            let machine = &self.machine;
            self.conns
                .embryo(key.other_end(), |s| machine.state(s) == Tcp::Close);
            self.touch(key.other_end());
        }
    }

    /// Polls a connect() in progress. It completes when the kernel reports a result and, for a
    /// success, when the pipe can carry bytes.
    pub(crate) fn poll_connect(&mut self, id: SockId, cx: &mut Context<'_>) -> Poll<Answer<()>> {
        if self.datagrams.contains_key(&id) {
            return Poll::Ready(Ok(()));
        }
        let key = self.key(id);
        match self.machine.connect_result(id) {
            Poll::Pending => {
                if let Some(conn) = self.conns.of(key, id) {
                    conn.wait(Direction::Write, cx.waker());
                    return Poll::Pending;
                }
                Poll::Ready(self.note(Err(Errno::ECONNABORTED), || "connect".to_owned()))
            }
            Poll::Ready(Ok(())) => {
                let host = key
                    .and_then(|k| self.next_host(k.ns, k.remote.ip()))
                    .filter(|h| *h != self.own);
                match host {
                    Some(host) if self.peers.of(host).is_opening() => {
                        self.peers.of(host).wait_for_pipe(cx.waker());
                        Poll::Pending
                    }
                    _ => {
                        if let Some(key) = key {
                            self.keep_alive(key);
                        }
                        Poll::Ready(Ok(()))
                    }
                }
            }
            Poll::Ready(Err(errno)) => {
                self.let_go(id);
                let to = key.map_or_else(String::new, |k| k.remote.to_string());
                Poll::Ready(self.note(Err(errno), || format!("connect({to})")))
            }
        }
    }

    /// The kernel's result of a connect() in progress, regardless of the pipe.
    pub(crate) fn connect_result(&mut self, id: SockId) -> Option<Answer<()>> {
        let Poll::Ready(answer) = self.machine.connect_result(id) else {
            return None;
        };
        let to = self
            .key(id)
            .map_or_else(String::new, |k| k.remote.to_string());
        if answer.is_err() {
            self.let_go(id);
        }
        Some(self.note(answer, || format!("connect({to})")))
    }

    /// Detaches the socket from its connection.
    fn let_go(&mut self, id: SockId) {
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        if let Some(key) = open.key.take() {
            self.conns.forget(key, id, &mut self.woken);
            if self.is_local(key.ns, key.remote.ip()) {
                self.touch(key.other_end());
            }
        }
    }

    pub(crate) fn accept(&mut self, id: SockId, uid: u32) -> Answer<(SockId, SocketAddr)> {
        let Poll::Ready(answer) = self.machine.accept(id, uid) else {
            return Err(Errno::EAGAIN);
        };
        let local = self.machine.local_addr(id);
        let child = self.note(answer, || format!("accept() on {local}"))?;
        self.admit_parked(local.port());
        let listener = self.open.get(&id);
        let kept = listener.map(|l| l.kept.clone()).unwrap_or_default();
        let ns = listener.map_or(self.namespaces[0].0, |l| l.ns);
        let own = self.machine.local_addr(child);
        let remote = self.machine.remote_addr(child).unwrap_or(own);
        // A connection that the other end has reset is accepted as well, and carries nothing.
        let alive = self.machine.peer_addr(child).is_ok();
        let key = alive.then_some(Key::new(ns, own, remote));
        if let Some(key) = key {
            self.conns.accepted(key, child);
        }
        self.open.insert(child, Open { ns, uid, key, kept });
        if let Some(key) = key {
            self.keep_alive(key);
        }
        Ok((child, remote))
    }

    pub(crate) fn poll_accept(
        &mut self,
        id: SockId,
        uid: u32,
        cx: &mut Context<'_>,
    ) -> Poll<Answer<(SockId, SocketAddr)>> {
        match self.accept(id, uid) {
            Err(Errno::EAGAIN) => {
                let port = self.machine.local_addr(id).port();
                self.acceptors.entry(port).or_default().add(cx.waker());
                Poll::Pending
            }
            answer => Poll::Ready(answer),
        }
    }

    /// The user that owns a socket.
    pub(crate) fn uid(&self, id: SockId) -> u32 {
        self.open.get(&id).map_or(0, |open| open.uid)
    }

    /// Returns `true` if a write to a connection within the host waits for the clock.
    fn waits_for_loopback(&self, key: Option<Key>) -> bool {
        key.is_some_and(|key| self.is_local(key.ns, key.remote.ip()))
            && self.loopback.busy_until(self.machine.now()).is_some()
    }

    /// Sends as many of the `bytes` as fit into the window.
    pub(crate) fn send(&mut self, id: SockId, bytes: &[u8]) -> Answer<usize> {
        if self.datagrams.contains_key(&id) {
            return Ok(self.send_to(id, None, bytes)? as usize);
        }
        let key = self.key(id);
        let window = self.window_of(id);
        let open = matches!(self.machine.state(id), Tcp::Established | Tcp::CloseWait);
        let conn = self.conns.of(key, id);
        let room = conn.map_or(u32::MAX, |c| c.window.room(window));
        if open && (room == 0 || self.waits_for_loopback(key)) {
            return Err(Errno::EAGAIN);
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        let len = u32::try_from(bytes.len())
            .unwrap_or(u32::MAX)
            .min(room.max(1));
        let answer = match self.machine.send_bytes(id, len) {
            Poll::Ready(answer) => answer,
            Poll::Pending => return Err(Errno::EAGAIN),
        };
        let answer = self.unless_timed_out(id, answer);
        let sent = self.note(answer, || format!("send({len})"))?;
        let data = Bytes::copy_from_slice(&bytes[..sent as usize]);
        if let Some(conn) = self.conns.of(key, id) {
            conn.window.sent(sent, window);
            self.fills_window = conn.window.is_half_full(window);
        }
        match key.filter(|k| self.is_local(k.ns, k.remote.ip())) {
            Some(key) => {
                self.loopback.charge(1, self.machine.now());
                if let Some(conn) = self.conns.get(key.other_end()).filter(|c| !c.shut_read) {
                    conn.arrive(data);
                    conn.wants_report = true;
                }
                self.route();
                self.touch(key.other_end());
            }
            None => {
                self.sending = Some(data);
                self.route();
                self.sending = None;
            }
        }
        self.fills_window = false;
        Ok(sent as usize)
    }

    /// Receives into `out`; 0 is the end of the stream.
    pub(crate) fn recv(&mut self, id: SockId, out: &mut [u8]) -> Answer<usize> {
        if self.datagrams.contains_key(&id) {
            let received = self.recv_from(id, out)?;
            return received.map_or(Err(Errno::EAGAIN), |(len, _)| Ok(len as usize));
        }
        let len = u32::try_from(out.len()).unwrap_or(u32::MAX);
        let answer = match self.machine.recv_bytes(id, len) {
            Poll::Ready(answer) => answer,
            Poll::Pending => return Err(Errno::EAGAIN),
        };
        let answer = self.unless_timed_out(id, answer);
        let got = self.note(answer, || format!("recv({len})"))? as usize;
        let key = self.key(id);
        let Some(conn) = self.conns.of(key, id) else {
            return Ok(got);
        };
        debug_assert!(
            got <= conn.available(),
            "the model has more bytes than there are"
        );
        conn.copy_to(&mut out[..got]);
        if let (Some(bytes), Some(key)) = (conn.consume(got), key) {
            self.report(id, key, bytes);
        }
        Ok(got)
    }

    /// Like `recv`, without consuming the bytes.
    pub(crate) fn peek(&mut self, id: SockId, out: &mut [u8]) -> Answer<usize> {
        if self.datagrams.contains_key(&id) {
            let next = self.peek_from(id, out)?;
            return next.map_or(Err(Errno::EAGAIN), |(len, _)| Ok(len as usize));
        }
        let key = self.key(id);
        match self.conns.of(key, id).filter(|c| c.available() > 0) {
            Some(conn) => Ok(conn.copy_to(out)),
            // Without bytes it is the end of the stream, an error, or `EAGAIN`. Receiving consumes
            // none of them except an error, which is being reported now.
            None => self.recv(id, out),
        }
    }

    /// Returns `true` if a call in this direction would not block.
    pub(crate) fn is_ready(&mut self, id: SockId, direction: Direction) -> bool {
        if self.datagrams.contains_key(&id) {
            return self.is_datagram_ready(id, direction);
        }
        let key = self.key(id);
        let window = self.window_of(id);
        let state = self.machine.state(id);
        let waits = self.waits_for_loopback(key);
        let conn = self.conns.of(key, id);
        match direction {
            Direction::Read => {
                let bytes = conn.is_some_and(|c| c.available() > 0 || c.shut_read);
                let open = matches!(
                    state,
                    Tcp::Established | Tcp::FinWait1 | Tcp::FinWait2 | Tcp::SynSent | Tcp::SynRecv
                );
                bytes || !open
            }
            Direction::Write => match state {
                Tcp::Established | Tcp::CloseWait => {
                    !waits && conn.is_none_or(|c| c.window.room(window) > 0)
                }
                Tcp::SynSent | Tcp::SynRecv => false,
                _ => true,
            },
        }
    }

    /// Returns (receiving half closed, sending half closed), for `Ready`.
    pub(crate) fn halves_closed(&mut self, id: SockId) -> (bool, bool) {
        let key = self.key(id);
        let shut_read = self.conns.of(key, id).is_some_and(|c| c.shut_read);
        match self.machine.state(id) {
            Tcp::Established | Tcp::SynSent | Tcp::SynRecv => (shut_read, false),
            Tcp::FinWait1 | Tcp::FinWait2 => (shut_read, true),
            Tcp::CloseWait => (true, false),
            _ => (true, true),
        }
    }

    /// Registers a waker for when the direction may become ready.
    pub(crate) fn wait(&mut self, id: SockId, direction: Direction, waker: &Waker) -> bool {
        let key = self.key(id);
        let waits = direction == Direction::Write && self.waits_for_loopback(key);
        match self.conns.of(key, id) {
            Some(conn) => {
                conn.wait(direction, waker);
                if let Some(key) = key.filter(|_| waits) {
                    self.loopback.wait(key);
                    self.kick = true;
                }
                true
            }
            None => self.wait_datagram(id, direction, waker),
        }
    }

    pub(crate) fn shutdown(&mut self, id: SockId, how: Shutdown) -> Answer<()> {
        let answer = self.machine.shutdown(id, how);
        let key = self.key(id);
        if answer.is_ok()
            && how != Shutdown::Write
            && let Some(conn) = self.conns.of(key, id)
        {
            conn.shut_read = true;
        }
        self.changed(key);
        self.note(answer, || "shutdown".to_owned())
    }

    pub(crate) fn disconnect(&mut self, id: SockId) -> Answer<()> {
        let answer = self.machine.disconnect(id);
        self.changed(self.key(id));
        self.let_go(id);
        self.note(answer, || "connect(AF_UNSPEC)".to_owned())
    }

    /// `close()`; the handle is invalid from now on.
    pub(crate) fn close(&mut self, id: SockId) {
        let Some(open) = self.open.get(&id) else {
            return;
        };
        let key = open.key;
        let listener =
            (self.machine.state(id) == Tcp::Listen).then(|| self.machine.local_addr(id).port());
        self.machine.close(id);
        self.changed(key);
        self.let_go(id);
        self.open.swap_remove(&id);
        self.datagrams.remove(&id);
        if let Some(port) = listener {
            self.conns.wake_peers_of(port, &mut self.woken);
            if let Some(mut waiters) = self.acceptors.remove(&port) {
                waiters.wake_into(&mut self.woken);
            }
        }
    }

    /// Propagates a local change of a connection.
    fn changed(&mut self, key: Option<Key>) {
        // Both ends may be on this host.
        self.timer_set(Sets::Ack);
        self.timer_set(Sets::End);
        self.route();
        if let Some(key) = key {
            self.touch(key);
            if self.is_local(key.ns, key.remote.ip()) {
                self.touch(key.other_end());
            }
        }
    }
}
