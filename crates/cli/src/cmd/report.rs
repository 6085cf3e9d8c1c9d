//! `fourtuple report`: scenarios and their outcomes as one page.

use std::io::Write as _;
use std::path::PathBuf;

use fourtuple_harness::html::{self, Entry};
use fourtuple_harness::{Engine, runner};

use crate::engines;
use crate::files::{self, Existing};
use crate::output::{Failure, Output, Verdict};
use crate::progress::Progress;
use crate::select::{self, Overrides};

/// Writes one HTML file about scenarios: what happened on which kernel and why, the ports over time, and ways out.
///
/// The file needs nothing else and no network. It can be read on a phone, in the dark, on paper and without pictures.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple report scenarios/rhel-6.5 -o report.html\n\nExit status: 0 if all is as expected, 1 if not, 2 if a scenario or the call is wrong. The page is written in either case."
)]
pub(crate) struct Args {
    /// Scenario files, or directories of them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where to write the page, in place of what was there; standard output if left out.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Engines to run on.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values_t = engines::DEFAULT.map(str::to_owned))]
    engine: Vec<String>,
    #[command(flatten)]
    real: engines::RealArgs,
    #[command(flatten)]
    overrides: Overrides,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let engines = engines::by_name(&self.engine, &self.real)?;
        let selected = select::all(&self.paths, &self.overrides)?;
        let asked: Vec<&dyn Engine> = engines.iter().map(AsRef::as_ref).collect();
        let folded = select::fold(selected);
        self.overrides.budget.check(&folded, &asked)?;
        engines::prepare(&engines, &folded);
        let total = folded.len();
        let mut entries = Vec::with_capacity(total);
        {
            let progress = Progress::of(total);
            for (n, one) in folded.iter().enumerate() {
                progress.at(n, &*one.scenario.name);
                let report = runner::run_folded(&one.scenario, &one.cases, &asked);
                entries.push(Entry::new(report));
            }
        }
        let page = html::page(&entries);
        match &self.output {
            None => out.write_all(page.as_bytes())?,
            Some(path) => {
                files::write(path, page, Existing::Replace)?;
                writeln!(out, "{}", path.display())?;
            }
        }
        let failed = entries.iter().any(|entry| entry.report().failed());
        Ok(if failed { Verdict::Bad } else { Verdict::Good })
    }
}
