//! `docs/limits.md` says what the code does.

use fourtuple_scenario::{import, limits};
use fourtuple_suite::root;

#[test]
fn every_limit_is_stated_with_its_value() {
    let page = std::fs::read_to_string(root().join("docs/limits.md")).expect("the page is there");
    let stated: Vec<u64> = page
        .lines()
        .filter_map(|line| {
            line.strip_suffix(" |")?
                .rsplit_once("| ")?
                .1
                .parse::<u64>()
                .ok()
        })
        .collect();
    let of = |n: usize| n as u64;
    let expected = [
        limits::MAX_FILE_BYTES,
        of(limits::MAX_NESTING),
        of(limits::MAX_VALUES),
        of(limits::MAX_EXPANDED_VALUES),
        of(limits::MAX_MATRIX_POINTS),
        of(limits::MAX_CASES),
        of(limits::MAX_HOSTS),
        of(limits::MAX_ADDRESSES),
        of(limits::MAX_PROCESSES),
        u64::from(limits::MAX_COUNT),
        limits::MAX_CONNECTIONS,
        of(limits::MAX_STEPS),
        of(limits::MAX_FAULTS),
        limits::MAX_DURATION.as_secs(),
        u64::from(limits::MAX_TRANSFER_BYTES),
        of(limits::MAX_NAME_CHARS),
        of(limits::MAX_ERRORS),
        of(limits::MAX_FILES),
        of(limits::MAX_DIRECTORY_DEPTH),
        import::MAX_CAPTURE_BYTES,
        of(import::MAX_CAPTURE_LINES),
        of(import::MAX_LINE_BYTES),
        of(import::MAX_IMPORTED_STEPS),
        of(import::MAX_IMPORTED_ADDRESSES),
    ];
    assert_eq!(stated, expected);
}
