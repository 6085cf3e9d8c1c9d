//! System calls and their outcomes.

use core::fmt;
use core::net::SocketAddr;
use core::task::Poll;

use crate::words::words;
use crate::{Errno, Family, Kind, Shutdown, SockOpt};

words! {
    /// The name of a system call, in the order of a socket's life.
    Op {
        /// `socket(2)`.
        Socket "socket",
        /// `setsockopt(2)`, once for each option.
        Set "set",
        /// `bind(2)`.
        Bind "bind",
        /// `listen(2)`.
        Listen "listen",
        /// `connect(2)`.
        Connect "connect",
        /// `accept(2)`.
        Accept "accept",
        /// `send(2)`.
        Send "send",
        /// `recv(2)`.
        Recv "recv",
        /// `sendto(2)`: a datagram to a destination of its own.
        SendTo "sendto",
        /// `recvfrom(2)`: a datagram with its sender.
        RecvFrom "recvfrom",
        /// `shutdown(2)`.
        Shutdown "shutdown",
        /// `connect(2)` to an address of family `AF_UNSPEC`.
        Disconnect "disconnect",
        /// `close(2)`.
        Close "close",
        /// `getsockname(2)`.
        Getsockname "getsockname",
        /// `getpeername(2)`.
        Getpeername "getpeername",
    }
}

/// One system call on sockets. `S` names a socket: a name of a file, a number, or `()` where the
/// socket is passed beside the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syscall<S> {
    /// `socket(2)`.
    Socket {
        /// The new socket.
        sock: S,
        /// The address family.
        family: Family,
        /// The type.
        kind: Kind,
        /// The user that owns it.
        uid: u32,
        /// `SOCK_NONBLOCK`.
        nonblock: bool,
    },
    /// `setsockopt(2)`.
    Set {
        /// The socket.
        sock: S,
        /// The option with its value.
        option: SockOpt,
    },
    /// `bind(2)`.
    Bind {
        /// The socket.
        sock: S,
        /// The address; port 0 leaves the choice to the kernel.
        addr: SocketAddr,
    },
    /// `listen(2)`.
    Listen {
        /// The socket.
        sock: S,
        /// The number of connections that may wait to be accepted.
        backlog: i32,
    },
    /// `connect(2)`.
    Connect {
        /// The socket.
        sock: S,
        /// The destination.
        addr: SocketAddr,
    },
    /// `accept(2)`.
    Accept {
        /// The listener.
        sock: S,
        /// The accepted socket.
        new: S,
        /// The user that owns the accepted socket; the listener's if none.
        uid: Option<u32>,
    },
    /// `send(2)` of zero bytes.
    Send {
        /// The socket.
        sock: S,
        /// The number of bytes.
        len: u32,
    },
    /// `recv(2)`.
    Recv {
        /// The socket.
        sock: S,
        /// The most bytes.
        len: u32,
    },
    /// `sendto(2)` of zero bytes.
    SendTo {
        /// The socket.
        sock: S,
        /// The destination.
        addr: SocketAddr,
        /// The number of bytes.
        len: u32,
    },
    /// `recvfrom(2)`.
    RecvFrom {
        /// The socket.
        sock: S,
        /// The most bytes.
        len: u32,
    },
    /// `shutdown(2)`.
    Shutdown {
        /// The socket.
        sock: S,
        /// The half of the connection.
        how: Shutdown,
    },
    /// `connect(2)` to `AF_UNSPEC`, which dissolves a connection.
    Disconnect {
        /// The socket.
        sock: S,
    },
    /// `close(2)`.
    Close {
        /// The socket.
        sock: S,
    },
    /// `getsockname(2)`.
    Getsockname {
        /// The socket.
        sock: S,
    },
    /// `getpeername(2)`.
    Getpeername {
        /// The socket.
        sock: S,
    },
}

impl<S> Syscall<S> {
    /// The name of the call.
    #[must_use]
    pub const fn op(&self) -> Op {
        match self {
            Syscall::Socket { .. } => Op::Socket,
            Syscall::Set { .. } => Op::Set,
            Syscall::Bind { .. } => Op::Bind,
            Syscall::Listen { .. } => Op::Listen,
            Syscall::Connect { .. } => Op::Connect,
            Syscall::Accept { .. } => Op::Accept,
            Syscall::Send { .. } => Op::Send,
            Syscall::Recv { .. } => Op::Recv,
            Syscall::SendTo { .. } => Op::SendTo,
            Syscall::RecvFrom { .. } => Op::RecvFrom,
            Syscall::Shutdown { .. } => Op::Shutdown,
            Syscall::Disconnect { .. } => Op::Disconnect,
            Syscall::Close { .. } => Op::Close,
            Syscall::Getsockname { .. } => Op::Getsockname,
            Syscall::Getpeername { .. } => Op::Getpeername,
        }
    }

