//! The interpreter's access to the kernels of a simulation.

use crate::engine::notes::Notes;
use crate::engine::processes::HostApi;
use crate::host::Kernels;
use crate::host::{Kernel, State};
use crate::network::Place;
use fourtuple_harness::Name;
use fourtuple_harness::compile::BACKLOG;
use fourtuple_kernel::nat::{Trace, is_nat_sysctl, refusal};
use fourtuple_kernel::{Errno, Refusal, SockId};
use fourtuple_program::{Accepted, Caller, HostId, NewSocket, SocketApi};
use fourtuple_syscall::{Family, Kind, Outcome, Returned, SockOpt, Syscall};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A socket of a machine, invalid after the machine's next boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle {
    host: HostId,
    boot: u64,
    id: SockId,
}

/// The namespace of a host, as calls use it.
#[derive(Clone, Debug)]
pub(super) struct HostPlace {
    pub(super) name: Name,
    pub(super) machine: Name,
    pub(super) namespace: usize,
}

/// See the module's documentation.
pub(super) struct Api {
    kernels: Arc<Kernels>,
    hosts: Vec<HostPlace>,
    notes: Rc<Notes>,
    /// Woken when a connect completes or a connection can be accepted, on a network with latency.
    pub(super) waker: Option<Waker>,
    reason: Option<Refusal>,
}

impl Api {
    pub(super) fn new(kernels: Arc<Kernels>, hosts: Vec<HostPlace>, notes: Rc<Notes>) -> Self {
        Api {
            kernels,
            hosts,
            notes,
            waker: None,
            reason: None,
        }
    }

    fn kernel(&self, host: HostId) -> Option<Arc<Kernel>> {
        self.kernels.get(&self.hosts[host.0 as usize].machine)
    }

    /// The outcome of a connect between these ends, with what NAT hosts on the way did to it.
    fn through_nat(&mut self, at: HostId, ends: Option<Ends>, outcome: Outcome) -> Outcome {
        let place = self.place(at);
        let trace = place
            .zip(ends)
            .and_then(|(at, ends)| self.kernels.trace(at, ends));
        match (outcome, trace) {
            (Outcome::Ok(returned), Some(Trace::Passed(passage))) => {
                let seen = (passage.source, passage.destination);
                Outcome::Ok(Returned {
                    translated: Some(seen).filter(|seen| Some(*seen) != ends),
                    ..returned
                })
            }
            (Outcome::Err(Errno::ETIMEDOUT), Some(Trace::Dropped(dropped))) => {
                self.reason = Some(refusal(dropped));
                outcome
            }
            _ => outcome,
        }
    }

    /// A host as the network knows it.
    fn place(&self, host: HostId) -> Option<Place> {
        let kernel = self.kernel(host)?;
        let index = self.hosts[host.0 as usize].namespace;
        Some((kernel.enter(|s| s.own), index))
    }

    /// The ends of the connection of a socket.
    fn ends_of(&mut self, socket: Handle) -> Option<Ends> {
        let ends = self.on(socket, |s, id| {
            let remote = s.machine.remote_addr(id);
            Ok(remote.map(|remote| (s.machine.local_addr(id), remote)))
        });
        ends.ok().flatten()
    }

    /// Makes a call on the kernel of a socket.
    pub(super) fn on<R>(
        &mut self,
        socket: Handle,
        call: impl FnOnce(&mut State, SockId) -> Result<R, Errno>,
    ) -> Result<R, Outcome> {
        let kernel = self.kernel(socket.host);
        let Some(kernel) = kernel.filter(|kernel| kernel.boot == socket.boot) else {
            return Err(DOWN);
        };
        kernel.enter(|s| {
            if !s.up {
                return Err(DOWN);
            }
            let result = call(s, socket.id);
            if result.is_err() {
                self.reason = s.refusal.take();
            }
            result.map_err(Outcome::Err)
        })
    }
}

/// The local and the remote end of a connection.
type Ends = (SocketAddr, SocketAddr);

/// The outcome of calls on a crashed machine, which has no sockets.
const DOWN: Outcome = Outcome::Err(Errno::EBADF);

pub(super) fn local(s: &State, id: SockId) -> Returned {
    Returned {
        local: Some(s.machine.local_addr(id)),
        ..Returned::default()
    }
}

pub(super) fn ends(s: &State, id: SockId) -> Returned {
    Returned {
        peer: s.machine.peer_addr(id).ok(),
        ..local(s, id)
    }
}

/// Converts a failure to the outcome of a non-blocking call.
fn blocked(failed: Outcome) -> Outcome {
    match failed {
        Outcome::Err(Errno::EAGAIN) => Outcome::WouldBlock,
        failed => failed,
    }
}

fn moved(bytes: usize) -> Returned {
    Returned {
        bytes: u32::try_from(bytes).ok(),
        ..Returned::default()
    }
}

impl HostApi for Api {
    fn enter(&mut self, _: &[HostId], waker: &Waker) {
        self.waker = Some(waker.clone());
    }

    fn listen(&mut self, host: HostId, addr: SocketAddr) -> Result<Handle, Outcome> {
        let socket = self.socket(&NewSocket {
            at: host,
            by: Caller::Server,
            family: Family::of(addr.ip()),
            kind: Kind::Stream,
            uid: 0,
            listens: true,
        })?;
        let calls = [
            Syscall::Set {
                sock: (),
                option: SockOpt::ReuseAddr(true),
            },
            Syscall::Bind { sock: (), addr },
            Syscall::Listen {
                sock: (),
                backlog: BACKLOG as i32,
            },
        ];
        for call in calls {
            match self.call(socket, &call) {
                Poll::Ready(Outcome::Ok(_)) | Poll::Pending => {}
                Poll::Ready(failed) => return Err(failed),
            }
        }
        Ok(socket)
    }
}

