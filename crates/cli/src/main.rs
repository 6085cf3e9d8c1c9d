//! The `fourtuple` command.
fn main() {}
