//! Writes outcomes and answers: an outcome goes in, bytes come out.
//!
//! - [`text`]: what people read on a terminal and in a snapshot
//! - [`json`]: the outcome format
//! - [`html`]: the report, one page
//! - [`junit`]: the test report of CI servers

mod case_label;
pub mod html;
pub mod json;
pub mod junit;
mod sheet;
pub mod text;

pub use case_label::title;

/// The example of the README, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
