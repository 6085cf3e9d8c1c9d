//! The outcome format: the fields, their order, and what they say about the report's scenario.

use crate::common::{fourtuple, root};
use serde_json::Value;

fn document(path: &str, more: &[&str]) -> (String, Value) {
    let arguments = [&["run", path, "--format", "json"], more].concat();
    let said = fourtuple(&root(), &arguments);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let value = serde_json::from_str(&said.out).expect("one JSON document");
    (said.out, value)
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

fn attempts<'a>(run: &'a Value, process: &str, op: &str) -> Vec<&'a Value> {
    let all = run["attempts"].as_array().expect("attempts");
    all.iter()
        .filter(|one| one["process"] == process && one["op"] == op)
        .collect()
}

#[test]
fn the_report_in_figures() {
    let (_, document) = document(
        "scenarios/rhel-6.5/connect-after-bind.yaml",
        &["--engine", "model"],
    );
    assert_eq!(keys(&document), ["format", "runs", "agreement", "verdicts"]);
    assert_eq!(document["verdicts"][0]["verdict"], "as-expected");
    assert_eq!(document["format"], 1);
    let run = &document["runs"][0];
    assert_eq!(
        keys(run),
        [
            "scenario",
            "file",
            "kernel",
            "engine",
            "seed",
            "axes",
            "attempts",
            "expect_failed"
        ]
    );
    assert_eq!(run["scenario"], "rhel-6.5/connect-after-bind");
    assert_eq!(run["file"], "scenarios/rhel-6.5/connect-after-bind.yaml");
    assert_eq!(
        (&run["kernel"], &run["engine"]),
        (&Value::from("rhel-6.5"), &Value::from("model"))
    );

    let bind = &run["attempts"][0];
    assert_eq!(
        keys(bind),
        [
            "n", "at_ns", "host", "process", "instance", "socket", "op", "args", "result", "local",
            "peer"
        ]
    );
    assert_eq!(bind["args"]["at"], "192.168.0.12:0");
    assert_eq!(bind["peer"], Value::Null);

    let refused = attempts(run, "plain", "connect");
    assert_eq!(refused.len(), 4);
    assert_eq!(refused[0]["n"], 9);
    for one in refused {
        assert_eq!(one["result"], "EADDRNOTAVAIL");
        assert_eq!(one["local"], Value::Null);
        assert_eq!(
            one["why"]["ports"],
            serde_json::json!({ "tried": 4, "fastreuse": 4 })
        );
        assert_eq!(one["why"]["rule"], "connect.skip-bucket-fastreuse");
        let path = one["why"]["path"].as_array().expect("a path");
        assert_eq!(path.first(), Some(&Value::from("sys_connect")));
        assert_eq!(path.last(), Some(&Value::from("__inet_hash_connect")));
    }
}

#[test]
fn without_a_bind_the_same_connects_succeed() {
    let (_, document) = document(
        "scenarios/rhel-6.5/connect-after-connect.yaml",
        &["--kernel", "rhel-6.5"],
    );
    let run = &document["runs"][0];
    let plain = attempts(run, "plain", "connect");
    assert_eq!(plain.len(), 4);
    assert!(plain.iter().all(|one| one["result"] == "ok"));
}

#[test]
fn lines_hold_what_the_document_holds() {
    let path = "scenarios/rhel-6.5/connect-after-bind.yaml";
    let (text, document) = document(path, &[]);
    let said = fourtuple(&root(), &["run", path, "--format", "json-lines"]);
    let mut runs = Vec::new();
    let mut agreement = Vec::new();
    let mut verdicts = Vec::new();
    for line in said.out.lines() {
        let line: Value = serde_json::from_str(line).expect("an object on each line");
        assert_eq!(line["format"], 1);
        match keys(&line)[1] {
            "run" => runs.push(line["run"].clone()),
            "agreement" => agreement.push(line["agreement"].clone()),
            "verdict" => verdicts.push(line["verdict"].clone()),
            other => panic!("an unknown line {other}"),
        }
    }
    assert_eq!(document["runs"], Value::Array(runs));
    assert_eq!(document["agreement"], Value::Array(agreement));
    assert_eq!(document["verdicts"], Value::Array(verdicts));
    assert!(text.ends_with("]}\n"));
}
