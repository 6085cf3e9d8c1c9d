//! TCP sockets: a socket of the port model each, and one of turmoil-net for the bytes.

use super::{Host, Pair, State};
use crate::net::{ToSocketAddrs, to_addrs_by};
use fourtuple_kernel::{Errno, Family, Shutdown, SockOpt, WorldSock};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil_net::shim::tokio::net as shim;

/// The backlog that tokio passes to `listen`.
const BACKLOG: u32 = 1024;

/// The addresses of an argument, with the names of turmoil-net.
fn to_addrs<A: ToSocketAddrs>(addr: &A) -> io::Result<Vec<SocketAddr>> {
    to_addrs_by(addr, &|name| {
        Ok(turmoil_net::lookup_host(name).map(|ip| vec![ip]))
    })
}

/// A socket of the model, closed when it is dropped.
#[derive(Debug)]
struct Model {
    host: Host,
    sock: WorldSock,
}

impl Drop for Model {
    fn drop(&mut self) {
        self.host.enter(|s| s.world.close(self.sock));
    }
}

impl Model {
    fn new(host: Host, family: Family) -> Self {
        let sock = host.enter(|s| s.world.socket(host.ns, family, 0));
        Model { host, sock }
    }

    fn call<T>(
        &self,
        call: impl FnOnce(&mut State, WorldSock) -> Result<T, Errno>,
    ) -> io::Result<T> {
        self.host.call(|s| call(s, self.sock))
    }

    fn local_addr(&self) -> SocketAddr {
        self.host.enter(|s| s.world.local_addr(self.sock))
    }
}

/// A socket that neither listens nor is connected, as `tokio::net::TcpSocket`, which turmoil-net
/// lacks: it can be bound before it connects.
#[derive(Debug)]
pub struct TcpSocket(Model);

impl TcpSocket {
    /// An IPv4 socket on the host of the calling task.
    ///
    /// # Errors
    /// If the task runs on no host.
    pub fn new_v4() -> io::Result<Self> {
        Ok(TcpSocket(Model::new(Host::current()?, Family::Inet)))
    }

    /// An IPv6 socket on the host of the calling task.
    ///
    /// # Errors
    /// If the task runs on no host.
    pub fn new_v6() -> io::Result<Self> {
        Ok(TcpSocket(Model::new(Host::current()?, Family::Inet6)))
    }

    fn of(addr: SocketAddr) -> io::Result<Self> {
        match addr {
            SocketAddr::V4(_) => Self::new_v4(),
            SocketAddr::V6(_) => Self::new_v6(),
        }
    }

    /// `setsockopt` of an option that affects ports.
    ///
    /// # Errors
    /// `ENOPROTOOPT` if this kernel does not know the option, and others as on Linux.
    pub fn set_option(&self, option: SockOpt) -> io::Result<()> {
        self.0.call(|s, sock| s.world.set_option(sock, option))
    }

    /// `SO_REUSEADDR`.
    ///
    /// # Errors
    /// As `setsockopt`.
    pub fn set_reuseaddr(&self, on: bool) -> io::Result<()> {
        self.set_option(SockOpt::ReuseAddr(on))
    }

    /// `bind()`.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EADDRNOTAVAIL` and others, as on Linux.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.0.call(|s, sock| s.world.bind(sock, addr))
    }

    /// `getsockname()`.
    ///
    /// # Errors
    /// None.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local_addr())
    }

    /// `listen()`.
    ///
    /// # Errors
    /// As on Linux, and those of turmoil-net's own `bind`.
    pub async fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.0.call(|s, sock| s.world.listen(sock, backlog))?;
        let inner = shim::TcpListener::bind(self.0.local_addr()).await?;
        Ok(TcpListener {
            inner,
            model: self.0,
        })
    }

    /// `connect()`.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` if no local port is left, `ECONNREFUSED`, and those of turmoil-net.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        let model = self.0;
        let host = model.host.clone();
        let refused = match host.enter(|s| s.world.connect(model.sock, addr)) {
            // turmoil-net finds no listener either, after a round trip.
            Poll::Ready(Err(Errno::ECONNREFUSED)) => Some(Errno::ECONNREFUSED),
            Poll::Ready(Err(errno)) => return Err(crate::socket::io_error(errno)),
            // Without an answer turmoil-net decides when to give up.
            Poll::Ready(Ok(())) | Poll::Pending => None,
        };
        let connecting = Connecting::begin(&host);
        let connected = shim::TcpStream::connect(addr).await;
        if let Some(errno) = refused {
            return Err(crate::socket::io_error(errno));
        }
        let inner = connected?;
        let client = inner.local_addr()?;
        let local = model.local_addr();
        host.enter(|s| s.clients.insert(pair(&host, client, addr.port()), local));
        drop(connecting);
        Ok(TcpStream {
            inner,
            local,
            peer: addr,
            model: Some(model),
        })
    }
}

