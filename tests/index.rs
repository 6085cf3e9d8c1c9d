//! The index of the corpus is up to date, and no scenario is there for nothing.

use std::collections::{BTreeMap, BTreeSet};

use fourtuple_harness::{CaseReport, ScenarioReport, Tally, tally};
use fourtuple_scenario::{Program, load};
use fourtuple_suite::{index, root, scenarios};

#[test]
fn the_index_is_up_to_date() {
    let path = root().join("scenarios/README.md");
    let page = index::page();
    if std::env::var_os("FOURTUPLE_UPDATE").is_some() {
        std::fs::write(&path, page).expect("the index can be written");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = page
        .lines()
        .zip(kept.lines())
        .find(|(made, kept)| made != kept);
    assert!(
        page == kept,
        "scenarios/README.md is out of date: FOURTUPLE_UPDATE=1 cargo test --test index\nfirst difference: {differs:#?}"
    );
}

/// Name, text of the scenario, text of the snapshot.
fn corpus() -> Vec<(String, String, String)> {
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap_or_default();
    scenarios()
        .iter()
        .map(|path| {
            let name = index::name(path);
            let snapshot = read(&root().join(format!("snapshots/{name}.snap")));
            (name, read(path), snapshot)
        })
        .collect()
}

#[test]
fn no_two_snapshots_differ_only_by_name() {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (name, _, snapshot) in corpus() {
        let path = root().join(format!("scenarios/{name}.yaml"));
        let scenario = load(&path).unwrap_or_else(|errors| panic!("{errors}"));
        let names: Vec<String> = match &scenario.points()[0].body.program {
            Program::Processes(processes) => processes.keys().cloned().collect(),
            Program::Steps(steps) => steps
                .iter()
                .filter_map(|step| step.socket().map(str::to_owned))
                .collect(),
        };
        // The question and the process are names; calls and answers are not.
        let story: String = snapshot
            .lines()
            .skip_while(|line| !line.starts_with("== "))
            .map(|line| anonymous(line, &names))
            .collect();
        if let Some(other) = seen.insert(story, name.clone()) {
            panic!("the snapshots of {other} and {name} differ only by name");
        }
    }
}

/// A line without the names that a scenario's author chose.
fn anonymous(line: &str, names: &[String]) -> String {
    let words =
        line.split_whitespace()
            .map(|word| match names.iter().position(|name| name == word) {
                Some(at) => format!("<{at}>"),
                None => word.to_owned(),
            });
    words.collect::<Vec<_>>().join(" ") + "\n"
}

/// The answers of one case to all calls, without times, ports and reasons.
fn answers(case: &CaseReport) -> Vec<Tally> {
    let run = case.reference().expect("the model runs everything");
    tally(&run.attempts)
}

/// Axes of the matrix that never make a difference: not on any kernel, at no point of the other
/// axes.
fn idle_axes(report: &ScenarioReport) -> Vec<String> {
    let axes: BTreeSet<&String> = report
        .cases
        .iter()
        .flat_map(|case| case.case.axes.keys())
        .collect();
    let idle = axes.into_iter().filter(|axis| {
        let mut seen: BTreeMap<String, Vec<Tally>> = BTreeMap::new();
        report.cases.iter().all(|case| {
            let others = case.case.axes.iter().filter(|(name, _)| name != axis);
            let others: Vec<_> = others.collect();
            let point = format!("{} {others:?}", case.kernels[0]);
            let answers = answers(case);
            *seen.entry(point).or_insert_with(|| answers.clone()) == answers
        })
    });
    idle.cloned().collect()
}

/// A scenario whose answers are the same everywhere says so in a comment, `# One answer: ...`, with
/// what it is kept for; an axis that never makes a difference has `# No difference by AXIS: ...`.
/// Neither is there without need.
#[test]
fn scenario_without_a_difference_says_why_it_is_kept() {
    let mut wrong = Vec::new();
    for (path, report) in index::reports() {
        let name = index::name(path);
        let text = std::fs::read_to_string(path).expect("a scenario is text");
        let has_comment = |lead: &str| {
            text.lines()
                .any(|line| line.starts_with(lead) && line.len() > lead.len() + 20)
        };
        let first = answers(&report.cases[0]);
        let same = report.cases.len() > 1 && report.cases.iter().all(|case| answers(case) == first);
        let single = report.cases.len() == 1 && report.cases[0].kernels.len() == 1;
        if same && !has_comment("# One answer") {
            wrong.push(format!(
                "{name}: one answer for every kernel and point, and no comment `# One answer: ...`"
            ));
        }
        if !same && !single && has_comment("# One answer") {
            wrong.push(format!(
                "{name}: there are several answers, though a comment says that there is one"
            ));
        }
        let idle = idle_axes(report);
        for axis in idle.iter().filter(|_| !same) {
            if !has_comment(&format!("# No difference by {axis}:")) {
                wrong.push(format!("{name}: `{axis}` makes no difference, and no comment `# No difference by {axis}: ...`"));
            }
        }
        for line in text.lines() {
            let axis = line
                .strip_prefix("# No difference by ")
                .and_then(|rest| rest.split_once(':'));
            if axis.is_some_and(|(axis, _)| !idle.iter().any(|one| one == axis)) {
                wrong.push(format!("{name}: {line}: it does make one"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
