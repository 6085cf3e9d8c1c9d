//! "As expected" is said only where something was expected and everything that was asked for ran.

use crate::common::{Said, fourtuple, scratch};

const FAILS: &str = "\
about: Do five connects fit on one port?
kernel: linux-6.18
hosts:
  app: { addresses: [10.0.0.1], sysctl: { net.ipv4.ip_local_port_range: 40000-40000 } }
  api: { addresses: [10.0.0.2], listen: 10.0.0.2:80 }
processes:
  client: { on: app, count: 5, connect: 10.0.0.2:80 }
";

const EXPECTED: &str = "expect: { client.connect: { ok: 1, EADDRNOTAVAIL: 4 } }\n";

/// Runs the scenario with and without its expectation.
fn both(name: &str, more: &[&str]) -> (Said, Said) {
    let directory = scratch(name);
    std::fs::write(directory.join("open.yaml"), FAILS).expect("written");
    std::fs::write(
        directory.join("expected.yaml"),
        format!("{FAILS}{EXPECTED}"),
    )
    .expect("written");
    let run = |file| fourtuple(&directory, &[&["run", file], more].concat());
    (run("open.yaml"), run("expected.yaml"))
}

#[test]
fn without_an_expectation_the_summary_is_neutral_and_names_the_next_step() {
    let (open, expected) = both("verdict-text", &["--engine", "model"]);
    assert_eq!((open.status, expected.status), (0, 0));
    let last = "1 scenario, 1 run: nothing expected, 1 call ok, 4 refused\n\
                help: fourtuple explain open.yaml   (why)\n";
    assert!(open.out.contains(last), "{}", open.out);
    assert!(!open.out.contains("as expected"), "{}", open.out);
    assert!(
        expected
            .out
            .ends_with("\n1 scenario, 1 run: all as expected\n"),
        "{}",
        expected.out
    );
}

#[test]
fn every_format_knows_a_neutral_verdict() {
    let (open, expected) = both("verdict-json", &["--format", "json"]);
    let verdict = |said: &Said| -> serde_json::Value {
        let document: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        document["verdicts"][0].clone()
    };
    assert_eq!(
        verdict(&open),
        serde_json::json!({ "scenario": "open", "verdict": "nothing-expected", "runs": 2, "ok": 1, "refused": 4, "left_out": [] })
    );
    assert_eq!(verdict(&expected)["verdict"], "as-expected");

    let (open, expected) = both("verdict-junit", &["--format", "junit"]);
    let skipped = "<skipped message=\"nothing is expected: 1 call ok, 4 refused\"/>";
    assert!(open.out.contains(skipped), "{}", open.out);
    let green = "tests=\"2\" skipped=\"0\" failures=\"0\" errors=\"0\"";
    assert!(expected.out.contains(green), "{}", expected.out);

    let (open, expected) = both("verdict-github", &["--format", "github"]);
    let notice =
        "::notice file=open.yaml,line=1,title=open::nothing is expected: 1 call ok, 4 refused\n";
    assert!(open.out.starts_with(notice), "{}", open.out);
    assert!(!expected.out.contains("::"), "{}", expected.out);
}

#[test]
fn the_page_has_a_green_badge_only_where_something_was_expected() {
    let directory = scratch("verdict-page");
    std::fs::write(directory.join("open.yaml"), FAILS).expect("written");
    std::fs::write(
        directory.join("expected.yaml"),
        format!("{FAILS}{EXPECTED}"),
    )
    .expect("written");
    let page = |file| fourtuple(&directory, &["report", file, "--engine", "model"]).out;
    let (open, expected) = (page("open.yaml"), page("expected.yaml"));
    assert!(
        open.contains("nothing expected") && !open.contains("badge good"),
        "{open}"
    );
    assert!(
        expected.contains("<span class=\"badge good\">as expected"),
        "{expected}"
    );
}

#[test]
fn of_several_scenarios_those_that_failed_are_shown_and_the_sums() {
    let directory = scratch("verdict-several");
    let wrong = format!("{FAILS}expect: {{ client.connect: ok }}\n");
    for (name, text) in [
        ("a", FAILS.to_owned()),
        ("b", format!("{FAILS}{EXPECTED}")),
        ("c", wrong),
    ] {
        std::fs::write(directory.join(name).with_extension("yaml"), text).expect("written");
    }
    let run = |more: &[&str]| {
        let said = fourtuple(
            &directory,
            &[&["run", ".", "--engine", "model"], more].concat(),
        );
        assert_eq!((said.status, said.err.as_str()), (1, ""));
        said.out
    };
    let line = "3 scenarios, 3 runs: 1 NOT AS EXPECTED, 1 as expected, 1 expect nothing (1 call ok, 4 refused)\n";
    let usual = run(&[]);
    assert!(usual.starts_with("c\n") && usual.contains(line), "{usual}");
    assert!(
        !usual.contains("\na\n") && !usual.contains("\nb\n"),
        "{usual}"
    );
    assert_eq!(run(&["-q"]), line);
    let all = run(&["-v"]);
    assert!(
        all.starts_with("a\n") && all.contains("\nb\n") && all.contains("\nc\n"),
        "{all}"
    );
}

