//! Why a run did not come to an end.

use crate::plan::{ProgramError, SetupFailure};
use crate::program::{Call, Outcome, Program};
use fourtuple_syscall::Errno;

/// Why programs were not run, or not to their end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// This machine cannot run them; the text is one line.
    #[error("{0}")]
    Unavailable(String),
    /// The model knows no kernel of that release.
    #[error("no profile is known to be that of {0}")]
    NoProfile(String),
    /// A program cannot be run anywhere.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A program's sockets belong to several users, and the kernel does not let the caller have more than one.
    #[error("program `{program}`: sockets of several users need root")]
    Users {
        /// The program.
        program: String,
    },
    /// The kernel did not make the program's hosts.
    #[error("program `{program}`: this kernel does not give {what} ({errno})")]
    Setup {
        /// The program.
        program: String,
        /// What the kernel did not make.
        what: String,
        /// Its reason.
        errno: Errno,
    },
    /// The machine had no more file descriptors or memory for a program's sockets: what they answered says nothing about the
    /// kernel's rules.
    #[error("program `{program}`: this machine has no more of what its sockets need ({errno})")]
    Shortage {
        /// The program.
        program: String,
        /// The first answer that says so.
        errno: Errno,
    },
    /// The run ended too early.
    #[error("{message}{}", console_text(.console))]
    Broken {
        /// What happened.
        message: String,
        /// The last lines of the machine's console, where it has one.
        console: String,
    },
}

/// What a kernel answers that has no more of something to give.
const SCARCE: [&str; 6] = ["ENOMEM", "ENOSPC", "EMFILE", "ENFILE", "EAGAIN", "ENOBUFS"];

/// What calls answer on a machine that has no more file descriptors or memory, whatever the state of the ports is.
const SHORT: [&str; 4] = ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"];

fn console_text(console: &str) -> String {
    if console.is_empty() {
        String::new()
    } else {
        format!("\nlast lines of the console:\n{console}")
    }
}

impl RunError {
    /// Whether the machine, not the program, is why it did not run to its end: the run broke off, or there was not enough of
    /// something for its hosts.
    pub fn breaks_off(&self) -> bool {
        match self {
            RunError::Broken { .. } | RunError::Shortage { .. } => true,
            RunError::Setup { errno, .. } => SCARCE.contains(&errno.to_string().as_str()),
            _ => false,
        }
    }

    /// The error of a program whose sockets found a shortage.
    pub(crate) fn shortage(program: &Program) -> Option<RunError> {
        let errno = program.steps.iter().find_map(|step| {
            let Outcome::Errno(errno) = step.answer.as_ref()?.result else {
                return None;
            };
            // A socket that cannot be made for want of a process to make it.
            let is_process =
                matches!(step.call, Call::Socket { .. }) && errno.to_string() == "EAGAIN";
            (is_process || SHORT.contains(&errno.to_string().as_str())).then_some(errno)
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

    /// The same error as one that ends a run.
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
