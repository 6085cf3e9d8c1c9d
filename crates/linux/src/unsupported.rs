//! The engines on systems other than Linux: they say that they cannot run.

use crate::error::RunError;
use crate::job::Job;
use crate::program::Program;
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

    /// Runs one thing that can be planned.
    pub(crate) fn run_job<J: Job>(&mut self, _: &J) -> Result<J::Answered, RunError> {
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

/// A kernel to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What it is called in messages.
    pub name: String,
    /// The bzImage.
    pub kernel: PathBuf,
    /// Modules to load before the first program.
    pub modules: Vec<PathBuf>,
}

impl Image {
    /// An image file, without modules.
    pub fn file(kernel: impl Into<PathBuf>) -> Image {
        let kernel = kernel.into();
        Image {
            name: kernel.display().to_string(),
            kernel,
            modules: Vec::new(),
        }
    }

    /// Says why there is none.
    pub fn named(_: &str) -> Result<Image, RunError> {
        unavailable()
    }

    /// Says why there are none.
    pub fn available() -> Result<Vec<String>, RunError> {
        unavailable()
    }
}

/// How to boot an image, which this system cannot.
#[derive(Clone, Debug)]
pub struct Vm {
    /// What is booted.
    pub image: Image,
    /// The emulator.
    pub qemu: PathBuf,
    /// The seed of the machine's random numbers.
    pub seed: u32,
    /// How long one boot may take.
    pub limit: Duration,
}

/// What came of a boot.
#[derive(Debug)]
pub struct VmRun<A = Program> {
    /// What uname calls the kernel.
    pub release: String,
    /// The programs with their answers, in order.
    pub answers: Vec<Result<A, RunError>>,
    /// Everything that the kernel wrote to its console.
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

    /// Says why it cannot run.
    pub fn run(&self, _: &[Program]) -> Result<VmRun, RunError> {
        unavailable()
    }

    /// Says why it cannot run.
    pub(crate) fn run_jobs<J: Job>(&self, _: &[J]) -> Result<VmRun<J::Answered>, RunError> {
        unavailable()
    }
}
