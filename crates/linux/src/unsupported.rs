//! Stubs of the engines on systems other than Linux: every run fails with an error.

use crate::error::RunError;
use crate::image::Image;
use crate::program::Program;
use crate::request::GuestRequest;
use std::path::PathBuf;
use std::time::Duration;

fn unavailable<T>() -> Result<T, RunError> {
    let reason = crate::guest::binary()
        .err()
        .unwrap_or_else(|| "not Linux".into());
    Err(RunError::Unavailable(format!(
        "real kernels cannot be used: {reason}"
    )))
}

/// A guest on the running kernel, unavailable on this system.
pub struct Host {
    never: std::convert::Infallible,
}

impl Host {
    /// Fails with [`RunError::Unavailable`].
    pub fn start() -> Result<Host, RunError> {
        unavailable()
    }

    /// The release that uname reports.
    pub fn release(&self) -> &str {
        match self.never {}
    }

    /// True if sockets can belong to different users.
    pub fn has_users(&self) -> bool {
        match self.never {}
    }

    /// Runs one program.
    pub fn run(&mut self, _: &Program) -> Result<Program, RunError> {
        match self.never {}
    }

    /// Runs one thing that can be planned.
    pub(crate) fn run_request<R: GuestRequest>(&mut self, _: &R) -> Result<R::Answered, RunError> {
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

/// The outcome of each program, in order.
pub type Answers = Vec<Result<Program, RunError>>;

/// Fails with [`RunError::Unavailable`].
pub fn run_all(_: &[Program], _: usize) -> Result<Answers, RunError> {
    unavailable()
}

impl Image {
    /// Fails with [`RunError::Unavailable`].
    pub fn named(_: &str) -> Result<Image, RunError> {
        unavailable()
    }

    /// Fails with [`RunError::Unavailable`].
    pub fn available() -> Result<Vec<String>, RunError> {
        unavailable()
    }
}

/// A virtual machine, unavailable on this system.
#[derive(Clone, Debug)]
pub struct Vm {
    /// The image to boot.
    pub image: Image,
    /// The emulator.
    pub qemu: PathBuf,
    /// The seed of the machine's random numbers.
    pub seed: u32,
    /// Time limit of one boot.
    pub limit: Duration,
}

/// The outcome of a boot.
#[derive(Debug)]
pub struct VmRun<A = Program> {
    /// The release that uname reports.
    pub release: String,
    /// The programs with their answers, in order.
    pub answers: Vec<Result<A, RunError>>,
    /// The console output of the kernel.
    pub console: String,
}

impl Vm {
    /// A machine for this image.
    pub fn new(image: Image) -> Vm {
        Vm {
            image,
            qemu: "qemu-system-x86_64".into(),
            seed: 42,
            limit: Duration::from_secs(600),
        }
    }

    /// Fails with [`RunError::Unavailable`].
    pub fn run(&self, _: &[Program]) -> Result<VmRun, RunError> {
        unavailable()
    }

    /// Fails with [`RunError::Unavailable`].
    pub(crate) fn run_requests<R: GuestRequest>(
        &self,
        _: &[R],
    ) -> Result<VmRun<R::Answered>, RunError> {
        unavailable()
    }
}
