//! Captures of Linux hosts, and what the port model computes from them.
//!
//! - [`capture`] reads the TCP sockets, sysctls and addresses of a network namespace of this
//!   machine. It changes nothing.
//! - [`Document`] is such a capture as a file.
//! - [`doctor`] enters a capture into the model and asks how many connections each destination
//!   still allows, and which change of the host would allow more.
//!
//! ```
//! use fourtuple_host::{Document, doctor};
//!
//! let text = r#"{"fourtuple_capture": 1, "kernel": "6.18.0", "time": 0, "source": "proc",
//!     "sysctl": {"net.ipv4.ip_local_port_range": "40000 40003"}, "addresses": ["10.0.0.5"],
//!     "sockets": [{"state": "ESTAB", "local": "10.0.0.5:40000", "peer": "10.0.0.9:80",
//!                  "uid": 0, "port_by": "bind"}]}"#;
//! let kernel = "linux-6.18".parse()?;
//! let report = doctor::report(&Document::parse(text)?, &kernel, &doctor::Settings::default());
//! assert_eq!(report.destinations[0].connects_left.at_least, 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod anonymise;
pub mod doctor;
mod document;
#[cfg(target_os = "linux")]
mod linux;
mod proc;

pub use document::{Document, FORMAT, ParseError, PortBy, Process, Route, Socket, Source, Timer};

use std::path::PathBuf;

/// A network namespace to capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Namespace {
    /// The one of this process.
    #[default]
    Own,
    /// The one of a file such as `/proc/7/ns/net` or `/run/netns/blue`.
    File(PathBuf),
}

/// Captures a network namespace of this machine. Nothing is changed.
///
/// # Errors
/// A sentence about what cannot be read.
#[cfg(target_os = "linux")]
pub fn capture(namespace: &Namespace) -> Result<Document, String> {
    linux::capture(namespace)
}

/// Captures a network namespace of this machine.
///
/// # Errors
/// Always: only Linux has what is captured.
#[cfg(not(target_os = "linux"))]
pub fn capture(_: &Namespace) -> Result<Document, String> {
    Err("only a host that runs Linux can be captured".to_owned())
}
