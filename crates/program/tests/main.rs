//! All integration tests in one program: each further one would be linked anew.

mod codec;
mod interpreter;
mod steps;
