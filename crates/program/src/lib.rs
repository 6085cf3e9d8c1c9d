//! Programs of socket calls, and their interpreter.
//!
//! A scenario's processes are compiled to a [`Plan`]: every name is an index, every address has the family of its socket. The
//! [`Interpreter`] decides which call is made next, by whom, and at which time. It makes no call itself and has no clock: an
//! engine executes system calls through [`SocketApi`], tells the time, and notes the calls through [`CallLog`]. Hence
//! the kernel model, a simulation, a search over all orders and a program on a real kernel run the same scenario by the same rules.
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
//! The crate needs `alloc` and nothing else: the guest program of virtual machines compiles it with rustc alone.
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
