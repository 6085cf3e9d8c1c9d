//! Following a real kernel: the set of answers that a profile allows, call by call.

mod script;
pub use script::Script;
