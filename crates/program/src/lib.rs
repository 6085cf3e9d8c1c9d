//! Programs of socket calls, and their interpreter.
//!
//! A scenario's processes are compiled to a [`Plan`]: every name is an index, every address has the
//! family of its socket. The [`Interpreter`] decides which process makes which call next, and at
//! which time. It makes no call itself and has no clock: an engine executes system calls through
//! [`SocketApi`], sets the time, and logs the calls through [`CallLog`]. So the kernel model, a
//! simulation, the exploration of all orders and a program on a real kernel run the same scenario
//! by the same rules.
//!
//! ```text
//! Plan ──► Interpreter ──► Move ──► one system call ──► SocketApi
//!              ▲                         │
//!              └──── answers, time ──────┴──► CallLog
//! ```
//!
//! [`run`] drives an interpreter on an engine that answers at once or in virtual time. Engines with
//! a scheduler of their own call [`Interpreter::step`] themselves.
//!
//! A scenario of steps is a [`StepPlan`], whose order is fixed. [`StepInterpreter`] makes its steps
//! on the same [`SocketApi`]; [`run_steps`] drives it.
//!
//! The crate needs `alloc` and nothing else: the guest program of virtual machines compiles it with
//! rustc alone.
#![no_std]

extern crate alloc;

mod api;
pub mod codec;
mod drive;
mod interpreter;
mod plan;
mod queue;
mod steps;

pub use api::{Accepted, CallId, CallLog, Caller, Clock, NewSocket, SocketApi};
pub use drive::{RealClock, run, run_blocking};
pub use interpreter::{InstanceState, Interpreter, Move, Place, Upcoming};
pub use plan::{AcceptedFate, Close, HostId, Plan, Process, ProcessId, Role, Target};
pub use steps::{PortName, Progress, SockName, Step, StepInterpreter, StepPlan, run_steps};

/// Nanoseconds of virtual time since the start of the run.
pub type Nanos = u64;

/// The files of this crate, by their paths below `src`. The guest program of virtual machines is
/// compiled from them, by rustc alone.
pub const SOURCES: &[(&str, &str)] = &[
    ("api.rs", include_str!("api.rs")),
    ("codec.rs", include_str!("codec.rs")),
    ("drive.rs", include_str!("drive.rs")),
    ("interpreter/calls.rs", include_str!("interpreter/calls.rs")),
    (
        "interpreter/closing.rs",
        include_str!("interpreter/closing.rs"),
    ),
    ("interpreter/hosts.rs", include_str!("interpreter/hosts.rs")),
    ("interpreter/mod.rs", include_str!("interpreter/mod.rs")),
    (
        "interpreter/places.rs",
        include_str!("interpreter/places.rs"),
    ),
    ("interpreter/state.rs", include_str!("interpreter/state.rs")),
    ("lib.rs", include_str!("lib.rs")),
    ("plan.rs", include_str!("plan.rs")),
    ("queue.rs", include_str!("queue.rs")),
    ("steps/interpreter.rs", include_str!("steps/interpreter.rs")),
    ("steps/mod.rs", include_str!("steps/mod.rs")),
];
