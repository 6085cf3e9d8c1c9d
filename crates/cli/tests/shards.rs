//! Parts of a sweep, merged in any order, are the bytes of the whole.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Said, fourtuple, root, scratch};

const RUN: &[&str] = &[
    "run",
    "scenarios/parity",
    "--engine",
    "model",
    "--format",
    "json-lines",
];

fn whole(sweep: &[&str]) -> String {
    let said = fourtuple(&root(), sweep);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    said.out
}

/// Runs a sweep in parts and writes each to a file.
fn parts(directory: &Path, sweep: &[&str], of: usize) -> Vec<PathBuf> {
    let part = |part: usize| {
        let text = whole(&[sweep, &["--shard", &format!("{part}/{of}")]].concat());
        let file = directory.join(format!("{part}-of-{of}.jsonl"));
        fs::write(&file, text).expect("written");
        file
    };
    (1..=of).map(part).collect()
}

fn merge(options: &[&str], files: &[&PathBuf]) -> Said {
    let mut arguments = vec!["merge"];
    arguments.extend(options);
    arguments.extend(files.iter().map(|file| file.to_str().expect("text")));
    fourtuple(&root(), &arguments)
}

#[test]
fn merged_parts_are_the_whole() {
    let one = "scenarios/rhel-6.5/connect-after-bind.yaml";
    let lines = ["--format", "json-lines"];
    let few = ["--samples", "20", "--budget", "100"];
    let explore = [&["explore", one], &few[..], &lines].concat();
    let kernels = ["--kernel", "rhel-6.5,linux-4.2,linux-6.18"];
    let remedies = [&["remedies", one], &kernels[..], &lines].concat();
    let directory = scratch("merged-parts");
    for sweep in [RUN, &explore, &remedies] {
        let whole = whole(sweep);
        // More parts than there is to do: some are empty.
        for of in [2, 3, 9] {
            let parts = parts(&directory, sweep, of);
            let said = merge(&[], &parts.iter().rev().collect::<Vec<_>>());
            assert_eq!((said.status, said.err.as_str()), (0, ""));
            assert!(said.out == whole, "{of} parts of {sweep:?} differ");
        }
    }
}

