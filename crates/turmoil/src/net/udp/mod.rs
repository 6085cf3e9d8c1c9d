//! `UdpSocket`.

mod options;

use super::addr::{ToSocketAddrs, first_of, to_addrs, unresolved};
use super::socket::scoped;
use crate::Socket;
use crate::host::{Direction, State, current};
use bytes::BufMut;
use fourtuple_kernel::{Errno, Family, SockId};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use tokio::io::{Interest, ReadBuf, Ready};

/// The size and the sender of a datagram, as the kernel returns them.
type Received = Result<Option<(u32, Option<SocketAddr>)>, Errno>;

/// A UDP socket, as `tokio::net::UdpSocket`. Datagrams take turmoil's latency, one by one, and are
/// lost and held as turmoil's own are; between hosts they may overtake each other. 256 of them wait
/// in a receive queue, further ones are lost.
#[derive(Debug)]
pub struct UdpSocket {
    pub(super) socket: Socket,
}

/// Conversions of what was received, for callers that want the sender and for those that do not.
fn with_sender((len, from): (usize, Option<SocketAddr>)) -> io::Result<(usize, SocketAddr)> {
    // Only the end after a shutdown has none, and datagram sockets have no such call.
    let from = from.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((len, from))
}

impl UdpSocket {
    /// Creates a socket bound to an address. Port 0 lets the kernel select one.
    ///
    /// # Errors
    /// As `bind`, for the last address tried: `EADDRINUSE` also when no port is left.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        current()?.turn(None).await;
        first_of(&addr, |addr| {
            let socket = Socket::datagram(Family::of(addr.ip()))?;
            socket.bind(scoped(addr))?;
            Ok(UdpSocket { socket })
        })
    }

    /// Wraps a datagram socket with options of its own ([`Socket::datagram`]), in the place of
    /// tokio's `from_std`.
    ///
    /// # Errors
    /// `EPROTOTYPE` for a TCP socket.
    pub fn from_socket(socket: Socket) -> io::Result<UdpSocket> {
        match socket.is_datagram() {
            true => Ok(UdpSocket { socket }),
            false => Err(crate::socket::io_error(Errno::EPROTOTYPE)),
        }
    }

    /// `getsockname()`.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// `getpeername()`.
    ///
    /// # Errors
    /// `ENOTCONN` unless the socket is connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// `connect()`: sets the destination of `send`, and receives from it alone.
    ///
    /// # Errors
    /// As `connect`, for the last address tried.
    pub async fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        first_of(&addr, |addr| self.socket.connect_datagram(scoped(addr)))
    }

    /// Waits for any of the requested ready states.
    ///
    /// # Errors
    /// None in a simulation.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        poll_fn(|cx| {
            let mut ready = Ready::EMPTY;
            if interest.is_readable() && self.poll_recv_ready(cx).is_ready() {
                ready |= Ready::READABLE;
            }
            if interest.is_writable() && self.poll_send_ready(cx).is_ready() {
                ready |= Ready::WRITABLE;
            }
            match ready.is_empty() {
                true => Poll::Pending,
                false => Poll::Ready(Ok(ready)),
            }
        })
        .await
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
        let is_ready = interest.is_readable() && self.socket.is_ready(Direction::Read)
            || interest.is_writable() && self.socket.is_ready(Direction::Write);
        match is_ready {
            true => f(),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
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

    /// Waits for the socket to become writable. It is, unless the last datagram for this host has
    /// to wait for the clock ([`Linux::loopback`](crate::Linux::loopback)).
    ///
    /// # Errors
    /// None in a simulation.
    pub async fn writable(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_send_ready(cx)).await
    }

    /// Polls for write readiness.
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(Direction::Write, cx).map(Ok)
    }

    /// Waits for a datagram, or for a pending error.
    ///
    /// # Errors
    /// None in a simulation.
    pub async fn readable(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_recv_ready(cx)).await
    }

    /// Polls for read readiness.
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(Direction::Read, cx).map(Ok)
    }

    fn poll_send_any(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        to: Option<SocketAddr>,
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(
            self.socket
                .poll_io(Direction::Write, cx, |s, id| s.send_to(id, to, buf))
        )?;
        Poll::Ready(Ok(sent as usize))
    }

    /// Sends a datagram to the address that the socket is connected to.
    ///
    /// # Errors
    /// `EDESTADDRREQ` unless it is connected, `EMSGSIZE` for more than 65,507 bytes, `ECONNREFUSED`
    /// once after a datagram to a port without a socket.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_send(cx, buf)).await
    }

    /// Polls [`UdpSocket::send`].
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send_any(cx, buf, None)
    }

    /// [`UdpSocket::send`] without waiting.
    ///
    /// # Errors
    /// As there, and `WouldBlock`.
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        let sent = self.socket.call(|s, id| s.send_to(id, None, buf))?;
        Ok(sent as usize)
    }

    /// Sends a datagram to the first address.
    ///
    /// # Errors
    /// As [`UdpSocket::send`]; `EINVAL` for port 0, and those of routing.
    pub async fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], target: A) -> io::Result<usize> {
        let to = first(&target)?;
        poll_fn(|cx| self.poll_send_to(cx, buf, to)).await
    }

    /// Polls [`UdpSocket::send_to`].
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.poll_send_any(cx, buf, Some(scoped(target)))
    }

    /// [`UdpSocket::send_to`] without waiting. As turmoil's it takes host names as well.
    ///
    /// # Errors
    /// As there, and `WouldBlock`.
    pub fn try_send_to<A: ToSocketAddrs>(&self, buf: &[u8], target: A) -> io::Result<usize> {
        let to = Some(scoped(first(&target)?));
        let sent = self.socket.call(|s, id| s.send_to(id, to, buf))?;
        Ok(sent as usize)
    }

    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&mut State, SockId) -> Received,
    ) -> Poll<io::Result<(usize, Option<SocketAddr>)>> {
        let (len, from) = ready!(self.socket.poll_io(Direction::Read, cx, |s, id| {
            call(s, id)?.ok_or(Errno::EAGAIN)
        }))?;
        Poll::Ready(Ok((len as usize, from)))
    }

    /// Fills the unfilled part of `buf`.
    fn poll_filled(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        call: fn(&mut State, SockId, &mut [u8]) -> Received,
    ) -> Poll<io::Result<SocketAddr>> {
        let out = buf.initialize_unfilled();
        let received = ready!(self.poll_receive(cx, |s, id| call(s, id, out)))?;
        let (len, from) = with_sender(received)?;
        buf.advance(len);
        Poll::Ready(Ok(from))
    }

    fn try_receive(
        &self,
        call: impl FnOnce(&mut State, SockId) -> Received,
    ) -> io::Result<(usize, Option<SocketAddr>)> {
        match self.socket.call(call)? {
            Some((len, from)) => Ok((len as usize, from)),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Receives a datagram. What `buf` has no space for is lost.
    ///
    /// # Errors
    /// `ECONNREFUSED` once after a datagram to a port without a socket, if the socket is connected.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(
            poll_fn(|cx| self.poll_receive(cx, |s, id| s.recv_from(id, buf)))
                .await?
                .0,
        )
    }

    /// Polls [`UdpSocket::recv`].
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let out = buf.initialize_unfilled();
        let (len, _) = ready!(self.poll_receive(cx, |s, id| s.recv_from(id, out)))?;
        buf.advance(len);
        Poll::Ready(Ok(()))
    }

    /// [`UdpSocket::recv`] without waiting.
    ///
    /// # Errors
    /// As there, and `WouldBlock`.
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_receive(|s, id| s.recv_from(id, buf))?.0)
    }

    /// Receives a datagram and its sender.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let received = poll_fn(|cx| self.poll_receive(cx, |s, id| s.recv_from(id, buf))).await?;
        with_sender(received)
    }

    /// Polls [`UdpSocket::recv_from`].
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.poll_filled(cx, buf, State::recv_from)
    }

    /// [`UdpSocket::recv_from`] without waiting.
    ///
    /// # Errors
    /// As there, and `WouldBlock`.
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        with_sender(self.try_receive(|s, id| s.recv_from(id, buf))?)
    }

    /// Receives a datagram without removing it from the queue.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.peek_from(buf).await?.0)
    }

    /// Polls [`UdpSocket::peek`].
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_peek_from(cx, buf).map_ok(|_| ())
    }

    /// [`UdpSocket::peek`] without waiting.
    ///
    /// # Errors
    /// As there, and `WouldBlock`.
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_peek_from(buf)?.0)
    }

    /// Receives a datagram and its sender without removing it from the queue.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let received = poll_fn(|cx| self.poll_receive(cx, |s, id| s.peek_from(id, buf))).await?;
        with_sender(received)
    }

    /// Polls [`UdpSocket::peek_from`].
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.poll_filled(cx, buf, State::peek_from)
    }

    /// [`UdpSocket::peek_from`] without waiting.
    ///
    /// # Errors
    /// As there, and `WouldBlock`.
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        with_sender(self.try_receive(|s, id| s.peek_from(id, buf))?)
    }

    /// The sender of the next datagram.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.peek_from(&mut []).await?.1)
    }

    /// Polls [`UdpSocket::peek_sender`].
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll_peek_from(cx, &mut ReadBuf::new(&mut []))
    }

    /// The sender of the next datagram, without waiting.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`], and `WouldBlock`.
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.try_peek_from(&mut [])?.1)
    }

    /// Receives a datagram into a growable buffer.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub async fn recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(self.recv_buf_from(buf).await?.0)
    }

    /// Receives a datagram into a growable buffer, and its sender.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub async fn recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        let mut datagram = space(buf);
        let (len, from) = self.recv_from(&mut datagram).await?;
        buf.put_slice(&datagram[..len]);
        Ok((len, from))
    }

    /// [`UdpSocket::recv_buf`] without waiting.
    ///
    /// # Errors
    /// As there, and `WouldBlock`.
    pub fn try_recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(self.try_recv_buf_from(buf)?.0)
    }

    /// [`UdpSocket::recv_buf_from`] without waiting.
    ///
    /// # Errors
    /// As there, and `WouldBlock`.
    pub fn try_recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        let mut datagram = space(buf);
        let (len, from) = self.try_recv_from(&mut datagram)?;
        buf.put_slice(&datagram[..len]);
        Ok((len, from))
    }
}

/// A buffer for the datagram that goes to a growable one.
fn space<B: BufMut>(buf: &B) -> Vec<u8> {
    /// The largest datagram.
    const LARGEST: usize = 65_507;
    vec![0; buf.remaining_mut().min(LARGEST)]
}

fn first<A: ToSocketAddrs>(addr: &A) -> io::Result<SocketAddr> {
    let mut all = to_addrs(addr)?.into_iter();
    all.next().ok_or_else(unresolved)
}
