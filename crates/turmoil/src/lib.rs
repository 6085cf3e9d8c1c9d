//! Linux TCP ports for [turmoil](https://docs.rs/turmoil) simulations: sockets with tokio's API
//! whose local ports come from an exact model of a chosen Linux kernel.
#![doc = ""]
#![doc = include_str!("../README.md")]
//! # A map of the code
//!
//! - [`LinuxSim`] registers hosts; [`Linux`] configures their kernel
//! - [`net`] has tokio's types, [`Socket`] the system calls below them
//! - `host`: one running kernel, its bytes and its waiting tasks, behind one lock
//! - `carrier`: the two transports of segments over turmoil
//! - [`ss()`] and [`explain_last_error`]: the sockets of a host, and the reason of a failed call
//! - [`engine`]: scenarios on these sockets, and on turmoil's own
//!
//! Calls run under a kernel's lock and take no time; only the carrier's tasks send and receive.
//! State belongs to the simulation: it is found through the runtime that turmoil creates for each
//! host, and dropped with it.
#![forbid(unsafe_code)]

mod carrier;
mod clock;
mod config;
pub mod engine;
mod explain;
mod host;
pub mod net;
mod network;
mod sim;
mod socket;
mod ss;

pub use config::{ConfigError, DEFAULT_KERNEL, Linux};
pub use explain::{Explanation, explain_last_error};
pub use fourtuple_kernel::{
    BucketView, Errno, Family, Refusal, Shutdown, SockOpt, SocketView, State,
};
pub use sim::{BuildLinux, LinuxSim};
pub use socket::Socket;
pub use ss::{Ss, ss};

use std::fmt;

/// The error of sockets on a host without Linux ports, inside an `io::Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoLinux;

impl fmt::Display for NoLinux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this task runs on no host with Linux ports: build the simulation with \
             `turmoil::Builder::new().build_linux(Linux::default())` and register its hosts there",
        )
    }
}

impl std::error::Error for NoLinux {}
