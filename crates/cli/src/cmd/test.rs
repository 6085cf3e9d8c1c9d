//! `fourtuple test`: a suite of scenarios against its snapshots, without Rust.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use fourtuple_harness::{Engine, Model, Need, ScenarioReport, runner};
use fourtuple_render::junit::Suites;
use fourtuple_render::text;
use fourtuple_turmoil::engine::{Stock, Turmoil};

use crate::budget::Budget;
use crate::memory::MemoryBudget;
use crate::ordered::{Plan, map_ordered};
use crate::output::{Failure, Output, Verdict};
use crate::progress::Progress;
use crate::select::{self, Overrides};
use crate::selected::{self, Folded, Selected};
use crate::shard::Sweep;
use crate::snapshot_file::{Comparison, SnapshotFile};

const SCENARIOS: &str = "scenarios";
const SNAPSHOTS: &str = "snapshots";

/// Compares a suite of scenarios with its snapshots.
///
/// A suite is a folder with scenarios, below `scenarios` if there is such a folder, and their
/// snapshots below `snapshots`. The files are those of `cargo insta`, so a Rust project can use
/// either.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple test . --accept, once; fourtuple test . in every build after that\n\nExit status: 0 if all outcomes match, 1 if one differs, is new, or is not as expected, 2 if a scenario or the invocation is wrong."
)]
pub(crate) struct Args {
    /// The folder of the suite.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Compare and write nothing; the default.
    #[arg(long)]
    check: bool,
    /// Write the outcomes as snapshots, and remove snapshots that have no scenario.
    #[arg(long, conflicts_with = "check")]
    accept: bool,
    /// Show each difference on the terminal and ask whether to accept it.
    #[arg(long, conflicts_with_all = ["check", "accept"])]
    review: bool,
    /// Format of the result.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    budget: Budget,
    /// Scenarios to run at a time [default: number of CPUs]. The output is the same.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    #[command(flatten)]
    sweep: Sweep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Differences, then a line with counts.
    Text,
    /// JUnit XML, for build servers.
    Junit,
}

/// The result of one scenario.
struct Tested {
    name: String,
    input: String,
    outcome: String,
    /// Expectations that failed and engines that disagree, if any.
    unmet: Option<String>,
}

#[derive(Default)]
struct Counts {
    matching: usize,
    differing: usize,
    new: usize,
    unmet: usize,
    accepted: usize,
    orphans: usize,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        if self.review && !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return Err(Failure::Message(
                "error: `--review` needs a terminal\n  = help: `--check` shows the differences, `--accept` writes them"
                    .to_owned(),
            ));
        }
        let folder = self.dir.join(SCENARIOS);
        let folder = if folder.is_dir() {
            folder
        } else {
            self.dir.clone()
        };
        let overrides = Overrides {
            kernel: Vec::new(),
            seed: None,
            hz: None,
            budget: self.budget,
        };
        let mut selected = select::all(&[folder], &overrides)?;
        for one in &mut selected {
            // Snapshots do not depend on the location of the suite.
            one.scenario.file = below(&self.dir, Path::new(&one.scenario.file));
            for case in &mut one.cases {
                case.file.clone_from(&one.scenario.file);
            }
        }
        let orphans = orphans(&self.snapshots(), &selected)?;
        self.sweep.shard.keep(&mut selected);
        let full_size: Vec<bool> = (selected.iter())
            .map(|one| runner::is_full_size(&one.cases))
            .collect();
        let folded = selected::fold(selected);
        let mut counts = Counts::default();
        let mut junit = Suites::default();
        self.each(&folded, &full_size, |tested| {
            self.judge(out, &tested, &mut counts, &mut junit)
        })?;
        for orphan in &orphans {
            self.orphan(out, orphan, &mut counts, &mut junit)?;
        }
        match self.format {
            Format::Text => out.text(&counts.to_string())?,
            Format::Junit => junit.write(out)?,
        }
        Ok(counts.verdict())
    }

    fn snapshots(&self) -> PathBuf {
        self.dir.join(SNAPSHOTS)
    }

    /// Runs the scenarios, several at a time, and hands the results over in their order.
    fn each(
        &self,
        folded: &[Folded],
        full_size: &[bool],
        each: impl FnMut(Tested) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let all: [&dyn Engine; 3] = [&Model, &Turmoil, &Stock];
        let engines = |n: usize| if full_size[n] { &all[..1] } else { &all[..] };
        let needs = self.budget.check_each(folded, engines)?;
        let needs: Vec<u64> = needs.into_iter().map(Need::memory).collect();
        let plan = Plan {
            jobs: self.jobs,
            needs: &needs,
            memory: &MemoryBudget::new(self.budget.memory()),
            small: true,
        };
        let run = |n: usize| {
            let Folded { scenario, cases } = &folded[n];
            let report = runner::run_folded(scenario, cases, engines(n));
            Tested {
                name: snapshot_name(&scenario.file),
                input: scenario.file.clone(),
                outcome: text::snapshot::snapshot(&report),
                unmet: unmet(&report),
            }
        };
        let name = |n: usize| folded[n].scenario.name.clone();
        map_ordered(&plan, &Progress::of(folded.len()), name, run, each)
    }

    /// Compares one outcome with its snapshot, and writes the snapshot where that is asked for.
    fn judge(
        &self,
        out: &mut Output,
        tested: &Tested,
        counts: &mut Counts,
        junit: &mut Suites,
    ) -> Result<(), Failure> {
        let path = self.snapshots().join(format!("{}.snap", tested.name));
        let file = SnapshotFile::read(path)?;
        let comparison = file.compare(&tested.outcome);
        let difference = match &comparison {
            Comparison::Same => None,
            Comparison::New => Some("new: no snapshot yet\n".to_owned()),
            Comparison::Differs(diff) => Some(diff.clone()),
        };
        let accepted = match &difference {
            None => false,
            Some(_) if self.accept => true,
            Some(text) => self.review && ask(out, &tested.name, text)?,
        };
        if accepted {
            file.accept(&tested.outcome, &tested.input)?;
            counts.accepted += 1;
        }
        let difference = difference.filter(|_| !accepted);
        match (&comparison, &difference) {
            (Comparison::Same, _) => counts.matching += 1,
            (Comparison::New, Some(_)) => counts.new += 1,
            (Comparison::Differs(_), Some(_)) => counts.differing += 1,
            _ => {}
        }
        counts.unmet += usize::from(tested.unmet.is_some());
        let problems: Vec<&str> = [&difference, &tested.unmet]
            .into_iter()
            .filter_map(Option::as_deref)
            .collect();
        match self.format {
            Format::Junit => junit.compared(&tested.name, &problems.join("\n")),
            Format::Text if problems.is_empty() || self.review => {}
            Format::Text => out.text(&format!("{}\n{}", tested.name, problems.join("\n")))?,
        }
        Ok(())
    }

    /// A snapshot without a scenario: a failure, or removed with `--accept`.
    fn orphan(
        &self,
        out: &mut Output,
        path: &Path,
        counts: &mut Counts,
        junit: &mut Suites,
    ) -> Result<(), Failure> {
        let name = below(&self.snapshots(), path);
        if self.accept {
            std::fs::remove_file(path).map_err(|error| {
                Failure::Message(format!(
                    "error: failed to remove {}: {error}",
                    path.display()
                ))
            })?;
            counts.accepted += 1;
            return Ok(());
        }
        counts.orphans += 1;
        let problem = "orphan: no scenario of this name; `--accept` removes the snapshot";
        match self.format {
            Format::Text => out.text(&format!("{name}\n  {problem}\n"))?,
            Format::Junit => junit.compared(&name, problem),
        }
        Ok(())
    }
}

