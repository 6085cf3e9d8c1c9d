//! Typed scenario to YAML, the inverse of [`decode`](crate::decode).
//!
//! A field that has its default is left out, so that what a tool writes looks like what a person writes.

mod body;
mod build;
mod steps;

pub(crate) use body::{body, scenario};
