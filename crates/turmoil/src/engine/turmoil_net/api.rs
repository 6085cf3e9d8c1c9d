//! The interpreter's access to turmoil-net's sockets.

use crate::engine::calls::{Failed, INEXPRESSIBLE, call, quietly};
use crate::engine::notes::Notes;
use fourtuple_harness::EngineError;
use fourtuple_kernel::Refusal;
use fourtuple_program::{Accepted, Clock, HostId, Nanos, NewSocket, SocketApi};
use fourtuple_scenario::Case;
use fourtuple_syscall::{Errno, Kind, Outcome, Returned, Shutdown, Syscall};
use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::AsyncWrite as _;
use turmoil_net::shim::tokio::net::{TcpListener, TcpStream, UdpSocket};
use turmoil_net::{EnterGuard, Net, Packet};

/// The time of one round of packets, as in turmoil-net's own fixtures: while a connect waits, each
/// round counts towards its retransmissions.
const ROUND: Nanos = 1_000_000;

/// A socket, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(usize);

/// The turmoil-net object behind a socket.
enum Socket {
    /// None: turmoil-net has no socket before it is bound or connects.
    Fresh(NewSocket),
    Listener(TcpListener),
    Connecting(Pin<Box<dyn Future<Output = Result<TcpStream, Failed>>>>),
    Stream(TcpStream),
    Datagram(UdpSocket),
    Closed,
}

/// See the module's documentation.
pub(super) struct Api {
    hosts: Vec<turmoil_net::HostId>,
    sockets: Vec<(HostId, Socket)>,
    /// Packets on their way, between calls none.
    packets: Vec<Packet>,
    now: Nanos,
    pub(super) notes: Notes,
    /// The network is that of this thread until this is dropped.
    guard: EnterGuard,
}

impl Drop for Api {
    fn drop(&mut self) {
        // Sockets are closed on their own host's kernel.
        for place in 0..self.sockets.len() {
            self.close_at(place);
        }
    }
}

impl Api {
    pub(super) fn new(case: &Case) -> Result<Self, EngineError> {
        let mut net = Net::new();
        let mut taken = BTreeSet::new();
        let notes = Notes::default();
        let mut hosts = Vec::new();
        for (name, host) in &*case.hosts {
            let added = host.addresses.iter().filter(|ip| !ip.is_loopback());
            if let Some(twice) = added.clone().find(|ip| !taken.insert(**ip)) {
                return Err(EngineError::new(format!(
                    "turmoil-net gives an address to one host, and {name} is another with {twice}"
                )));
            }
            hosts.push(net.add_host(added.copied().collect::<Vec<_>>()));
            for (key, _) in &host.sysctl {
                notes.add(format!("turmoil-net has no {key}"));
            }
        }
        notes.add("turmoil-net's range of ports is 49152-65535".to_owned());
        if !case.network.is_ideal() {
            notes.add(fourtuple_harness::left_out(case));
        }
        Ok(Api {
            hosts,
            sockets: Vec::new(),
            packets: Vec::new(),
            now: 0,
            notes,
            guard: net.enter(),
        })
    }

    fn enter(&self, host: HostId) {
        self.guard.set_current(self.hosts[host.0 as usize]);
    }

    /// Delivers packets until none is left.
    fn settle(&mut self) {
        loop {
            self.guard.egress_all(&mut self.packets);
            if self.packets.is_empty() {
                return;
            }
            for packet in self.packets.drain(..) {
                self.guard.deliver(packet);
            }
        }
    }

    fn missing(&self, note: &str) -> Outcome {
        self.notes.add(note.to_owned());
        INEXPRESSIBLE
    }

    fn failed(&self, failed: &Failed) -> Outcome {
        if let Failed::Panic(text) = failed {
            self.notes
                .add(format!("turmoil-net panics, which ends the test: {text}"));
        }
        failed.outcome()
    }

    /// Opens a listener of the scenario itself.
    pub(super) fn listen(&mut self, host: HostId, at: SocketAddr) -> Result<Handle, Outcome> {
        self.enter(host);
        match at_once(TcpListener::bind(at)) {
            Ok(listener) => Ok(self.add(host, Socket::Listener(listener))),
            Err(failed) => Err(self.failed(&failed)),
        }
    }

    /// Accepts every connection that waits at a listener, and keeps it.
    pub(super) fn accept_all(&mut self, listener: Handle) {
        while self.accept(listener).is_ok() {}
    }

    fn add(&mut self, host: HostId, socket: Socket) -> Handle {
        self.sockets.push((host, socket));
        Handle(self.sockets.len() - 1)
    }

    fn close_at(&mut self, place: usize) {
        let host = self.sockets[place].0;
        self.enter(host);
        self.sockets[place].1 = Socket::Closed;
    }

