//! The index of the corpus, `scenarios/README.md`: the questions of all scenarios, and the kernels'
//! answers.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use fourtuple_harness::kernels::{self, Order};
use fourtuple_harness::{CaseReport, Engine, Group, Model, ScenarioReport, Tally, runner, tally};
use fourtuple_render::title;
use fourtuple_scenario::{Scenario, expand, load};
use fourtuple_turmoil::engine::Turmoil;

use crate::{relative, scenarios};

/// Answers shown of one scenario.
const ANSWERS: usize = 6;

const HEAD: &str = "\
# Scenarios

This page is generated from the scenarios and from what the model answers; the test `index` keeps it up to date:
`FOURTUPLE_UPDATE=1 cargo test --test index`.

Each question links to its scenario and each name to its snapshot, with the details. An answer names the
kernels and the points of the matrix that it is for, then the calls in which the answers differ.
";

/// The text of the page.
///
/// # Panics
/// When a scenario cannot be read.
#[must_use]
pub fn page() -> String {
    let rows: Vec<_> = reports()
        .iter()
        .map(|(path, report)| row(path, report))
        .collect();
    let mut out = HEAD.to_owned();
    writeln!(out, "\n{} scenarios.", rows.len()).expect("a string takes everything");
    let mut topic = "";
    for (name, row) in &rows {
        let of = name.split_once('/').map_or("", |(topic, _)| topic);
        if of != topic {
            topic = of;
            let count = rows
                .iter()
                .filter(|(name, _)| name.starts_with(&format!("{topic}/")))
                .count();
            let head = "| question | answer | snapshot |\n|---|---|---|";
            writeln!(out, "\n## {topic} ({count})\n\n{head}").expect("a string takes everything");
        }
        out.push_str(row);
    }
    out
}

/// The model's outcomes of all scenarios of the corpus, by path. Several threads run them, once
/// each: some are large.
///
/// # Panics
/// When a scenario cannot be read.
pub fn reports() -> &'static [(PathBuf, ScenarioReport)] {
    static REPORTS: OnceLock<Vec<(PathBuf, ScenarioReport)>> = OnceLock::new();
    REPORTS.get_or_init(|| {
        let paths = scenarios();
        let threads = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(8);
        let next = AtomicUsize::new(0);
        let mut reports: Vec<(PathBuf, ScenarioReport)> = std::thread::scope(|scope| {
            let work = || {
                let mut made = Vec::new();
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let scenario = load(path).unwrap_or_else(|errors| panic!("{errors}"));
                    made.push((path.clone(), model(&scenario)));
                }
                made
            };
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .flat_map(|worker| worker.join().expect("no scenario panics"))
                .collect()
        });
        reports.sort_by(|(a, _), (b, _)| a.cmp(b));
        reports
    })
}

fn row(path: &Path, report: &ScenarioReport) -> (String, String) {
    let name = name(path);
    let short = name.rsplit('/').next().unwrap_or(&name);
    let question = cell(&report.about);
    let answers = answers(report).join("<br>");
    (
        name.clone(),
        format!(
            "| [{question}]({name}.yaml) | {answers} | [{short}](../snapshots/{name}.snap) |\n"
        ),
    )
}

/// A scenario's path below `scenarios/`, without the ending.
#[must_use]
pub fn name(path: &Path) -> String {
    let below = relative(path).with_extension("");
    let below = below.strip_prefix("scenarios").unwrap_or(&below);
    below.to_string_lossy().replace('\\', "/")
}

fn model(scenario: &Scenario) -> ScenarioReport {
    let cases = expand(scenario, &kernels::names()).unwrap_or_else(|errors| panic!("{errors}"));
    // The model has no network: where the scenario asks for one, the answers are turmoil's.
    let engines: [&dyn Engine; 2] = [&Model, &Turmoil];
    let ideal = cases.iter().all(|case| case.network.is_ideal());
    runner::run(scenario, cases, &engines[usize::from(!ideal)..][..1])
}

/// A line for each different answer.
fn answers(report: &ScenarioReport) -> Vec<String> {
    let order = Order::new();
    // Cases that differ in time or in reasons only have one line here.
    let mut answers: Vec<(Vec<Tally>, Vec<&CaseReport>)> = Vec::new();
    for group in Group::all(report) {
        let Some(run) = group.cases[0].reference() else {
            continue;
        };
        let tallies = tally(&run.attempts);
        match answers.iter_mut().find(|(same, _)| *same == tallies) {
            Some((_, cases)) => cases.extend(group.cases),
            None => answers.push((tallies, group.cases)),
        }
    }
    let tallies: Vec<&[Tally]> = answers
        .iter()
        .map(|(tallies, _)| tallies.as_slice())
        .collect();
    let mut lines: Vec<String> = answers
        .iter()
        .take(ANSWERS)
        .map(|(of_one, cases)| {
            let words = what(of_one, &tallies);
            match answers.len() {
                1 => words,
                _ => format!(
                    "**{}**: {words}",
                    cell(&title(cases, &report.cases, &order))
                ),
            }
        })
        .collect();
    if answers.len() > ANSWERS {
        lines.push(format!("and {} more", answers.len() - ANSWERS));
    }
    lines
}

/// The calls in which the answers differ; if none do, those that fail, or the last.
fn what(tallies: &[Tally], all: &[&[Tally]]) -> String {
    let everywhere = |tally: &Tally| all.iter().all(|others| others.contains(tally));
    let failed = |tally: &Tally| tally.answers.iter().any(|(answer, _)| !answer.is_ok());
    let mut chosen: Vec<&Tally> = tallies.iter().filter(|tally| !everywhere(tally)).collect();
    if chosen.is_empty() {
        chosen = tallies.iter().filter(|tally| failed(tally)).collect();
    }
    if chosen.is_empty() {
        chosen = tallies.last().into_iter().collect();
    }
    let words = chosen
        .iter()
        .map(|tally| format!("{} {} {tally}", tally.process, tally.op));
    words.collect::<Vec<_>>().join("; ")
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
