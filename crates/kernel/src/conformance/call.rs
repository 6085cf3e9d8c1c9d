//! Calls as recorders make them, and the observed answers.

use crate::time::Time;
use fourtuple_syscall::{Errno, Family, Shutdown, SockOpt};
use std::net::{IpAddr, SocketAddr};

/// A call, as a recorder makes it. Hosts and sockets are numbers that the caller gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A new network namespace with only `lo`; earlier ones end.
    Ns,
    /// New network namespaces that reach each other, with their addresses; earlier ones end.
    Hosts(Vec<Vec<IpAddr>>),
    /// Gives a namespace another address.
    Address {
        /// Number of the host, 0 with a single namespace.
        host: usize,
        /// The address.
        ip: IpAddr,
    },
    /// Sets until when the IPv6 addresses of a namespace are in duplicate address detection.
    Tentative {
        /// Number of the host, 0 with a single namespace.
        host: usize,
        /// The end of the detection.
        until: Time,
    },
    /// Writes a sysctl.
    Sysctl {
        /// Number of the host, 0 with a single namespace.
        host: usize,
        /// Full name.
        key: String,
        /// As written.
        value: String,
    },
    /// Makes a socket.
    Socket {
        /// Number of the host, 0 with a single namespace.
        host: usize,
        /// Number of the socket.
        sock: usize,
        /// Address family.
        family: Family,
        /// The uid of the process.
        uid: u32,
    },
    /// Sets an option.
    Set {
        /// Number of the socket.
        sock: usize,
        /// Option and value.
        opt: SockOpt,
    },
    /// Binds.
    Bind {
        /// Number of the socket.
        sock: usize,
        /// Address and port.
        at: SocketAddr,
    },
    /// Listens.
    Listen {
        /// Number of the socket.
        sock: usize,
        /// Backlog.
        backlog: u32,
    },
    /// Connects, and waits until the caller gives up ([`End::Waiting`]).
    Connect {
        /// Number of the socket.
        sock: usize,
        /// Destination.
        to: SocketAddr,
    },
    /// Accepts.
    Accept {
        /// Listener.
        sock: usize,
        /// Number of the child.
        new: usize,
        /// The accepting process's uid.
        uid: u32,
    },
    /// Sends bytes.
    Send {
        /// Number of the socket.
        sock: usize,
        /// Number of bytes.
        len: u32,
    },
    /// Receives bytes.
    Recv {
        /// Number of the socket.
        sock: usize,
        /// Most bytes to receive.
        len: u32,
    },
    /// Shuts one or both directions down.
    Shutdown {
        /// Number of the socket.
        sock: usize,
        /// The directions.
        how: Shutdown,
    },
    /// connect() to `AF_UNSPEC`.
    Disconnect {
        /// Number of the socket.
        sock: usize,
    },
    /// Closes.
    Close {
        /// Number of the socket.
        sock: usize,
    },
    /// Asks for the local name.
    Getsockname {
        /// Number of the socket.
        sock: usize,
    },
    /// Asks for the peer's name.
    Getpeername {
        /// Number of the socket.
        sock: usize,
    },
    /// Time passes.
    Sleep,
}

/// The end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Success.
    Ok,
    /// Failure.
    Err(Errno),
    /// Not done when the caller gave up.
    Waiting,
}

/// The observed answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Observation {
    /// Success, error, or neither yet.
    pub end: End,
    /// bind and listen: the port that getsockname() printed afterwards.
    pub port: Option<u16>,
    /// connect and getsockname: the local name. accept and getpeername: the peer's.
    pub name: Option<SocketAddr>,
}

impl Observation {
    /// A success with nothing else to report.
    pub const OK: Observation = Observation {
        end: End::Ok,
        port: None,
        name: None,
    };

    pub(crate) fn bare(end: End) -> Self {
        Observation {
            end,
            port: None,
            name: None,
        }
    }

    /// Returns `true` if the answer reports the port that the call took, or that it took none. A
    /// connect() that the other end refuses keeps a port that only a later call reports.
    pub(super) fn reports_port(&self, op: &Op) -> bool {
        match (op, self.end) {
            (Op::Connect { .. }, End::Err(e)) => e == Errno::EADDRNOTAVAIL,
            (Op::Bind { .. }, End::Err(e)) => e == Errno::EADDRINUSE,
            _ => self.port.is_some() || self.name.is_some(),
        }
    }

    pub(crate) fn of(r: Result<(), Errno>) -> Self {
        Observation::bare(match r {
            Ok(()) => End::Ok,
            Err(e) => End::Err(e),
        })
    }
}
