//! Socket programs: calls, and the answers of a kernel to them.

use fourtuple_syscall::Errno;
pub use fourtuple_syscall::{Family, Shutdown as How};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

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
    /// The outcome; `None` in a program that has not run.
    pub answer: Option<Answer>,
}

impl Step {
    /// A step that has not run, on the host of its socket.
    pub fn new(call: Call) -> Step {
        Step {
            host: None,
            call,
            answer: None,
        }
    }
}

impl From<Call> for Step {
    fn from(call: Call) -> Step {
        Step::new(call)
    }
}

/// A call. Sockets have names that the program chooses.
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
    /// Makes a stream socket. An existing socket of that name is closed.
    Socket {
        /// Its name.
        sock: String,
        /// IPv4 or IPv6.
        family: Family,
        /// The user that the socket belongs to; 0 by default.
        uid: Option<u32>,
        /// Calls on the socket do not wait.
        nonblock: bool,
    },
    /// Sets a socket option; see [`crate::options`] for the names.
    Set {
        /// The socket.
        sock: String,
        /// The option's name.
        option: String,
        /// Its value.
        value: OptionValue,
    },
    /// Binds the socket.
    Bind {
        /// The socket.
        sock: String,
        /// The address; with port 0 the kernel chooses the port.
        at: SocketAddr,
    },
    /// Makes the socket listen.
    Listen {
        /// The socket.
        sock: String,
        /// Maximum number of connections that wait to be accepted; 128 by default.
        backlog: Option<i32>,
    },
    /// Connects. `WAITING` after 3 s, or after `wait_ms`.
    Connect {
        /// The socket.
        sock: String,
        /// The address.
        to: SocketAddr,
        /// Milliseconds to wait.
        wait_ms: Option<u32>,
    },
    /// Accepts. `WAITING` after 20 ms, or after `wait_ms`.
    Accept {
        /// The listening socket.
        sock: String,
        /// The name of the new one.
        new: String,
        /// The user that the new socket belongs to; by default that of the listening socket.
        uid: Option<u32>,
        /// Milliseconds to wait.
        wait_ms: Option<u32>,
    },
    /// Sends zero bytes. `WAITING` after 20 ms, or after `wait_ms`.
    Send {
        /// The socket.
        sock: String,
        /// Number of bytes.
        len: u32,
        /// Milliseconds to wait.
        wait_ms: Option<u32>,
    },
    /// Receives. `WAITING` after 20 ms, or after `wait_ms`.
    Recv {
        /// The socket.
        sock: String,
        /// Maximum number of bytes.
        len: u32,
        /// Milliseconds to wait.
        wait_ms: Option<u32>,
    },
    /// Shuts down one direction or both.
    Shutdown {
        /// The socket.
        sock: String,
        /// The direction.
        how: How,
    },
    /// Connects to `AF_UNSPEC`, which undoes a connect.
    Disconnect {
        /// The socket.
        sock: String,
    },
    /// Closes the socket.
    Close {
        /// The socket.
        sock: String,
    },
    /// Returns the local address.
    Getsockname {
        /// The socket.
        sock: String,
    },
    /// Returns the peer's address.
    Getpeername {
        /// The socket.
        sock: String,
    },
    /// Waits.
    Sleep {
        /// Milliseconds.
        ms: u32,
    },
}

impl Call {
    /// The socket that the call is made on.
    pub fn sock(&self) -> Option<&str> {
        match self {
            Call::Ns | Call::Addr { .. } | Call::Sysctl { .. } | Call::Sleep { .. } => None,
            Call::Socket { sock, .. }
            | Call::Set { sock, .. }
            | Call::Bind { sock, .. }
            | Call::Listen { sock, .. }
            | Call::Connect { sock, .. }
            | Call::Accept { sock, .. }
            | Call::Send { sock, .. }
            | Call::Recv { sock, .. }
            | Call::Shutdown { sock, .. }
            | Call::Disconnect { sock }
            | Call::Close { sock }
            | Call::Getsockname { sock }
            | Call::Getpeername { sock } => Some(sock),
        }
    }

    /// Mutable access to the name of the socket.
    pub(crate) fn sock_mut(&mut self) -> Option<&mut String> {
        match self {
            Call::Ns | Call::Addr { .. } | Call::Sysctl { .. } | Call::Sleep { .. } => None,
            Call::Socket { sock, .. }
            | Call::Set { sock, .. }
            | Call::Bind { sock, .. }
            | Call::Listen { sock, .. }
            | Call::Connect { sock, .. }
            | Call::Accept { sock, .. }
            | Call::Send { sock, .. }
            | Call::Recv { sock, .. }
            | Call::Shutdown { sock, .. }
            | Call::Disconnect { sock }
            | Call::Close { sock }
            | Call::Getsockname { sock }
            | Call::Getpeername { sock } => Some(sock),
        }
    }
}

/// The answer to a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// CLOCK_MONOTONIC of that machine when the call returned, in microseconds.
    pub at_us: u64,
    /// The result.
    pub result: Outcome,
    /// The socket's local address after a successful bind, listen, connect or getsockname. A trace
    /// keeps only the port of the first two, so it is missing after a listen that was read from
    /// one.
    pub local: Option<SocketAddr>,
    /// The peer's address after a successful accept or getpeername.
    pub peer: Option<SocketAddr>,
    /// The local port after a successful bind or listen.
    pub port: Option<u16>,
    /// Bytes that a send or recv moved.
    pub moved: Option<u32>,
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Success.
    Ok,
    /// Failure with an errno.
    Errno(Errno),
    /// The call was still blocking when the caller stopped waiting.
    Waiting,
    /// The socket does not exist, so the call was not made.
    NoSock,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Ok => f.write_str("ok"),
            Outcome::Errno(e) => e.fmt(f),
            Outcome::Waiting => f.write_str("WAITING"),
            Outcome::NoSock => f.write_str("NOSOCK"),
        }
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(match s {
            "ok" => Outcome::Ok,
            "WAITING" => Outcome::Waiting,
            "NOSOCK" => Outcome::NoSock,
            name => Outcome::Errno(
                name.parse()
                    .map_err(|e| format!("invalid result `{name}`: {e}, `ok` or `WAITING`"))?,
            ),
        })
    }
}

/// The value of a socket option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OptionValue {
    /// On or off.
    Bool(bool),
    /// A number; seconds, where the option is a time.
    Int(i64),
    /// A text, such as an interface or `40000-40003`.
    Text(String),
}
