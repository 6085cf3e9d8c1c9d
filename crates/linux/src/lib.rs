//! Real kernels as the reference: socket programs run on the running kernel, in namespaces of their
//! own, or on any kernel image in a virtual machine whose clock is virtual too.
//!
//! A [`Program`] is a list of calls; running it returns the same program with an [`Answer`] in each
//! of its steps. [`trace`] reads and writes both as JSON Lines.
//!
//! ```no_run
//! use fourtuple_linux::{Host, trace};
//! let boots = trace::read_file("programs.jsonl".as_ref())?;
//! let mut host = Host::start()?;
//! for program in boots.iter().flat_map(|boot| &boot.programs) {
//!     println!("{:?}", host.run(program)?.steps);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Scenarios run on the same kernels through the [`engine`]s; the model checks that the answers
//! conform.
#![cfg_attr(
    not(target_os = "linux"),
    allow(
        dead_code,
        reason = "programs are read and written everywhere, but not run"
    )
)]

mod calls;
pub mod engine;
mod error;
pub mod exec;
pub mod fuzz;
pub mod generate;
mod guest;
mod handshake;
mod image;
pub mod judge;
mod memory;
mod plan;
mod program;
mod release;
mod request;
mod scenario_text;
mod script;
pub mod search;
mod shrink;
pub mod simulate;
mod step_format;
mod target;
pub mod trace;
#[allow(
    dead_code,
    reason = "the guest, which is compiled by itself, uses the rest"
)]
mod wire;

#[cfg(target_os = "linux")]
mod cpio;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(not(target_os = "linux"))]
mod unsupported;
#[cfg(target_os = "linux")]
mod vm;

pub use error::RunError;
pub use fourtuple_syscall::{Errno, Family, Outcome, Syscall};
#[cfg(target_os = "linux")]
pub use host::{Answers, Host, run_all};
pub use image::Image;
pub use memory::Allocator;
pub use plan::ProgramError;
pub use program::{
    Answer, BACKLOG, CONNECT_WAIT_MS, Call, HostSpec, Program, Step, Topology, WAIT_MS,
};
pub use release::{profile_of, profile_of_recording};
pub use scenario_text::scenario_text;
pub use shrink::{Shrunk, explained, farther, length, shrink};
pub use target::Target;
#[cfg(not(target_os = "linux"))]
pub use unsupported::{Answers, Host, Vm, VmRun, run_all};
#[cfg(target_os = "linux")]
pub use vm::{Vm, VmRun};
