//! YAML text to a tree with a span on every value, and back.
//!
//! The tree keeps the words of the file: `6.10` stays `6.10` and never becomes a number, so that what a value means
//! is decided by the field it stands in. The parser behind it is named in [`read`] only and can be swapped there.

mod node;
mod read;
mod write;

pub(crate) use node::{Key, Node, Value};
pub(crate) use read::read;
pub(crate) use write::write;
