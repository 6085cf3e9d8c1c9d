//! Linux TCP ports for [turmoil](https://docs.rs/turmoil) simulations.
#![forbid(unsafe_code)]

mod carrier;
mod config;
pub mod engine;
mod host;
pub mod net;
mod network;
mod sim;
mod socket;

pub use config::{ConfigError, DEFAULT_KERNEL, Linux};
pub use fourtuple_kernel::{Errno, Family, Refusal, Shutdown, SockOpt, State};
pub use sim::{BuildLinux, LinuxSim};
pub use socket::Socket;

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
