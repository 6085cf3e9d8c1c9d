//! Rules about the files of the corpus that no single scenario can check.

use fourtuple_suite::{files, is_full_size, relative, root};

fn named(directory: &str, ending: &str) -> Vec<String> {
    let found = files(&root().join(directory));
    assert!(!found.is_empty(), "there is nothing in {directory}");
    found
        .iter()
        .filter_map(|path| {
            let below = relative(path)
                .strip_prefix(directory)
                .ok()?
                .to_string_lossy()
                .replace('\\', "/");
            below.strip_suffix(ending).map(str::to_owned)
        })
        .collect()
}

#[test]
fn every_snapshot_has_its_scenario() {
    let scenarios = named("scenarios", ".yaml");
    let orphans: Vec<String> = named("snapshots", ".snap")
        .into_iter()
        .filter(|one| !scenarios.contains(one))
        .collect();
    assert!(
        orphans.is_empty(),
        "snapshots without a scenario, to be removed: {orphans:?}"
    );
}

#[test]
fn every_scenario_has_its_snapshot() {
    let snapshots = named("snapshots", ".snap");
    let missing: Vec<String> = named("scenarios", ".yaml")
        .into_iter()
        .filter(|one| !snapshots.contains(one))
        .collect();
    assert!(
        missing.is_empty(),
        "scenarios without a snapshot, see `cargo insta review`: {missing:?}"
    );
}

#[test]
fn scenarios_end_in_yaml_so_that_the_suite_sees_them() {
    let hidden: Vec<String> = named("scenarios", ".yml");
    assert!(hidden.is_empty(), "to be renamed to .yaml: {hidden:?}");
}

#[test]
fn every_scenario_names_the_schema_asks_a_question_and_has_a_source() {
    for path in files(&root().join("scenarios")) {
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a scenario is text");
        let depth = relative(&path).components().count() - 2;
        let schema = format!(
            "# yaml-language-server: $schema={}scenario.schema.json\n",
            "../".repeat(depth)
        );
        assert!(
            text.starts_with(&schema),
            "{}: the first line should be {schema}",
            path.display()
        );
        let scenario = fourtuple_scenario::load(&path).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(
            scenario.about.contains('?'),
            "{}: `about` asks nothing",
            path.display()
        );
        assert!(
            !scenario.source.is_empty(),
            "{}: no `source`",
            path.display()
        );
    }
}

/// A finding that is the point of a scenario is allowed by a comment in it.
#[test]
fn every_scenario_is_free_of_findings_that_are_not_meant() {
    let names = fourtuple_harness::kernels::names();
    let mut found = Vec::new();
    for path in files(&root().join("scenarios")) {
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let scenario = fourtuple_scenario::load(&path).unwrap_or_else(|errors| panic!("{errors}"));
        let cases = fourtuple_scenario::expand(&scenario, &names);
        // The linter runs a scenario once more for each of its settings: at full size that is a
        // matter of minutes.
        if is_full_size(&cases.unwrap_or_else(|errors| panic!("{errors}"))) {
            continue;
        }
        let findings = fourtuple_analysis::lint(&scenario, &names, &mut |_| {});
        let findings = findings.unwrap_or_else(|errors| panic!("{errors}"));
        found.extend(findings.iter().map(|one| one.diagnostic.to_string()));
    }
    assert!(
        found.is_empty(),
        "mend these, or allow what is meant with a comment `# lint: allow RULE` above the line:\n\n{}",
        found.join("\n\n")
    );
}

/// Lines of a snapshot that a reviewer reads.
const LINES: usize = 120;
/// Snapshots that are longer, and why they are kept whole.
const LONG: &[(&str, &str)] = &[(
    "autobind/reuse",
    "each of its groups has a title of all distributions' names",
)];

#[test]
fn every_exception_is_needed() {
    for (name, why) in LONG {
        let path = root().join(format!("snapshots/{name}.snap"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            text.lines().count() > LINES,
            "{name} is short enough by now: {why}"
        );
        assert!(why.len() > 20, "{name}: {why:?} is no reason");
    }
}

#[test]
fn snapshots_are_short_and_hold_no_path_of_this_machine() {
    for path in files(&root().join("snapshots")) {
        if path.extension().is_none_or(|ending| ending != "snap") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a snapshot is text");
        let lines = text.lines().count();
        let name = relative(&path).with_extension("");
        let long = LONG.iter().any(|(one, _)| name.ends_with(one));
        assert!(
            long || lines <= LINES,
            "{}: {lines} lines, more than {LINES}",
            path.display()
        );
        let here = root().to_string_lossy();
        assert!(!text.contains(&*here), "{}: names {here}", path.display());
        assert!(
            text.lines().all(|line| line.trim_end() == line),
            "{}: spaces at the end of a line",
            path.display()
        );
    }
}

#[test]
fn the_schema_is_the_one_that_the_code_makes() {
    let kept =
        std::fs::read_to_string(root().join("scenarios/scenario.schema.json")).unwrap_or_default();
    assert!(
        kept == fourtuple_scenario::schema_text(),
        "scenarios/scenario.schema.json is out of date: cargo run -- schema > scenarios/scenario.schema.json"
    );
}
