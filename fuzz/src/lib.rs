//! Fuzz targets: one function for each, which takes bytes and panics if a property does not hold.
//!
//! `cargo fuzz run NAME` feeds them the inputs of libFuzzer. `tests/fuzz_corpus.rs` of the
//! workspace above includes this file and feeds them the inputs in `corpus/`, on stable Rust and
//! without libFuzzer.

mod model;
mod text;

pub use model::model;
pub use text::{scenario, ss, strace, trace};

/// A target.
pub type Target = fn(&[u8]);

/// All targets, by the names of their directories in `corpus/`.
pub const TARGETS: [(&str, Target); 5] = [
    ("model", model),
    ("scenario", scenario),
    ("ss", ss),
    ("strace", strace),
    ("trace", trace),
];
