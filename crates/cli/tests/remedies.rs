//! `remedies`: the table, and its rows as scenarios that `run` repeats.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::common::{fourtuple, root, scratch};

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
fn written_scenarios_run_as_their_rows_say() {
    let dir = scratch("remedies-written");
    let to = dir.to_str().expect("a path of text");
    let said = fourtuple(&root(), &["remedies", REPORT, "--write", to]);
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(
        said.out
            .contains("IP_BIND_ADDRESS_NO_PORT on programs that bind"),
        "{}",
        said.out
    );
    let run = fourtuple(&root(), &["run", to, "--engine", "model"]);
    assert_eq!(run.status, 0, "{}{}", run.out, run.err);
    assert!(run.out.contains("all as expected"), "{}", run.out);
}

/// Sockets that got what they wanted, were refused for want of a port, and all, counted from a
/// run's attempts: a socket counts by its last call of bind, listen and connect.
fn counts(run: &Value) -> (usize, usize, usize) {
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for attempt in run["attempts"].as_array().expect("attempts") {
        if ["bind", "listen", "connect"].contains(&text(&attempt["op"])) {
            last.insert(text(&attempt["socket"]), text(&attempt["result"]));
        }
    }
    let count = |of: &[&str]| last.values().filter(|result| of.contains(result)).count();
    (
        count(&["ok"]),
        count(&["EADDRINUSE", "EADDRNOTAVAIL"]),
        last.len(),
    )
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// Every row of the tables is what `run` makes of its changed scenario, and the scenario asks for
/// it.
fn every_row_is_reproduced(name: &str, scenario: &str, kernels: &str) -> usize {
    let dir = scratch(&format!("remedies-rows-{name}"));
    let to = dir.to_str().expect("a path of text");
    let said = fourtuple(
        &root(),
        &[
            "remedies", scenario, "--kernel", kernels, "--format", "json", "--write", to,
        ],
    );
    assert!(said.status < 2, "{}", said.err);
    let tables: Value = serde_json::from_str(&said.out).expect("JSON");
    let run = fourtuple(
        &root(),
        &["run", to, "--engine", "model", "--format", "json"],
    );
    assert_eq!(run.status, 0, "{}", run.err);
    let runs: Value = serde_json::from_str(&run.out).expect("JSON");
    let mut rows = 0;
    for table in tables["remedies"].as_array().expect("tables") {
        for (n, row) in table["remedies"]
            .as_array()
            .expect("rows")
            .iter()
            .enumerate()
        {
            if row["after"].is_null() || text(&row["change"]).is_empty() {
                continue;
            }
            let point = table["point"].as_array().expect("a point");
            let point: String = point
                .iter()
                .map(|axis| format!("-{}", text(axis)))
                .collect();
            let file = format!(
                "{}{point}-{:02}-{}.yaml",
                text(&table["kernel"]),
                n + 1,
                text(&row["id"])
            );
            let yaml = std::fs::read_to_string(dir.join(&file))
                .unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(yaml.contains("\nexpect:"), "{file} asks for nothing");
            let name = file.strip_suffix(".yaml").expect("a scenario");
            let mut runs = runs["runs"].as_array().expect("runs").iter();
            let run = runs
                .find(|run| text(&run["scenario"]).ends_with(name))
                .unwrap_or_else(|| panic!("{file} did not run"));
            let number = |field: &str| row["after"][field].as_u64().expect("a number") as usize;
            assert_eq!(
                counts(run),
                (number("ok"), number("refused"), number("total")),
                "{file}"
            );
            rows += 1;
        }
    }
    rows
}

#[test]
fn rows_about_the_report_are_reproduced() {
    let rows = every_row_is_reproduced("report", REPORT, "rhel-6.5,linux-6.18");
    assert!(rows > 30, "{rows}");
}

#[test]
fn rows_about_time_wait_are_reproduced() {
    let file = "scenarios/rhel-6.5/workaround-3-tw-reuse-after-connect.yaml";
    let rows = every_row_is_reproduced("time-wait", file, "rhel-6.5,linux-6.18");
    assert!(rows > 10, "{rows}");
}

#[test]
fn rows_about_bound_ports_in_time_wait_are_reproduced() {
    let file = "scenarios/rhel-6.5/workaround-3-tw-reuse-after-bind.yaml";
    let rows = every_row_is_reproduced("bound", file, "rhel-6.5,linux-6.18");
    assert!(rows > 10, "{rows}");
}

/// The fixes of the report, and those that it leaves out.
#[test]
fn on_rhel_6_5_it_is_what_the_report_says_and_more() {
    let arguments = [
        "remedies", REPORT, "--kernel", "rhel-6.5", "--format", "json",
    ];
    let said = fourtuple(&root(), &arguments);
    let document: Value = serde_json::from_str(&said.out).expect("JSON");
    let table = &document["remedies"][0];
    let before = (&table["before"]["ok"], &table["before"]["refused"]);
    assert_eq!(before, (&4.into(), &4.into()));
    assert_eq!(table["rule"][0], "connect.skip-bucket-fastreuse");
    let effect = |id: &str| {
        let mut rows = table["remedies"].as_array().expect("rows").iter();
        let row = rows.find(|row| row["id"] == id);
        text(&row.unwrap_or_else(|| panic!("{id}"))["effect"])
    };
    // Its fixes: do not bind, a wider range, bind everything.
    for id in [
        "connect-without-bind",
        "wider-range",
        "own-address",
        "explicit-ports",
    ] {
        assert_eq!(effect(id), "always", "{id}");
    }
    // The third, tcp_tw_reuse, is nothing for buckets that bind() made.
    for id in ["tw-reuse-1", "reuseaddr-on-binder", "reuseport-on-binder"] {
        assert_eq!(effect(id), "nothing", "{id}");
    }
    for id in ["no-port-on-binder", "port-range-slices", "autobind-reuse"] {
        assert_eq!(effect(id), "absent", "{id}");
    }
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
    let document: Value = serde_json::from_str(&said.out).expect("JSON");
    let first = &document["remedies"][0]["remedies"][0];
    assert_eq!(first["id"], "no-port-on-binder");
    assert_eq!(first["who"][0], "binders");
    assert_eq!(first["effect"], "always");
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