    /// `bind()`, which is one call with `listen()` for TCP.
    fn bind(&mut self, s: Handle, new: NewSocket, addr: SocketAddr) -> Outcome {
        let bound = match new.kind {
            Kind::Datagram => at_once(UdpSocket::bind(addr)).map(Socket::Datagram),
            Kind::Stream if new.listens => at_once(TcpListener::bind(addr)).map(Socket::Listener),
            Kind::Stream => {
                return self.missing(
                    "turmoil-net cannot bind before connect: the connections are made without",
                );
            }
        };
        match bound {
            Ok(socket) => {
                self.sockets[s.0].1 = socket;
                self.name(s, true)
            }
            Err(failed) => self.failed(&failed),
        }
    }

    /// The outcome of `getsockname` and `getpeername`.
    fn name(&self, s: Handle, own: bool) -> Outcome {
        let named = match (&self.sockets[s.0].1, own) {
            (Socket::Listener(listener), true) => listener.local_addr(),
            (Socket::Stream(stream), true) => stream.local_addr(),
            (Socket::Stream(stream), false) => stream.peer_addr(),
            (Socket::Datagram(socket), true) => socket.local_addr(),
            (Socket::Datagram(socket), false) => socket.peer_addr(),
            _ => return INEXPRESSIBLE,
        };
        match named {
            Ok(addr) if own => local(addr),
            Ok(addr) => Outcome::Ok(Returned {
                peer: Some(addr),
                ..Returned::default()
            }),
            Err(error) => self.failed(&Failed::Error(error)),
        }
    }

    /// Binds a datagram socket that is not bound yet: turmoil-net has no others.
    fn bound_datagram(&mut self, s: Handle, to: SocketAddr) -> Result<(), Outcome> {
        let Socket::Fresh(new) = self.sockets[s.0].1 else {
            return Ok(());
        };
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        match self.bind(s, new, SocketAddr::new(any, 0)) {
            Outcome::Ok(_) => Ok(()),
            failed => Err(failed),
        }
    }

    fn connect(&mut self, s: Handle, kind: Kind, addr: SocketAddr) -> Poll<Outcome> {
        if kind == Kind::Stream {
            let calling = Box::pin(call(TcpStream::connect(addr)));
            self.sockets[s.0].1 = Socket::Connecting(calling);
            let first = self.poll_connect(s);
            if first.is_ready() {
                return first;
            }
            self.settle();
            return self.poll_connect(s);
        }
        Poll::Ready(match self.bound_datagram(s, addr) {
            Err(outcome) => outcome,
            Ok(()) => {
                let Socket::Datagram(socket) = &self.sockets[s.0].1 else {
                    return Poll::Ready(INEXPRESSIBLE);
                };
                match at_once(socket.connect(addr)) {
                    Ok(()) => Outcome::Ok(Returned {
                        peer: socket.peer_addr().ok(),
                        local: socket.local_addr().ok(),
                        ..Returned::default()
                    }),
                    Err(failed) => self.failed(&failed),
                }
            }
        })
    }

    /// The calls that move bytes.
    fn transfer(&mut self, s: Handle, call: &Syscall<()>) -> Outcome {
        if let Syscall::SendTo { addr, .. } = *call
            && let Err(outcome) = self.bound_datagram(s, addr)
        {
            return outcome;
        }
        let mut peer = None;
        let moved = match (*call, &mut self.sockets[s.0].1) {
            (Syscall::Send { len, .. }, Socket::Stream(stream)) => {
                quietly(|| stream.try_write(&filler(len)))
            }
            (Syscall::Send { len, .. }, Socket::Datagram(socket)) => {
                quietly(|| socket.try_send(&filler(len)))
            }
            (Syscall::SendTo { addr, len, .. }, Socket::Datagram(socket)) => {
                quietly(|| socket.try_send_to(&filler(len), addr))
            }
            (Syscall::Recv { len, .. }, Socket::Stream(stream)) => {
                quietly(|| stream.try_read(&mut filler(len)))
            }
            (Syscall::Recv { len, .. }, Socket::Datagram(socket)) => {
                quietly(|| socket.try_recv(&mut filler(len)))
            }
            (Syscall::RecvFrom { len, .. }, Socket::Datagram(socket)) => {
                let received = quietly(|| socket.try_recv_from(&mut filler(len)));
                received.map(|result| {
                    let (bytes, from) = result?;
                    peer = Some(from);
                    Ok(bytes)
                })
            }
            (
                Syscall::Shutdown {
                    how: Shutdown::Write,
                    ..
                },
                Socket::Stream(stream),
            ) => {
                let mut cx = Context::from_waker(Waker::noop());
                let shut = quietly(|| Pin::new(stream).poll_shutdown(&mut cx));
                let shut = shut.map(|shut| match shut {
                    Poll::Ready(result) => result.map(|()| 0),
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                });
                self.settle();
                return match shut {
                    Ok(Ok(_)) => Outcome::OK,
                    Ok(Err(error)) => self.failed(&Failed::Error(error)),
                    Err(panic) => self.failed(&Failed::Panic(panic)),
                };
            }
            _ => return INEXPRESSIBLE,
        };
        self.settle();
        match moved {
            Ok(Ok(bytes)) => Outcome::Ok(Returned {
                bytes: u32::try_from(bytes).ok(),
                peer,
                ..Returned::default()
            }),
            Ok(Err(error)) => self.failed(&Failed::Error(error)),
            Err(panic) => self.failed(&Failed::Panic(panic)),
        }
    }
}

