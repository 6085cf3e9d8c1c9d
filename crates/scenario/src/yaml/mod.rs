//! YAML text to a tree with a span on every value, and back.
//!
//! The tree keeps scalars as written: `6.10` stays `6.10` and never becomes a number, because the
//! field decides how a scalar is interpreted. Only [`read`] depends on the YAML parser.

mod node;
mod read;
mod write;

pub(crate) use node::{Entries, Key, Node, Value, place_of};
pub(crate) use read::read;
pub(crate) use write::write;
