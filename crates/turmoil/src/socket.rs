//! A Linux socket: one file descriptor, all system calls, in any order.
//!
//! [`net`](crate::net) wraps it in tokio's API. Use it directly for sequences that tokio's types do
//! not support: connecting twice, binding after a failed connect, dissolving a connection, a half
//! close.

use crate::host::{Direction, Kept, Kernel, State, current};
use fourtuple_kernel::{Errno, Family, Kind, Refusal, Shutdown, SockId, SockOpt, State as Tcp};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The `io::Error` that the standard library makes of an errno.
pub(crate) fn io_error(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.number())
}

/// A TCP or UDP socket. Dropping it is `close()`.
pub struct Socket {
    kernel: Arc<Kernel>,
    id: SockId,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.kernel.enter(|s| s.close(self.id));
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (local, peer, state) = self.kernel.enter(|s| {
            (
                s.machine.local_addr(self.id),
                s.machine.peer_addr(self.id).ok(),
                s.machine.state(self.id),
            )
        });
        f.debug_struct("Socket")
            .field("host", &self.kernel.name)
            .field("local", &local)
            .field("peer", &peer)
            .field("state", &state.name())
            .finish()
    }
}

impl Socket {
    /// `socket(family, SOCK_STREAM, 0)` on the host of the calling task, as root.
    ///
    /// # Errors
    ///
    /// If the host has no Linux ports.
    pub fn new(family: Family) -> io::Result<Self> {
        Self::with_uid(family, 0)
    }

    /// Like [`new`](Self::new), by a process with another uid, which `SO_REUSEPORT` and privileged
    /// ports depend on.
    ///
    /// # Errors
    ///
    /// If the host has no Linux ports.
    pub fn with_uid(family: Family, uid: u32) -> io::Result<Self> {
        Self::of_kind(family, Kind::Stream, uid)
    }

    /// `socket(family, SOCK_DGRAM, 0)` on the host of the calling task, as root. Set its options,
    /// and make it a [`UdpSocket`](crate::net::UdpSocket::from_socket).
    ///
    /// # Errors
    ///
    /// If the host has no Linux ports.
    pub fn datagram(family: Family) -> io::Result<Self> {
        Self::of_kind(family, Kind::Datagram, 0)
    }

    fn of_kind(family: Family, kind: Kind, uid: u32) -> io::Result<Self> {
        let kernel = current()?;
        let made = kernel.enter(|s| {
            let ns = s.namespaces[0].0;
            up(s).and_then(|s| s.socket_of(ns, family, kind, uid))
        });
        let id = made.map_err(io_error)?;
        Ok(Socket { kernel, id })
    }

    pub(crate) fn is_datagram(&self) -> bool {
        let kind = self.kernel.enter(|s| s.machine.kind(self.id));
        kind == Kind::Datagram
    }

    /// `connect()` of a datagram socket, which never waits.
    pub(crate) fn connect_datagram(&self, to: SocketAddr) -> io::Result<()> {
        self.call(|s, id| s.connect_datagram(id, to))
    }

    /// Reads the state of the socket's kernel.
    pub(crate) fn with<R>(&self, read: impl FnOnce(&mut State) -> R) -> R {
        self.kernel.enter(read)
    }

    /// Makes a call on the kernel of the socket.
    pub(crate) fn call<T>(
        &self,
        call: impl FnOnce(&mut State, SockId) -> Result<T, Errno>,
    ) -> io::Result<T> {
        self.kernel
            .enter(|s| up(s).and_then(|s| call(s, self.id)))
            .map_err(io_error)
    }

    /// `setsockopt` of an option that affects ports.
    ///
    /// # Errors
    ///
    /// `ENOPROTOOPT` if this kernel does not know the option, and others as on Linux.
    pub fn set(&self, option: SockOpt) -> io::Result<()> {
        self.call(|s, id| {
            s.set(id, option)?;
            let Some(open) = s.open.get_mut(&id) else {
                return Ok(());
            };
            match option {
                SockOpt::ReuseAddr(on) => open.kept.reuseaddr = on,
                SockOpt::ReusePort(on) => open.kept.reuseport = on,
                SockOpt::Linger(l) => open.kept.linger = l.map(|s| Duration::from_secs(s.into())),
                _ => {}
            }
            Ok(())
        })
    }

