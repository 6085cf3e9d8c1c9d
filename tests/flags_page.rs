//! `docs/flags.md` lists every behaviour, and a test or recording detects a change of each.

use fourtuple_kernel::Behaviours;
use fourtuple_suite::root;

#[test]
fn every_behaviour_has_a_row_and_a_detection() {
    let page = std::fs::read_to_string(root().join("docs/flags.md")).expect("the page is there");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let named: Vec<&str> = rows.iter().map(|row| row[1].trim_matches('`')).collect();
    assert_eq!(
        named,
        Behaviours::NAMES,
        "cargo run --release -p fourtuple-linux --example flip -- --table RECORDINGS"
    );
    for row in rows {
        let (recordings, pins, nothing) = (row[2], row[3], row[4]);
        assert!(
            recordings != "–" || pins == "all" || nothing.starts_with("cannot be seen: "),
            "{row:?}"
        );
        assert!(
            nothing == "–"
                || nothing.starts_with("cannot be seen: ")
                || nothing.starts_with("two values are the same rule"),
            "a changed behaviour is not detected: {row:?}"
        );
    }
}