#[test]
fn an_engine_that_ran_nothing_is_no_success() {
    let directory = scratch("verdict-nothing");
    // The sockets of `stock` have no options.
    let text = FAILS.replace(
        "client: { on: app,",
        "client: { on: app, options: { reuseport: true },",
    );
    std::fs::write(directory.join("open.yaml"), text).expect("written");
    let run = |engine| fourtuple(&directory, &["run", "open.yaml", "--engine", engine]);
    assert_eq!(run("model").status, 0);
    // A kernel of another release cannot run here.
    let old = fourtuple(
        &directory,
        &[
            "run",
            "open.yaml",
            "--engine",
            "model,linux",
            "--kernel",
            "linux-2.6.32",
        ],
    );
    assert_eq!(old.status, 2, "{}{}", old.out, old.err);
    assert!(old.err.starts_with("error: "), "{}", old.err);
}

#[test]
fn a_release_stands_for_its_profile() {
    let directory = scratch("verdict-release");
    std::fs::write(directory.join("open.yaml"), FAILS).expect("written");
    let run = |kernel| {
        fourtuple(
            &directory,
            &["run", "open.yaml", "--engine", "model", "--kernel", kernel],
        )
    };
    for (release, profile) in [
        ("6.18.44-fc-v669", "linux-6.18"),
        ("6.1.0-57-amd64", "debian-12"),
        ("2.6.32-431.el6.x86_64", "rhel-6.5"),
    ] {
        let said = run(release);
        assert_eq!(said.status, 0, "{}", said.err);
        assert_eq!(
            said.err,
            format!("note: {release} has the profile {profile}\n")
        );
        assert!(
            said.out.contains(&format!("  on {profile}\n")),
            "{}",
            said.out
        );
    }
    // A stable release without a name of its own.
    assert_eq!(run("6.1.141-155.222.x86_64").status, 0);
    let unknown = run("99.1.0-generic");
    assert_eq!(unknown.status, 2);
    assert!(
        unknown
            .err
            .starts_with("error: unknown kernel `99.1.0-generic`"),
        "{}",
        unknown.err
    );
    if cfg!(target_os = "linux") {
        let host = run("host");
        let known = host.err.starts_with("note: ") || host.err.contains("has no profile");
        assert!(known, "{}", host.err);
    }
}

/// The parts of SARIF 2.1.0 that its schema requires, and those that code scanning shows.
#[test]
fn sarif_names_rules_and_places() {
    let directory = scratch("verdict-sarif");
    let wrong = format!("{FAILS}{}", EXPECTED.replace('4', "3"));
    std::fs::write(directory.join("is wrong.yaml"), wrong).expect("written");
    std::fs::write(directory.join("open.yaml"), FAILS).expect("written");
    let arguments = ["run", ".", "--engine", "model", "--format", "sarif"];
    let said = fourtuple(&directory, &arguments);
    assert_eq!(said.status, 1, "{}", said.err);
    let log: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "fourtuple");
    let results = run["results"].as_array().expect("results");
    let found: Vec<_> = (results.iter())
        .map(|one| {
            let rule = one["ruleIndex"].as_u64().expect("an index") as usize;
            assert_eq!(driver["rules"][rule]["id"], one["ruleId"]);
            assert!(one["message"]["text"].is_string());
            let place = &one["locations"][0]["physicalLocation"];
            let uri = place["artifactLocation"]["uri"].as_str().expect("a path");
            let line = place["region"]["startLine"].as_u64().expect("a line");
            (one["level"].as_str().expect("a level"), uri, line)
        })
        .collect();
    // The counts differ in two answers, which the line of the expectation has.
    assert_eq!(found.last(), Some(&("note", "./open.yaml", 1)));
    assert!(
        found[..found.len() - 1]
            .iter()
            .all(|one| *one == ("error", "./is%20wrong.yaml", 8)),
        "{found:?}"
    );
    assert!(found.len() > 1, "{found:?}");
}
