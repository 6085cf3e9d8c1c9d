//! `fourtuple schema`: each schema accepts what its verb writes, and names every field of it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{fourtuple, here, root, scratch};
use serde_json::{Value, json};

const REFUSED: &str = "scenarios/rhel-6.5/connect-after-bind.yaml";

/// The schema of a kind, which allows no field that it does not name.
fn strict(arguments: &[&str]) -> Value {
    let said = fourtuple(&root(), &[&["schema", "--of"], arguments].concat());
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let mut schema: Value = serde_json::from_str(&said.out).expect("JSON");
    assert!(jsonschema::meta::is_valid(&schema), "{}", said.out);
    close(&mut schema);
    schema
}

/// Refuses unknown fields in every object with named ones.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let choices = ["anyOf", "oneOf", "allOf"];
            // A choice beside fields adds some to them: none of its schemas is a whole object.
            let adds = map.contains_key("properties")
                && choices.iter().any(|choice| map.contains_key(*choice));
            for (key, value) in map.iter_mut() {
                match value {
                    Value::Array(parts) if adds && choices.contains(&key.as_str()) => {
                        let properties = parts
                            .iter_mut()
                            .filter_map(|part| part.get_mut("properties"));
                        properties.for_each(close);
                    }
                    _ => close(value),
                }
            }
            if adds {
                map.insert("unevaluatedProperties".to_owned(), json!(false));
            } else if map.contains_key("properties") {
                map.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}

