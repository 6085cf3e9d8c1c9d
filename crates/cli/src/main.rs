//! The `fourtuple` command.
//!
//! - [`cmd`]: one file for each verb
//! - [`config`]: defaults of options for a project
//! - [`select`]: scenario files to cases
//! - [`corpus`]: the scenarios to start from
//! - [`engines`]: the engines
//! - [`files`]: files that verbs write, completely or not at all
//! - [`snapshot_file`]: snapshots in the format of insta
//! - [`shard`]: a part of a sweep, for several machines
//! - [`output`]: standard output and error
//! - [`link`]: addresses of the playground
//! - [`progress`]: a progress line for long work
//! - [`remark`]: problems at lines of files, for CI servers, as [`github`] annotations or [`sarif`]

mod budget;
mod certificate;
mod cmd;
mod config;
mod corpus;
mod engines;
mod files;
mod github;
mod input;
mod link;
mod memory;
mod ordered;
mod output;
mod progress;
mod remark;
mod sarif;
mod select;
mod selected;
mod shard;
mod snapshot_file;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use fourtuple_kernel::profile;

use crate::cmd::Verb;
use crate::config::Config;
use crate::output::{Color, Failure, Output, Verdict};

/// Predicts TCP local ports on Linux kernels: which port, which errno, and why.
///
/// A scenario is a YAML file with programs that bind and connect, their hosts, sysctls and kernels.
/// Try `fourtuple new first.yaml` and then `fourtuple run first.yaml`.
#[derive(Debug, Parser)]
#[command(name = "fourtuple", version = version(), propagate_version = true, after_help = AFTER)]
struct Cli {
    /// When to use colours; NO_COLOR, CLICOLOR and CLICOLOR_FORCE are respected.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, global = true)]
    color: Color,
    #[command(subcommand)]
    verb: Verb,
}

const AFTER: &str = "`fourtuple help COMMAND` describes a command.\n\nExit status: 0 if all expectations are met and the engines agree; 1 if an expectation failed or engines differ; 2 if a scenario or the arguments are invalid, the machine lacks a resource, or nothing ran.";

/// The version, the commit if the build sets `FOURTUPLE_COMMIT` (see `tools/dist`), and the newest
/// kernel.
fn version() -> &'static str {
    let names = profile::names();
    let newest = names.iter().rfind(|name| name.starts_with("linux-"));
    let commit =
        option_env!("FOURTUPLE_COMMIT").map_or(String::new(), |commit| format!("{commit}, "));
    let newest = newest.map_or("", String::as_str);
    // The argument parser needs a static string.
    format!(
        "{} ({commit}kernels up to {newest})",
        env!("CARGO_PKG_VERSION")
    )
    .leak()
}

/// The command, with its verbs in groups in its help.
fn command() -> clap::Command {
    let command = Cli::command();
    let verbs = cmd::summaries(&command);
    let header = *command.get_styles().get_header();
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{verbs}\
         {header}Options:{header:#}\n{{options}}{{after-help}}"
    ))
}

/// Parses the command line.
fn parse() -> Result<Cli, Unparsed> {
    let command = command();
    let config = Config::find(&command)?;
    let mut command = match &config {
        None => command,
        Some(config) => config.apply(command),
    };
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    let cli = matches.and_then(|matches| {
        Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    });
    cli.map_err(|error| {
        let problem = config.and_then(|config| config.problem(&error));
        problem.map_or(Unparsed::Arguments(error), Unparsed::Config)
    })
}

/// The reason why there is no command line.
enum Unparsed {
    /// An error, or a text that was asked for, such as help.
    Arguments(clap::Error),
    /// The file with the defaults is wrong.
    Config(Failure),
}

impl From<Failure> for Unparsed {
    fn from(failure: Failure) -> Self {
        Unparsed::Config(failure)
    }
}

/// Out of memory is an error like others.
#[global_allocator]
static ALLOCATOR: fourtuple_linux::Allocator = fourtuple_linux::Allocator;

fn main() -> ExitCode {
    let parsed = parse();
    match &parsed {
        Ok(cli) => cli.color.set(),
        Err(_) => color_of().set(),
    }
    let mut out = Output::stdout();
    let done = match parsed {
        Ok(cli) => cli.verb.run(&mut out),
        Err(Unparsed::Config(failure)) => Err(failure),
        Err(Unparsed::Arguments(error)) if error.use_stderr() => {
            Err(Failure::Message(error.render().to_string()))
        }
        Err(Unparsed::Arguments(help)) => match out.help(&help.render()) {
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
        Err(Failure::Message(message)) => {
            output::complain(&message);
            ExitCode::from(2)
        }
    }
}

/// The colours that a command line asks for if it is not parsed to its end, as with `--help`.
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
