//! Steps: one total order of socket calls.

use std::time::Duration;

use schemars::JsonSchema;

use super::{Options, Sysctls};
use crate::schema::written;
use crate::value::{Address, Answer, Family, Op, PortRange, Shutdown, SocketType};

/// One step. In YAML its first key names the call: `{ bind: a, at: "127.0.0.2:0" }`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Step {
    /// Creates a socket.
    Socket(SocketStep),
    /// Sets options of a socket.
    Set(SetStep),
    /// Binds a socket.
    Bind(BindStep),
    /// Makes a socket a listener.
    Listen(ListenStep),
    /// Connects a socket.
    Connect(ConnectStep),
    /// Accepts a connection.
    Accept(AcceptStep),
    /// Sends bytes.
    #[schemars(with = "written::SendStep")]
    Send(TransferStep),
    /// Receives bytes.
    #[schemars(with = "written::RecvStep")]
    Recv(TransferStep),
    /// Sends a datagram to an address. A socket without a port takes one first.
    Sendto(SendtoStep),
    /// Receives a datagram, and reports its sender.
    #[schemars(with = "written::RecvfromStep")]
    Recvfrom(RecvfromStep),
    /// Shuts down one or both directions of a connection.
    Shutdown(ShutdownStep),
    /// Dissolves a connection: `connect` to an address of family `AF_UNSPEC`.
    #[schemars(with = "written::DisconnectStep")]
    Disconnect(OnSocketStep),
    /// Closes a socket.
    #[schemars(with = "written::CloseStep")]
    Close(OnSocketStep),
    /// Reads the local address of a socket.
    #[schemars(with = "written::GetsocknameStep")]
    Getsockname(NameStep),
    /// Reads the peer address of a socket.
    #[schemars(with = "written::GetpeernameStep")]
    Getpeername(NameStep),
    /// Changes sysctls of a host.
    Sysctl(SysctlStep),
    /// Lets time pass.
    Sleep(SleepStep),
}

/// Creates a socket.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SocketStep {
    /// The name of the new socket.
    pub socket: String,
    /// The address family: `inet` (the default) or `inet6`.
    #[schemars(with = "Option<written::Family>")]
    pub family: Family,
    /// The type: `stream` (TCP, the default) or `dgram` (UDP).
    #[schemars(rename = "type", with = "Option<written::SocketType>")]
    pub kind: SocketType,
    /// The process that owns the socket [default: the only process that the steps name, otherwise
    /// `main`].
    #[schemars(with = "Option<String>")]
    pub by: String,
    /// The user id of the process, on its first use [default: 0].
    #[schemars(with = "Option<u32>")]
    pub uid: u32,
    /// The host of the process; optional if there is only one, or once the process has one.
    #[schemars(with = "Option<String>")]
    pub on: String,
    /// Makes the socket non-blocking.
    #[schemars(with = "Option<bool>")]
    pub nonblock: bool,
    /// Options to set immediately, like a `set` step that is not an attempt of its own.
    #[schemars(with = "Option<Options>")]
    pub options: Options,
    /// The expected result, or a list of alternatives.
    #[schemars(with = "Option<written::Answers>")]
    pub expect: Vec<Answer>,
    /// `true` if the file has no such step and a later one uses the socket. It makes no attempt.
    #[schemars(skip)]
    pub implicit: bool,
}

/// Sets options of a socket.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SetStep {
    /// The socket.
    pub set: String,
    /// The options; at least one.
    pub options: Options,
    /// The expected result, or a list of alternatives.
    #[schemars(with = "Option<written::Answers>")]
    pub expect: Vec<Answer>,
}

/// Binds a socket.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BindStep {
    /// The socket.
    pub bind: String,
    /// The address; port 0 lets the kernel choose.
    #[schemars(with = "written::Address")]
    pub at: Address,
    /// A name for the local port after a success; later steps write it `$name`.
    pub port_as: Option<String>,
    /// The expected result, or a list of alternatives.
    #[schemars(with = "Option<written::Answers>")]
    pub expect: Vec<Answer>,
    /// The range that must contain the local port.
    #[schemars(with = "Option<written::PortRange>")]
    pub expect_port: Option<PortRange>,
    /// The expected local address.
    #[schemars(with = "Option<written::Address>")]
    pub expect_local: Option<Address>,
}

/// Makes a socket a listener.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ListenStep {
    /// The socket.
    pub listen: String,
    /// The maximum number of connections waiting to be accepted [default: 128].
    #[schemars(with = "Option<u32>")]
    pub backlog: u32,
    /// A name for the local port after a success; later steps write it `$name`.
    pub port_as: Option<String>,
    /// The expected result, or a list of alternatives.
    #[schemars(with = "Option<written::Answers>")]
    pub expect: Vec<Answer>,
    /// The range that must contain the local port.
    #[schemars(with = "Option<written::PortRange>")]
    pub expect_port: Option<PortRange>,
    /// The expected local address.
    #[schemars(with = "Option<written::Address>")]
    pub expect_local: Option<Address>,
}

