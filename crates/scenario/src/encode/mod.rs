//! Typed scenario to YAML, the inverse of [`decode`](crate::decode).
//!
//! Fields at their default are omitted, so that generated scenarios look like written ones.

mod body;
mod build;
mod steps;

pub(crate) use body::{body, scenario};
