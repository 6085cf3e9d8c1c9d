//! The outcome is the same bytes every time: with any number of threads, and from any directory. A few quick scenarios
//! show it here; `.ci/run` does the same with the whole corpus.

mod common;

use std::path::{Path, PathBuf};

use common::{fourtuple, root, scratch};

/// Both forms, several kernels, a burst of processes.
const NAMES: [&str; 4] = [
    "connect-after-bind",
    "connect-after-bind-every-kernel",
    "way-out-2-wider-range",
    "why-binding-first-helps",
];

fn scenarios(top: &Path) -> Vec<PathBuf> {
    let file = |name| {
        top.join("scenarios/rhel-6.5")
            .join(name)
            .with_extension("yaml")
    };
    NAMES.map(file).to_vec()
}

fn json(directory: &Path, top: &Path, more: &[&str]) -> String {
    let files = scenarios(top);
    let mut arguments = vec!["run", "--format", "json"];
    arguments.extend(files.iter().map(|file| file.to_str().expect("text")));
    arguments.extend(more);
    let said = fourtuple(directory, &arguments);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    said.out
}

#[test]
fn threads_and_directories_change_nothing() {
    let first = json(&root(), &root(), &["--jobs", "1"]);
    let again = json(&root(), &root(), &["--jobs", "8"]);
    assert!(first == again, "other bytes with 8 threads");
    let elsewhere = json(&scratch("elsewhere"), &root(), &[]);
    assert!(first == elsewhere, "other bytes from another directory");
    let relative = json(&root(), Path::new(""), &[]);
    assert!(first == relative, "other bytes with a relative path");
}
