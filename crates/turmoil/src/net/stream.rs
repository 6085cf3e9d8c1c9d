//! `TcpStream`.

use super::TcpSocket;
use super::addr::{ToSocketAddrs, to_addrs, unresolved};
use super::socket::{kept, scoped, set_linger};
use crate::Socket;
use crate::host::{Direction, current};
use bytes::BufMut;
use fourtuple_kernel::Shutdown;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};

/// A TCP stream between a local and a remote socket, as `tokio::net::TcpStream`.
#[derive(Debug)]
pub struct TcpStream {
    pub(super) socket: Socket,
}

/// tokio returns `WouldBlock` from its own readiness state, so this error has no errno.
fn would_block<T>(result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::WouldBlock.into(),
        _ => error,
    })
}

impl TcpSocket {
    /// `connect()`.
    ///
    /// # Errors
    /// As `connect`; `EADDRNOTAVAIL` when no local port is left.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        self.socket.connect(scoped(addr)).await?;
        Ok(TcpStream {
            socket: self.socket,
        })
    }
}

impl TcpStream {
    /// Opens a connection, to the first address that answers.
    ///
    /// # Errors
    ///
    /// As `connect`, for the last address tried; `EADDRNOTAVAIL` if no local port is left.
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        current()?.turn(None).await;
        let mut last = None;
        for addr in to_addrs(&addr)? {
            match TcpSocket::for_addr(addr)?.connect(addr).await {
                Ok(stream) => return Ok(stream),
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(unresolved))
    }

    /// The local address.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The remote address.
    ///
    /// # Errors
    /// `ENOTCONN` unless the socket is connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// `SO_ERROR`: errors are reported by the calls themselves.
    ///
    /// # Errors
    /// None.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(None)
    }

    /// Attempts to receive data without removing it from the queue.
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let out = buf.initialize_unfilled();
        if out.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let n = ready!(
            self.socket
                .poll_io(Direction::Read, cx, |s, id| s.peek(id, out))
        )?;
        buf.advance(n);
        Poll::Ready(Ok(n))
    }

    /// Receives data without removing it from the queue.
    ///
    /// # Errors
    ///
    /// As `recv`.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        poll_fn(|cx| self.poll_peek(cx, &mut buf)).await
    }

    /// Waits for any of the requested ready states.
    ///
    /// # Errors
    /// None in a simulation.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        poll_fn(|cx| {
            let ready = self.readiness(interest);
            if !ready.is_empty() {
                return Poll::Ready(Ok(ready));
            }
            let read =
                interest.is_readable() && self.socket.poll_ready(Direction::Read, cx).is_ready();
            let write =
                interest.is_writable() && self.socket.poll_ready(Direction::Write, cx).is_ready();
            if read || write {
                Poll::Ready(Ok(self.readiness(interest)))
            } else {
                Poll::Pending
            }
        })
        .await
    }

    fn readiness(&self, interest: Interest) -> Ready {
        let (read_closed, write_closed) = self.socket.halves_closed();
        let mut ready = Ready::EMPTY;
        if interest.is_readable() {
            if self.socket.is_ready(Direction::Read) {
                ready |= Ready::READABLE;
            }
            if read_closed {
                ready |= Ready::READ_CLOSED;
            }
        }
        if interest.is_writable() {
            if self.socket.is_ready(Direction::Write) {
                ready |= Ready::WRITABLE;
            }
            if write_closed {
                ready |= Ready::WRITE_CLOSED;
            }
        }
        ready
    }

    /// Waits for the socket to become readable.
    ///
    /// # Errors
    /// None in a simulation.
    pub async fn readable(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_read_ready(cx)).await
    }

    /// Polls for read readiness.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(Direction::Read, cx).map(Ok)
    }

    /// Tries to read, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing yet, and as `recv`.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            Ok(0)
        } else {
            would_block(self.socket.recv(buf))
        }
    }

    /// Tries to read into several buffers, without waiting.
    ///
    /// # Errors
    /// As [`TcpStream::try_read`].
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut total = 0;
        for buf in bufs.iter_mut().filter(|b| !b.is_empty()) {
            match self.try_read(buf) {
                Ok(n) => {
                    total += n;
                    if n < buf.len() {
                        break;
                    }
                }
                Err(_) if total > 0 => break,
                Err(e) => return Err(e),
            }
        }
        Ok(total)
    }

    /// Tries to read into a growable buffer, without waiting.
    ///
    /// # Errors
    /// As [`TcpStream::try_read`].
    pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        let mut chunk = vec![0; buf.remaining_mut().min(16 * 1024)];
        let n = self.try_read(&mut chunk)?;
        buf.put_slice(&chunk[..n]);
        Ok(n)
    }

    /// Waits for the socket to become writable.
    ///
    /// # Errors
    /// None in a simulation.
    pub async fn writable(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_write_ready(cx)).await
    }

    /// Polls for write readiness.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(Direction::Write, cx).map(Ok)
    }

    /// Tries to write, without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the window is full, and as `send`.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        would_block(self.socket.send(buf))
    }

    /// Tries to write several buffers, without waiting.
    ///
    /// # Errors
    /// As [`TcpStream::try_write`].
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut total = 0;
        for buf in bufs.iter().filter(|b| !b.is_empty()) {
            match self.try_write(buf) {
                Ok(n) => {
                    total += n;
                    if n < buf.len() {
                        break;
                    }
                }
                Err(_) if total > 0 => break,
                Err(e) => return Err(e),
            }
        }
        Ok(total)
    }

    /// Runs an operation supplied by the caller.
    ///
    /// # Errors
    ///
    /// As the operation; `WouldBlock` if the socket is not ready.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        f: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        if self.readiness(interest).is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        f()
    }

    /// Runs an operation supplied by the caller until it does not return `WouldBlock`.
    ///
    /// # Errors
    ///
    /// As the operation.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut f: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.ready(interest).await?;
            match f() {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => tokio::task::yield_now().await,
                result => return result,
            }
        }
    }

    kept! {
        /// `TCP_NODELAY`.
        nodelay, set_nodelay: bool = nodelay;
        /// `TCP_QUICKACK`.
        quickack, set_quickack: bool = quickack;
    }

    /// `IP_TTL`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.kept(|k| k.ttl)
    }

    /// `IP_TTL`, from 1 to 255. Stored, without effect in the simulation.
    ///
    /// # Errors
    /// `EINVAL` for other values.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_ttl(ttl)
    }

    /// `SO_LINGER`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket.kept(|k| k.linger)
    }

    /// `SO_LINGER`. Zero makes closing send a reset.
    ///
    /// # Errors
    /// As `setsockopt`.
    pub fn set_linger(&self, dur: Option<Duration>) -> io::Result<()> {
        set_linger(&self.socket, dur)
    }

    /// `SO_LINGER` of zero: closing sends a reset.
    ///
    /// # Errors
    /// As `setsockopt`.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    pub(super) fn poll_read_priv(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let out = buf.initialize_unfilled();
        if out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let n = ready!(
            self.socket
                .poll_io(Direction::Read, cx, |s, id| s.recv(id, out))
        )?;
        buf.advance(n);
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_write_priv(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket
            .poll_io(Direction::Write, cx, |s, id| s.send(id, buf))
    }

    /// As tokio, takes a connection that is over for one that is shut down.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        match self.socket.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }
}

impl AsRef<TcpStream> for TcpStream {
    fn as_ref(&self) -> &TcpStream {
        self
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_priv(cx, buf)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_priv(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }
}