impl SocketApi for Api {
    type Socket = Handle;
    type Reason = Refusal;

    fn socket(&mut self, new: &NewSocket) -> Result<Handle, Outcome> {
        let namespace = self.hosts[new.at.0 as usize].namespace;
        let kernel = self.kernel(new.at).ok_or(DOWN)?;
        let made = kernel.enter(|s| {
            if !s.up {
                return Err(DOWN);
            }
            let ns = s.namespaces[namespace].0;
            let made = s.socket_of(ns, new.family, new.kind, new.uid);
            made.map_err(Outcome::Err)
        });
        Ok(Handle {
            host: new.at,
            boot: kernel.boot,
            id: made?,
        })
    }

    fn call(&mut self, socket: Handle, call: &Syscall<()>) -> Poll<Outcome> {
        if let Some(outcome) = self.datagram(socket, call) {
            return Poll::Ready(outcome);
        }
        let nothing = |()| Returned::default();
        let result = self.on(socket, |s, id| match *call {
            Syscall::Socket { .. } | Syscall::Accept { .. } => Err(Errno::ENOSYS),
            Syscall::Set { option, .. } => s.set(id, option).map(nothing),
            Syscall::Bind { addr, .. } => s.bind(id, addr).map(|()| local(s, id)),
            Syscall::Listen { backlog, .. } => {
                let backlog = u32::try_from(backlog).unwrap_or(u32::MAX);
                s.listen(id, backlog).map(|()| local(s, id))
            }
            Syscall::Connect { addr, .. } => s.connect(id, addr).map(|()| ends(s, id)),
            // TCP does not look at the destination, and names no sender.
            Syscall::Send { len, .. } | Syscall::SendTo { len, .. } => {
                s.send(id, &vec![b'.'; len as usize]).map(moved)
            }
            Syscall::Recv { len, .. } | Syscall::RecvFrom { len, .. } => {
                s.recv(id, &mut vec![0; len as usize]).map(moved)
            }
            Syscall::Shutdown { how, .. } => s.shutdown(id, how).map(nothing),
            Syscall::Disconnect { .. } => s.disconnect(id).map(nothing),
            Syscall::Close { .. } => {
                s.close(id);
                Ok(Returned::default())
            }
            Syscall::Getsockname { .. } => Ok(local(s, id)),
            Syscall::Getpeername { .. } => s.machine.peer_addr(id).map(|peer| Returned {
                peer: Some(peer),
                ..Returned::default()
            }),
        });
        let outcome = match result {
            Ok(returned) => Outcome::Ok(returned),
            Err(Outcome::Err(Errno::EINPROGRESS)) => return Poll::Pending,
            Err(failed) => blocked(failed),
        };
        Poll::Ready(match call {
            Syscall::Connect { .. } => {
                let ends = self.ends_of(socket);
                self.through_nat(socket.host, ends, outcome)
            }
            _ => outcome,
        })
    }

    fn poll_connect(&mut self, socket: Handle) -> Poll<Outcome> {
        let waker = self.waker.clone();
        // A failed connect has no remote end any more.
        let before = self.ends_of(socket);
        let result = self.on(socket, |s, id| {
            let answer = match &waker {
                None => s.connect_result(id).map_or(Poll::Pending, Poll::Ready),
                Some(waker) => s.poll_connect(id, &mut Context::from_waker(waker)),
            };
            match answer {
                Poll::Pending => Ok(None),
                Poll::Ready(answer) => answer.map(|()| Some(ends(s, id))),
            }
        });
        let outcome = match result {
            Ok(None) => return Poll::Pending,
            Ok(Some(returned)) => Outcome::Ok(returned),
            Err(outcome) => outcome,
        };
        Poll::Ready(self.through_nat(socket.host, before, outcome))
    }

    fn accept(&mut self, listener: Handle) -> Result<Accepted<Handle>, Outcome> {
        let waker = self.waker.clone();
        let accepted = self.on(listener, |s, id| {
            let answer = match &waker {
                None => Poll::Ready(s.accept(id, 0)),
                Some(waker) => s.poll_accept(id, 0, &mut Context::from_waker(waker)),
            };
            match answer {
                Poll::Pending => Err(Errno::EAGAIN),
                Poll::Ready(answer) => {
                    answer.map(|(child, peer)| {
                        // A connection that was reset has no peer any more.
                        let peer = s.machine.peer_addr(child).is_ok().then_some(peer);
                        (child, s.machine.local_addr(child), peer)
                    })
                }
            }
        });
        let (id, local, peer): (SockId, SocketAddr, Option<SocketAddr>) =
            accepted.map_err(blocked)?;
        Ok(Accepted {
            socket: Handle { id, ..listener },
            local,
            peer,
        })
    }

    fn sysctl(&mut self, at: HostId, key: &str, value: &str) {
        let place = &self.hosts[at.0 as usize];
        let kernel = self.kernel(at);
        let is_nat = kernel
            .as_ref()
            .is_some_and(|kernel| kernel.enter(|s| s.machine.is_nat(s.namespace(place.namespace))));
        if !(is_nat && is_nat_sysctl(key)) {
            self.notes.unmodelled(&place.name, key);
        }
        let Some(kernel) = kernel else {
            return;
        };
        let written = kernel.enter(|s| {
            let ns = s.namespaces[place.namespace].0;
            let written = s.machine.sysctl(ns, key, value);
            s.machine.take_refusal();
            written
        });
        if let Err(errno) = written {
            self.notes.refused(&place.name, key, value, errno);
        }
    }

    fn reason(&mut self) -> Option<Refusal> {
        self.reason.take()
    }
}
