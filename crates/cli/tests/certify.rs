//! `certify --on RECORDING`: a share of the recordings of every kernel, and what a wrong answer
//! looks like.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::common::{fourtuple, here, root, scratch};

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
fn a_wrong_answer_is_reported_as_a_scenario_that_shows_it() {
    let dir = scratch("certify");
    std::fs::write(dir.join("wrong.jsonl"), falsified()).expect("a scratch file");
    let said = fourtuple(&dir, &["certify", "--on", "wrong.jsonl"]);
    assert_eq!(said.status, 1, "{}", said.err);
    assert!(
        said.out.contains("debian-12 allows EADDRINUSE"),
        "{}",
        said.out
    );

    // The scenario stands indented below the finding; on the model its last step is not as
    // "expected".
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
fn a_recording_that_breaks_off_is_reported_with_its_line() {
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

/// A recording of Debian's 6.12.95 (`CONFIG_HZ=250`): a port is still in TIME-WAIT 61.09 s after
/// the close. `hz` is the number of ticks per second in its header, if any.
fn late_end_of_time_wait(hz: Option<u32>) -> String {
    let hz = hz.map_or(String::new(), |hz| format!(r#","hz":{hz}"#));
    let header = format!(
        r#"{{"trace":1,"kernel":"Debian 6.12.95","release":"6.12.95+deb12-cloud-amd64","profile":"debian-13"{hz}}}"#
    );
    let steps = [
        r#"{"op":"ns","at_us":2978281,"result":"ok"}"#,
        r#"{"op":"socket","at_us":2978395,"result":"ok","sock":"L","family":"inet"}"#,
        r#"{"op":"bind","at_us":2978430,"result":"ok","sock":"L","at":"127.0.0.1:5000","port":5000}"#,
        r#"{"op":"listen","at_us":2978447,"result":"ok","sock":"L","port":5000}"#,
        r#"{"op":"socket","at_us":3124037,"result":"ok","sock":"c","family":"inet"}"#,
        r#"{"op":"bind","at_us":3124060,"result":"ok","sock":"c","at":"127.0.0.2:40000","port":40000}"#,
        r#"{"op":"connect","at_us":3124321,"result":"ok","sock":"c","to":"127.0.0.1:5000","local":"127.0.0.2:40000"}"#,
        r#"{"op":"accept","at_us":3124357,"result":"ok","sock":"L","new":"d","peer":"127.0.0.2:40000"}"#,
        r#"{"op":"close","at_us":3124390,"result":"ok","sock":"c"}"#,
        r#"{"op":"close","at_us":3124475,"result":"ok","sock":"d"}"#,
        r#"{"op":"socket","at_us":3124498,"result":"ok","sock":"b","family":"inet"}"#,
        r#"{"op":"sleep","at_us":64212368,"result":"ok","ms":61087}"#,
        r#"{"op":"bind","at_us":64212389,"result":"EADDRINUSE","sock":"b","at":"127.0.0.2:40000","port":null}"#,
    ];
    format!(
        "{header}\n{{\"program\":\"tw\",\"steps\":[{}]}}\n",
        steps.join(",")
    )
}

#[test]
fn ticks_per_second_come_from_the_header_the_option_or_the_profile() {
    let dir = scratch("certify-hz");
    // On the grid of 500 ticks per second TIME-WAIT lasts 61.02 s at most; on those of 100, 250 and
    // 1,000 it may last longer.
    let tries: [(Option<u32>, &[&str], i32); 7] = [
        (None, &[], 0),
        (None, &["--hz", "500"], 1),
        (None, &["--hz", "1000"], 0),
        (Some(500), &[], 1),
        (Some(100), &[], 0),
        (Some(100), &["--hz", "500"], 0),
        (Some(1), &[], 2),
    ];
    for (header, option, status) in tries {
        let recording = late_end_of_time_wait(header);
        std::fs::write(dir.join("hz.jsonl"), recording).expect("a scratch file");
        let mut call = vec!["certify", "--on", "hz.jsonl"];
        call.extend(option);
        let said = fourtuple(&dir, &call);
        assert_eq!(
            said.status, status,
            "{header:?} {option:?}: {}{}",
            said.out, said.err
        );
        match status {
            1 => assert!(
                said.out.contains("debian-13 allows ok, port 40000"),
                "{}",
                said.out
            ),
            2 => assert!(
                said.err.contains("invalid `hz` 1: expected "),
                "{}",
                said.err
            ),
            _ => {}
        }
    }
}

#[test]
fn every_recorded_kernel_has_a_certificate() {
    let text =
        std::fs::read_to_string(here("../../render/data/certificates.json")).expect("the file");
    let certificates: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for file in recordings() {
        let text = std::fs::read_to_string(&file).expect("text");
        let header: serde_json::Value =
            serde_json::from_str(text.lines().next().expect("a header")).expect("JSON");
        let (profile, kernel) = (&header["profile"], &header["kernel"]);
        let rows = certificates[profile.as_str().expect("a name")].as_array();
        let row = rows
            .into_iter()
            .flatten()
            .find(|row| row["kernel"] == *kernel && row["how"] == "recording");
        assert!(
            row.is_some_and(|row| row["calls"].as_u64() > Some(0)),
            "{file:?}: see docs/traces.md for the commands that write certificates"
        );
    }
}

#[test]
fn kernels_says_on_which_real_kernels_a_profile_was_checked() {
    let text =
        std::fs::read_to_string(here("../../render/data/certificates.json")).expect("the file");
    let certificates: BTreeMap<String, Vec<serde_json::Value>> =
        serde_json::from_str(&text).expect("JSON");
    for (profile, rows) in certificates {
        let said = fourtuple(&root(), &["kernels", &profile]);
        assert_eq!(said.status, 0, "{profile}: {}", said.err);
        // Long lines are wrapped.
        let out: String = said.out.split_whitespace().collect();
        assert!(!out.contains("fromsourceonly"), "{profile}");
        for row in rows {
            let words = format!("{}: ", row["kernel"].as_str().expect("text"));
            let words: String = words.split_whitespace().collect();
            assert!(out.contains(&words), "{profile}: {words}");
            let calls = format!("{}calls,{}answers", row["calls"], row["disallowed"]);
            assert!(out.contains(&calls), "{profile}: {calls}");
        }
    }
}
