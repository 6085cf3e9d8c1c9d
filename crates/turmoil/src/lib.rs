//! Linux TCP ports for [turmoil](https://docs.rs/turmoil) simulations: sockets in tokio's shape
//! whose local ports come from an exact model of a chosen Linux kernel.
#![doc = ""]
#![doc = include_str!("../README.md")]
//!
//! # A map of the code
//!
//! - [`LinuxSim`] registers hosts; [`Linux`] says which kernel they run
//! - [`net`] has tokio's types, [`Socket`] the system calls below them
//! - `host`: one running kernel, its bytes and its waiting tasks, behind one lock
//! - `carrier`: how segments travel over turmoil, and why in two ways
//! - [`ss()`] and [`explain_last_error`]: what is there, and why a call failed
//! - [`engine`]: scenarios on these sockets, and on turmoil's own
//!
//! Everything is decided under a kernel's lock by calls that take no time; only the carrier's tasks
//! send and receive. State belongs to the simulation, found by the runtime that turmoil makes for
//! each host, and goes with it.
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

/// The error of sockets on a host that has no Linux ports, inside an `io::Error`.
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
