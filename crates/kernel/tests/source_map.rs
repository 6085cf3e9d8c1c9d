//! The map from kernel functions to the model is complete, its places exist, and its page is up to
//! date.

use fourtuple_kernel::Rule;
use fourtuple_kernel::source_map::{self, FUNCTIONS};
use std::path::Path;

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn declares(source: &str, function: &str) -> bool {
    let declared = format!("fn {function}");
    source.match_indices(&declared).any(|(at, _)| {
        let after = source[at + declared.len()..].chars().next();
        after.is_some_and(|c| !c.is_alphanumeric() && c != '_')
    })
}

#[test]
fn every_rule_and_every_behaviour_has_a_place() {
    // The quota of a provider's NAT is in no kernel.
    for rule in Rule::ALL.iter().filter(|rule| **rule != Rule::NatQuota) {
        let found = FUNCTIONS.iter().any(|f| f.rules.contains(rule));
        assert!(found, "no kernel function of the map explains {rule}");
    }
    assert_eq!(source_map::unmapped_behaviours(), [""; 0]);
}

#[test]
fn every_place_exists() {
    for f in FUNCTIONS {
        let found = declares(&read(format!("src/{}", f.file)), f.place);
        assert!(found, "{}: no `fn {}` in src/{}", f.name, f.place, f.file);
    }
}

#[test]
fn every_rule_of_the_crates_map_is_linked_to_its_source() {
    let lib = read("src/lib.rs");
    let mut rules = 0;
    for row in lib.lines().filter(|line| line.contains(".rs` |")) {
        let quoted: Vec<&str> = row.split('`').collect();
        let [.., function, _, file, _] = quoted[..] else {
            panic!("a row names a function and a file: {row}");
        };
        assert!(declares(&read(format!("src/{file}")), function), "{row}");
        let link = format!("[`{function}`]: ../src/fourtuple_kernel/{file}.html");
        assert!(lib.contains(&link), "{row}");
        rules += 1;
    }
    assert!(rules >= 8, "{rules} rows");
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
