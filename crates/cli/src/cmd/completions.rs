//! `fourtuple completions`: what a shell needs to complete the command.

use std::io::Write as _;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::output::{Failure, Output, Verdict};

/// Prints a script that makes a shell complete the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple completions bash > ~/.local/share/bash-completion/completions/fourtuple\n\nExit status: 0, or 2 if the call is wrong."
)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        // The generator panics on an output that fails, so that it writes to memory.
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut crate::Cli::command(),
            "fourtuple",
            &mut script,
        );
        out.write_all(&script)?;
        Ok(Verdict::Good)
    }
}
