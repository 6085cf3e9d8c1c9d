//! `fourtuple run`: runs scenarios and says what happened.

use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use fourtuple_harness::agreement::Agreement;
use fourtuple_harness::{Engine, Need, ScenarioReport, json, runner, text};

use crate::in_order::{Plan, in_order};
use crate::output::{Failure, Output, Verdict};
use crate::progress::Progress;
use crate::room::Room;
use crate::select::{self, Folded, Overrides};
use crate::shard::Shard;
use crate::{engines, github, junit};

/// Runs scenarios on engines and says what happened, why, and whether it was expected.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple run scenarios/rhel-6.5 --kernel rhel-6.5,linux-6.18\n\nExit status: 0 if all is as expected and the engines agree, 1 if not, 2 if a scenario or the call is wrong or a real kernel's run broke off."
)]
pub(crate) struct Args {
    /// Scenario files, or directories of them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Engines to run on.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values_t = engines::DEFAULT.map(str::to_owned))]
    engine: Vec<String>,
    #[command(flatten)]
    real: engines::RealArgs,
    #[command(flatten)]
    overrides: Overrides,
    /// How to write the outcome.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// How many scenarios to run at a time; as many as there are processors if left out. The output is the same.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Run only one part of the scenarios, such as the second of five. Parts one after the other, in json-lines, are the
    /// whole.
    #[arg(
        long,
        value_name = "K/N",
        default_value = "1/1",
        hide_default_value = true
    )]
    shard: Shard,
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
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let engines = engines::by_name(&self.engine, &self.real)?;
        let mut selected = select::all(&self.paths, &self.overrides)?;
        self.shard.keep(&mut selected);
        let folded = select::fold(selected);
        let asked: Vec<&dyn Engine> = engines.iter().map(AsRef::as_ref).collect();
        let budget = self.overrides.budget;
        let needs = budget.check(&folded, &asked)?;
        let needs: Vec<u64> = needs.into_iter().map(Need::memory).collect();
        engines::prepare(&engines, &folded);
        let mut totals = Totals::default();
        let mut writer = Writer::start(self.format, out)?;
        let plan = Plan {
            jobs: self.jobs,
            needs: &needs,
            room: &Room::new(budget.memory()),
            small: self.format == Format::Text,
        };
        let ran = |n: usize| {
            let Folded { scenario, cases } = &folded[n];
            let report = runner::run_folded(scenario, cases, &asked);
            Ran::of(report, self.format)
        };
        let name = |n: usize| folded[n].scenario.name.clone();
        let progress = Progress::of(folded.len());
        in_order(&plan, &progress, name, ran, |ran| {
            totals.add(&ran.totals);
            writer.add(out, &ran.outcome)
        })?;
        drop(progress);
        writer.finish(out, &totals)?;
        engines::all_came_to_an_end(out, &engines)?;
        Ok(if totals.failed == 0 {
            Verdict::Good
        } else {
            Verdict::Bad
        })
    }
}

/// What came of a scenario.
struct Ran {
    totals: Totals,
    outcome: Outcome,
}

enum Outcome {
    /// In words: much less than the report.
    Text(String),
    Report(ScenarioReport),
}

impl Ran {
    fn of(report: ScenarioReport, format: Format) -> Self {
        Ran {
            totals: Totals::of(&report),
            outcome: match format {
                Format::Text => Outcome::Text(text::summary::summary(&report)),
                _ => Outcome::Report(report),
            },
        }
    }
}

/// Sums over all scenarios.
#[derive(Debug, Default)]
struct Totals {
    scenarios: usize,
    runs: usize,
    failed: usize,
    differing: usize,
    compared: bool,
}

impl Totals {
    /// Those of one scenario.
    fn of(report: &ScenarioReport) -> Self {
        let agreement = || report.cases.iter().flat_map(|case| &case.agreement);
        Totals {
            scenarios: 1,
            runs: (report.cases.iter())
                .map(|case| case.reports().count())
                .sum(),
            failed: usize::from(report.failed()),
            differing: usize::from(agreement().any(Agreement::fails)),
            compared: agreement().next().is_some(),
        }
    }

    fn add(&mut self, other: &Totals) {
        self.scenarios += other.scenarios;
        self.runs += other.runs;
        self.failed += other.failed;
        self.differing += other.differing;
        self.compared |= other.compared;
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let s = |n: usize| if n == 1 { "" } else { "s" };
        let Totals {
            scenarios,
            runs,
            failed,
            differing,
            compared,
        } = self;
        write!(
            f,
            "{scenarios} scenario{}, {runs} run{}: ",
            s(*scenarios),
            s(*runs)
        )?;
        if *failed == 0 {
            let engines = if *compared { ", engines agree" } else { "" };
            return write!(f, "all as expected{engines}");
        }
        write!(f, "{failed} scenario{} not as expected", s(*failed))?;
        if *differing > 0 {
            write!(f, ", engines DIFFER in {differing}")?;
        }
        Ok(())
    }
}

/// The outcome in one of its formats.
enum Writer {
    Text,
    Json(json::Document),
    Lines,
    Junit(junit::Suites),
    Github,
}

impl Writer {
    fn start(format: Format, out: &mut Output) -> Result<Self, Failure> {
        Ok(match format {
            Format::Text => Writer::Text,
            Format::Json => Writer::Json(json::Document::start(out)?),
            Format::JsonLines => Writer::Lines,
            Format::Junit => Writer::Junit(junit::Suites::new()),
            Format::Github => Writer::Github,
        })
    }

    fn add(&mut self, out: &mut Output, outcome: &Outcome) -> Result<(), Failure> {
        match (self, outcome) {
            (_, Outcome::Text(words)) => out.text(&format!("{words}\n"))?,
            (Writer::Text, Outcome::Report(report)) => {
                out.text(&format!("{}\n", text::summary::summary(report)))?;
            }
            (Writer::Json(document), Outcome::Report(report)) => document.add(out, report)?,
            (Writer::Lines, Outcome::Report(report)) => json::write_lines(out, report)?,
            (Writer::Junit(suites), Outcome::Report(report)) => suites.add(report),
            (Writer::Github, Outcome::Report(report)) => github::write(out, report)?,
        }
        Ok(())
    }

    fn finish(self, out: &mut Output, totals: &Totals) -> Result<(), Failure> {
        match self {
            Writer::Text => out.text(&totals.to_string())?,
            Writer::Json(document) => document.finish(out)?,
            Writer::Lines => {}
            Writer::Junit(suites) => suites.write(out)?,
            Writer::Github => writeln!(out, "{totals}")?,
        }
        Ok(())
    }
}
