//! The `fourtuple` command: scenarios in, answers out.
//!
//! - [`cmd`]: one file for each verb
//! - [`select`]: scenario files to cases
//! - [`corpus`]: the scenarios to start from
//! - [`engines`]: the engines there are
//! - [`files`]: files that verbs write, whole or not at all
//! - [`snapshot_file`]: snapshots in the format of insta
//! - [`shard`]: a part of a sweep, for several machines
//! - [`output`]: where answers and messages go; [`clean`]: what of input is not to reach a terminal
//! - [`totals`]: sums over scenarios, and the exit status that follows from them
//! - [`progress`]: a line about long work
//! - [`junit`]: results for build servers; [`remark`]: problems at lines of files, as [`github`] annotations or [`sarif`]

mod budget;
mod certificate;
mod clean;
mod cmd;
mod corpus;
mod engines;
mod files;
mod github;
mod in_order;
mod junit;
mod output;
mod progress;
mod remark;
mod reproduced;
mod room;
mod sarif;
mod select;
mod shard;
mod snapshot_file;
mod totals;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use fourtuple_kernel::profile;

use crate::cmd::Verb;
use crate::output::{Color, Failure, Output, Verdict};

/// Asks what Linux kernels do with TCP local ports: which port, which errno, and why.
///
/// A scenario is a YAML file that says which programs bind and connect, on which hosts, with which settings, on which
/// kernels. Try `fourtuple new first.yaml` and then `fourtuple run first.yaml`.
#[derive(Debug, Parser)]
#[command(name = "fourtuple", version = version(), propagate_version = true, after_help = AFTER)]
struct Cli {
    /// When to use colours. NO_COLOR, CLICOLOR and CLICOLOR_FORCE are obeyed as usual.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, global = true)]
    color: Color,
    #[command(subcommand)]
    verb: Verb,
}

const AFTER: &str = "Exit status: 0 if all that was expected came true and the engines agree; 1 if an expectation failed or engines differ; 2 if a scenario or the invocation is wrong, the machine ran out of something, or nothing ran.";

/// The version, the commit where the build names it (`FOURTUPLE_COMMIT`, see `tools/dist`), and the newest kernel.
fn version() -> &'static str {
    let names = profile::names();
    let newest = names.iter().rfind(|name| name.starts_with("linux-"));
    let commit =
        option_env!("FOURTUPLE_COMMIT").map_or(String::new(), |commit| format!("{commit}, "));
    let newest = newest.map_or("", String::as_str);
    // The parser keeps it for as long as the process runs.
    format!(
        "{} ({commit}kernels up to {newest})",
        env!("CARGO_PKG_VERSION")
    )
    .leak()
}

/// A machine without memory is a failure like others.
#[global_allocator]
static ALLOCATOR: fourtuple_linux::Allocator = fourtuple_linux::Allocator;

fn main() -> ExitCode {
    let parsed = Cli::try_parse();
    match &parsed {
        Ok(cli) => cli.color.set(),
        Err(_) => color_of().set(),
    }
    let mut out = Output::stdout();
    let done = match parsed {
        Ok(cli) => cli.verb.run(&mut out),
        Err(error) if error.use_stderr() => Err(Failure::Told(error.render().to_string())),
        Err(help) => match out.help(&help.render()) {
            Ok(()) => Ok(Verdict::Good),
            Err(error) => Err(error.into()),
        },
    };
    let done = done.and_then(|verdict| {
        out.flush()?;
        Ok(verdict)
    });
    match done {
        Ok(Verdict::Good) | Err(Failure::Closed) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::from(1),
        Err(Failure::Told(message)) => {
            output::complain(&message);
            ExitCode::from(2)
        }
    }
}

/// The colours that a command line asks for which is not read to its end, such as one that asks for help.
fn color_of() -> Color {
    let mut before = String::new();
    for argument in std::env::args_os() {
        let argument = argument.to_string_lossy().into_owned();
        let value = match argument.strip_prefix("--color=") {
            Some(value) => value,
            None if before == "--color" => &argument,
            None => "",
        };
        if let Ok(color) = <Color as clap::ValueEnum>::from_str(value, false) {
            return color;
        }
        before = argument;
    }
    Color::Auto
}
