//! Socket programs: calls, and the answers of a kernel to them.

use fourtuple_scenario::Nat;
use fourtuple_syscall::{Errno, Family, Kind, Outcome, Syscall};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// Time in milliseconds after which a blocking connect is [`Outcome::WouldBlock`], unless the step
/// sets its own.
pub const CONNECT_WAIT_MS: u32 = 3000;
/// The same time for accept, send and recv.
pub const WAIT_MS: u32 = 20;
/// The backlog of a listen step that names none.
pub const BACKLOG: i32 = 128;

/// A list of steps that run one after the other, in new namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its name, for messages.
    pub program: String,
    /// The hosts, each a network namespace, linked so that every address of one reaches every
    /// address of the others. Empty, the usual case: one namespace with only the loopback
    /// interface, where all of 127.0.0.0/8 and ::1 are local.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostSpec>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One host of a program with several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSpec {
    /// The name that steps refer to.
    pub name: String,
    /// Addresses other than loopback. The first of each family is the source address of unbound
    /// sockets towards other hosts.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Sysctls (`net.` and below) set before the first step. If the kernel rejects one, the run
    /// ends with an error.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// Milliseconds from the first step until duplicate address detection of the IPv6 addresses
    /// ends, which is up to 100 ms early.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tentative_ms: u32,
    /// The host through which all packets go that leave this one.
    #[serde(skip)]
    pub via: Option<String>,
    /// The rules by which the host translates the packets that pass it.
    #[serde(skip)]
    pub nat: Option<Nat>,
}

impl Program {
    /// Returns `true` if packets pass NAT hosts.
    pub(crate) fn has_nat(&self) -> bool {
        self.hosts
            .iter()
            .any(|host| host.nat.is_some() || host.via.is_some())
    }
}

/// A real kernel ends duplicate address detection by so many milliseconds too early, rather than
/// too late.
pub(crate) const DETECTION_SLACK_MS: u32 = 100;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// The hosts of a program, under the name that scenarios use for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The hosts, in the order in which they are made.
    pub hosts: Vec<HostSpec>,
}

impl Topology {
    /// A program that runs `steps` on these hosts.
    pub fn program(&self, name: &str, steps: Vec<Step>) -> Program {
        Program {
            program: name.to_owned(),
            hosts: self.hosts.clone(),
            steps,
        }
    }
}

/// One call and, once it was made, its answer. See `step_format` for its flat JSON form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The host on which the call is made. Default: the host of its socket, or the first host.
    pub host: Option<String>,
    /// The call.
    pub call: Call,
    /// Milliseconds after which the call is [`Outcome::WouldBlock`]. Default: [`CONNECT_WAIT_MS`]
    /// for a connect, [`WAIT_MS`] for other calls that wait.
    pub wait_ms: Option<u32>,
    /// The answer; `None` in a program that has not run.
    pub answer: Option<Answer>,
}

impl Step {
    /// A step that has not run, on the host of its socket.
    pub fn new(call: impl Into<Call>) -> Step {
        Step {
            host: None,
            call: call.into(),
            wait_ms: None,
            answer: None,
        }
    }

    /// The milliseconds that the call may take.
    pub(crate) fn wait_ms(&self) -> u32 {
        match &self.call {
            Call::Sleep { ms } => *ms,
            Call::Sys(Syscall::Connect { .. }) => self.wait_ms.unwrap_or(CONNECT_WAIT_MS),
            Call::Sys(
                Syscall::Accept { .. }
                | Syscall::Send { .. }
                | Syscall::Recv { .. }
                | Syscall::SendTo { .. }
                | Syscall::RecvFrom { .. },
            ) => self.wait_ms.unwrap_or(WAIT_MS),
            _ => 0,
        }
    }

    /// The outcome, if the step has run.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.answer.as_ref().map(|answer| answer.outcome)
    }
}

/// A system call, or a change around the calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Makes a network namespace with only `lo`. A program without hosts begins with one,
    /// explicitly or not; in a program with hosts the step has no effect.
    Ns,
    /// Adds an address to the loopback interface.
    Addr {
        /// The address.
        at: IpAddr,
    },
    /// Writes a sysctl.
    Sysctl {
        /// Its dotted name, `net.` and below.
        key: String,
        /// The text to write.
        value: String,
    },
    /// A system call. Sockets have names that the program chooses; a new socket replaces one of the
    /// same name, which is closed.
    Sys(Syscall<String>),
    /// Waits.
    Sleep {
        /// Milliseconds.
        ms: u32,
    },
}

impl From<Syscall<String>> for Call {
    fn from(call: Syscall<String>) -> Call {
        Call::Sys(call)
    }
}

impl Call {
    /// `socket(2)` of a stream socket.
    pub fn socket(sock: impl Into<String>, family: Family, uid: u32) -> Call {
        Call::socket_of(sock, family, Kind::Stream, uid)
    }

    /// `socket(2)`.
    pub fn socket_of(sock: impl Into<String>, family: Family, kind: Kind, uid: u32) -> Call {
        Call::Sys(Syscall::Socket {
            sock: sock.into(),
            family,
            kind,
            uid,
            nonblock: false,
        })
    }

    /// The system call, if it is one.
    pub fn sys(&self) -> Option<&Syscall<String>> {
        match self {
            Call::Sys(call) => Some(call),
            _ => None,
        }
    }

    /// The socket that the call is made on.
    pub fn sock(&self) -> Option<&str> {
        self.sys().map(|call| call.sock().as_str())
    }

    /// The socket that the call makes.
    pub(crate) fn made(&self) -> Option<&str> {
        self.sys()?.made().map(String::as_str)
    }

    /// The name of the call in traces.
    pub fn op(&self) -> &'static str {
        match self {
            Call::Ns => "ns",
            Call::Addr { .. } => "addr",
            Call::Sysctl { .. } => "sysctl",
            Call::Sleep { .. } => "sleep",
            Call::Sys(call) => call.op().as_str(),
        }
    }
}

impl fmt::Display for Call {
    /// The call as messages name it, such as `plain.1 connect 192.168.0.5:3000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = match self {
            Call::Ns => return f.write_str("a new namespace"),
            Call::Addr { at } => return write!(f, "address {at}"),
            Call::Sysctl { key, value } => return write!(f, "sysctl {key} = {value}"),
            Call::Sleep { ms } => return write!(f, "sleep {ms} ms"),
            Call::Sys(call) => call,
        };
        write!(f, "{} {}", call.sock(), call.op())?;
        match call {
            Syscall::Set { option, .. } => write!(f, " {}", option.name()),
            Syscall::Bind { addr, .. } | Syscall::Connect { addr, .. } => write!(f, " {addr}"),
            Syscall::SendTo { addr, len, .. } => write!(f, " {addr} {len}"),
            Syscall::Send { len, .. }
            | Syscall::Recv { len, .. }
            | Syscall::RecvFrom { len, .. } => write!(f, " {len}"),
            _ => Ok(()),
        }
    }
}

/// The answer to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// CLOCK_MONOTONIC of that machine when the call returned, in microseconds.
    pub at_us: u64,
    /// The outcome: the socket's own address after bind, listen, connect, sendto and getsockname,
    /// the peer's after accept, recvfrom and getpeername, the bytes that send and recv moved.
    /// `EBADF` if no socket has the name, so that the call was not made. A recording keeps only
    /// the port of a bind or listen: the address that a listen read from one has is the wildcard.
    pub outcome: Outcome,
}

/// The outcome of a call on a socket that does not exist, which is not made.
pub(crate) const NO_SOCKET: Outcome = Outcome::Err(Errno::EBADF);
