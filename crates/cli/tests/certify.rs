//! `certify --on RECORDING`: a share of the recordings of every kernel, and what a wrong answer looks like.

mod common;

use std::path::PathBuf;

use common::{fourtuple, here, root, scratch};

/// The recordings that the repository keeps a share of.
fn recordings() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(here("data/traces"))
        .expect("the share of the recordings")
        .map(|entry| entry.expect("a directory entry").path())
        .collect();
    files.sort();
    files
}

#[test]
fn the_model_allows_every_recorded_answer() {
    let files: Vec<String> = recordings()
        .iter()
        .map(|file| file.to_string_lossy().into_owned())
        .collect();
    assert!(files.len() > 20, "{files:?}");
    let mut call = vec!["certify", "--on"];
    call.extend(files.iter().map(String::as_str));
    let said = fourtuple(&root(), &call);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert!(
        said.out
            .ends_with("0 answers that the profiles do not allow, 0 programs not checked\n"),
        "{}",
        said.out
    );
}

/// A recording with one answer changed: the first bind that was refused is said to have come off.
fn falsified() -> String {
    let text = std::fs::read_to_string(here("data/traces/debian-12.tog.jsonl")).expect("text");
    let mut changed = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        for step in value["steps"].as_array_mut().into_iter().flatten() {
            if !changed && step["op"] == "bind" && step["result"] == "EADDRINUSE" {
                step["result"] = "ok".into();
                step["port"] = 40_000.into();
                changed = true;
            }
        }
        lines.push(value.to_string());
    }
    assert!(changed, "some bind is refused in the recording");
    lines.join("\n") + "\n"
}

#[test]
fn a_wrong_answer_is_told_as_a_scenario_that_shows_it() {
    let dir = scratch("certify");
    std::fs::write(dir.join("wrong.jsonl"), falsified()).expect("a scratch file");
    let said = fourtuple(&dir, &["certify", "--on", "wrong.jsonl"]);
    assert_eq!(said.status, 1, "{}", said.err);
    assert!(
        said.out.contains("debian-12 allows EADDRINUSE"),
        "{}",
        said.out
    );

    // The scenario stands indented below the finding; on the model its last step is not as "expected".
    let scenario: String = said
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(dir.join("shown.yaml"), scenario).expect("a scratch file");
    let ran = fourtuple(&dir, &["run", "shown.yaml", "--engine", "model"]);
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("expected ok, got EADDRINUSE"),
        "{}",
        ran.out
    );
}

#[test]
fn a_recording_that_breaks_off_is_told_with_its_line() {
    let dir = scratch("certify-broken");
    std::fs::write(dir.join("broken.jsonl"), "{\"trace\":1\n").expect("a scratch file");
    let said = fourtuple(&dir, &["certify", "--on", "broken.jsonl"]);
    assert_eq!(said.status, 2);
    assert!(
        said.err.starts_with("error: broken.jsonl:1:"),
        "{}",
        said.err
    );
}
