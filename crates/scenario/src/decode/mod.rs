//! Tree to typed scenario.
//!
//! Decoding is written by hand rather than derived, because a derived decoder stops at the first
//! problem. Here every field is decoded, each problem is reported with its span, and decoding
//! continues. The matrix is substituted before decoding, so that any field may hold `${name}` and
//! an error still points into the file.

mod expect;
mod fields;
mod hosts;
mod matrix;
mod nat;
mod network;
mod options;
mod problems;
mod processes;
mod scenario;
mod sockets;
mod steps;
mod sysctl;
mod values;

pub(crate) use problems::Problems;
pub(crate) use scenario::decode;
pub(crate) use sysctl::written as written_sysctl;

#[cfg(test)]
pub(crate) use fields::STEP_FIELDS;

/// The maps of the format by their name in the schema. A test compares their fields with the
/// schema's.
#[cfg(test)]
pub(crate) const FIELDS_BY_OBJECT: &[(&str, &[&str])] = &[
    ("Scenario", fields::SCENARIO),
    ("Host", fields::HOST),
    ("Process", processes::FIELDS),
    ("Options", &fields::OPTIONS),
    ("Network", fields::NETWORK),
    ("Fault", fields::FAULT),
];
