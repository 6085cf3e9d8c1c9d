//! The engine as the interpreter sees it.

use core::net::SocketAddr;
use core::task::Poll;

use fourtuple_syscall::{Errno, Family, Kind, Outcome, Syscall};

use crate::{HostId, Nanos, ProcessId, Role};

/// The system calls that an engine executes. Every call returns at once.
pub trait SocketApi {
    /// A socket of the engine.
    type Socket: Copy + Eq;
    /// The reason of a failure, for engines that know it; `()` for others.
    type Reason;

    /// Makes a socket.
    ///
    /// # Errors
    /// The outcome of a call that made none.
    fn socket(&mut self, new: &NewSocket) -> Result<Self::Socket, Outcome>;

    /// Makes a call on a socket. Only `connect` may be pending. After a success of `bind`, `listen`
    /// and `connect` the outcome has the addresses.
    fn call(&mut self, socket: Self::Socket, call: &Syscall<()>) -> Poll<Outcome>;

    /// The outcome of a `connect` that was pending.
    fn poll_connect(&mut self, socket: Self::Socket) -> Poll<Outcome>;

    /// Accepts a connection on behalf of root.
    ///
    /// # Errors
    /// The outcome of a call that accepted none: [`Outcome::WouldBlock`] if none waits.
    fn accept(&mut self, listener: Self::Socket) -> Result<Accepted<Self::Socket>, Outcome>;

    /// Writes a sysctl. Reports a refusal in the engine's own way: programs make no such call.
    fn sysctl(&mut self, at: HostId, key: &str, value: &str);

    /// Closes a socket.
    fn close(&mut self, socket: Self::Socket) {
        // It cannot fail but where the host is gone, and the socket with it.
        let _ = self.call(socket, &Syscall::Close { sock: () });
    }

    /// Closes both ends of a connection in one instant: each has sent its FIN before the other's
    /// arrives.
    fn close_pair(&mut self, client: Self::Socket, server: Self::Socket) {
        self.close(client);
        self.close(server);
    }

    /// `true` if a failure ends the program that made the call, as a panic does.
    fn is_fatal(&self, _failure: &Outcome) -> bool {
        false
    }

    /// The reason of the last failure; asked once.
    fn reason(&mut self) -> Option<Self::Reason> {
        None
    }
}

/// A socket that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSocket {
    /// The host.
    pub at: HostId,
    /// The author of the call.
    pub by: Caller,
    /// The address family.
    pub family: Family,
    /// The type.
    pub kind: Kind,
    /// The user that owns it.
    pub uid: u32,
    /// The program calls `listen` on it later: some engines have no socket that may still listen or
    /// connect.
    pub listens: bool,
}

/// A socket that was accepted, with its ends as it sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted<S> {
    /// The socket.
    pub socket: S,
    /// Its own address.
    pub local: SocketAddr,
    /// The other end; none if the connection has been reset already.
    pub peer: Option<SocketAddr>,
}

/// The time of an engine that [`run`](crate::run) drives.
pub trait Clock {
    /// The time since the start.
    fn now(&self) -> Nanos;

    /// The next time at which the engine does something by itself, such as a timer of a kernel.
    fn next_event(&mut self) -> Option<Nanos>;

    /// Lets time pass.
    fn advance(&mut self, to: Nanos);
}

/// A call that was noted and not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(pub u32);

/// The record of calls, in the order in which programs make them.
pub trait CallLog<Reason> {
    /// Notes a call that has returned at once.
    fn done(
        &mut self,
        at: Nanos,
        caller: Caller,
        call: &Syscall<()>,
        outcome: &Outcome,
        reason: Option<Reason>,
    );

    /// Notes that a call is made, whose outcome comes later.
    fn begin(&mut self, at: Nanos, caller: Caller, call: &Syscall<()>) -> CallId;

    /// Notes the outcome, and the time at which it came.
    fn end(&mut self, at: Nanos, id: CallId, outcome: &Outcome, reason: Option<Reason>);
}

/// The author of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// An instance of a process, counted from 0, on one of its sockets.
    Instance {
        /// The process.
        process: ProcessId,
        /// The instance.
        instance: u32,
        /// The socket.
        socket: Role,
    },
    /// A host, for its listeners and all accepted sockets.
    Server,
    /// A step, counted from 0.
    Step(u32),
}

/// The outcome of a call that an engine should have answered.
pub(crate) fn at_once(outcome: Poll<Outcome>) -> Outcome {
    match outcome {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Outcome::Err(Errno::EINPROGRESS),
    }
}
