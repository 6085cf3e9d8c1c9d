//! `docs/wrong-flags.md` describes programs that ran on a real kernel. The page is true as long as
//! the right profile allows the recorded answers and the wrong ones do not.

use fourtuple_kernel::profile::{Behaviours, find};
use fourtuple_linux::judge::Judge;
use fourtuple_linux::{Program, length, trace};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const PAGE: &str = include_str!("../../../docs/wrong-flags.md");
/// Length up to which a program counts as short.
const SHORT: usize = 8;

/// The recorded programs by the name of the wrong value that they show, and the behaviours of the
/// kernel that they ran on.
fn recorded() -> (Behaviours, BTreeMap<String, Program>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wrong_flags.jsonl");
    let boots = trace::read_file(&file).expect("it can be read");
    let [boot] = &boots[..] else {
        panic!("one kernel, not {}", boots.len());
    };
    let header = boot
        .header
        .as_ref()
        .expect("the recording names its kernel");
    let profile = find(&header.profile).expect("it is known");
    let programs = boot.programs.iter();
    let programs = programs.map(|p| (p.program.clone(), p.clone())).collect();
    (profile.behaviours, programs)
}

/// Every profile that differs in one behaviour, by the name of the wrong value.
fn wrong(right: &Behaviours) -> BTreeMap<String, Behaviours> {
    let mut all = BTreeMap::new();
    for name in Behaviours::NAMES {
        for wrong in right.mutants(name) {
            all.insert(format!("{name} = {}", shown(&wrong, name)), wrong);
        }
    }
    all
}

fn shown(behaviours: &Behaviours, name: &str) -> String {
    let mut rows = behaviours.rows().into_iter();
    rows.find(|row| row.name == name)
        .expect("it is a behaviour")
        .value
}

/// The cells of a table of the page: the one after this heading, or the first.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = PAGE.split_once(heading).unwrap_or(("", ""));
    let lines = rest.lines().skip(1).take_while(|l| !l.starts_with("## "));
    let rows = lines.filter(|l| l.starts_with("| `"));
    rows.map(|l| l.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// The behaviour and the wrong value of a row that has them in these cells.
fn named(row: &[&str], value: usize) -> String {
    format!("{} = {}", row[0].trim_matches('`'), row[value])
}

#[test]
fn the_kernel_allows_every_recorded_answer_and_the_wrong_profile_does_not() {
    let (right, programs) = recorded();
    let wrong = wrong(&right);
    for (name, program) in &programs {
        let judged = Judge::new(right).program(program);
        assert_eq!(judged, Ok(None), "{name}");
        let judged = Judge::new(wrong[name]).program(program);
        let found = judged.expect("it is checked");
        let found = found.unwrap_or_else(|| panic!("{name} allows everything"));
        // No step comes after the one that shows it.
        assert_eq!(found.step + 1, program.steps.len(), "{name}");
    }
}

#[test]
fn every_found_row_has_a_program_of_that_length() {
    let (right, programs) = recorded();
    let rows = table("# Mutated flags");
    let mut without: BTreeSet<&String> = programs.keys().collect();
    for row in &rows {
        let [name, is, _, _, steps] = row[..] else {
            panic!("{row:?}");
        };
        assert_eq!(is, shown(&right, name.trim_matches('`')), "{row:?}");
        let named = named(row, 2);
        let program = programs.get(&named);
        let program = program.unwrap_or_else(|| panic!("no program shows {named}"));
        assert_eq!(steps, length(program).to_string(), "{named}");
        without.remove(&program.program);
    }
    assert!(without.is_empty(), "not on the page: {without:?}");
    let short = programs.values().filter(|p| length(p) <= SHORT).count();
    let sum = format!(
        "{} of {} wrong values are found, {short} of them in at most {SHORT} steps.",
        rows.len(),
        wrong(&right).len(),
    );
    assert!(PAGE.contains(&sum), "the page does not say: {sum}");
}

#[test]
fn every_long_program_was_searched_and_every_value_that_is_not_found_has_a_reason() {
    let (right, programs) = recorded();
    let long: BTreeSet<String> = programs
        .iter()
        .filter(|(_, program)| length(program) > SHORT)
        .map(|(name, _)| name.clone())
        .collect();
    let searched = table("## Longer than").into_iter();
    let searched: BTreeSet<String> = searched
        .map(|row| {
            assert_eq!(row[3], "0", "a short program shows it: {row:?}");
            named(&row, 1)
        })
        .collect();
    assert_eq!(searched, long);

    let all: BTreeSet<String> = wrong(&right).into_keys().collect();
    let found: BTreeSet<String> = programs.into_keys().collect();
    let missing: BTreeSet<String> = all.difference(&found).cloned().collect();
    let rows = table("## Not found");
    let documented: BTreeSet<String> = rows.iter().map(|row| named(row, 1)).collect();
    assert_eq!(documented, missing);
    for row in rows {
        assert_eq!(row[4], "0", "a short program shows it: {row:?}");
        assert!(!row[5].is_empty() && row[5] != "not known", "{row:?}");
    }
}
