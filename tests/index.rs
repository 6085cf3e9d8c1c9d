//! The index of the corpus is up to date, and no scenario is there for nothing.

use std::collections::BTreeMap;

use fourtuple_scenario::{Program, load};
use fourtuple_suite::{files, index, root};

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
    let scenarios = files(&root().join("scenarios"));
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap_or_default();
    scenarios
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
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
        // What is asked and by whom is a name; what was called and answered is not.
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

#[test]
fn a_scenario_with_one_answer_says_why_it_is_kept() {
    for (name, text, snapshot) in corpus() {
        // The scenarios of the report are read one beside the other: what one shows, the next one contrasts.
        if name.starts_with("rhel-6.5/") {
            continue;
        }
        let answers = snapshot
            .lines()
            .filter(|line| line.starts_with("== "))
            .count();
        let comments = text
            .lines()
            .skip(1)
            .filter(|line| line.starts_with("# "))
            .count();
        assert!(
            answers != 1 || comments > 0,
            "{name}: one answer for every kernel and point, and no comment says why"
        );
    }
}
