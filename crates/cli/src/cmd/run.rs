//! `fourtuple run`: runs scenarios and reports their outcomes.

use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use fourtuple_harness::{Assessment, Engine, Need, ScenarioReport, ScenarioVerdict, runner};
use fourtuple_render::text::totals::Totals;
use fourtuple_render::text::{self, Text};
use fourtuple_render::{json, junit};

use crate::engines::{self, EngineArgs, Made};
use crate::memory::MemoryBudget;
use crate::ordered::{Plan, map_ordered};
use crate::output::{Failure, Output, Verdict};
use crate::progress::Progress;
use crate::select::{self, Overrides};
use crate::selected::{self, Folded, Selected};
use crate::shard::Sweep;
use crate::{github, remark, sarif};

/// Runs scenarios and reports their outcomes.
///
/// A single scenario is shown in full; of several, those that are not as expected, and totals.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple run scenarios/rhel-6.5 --kernel rhel-6.5,linux-6.18\n\nExit status: 0 if all expectations are met and the engines agree; 1 if an expectation failed or engines differ; 2 if a scenario or the arguments are invalid, the machine lacks a resource, or nothing ran."
)]
pub(crate) struct Args {
    /// Scenario files, or directories of them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    engines: EngineArgs,
    #[command(flatten)]
    overrides: Overrides,
    /// Format of the outcome.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Show every scenario, including those that are as expected.
    #[arg(short, long)]
    verbose: bool,
    /// Show only the verdict.
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Scenarios to run at a time [default: number of CPUs]. The output is the same.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    #[command(flatten)]
    sweep: Sweep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A few lines for each scenario.
    Text,
    /// One JSON document.
    Json,
    /// A JSON object on each line.
    JsonLines,
    /// JUnit XML, for build servers.
    Junit,
    /// Annotations for GitHub Actions.
    Github,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

/// The scenarios that the text shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    None,
    Failed,
    All,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let engines = self.engines.make()?;
        let mut selected = select::all(&self.paths, &self.overrides)?;
        let sweep = selected.iter().map(Selected::sweep_item);
        let engine_names = engines.iter().map(|made| made.engine().name().to_owned());
        let seal = self.sweep.shard.seal("run", sweep.chain(engine_names));
        let is_part = seal.is_some();
        self.sweep.shard.keep(&mut selected);
        let folded = selected::fold(selected);
        let asked: Vec<&dyn Engine> = engines.iter().map(Made::engine).collect();
        let budget = self.overrides.budget;
        let needs = budget.check(&folded, &asked)?;
        let needs: Vec<u64> = needs.into_iter().map(Need::memory).collect();
        engines::prepare(&engines, &folded);
        let shown = match (self.quiet, self.verbose || folded.len() == 1 && !is_part) {
            (true, _) => Shown::None,
            (false, true) => Shown::All,
            (false, false) => Shown::Failed,
        };
        let mut totals = Totals::default();
        let mut writer = Writer::start(self.format, self.quiet, out)?;
        let plan = Plan {
            jobs: self.jobs,
            needs: &needs,
            memory: &MemoryBudget::new(budget.memory()),
            small: self.format == Format::Text,
        };
        let ran = |n: usize| {
            let Folded { scenario, cases } = &folded[n];
            let report = runner::run_folded(scenario, cases, &asked);
            Ran::of(report, self.format, shown)
        };
        let name = |n: usize| folded[n].scenario.name.clone();
        let progress = Progress::of(folded.len());
        map_ordered(&plan, &progress, name, ran, |ran| {
            totals.add(ran.totals);
            writer.add(out, &ran.outcome)
        })?;
        drop(progress);
        if self.format == Format::Text && shown != Shown::None {
            out.faint(&selected::certificate(&folded))?;
        }
        writer.finish(out, &totals)?;
        if let (Format::JsonLines, Some(seal)) = (self.format, seal) {
            seal.write(out)?;
        }
        engines::check_engines_completed(out, &engines)?;
        let verdict = Verdict::of(&totals, self.engines.named());
        if verdict.is_err() {
            out.flush()?;
        }
        verdict
    }
}

/// The outcome of a scenario.
struct Ran {
    totals: Totals,
    outcome: Outcome,
}

enum Outcome {
    /// Not to be shown.
    Hidden,
    /// Formatted text, much smaller than the report.
    Text(Text),
    Report(ScenarioReport),
}

impl Ran {
    fn of(report: ScenarioReport, format: Format, shown: Shown) -> Self {
        let assessment = Assessment::of(&report);
        let failed = assessment.verdict == ScenarioVerdict::Failed;
        Ran {
            totals: Totals::of(&report, &assessment),
            outcome: match format {
                Format::Text if shown == Shown::All || failed && shown == Shown::Failed => {
                    Outcome::Text(text::summary::summary(&report))
                }
                Format::Text => Outcome::Hidden,
                _ => Outcome::Report(report),
            },
        }
    }
}

/// Writes outcomes in one of the formats.
enum Writer {
    Text { quiet: bool },
    Json(json::Document),
    Lines,
    Junit(junit::Suites),
    Github,
    Sarif(sarif::Log),
}

impl Writer {
    fn start(format: Format, quiet: bool, out: &mut Output) -> Result<Self, Failure> {
        Ok(match format {
            Format::Text => Writer::Text { quiet },
            Format::Json => Writer::Json(json::Document::start(out)?),
            Format::JsonLines => Writer::Lines,
            Format::Junit => Writer::Junit(junit::Suites::default()),
            Format::Github => Writer::Github,
            Format::Sarif => Writer::Sarif(sarif::Log::new(remark::CHECKS)),
        })
    }

    fn add(&mut self, out: &mut Output, outcome: &Outcome) -> Result<(), Failure> {
        match (self, outcome) {
            (_, Outcome::Hidden) | (Writer::Text { .. }, Outcome::Report(_)) => {}
            (_, Outcome::Text(words)) => {
                out.styled(words)?;
                writeln!(out)?;
            }
            (Writer::Json(document), Outcome::Report(report)) => document.add(out, report)?,
            (Writer::Lines, Outcome::Report(report)) => json::write_lines(out, report)?,
            (Writer::Junit(suites), Outcome::Report(report)) => suites.add(report),
            (Writer::Github, Outcome::Report(report)) => {
                github::write(out, &remark::on_report(report))?;
            }
            (Writer::Sarif(log), Outcome::Report(report)) => log.add(&remark::on_report(report)),
        }
        Ok(())
    }

    fn finish(self, out: &mut Output, totals: &Totals) -> Result<(), Failure> {
        match self {
            Writer::Text { quiet: false } => out.styled(&totals.summary())?,
            Writer::Text { quiet: true } | Writer::Github => writeln!(out, "{}", totals.line())?,
            Writer::Json(document) => document.finish(out)?,
            Writer::Lines => {}
            Writer::Junit(suites) => suites.write(out)?,
            Writer::Sarif(log) => log.write(out)?,
        }
        Ok(())
    }
}
