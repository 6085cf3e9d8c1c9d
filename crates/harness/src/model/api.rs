//! The kernel model as the interpreter sees it.

use std::task::Poll;

use fourtuple_kernel::{Chooser, Errno, Refusal, World, WorldSock};
use fourtuple_program::{Accepted, Clock, HostId, Nanos, NewSocket, SocketApi};
use fourtuple_syscall::{Outcome, Returned, Syscall};

use super::net::Net;

impl<C: Chooser> Net<C> {
    fn local(&self, socket: WorldSock) -> Returned {
        Returned {
            local: Some(self.world.local_addr(socket)),
            ..Returned::default()
        }
    }

    fn ends(&mut self, socket: WorldSock) -> Returned {
        let passage = self.world.passage(socket);
        let ends = passage.map(|passage| (passage.source, passage.destination));
        let (local, peer) = (
            self.world.local_addr(socket),
            self.world.peer_addr(socket).ok(),
        );
        Returned {
            peer,
            translated: ends.filter(|(from, to)| *from != local || Some(*to) != peer),
            ..self.local(socket)
        }
    }

    fn connected(&mut self, socket: WorldSock, answer: Poll<Result<(), Errno>>) -> Poll<Outcome> {
        match answer {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(Outcome::Ok(self.ends(socket))),
            Poll::Ready(Err(errno)) => Poll::Ready(Outcome::Err(errno)),
        }
    }
}

/// The outcome of a call that succeeds with these values.
fn with(result: Result<(), Errno>, returned: impl FnOnce() -> Returned) -> Outcome {
    match result {
        Ok(()) => Outcome::Ok(returned()),
        Err(errno) => Outcome::Err(errno),
    }
}

/// The outcome of a call that moves bytes.
fn moved(call: Poll<Result<u32, Errno>>) -> Outcome {
    match call {
        Poll::Pending => Outcome::WouldBlock,
        Poll::Ready(Err(errno)) => Outcome::Err(errno),
        Poll::Ready(Ok(bytes)) => Outcome::Ok(Returned {
            bytes: Some(bytes),
            ..Returned::default()
        }),
    }
}

impl<C: Chooser> SocketApi for Net<C> {
    type Socket = WorldSock;
    type Reason = Refusal;

    fn socket(&mut self, new: &NewSocket) -> Result<WorldSock, Outcome> {
        let ns = self.hosts[new.at.0 as usize].ns;
        Ok(self.world.socket_of(ns, new.family, new.kind, new.uid))
    }

    fn call(&mut self, s: WorldSock, call: &Syscall<()>) -> Poll<Outcome> {
        let world = &mut self.world;
        Poll::Ready(match *call {
            Syscall::Socket { .. } | Syscall::Accept { .. } => {
                Outcome::Unsupported("it is not a call on a socket")
            }
            Syscall::Set { option, .. } => world.set_option(s, option).into(),
            Syscall::Bind { addr, .. } => {
                let bound = world.bind(s, addr);
                with(bound, || self.local(s))
            }
            Syscall::Listen { backlog, .. } => {
                // A negative backlog is the greatest.
                let listens = world.listen(s, u32::try_from(backlog).unwrap_or(u32::MAX));
                with(listens, || self.local(s))
            }
            Syscall::Connect { addr, .. } => {
                let answer = world.connect(s, addr);
                return self.connected(s, answer);
            }
            Syscall::Send { len, .. } => moved(world.send(s, len)),
            Syscall::SendTo { addr, len, .. } => match moved(world.send_to(s, addr, len)) {
                Outcome::Ok(Returned { bytes, .. }) => Outcome::Ok(Returned {
                    bytes,
                    ..self.local(s)
                }),
                failed => failed,
            },
            Syscall::RecvFrom { len, .. } => match world.recv_from(s, len) {
                Poll::Pending => Outcome::WouldBlock,
                Poll::Ready(Err(errno)) => Outcome::Err(errno),
                Poll::Ready(Ok((bytes, peer))) => Outcome::Ok(Returned {
                    peer,
                    bytes: Some(bytes),
                    ..Returned::default()
                }),
            },
            Syscall::Recv { len, .. } => moved(world.recv(s, len)),
            Syscall::Shutdown { how, .. } => world.shutdown(s, how).into(),
            Syscall::Disconnect { .. } => world.disconnect(s).into(),
            Syscall::Close { .. } => {
                world.close(s);
                Outcome::OK
            }
            Syscall::Getsockname { .. } => Outcome::Ok(self.local(s)),
            Syscall::Getpeername { .. } => match world.peer_addr(s) {
                Err(errno) => Outcome::Err(errno),
                Ok(peer) => Outcome::Ok(Returned {
                    peer: Some(peer),
                    ..Returned::default()
                }),
            },
        })
    }

    fn poll_connect(&mut self, s: WorldSock) -> Poll<Outcome> {
        let answer = self.world.connect_result(s);
        self.connected(s, answer)
    }

    fn accept(&mut self, listener: WorldSock) -> Result<Accepted<WorldSock>, Outcome> {
        let socket = match self.world.accept(listener, 0) {
            Poll::Pending => return Err(Outcome::WouldBlock),
            Poll::Ready(accepted) => accepted.map_err(Outcome::Err)?,
        };
        Ok(Accepted {
            socket,
            local: self.world.local_addr(socket),
            peer: self.world.peer_addr(socket).ok(),
        })
    }

    fn sysctl(&mut self, at: HostId, key: &str, value: &str) {
        self.write_sysctl(at.0 as usize, key, value);
    }

    fn close_pair(&mut self, client: WorldSock, server: WorldSock) {
        // Within one namespace packets arrive at once, so that the client's is first there. Only
        // the second call carries the packets of both.
        self.world.machine_mut(client.machine).close(client.sock);
        self.world.close(server);
    }

    fn reason(&mut self) -> Option<Refusal> {
        self.world.take_refusal()
    }
}

impl<C: Chooser> Clock for Net<C> {
    fn now(&self) -> Nanos {
        self.elapsed()
    }

    fn next_event(&mut self) -> Option<Nanos> {
        let next = self.world.next_event()?;
        Some(next.since(World::<C>::START))
    }

    fn advance(&mut self, to: Nanos) {
        self.world.advance(World::<C>::START.after(to));
    }
}
