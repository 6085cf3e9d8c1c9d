//! All integration tests in one program: each further one would be linked anew.

mod examples;
mod files;
mod import;
mod kernels;
mod limits;
mod rejects;
mod robustness;
mod schema;
