//! `remedies`: the table, and its rows as scenarios that `run` repeats.

mod common;

use common::{fourtuple, root, scratch};

const REPORT: &str = "scenarios/rhel-6.5/connect-after-bind.yaml";

#[test]
fn help_has_an_example() {
    let said = fourtuple(&root(), &["remedies", "--help"]);
    assert_eq!(said.status, 0);
    assert!(
        said.out.contains("Example: fourtuple remedies"),
        "{}",
        said.out
    );
}

#[test]
fn what_is_written_runs_as_the_rows_say() {
    let dir = scratch("remedies-written");
    let to = dir.to_str().expect("a path of text");
    let said = fourtuple(&root(), &["remedies", REPORT, "--write", to]);
    assert_eq!(said.status, 0, "{}", said.err);
    let works = said
        .out
        .find("1.  connect without bind")
        .expect("the first row");
    assert!(said.out[works..].contains("1.  IP_BIND_ADDRESS_NO_PORT on the binder"));
    let run = fourtuple(&root(), &["run", to, "--engine", "model"]);
    assert_eq!(run.status, 0, "{}{}", run.out, run.err);
    assert!(run.out.contains("all as expected"), "{}", run.out);
}

#[test]
fn json_says_the_same_and_the_same_again() {
    let arguments = [
        "remedies",
        REPORT,
        "--kernel",
        "linux-6.18",
        "--format",
        "json",
    ];
    let said = fourtuple(&root(), &arguments);
    assert_eq!(said.status, 0, "{}", said.err);
    let document: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let first = &document["remedies"][0]["remedies"][0];
    assert_eq!(first["id"], "no-port-on-binder");
    assert_eq!(first["who"][0], "offender");
    assert_eq!(first["effect"], "works");
    assert_eq!(first["since"], "linux-4.2, rhel-7.7");
    assert_eq!(said, fourtuple(&root(), &arguments));
}

#[test]
fn a_wrong_call_ends_with_2() {
    for arguments in [
        &["remedies"][..],
        &["remedies", "no-such-file.yaml"],
        &["remedies", REPORT, "--kernel", "linux-6.181"],
        &["remedies", REPORT, "--write", "/proc/no/such/place"],
    ] {
        let said = fourtuple(&root(), arguments);
        assert_eq!(said.status, 2, "{arguments:?}");
        assert_eq!(said.out, "", "{arguments:?}");
        assert!(!said.err.is_empty(), "{arguments:?}");
    }
}
