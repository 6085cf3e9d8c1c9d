//! The table of docs/turmoil-suites.md has the numbers of the tests that it is about.

use std::fs;
use std::path::Path;

/// The tests of a folder, and those that differ on purpose.
fn counted(folder: &Path) -> [usize; 2] {
    let mut counts = [0; 2];
    for entry in fs::read_dir(folder).expect("the folder of a suite") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a source file");
        let tests: Vec<&str> = text.split("#[test]").collect();
        counts[0] += tests.len() - 1;
        // A comment stands in a test, or right before the next one.
        let mut differs_before = false;
        for (n, part) in tests.iter().enumerate() {
            let (own, next) = part.rsplit_once("\n}\n").unwrap_or(("", part));
            let differs =
                |text: &str| text.contains("// Differs:") || text.contains("/// Differs:");
            counts[1] += usize::from(n > 0 && (differs_before || differs(own)));
            differs_before = differs(next);
        }
    }
    counts
}

#[test]
fn the_table_of_suites_has_the_numbers_of_the_tests() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(top.join("docs/turmoil-suites.md")).expect("the page");
    for suite in ["tokio_tcp", "turmoil_tcp", "turmoil_udp", "turmoil_net"] {
        let folder = format!("crates/turmoil/tests/{suite}");
        let [tests, differ] = counted(&top.join(&folder));
        let row = page.lines().find(|line| line.contains(&folder));
        let row: Vec<&str> = row
            .expect("a row of the table")
            .split('|')
            .map(str::trim)
            .collect();
        let pass = tests - differ;
        assert_eq!(
            row[3..7],
            [tests, pass, differ, 0].map(|n| n.to_string()),
            "{suite}"
        );
    }
}
