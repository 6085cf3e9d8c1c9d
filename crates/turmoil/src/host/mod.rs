//! A turmoil host as a Linux machine.
//!
//! - [`kernel`]: the lock around the state, and the clock
//! - [`state`]: the state under the lock; `calls` and `route` are its operations
//! - [`conns`]: bytes and waiting tasks of connections
//! - [`loopback`]: the time that packets within a host take
//! - [`boot`]: the tasks that run a kernel on a turmoil host

mod boot;
mod calls;
mod conns;
mod kernel;
mod loopback;
mod options;
mod route;
mod state;

pub(crate) use boot::{Board, Role, boot};
pub(crate) use conns::Direction;
pub(crate) use kernel::{Kernel, Kernels, current};
pub(crate) use options::Kept;
pub(crate) use state::{Failure, Namespace, Spec, State};
