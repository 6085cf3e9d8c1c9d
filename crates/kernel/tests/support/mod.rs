//! Shared by the tests of this crate: a chooser with given draws, and a bench of sockets.
#![allow(dead_code, unused_imports, missing_docs, unreachable_pub)]

pub mod bench;
pub mod fixed;
pub mod nat_lab;
pub mod pins;

pub use bench::{Bench, S, ok};
pub use fixed::FixedChooser;
pub use nat_lab::NatLab;

use fourtuple_kernel::Errno;
use fourtuple_kernel::profile::{Behaviours, find};

/// The answer of bind, listen and connect: the port that getsockname() prints, or an errno.
pub type Answer = Result<u16, Errno>;

/// `EADDRINUSE`, which the pages shorten to USE.
pub const USE: Answer = Err(Errno::EADDRINUSE);
/// `EADDRNOTAVAIL`, which the pages shorten to NOTAVAIL.
pub const NOTAVAIL: Answer = Err(Errno::EADDRNOTAVAIL);
/// connect() is still waiting.
pub const WAITING: Answer = Err(Errno::EINPROGRESS);

/// The behaviours of a named kernel.
#[must_use]
pub fn kernel(name: &str) -> Behaviours {
    find(name)
        .unwrap_or_else(|| panic!("no kernel `{name}`"))
        .behaviours
}
