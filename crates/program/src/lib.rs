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
//! [`run`] drives an interpreter on an engine that answers at once or in virtual time. Engines with a scheduler of
//! their own call [`Interpreter::step`] themselves.
//!
//! The crate only needs `alloc`: the guest program of virtual machines is compiled with rustc
//! alone.
#![no_std]

extern crate alloc;

mod api;
mod drive;
mod interpreter;
mod plan;
mod queue;

pub use api::{Accepted, CallId, CallLog, Caller, Clock, Role, SocketApi};
pub use drive::run;
pub use interpreter::{Interpreter, Move, Place, Stage, Upcoming};
pub use plan::{AcceptedFate, Close, HostId, Plan, Process, ProcessId, Target};

/// Nanoseconds of virtual time since the start of the run.
pub type Nanos = u64;