    /// `bind()`.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EINVAL`, `EACCES`, as on Linux.
    pub fn bind(&self, at: SocketAddr) -> io::Result<()> {
        self.call(|s, id| s.bind(id, at))
    }

    /// `listen()`.
    ///
    /// # Errors
    /// `EADDRINUSE`, or `EINVAL` for a socket that is connected.
    pub fn listen(&self, backlog: u32) -> io::Result<()> {
        self.call(|s, id| s.listen(id, backlog))
    }

    /// `connect()` on a non-blocking socket: `EINPROGRESS` means that the SYN was sent.
    ///
    /// # Errors
    ///
    /// `EADDRNOTAVAIL` if no local port is left, and others as on Linux.
    pub fn start_connect(&self, to: SocketAddr) -> io::Result<()> {
        self.call(|s, id| s.connect(id, to))
    }

    /// Waits for a connect in progress.
    pub fn poll_connect(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.kernel.enter(|s| match up(s) {
            Ok(s) if s.exited => Poll::Pending,
            Ok(s) => s.poll_connect(self.id, cx).map_err(io_error),
            Err(errno) => Poll::Ready(Err(io_error(errno))),
        })
    }

    /// `connect()`.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` when no local port is left, `ECONNREFUSED`, `ETIMEDOUT` and others.
    pub async fn connect(&self, to: SocketAddr) -> io::Result<()> {
        self.kernel.turn(Some(to)).await;
        match self.start_connect(to) {
            Err(e) if e.raw_os_error() == Some(Errno::EINPROGRESS.number()) => {}
            Err(e) => return Err(e),
            Ok(()) => {}
        }
        poll_fn(|cx| self.poll_connect(cx)).await
    }

    /// `accept()` on a non-blocking socket.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if no connection is waiting, `EINVAL` unless the socket listens.
    pub fn try_accept(&self) -> io::Result<(Socket, SocketAddr)> {
        let (id, peer) = self.call(|s, id| s.accept(id, s.uid(id)))?;
        Ok((self.on_same(id), peer))
    }

    /// A socket of the same kernel.
    fn on_same(&self, id: SockId) -> Socket {
        Socket {
            kernel: Arc::clone(&self.kernel),
            id,
        }
    }