    /// The socket of the call; the new one of `socket(2)`, the listener of `accept(2)`.
    #[must_use]
    pub const fn sock(&self) -> &S {
        match self {
            Syscall::Socket { sock, .. }
            | Syscall::Set { sock, .. }
            | Syscall::Bind { sock, .. }
            | Syscall::Listen { sock, .. }
            | Syscall::Connect { sock, .. }
            | Syscall::Accept { sock, .. }
            | Syscall::Send { sock, .. }
            | Syscall::Recv { sock, .. }
            | Syscall::SendTo { sock, .. }
            | Syscall::RecvFrom { sock, .. }
            | Syscall::Shutdown { sock, .. }
            | Syscall::Disconnect { sock }
            | Syscall::Close { sock }
            | Syscall::Getsockname { sock }
            | Syscall::Getpeername { sock } => sock,
        }
    }

    /// The socket that a successful call makes.
    #[must_use]
    pub const fn made(&self) -> Option<&S> {
        match self {
            Syscall::Socket { sock, .. } => Some(sock),
            Syscall::Accept { new, .. } => Some(new),
            _ => None,
        }
    }

    /// The same call with other names for its sockets. The listener of `accept(2)` is renamed
    /// first.
    pub fn map<T>(self, mut name: impl FnMut(S) -> T) -> Syscall<T> {
        match self {
            Syscall::Socket {
                sock,
                family,
                kind,
                uid,
                nonblock,
            } => Syscall::Socket {
                sock: name(sock),
                family,
                kind,
                uid,
                nonblock,
            },
            Syscall::Set { sock, option } => Syscall::Set {
                sock: name(sock),
                option,
            },
            Syscall::Bind { sock, addr } => Syscall::Bind {
                sock: name(sock),
                addr,
            },
            Syscall::Listen { sock, backlog } => Syscall::Listen {
                sock: name(sock),
                backlog,
            },
            Syscall::Connect { sock, addr } => Syscall::Connect {
                sock: name(sock),
                addr,
            },
            Syscall::Accept { sock, new, uid } => Syscall::Accept {
                sock: name(sock),
                new: name(new),
                uid,
            },
            Syscall::Send { sock, len } => Syscall::Send {
                sock: name(sock),
                len,
            },
            Syscall::Recv { sock, len } => Syscall::Recv {
                sock: name(sock),
                len,
            },
            Syscall::SendTo { sock, addr, len } => Syscall::SendTo {
                sock: name(sock),
                addr,
                len,
            },
            Syscall::RecvFrom { sock, len } => Syscall::RecvFrom {
                sock: name(sock),
                len,
            },
            Syscall::Shutdown { sock, how } => Syscall::Shutdown {
                sock: name(sock),
                how,
            },
            Syscall::Disconnect { sock } => Syscall::Disconnect { sock: name(sock) },
            Syscall::Close { sock } => Syscall::Close { sock: name(sock) },
            Syscall::Getsockname { sock } => Syscall::Getsockname { sock: name(sock) },
            Syscall::Getpeername { sock } => Syscall::Getpeername { sock: name(sock) },
        }
    }
}

/// The values that a successful call returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Returned {
    /// The local address, where the call decides about it or asks for it.
    pub local: Option<SocketAddr>,
    /// The peer's address, where the call decides about it or asks for it.
    pub peer: Option<SocketAddr>,
    /// The number of bytes that were moved.
    pub bytes: Option<u32>,
    /// The source and the destination of the connection as the other end sees them, where a NAT
    /// host on the way changed one.
    pub translated: Option<(SocketAddr, SocketAddr)>,
}

impl Returned {
    /// The same values with addresses in one form ([`canonical`](crate::canonical)).
    #[must_use]
    pub fn canonical(self) -> Returned {
        Returned {
            local: self.local.map(crate::canonical),
            peer: self.peer.map(crate::canonical),
            bytes: self.bytes,
            translated: self
                .translated
                .map(|(from, to)| (crate::canonical(from), crate::canonical(to))),
        }
    }
}

/// The outcome of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Success.
    Ok(Returned),
    /// Failure.
    Err(Errno),
    /// Not done when the caller gave up.
    WouldBlock,
    /// Not executed: the engine has no such call. The text says which.
    Unsupported(&'static str),
}

impl Outcome {
    /// Success without values.
    pub const OK: Outcome = Outcome::Ok(Returned {
        local: None,
        peer: None,
        bytes: None,
        translated: None,
    });

    /// `true` on success.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        matches!(self, Outcome::Ok(_))
    }
}

impl From<Result<Returned, Errno>> for Outcome {
    fn from(result: Result<Returned, Errno>) -> Self {
        match result {
            Ok(returned) => Outcome::Ok(returned),
            Err(errno) => Outcome::Err(errno),
        }
    }
}

impl From<Poll<Result<Returned, Errno>>> for Outcome {
    fn from(result: Poll<Result<Returned, Errno>>) -> Self {
        match result {
            Poll::Ready(result) => result.into(),
            Poll::Pending => Outcome::WouldBlock,
        }
    }
}

impl From<Result<(), Errno>> for Outcome {
    fn from(result: Result<(), Errno>) -> Self {
        result.map(|()| Returned::default()).into()
    }
}

impl fmt::Display for Outcome {
    /// The word in traces: `ok`, an errno, `WAITING`, or the reason of an unsupported call.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Ok(_) => f.pad("ok"),
            Outcome::Err(errno) => errno.fmt(f),
            Outcome::WouldBlock => f.pad("WAITING"),
            Outcome::Unsupported(reason) => f.pad(reason),
        }
    }
}
