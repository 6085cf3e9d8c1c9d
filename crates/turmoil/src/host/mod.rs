//! A turmoil host as a Linux machine.
//!
//! - [`kernel`]: the lock around the state, and the clock
//! - [`state`]: the state under the lock; `calls`, `datagram` and `route` are its operations
//! - [`conns`]: bytes and waiting tasks of connections
//! - [`loopback`]: the time that packets within a host take
//! - [`patience`]: how long a connection waits for a peer that does not answer; `silence` applies
//!   it
//! - [`table`]: the maps of sockets and connections
//! - [`window`]: how far a writer may be ahead of its reader
//! - [`boot`]: the tasks that run a kernel on a turmoil host

mod boot;
mod calls;
mod conns;
mod datagram;
mod kernel;
mod loopback;
mod mailbox;
mod options;
mod patience;
mod route;
mod silence;
mod state;
mod table;
mod window;

pub(crate) use boot::{Board, Role, boot};
pub(crate) use conns::Direction;
pub(crate) use kernel::{Kernel, Kernels, current};
pub(crate) use options::Kept;
#[cfg(feature = "turmoil-net")]
pub(crate) use state::nanos;
pub(crate) use state::{Failure, Namespace, Spec, State};
