//! A turmoil host as a Linux machine.
//!
//! - [`kernel`]: the lock around everything, and the clock
//! - [`state`]: what is under the lock; `calls` and `route` are its verbs
//! - [`conns`]: bytes and waiting tasks of connections
//! - [`boot`]: the tasks that make a turmoil host a kernel

mod boot;
mod calls;
mod conns;
mod kernel;
mod options;
mod route;
mod state;

pub(crate) use boot::{Board, boot};
pub(crate) use conns::Direction;
pub(crate) use kernel::{Kernel, current};
pub(crate) use options::Kept;
pub(crate) use state::{Failure, Namespace, Spec, State};

use fourtuple_kernel::{Machine, Seeded, Time};

/// What a kernel's clock says when the simulation starts.
pub(crate) const START: Time = Machine::<Seeded>::START;