/// A connect that turmoil-net has not finished. Accepts wait for it, because only its end shows
/// which connection of the model is which of turmoil-net.
struct Connecting<'a>(&'a Host);

impl<'a> Connecting<'a> {
    fn begin(host: &'a Host) -> Self {
        host.enter(|s| s.connecting += 1);
        Connecting(host)
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.enter(|s| s.connecting -= 1);
        self.0.shared.connected.notify_waiters();
    }
}

fn pair(host: &Host, client: SocketAddr, port: u16) -> Pair {
    (client.ip().is_loopback().then_some(host.ns), client, port)
}

/// A TCP socket server, as `tokio::net::TcpListener`.
#[derive(Debug)]
pub struct TcpListener {
    inner: shim::TcpListener,
    model: Model,
}

impl TcpListener {
    /// Creates a listener bound to an address, with `SO_REUSEADDR` as tokio sets it.
    ///
    /// # Errors
    /// As `bind` and `listen`, for the last address tried.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        let mut last = io::Error::from(io::ErrorKind::InvalidInput);
        for addr in to_addrs(&addr)? {
            let socket = TcpSocket::of(addr)?;
            socket.set_reuseaddr(true)?;
            match socket.bind(addr) {
                Err(error) => last = error,
                Ok(()) => match socket.listen(BACKLOG).await {
                    Ok(listener) => return Ok(listener),
                    Err(error) => last = error,
                },
            }
        }
        Err(last)
    }

    /// Accepts a connection.
    ///
    /// # Errors
    /// Those of turmoil-net.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (inner, client) = self.inner.accept().await?;
        let local = inner.local_addr()?;
        let host = &self.model.host;
        let pair = pair(host, client, local.port());
        let peer = loop {
            let connected = host.shared.connected.notified();
            let (peer, waits) = host.enter(|s| (s.clients.remove(&pair), s.connecting > 0));
            match peer {
                Some(peer) => break peer,
                // The client has given up in the meantime.
                None if !waits => break client,
                None => connected.await,
            }
        };
        let child = host.enter(|s| s.accept_from(self.model.sock, peer));
        let stream = TcpStream {
            inner,
            local,
            peer,
            model: child.map(|sock| Model {
                host: host.clone(),
                sock,
            }),
        };
        Ok((stream, peer))
    }

    /// The address that the listener is bound to.
    ///
    /// # Errors
    /// None.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.model.local_addr())
    }
}

impl State {
    /// Accepts the connection of a client in the model, whatever its place in the queue. `None` if
    /// it has been reset.
    fn accept_from(&mut self, listener: WorldSock, peer: SocketAddr) -> Option<WorldSock> {
        while let Poll::Ready(Ok(child)) = self.world.accept(listener, 0) {
            if let Ok(from) = self.world.peer_addr(child) {
                self.early.insert((listener, from, child));
            }
        }
        let found = self
            .early
            .iter()
            .find(|(of, from, _)| (*of, *from) == (listener, peer));
        let found = *found?;
        self.early.remove(&found);
        Some(found.2)
    }
}

/// A TCP stream, as `tokio::net::TcpStream`.
#[derive(Debug)]
pub struct TcpStream {
    inner: shim::TcpStream,
    local: SocketAddr,
    peer: SocketAddr,
    model: Option<Model>,
}

impl TcpStream {
    /// Opens a connection, to the first address that answers.
    ///
    /// # Errors
    /// As [`TcpSocket::connect`], for the last address tried.
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::InvalidInput);
        for addr in to_addrs(&addr)? {
            match TcpSocket::of(addr)?.connect(addr).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The local address, with Linux's port.
    ///
    /// # Errors
    /// None.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    /// The remote address, with Linux's port.
    ///
    /// # Errors
    /// None.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }

    /// turmoil-net's stream, for its other methods.
    #[must_use]
    pub fn get_ref(&self) -> &shim::TcpStream {
        &self.inner
    }

    /// Repeats on the model what was done with bytes.
    fn moved<R>(&self, call: impl FnOnce(&mut State, WorldSock) -> R) {
        if let Some(model) = &self.model {
            // turmoil-net has made the call: its result counts.
            let _ = model.host.enter(|s| call(s, model.sock));
        }
    }
}

fn len(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl AsyncRead for TcpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let read = len(buf.filled().len() - before);
        self.moved(|s, sock| s.world.recv(sock, read));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.moved(|s, sock| s.world.send(sock, len(written)));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        self.moved(|s, sock| s.world.shutdown(sock, Shutdown::Write));
        Poll::Ready(Ok(()))
    }
}
