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
//! - `engine`, a feature: scenarios on these sockets, and on turmoil's own
//!
//! Calls run under a kernel's lock and take no time; only the carrier's tasks send and receive.
//! State belongs to the simulation: it is found through the runtime that turmoil creates for each
//! host, and dropped with it.
#![forbid(unsafe_code)]
// The engines set clocks, count packets and boot hosts with several namespaces.
#![cfg_attr(not(feature = "engine"), allow(dead_code))]

mod builder;
mod carrier;
mod clock;
mod config;
#[cfg(feature = "engine")]
pub mod engine;
mod explain;
mod host;
pub mod net;
mod network;
mod sim;
mod socket;
mod ss;
#[cfg(feature = "turmoil-net")]
pub mod turmoil_net;

pub use builder::BuildLinux;
pub use config::{ConfigError, DEFAULT_KERNEL, Linux};
pub use explain::{Explanation, explain_last_error};
pub use fourtuple_kernel::{
    BucketView, Errno, Family, Refusal, Shutdown, SockOpt, SocketView, State,
};
pub use sim::LinuxSim;
pub use socket::Socket;
pub use ss::{Ss, ss};

use std::fmt;

/// The error of sockets on a host without Linux ports, inside an `io::Error`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NoLinux;

/// The text of [`Display`](fmt::Display): a test that fails prints its error with `Debug`.
impl fmt::Debug for NoLinux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NoLinux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this task runs on no host with Linux ports: register the host with \
             `fourtuple_turmoil::LinuxSim`, which \
             `turmoil::Builder::new().build_linux(Linux::default())` builds; functions that take \
             `&mut turmoil::Sim` and register hosts have to take `&mut LinuxSim`",
        )
    }
}

impl std::error::Error for NoLinux {}
