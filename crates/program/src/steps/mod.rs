//! The step form: one order of calls, which is the file's.
//!
//! A step begins when the one before it is over. Nothing happens in between but what the kernels do
//! by themselves, so `accept`, `send` and `recv` have nothing to wait for: they are answered at
//! once. Only `connect` waits.

mod interpreter;

use alloc::string::String;
use alloc::vec::Vec;

use fourtuple_syscall::{Family, Kind, SockOpt, Syscall};

use crate::{HostId, Nanos};

pub use interpreter::{Progress, StepInterpreter, run_steps};

/// A name for a socket, by its number in the plan. Another socket may get the name later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SockName(pub u32);

/// A variable that keeps a port, by its number in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortName(pub u32);

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Time passes.
    Sleep(Nanos),
    /// Sysctls of a host are written.
    Sysctl {
        /// The host.
        host: HostId,
        /// Keys with values.
        settings: Vec<(String, String)>,
    },
    /// A socket is made, and options are set.
    Socket {
        /// The name of the socket.
        sock: SockName,
        /// The host.
        host: HostId,
        /// The address family.
        family: Family,
        /// The type.
        kind: Kind,
        /// The user that owns it.
        uid: u32,
        /// `SOCK_NONBLOCK`.
        nonblock: bool,
        /// A later step listens on it.
        listens: bool,
        /// The options.
        options: Vec<SockOpt>,
        /// The scenario has no such step: it is not noted.
        implicit: bool,
    },
    /// Options are set. The first failure is the outcome, and the others are set nevertheless.
    Set {
        /// The socket.
        sock: SockName,
        /// The options.
        options: Vec<SockOpt>,
    },
    /// Any other call.
    Call {
        /// The call.
        call: Syscall<SockName>,
        /// The variable that replaces the port of the call's address.
        port: Option<PortName>,
        /// The variable that keeps the port of the address that the call returns.
        port_as: Option<PortName>,
    },
}

/// The steps of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepPlan(Vec<Step>);

impl StepPlan {
    /// A plan of these steps.
    #[must_use]
    pub const fn new(steps: Vec<Step>) -> Self {
        StepPlan(steps)
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}
