//! The JSON Schema of scenario files, for editors and for programs that generate scenarios.
//!
//! It is derived from the types in [`model`](crate::model), so that a field's documentation is
//! written once. The schema accepts slightly more than the parser: it does not check the names of
//! hosts and kernels, nor which combinations of fields are valid.

pub(crate) mod written;

mod document;

pub use document::{schema, schema_text};