/// Connects a socket.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ConnectStep {
    /// The socket.
    pub connect: String,
    /// The address to connect to.
    #[schemars(with = "written::Address")]
    pub to: Address,
    /// A name for the local port after a success; later steps write it `$name`.
    pub port_as: Option<String>,
    /// The expected result, or a list of alternatives.
    #[schemars(with = "Option<written::Answers>")]
    pub expect: Vec<Answer>,
    /// The range that must contain the local port.
    #[schemars(with = "Option<written::PortRange>")]
    pub expect_port: Option<PortRange>,
    /// The expected local address.
    #[schemars(with = "Option<written::Address>")]
    pub expect_local: Option<Address>,
    /// The expected peer address.
    #[schemars(with = "Option<written::Address>")]
    pub expect_peer: Option<Address>,
}

/// Accepts a connection.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AcceptStep {
    /// The listener.
    pub accept: String,
    /// A name for the accepted socket; without it the socket stays open and cannot be used.
    #[schemars(rename = "as")]
    pub accepted: Option<String>,
    /// The expected result, or a list of alternatives.
    #[schemars(with = "Option<written::Answers>")]
    pub expect: Vec<Answer>,
    /// The expected local address of the accepted socket.
    #[schemars(with = "Option<written::Address>")]
    pub expect_local: Option<Address>,
    /// The expected peer address of the accepted socket.
    #[schemars(with = "Option<written::Address>")]
    pub expect_peer: Option<Address>,
}

/// Sends or receives bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferStep {
    /// The socket.
    pub socket: String,
    /// Number of bytes [default: 1].
    pub len: u32,
    /// The expected result, or a list of alternatives.
    pub expect: Vec<Answer>,
}

/// Sends a datagram to an address. A socket without a port takes one first.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SendtoStep {
    /// The socket.
    pub sendto: String,
    /// The destination.
    #[schemars(with = "written::Address")]
    pub to: Address,
    /// Number of bytes [default: 1].
    #[schemars(with = "Option<written::Bytes>")]
    pub len: u32,
    /// A name for the local port after a success; later steps write it `$name`.
    pub port_as: Option<String>,
    /// The expected result, or a list of alternatives.
    #[schemars(with = "Option<written::Answers>")]
    pub expect: Vec<Answer>,
    /// The range that must contain the local port.
    #[schemars(with = "Option<written::PortRange>")]
    pub expect_port: Option<PortRange>,
    /// The expected local address.
    #[schemars(with = "Option<written::Address>")]
    pub expect_local: Option<Address>,
}

/// Receives a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecvfromStep {
    /// The socket.
    pub socket: String,
    /// Maximum number of bytes [default: 1].
    pub len: u32,
    /// A name for the sender's port; later steps write it `$name`.
    pub port_as: Option<String>,
    /// The expected result, or a list of alternatives.
    pub expect: Vec<Answer>,
    /// The range that must contain the sender's port.
    pub expect_port: Option<PortRange>,
    /// The expected address of the sender.
    pub expect_peer: Option<Address>,
}

/// Shuts down one or both directions of a connection.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ShutdownStep {
    /// The socket.
    pub shutdown: String,
    /// The direction: `read`, `write` or `both`.
    #[schemars(with = "written::Shutdown")]
    pub how: Shutdown,
    /// The expected result, or a list of alternatives.
    #[schemars(with = "Option<written::Answers>")]
    pub expect: Vec<Answer>,
}

/// A call whose only argument is a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnSocketStep {
    /// The socket.
    pub socket: String,
    /// The expected result, or a list of alternatives.
    pub expect: Vec<Answer>,
}

/// Reads an address of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameStep {
    /// The socket.
    pub socket: String,
    /// A name for the port of the address; later steps write it `$name`.
    pub port_as: Option<String>,
    /// The expected result, or a list of alternatives.
    pub expect: Vec<Answer>,
    /// The range that must contain the port.
    pub expect_port: Option<PortRange>,
    /// The expected address: `expect_local` of `getsockname`, `expect_peer` of `getpeername`.
    pub expect_address: Option<Address>,
}

/// Changes sysctls of a host.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SysctlStep {
    /// The sysctls by name; at least one.
    #[schemars(with = "indexmap::IndexMap<String, written::Scalar>")]
    pub sysctl: Sysctls,
    /// The host; optional if there is only one.
    #[schemars(with = "Option<String>")]
    pub on: String,
}

