//! The interpreter's access to turmoil's own sockets.
//!
//! They work on their own host only, and must be dropped there: [`HostApi::enter`] sets the host
//! whose task makes the following calls. A socket closed by the task of another host is dropped
//! when its own host's task runs next.

use super::simulation::Simulation;
use crate::clock::Clock;
use crate::engine::calls::{Failed, INEXPRESSIBLE, PANIC, call, quietly};
use crate::engine::processes::HostApi;
use fourtuple_kernel::Refusal;
use fourtuple_program::{Accepted, HostId, NewSocket, SocketApi};
use fourtuple_syscall::{Errno, Kind, Outcome, Returned, Shutdown, Syscall};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

/// A socket, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(usize);

type Calling<T> = Pin<Box<dyn Future<Output = Result<T, Failed>>>>;

/// The turmoil object behind a socket.
enum Socket {
    /// None: turmoil has no socket before it listens or connects.
    Fresh {
        listens: bool,
    },
    Listener {
        listener: Rc<TcpListener>,
        /// The address in the scenario.
        bound: SocketAddr,
        /// A pending accept.
        accepting: Option<Calling<(TcpStream, SocketAddr)>>,
    },
    Connecting(Calling<TcpStream>),
    Stream(TcpStream),
    Closed,
}

/// See the module's documentation.
pub(super) struct Api {
    simulation: Rc<Simulation>,
    clock: Arc<Clock>,
    sockets: Vec<(HostId, Socket)>,
    /// The host whose task makes calls, with its waker.
    here: Option<(HostId, Waker)>,
    wakers: BTreeMap<HostId, Waker>,
    /// Sockets to be dropped by their hosts.
    leaving: Vec<(HostId, Socket)>,
    /// For each host without a free port: the time, the number of closed sockets at that time, and
    /// turmoil's message.
    exhausted: BTreeMap<HostId, (Option<Duration>, u64, String)>,
    closes: u64,
}

impl Api {
    pub(super) fn new(simulation: Rc<Simulation>) -> Self {
        Api {
            clock: Arc::clone(&simulation.clock),
            simulation,
            sockets: Vec::new(),
            here: None,
            wakers: BTreeMap::new(),
            leaving: Vec::new(),
            exhausted: BTreeMap::new(),
            closes: 0,
        }
    }

    fn add(&mut self, host: HostId, socket: Socket) -> Handle {
        self.sockets.push((host, socket));
        Handle(self.sockets.len() - 1)
    }

    fn waker(&self) -> Waker {
        let here = self.here.as_ref();
        here.map_or_else(|| Waker::noop().clone(), |(_, waker)| waker.clone())
    }

    /// Ends the calls of the current host.
    pub(super) fn leave(&mut self) {
        self.here = None;
    }

    /// Wakes the task of a host.
    pub(super) fn wake(&self, host: HostId) {
        self.clock.touch();
        self.wakers
            .get(&host)
            .into_iter()
            .for_each(Waker::wake_by_ref);
    }

    fn is_here(&self, host: HostId) -> bool {
        self.here.as_ref().is_some_and(|(here, _)| *here == host)
    }

    /// Drops the closed sockets of a host.
    fn drop_leaving(&mut self, host: HostId) {
        let leaving = std::mem::take(&mut self.leaving).into_iter();
        let (mine, others): (Vec<_>, Vec<_>) = leaving.partition(|(of, _)| *of == host);
        self.leaving = others;
        self.closes += mine.len() as u64;
    }

    fn failed(&self, failed: &Failed) -> Outcome {
        if let Failed::Panic(text) = failed {
            let note = format!("turmoil panics, which ends the task: {text}");
            self.simulation.notes.add(note);
        }
        failed.outcome()
    }

    fn missing(&self, note: &str) -> Outcome {
        self.simulation.notes.add(note.to_owned());
        INEXPRESSIBLE
    }

    /// `bind` and `listen`, which are one call on turmoil. It completes immediately.
    fn bind(&mut self, s: Handle, addr: SocketAddr) -> Outcome {
        let place = self.simulation.listen_at(addr);
        let mut binding = pin!(call(TcpListener::bind(place)));
        let mut cx = Context::from_waker(Waker::noop());
        match binding.as_mut().poll(&mut cx) {
            Poll::Ready(Ok(listener)) => {
                let port = listener.local_addr().map_or(addr.port(), |at| at.port());
                let bound = SocketAddr::new(addr.ip(), port);
                self.sockets[s.0].1 = Socket::Listener {
                    listener: Rc::new(listener),
                    bound,
                    accepting: None,
                };
                local(bound)
            }
            Poll::Ready(Err(failed)) => self.failed(&failed),
            Poll::Pending => Outcome::WouldBlock,
        }
    }