impl Counts {
    fn verdict(&self) -> Verdict {
        match self.differing + self.new + self.unmet + self.orphans {
            0 => Verdict::Good,
            _ => Verdict::Bad,
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            (self.matching, "matching"),
            (self.differing, "differing"),
            (self.new, "new"),
            (self.orphans, "without a scenario"),
            (self.unmet, "not as expected"),
            (self.accepted, "accepted"),
        ];
        let words: Vec<String> = parts
            .iter()
            .enumerate()
            .filter(|(at, (count, _))| *at == 0 || *count > 0)
            .map(|(_, (count, word))| format!("{count} {word}"))
            .collect();
        write!(f, "snapshots: {}", words.join(", "))
    }
}

/// Shows a difference and asks whether to accept it.
fn ask(out: &mut Output, name: &str, difference: &str) -> Result<bool, Failure> {
    out.text(&format!("{name}\n{difference}"))?;
    write!(out, "accept? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The failed expectations and disagreements of a report, as `run` prints them.
fn unmet(report: &ScenarioReport) -> Option<String> {
    report
        .failed()
        .then(|| text::summary::summary(report).to_string())
}

/// A path below a folder, with `/` between its parts.
fn below(folder: &Path, path: &Path) -> String {
    let path = path.strip_prefix(folder).unwrap_or(path);
    let path = path.strip_prefix(".").unwrap_or(path);
    path.to_string_lossy().replace('\\', "/")
}

/// The name of a scenario's snapshot: its path below the scenarios, without the extension.
fn snapshot_name(file: &str) -> String {
    let path = Path::new(file).with_extension("");
    below(Path::new(SCENARIOS), &path)
}

/// Snapshots without a scenario, sorted.
fn orphans(snapshots: &Path, selected: &[Selected]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    collect(snapshots, &mut found).map_err(|error| {
        Failure::Message(format!(
            "error: failed to read {}: {error}",
            snapshots.display()
        ))
    })?;
    let known: Vec<String> = selected
        .iter()
        .map(|one| snapshot_name(&one.scenario.file))
        .collect();
    found.retain(|path| {
        let name = below(snapshots, &path.with_extension(""));
        !known.contains(&name)
    });
    found.sort();
    Ok(found)
}

/// The snapshot files below a folder. Links to folders are skipped.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "snap") {
            found.push(path);
        }
    }
    Ok(())
}
