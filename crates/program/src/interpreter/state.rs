//! The parts of an interpreter's state.

use alloc::vec::Vec;
use core::net::SocketAddr;

use fourtuple_syscall::Outcome;

use crate::{CallId, Caller, HostId, Nanos, ProcessId, Target};

/// A possible next step of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Move {
    /// An instance makes its next call.
    Go(u32),
    /// An instance sees the answer of its connect.
    Answered(u32),
    /// A connection has been held long enough.
    Release(u32),
    /// The client sees that the server closed.
    CloseClient(u32),
    /// The server sees that the client closed.
    CloseServer(u32),
    /// An instance closes a listener that it has, its own or one that it shares.
    CloseListener(u32),
    /// A socket is closed because its listener was.
    CloseAccepted(u32),
}

/// The position of an instance in its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState<S> {
    /// Not started: it waits for other processes, or its host is down.
    Held,
    /// It opens its listeners; this is the next one.
    Open(u32),
    /// It calls listen() on a bound socket.
    Listen(u32, S),
    /// It begins its next connection.
    Next,
    /// It connects a socket that is bound.
    Connect(S, Target),
    /// It waits for the answer of a connect.
    Calling(S),
    /// It waits until its connections are closed, to begin the next round.
    Draining,
    /// It has made all its attempts.
    Done,
}

#[derive(Clone, Debug)]
pub(super) struct Instance<S> {
    pub(super) process: ProcessId,
    /// Counted from 0 within the process.
    pub(super) index: u32,
    pub(super) stage: InstanceState<S>,
    /// The time at which it continues.
    pub(super) at: Nanos,
    pub(super) round: u32,
    pub(super) connection: u32,
    /// The start time of its last connection.
    pub(super) last: Nanos,
    /// Connections of the current round that are not closed yet; for an instance without
    /// connections, listeners that it will close.
    pub(super) open: u32,
    /// The connect that it waits for, or whose result it handles next.
    pub(super) calling: Option<Calling>,
}

/// A pending or completed connect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calling {
    pub(super) call: CallId,
    pub(super) to: Target,
    pub(super) answer: Option<Outcome>,
    /// The accepted socket, if the connection was accepted before the result arrived.
    pub(super) accepted: Option<u32>,
}

/// The server's socket of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// There is none.
    None,
    /// The accepted socket with this number.
    Known(u32),
    /// The socket that will be accepted with these local and remote addresses, seen from the
    /// server.
    At(SocketAddr, SocketAddr),
}

/// A connection, or a bound socket, that is held.
#[derive(Clone, Debug)]
pub(super) struct OpenConnection<S> {
    pub(super) instance: u32,
    pub(super) number: u32,
    pub(super) client: S,
    pub(super) server: Server,
}

/// A listener.
#[derive(Clone, Debug)]
pub(super) struct Listener<S> {
    pub(super) socket: S,
    /// The instance's listener, with its number among all opened ones; `None` for listeners of
    /// hosts.
    pub(super) of: Option<(Caller, u32)>,
}

/// An accepted socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served<S> {
    pub(super) socket: S,
    /// The number of the instance's listener that accepted it.
    pub(super) of: Option<u32>,
}

/// A listener that an instance has opened.
#[derive(Clone, Debug)]
pub(super) struct Opened<S> {
    pub(super) instance: u32,
    pub(super) caller: Caller,
    pub(super) socket: S,
    pub(super) at: (HostId, u16),
    pub(super) accepted: Vec<u32>,
    /// The instances that have it.
    pub(super) shared_by: u32,
}

/// The end of a listener, as far as one of the instances that share it is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) opened: u32,
    pub(super) instance: u32,
}