/// Checks that a schema accepts values, and refuses them with a field more or less.
fn accepts(arguments: &[&str], values: &[Value]) {
    let validator = jsonschema::validator_for(&strict(arguments)).expect("a schema");
    for value in values {
        let problems: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{arguments:?}: {problems:#?}");
    }
    let mut more = values[0].clone();
    more["unheard-of"] = json!(1);
    assert!(!validator.is_valid(&more), "{arguments:?}: any field");
    let mut fewer = values[0].clone();
    let fields = fewer.as_object_mut().expect("an object");
    let first = fields.keys().next().expect("a field").clone();
    fields.remove(&first);
    assert!(
        !validator.is_valid(&fewer),
        "{arguments:?}: without {first}"
    );
}

/// The output of a call, whatever its verdict is.
fn output(directory: &Path, arguments: &[&str]) -> String {
    let said = fourtuple(directory, arguments);
    assert!(said.status < 2, "{arguments:?}: {}", said.err);
    said.out
}

fn document(directory: &Path, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--format", "json"]].concat();
    serde_json::from_str(&output(directory, &arguments)).expect("one JSON document")
}

fn lines(directory: &Path, arguments: &[&str]) -> Vec<Value> {
    let arguments = [arguments, &["--format", "json-lines"]].concat();
    let text = output(directory, &arguments);
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    lines.collect()
}

/// A scenario whose second bind is refused, with a matrix, an expectation that fails and a setting
/// without effect.
fn wrong() -> PathBuf {
    let directory = scratch("schemas");
    let text = "\
about: Is the second bind refused?
kernel: [linux-3.8, linux-6.18]
matrix: { size: [1, 2] }
hosts: { h: { addresses: [10.0.0.1], sysctl: { net.ipv4.tcp_tw_reuse: 0 } } }
processes:
  first: { on: h, bind: \"10.0.0.1:0\", connect: 10.0.0.1:80, count: \"${size}\" }
expect: { first.connect: ok }
";
    fs::write(directory.join("wrong.yaml"), text).expect("written");
    directory
}

#[test]
fn outcomes_have_a_schema() {
    let steps = "scenarios/kernel-changes/linux-6.18-hole.yaml";
    let mut documents = vec![
        document(
            &root(),
            &["run", REFUSED, "--engine", "model,turmoil,stock"],
        ),
        document(&root(), &["run", steps, "--engine", "model"]),
    ];
    let call = [
        "run",
        REFUSED,
        steps,
        "--engine",
        "model,turmoil",
        "--shard",
        "1/2",
    ];
    accepts(&["run", "--lines"], &lines(&root(), &call));
    let directory = wrong();
    let failed = document(&directory, &["run", "wrong.yaml"]);
    assert_ne!(failed["runs"][0]["expect_failed"], json!([]));
    assert_ne!(failed["runs"][0]["axes"], json!({}));
    documents.push(failed);
    accepts(&["run"], &documents);
}

#[test]
fn answers_have_a_schema() {
    let wrong = wrong();
    for (verb, directory, call) in [
        ("remedies", root(), &["remedies", REFUSED][..]),
        ("remedies", wrong.clone(), &["remedies", "wrong.yaml"]),
        ("explore", root(), &["explore", REFUSED]),
        ("explore", root(), &["explore", REFUSED, "--witness", "1"]),
        (
            "explore",
            root(),
            &["explore", REFUSED, "--budget", "10", "--samples", "20"],
        ),
    ] {
        accepts(&[verb], &[document(&directory, call)]);
        accepts(&[verb, "--lines"], &lines(&directory, call));
    }
    let need = "400 connections to 2 destinations, 30 per second";
    for (verb, directory, call) in [
        ("capacity", root(), &["capacity", REFUSED][..]),
        ("capacity", root(), &["capacity", REFUSED, "--need", need]),
        ("compare", root(), &["compare", REFUSED, "--kernel", "all"]),
        ("compare", wrong.clone(), &["compare", "wrong.yaml"]),
        ("lint", root(), &["lint", REFUSED]),
        ("lint", wrong, &["lint", "wrong.yaml"]),
    ] {
        accepts(&[verb], &[document(&directory, call)]);
    }
}

#[test]
fn the_comparison_names_groups_and_changes() {
    let file = "scenarios/kernel-changes/linux-6.18-hole.yaml";
    let found = document(
        &root(),
        &["compare", file, "--kernel", "linux-6.12..linux-6.18"],
    );
    accepts(&["compare"], std::slice::from_ref(&found));
    let groups = found["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 2, "{found:#}");
    let kernels = &groups[0]["cases"][0]["kernels"];
    assert_eq!(kernels[0], "linux-6.12");
    assert!(groups[0]["answers"][0]["times"].is_u64());
    let history = &found["histories"][0];
    assert_eq!(history["stretches"][1]["group"], 1);
    assert!(history["differences"][0]["behaviours"][0]["name"].is_string());
}

#[test]
fn certificates_and_hosts_have_a_schema() {
    let directory = scratch("schemas-files");
    let recording = here("data/traces/debian-12.tog.jsonl");
    let recording = recording.to_str().expect("a path of text");
    for (name, shard) in [("whole.json", "1/1"), ("part.json", "1/2")] {
        let call = [
            "certify",
            "--on",
            recording,
            "--shard",
            shard,
            "--certificate",
            name,
        ];
        output(&directory, &call);
        let text = fs::read_to_string(directory.join(name)).expect("a certificate");
        let certificates: Value = serde_json::from_str(&text).expect("JSON");
        let schema = jsonschema::validator_for(&strict(&["certificates"])).expect("a schema");
        assert!(schema.is_valid(&certificates), "{certificates:#}");
        assert!(!schema.is_valid(&json!({ "debian-12": [{ "kernel": 6 }] })));
    }
    let data = fs::read_to_string(root().join("docs/certified.json")).expect("results");
    accepts(&["certify"], &[serde_json::from_str(&data).expect("JSON")]);

    let capture = json!({
        "fourtuple_capture": 1, "kernel": "6.18.3", "time": 1_790_000_000, "source": "sock_diag",
        "sysctl": { "net.ipv4.ip_local_port_range": "40000 40009" }, "addresses": ["10.0.0.5"],
        "sockets": [
            { "state": "ESTAB", "local": "10.0.0.5:40000", "peer": "10.0.0.9:80", "uid": 33 },
            { "state": "LISTEN", "local": "0.0.0.0:40005", "uid": 0 },
        ],
    });
    fs::write(directory.join("host.json"), capture.to_string()).expect("written");
    accepts(
        &["doctor"],
        &[document(&directory, &["doctor", "host.json"])],
    );
    #[cfg(target_os = "linux")]
    {
        let own = output(&directory, &["capture"]);
        accepts(&["capture"], &[serde_json::from_str(&own).expect("JSON")]);
    }
}

#[test]
fn lines_are_asked_of_verbs_that_have_them() {
    let said = fourtuple(&root(), &["schema", "--of", "lint", "--lines"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("invalid `--lines`"), "{}", said.err);
}
