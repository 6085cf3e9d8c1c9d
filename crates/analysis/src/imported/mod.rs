//! Captures as scenarios whose recorded answers the model reproduces: the comparison of its answers
//! with the recorded ones, and the search for assumptions under which they are equal.

use std::collections::BTreeMap;

use fourtuple_harness::{Attempts, Engine as _, Model, Unmet, kernels};
use fourtuple_kernel::profile;
use fourtuple_scenario::import::{
    AttemptRef, ImportError, Imported, Log, Note, Recorded, Settings, Table, tables,
};
use fourtuple_scenario::{Case, Op};

mod assume;

/// Maximum number of differences that are listed; further ones are counted.
const LISTED: usize = 12;

/// Rows of a capture from which a run takes seconds.
const MANY: usize = 100_000;

/// Imports an strace log, and compares its answers with those of the model.
///
/// # Errors
/// The log has no calls, exceeds a limit, or makes a scenario that cannot run.
pub fn import_log(log: &str, settings: &Settings) -> Result<Imported, ImportError> {
    let mut made = assume::search(&Log::read(log, settings)?)?;
    let differences = differences(&made, false)?;
    let notes = notes(&made, &differences);
    made.add_notes(notes);
    Ok(made)
}

/// Imports a table of sockets (`ss`, `netstat`, `/proc/net/tcp`), and checks that the model can
/// hold as many.
///
/// # Errors
/// The table has no sockets, exceeds a limit, or makes a scenario that cannot run.
pub fn import_table(table: &str, settings: &Settings) -> Result<Imported, ImportError> {
    let one = Table {
        name: "",
        text: table,
    };
    import_tables(&[one], settings)
}

/// Imports several tables of one host together.
///
/// # Errors
/// As [`import_table`].
pub fn import_tables(all: &[Table<'_>], settings: &Settings) -> Result<Imported, ImportError> {
    let mut made = tables(all, settings)?;
    let rows = all.iter().map(|table| table.text.lines().count());
    let notes = unmet_notes(&made, rows.sum())?;
    made.add_notes(notes);
    Ok(made)
}

/// Returns whether every selected kernel has `IP_BIND_ADDRESS_NO_PORT`.
#[must_use]
pub fn have_no_port(kernels: &[String]) -> bool {
    kernels.iter().all(|name| {
        // Of a range, its first kernel is the one that may lack it.
        let first = name.split("..").next().unwrap_or_default();
        profile::find(first).is_some_and(|profile| profile.behaviours.bind_address_no_port)
    })
}

/// A recorded answer that the model does not reproduce.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Difference {
    /// Its index among the recorded answers.
    recorded: usize,
    /// The kernel.
    kernel: String,
    /// The answer of the model.
    model: String,
}

/// The differences on every kernel of the scenario, or on its first one.
fn differences(made: &Imported, first_only: bool) -> Result<Vec<Difference>, ImportError> {
    let mut cases = cases(made)?;
    if first_only {
        cases.truncate(1);
    }
    let mut all = Vec::new();
    for case in &cases {
        // Names are checked when a scenario is expanded.
        let Some(profile) = profile::find(&case.kernel) else {
            continue;
        };
        let report = Model
            .run(case, &profile)
            .map_err(|cannot| refused(format!("the model cannot run the scenario: {cannot}")))?;
        let found = compare(&made.recorded, &report.attempts);
        all.extend(found.into_iter().map(|(recorded, model)| Difference {
            recorded,
            kernel: case.kernel.clone(),
            model,
        }));
    }
    Ok(all)
}

fn refused(message: String) -> ImportError {
    ImportError {
        message,
        help: "cut out the part of the capture that matters".to_owned(),
    }
}

fn cases(made: &Imported) -> Result<Vec<Case>, ImportError> {
    let names = kernels::names();
    fourtuple_scenario::expand(&made.scenario, &names).map_err(|errors| refused(errors.to_string()))
}

/// Recorded answers, by index, that differ from those of the attempts, with the attempt's answer.
fn compare(recorded: &[Recorded], attempts: &Attempts) -> Vec<(usize, String)> {
    let of_process = recorded
        .iter()
        .any(|one| matches!(one.place, AttemptRef::OfProcess(..)));
    let mut listed: BTreeMap<(&str, Op), Vec<&str>> = BTreeMap::new();
    if of_process {
        for attempt in attempts {
            let key = (&**attempt.process(), attempt.op());
            listed.entry(key).or_default().push(attempt.result().word());
        }
    }
    let answer = |one: &Recorded| match &one.place {
        AttemptRef::Index(n) => attempts.get(*n).map(|one| one.result().word()),
        AttemptRef::OfProcess(process, n) => listed
            .get(&(process.as_str(), one.op))
            .and_then(|answers| answers.get(*n).copied()),
    };
    let mut found = Vec::new();
    for (n, one) in recorded.iter().enumerate() {
        let model = answer(one).unwrap_or("no such call");
        if !one.answers.iter().any(|answer| answer.as_str() == model) {
            found.push((n, model.to_owned()));
        }
    }
    found
}

/// The differences as notes, one for each line of the log.
fn notes(made: &Imported, differences: &[Difference]) -> Vec<Note> {
    let mut lines: BTreeMap<usize, Vec<&Difference>> = BTreeMap::new();
    for one in differences {
        lines.entry(one.recorded).or_default().push(one);
    }
    let total = lines.len();
    let mut notes: Vec<Note> = lines
        .iter()
        .take(LISTED)
        .filter_map(|(n, several)| {
            let recorded = made.recorded.get(*n)?;
            let answers: Vec<&str> = recorded.answers.iter().map(|one| one.as_str()).collect();
            let first = several.first()?;
            let more = match several.len() - 1 {
                0 => String::new(),
                more => format!(", and {more} further kernels or points differ as well"),
            };
            Some(Note::NotReproduced(format!(
                "line {}: {} answered {}; the model of {} answers {}{more}",
                recorded.line,
                recorded.call(),
                answers.join(" or "),
                first.kernel,
                first.model,
            )))
        })
        .collect();
    if total > LISTED {
        notes.push(Note::NotReproduced(format!(
            "and {} more of {} recorded answers",
            total - LISTED,
            made.recorded.len()
        )));
    }
    notes
}

/// The expectations that the model does not meet, as notes. With more than [`MANY`] rows of the
/// capture, the first case that does not meet them is the last one that is run.
fn unmet_notes(made: &Imported, rows: usize) -> Result<Vec<Note>, ImportError> {
    let cases = cases(made)?;
    let mut notes = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        if rows > MANY && !notes.is_empty() {
            let left = cases.len() - n;
            let text = format!("the check of {left} further kernels or points of the matrix");
            notes.push(Note::LeftOut(text));
            break;
        }
        let point: String = case
            .axes
            .iter()
            .map(|(name, value)| format!(", {name} {value}"))
            .collect();
        for one in unmet(case) {
            let text = format!("{}{point}: {}", case.kernel, one.text);
            notes.push(Note::NotReproduced(text));
        }
    }
    if notes.len() > LISTED {
        let more = notes.len() - LISTED;
        notes.truncate(LISTED);
        notes.push(Note::NotReproduced(format!("and {more} more")));
    }
    Ok(notes)
}

/// The expectations of a case that the model does not meet.
#[must_use]
pub fn unmet(case: &Case) -> Vec<Unmet> {
    profile::find(&case.kernel)
        .and_then(|profile| Model.run(case, &profile).ok())
        .map_or_else(Vec::new, |report| report.expect_failed)
}
