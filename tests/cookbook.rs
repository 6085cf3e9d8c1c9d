//! The scenarios of docs/cookbook.md: each is read and run, and has the outcome that it states.

use std::collections::BTreeSet;

use fourtuple_harness::{Engine, Model, kernels, runner};
use fourtuple_render::text;
use fourtuple_scenario::{expand, parse};
use fourtuple_suite::root;

/// Heading and text of every `yaml` block.
fn recipes(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut heading = String::new();
    let mut block: Option<String> = None;
    for line in page.lines() {
        match &mut block {
            Some(text) if line == "```" => {
                found.push((heading.clone(), std::mem::take(text)));
                block = None;
            }
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
            None if line == "```yaml" => block = Some(String::new()),
            None => {
                if let Some(words) = line.strip_prefix("## ") {
                    words.clone_into(&mut heading);
                }
            }
        }
    }
    found
}

#[test]
fn every_recipe_comes_out_as_it_says() {
    let page = std::fs::read_to_string(root().join("docs/cookbook.md")).expect("the cookbook");
    let recipes = recipes(&page);
    assert!(
        recipes.len() > 20,
        "only {} recipes were found",
        recipes.len()
    );
    for (heading, yaml) in recipes {
        let scenario =
            parse("cookbook.yaml", &yaml).unwrap_or_else(|errors| panic!("{heading}:\n{errors}"));
        let cases = expand(&scenario, &kernels::names())
            .unwrap_or_else(|errors| panic!("{heading}:\n{errors}"));
        let engines: [&dyn Engine; 1] = [&Model];
        let report = runner::run(&scenario, cases, &engines);
        let ran = report.cases.iter().all(|case| case.reference().is_some());
        assert!(ran, "{heading}: the model cannot run this");
        assert!(
            !report.failed(),
            "{heading}:\n\n{}",
            text::summary::summary(&report)
        );
        let asserts = yaml.contains("expect");
        assert!(
            asserts,
            "{heading}: a recipe without an expectation shows nothing"
        );
    }
}

#[test]
fn every_heading_has_its_recipe() {
    let page = std::fs::read_to_string(root().join("docs/cookbook.md")).expect("the cookbook");
    let with: Vec<String> = recipes(&page)
        .into_iter()
        .map(|(heading, _)| heading)
        .collect();
    let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
    let without: Vec<&str> = headings
        .filter(|one| !with.iter().any(|two| two == one))
        .collect();
    assert!(without.is_empty(), "no scenario under {without:?}");
}

/// The names of all fields that a scenario may have, from the schema.
fn fields() -> BTreeSet<String> {
    let schema = fourtuple_scenario::schema();
    let parts = schema["$defs"].as_object().expect("definitions").values();
    let objects = parts
        .chain([&schema])
        .filter_map(|part| part["properties"].as_object());
    objects.flat_map(|fields| fields.keys().cloned()).collect()
}

#[test]
fn every_field_of_the_format_is_used_by_a_recipe() {
    let page = std::fs::read_to_string(root().join("docs/cookbook.md")).expect("the cookbook");
    let mut used: BTreeSet<String> = BTreeSet::new();
    for (_, yaml) in recipes(&page) {
        // A question is prose: its words are no fields.
        for line in yaml.lines() {
            let line = if line.starts_with("about: ") {
                "about"
            } else {
                line
            };
            let words =
                line.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')));
            used.extend(words.map(str::to_owned));
        }
    }
    let fields = fields();
    assert!(fields.len() > 60, "only {} fields were found", fields.len());
    let unused: Vec<&String> = fields.difference(&used).collect();
    assert!(unused.is_empty(), "no recipe shows {unused:?}");
}
