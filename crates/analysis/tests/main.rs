//! All integration tests in one program: each further one would be linked anew.

mod capacity;
mod changes;
mod edits;
mod explore;
mod findings;
mod lint;
mod paths;
mod remedies;
