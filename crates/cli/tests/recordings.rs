//! Real programs that ran out of ports, recorded by `tools/record-programs`: every recorded refusal
//! is reproduced, and the assumptions are those of the snapshot.

use std::fmt::Write as _;
use std::fs;

use crate::common::{fourtuple, here, scratch};

const NO_PORT: [&str; 2] = ["EADDRNOTAVAIL", "EADDRINUSE"];
/// Largest recording, and all of them, in bytes.
const MOST: (usize, usize) = (60_000, 600_000);

/// The refusals of a log, read without the importer.
fn refusals(log: &str) -> usize {
    let refused = |line: &&str| {
        let result = line.rsplit_once("= -1 ").map(|(_, result)| result);
        let errno = result.and_then(|result| result.split(' ').next());
        errno.is_some_and(|errno| NO_PORT.contains(&errno))
    };
    log.lines().filter(refused).count()
}

/// The refusals of the model in a scenario.
fn reproduced(directory: &std::path::Path) -> usize {
    let arguments = ["run", "made.yaml", "--engine", "model", "--format", "json"];
    let said = fourtuple(directory, &arguments);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    let document: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let runs = document["runs"].as_array().expect("runs").iter();
    let attempts = runs.flat_map(|run| run["attempts"].as_array().expect("attempts"));
    attempts
        .filter(|one| NO_PORT.iter().any(|errno| one["result"] == *errno))
        .count()
}

#[test]
fn refusals_of_real_programs_are_reproduced() {
    let data = here("data/programs");
    let sysctl = data.join("range.sysctl").display().to_string();
    let mut names: Vec<String> = fs::read_dir(&data)
        .expect("data/programs")
        .map(|entry| entry.expect("an entry").file_name())
        .filter_map(|name| name.into_string().ok())
        .filter(|name| !name.ends_with(".sysctl"))
        .collect();
    names.sort();
    let (mut table, mut total) = (String::new(), 0);
    for name in &names {
        let (_, method) = name.rsplit_once('.').expect("program.method");
        let log = fs::read_to_string(data.join(name)).expect("a log");
        assert!(log.len() < MOST.0, "{name} has {} bytes", log.len());
        total += log.len();
        let directory = scratch(&format!("recordings-{name}"));
        let file = data.join(name).display().to_string();
        let arguments = [
            "import",
            method,
            &file,
            "--sysctl",
            &sysctl,
            "-o",
            "made.yaml",
        ];
        let said = fourtuple(&directory, &arguments);
        assert_eq!(said.status, 0, "{name}: {}", said.err);
        let recorded = refusals(&log);
        assert!(recorded > 0, "{name} has no refusal");
        assert_eq!(reproduced(&directory), recorded, "{name}");
        let _ = writeln!(table, "{name}: {recorded} refusals");
        for note in said.err.lines().filter(|note| note.starts_with("assumed")) {
            let _ = writeln!(table, "  {note}");
        }
    }
    assert!(total < MOST.1, "the recordings have {total} bytes");
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots/import");
    settings.bind(|| insta::assert_snapshot!("programs", table));
}
