//! The step of `action.yml`, in a runner's environment of its own.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::common::{fourtuple, root, scratch};

#[test]
fn the_action_reports_a_changed_outcome() {
    let dir = scratch("action");
    let scenario = "about: Is port 80 free?\nkernel: linux-6.18\nhosts: { h: { addresses: [10.0.0.1] } }\n\
                    steps:\n  - { socket: a, by: p }\n  - { bind: a, at: \"10.0.0.1:80\" }\n";
    fs::write(dir.join("one.yaml"), scenario).expect("written");
    fourtuple(&dir, &["test", ".", "--accept"]);
    assert_eq!(action(&dir), (0, "status=0\n".to_owned()));
    let changed = scenario.replace(":80\"", ":81\"");
    fs::write(dir.join("one.yaml"), changed).expect("written");
    assert_eq!(action(&dir), (1, "status=1\n".to_owned()));
    let summary = fs::read_to_string(dir.join("summary")).expect("a summary");
    assert!(
        summary.contains("\n  - ") && summary.contains("1 differing"),
        "{summary}"
    );
    let comment = fs::read_to_string(dir.join("comment")).expect("a comment");
    assert_eq!(comment, format!("pr comment 7 --body {summary}"));
}

/// Runs the step, and returns its status and its output for later steps.
fn action(dir: &Path) -> (i32, String) {
    let bin = Path::new(env!("CARGO_BIN_EXE_fourtuple"));
    let bin = bin.parent().expect("a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    for file in ["output", "summary", "comment"] {
        let _ = fs::remove_file(dir.join(file));
    }
    // Notes what it is called with, in place of the GitHub command.
    let gh = dir.join("bin/gh");
    fs::create_dir_all(dir.join("bin")).expect("a folder");
    fs::write(&gh, "#!/bin/sh\necho \"$*\" > \"$COMMENT\"\n").expect("written");
    fs::set_permissions(&gh, fs::Permissions::from_mode(0o755)).expect("executable");
    let done = Command::new("bash")
        .arg(root().join("tools/action-test"))
        .current_dir(dir)
        .env(
            "PATH",
            format!("{}:{bin}:{path}", dir.join("bin").display()),
        )
        .env("COMMENT", dir.join("comment"))
        .env("COMMENT_ON", "7")
        .env("GITHUB_OUTPUT", dir.join("output"))
        .env("GITHUB_STEP_SUMMARY", dir.join("summary"))
        .envs([("SUITE", "."), ("SHARD", "1/1"), ("SUMMARY", "true")])
        .output()
        .expect("bash runs");
    let output = fs::read_to_string(dir.join("output")).unwrap_or_default();
    (done.status.code().unwrap_or(-1), output)
}
