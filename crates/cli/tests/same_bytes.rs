//! The outcome is the same bytes every time: with any number of threads, and from any directory. A
//! few quick scenarios show it here; `.ci/run` does the same with the whole corpus.

use std::path::{Path, PathBuf};

use crate::common::{fourtuple, root, scratch};

/// Both forms, several kernels, a burst of processes.
const NAMES: [&str; 4] = [
    "connect-after-bind",
    "connect-after-bind-every-kernel",
    "workaround-2-wider-range",
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

/// The lines of a run, sorted: each names its file.
fn lines(files: &[PathBuf], jobs: &str) -> Vec<String> {
    let mut arguments = vec![
        "run",
        "--engine",
        "model",
        "--format",
        "json-lines",
        "--jobs",
        jobs,
    ];
    arguments.extend(files.iter().map(|file| file.to_str().expect("text")));
    let said = fourtuple(&root(), &arguments);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let mut lines: Vec<String> = said.out.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn a_file_gives_the_same_bytes_whatever_runs_before_and_beside_it() {
    let topics = ["listener", "parity", "reuseport", "timewait"];
    let mut files: Vec<PathBuf> = Vec::new();
    for topic in topics {
        let entries = std::fs::read_dir(root().join("scenarios").join(topic)).expect("a topic");
        files.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    files.sort();
    assert!(files.len() >= 20, "{files:?}");
    let first = lines(&files, "1");
    for step in [7, 11] {
        // Prime to the count or not, each file stands somewhere else.
        files.sort_by_key(|file| (file.as_os_str().len() * step) % 13);
        files.rotate_left(step);
        for jobs in ["1", "2", "4"] {
            assert!(first == lines(&files, jobs), "step {step}, {jobs} jobs");
        }
    }
}
