//! The `fourtuple` command: scenarios in, answers out.
//!
//! - [`cmd`]: one file for each verb
//! - [`select`]: scenario files to cases
//! - [`corpus`]: the scenarios to start from
//! - [`engines`]: the engines there are
//! - [`files`]: files that verbs write, whole or not at all
//! - [`snapshot_file`]: snapshots in the format of insta
//! - [`shard`]: a part of a sweep, for several machines
//! - [`output`]: where answers and messages go, and the exit status
//! - [`progress`]: a line about long work
//! - [`junit`], [`github`]: reports for build servers

mod budget;
mod certificate;
mod cmd;
mod corpus;
mod engines;
mod files;
mod github;
mod in_order;
mod junit;
mod output;
mod parallel;
mod progress;
mod room;
mod select;
mod shard;
mod snapshot_file;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use crate::cmd::Verb;
use crate::output::{Failure, Output, Verdict};

/// Asks what Linux kernels do with TCP local ports: which port, which errno, and why.
///
/// A scenario is a YAML file that says which programs bind and connect, on which hosts, with which settings, on which
/// kernels. Try `fourtuple new first.yaml` and then `fourtuple run first.yaml`.
#[derive(Debug, Parser)]
#[command(name = "fourtuple", version, propagate_version = true, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const AFTER: &str = "Exit status: 0 if all is as expected and the engines agree, 1 if not, 2 if a scenario or the call is wrong.";

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell when even this cannot be written.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let mut out = Output::stdout();
    let done = cli.verb.run(&mut out).and_then(|verdict| {
        out.flush()?;
        Ok(verdict)
    });
    match done {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::from(1),
        Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(Failure::Told(message)) => {
            output::complain(&message);
            ExitCode::from(2)
        }
    }
}
