//! Socket programs: what is asked of a kernel, and what it answered.

use fourtuple_syscall::Errno;
pub use fourtuple_syscall::{Family, Shutdown as How};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A list of steps that run one after the other, in namespaces that nothing ran in before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its name, for messages.
    pub program: String,
    /// The hosts, each a network namespace, joined so that every address of one reaches every address of the others. Empty, the usual
    /// case: one namespace with only the loopback interface, where all of 127.0.0.0/8 and ::1 are local.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostSpec>,
    /// What is done.
    pub steps: Vec<Step>,
}

/// One host of a program with several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSpec {
    /// Its name; steps say on which host they run.
    pub name: String,
    /// Its addresses besides loopback. The first of each family is the one that an unbound socket gets towards other hosts.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Sysctls (`net.` and below) set before the first step. One that the kernel does not take ends the run with an error.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
}

/// The hosts of a program, under the name that scenarios use for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// In the order in which they are made.
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

/// One call and, once it was made, its answer. (On paper it is one flat object; see `step_format`.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The host it is made on. Without one: where its socket was made, or the first host.
    pub host: Option<String>,
    /// What is called.
    pub call: Call,
    /// What came of it; none in a program that has not run.
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

/// What a step does. Sockets go by names that the program makes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A new network namespace with only `lo`. A program without hosts begins with one, whether it says so or not; in a program with
    /// hosts it does nothing.
    Ns,
    /// Gives the loopback interface another address.
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
    /// Makes a stream socket. A socket of that name that is still there is closed.
    Socket {
        /// Its name.
        sock: String,
        /// IPv4 or IPv6.
        family: Family,
        /// The user that it belongs to; 0 without.
        uid: Option<u32>,
        /// Calls on it do not wait.
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
    /// Binds.
    Bind {
        /// The socket.
        sock: String,
        /// The address; port 0 leaves the choice to the kernel.
        at: SocketAddr,
    },
    /// Listens.
    Listen {
        /// The socket.
        sock: String,
        /// How many connections may wait to be accepted; 128 without.
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
        /// The user that it belongs to; without, the listening socket's.
        uid: Option<u32>,
        /// Milliseconds to wait.
        wait_ms: Option<u32>,
    },
    /// Sends zero bytes. `WAITING` after 20 ms, or after `wait_ms`.
    Send {
        /// The socket.
        sock: String,
        /// How many bytes.
        len: u32,
        /// Milliseconds to wait.
        wait_ms: Option<u32>,
    },
    /// Receives. `WAITING` after 20 ms, or after `wait_ms`.
    Recv {
        /// The socket.
        sock: String,
        /// How many bytes at most.
        len: u32,
        /// Milliseconds to wait.
        wait_ms: Option<u32>,
    },
    /// Shuts down one direction or both.
    Shutdown {
        /// The socket.
        sock: String,
        /// Which.
        how: How,
    },
    /// Connects to `AF_UNSPEC`, which undoes a connect.
    Disconnect {
        /// The socket.
        sock: String,
    },
    /// Closes.
    Close {
        /// The socket.
        sock: String,
    },
    /// Asks for the local address.
    Getsockname {
        /// The socket.
        sock: String,
    },
    /// Asks for the other end's address.
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

    /// The same, to give it another name.
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

/// What a step answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// CLOCK_MONOTONIC of that machine when the call was back, in microseconds.
    pub at_us: u64,
    /// How it went.
    pub result: Outcome,
    /// The socket's local address after a bind, listen, connect or getsockname that worked. A trace keeps only the port of the first
    /// two, so this is not there after a listen that was read from one.
    pub local: Option<SocketAddr>,
    /// The other end's address, after an accept or getpeername that worked.
    pub peer: Option<SocketAddr>,
    /// The local port after a bind or listen that worked.
    pub port: Option<u16>,
    /// Bytes that a send or recv moved.
    pub moved: Option<u32>,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It worked.
    Ok,
    /// It failed.
    Errno(Errno),
    /// It was not done yet when the caller gave up.
    Waiting,
    /// There is no such socket; means nothing.
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
