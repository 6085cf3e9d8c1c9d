//! Each verb does its one job, says so in its help, and ends with the right status.

use std::io::Read as _;
use std::process::Stdio;

use crate::common::{command, fourtuple, here, root, scratch, without_certificate};

/// Every verb, as the command itself lists them.
fn verbs() -> Vec<String> {
    let said = fourtuple(&root(), &["--help"]);
    assert_eq!(said.status, 0);
    let listed = said.out.lines().take_while(|line| *line != "Options:");
    let verbs = listed
        .filter_map(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split_whitespace().next());
    verbs.map(str::to_owned).collect()
}

fn matches(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots/verbs");
    settings.bind(|| insta::assert_snapshot!(name, without_certificate(text)));
}

#[test]
fn every_verb_has_help_with_an_example() {
    let verbs = verbs();
    for verb in ["run", "remedies", "capacity", "lint", "report"] {
        assert!(verbs.iter().any(|one| one == verb), "{verb}: {verbs:?}");
    }
    for verb in verbs {
        let said = fourtuple(&root(), &[&verb, "--help"]);
        assert_eq!(said.status, 0);
        let (_, after) = said
            .out
            .split_once("\nExample")
            .unwrap_or_else(|| panic!("{verb} has no example: {}", said.out));
        assert!(
            after.contains(&format!("fourtuple {verb}")),
            "{verb}: {after}"
        );
        assert!(after.contains("Exit status: 0"), "{verb}: {after}");
    }
}

/// The verbs that a page names after `fourtuple `, but for options and prose.
fn named(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).expect("a page");
    let calls = ["`fourtuple ", "$ fourtuple "];
    let calls = calls.iter().flat_map(|start| text.split(start).skip(1));
    let words = calls.filter_map(|rest| rest.split([' ', '`', '\n']).next());
    let words = words.filter(|word| !word.starts_with('-'));
    words.map(str::to_owned).collect()
}

#[test]
fn the_pages_name_every_verb_and_no_other() {
    let verbs = verbs();
    for page in ["README.md", "docs/outage.md"] {
        for word in named(page) {
            assert!(verbs.contains(&word), "{page} names `fourtuple {word}`");
        }
    }
    let readme = named("README.md");
    let plumbing = ["schema", "completions", "man"];
    for verb in verbs {
        let named = readme.contains(&verb) || plumbing.contains(&verb.as_str());
        assert!(named, "{verb} is not in README.md");
    }
}

#[test]
fn the_exit_status_is_documented() {
    let said = fourtuple(&root(), &["--help"]);
    assert!(said.out.contains("Exit status: 0"), "{}", said.out);
}

