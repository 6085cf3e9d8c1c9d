//! Errors of runs on real kernels.

use crate::plan::{ProgramError, SetupFailure};
use crate::program::{Call, Program};
use fourtuple_syscall::{Errno, Outcome, Syscall};

/// The reason why a program did not run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// This machine cannot run programs; the text is one line.
    #[error("{0}")]
    Unavailable(String),
    /// No profile matches the kernel's release.
    #[error("no profile is known for kernel release `{0}`")]
    NoProfile(String),
    /// The program is invalid on every kernel.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The sockets of a program belong to several users, which needs root.
    #[error("program `{program}`: sockets of several users need root")]
    Users {
        /// The program.
        program: String,
    },
    /// The kernel failed to set up the program's hosts.
    #[error("program `{program}`: the kernel failed to make {what} ({errno})")]
    Setup {
        /// The program.
        program: String,
        /// The part of the topology that failed.
        what: String,
        /// The error that it failed with.
        errno: Errno,
    },
    /// The machine ran out of file descriptors or memory for a program's sockets: their results say
    /// nothing about the kernel's port rules.
    #[error(
        "program `{program}`: this machine has not enough file descriptors or memory for its sockets ({errno})"
    )]
    Shortage {
        /// The program.
        program: String,
        /// The first result that reports it.
        errno: Errno,
    },
    /// The run ended too early.
    #[error("{message}{}", console_text(.console))]
    Broken {
        /// The failure.
        message: String,
        /// The last lines of the machine's console, if it has one.
        console: String,
    },
}

/// Errors of a setup operation for which the kernel lacks a resource.
const SCARCE: [Errno; 6] = [
    Errno::ENOMEM,
    Errno::ENOSPC,
    Errno::EMFILE,
    Errno::ENFILE,
    Errno::EAGAIN,
    Errno::ENOBUFS,
];

/// Errors of a call for want of file descriptors or memory, independent of the state of the ports.
const SHORT: [Errno; 4] = [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOBUFS];

fn console_text(console: &str) -> String {
    if console.is_empty() {
        String::new()
    } else {
        format!("\nlast lines of the console:\n{console}")
    }
}

impl RunError {
    /// Returns true if the machine, not the program, ended the run: the guest stopped, or it lacked
    /// the resources for the hosts.
    pub fn breaks_off(&self) -> bool {
        match self {
            RunError::Broken { .. } | RunError::Shortage { .. } => true,
            RunError::Setup { errno, .. } => SCARCE.contains(errno),
            _ => false,
        }
    }

    /// The error of a program whose sockets ran into a shortage.
    pub(crate) fn shortage(program: &Program) -> Option<RunError> {
        let errno = program.steps.iter().find_map(|step| {
            let Outcome::Err(errno) = step.outcome()? else {
                return None;
            };
            // EAGAIN: no new process to make the socket in.
            let makes = matches!(step.call, Call::Sys(Syscall::Socket { .. }));
            let is_process = makes && errno == Errno::EAGAIN;
            (is_process || SHORT.contains(&errno)).then_some(errno)
        })?;
        Some(RunError::Shortage {
            program: program.program.clone(),
            errno,
        })
    }

    pub(crate) fn setup(program: &str, failure: SetupFailure) -> RunError {
        RunError::Setup {
            program: program.to_owned(),
            what: failure.what,
            errno: failure.errno,
        }
    }

    /// The same error as one that ends the whole run.
    pub(crate) fn into_broken(self) -> RunError {
        match self {
            RunError::Broken { .. } => self,
            other => RunError::broken(other.to_string()),
        }
    }

    pub(crate) fn broken(message: impl Into<String>) -> RunError {
        RunError::Broken {
            message: message.into(),
            console: String::new(),
        }
    }
}
