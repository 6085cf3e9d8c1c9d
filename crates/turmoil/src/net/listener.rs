//! `TcpListener`.

use super::addr::{ToSocketAddrs, first_of};
use super::{TcpSocket, TcpStream};
use crate::Socket;
use crate::host::current;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

/// A TCP socket server, listening for connections, as `tokio::net::TcpListener`.
#[derive(Debug)]
pub struct TcpListener {
    pub(super) socket: Socket,
}

/// The backlog that tokio passes to `listen`.
const BACKLOG: u32 = 1024;

impl TcpSocket {
    /// `listen()`.
    ///
    /// # Errors
    /// As `listen`.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.socket.listen(backlog)?;
        Ok(TcpListener {
            socket: self.socket,
        })
    }
}

impl TcpListener {
    /// Creates a listener bound to an address, with `SO_REUSEADDR` as tokio sets it.
    ///
    /// # Errors
    ///
    /// As `bind` and `listen`, for the last address tried.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        current()?.turn(None).await;
        first_of(&addr, Self::bind_one)
    }

    fn bind_one(addr: SocketAddr) -> io::Result<TcpListener> {
        let socket = TcpSocket::for_addr(addr)?;
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG)
    }

    /// Accepts a connection.
    ///
    /// # Errors
    /// As `accept`.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = self.socket.accept().await?;
        Ok((TcpStream { socket }, peer))
    }

    /// Polls for a connection to accept.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let (socket, peer) = ready!(self.socket.poll_accept(cx))?;
        Poll::Ready(Ok((TcpStream { socket }, peer)))
    }

    /// The address that the listener is bound to.
    ///
    /// # Errors
    /// If the host has crashed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
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
}
