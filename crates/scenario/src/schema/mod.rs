//! The JSON Schema of scenario files, for editors and for programs that write scenarios.
//!
//! It is derived from the types in [`model`](crate::model), so that a field's documentation is written once. The
//! schema is a little wider than the parser: it does not know the names of hosts or kernels, nor which combinations
//! of fields make sense.

pub(crate) mod written;

mod document;

pub use document::{schema, schema_text};