    /// Connects. turmoil scans all sockets for every port before it reports that none is left, so
    /// that result is reused until a socket is closed or time passes.
    fn connect(&mut self, s: Handle, addr: SocketAddr) -> Poll<Outcome> {
        let host = self.sockets[s.0].0;
        let state = (self.clock.elapsed(), self.closes);
        if let Some((at, closes, text)) = self.exhausted.get(&host)
            && (*at, *closes) == state
        {
            return Poll::Ready(self.failed(&Failed::Panic(text.clone())));
        }
        let place = self.simulation.place(addr);
        let calling = Box::pin(call(TcpStream::connect(place)));
        self.sockets[s.0].1 = Socket::Connecting(calling);
        self.poll_connect(s)
    }

    fn ends(&self, stream: &TcpStream) -> Returned {
        Returned {
            local: stream.local_addr().ok().map(|at| self.simulation.shown(at)),
            peer: stream.peer_addr().ok().map(|at| self.simulation.shown(at)),
            ..Returned::default()
        }
    }

    /// A call on a stream.
    fn on_stream(&mut self, s: Handle, call: &Syscall<()>) -> Outcome {
        // It may have connected in the meantime.
        let _ = self.poll_connect(s);
        let waker = self.waker();
        let mut cx = Context::from_waker(&waker);
        let Socket::Stream(stream) = &mut self.sockets[s.0].1 else {
            return INEXPRESSIBLE;
        };
        let moved = match *call {
            Syscall::Send { len, .. } => {
                let bytes = vec![b'.'; len as usize];
                quietly(|| Poll::Ready(stream.try_write(&bytes).map(Some)))
            }
            Syscall::Recv { len, .. } => {
                let mut bytes = vec![0; len as usize];
                let mut buf = ReadBuf::new(&mut bytes);
                let read = quietly(|| Pin::new(stream).poll_read(&mut cx, &mut buf));
                read.map(|read| read.map_ok(|()| Some(buf.filled().len())))
            }
            Syscall::Shutdown {
                how: Shutdown::Write,
                ..
            } => quietly(|| Pin::new(stream).poll_shutdown(&mut cx).map_ok(|()| None)),
            _ => return INEXPRESSIBLE,
        };
        match moved {
            Ok(Poll::Pending) => Outcome::WouldBlock,
            Ok(Poll::Ready(Ok(bytes))) => Outcome::Ok(Returned {
                bytes: bytes.and_then(|bytes| u32::try_from(bytes).ok()),
                ..Returned::default()
            }),
            Ok(Poll::Ready(Err(error))) => self.failed(&Failed::Error(error)),
            Err(panic) => self.failed(&Failed::Panic(panic)),
        }
    }

    /// The outcome of `getsockname` and `getpeername`.
    fn name(&mut self, s: Handle, own: bool) -> Outcome {
        let _ = self.poll_connect(s);
        match &self.sockets[s.0].1 {
            Socket::Stream(stream) => {
                let ends = self.ends(stream);
                Outcome::Ok(if own {
                    Returned { peer: None, ..ends }
                } else {
                    Returned {
                        local: None,
                        ..ends
                    }
                })
            }
            Socket::Listener { bound, .. } if own => local(*bound),
            _ => INEXPRESSIBLE,
        }
    }
}

/// A success with a local address.
fn local(addr: SocketAddr) -> Outcome {
    Outcome::Ok(Returned {
        local: Some(addr),
        ..Returned::default()
    })
}

impl HostApi for Api {
    fn enter(&mut self, hosts: &[HostId], waker: &Waker) {
        let Some(&host) = hosts.first() else { return };
        self.here = Some((host, waker.clone()));
        self.wakers.insert(host, waker.clone());
        self.drop_leaving(host);
    }

    fn listen(&mut self, host: HostId, addr: SocketAddr) -> Result<Handle, Outcome> {
        let s = self.add(host, Socket::Fresh { listens: true });
        match self.bind(s, addr) {
            Outcome::Ok(_) => Ok(s),
            failed => Err(failed),
        }
    }

    fn crash(&mut self, hosts: &[HostId]) {
        for (host, socket) in &mut self.sockets {
            if hosts.contains(host) {
                *socket = Socket::Closed;
            }
        }
        hosts.iter().for_each(|host| self.drop_leaving(*host));
    }
}

impl SocketApi for Api {
    type Socket = Handle;
    type Reason = Refusal;

    fn socket(&mut self, new: &NewSocket) -> Result<Handle, Outcome> {
        match new.kind {
            Kind::Stream => Ok(self.add(
                new.at,
                Socket::Fresh {
                    listens: new.listens,
                },
            )),
            Kind::Datagram => Err(self.missing(
                "turmoil's UDP sockets are left out: they neither connect nor take options",
            )),
        }
    }

