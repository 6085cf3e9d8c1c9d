//! The verb `fuzz`. Where namespaces are not permitted, what needs the running kernel says so and
//! checks nothing.

use crate::common::{fourtuple, root, scratch};
use std::fs;

/// Returns whether the running kernel is unusable or has no profile.
fn no_kernel(said: &crate::common::Said) -> bool {
    let none = said.status == 2
        && (said.err.contains("cannot be used") || said.err.contains("no profile is known"));
    if none {
        println!("skipped: {}", said.err);
    }
    none
}

#[test]
fn the_same_seed_asks_the_same_and_the_record_can_be_certified() {
    let dir = scratch("fuzz-record");
    let run = |file: &str| {
        fourtuple(
            &dir,
            &[
                "fuzz", "--on", "host", "--count", "12", "--seed", "3", "--record", file,
            ],
        )
    };
    let said = run("one.jsonl");
    if no_kernel(&said) {
        return;
    }
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("12 programs, "), "{}", said.out);
    assert_eq!(run("two.jsonl").status, 0);
    let calls = |file: &str| -> Vec<Vec<String>> {
        let text = fs::read_to_string(dir.join(file)).expect("it is there");
        let programs = text.lines().skip(1).map(|line| {
            let program: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let steps = program["steps"].as_array().expect("steps").clone();
            steps.iter().map(|s| s["op"].to_string()).collect()
        });
        programs.collect()
    };
    let first = calls("one.jsonl");
    assert_eq!(first.len(), 12);
    assert_eq!(first, calls("two.jsonl"));
    let certified = fourtuple(&dir, &["certify", "--on", "one.jsonl"]);
    assert_eq!(certified.status, 0, "{}{}", certified.out, certified.err);
}

#[test]
fn a_wrong_profile_is_found_and_saved_as_a_scenario_that_runs() {
    let dir = scratch("fuzz-wrong");
    let said = fourtuple(
        &dir,
        &[
            "fuzz", "--on", "host", "--count", "1", "--seed", "3", "--kernel", "rhel-6.5",
            "--save", "findings",
        ],
    );
    if no_kernel(&said) {
        return;
    }
    assert_eq!(said.status, 1, "{}{}", said.out, said.err);
    let saved = dir.join("findings/fuzz-3-0.yaml");
    assert!(saved.exists(), "{}", said.out);
    let run = fourtuple(&root(), &["run", &saved.display().to_string()]);
    assert_ne!(run.status, 2, "{}", run.err);
}

#[test]
fn a_line_of_json_has_the_finding() {
    let dir = scratch("fuzz-lines");
    let said = fourtuple(
        &dir,
        &[
            "fuzz",
            "--on",
            "host",
            "--count",
            "1",
            "--seed",
            "3",
            "--kernel",
            "rhel-6.5",
            "--format",
            "json-lines",
        ],
    );
    if no_kernel(&said) {
        return;
    }
    assert_eq!(said.status, 1, "{}{}", said.out, said.err);
    let line: serde_json::Value = serde_json::from_str(said.out.trim()).expect("one line of JSON");
    let program = &line["program"];
    assert_eq!(program["name"], "fuzz-3-0");
    assert_eq!(program["end"], "disallowed");
    assert!(
        program["scenario"]
            .as_str()
            .is_some_and(|text| text.contains("kernel: rhel-6.5")),
        "{line}"
    );
}

#[test]
fn more_programs_than_a_recording_may_have_are_refused_before_they_run() {
    let dir = scratch("fuzz-record-many");
    let fuzz = [
        "fuzz",
        "--on",
        "nowhere",
        "--record",
        "all.jsonl",
        "--count",
    ];
    let refused = |count: &str, more: &[&str]| {
        let said = fourtuple(&dir, &[&fuzz[..], &[count], more].concat());
        assert_eq!(said.status, 2, "{}", said.out);
        said.err.contains("limit of 100000 in a recording")
    };
    assert!(!refused("100000", &[]));
    assert!(refused("100001", &[]));
    assert!(!refused("100001", &["--shard", "1/2"]));
    assert!(!dir.join("all.jsonl").exists());
}

#[test]
fn unusable_kernel_is_reported() {
    let dir = scratch("fuzz-bad");
    for (on, words) in [("nowhere", "unknown kernel image"), ("debian:", "debian:")] {
        let said = fourtuple(&dir, &["fuzz", "--on", on, "--count", "1"]);
        assert_eq!(said.status, 2, "{}", said.out);
        assert!(said.err.contains(words), "{}", said.err);
    }
    let said = fourtuple(&dir, &["fuzz", "--on", "host", "--kernel", "linux-6.81"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("unknown kernel"), "{}", said.err);
    assert_eq!(
        fourtuple(&dir, &["fuzz", "--on", "host", "--count", "0"]).status,
        2
    );
}

#[test]
fn engines_agree_on_random_scenarios() {
    let args = |more: &[&'static str]| {
        let mut all = vec!["fuzz", "--engines", "model,turmoil", "--seed", "7"];
        all.extend(more);
        all
    };
    let said = fourtuple(&root(), &args(&["--count", "60"]));
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert!(
        said.out.starts_with("60 scenarios of seed 7 from 0 on, "),
        "{}",
        said.out
    );
    assert!(said.out.ends_with(" on model, turmoil: 0 findings\n"));
    assert_eq!(fourtuple(&root(), &args(&["--count", "60"])).out, said.out);
}

#[test]
fn one_engine_alone_has_nothing_to_agree_with() {
    let said = fourtuple(&root(), &["fuzz", "--engines", "model"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("name several"), "{}", said.err);
    let said = fourtuple(&root(), &["fuzz", "--count", "1"]);
    assert_eq!(said.status, 2, "{}", said.err);
}
