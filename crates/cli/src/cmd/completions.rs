//! `fourtuple completions`: completion scripts for shells.

use std::io::Write as _;

use clap::CommandFactory as _;
use clap_complete::{Generator, Shell, generate};
use clap_complete_nushell::Nushell;

use crate::output::{Failure, Output, Verdict};

/// Prints a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple completions bash > ~/.local/share/bash-completion/completions/fourtuple\n\nExit status: 0, or 2 if the arguments are invalid."
)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Known,
}

/// The shells with a generator.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Known {
    Bash,
    Elvish,
    Fish,
    Nushell,
    #[value(name = "powershell")]
    PowerShell,
    Zsh,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let script = match self.shell {
            Known::Bash => script(Shell::Bash),
            Known::Elvish => script(Shell::Elvish),
            Known::Fish => script(Shell::Fish),
            Known::Nushell => script(Nushell),
            Known::PowerShell => script(Shell::PowerShell),
            Known::Zsh => script(Shell::Zsh),
        };
        out.write_all(&script)?;
        Ok(Verdict::Good)
    }
}

/// The script for a shell. The generators panic on an output that fails, so that it is made in
/// memory.
fn script(shell: impl Generator) -> Vec<u8> {
    let mut script = Vec::new();
    generate(shell, &mut crate::Cli::command(), "fourtuple", &mut script);
    script
}
