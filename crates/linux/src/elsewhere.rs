//! The engines on systems other than Linux: they say that they cannot run.

use crate::error::RunError;
use crate::program::Program;

fn unavailable<T>() -> Result<T, RunError> {
    let reason = crate::guest::binary().err().unwrap_or_else(|| "not Linux".into());
    Err(RunError::Unavailable(format!("the running kernel cannot be used: {reason}")))
}

/// A guest on the running kernel, which this system cannot have.
pub struct Host {
    never: std::convert::Infallible,
}

impl Host {
    /// Says why there is none.
    pub fn start() -> Result<Host, RunError> {
        unavailable()
    }

    /// What uname calls the kernel.
    pub fn release(&self) -> &str {
        match self.never {}
    }

    /// Whether sockets can belong to different users.
    pub fn has_users(&self) -> bool {
        match self.never {}
    }

    /// Runs one program.
    pub fn run(&mut self, _: &Program) -> Result<Program, RunError> {
        match self.never {}
    }

    /// Runs programs in order.
    pub fn run_each(
        &mut self,
        _: &[Program],
        _: impl FnMut(usize, Result<Program, RunError>),
    ) -> Result<(), RunError> {
        match self.never {}
    }
}

/// The answers of each program in order, or why it has none.
pub type Answers = Vec<Result<Program, RunError>>;

/// Says why they cannot run.
pub fn run_all(_: &[Program], _: usize) -> Result<Answers, RunError> {
    unavailable()
}
