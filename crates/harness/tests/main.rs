//! All integration tests in one program: each further one would be linked anew.

mod agreement;
mod alone;
mod attempts;
mod common;
mod declarative;
mod shared_runs;
mod standings;
mod steps;
