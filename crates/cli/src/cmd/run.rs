//! `fourtuple run`: runs scenarios and says what happened.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use clap::ValueEnum;
use fourtuple_harness::{Engine, Need, ScenarioReport, json, runner, text};

use crate::output::{Failure, Output, Verdict};
use crate::progress::Progress;
use crate::room::Room;
use crate::select::{self, Overrides, Selected};
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
        let asked: Vec<&dyn Engine> = engines.iter().map(AsRef::as_ref).collect();
        let budget = self.overrides.budget;
        let needs = budget.check(&selected, &asked)?;
        let needs: Vec<u64> = needs.into_iter().map(Need::memory).collect();
        engines::prepare(&engines, &selected);
        let mut totals = Totals::default();
        let mut writer = Writer::start(self.format, out)?;
        let room = Room::new(budget.memory());
        in_order(selected, &asked, self.jobs, (&room, &needs), |report| {
            totals.add(&report);
            writer.add(out, &report)
        })?;
        writer.finish(out, &totals)?;
        engines::all_came_to_an_end(out, &engines)?;
        Ok(if totals.failed == 0 {
            Verdict::Good
        } else {
            Verdict::Bad
        })
    }
}

/// Runs scenarios on several threads, as many at a time as there is room for what they need, and hands their reports over in the order of the scenarios.
fn in_order(
    selected: Vec<Selected>,
    engines: &[&dyn Engine],
    jobs: Option<usize>,
    (room, needs): (&Room, &[u64]),
    mut each: impl FnMut(ScenarioReport) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let total = selected.len();
    let processors = || std::thread::available_parallelism().map_or(1, Into::into);
    let jobs = jobs.unwrap_or_else(processors).clamp(1, total.max(1));
    let next = Mutex::new(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel::<(usize, ScenarioReport)>();
        for _ in 0..jobs {
            let sender = sender.clone();
            let (selected, next, stop) = (&selected, &next, &stop);
            scope.spawn(move || {
                let _guard = Leaving { room, stop };
                loop {
                    let index = {
                        // Room is taken in the order of the scenarios: what is waited for is never behind what waits.
                        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                        let index = *next;
                        *next += 1;
                        if let Some(need) = needs.get(index) {
                            room.take(*need);
                        }
                        index
                    };
                    let Some(one) = selected
                        .get(index)
                        .filter(|_| !stop.load(Ordering::Relaxed))
                    else {
                        return;
                    };
                    let report = runner::run(&one.scenario, one.cases.clone(), engines);
                    if sender.send((index, report)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early: Vec<Option<ScenarioReport>> = (0..total).map(|_| None).collect();
        let progress = Progress::of(total);
        let mut done = 0;
        while done < total {
            progress.at(done, &*selected[done].scenario.name);
            match receiver.recv() {
                Ok((index, report)) => early[index] = Some(report),
                Err(mpsc::RecvError) => {
                    return Err(Failure::Told(
                        "error: a scenario ended without a result".to_owned(),
                    ));
                }
            }
            while let Some(report) = early.get_mut(done).and_then(Option::take) {
                let told = progress.aside(|| each(report));
                room.give(needs[done]);
                done += 1;
                if let Err(failure) = told {
                    stop.store(true, Ordering::Relaxed);
                    room.open();
                    return Err(failure);
                }
            }
        }
        Ok(())
    })
}

/// Lets the others go on when a thread panics: what it had room for is never given back.
struct Leaving<'a> {
    room: &'a Room,
    stop: &'a AtomicBool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.stop.store(true, Ordering::Relaxed);
            self.room.open();
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
    fn add(&mut self, report: &ScenarioReport) {
        self.scenarios += 1;
        self.runs += report
            .cases
            .iter()
            .map(|case| case.reports().count())
            .sum::<usize>();
        self.failed += usize::from(report.failed());
        self.compared |= report.cases.iter().any(|case| !case.agreement.is_empty());
        let differing = report
            .cases
            .iter()
            .flat_map(|case| &case.agreement)
            .filter(|one| one.fails());
        self.differing += usize::from(differing.count() > 0);
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

    fn add(&mut self, out: &mut Output, report: &ScenarioReport) -> Result<(), Failure> {
        match self {
            Writer::Text => out.text(&format!("{}\n", text::summary::summary(report)))?,
            Writer::Json(document) => document.add(out, report)?,
            Writer::Lines => json::write_lines(out, report)?,
            Writer::Junit(suites) => suites.add(report),
            Writer::Github => github::write(out, report)?,
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
