//! x
#[derive(Debug)] pub struct Stock;