#[test]
fn a_wrong_call_ends_with_2() {
    for arguments in [
        &[][..],
        &["run"],
        &["runn", "x"],
        &["run", "x", "--format", "xml"],
        &["explain"],
    ] {
        let said = fourtuple(&root(), arguments);
        assert_eq!(said.status, 2, "{arguments:?}");
        assert_eq!(said.out, "", "{arguments:?}");
        assert!(!said.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn run_ends_with_1_when_an_expectation_fails() {
    for format in ["text", "json", "json-lines", "junit", "github"] {
        let said = fourtuple(
            &here("wrong"),
            &[
                "run",
                "expectation.yaml",
                "--engine",
                "model",
                "--format",
                format,
            ],
        );
        assert_eq!((said.status, said.err.as_str()), (1, ""), "{format}");
        matches(
            &format!("expectation_failed_{}", format.replace('-', "_")),
            &said.out,
        );
    }
}

#[test]
fn run_takes_other_kernels_and_seeds() {
    let run = |more: &[&str]| {
        let file = "scenarios/rhel-6.5/connect-after-bind.yaml";
        let arguments = [
            &["run", file, "--engine", "model", "--format", "json"],
            more,
        ]
        .concat();
        let said = fourtuple(&root(), &arguments);
        assert_eq!((said.status, said.err.as_str()), (0, ""));
        said.out
    };
    assert!(run(&["--kernel", "linux-4.4"]).contains(r#""kernel":"linux-4.4""#));
    assert_ne!(
        run(&["--seed", "2"]),
        run(&["--seed", "3"]),
        "the ports depend on the seed"
    );
    assert_eq!(
        run(&["--seed", "1"]),
        run(&[]),
        "1 is the seed of scenarios that name none"
    );
}

#[test]
fn explain_reads_like_a_root_cause() {
    let said = fourtuple(
        &root(),
        &["explain", "scenarios/rhel-6.5/connect-after-bind.yaml"],
    );
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    matches("explain", &said.out);
}

#[test]
fn explain_says_why_binding_first_helps() {
    let said = fourtuple(
        &root(),
        &["explain", "scenarios/rhel-6.5/why-binding-first-helps.yaml"],
    );
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    matches("explain_binding_first", &said.out);
}

#[test]
fn compare_names_the_behaviour_that_makes_the_difference() {
    let file = "scenarios/rhel-6.5/workaround-4-bind-own-address.yaml";
    let said = fourtuple(
        &root(),
        &["compare", file, "--kernel", "linux-2.6.32,rhel-6.5"],
    );
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    matches("compare", &said.out);
}

#[test]
fn kernels_lists_all_and_shows_one() {
    let all = fourtuple(&root(), &["kernels"]);
    assert_eq!(all.status, 0);
    for name in [
        "rhel-6.5",
        "linux-2.6.32",
        "linux-6.18",
        "debian-12",
        "ubuntu-24.04",
    ] {
        assert_eq!(fourtuple(&root(), &["kernels", name]).status, 0, "{name}");
    }
    assert!(all.out.contains("rhel-6.5..rhel-6.7"), "{}", all.out);
    let one = fourtuple(&root(), &["kernels", "rhel-6.5"]);
    assert_eq!(one.status, 0);
    assert!(one.out.contains("__inet_hash_connect"), "{}", one.out);
}

#[test]
fn a_new_scenario_runs_as_it_is() {
    let directory = scratch("new");
    let said = fourtuple(&directory, &["new", "mine/first"]);
    assert_eq!((said.status, said.out.as_str()), (0, "mine/first.yaml\n"));
    let said = fourtuple(&directory, &["run", "mine/first.yaml"]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    let again = fourtuple(&directory, &["new", "mine/first.yaml"]);
    assert_eq!(again.status, 2);
    assert_eq!(
        again.err,
        "error: failed to write mine/first.yaml: it already exists\n"
    );
}

#[test]
fn a_new_scenario_starts_from_one_of_the_corpus() {
    let directory = scratch("from");
    let said = fourtuple(
        &directory,
        &["new", "--from", "rhel-6.5/connect-after-bind"],
    );
    assert_eq!(
        (said.status, said.out.as_str()),
        (0, "connect-after-bind.yaml\n"),
        "{}",
        said.err
    );
    let made = std::fs::read_to_string(directory.join("connect-after-bind.yaml")).expect("text");
    let kept = root().join("scenarios/rhel-6.5/connect-after-bind.yaml");
    let kept = std::fs::read_to_string(kept).expect("text");
    let (schema, rest) = kept.split_once('\n').expect("lines");
    assert!(schema.starts_with("# yaml-language-server:"), "{schema}");
    // The file is the same but for the line about the schema, which is not there to be found.
    assert_eq!(made, rest);
    let said = fourtuple(
        &directory,
        &["run", "connect-after-bind.yaml", "--engine", "model"],
    );
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
}

#[test]
fn a_new_scenario_names_the_schema_where_there_is_one() {
    let directory = scratch("from-schema");
    std::fs::write(directory.join("scenario.schema.json"), "{}").expect("written");
    let from = ["new", "mine/deep/one", "--from", "capacity/one-port"];
    assert_eq!(fourtuple(&directory, &from).status, 0);
    let made = std::fs::read_to_string(directory.join("mine/deep/one.yaml")).expect("text");
    let schema = "# yaml-language-server: $schema=../../scenario.schema.json\nabout: ";
    assert!(made.starts_with(schema), "{made}");
}

#[test]
fn a_scenario_that_is_not_in_the_corpus_is_answered_with_the_nearest() {
    let directory = scratch("from-unknown");
    let ask = |name: &str| fourtuple(&directory, &["new", "x", "--from", name]);
    for (asked, near) in [
        ("rhel-6.5/conect-after-bind", "rhel-6.5/connect-after-bind"),
        ("connect-after-bind", "rhel-6.5/connect-after-bind"),
        ("capacity/connect-after-bind", "rhel-6.5/connect-after-bind"),
        ("capacity", "capacity/one-port"),
        ("zzzz", "timewait"),
    ] {
        let said = ask(asked);
        assert_eq!(said.status, 2, "{asked}");
        assert!(said.err.contains(near), "{asked}: {}", said.err);
        assert!(!directory.join("x.yaml").exists());
    }
    let ending = ask("scenarios/capacity/one-port.yaml");
    assert_eq!(ending.status, 0, "{}", ending.err);
}

#[test]
fn schema_is_the_one_in_the_repository() {
    let said = fourtuple(&root(), &["schema"]);
    let kept =
        std::fs::read_to_string(root().join("scenarios/scenario.schema.json")).expect("the schema");
    assert!(
        said.out == kept,
        "fourtuple schema > scenarios/scenario.schema.json"
    );
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "nushell", "powershell", "zsh"] {
        let said = fourtuple(&root(), &["completions", shell]);
        assert_eq!(said.status, 0);
        assert!(said.out.contains("fourtuple"), "{shell}");
    }
}

#[test]
fn colour_is_for_terminals_only() {
    let said = fourtuple(&here("wrong"), &["run", "expectation.yaml"]);
    assert!(!said.out.contains('\x1b'));
    let output = command(&here("wrong"), &["run", "expectation.yaml"])
        .env("CLICOLOR_FORCE", "1")
        .output();
    let forced = String::from_utf8(output.expect("it runs").stdout).expect("text");
    assert!(forced.contains("\x1b["));
    let output = command(&here("wrong"), &["run", "expectation.yaml"])
        .env("CLICOLOR_FORCE", "0")
        .env("NO_COLOR", "1")
        .output();
    assert!(
        !String::from_utf8(output.expect("it runs").stdout)
            .expect("text")
            .contains('\x1b')
    );
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    // Far more than a pipe holds, so that the command is still writing when its reader leaves.
    let mut child = command(
        &root(),
        &[
            "run",
            "scenarios/rhel-6.5/full-size.yaml",
            "--engine",
            "model",
            "--format",
            "json",
        ],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .expect("the command starts");
    let mut out = child.stdout.take().expect("a pipe");
    let mut first = [0u8; 16];
    out.read_exact(&mut first).expect("some output");
    drop(out);
    let mut err = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut err)
        .expect("text");
    let status = child.wait().expect("it ends");
    assert_eq!((status.code(), err.as_str()), (Some(0), ""));
}
