//! `fourtuple compare`: one scenario on several kernels, grouped by outcome.

use std::path::PathBuf;

use clap::ValueEnum;
use fourtuple_harness::{Model, runner};
use fourtuple_render::json::{Comparison, Versioned};
use fourtuple_render::text;

use crate::output::{Failure, Output, Verdict};
use crate::progress::Progress;
use crate::select::{self, Overrides};

/// Compares the outcomes of a scenario across kernels.
///
/// Kernels with the same outcome form a group; the behaviours that set the groups apart are named.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple compare scenarios/rhel-6.5/connect-after-bind.yaml --kernel all\n\nExit status: 0, or 2 if the scenario or the arguments are invalid."
)]
pub(crate) struct Args {
    /// The scenario file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write a table for a pull request instead of a terminal.
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "format")]
    export: Option<super::Export>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Groups of kernels, and the changes between them.
    Text,
    /// One JSON document.
    Json,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let selected = select::one(&self.file, &self.overrides)?;
        self.overrides
            .budget
            .check_model(std::slice::from_ref(&selected), 1)?;
        let checked = selected.certificate();
        let progress = Progress::new();
        progress.show(&*selected.scenario.name);
        let report = runner::run(&selected.scenario, selected.cases, &[&Model]);
        if self.format == Format::Json {
            let document = Versioned::new(Comparison::of(&report));
            drop(progress);
            document.write_line(out)?;
            return Ok(Verdict::Good);
        }
        let text = match self.export {
            None => text::compare::compare(&report),
            Some(super::Export::Markdown) => text::compare::markdown(&report),
        };
        drop(progress);
        out.text(&text)?;
        out.text("\n")?;
        out.faint(&checked)?;
        Ok(Verdict::Good)
    }
}