fn filler(len: u32) -> Vec<u8> {
    vec![b'.'; len as usize]
}

/// A success with a local address.
fn local(addr: SocketAddr) -> Outcome {
    Outcome::Ok(Returned {
        local: Some(addr),
        ..Returned::default()
    })
}

/// The result of a call that does not wait.
fn at_once<T>(future: impl Future<Output = io::Result<T>>) -> Result<T, Failed> {
    let mut future = pin!(call(future));
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Failed::Error(io::ErrorKind::WouldBlock.into())),
    }
}

impl SocketApi for Api {
    type Socket = Handle;
    type Reason = Refusal;

    fn socket(&mut self, new: &NewSocket) -> Result<Handle, Outcome> {
        Ok(self.add(new.at, Socket::Fresh(*new)))
    }

    fn call(&mut self, s: Handle, call: &Syscall<()>) -> Poll<Outcome> {
        let (host, socket) = &self.sockets[s.0];
        self.enter(*host);
        Poll::Ready(match (*call, socket) {
            (_, Socket::Closed) => Outcome::Err(Errno::EBADF),
            (Syscall::Close { .. }, _) => {
                self.close_at(s.0);
                self.settle();
                Outcome::OK
            }
            (Syscall::Set { option, .. }, _) => self.missing(&format!(
                "turmoil-net's sockets have no options: {} is left out",
                option.name()
            )),
            (Syscall::Bind { addr, .. }, Socket::Fresh(new)) => self.bind(s, *new, addr),
            (Syscall::Listen { .. }, Socket::Listener(_)) => self.name(s, true),
            (Syscall::Listen { .. }, Socket::Fresh(new)) => {
                let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
                self.bind(s, *new, any)
            }
            (Syscall::Connect { addr, .. }, Socket::Fresh(new)) => {
                return self.connect(s, new.kind, addr);
            }
            (Syscall::Connect { addr, .. }, Socket::Datagram(_)) => {
                return self.connect(s, Kind::Datagram, addr);
            }
            (Syscall::Connect { .. }, _) => {
                self.missing("turmoil-net's streams cannot connect again")
            }
            (Syscall::Getsockname { .. }, _) => self.name(s, true),
            (Syscall::Getpeername { .. }, _) => self.name(s, false),
            _ => self.transfer(s, call),
        })
    }

    fn poll_connect(&mut self, s: Handle) -> Poll<Outcome> {
        let (host, socket) = &mut self.sockets[s.0];
        let host = *host;
        let Socket::Connecting(calling) = socket else {
            return Poll::Ready(INEXPRESSIBLE);
        };
        self.guard.set_current(self.hosts[host.0 as usize]);
        let mut cx = Context::from_waker(Waker::noop());
        Poll::Ready(match ready!(calling.as_mut().poll(&mut cx)) {
            Ok(stream) => {
                let ends = Returned {
                    local: stream.local_addr().ok(),
                    peer: stream.peer_addr().ok(),
                    ..Returned::default()
                };
                self.sockets[s.0].1 = Socket::Stream(stream);
                Outcome::Ok(ends)
            }
            Err(failed) => {
                self.sockets[s.0].1 = Socket::Closed;
                self.failed(&failed)
            }
        })
    }

    fn accept(&mut self, listener: Handle) -> Result<Accepted<Handle>, Outcome> {
        let (host, socket) = &self.sockets[listener.0];
        let host = *host;
        self.enter(host);
        let Socket::Listener(listener) = socket else {
            return Err(INEXPRESSIBLE);
        };
        let (stream, peer) = match at_once(listener.accept()) {
            Ok(accepted) => accepted,
            Err(failed) => return Err(self.failed(&failed)),
        };
        let local = stream.local_addr();
        Ok(Accepted {
            local: local.map_err(|error| self.failed(&Failed::Error(error)))?,
            peer: Some(peer),
            socket: self.add(host, Socket::Stream(stream)),
        })
    }

    fn sysctl(&mut self, _: HostId, key: &str, _: &str) {
        self.notes.add(format!("turmoil-net has no {key}"));
    }
}

impl Clock for Api {
    fn now(&self) -> Nanos {
        self.now
    }

    fn next_event(&mut self) -> Option<Nanos> {
        let mut all = self.sockets.iter();
        let waits = all.any(|(_, socket)| matches!(socket, Socket::Connecting(_)));
        waits.then_some(self.now + ROUND)
    }

    fn advance(&mut self, to: Nanos) {
        self.now = to;
        self.settle();
    }
}
