//! Calls as recorders make them, and the part of their outcomes that is compared.

use crate::nat::NatRules;
use crate::time::Time;
use fourtuple_syscall::{Errno, Kind, Op as Name, Outcome, Returned, Syscall, canonical};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An operation of a recorder. Hosts and sockets are numbers that the caller gives.
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
    /// Sends all packets that leave a namespace through another.
    Via {
        /// Number of the host.
        host: usize,
        /// Number of the host that forwards them.
        router: usize,
    },
    /// Makes a namespace a NAT host.
    Nat {
        /// Number of the host.
        host: usize,
        /// The rules.
        rules: NatRules,
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
    /// A system call, which waits until the caller gives up ([`Outcome::WouldBlock`]).
    Call {
        /// Number of the host on which `socket(2)` makes a socket, 0 with a single namespace.
        host: usize,
        /// The call.
        call: Syscall<usize>,
    },
    /// Time passes.
    Sleep,
}

impl From<Syscall<usize>> for Op {
    /// A call on the first host.
    fn from(call: Syscall<usize>) -> Op {
        Op::Call { host: 0, call }
    }
}

impl Op {
    /// The system call, if it is one.
    pub(crate) fn call(&self) -> Option<&Syscall<usize>> {
        match self {
            Op::Call { call, .. } => Some(call),
            _ => None,
        }
    }

    /// The part of an outcome that is compared: the port of bind() and listen(), of which
    /// recordings keep no more; the local address of connect(), sendto() and getsockname(); the
    /// peer's of accept(), recvfrom() and getpeername().
    #[must_use]
    pub fn compared(&self, outcome: &Outcome) -> Outcome {
        let Outcome::Ok(returned) = outcome else {
            return *outcome;
        };
        let (mut local, mut peer) = (None, None);
        match self.call().map(Syscall::op) {
            Some(Name::Bind | Name::Listen) => {
                let port = |at: SocketAddr| SocketAddr::from((Ipv4Addr::UNSPECIFIED, at.port()));
                local = returned.local.map(port);
            }
            Some(Name::Connect | Name::SendTo | Name::Getsockname) => {
                local = returned.local.map(canonical)
            }
            Some(Name::Accept | Name::RecvFrom | Name::Getpeername) => {
                peer = returned.peer.map(canonical)
            }
            _ => {}
        }
        Outcome::Ok(Returned {
            local,
            peer,
            ..Returned::default()
        })
    }

    /// Returns `true` if the outcome reports the port that the call took, or that it took none. A
    /// connect() that the other end refuses keeps a port that only a later call reports; that of a
    /// datagram socket keeps its port whatever else fails.
    pub(super) fn reports_port(&self, seen: &Outcome, kind: Kind) -> bool {
        match (self.call(), seen) {
            (Some(Syscall::Connect { .. }), Outcome::Err(e)) => match kind {
                Kind::Stream => *e == Errno::EADDRNOTAVAIL,
                Kind::Datagram => *e == Errno::EAGAIN,
            },
            (Some(Syscall::Bind { .. }), Outcome::Err(e)) => *e == Errno::EADDRINUSE,
            _ => reported(seen).is_some(),
        }
    }
}

/// The address in the compared part of an outcome.
pub(super) fn reported(seen: &Outcome) -> Option<SocketAddr> {
    match seen {
        Outcome::Ok(returned) => returned.local.or(returned.peer),
        _ => None,
    }
}
