//! Tree to typed scenario.
//!
//! Decoding is written by hand over the tree rather than derived, because a derived decoder stops at the first
//! problem: here every field is looked at, each problem is reported where it stands, and reading goes on. The matrix
//! is put into the tree before it is decoded, so that any field may hold `${name}` and an error still points at the
//! place in the file.

mod expect;
mod fields;
mod hosts;
mod matrix;
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
pub(crate) use fields::{FIELDS_BY_OBJECT, STEP_FIELDS};