    /// Waits for a connection to accept.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket, SocketAddr)>> {
        let accepted = self.kernel.enter(|s| match up(s) {
            Ok(s) if s.exited => Poll::Pending,
            Ok(s) => s.poll_accept(self.id, s.uid(self.id), cx),
            Err(errno) => Poll::Ready(Err(errno)),
        });
        accepted.map(|accepted| {
            let (id, peer) = accepted.map_err(io_error)?;
            Ok((self.on_same(id), peer))
        })
    }

    /// `accept()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` unless the socket listens.
    pub async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// `send()` on a non-blocking socket.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if the window is full, `EPIPE`, `ECONNRESET`.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.call(|s, id| s.send(id, bytes))
    }

    /// `sendto()` on a non-blocking datagram socket.
    ///
    /// # Errors
    /// As [`UdpSocket::send_to`](crate::net::UdpSocket::send_to); `EAGAIN` if the socket has no
    /// port and none is left.
    pub fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        let sent = self.call(|s, id| s.send_to(id, Some(to), bytes))?;
        Ok(sent as usize)
    }

    /// `recvfrom()` on a non-blocking datagram socket.
    ///
    /// # Errors
    /// `EAGAIN` if there is nothing yet, `ECONNREFUSED`.
    pub fn recv_from(&self, out: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
        let received = self.call(|s, id| s.recv_from(id, out)?.ok_or(Errno::EAGAIN))?;
        Ok((received.0 as usize, received.1))
    }

    /// `recv()` on a non-blocking socket; 0 is the end of the stream.
    ///
    /// # Errors
    /// `EAGAIN` if there is nothing yet, `ECONNRESET`, `ENOTCONN`.
    pub fn recv(&self, out: &mut [u8]) -> io::Result<usize> {
        self.call(|s, id| s.recv(id, out))
    }

    /// `recv()` with `MSG_PEEK` on a non-blocking socket.
    ///
    /// # Errors
    /// As [`Socket::recv`].
    pub fn peek(&self, out: &mut [u8]) -> io::Result<usize> {
        self.call(|s, id| s.peek(id, out))
    }

    /// `shutdown()`.
    ///
    /// # Errors
    /// `ENOTCONN` unless the socket is connected or listens.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.call(|s, id| s.shutdown(id, how))
    }

    /// `connect()` to an address of family `AF_UNSPEC`: dissolves the connection, and the socket
    /// can be used again.
    ///
    /// # Errors
    ///
    /// None.
    pub fn disconnect(&self) -> io::Result<()> {
        self.call(|s, id| s.disconnect(id))
    }

    /// `getsockname()`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.call(|s, id| Ok(s.machine.local_addr(id)))
    }

    /// `getpeername()`.
    ///
    /// # Errors
    /// `ENOTCONN` unless the socket is connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.call(|s, id| s.machine.peer_addr(id))
    }

    /// The TCP state.
    #[must_use]
    pub fn state(&self) -> Tcp {
        self.kernel.enter(|s| s.machine.state(self.id))
    }

    /// Takes the port model's explanation of the last failed call on this host.
    #[must_use]
    pub fn take_refusal(&self) -> Option<Refusal> {
        self.kernel.enter(|s| s.refusal.take())
    }

    pub(crate) fn kept<R>(&self, f: impl FnOnce(&mut Kept) -> R) -> io::Result<R> {
        self.call(|s, id| {
            s.open
                .get_mut(&id)
                .map(|o| f(&mut o.kept))
                .ok_or(Errno::EINVAL)
        })
    }

    /// Sets options that decide how long a silent peer is waited for.
    pub(crate) fn set_patience(&self, set: impl FnOnce(&mut Kept)) -> io::Result<()> {
        self.kept(set)?;
        self.call(|s, id| {
            if let Some(key) = s.open.get(&id).and_then(|open| open.key) {
                s.keep_alive(key);
            }
            Ok(())
        })
    }

    /// `IP_TTL`.
    pub(crate) fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        if !(1..=255).contains(&ttl) {
            return Err(io_error(Errno::EINVAL));
        }
        self.kept(|k| k.ttl = ttl)
    }

    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        self.kernel.enter(|s| s.is_ready(self.id, direction))
    }

    pub(crate) fn halves_closed(&self) -> (bool, bool) {
        self.kernel.enter(|s| s.halves_closed(self.id))
    }

    pub(crate) fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<()> {
        self.kernel.enter(|s| {
            if s.exited {
                Poll::Pending
            } else if s.is_ready(self.id, direction) || !s.wait(self.id, direction, cx.waker()) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    }

    /// Polls a non-blocking call until it does not return `EAGAIN`.
    pub(crate) fn poll_io<T>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&mut State, SockId) -> Result<T, Errno>,
    ) -> Poll<io::Result<T>> {
        let answer = self.kernel.enter(|s| {
            let answer = up(s).and_then(|s| call(s, self.id));
            match answer {
                _ if s.exited => None,
                Err(Errno::EAGAIN) if s.wait(self.id, direction, cx.waker()) => None,
                answer => Some(answer),
            }
        });
        match answer {
            None => Poll::Pending,
            Some(answer) => Poll::Ready(answer.map_err(io_error)),
        }
    }
}

/// The state of a running host. Sockets of a crashed one fail.
fn up(state: &mut State) -> Result<&mut State, Errno> {
    if state.up {
        Ok(state)
    } else {
        Err(Errno::ENODEV)
    }
}
