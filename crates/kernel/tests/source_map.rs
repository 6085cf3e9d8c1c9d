//! The map from kernel functions to the model is complete, its places exist, and its page is up to
//! date.

use fourtuple_kernel::Rule;
use fourtuple_kernel::source_map::{self, FUNCTIONS};
use std::path::Path;

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn every_rule_and_every_behaviour_has_a_place() {
    for rule in Rule::ALL {
        let found = FUNCTIONS.iter().any(|f| f.rules.contains(rule));
        assert!(found, "no kernel function of the map explains {rule}");
    }
    assert_eq!(source_map::unmapped_behaviours(), [""; 0]);
}

#[test]
fn every_place_exists() {
    for f in FUNCTIONS {
        let source = read(format!("src/{}", f.file));
        let declared = format!("fn {}", f.place);
        let found = source.match_indices(&declared).any(|(at, _)| {
            let after = source[at + declared.len()..].chars().next();
            after.is_some_and(|c| !c.is_alphanumeric() && c != '_')
        });
        assert!(found, "{}: no `{declared}` in src/{}", f.name, f.file);
    }
}

#[test]
fn no_function_is_listed_twice() {
    let mut names: Vec<&str> = FUNCTIONS.iter().map(|f| f.name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn the_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/kernel-map.md");
    if std::env::var_os("FOURTUPLE_UPDATE").is_some() {
        std::fs::write(&path, source_map::page()).expect("the page can be written");
    }
    assert!(
        read(&path) == source_map::page(),
        "docs/kernel-map.md is out of date: FOURTUPLE_UPDATE=1 cargo test -p fourtuple-kernel --test source_map"
    );
}
