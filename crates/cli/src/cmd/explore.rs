//! `fourtuple explore`: every possible outcome of a scenario.

use std::path::PathBuf;

use clap::ValueEnum;
use fourtuple_analysis::explore::{self, Budget, Exploration};
use fourtuple_harness::threads;
use fourtuple_kernel::profile;
use fourtuple_render::json::{ExploreDocument, ExploreLine, Versioned, Witness};
use fourtuple_render::text;

use crate::output::{Failure, Output, Verdict};
use crate::progress::Progress;
use crate::select::{self, Overrides};
use crate::shard::Sweep;

/// Explores every order of the calls and every port choice.
///
/// Reports which answers are certain, which are possible, and how likely they are. Scenarios with
/// too many states are sampled.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// The scenario file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// Maximum number of states, shared by all kernels and points of the matrix (at least 1000 for
    /// each); a case with more is sampled.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    budget: u32,
    /// Number of sampled runs if there are too many states.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Show the run that leads to outcome N, call by call.
    #[arg(long, value_name = "N")]
    witness: Option<usize>,
    /// Number of threads [default: number of CPUs]. The output is the same.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    #[command(flatten)]
    sweep: Sweep,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

const AFTER: &str = "\
Example: fourtuple explore scenarios/rhel-6.5/connect-after-bind.yaml --kernel linux-6.18
         fourtuple explore scenarios/rhel-6.5/connect-after-bind.yaml --kernel linux-6.18 --witness 1

Exit status: 0, or 2 if the scenario or the arguments are invalid.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables.
    Text,
    /// One JSON document.
    Json,
    /// A JSON object on each line, for each case.
    JsonLines,
}

/// Cases from which on their number is stated before they are explored.
const MANY: usize = 16;

/// The states that each case may have however many cases share the budget.
const MIN_STATES: u32 = 1_000;

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let mut selected = select::one(&self.file, &self.overrides)?;
        let options = format!("{} {} {:?}", self.budget, self.samples, self.witness);
        let seal = self
            .sweep
            .shard
            .seal("explore", [selected.sweep_item(), options]);
        // Of all cases, so that a part gives the same as the whole.
        let cases = u32::try_from(selected.cases.len()).unwrap_or(u32::MAX);
        let states = (self.budget / cases.max(1)).max(self.budget.min(MIN_STATES));
        self.sweep.shard.keep(&mut selected.cases);
        self.overrides
            .budget
            .check_model(std::slice::from_ref(&selected), self.samples.into())?;
        if selected.cases.len() > MANY {
            crate::output::complain(&format!(
                "note: {} kernels and points of the matrix, each explored up to {states} states before {} runs are sampled (`--budget`, `--samples`, `--kernel`)",
                selected.cases.len(),
                self.samples
            ));
        }
        let budget = Budget {
            states: states as usize,
            samples: self.samples as usize,
            threads: self.jobs.unwrap_or_else(threads::cpus).max(1),
        };
        let failed = |cannot: fourtuple_harness::EngineError| {
            Failure::Message(format!("error: failed to explore the scenario: {cannot}"))
        };
        let mut all: Vec<Exploration> = Vec::new();
        let mut witnesses: Vec<Witness> = Vec::new();
        let mut texts: Vec<String> = Vec::new();
        let mut verdict = Verdict::Good;
        for case in &selected.cases {
            // Names are checked when a scenario is expanded.
            let Some(profile) = profile::find(&case.kernel) else {
                continue;
            };
            let found = {
                let progress = Progress::new();
                let mut sampling = false;
                let mut say = |done| match done {
                    explore::Progress::States(n) => {
                        progress.show(format!("{}: {n} states", case.kernel))
                    }
                    explore::Progress::Runs(n) => {
                        if !std::mem::replace(&mut sampling, true) {
                            crate::output::complain(&format!(
                                "{}: more than {} states, so {} seeded runs are sampled",
                                case.kernel, budget.states, budget.samples
                            ));
                        }
                        progress.show(format!("{}: {n} of {} runs", case.kernel, budget.samples));
                    }
                };
                explore::explore(case, &profile, budget, &mut say).map_err(failed)?
            };
            if let Some(n) = self.witness {
                let outcome = n
                    .checked_sub(1)
                    .and_then(|n| found.outcomes.get(n))
                    .ok_or_else(|| {
                        let count = found.outcomes.len();
                        Failure::Message(format!(
                            "error: unknown outcome {n} on {}: expected a number from 1 to {count}",
                            case.kernel
                        ))
                    })?;
                let replay = explore::replay(case, &profile, outcome).map_err(failed)?;
                if !replay.same {
                    verdict = Verdict::Bad;
                }
                texts.push(text::explore::witness(&found, n, outcome, &replay));
                witnesses.push(Witness::new(&found, n, outcome, replay));
            }
            all.push(found);
        }
        if self.witness.is_none() {
            texts = all.iter().map(text::explore::report).collect();
        }
        match self.format {
            Format::Text => out.text(&texts.join("\n"))?,
            Format::JsonLines => {
                let lines: Vec<ExploreLine<'_>> = match self.witness {
                    Some(_) => witnesses.iter().map(ExploreLine::Witness).collect(),
                    None => all.iter().map(ExploreLine::Exploration).collect(),
                };
                for line in lines {
                    Versioned::new(line).write_line(out)?;
                }
                if let Some(seal) = seal {
                    seal.write(out)?;
                }
            }
            Format::Json => {
                let document = match self.witness {
                    Some(_) => ExploreDocument::Witnesses(&witnesses),
                    None => ExploreDocument::Explorations(&all),
                };
                Versioned::new(document).write_line(out)?;
            }
        }
        Ok(verdict)
    }
}
