//! Real kernels as judges: socket programs run on the running kernel, in namespaces of their own, or on any kernel image in a
//! virtual machine whose clock is virtual too.
//!
//! A [`Program`] is a list of calls; running it gives the same program back with an [`Answer`] in each of its steps. [`trace`] reads
//! and writes both as JSON Lines.
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
//! Scenarios run on the same kernels through the [`engine`]s, which the model follows.
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
mod hello;
mod job;
pub mod judge;
mod memory;
mod on;
pub mod options;
mod plan;
pub mod play;
mod program;
mod release;
mod scenario_text;
mod script;
pub mod search;
mod shrink;
mod step_format;
pub mod trace;
#[allow(
    dead_code,
    reason = "the guest, which is compiled by itself, uses the rest"
)]
mod wire;
mod words;

#[cfg(target_os = "linux")]
mod apt;
#[cfg(target_os = "linux")]
mod cpio;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
mod image;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod tar;
#[cfg(target_os = "linux")]
mod vm;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Answers, Host, Image, Vm, VmRun, run_all};
pub use error::RunError;
pub use fourtuple_syscall::Errno;
#[cfg(target_os = "linux")]
pub use host::{Answers, Host, run_all};
#[cfg(target_os = "linux")]
pub use image::Image;
pub use memory::Allocator;
pub use on::On;
pub use plan::{BACKLOG, CONNECT_WAIT_MS, ProgramError, WAIT_MS};
pub use program::{
    Answer, Call, Family, HostSpec, How, OptionValue, Outcome, Program, Step, Topology,
};
pub use release::{profile_of, profile_of_recording};
pub use scenario_text::scenario_text;
pub use shrink::{Shrunk, explained, farther, length, shrink};
#[cfg(target_os = "linux")]
pub use vm::{Vm, VmRun};
