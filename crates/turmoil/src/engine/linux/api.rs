//! The kernels of a simulation as the interpreter sees them.

use crate::host::{Kernel, State};
use crate::network::Network;
use fourtuple_harness::Name;
use fourtuple_kernel::{Endpoint, Errno, Refusal, SockId};
use fourtuple_program::{Accepted, HostId, SocketApi};
use fourtuple_syscall::{Family, Kind, Outcome, Returned, Syscall};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A socket of a machine. It means nothing once that has booted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle {
    host: HostId,
    boot: u64,
    id: SockId,
}

/// A host, as calls need it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) machine: Name,
    pub(super) namespace: usize,
}

/// See the module's documentation.
pub(super) struct Api {
    network: Arc<Network>,
    hosts: Vec<Place>,
    /// The task to be woken when a connect is answered or a connection can be accepted, on a network that takes time.
    pub(super) waker: Option<Waker>,
    reason: Option<Refusal>,
}

impl Api {
    pub(super) fn new(network: Arc<Network>, hosts: Vec<Place>) -> Self {
        Api {
            network,
            hosts,
            waker: None,
            reason: None,
        }
    }

    fn kernel(&self, host: HostId) -> Option<Arc<Kernel>> {
        self.network.kernel(&self.hosts[host.0 as usize].machine)
    }

    /// Makes a call on the kernel that a socket is of.
    fn on<R>(
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

/// The answer of a machine that has crashed.
const DOWN: Outcome = Outcome::Err(Errno::ENODEV);

fn local(s: &State, id: SockId) -> Returned {
    Returned {
        local: Some(s.machine.local_addr(id).into()),
        ..Returned::default()
    }
}

fn ends(s: &State, id: SockId) -> Returned {
    Returned {
        peer: s.machine.peer_addr(id).ok().map(Into::into),
        ..local(s, id)
    }
}

fn outcome(result: Result<Returned, Outcome>) -> Outcome {
    match result {
        Ok(returned) => Outcome::Ok(returned),
        Err(outcome) => outcome,
    }
}

fn moved(bytes: usize) -> Returned {
    Returned {
        bytes: u32::try_from(bytes).ok(),
        ..Returned::default()
    }
}

impl SocketApi for Api {
    type Socket = Handle;
    type Reason = Refusal;

    fn socket(
        &mut self,
        at: HostId,
        family: Family,
        kind: Kind,
        uid: u32,
    ) -> Result<Handle, Outcome> {
        if kind != Kind::Stream {
            return Err(Outcome::Unsupported("the kernel model has no UDP"));
        }
        let namespace = self.hosts[at.0 as usize].namespace;
        let kernel = self.kernel(at).ok_or(DOWN)?;
        let made = kernel.enter(|s| {
            if !s.up {
                return Err(DOWN);
            }
            let ns = s.namespaces[namespace].0;
            s.socket(ns, family, uid).map_err(Outcome::Err)
        });
        Ok(Handle {
            host: at,
            boot: kernel.boot,
            id: made?,
        })
    }

    fn call(&mut self, socket: Handle, call: &Syscall<()>) -> Poll<Outcome> {
        let nothing = |()| Returned::default();
        let result = self.on(socket, |s, id| match *call {
            Syscall::Socket { .. } | Syscall::Accept { .. } => Err(Errno::ENOSYS),
            Syscall::Set { option, .. } => s.set(id, option).map(nothing),
            Syscall::Bind { addr, .. } => s.bind(id, addr.into()).map(|()| local(s, id)),
            Syscall::Listen { backlog, .. } => {
                let backlog = u32::try_from(backlog).unwrap_or(u32::MAX);
                s.listen(id, backlog).map(|()| local(s, id))
            }
            Syscall::Connect { addr, .. } => s.connect(id, addr.into()).map(|()| ends(s, id)),
            Syscall::Send { len, .. } => s.send(id, &vec![b'.'; len as usize]).map(moved),
            Syscall::Recv { len, .. } => s.recv(id, &mut vec![0; len as usize]).map(moved),
            Syscall::Shutdown { how, .. } => s.shutdown(id, how).map(nothing),
            Syscall::Disconnect { .. } => s.disconnect(id).map(nothing),
            Syscall::Close { .. } => {
                s.close(id);
                Ok(Returned::default())
            }
            Syscall::Getsockname { .. } => Ok(local(s, id)),
            Syscall::Getpeername { .. } => s.machine.peer_addr(id).map(|peer| Returned {
                peer: Some(peer.into()),
                ..Returned::default()
            }),
        });
        match outcome(result) {
            Outcome::Err(Errno::EINPROGRESS) => Poll::Pending,
            Outcome::Err(Errno::EAGAIN) => Poll::Ready(Outcome::WouldBlock),
            outcome => Poll::Ready(outcome),
        }
    }

    fn poll_connect(&mut self, socket: Handle) -> Poll<Outcome> {
        let waker = self.waker.clone();
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
        match result {
            Ok(None) => Poll::Pending,
            Ok(Some(returned)) => Poll::Ready(Outcome::Ok(returned)),
            Err(outcome) => Poll::Ready(outcome),
        }
    }

    fn accept(&mut self, listener: Handle) -> Option<Accepted<Handle>> {
        let waker = self.waker.clone();
        loop {
            let accepted = self.on(listener, |s, id| {
                let answer = match &waker {
                    None => Poll::Ready(s.accept(id, 0)),
                    Some(waker) => s.poll_accept(id, 0, &mut Context::from_waker(waker)),
                };
                match answer {
                    Poll::Pending => Err(Errno::EAGAIN),
                    Poll::Ready(answer) => {
                        answer.map(|(child, peer)| (child, s.machine.local_addr(child), peer))
                    }
                }
            });
            let (id, local, peer): (SockId, Endpoint, Endpoint) = match accepted {
                Ok(accepted) => accepted,
                // That one has been reset already; others may wait behind it.
                Err(Outcome::Err(Errno::ECONNABORTED)) => continue,
                Err(_) => return None,
            };
            return Some(Accepted {
                socket: Handle { id, ..listener },
                local: SocketAddr::from(local),
                peer: Some(peer.into()),
            });
        }
    }

    fn close(&mut self, socket: Handle) {
        // A machine that has crashed has closed its sockets already.
        let _ = self.on(socket, |s, id| {
            s.close(id);
            Ok(())
        });
    }

    fn reason(&mut self) -> Option<Refusal> {
        self.reason.take()
    }
}
