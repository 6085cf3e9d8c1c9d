//! The table of docs/flaky-tests.md says what the model's exploration says.

use fourtuple_suite::{flaky, root};

#[test]
fn the_shares_are_up_to_date() {
    let path = root().join("docs/flaky-tests.md");
    let kept = std::fs::read_to_string(&path).expect("the page is there");
    let page = flaky::page(&kept);
    if std::env::var_os("FOURTUPLE_UPDATE").is_some() {
        std::fs::write(&path, page).expect("the page can be written");
        return;
    }
    assert!(
        page == kept,
        "docs/flaky-tests.md is out of date: FOURTUPLE_UPDATE=1 cargo test --test flaky"
    );
}
