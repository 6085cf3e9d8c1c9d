//! `fourtuple man`: manual pages, generated from the text of `--help`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::files::{self, Existing};
use crate::output::{Failure, Output, Verdict};

/// Writes manual pages for the command and its verbs.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple man ~/.local/share/man/man1 && man fourtuple-run\n\nExit status: 0, or 2 if the arguments are invalid."
)]
pub(crate) struct Args {
    /// The directory to write to, created if missing [default: print the page of the command].
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let mut command = crate::Cli::command().disable_help_subcommand(true);
        command.build();
        match &self.directory {
            None => out.write_all(&page(&command)?)?,
            Some(directory) => write(&command, directory, out)?,
        }
        Ok(Verdict::Good)
    }
}

/// Writes the page of a command, then those of its verbs.
fn write(command: &clap::Command, directory: &Path, out: &mut Output) -> Result<(), Failure> {
    // The display name of a verb of a built command is `fourtuple-run`.
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = directory.join(format!("{name}.1"));
    files::write(&path, page(command)?, Existing::ReplaceFile)?;
    writeln!(out, "{}", path.display())?;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        write(verb, directory, out)?;
    }
    Ok(())
}

fn page(command: &clap::Command) -> Result<Vec<u8>, Failure> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut page = Vec::new();
    // No date: the page only depends on the program.
    let man = Man::new(command.clone()).title(name).date("");
    man.render(&mut page)?;
    Ok(page)
}