/// Lets time pass.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SleepStep {
    /// The duration of the pause.
    #[schemars(with = "written::Duration")]
    pub sleep: Duration,
}

impl Step {
    /// The socket call of the step; `None` for `sysctl` and `sleep`, which make no attempt.
    pub fn op(&self) -> Option<Op> {
        Some(match self {
            Self::Socket(_) => Op::Socket,
            Self::Set(_) => Op::Set,
            Self::Bind(_) => Op::Bind,
            Self::Listen(_) => Op::Listen,
            Self::Connect(_) => Op::Connect,
            Self::Accept(_) => Op::Accept,
            Self::Send(_) => Op::Send,
            Self::Recv(_) => Op::Recv,
            Self::Sendto(_) => Op::SendTo,
            Self::Recvfrom(_) => Op::RecvFrom,
            Self::Shutdown(_) => Op::Shutdown,
            Self::Disconnect(_) => Op::Disconnect,
            Self::Close(_) => Op::Close,
            Self::Getsockname(_) => Op::Getsockname,
            Self::Getpeername(_) => Op::Getpeername,
            Self::Sysctl(_) | Self::Sleep(_) => return None,
        })
    }

    /// The socket that the step names.
    pub fn socket(&self) -> Option<&str> {
        Some(match self {
            Self::Socket(step) => &step.socket,
            Self::Set(step) => &step.set,
            Self::Bind(step) => &step.bind,
            Self::Listen(step) => &step.listen,
            Self::Connect(step) => &step.connect,
            Self::Accept(step) => &step.accept,
            Self::Send(step) | Self::Recv(step) => &step.socket,
            Self::Sendto(step) => &step.sendto,
            Self::Recvfrom(step) => &step.socket,
            Self::Shutdown(step) => &step.shutdown,
            Self::Disconnect(step) | Self::Close(step) => &step.socket,
            Self::Getsockname(step) | Self::Getpeername(step) => &step.socket,
            Self::Sysctl(_) | Self::Sleep(_) => return None,
        })
    }

    /// The expected results; empty if any result is accepted.
    pub fn expect(&self) -> &[Answer] {
        match self {
            Self::Socket(step) => &step.expect,
            Self::Set(step) => &step.expect,
            Self::Bind(step) => &step.expect,
            Self::Listen(step) => &step.expect,
            Self::Connect(step) => &step.expect,
            Self::Accept(step) => &step.expect,
            Self::Send(step) | Self::Recv(step) => &step.expect,
            Self::Sendto(step) => &step.expect,
            Self::Recvfrom(step) => &step.expect,
            Self::Shutdown(step) => &step.expect,
            Self::Disconnect(step) | Self::Close(step) => &step.expect,
            Self::Getsockname(step) | Self::Getpeername(step) => &step.expect,
            Self::Sysctl(_) | Self::Sleep(_) => &[],
        }
    }

    /// The name under which the step keeps a port.
    pub fn port_as(&self) -> Option<&str> {
        match self {
            Self::Bind(step) => step.port_as.as_deref(),
            Self::Listen(step) => step.port_as.as_deref(),
            Self::Connect(step) => step.port_as.as_deref(),
            Self::Sendto(step) => step.port_as.as_deref(),
            Self::Recvfrom(step) => step.port_as.as_deref(),
            Self::Getsockname(step) | Self::Getpeername(step) => step.port_as.as_deref(),
            _ => None,
        }
    }

    /// The range that must contain the port.
    pub fn expect_port(&self) -> Option<PortRange> {
        match self {
            Self::Bind(step) => step.expect_port,
            Self::Listen(step) => step.expect_port,
            Self::Connect(step) => step.expect_port,
            Self::Sendto(step) => step.expect_port,
            Self::Recvfrom(step) => step.expect_port,
            Self::Getsockname(step) | Self::Getpeername(step) => step.expect_port,
            _ => None,
        }
    }

    /// The expected local address.
    pub fn expect_local(&self) -> Option<&Address> {
        match self {
            Self::Bind(step) => step.expect_local.as_ref(),
            Self::Listen(step) => step.expect_local.as_ref(),
            Self::Connect(step) => step.expect_local.as_ref(),
            Self::Sendto(step) => step.expect_local.as_ref(),
            Self::Accept(step) => step.expect_local.as_ref(),
            Self::Getsockname(step) => step.expect_address.as_ref(),
            _ => None,
        }
    }

    /// The expected peer address.
    pub fn expect_peer(&self) -> Option<&Address> {
        match self {
            Self::Connect(step) => step.expect_peer.as_ref(),
            Self::Recvfrom(step) => step.expect_peer.as_ref(),
            Self::Accept(step) => step.expect_peer.as_ref(),
            Self::Getpeername(step) => step.expect_address.as_ref(),
            _ => None,
        }
    }
}