    fn call(&mut self, s: Handle, call: &Syscall<()>) -> Poll<Outcome> {
        let (host, socket) = &self.sockets[s.0];
        let host = *host;
        Poll::Ready(match (*call, socket) {
            (_, Socket::Closed) => Outcome::Err(Errno::EBADF),
            (Syscall::Close { .. }, _) => {
                let old = std::mem::replace(&mut self.sockets[s.0].1, Socket::Closed);
                self.leaving.push((host, old));
                if self.is_here(host) {
                    self.drop_leaving(host);
                } else {
                    self.wake(host);
                }
                Outcome::OK
            }
            // The host is down.
            _ if !self.is_here(host) => Outcome::Err(Errno::EBADF),
            (Syscall::Set { option, .. }, _) => self.missing(&format!(
                "turmoil's sockets have no options: {} is left out",
                option.name()
            )),
            (Syscall::Bind { addr, .. }, Socket::Fresh { listens: true }) => self.bind(s, addr),
            (Syscall::Bind { .. }, _) => {
                self.missing("turmoil cannot bind before connect: the connections are made without")
            }
            (Syscall::Listen { .. }, Socket::Listener { bound, .. }) => local(*bound),
            (Syscall::Listen { .. }, Socket::Fresh { .. }) => {
                self.bind(s, SocketAddr::new(self.simulation.any(), 0))
            }
            (Syscall::Connect { addr, .. }, Socket::Fresh { .. }) => return self.connect(s, addr),
            (Syscall::Connect { .. }, _) => self.missing("turmoil's streams cannot connect again"),
            (Syscall::Getsockname { .. }, _) => self.name(s, true),
            (Syscall::Getpeername { .. }, _) => self.name(s, false),
            (Syscall::Send { .. } | Syscall::Recv { .. } | Syscall::Shutdown { .. }, _) => {
                self.on_stream(s, call)
            }
            (Syscall::Listen { .. } | Syscall::Disconnect { .. }, _)
            | (Syscall::SendTo { .. } | Syscall::RecvFrom { .. }, _)
            | (Syscall::Socket { .. } | Syscall::Accept { .. }, _) => INEXPRESSIBLE,
        })
    }

    fn poll_connect(&mut self, s: Handle) -> Poll<Outcome> {
        let waker = self.waker();
        let (host, socket) = &mut self.sockets[s.0];
        let host = *host;
        let Socket::Connecting(calling) = socket else {
            return Poll::Ready(INEXPRESSIBLE);
        };
        match ready!(calling.as_mut().poll(&mut Context::from_waker(&waker))) {
            Ok(stream) => {
                let ends = self.ends(&stream);
                self.sockets[s.0].1 = Socket::Stream(stream);
                Poll::Ready(Outcome::Ok(ends))
            }
            Err(failed) => {
                self.sockets[s.0].1 = Socket::Fresh { listens: false };
                if let Failed::Panic(text) = &failed
                    && text.ends_with("ports exhausted")
                {
                    let found = (self.clock.elapsed(), self.closes, text.clone());
                    self.exhausted.insert(host, found);
                }
                Poll::Ready(self.failed(&failed))
            }
        }
    }

    fn accept(&mut self, listener: Handle) -> Result<Accepted<Handle>, Outcome> {
        let waker = self.waker();
        let place = listener.0;
        let (host, socket) = &mut self.sockets[place];
        let host = *host;
        let Socket::Listener {
            listener,
            accepting,
            ..
        } = socket
        else {
            return Err(INEXPRESSIBLE);
        };
        let listener = Rc::clone(listener);
        let calling =
            accepting.get_or_insert_with(|| Box::pin(async move { call(listener.accept()).await }));
        let Poll::Ready(accepted) = calling.as_mut().poll(&mut Context::from_waker(&waker)) else {
            return Err(Outcome::WouldBlock);
        };
        *accepting = None;
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(failed) => {
                // The task that accepts has the listener, and both end.
                self.sockets[place].1 = Socket::Closed;
                return Err(self.failed(&failed));
            }
        };
        let ends = self.ends(&stream);
        Ok(Accepted {
            socket: self.add(host, Socket::Stream(stream)),
            local: ends
                .local
                .unwrap_or(SocketAddr::new(self.simulation.any(), 0)),
            peer: ends.peer,
        })
    }

    fn sysctl(&mut self, _: HostId, key: &str, _: &str) {
        self.simulation.notes.add(format!("turmoil has no {key}"));
    }

    fn is_fatal(&self, outcome: &Outcome) -> bool {
        *outcome == PANIC
    }
}
