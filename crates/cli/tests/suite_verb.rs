//! `fourtuple test`: a suite without Rust, in the same files as `cargo insta`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Said, fourtuple, root, scratch};

/// A suite of two scenarios, one of them in a folder below.
fn suite(name: &str) -> PathBuf {
    let dir = scratch(name);
    for file in [
        "rhel-6.5/connect-after-bind.yaml",
        "parity/half-for-bind.yaml",
    ] {
        let from = root().join("scenarios").join(file);
        let to = dir.join("scenarios").join(file);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(&from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
    dir
}

fn test(dir: &Path, more: &[&str]) -> Said {
    let mut arguments = vec!["test", "."];
    arguments.extend(more);
    fourtuple(dir, &arguments)
}

#[test]
fn accepted_snapshots_match_until_an_answer_changes() {
    let dir = suite("suite-accepted");
    let said = test(&dir, &[]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(
        said.out.ends_with("snapshots: 0 matching, 2 new\n"),
        "{}",
        said.out
    );
    assert!(!dir.join("snapshots").exists(), "`--check` writes nothing");

    let said = test(&dir, &["--accept"]);
    assert_eq!(
        (said.status, said.out.as_str()),
        (0, "snapshots: 0 matching, 2 accepted\n")
    );
    let said = test(&dir, &[]);
    assert_eq!(
        (said.status, said.out.as_str()),
        (0, "snapshots: 2 matching\n")
    );

    // The same question to a kernel that answers otherwise.
    let file = dir.join("scenarios/rhel-6.5/connect-after-bind.yaml");
    let text = fs::read_to_string(&file).expect("text");
    fs::write(&file, text.replace("40000-40003", "40000-40004")).expect("written");
    let said = test(&dir, &["--check"]);
    assert_eq!(said.status, 1);
    assert!(
        said.out.starts_with("rhel-6.5/connect-after-bind\n"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("\n  - ") && said.out.contains("\n  + "),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("snapshots: 1 matching, 1 differing"),
        "{}",
        said.out
    );
}

/// The project's own snapshots are what the suite of `cargo test` wrote.
#[test]
fn snapshots_are_those_of_cargo_insta() {
    let dir = suite("suite-insta");
    let snapshots = dir.join("snapshots");
    for file in [
        "rhel-6.5/connect-after-bind.snap",
        "parity/half-for-bind.snap",
    ] {
        let to = snapshots.join(file);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(root().join("snapshots").join(file), &to).expect("a snapshot");
    }
    let said = test(&dir, &[]);
    assert_eq!(
        (said.status, said.out.as_str()),
        (0, "snapshots: 2 matching\n")
    );
}

#[test]
fn a_snapshot_without_a_scenario_fails_until_it_is_removed() {
    let dir = suite("suite-orphan");
    test(&dir, &["--accept"]);
    let orphan = dir.join("snapshots/parity/gone.snap");
    fs::write(&orphan, "---\nsource: x\n---\nold\n").expect("written");
    let said = test(&dir, &[]);
    assert_eq!(said.status, 1);
    assert!(
        said.out.contains("parity/gone.snap\n  orphan: "),
        "{}",
        said.out
    );
    let said = test(&dir, &["--accept"]);
    assert_eq!(said.status, 0);
    assert!(!orphan.exists());
}

#[test]
fn an_unmet_expectation_fails_though_the_snapshot_matches() {
    let dir = scratch("suite-unmet");
    let scenario = "about: Is port 80 free?\nkernel: linux-6.18\nhosts: { h: { addresses: [10.0.0.1] } }\n\
                    steps:\n  - { socket: a, by: p }\n  - { bind: a, at: \"10.0.0.1:80\", expect: EADDRINUSE }\n";
    fs::write(dir.join("one.yaml"), scenario).expect("written");
    test(&dir, &["--accept"]);
    assert!(dir.join("snapshots/one.snap").exists());
    let said = test(&dir, &[]);
    assert_eq!(said.status, 1);
    assert!(
        said.out
            .ends_with("snapshots: 1 matching, 1 not as expected\n"),
        "{}",
        said.out
    );
}

#[test]
fn parts_are_the_whole_and_junit_names_the_differences() {
    let dir = suite("suite-parts");
    test(&dir, &["--accept"]);
    let path = dir.join("snapshots/parity/half-for-bind.snap");
    let text = fs::read_to_string(&path).expect("text");
    fs::write(&path, text.replace("question", "query")).expect("written");
    let said = test(&dir, &["--format", "junit"]);
    assert_eq!(said.status, 1);
    assert!(
        said.out.contains("tests=\"2\"") && said.out.contains("failures=\"1\""),
        "{}",
        said.out
    );
    let parts: Vec<i32> = ["1/2", "2/2"]
        .map(|part| test(&dir, &["--shard", part]).status)
        .into();
    let mut sorted = parts.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1]);
}

#[test]
fn a_folder_without_scenarios_is_an_error() {
    let dir = scratch("suite-empty");
    let said = test(&dir, &[]);
    assert_eq!((said.status, said.out.as_str()), (2, ""));
    assert!(
        said.err.contains("no scenario in this directory"),
        "{}",
        said.err
    );
    let said = test(&dir, &["--review"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("--review"), "{}", said.err);
}
