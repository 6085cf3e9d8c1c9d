//! Fixes as edits of the text of a scenario.

use std::path::Path;

use fourtuple_analysis::remedies::{Allowance, Remedy, SocketCounts, edited, examine};
use fourtuple_harness::{Engine as _, Model, kernels};
use fourtuple_kernel::profile;
use fourtuple_scenario::{Case, Program, Scenario, discover, expand, load, parse};

/// Calls that the fixes of one case may make.
const CALLS: u64 = 1_000;

/// The cases of the first kernel.
fn cases(scenario: &Scenario) -> Vec<Case> {
    let mut cases = expand(scenario, &kernels::names()).expect("the corpus is valid");
    let first = cases.first().expect("there is a case").kernel.clone();
    cases.retain(|case| case.kernel == first);
    cases
}

fn fixes(case: &Case) -> Vec<Remedy> {
    let profile = profile::find(&case.kernel).expect("the kernel exists");
    let mut allowance = Allowance::of(CALLS);
    examine(case, &profile, &mut allowance, &mut |_, _| {})
        .map(|all| all.remedies)
        .unwrap_or_default()
}

/// The case of an edited text that stands for the case of a fix.
fn case_of(text: &str, wanted: &Case) -> Case {
    let scenario = parse(&wanted.file, text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    let mut cases = expand(&scenario, &kernels::names()).expect("the kernels are the same");
    cases.retain(|case| case.axes.is_empty() || case.axes == wanted.axes);
    let mut case = cases.swap_remove(0);
    case.kernel.clone_from(&wanted.kernel);
    case.seed = wanted.seed;
    case
}

/// Returns `true` if an edited text has the fix and nothing else.
fn is_same(text: &str, fix: &Remedy, wanted: &Case) -> bool {
    let found = case_of(text, wanted);
    let profile = profile::find(&found.kernel).expect("the kernel exists");
    let report = Model.run(&found, &profile).expect("the model runs it");
    let same_program = match *wanted.program {
        Program::Processes(_) => found.program == wanted.program,
        // Expectations of steps are gone, so that only the answers can be compared.
        Program::Steps(_) => true,
    };
    same_program
        && (&found.hosts, &found.network, found.time_wait)
            == (&wanted.hosts, &wanted.network, wanted.time_wait)
        && found.expect.is_empty()
        && report.expect_failed.is_empty()
        && Some(SocketCounts::of(&report.attempts)) == fix.after
}

fn comments(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with('#'))
}

#[test]
fn every_fix_of_the_corpus_is_an_edit_that_keeps_comments() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let (mut made, mut problems) = (0, Vec::new());
    for file in discover(&[root]).expect("the corpus is there") {
        let scenario = load(&file).expect("the corpus is valid");
        for case in cases(&scenario) {
            for fix in fixes(&case) {
                let Some(edit) = edited(&scenario, &case, &fix) else {
                    continue;
                };
                made += 1;
                let mut report = |problem: &str| {
                    problems.push(format!("{}: {}: {problem}", scenario.name, fix.id));
                };
                let changed = fix.case.as_ref().expect("an edit has a case");
                if !is_same(&edit.text, &fix, changed) {
                    report(&format!("another scenario\n{}", edit.text));
                }
                if !edit.keeps_layout {
                    // A mapping that changes as a whole and has a value of the matrix in it is
                    // written with the value of one point.
                    if !scenario.text().contains("${") {
                        report("written anew");
                    }
                    continue;
                }
                let is_lost = |line: &&str| comments(&edit.text).all(|one| one != *line);
                for line in comments(&edit.before).filter(is_lost) {
                    report(&format!("lost {line}"));
                }
            }
        }
    }
    assert!(made > 500, "only {made} edits");
    assert!(
        problems.is_empty(),
        "{} of {made}:\n{}",
        problems.len(),
        problems.join("\n")
    );
}