#[test]
fn merging_is_associative_and_names_missing_parts() {
    let directory = scratch("partial-merges");
    let [a, b, c, d] = &parts(&directory, RUN, 4)[..] else {
        panic!("four parts")
    };
    let lacking = merge(&[], &[a, c]);
    assert_eq!((lacking.status, lacking.out.as_str()), (1, ""));
    assert_eq!(lacking.err, "missing: parts 2, 4 of 4\n");

    let join = |name: &str, files: &[&PathBuf]| {
        let said = merge(&["--partial"], files);
        assert_eq!(said.status, 0, "{}", said.err);
        let file = directory.join(name);
        fs::write(&file, said.out).expect("written");
        file
    };
    let (ca, bd) = (join("ca", &[c, a]), join("bd", &[b, d]));
    let cab = join("cab", &[&ca, b]);
    let whole = whole(RUN);
    for files in [[&ca, &bd], [&bd, &ca], [d, &cab]] {
        assert!(merge(&[], &files).out == whole);
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let directory = scratch("wrong-parts");
    let [a, b] = &parts(&directory, RUN, 2)[..] else {
        panic!("two parts")
    };
    // A task that ran again has written the same bytes.
    let twice = merge(&[], &[a, b, a]);
    assert_eq!(twice.status, 0);
    assert!(
        twice.err.starts_with("note: part 1 of 2 is in "),
        "{}",
        twice.err
    );
    assert!(twice.out == whole(RUN));

    let refused = |name: &str, text: String, problem: &str| {
        let file = directory.join(name);
        fs::write(&file, text).expect("written");
        let said = merge(&[], &[a, b, &file]);
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{name}");
        assert!(
            said.err.contains(problem) && said.err.contains(name),
            "{}",
            said.err
        );
    };
    let text = fs::read_to_string(a).expect("a part");
    let changed = text.replacen("\"ok\"", "\"no\"", 1);
    assert_ne!(text, changed);
    refused("changed", changed, "with other content");
    let unfinished = text.trim_end().to_owned();
    refused("unfinished", unfinished, "does not close a part");
    refused("whole", whole(RUN), "does not close a part");
    refused("empty", String::new(), "does not close a part");
    let other = [RUN, &["--seed", "7", "--shard", "1/2"]].concat();
    refused("other", whole(&other), "of another sweep");
    let third = [RUN, &["--shard", "1/3"]].concat();
    refused("third", whole(&third), "of a sweep in 3 parts");
}

#[test]
fn certificates_of_parts_are_added() {
    let directory = scratch("certificates");
    let traces = root().join("crates/cli/tests/data/traces");
    let mut traces: Vec<PathBuf> = (fs::read_dir(traces).expect("recordings"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    traces.sort();
    let certify = |name: &str, shard: &str| {
        let file = directory.join(name);
        let mut arguments = vec!["certify", "--shard", shard, "--certificate"];
        arguments.push(file.to_str().expect("text"));
        arguments.push("--on");
        arguments.extend(traces.iter().map(|path| path.to_str().expect("text")));
        let said = fourtuple(&root(), &arguments);
        assert_eq!(said.status, 0, "{}{}", said.out, said.err);
        file
    };
    let whole = fs::read_to_string(certify("whole", "1/1")).expect("certificates");
    assert!(whole.contains("\"calls\""), "{whole}");
    let [a, b, c] = ["1/3", "2/3", "3/3"].map(|shard| certify(&shard.replace('/', "-"), shard));
    assert_eq!(merge(&[], &[&c, &a, &b, &a]).out, whole);
    let lacking = merge(&[], &[&a, &c]);
    assert_eq!(lacking.status, 1);
    assert_eq!(lacking.err, "missing: part 2 of 3\n");
    let some = directory.join("some");
    fs::write(&some, merge(&["--partial"], &[&a, &c]).out).expect("written");
    assert_eq!(merge(&[], &[&b, &some]).out, whole);
    assert_eq!(merge(&[], &[&a, &some]).status, 2);
}

/// Which ports a real kernel chooses is its secret, but not whether its profile allows them.
#[test]
fn parts_of_a_campaign_on_the_running_kernel_are_the_whole() {
    let fuzz = ["fuzz", "--on", "host", "--count", "10", "--seed", "5"];
    let tried = fourtuple(&root(), &[&fuzz[..], &["--shard", "1/1000"]].concat());
    if tried.status == 2 {
        println!("skipped: {}", tried.err);
        return;
    }
    assert_eq!(tried.status, 0, "a part without programs is no failure");
    let fuzz = [&fuzz[..], &["--format", "json-lines"]].concat();
    let whole = whole(&fuzz);
    assert_eq!(whole.lines().count(), 10);
    let directory = scratch("campaign");
    for of in [2, 3] {
        let parts = parts(&directory, &fuzz, of);
        let said = merge(&[], &parts.iter().collect::<Vec<_>>());
        assert!(said.out == whole, "{of} parts differ");
    }
}

#[test]
fn threads_change_nothing_in_an_exploration() {
    let explore = [
        "explore",
        "scenarios/rhel-6.5/connect-after-bind.yaml",
        "--format",
        "json-lines",
    ];
    let one = whole(&[&explore[..], &["--jobs", "1"]].concat());
    let many = whole(&[&explore[..], &["--jobs", "7"]].concat());
    assert!(one == many);
}

#[test]
fn file_that_is_not_a_part_is_reported() {
    let said = fourtuple(&root(), &["run", "scenarios/parity", "--shard", "3/2"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("such as `2/5`"), "{}", said.err);
}
