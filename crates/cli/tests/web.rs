//! The playground answers as the command does, byte for byte.

use std::fs;
use std::path::Path;

use crate::common::{fourtuple, root};
use serde_json::{Value, json};

/// A reply of the playground about a scenario of the corpus.
fn page(verb: &str, file: &str) -> Value {
    let text = fs::read_to_string(root().join(file)).expect("a scenario");
    let request = json!({ "do": verb, "text": text, "file": file, "patient": true });
    let reply = fourtuple_web::answer(&request.to_string(), &mut |_, _| ());
    let mut reply: Value = serde_json::from_str(&reply).expect("JSON");
    reply["ok"].take()
}

/// The scenarios of the corpus, as paths from the repository's root.
fn corpus() -> Vec<String> {
    fn look(directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                look(&path, found);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                let path = path.strip_prefix(root()).expect("below the root");
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    let mut found = Vec::new();
    look(&root().join("scenarios"), &mut found);
    found.sort();
    found
}

#[test]
fn playground_runs_the_corpus_as_the_command_does() {
    let corpus = corpus();
    assert!(corpus.len() > 150, "{} scenarios", corpus.len());
    for file in corpus {
        let printed = fourtuple(&root(), &["run", &file, "--engine", "model"]).out;
        assert_eq!(page("run", &file)["text"], printed, "{file}");
    }
}

#[test]
fn playground_explains_compares_and_fixes_as_the_command_does() {
    let file = "scenarios/rhel-6.5/connect-after-bind.yaml";
    for (verb, request) in [
        ("explain", "explain"),
        ("compare", "compare"),
        ("remedies", "fixes"),
        ("capacity", "capacity"),
    ] {
        let printed = fourtuple(&root(), &[verb, file]).out;
        let reply = page(request, file);
        let text = reply.get("text").unwrap_or(&reply);
        assert_eq!(text, &printed, "{verb}");
    }
}

/// Bytes in the alphabet of base64 for addresses.
fn unpacked(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        other => panic!("{} is not of the alphabet", char::from(other)),
    };
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for c in text.bytes() {
        bits = bits << 6 | u32::from(value(c));
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    bytes
}

#[test]
fn link_contains_the_scenario_with_its_overrides() {
    let file = "scenarios/rhel-6.5/connect-after-bind.yaml";
    let base = "https://ports.example.org/playground/";
    let link = ["report", "--link", "--playground", base, file];
    let printed = fourtuple(&root(), &link).out;
    let more = ["--kernel", "rhel-6.5", "--seed", "7"];
    let overridden = fourtuple(&root(), &[&link[..], &more].concat()).out;
    assert_eq!(
        overridden.trim_end(),
        format!("{}&kernel=rhel-6.5&seed=7", printed.trim_end())
    );
    let packed = printed.trim_end().strip_prefix(base);
    let packed = packed
        .and_then(|rest| rest.strip_prefix("#s="))
        .expect("a fragment");
    let text = miniz_oxide::inflate::decompress_to_vec(&unpacked(packed)).expect("deflate");
    let wanted = fs::read(root().join(file)).expect("a scenario");
    assert_eq!(text, wanted);
}
