//! The outcome is the same bytes every time: with any number of threads, and from any directory.

mod common;

use common::{fourtuple, root, scratch};

fn json(directory: &std::path::Path, more: &[&str]) -> String {
    let scenarios = root().join("scenarios/rhel-6.5");
    let scenarios = scenarios.to_str().expect("text");
    let arguments = [&["run", scenarios, "--format", "json"], more].concat();
    let said = fourtuple(directory, &arguments);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    said.out
}

#[test]
fn threads_and_directories_change_nothing() {
    let first = json(&root(), &["--jobs", "1"]);
    assert!(
        first == json(&root(), &["--jobs", "8"]),
        "other bytes with 8 threads"
    );
    assert!(
        first == json(&scratch("elsewhere"), &[]),
        "other bytes from another directory"
    );
    let below = fourtuple(&root(), &["run", "scenarios/rhel-6.5", "--format", "json"]);
    assert!(first == below.out, "other bytes with a relative path");
}
