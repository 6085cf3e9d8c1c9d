//! `fourtuple capacity`: how many connections a host can make, and their cost.

use std::path::PathBuf;

use clap::ValueEnum;
use fourtuple_analysis::capacity::need::{self, Need};
use fourtuple_analysis::capacity::{self, Capacities, Measured};
use fourtuple_kernel::profile;
use fourtuple_render::json::{CapacityDocument, Versioned};
use fourtuple_render::text;

use crate::output::{Failure, Output, Verdict};
use crate::progress::Progress;
use crate::select::{self, Overrides};
use crate::selected::Selected;

/// Counts how many connections a host can hold and open.
///
/// Measures each program of the scenario in isolation: an upper bound, not the throughput under
/// contention. The table has the maximum number of open connections to one destination and to all,
/// counted on the model and by formula; the rate of short connections; the time at which ports run
/// out and the time until one is free again; and the number of ports that connect() examines while
/// the range fills.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// The scenario file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// Print the port range that a load needs, such as `40000 connections to 2 destinations, 300
    /// per second`.
    #[arg(long, value_name = "LOAD")]
    need: Option<Need>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write a table for a pull request instead of a terminal.
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with_all = ["format", "need"])]
    export: Option<super::Export>,
}

const AFTER: &str = "\
Example: fourtuple capacity scenarios/rhel-6.5/connect-after-bind.yaml --kernel linux-3.10,linux-6.18
         fourtuple capacity FILE --need '40000 connections to 2 destinations, 300 per second'

Exit status: 0, or 2 if the scenario or the arguments are invalid.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables.
    Text,
    /// One JSON document.
    Json,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let selected = select::one(&self.file, &self.overrides)?;
        if let Some(need) = self.need {
            return self.ranges(&need, &selected, out);
        }
        let mut all: Vec<Capacities> = Vec::new();
        let mut known = Measured::default();
        {
            let progress = Progress::new();
            for case in &selected.cases {
                // Names are checked when a scenario is expanded.
                let Some(profile) = profile::find(&case.kernel) else {
                    continue;
                };
                let mut say = |what: &str| progress.show(format!("{}: {what}", case.kernel));
                let measured = capacity::measure(case, &profile, &mut known, &mut say);
                all.push(measured.map_err(|cannot| {
                    Failure::Message(format!("error: failed to measure the scenario: {cannot}"))
                })?);
            }
        }
        match self.format {
            _ if self.export == Some(super::Export::Markdown) => {
                out.text(&text::capacity::markdown(&all))?;
            }
            Format::Text => out.text(&text::capacity::report(&all))?,
            Format::Json => {
                let document = CapacityDocument::Measured { capacities: &all };
                Versioned::new(document).write_line(out)?;
            }
        }
        Ok(Verdict::Good)
    }

    /// The range that a load needs.
    fn ranges(
        self,
        need: &Need,
        selected: &Selected,
        out: &mut Output,
    ) -> Result<Verdict, Failure> {
        let mut all = Vec::new();
        for case in &selected.cases {
            let Some(profile) = profile::find(&case.kernel) else {
                continue;
            };
            let ranges = need::ranges(case, &profile, need);
            all.extend(ranges.map_err(|cannot| {
                Failure::Message(format!("error: failed to measure the scenario: {cannot}"))
            })?);
        }
        match self.format {
            Format::Text => out.text(&text::capacity::ranges(need, &all))?,
            Format::Json => {
                let document = CapacityDocument::Needed { need, ranges: &all };
                Versioned::new(document).write_line(out)?;
            }
        }
        Ok(Verdict::Good)
    }
}
