//! The comparison of the model's answers with those that a log recorded, and the search for
//! assumptions under which they are equal.

use std::collections::BTreeMap;

use fourtuple_harness::{Attempts, Engine as _, Model, Unmet};
use fourtuple_kernel::profile;
use fourtuple_scenario::import::{AttemptRef, ImportError, Imported, Note, Recorded};
use fourtuple_scenario::{Case, Op};

mod assume;

pub(crate) use assume::search;

/// Maximum number of differences that are listed; further ones are counted.
const LISTED: usize = 12;

/// Rows of a capture from which a run takes seconds.
const MANY: usize = 100_000;

/// A recorded answer that the model does not reproduce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Its index among the recorded answers.
    pub(crate) recorded: usize,
    /// The kernel.
    kernel: String,
    /// The answer of the model.
    model: String,
}

/// The differences on every kernel of the scenario, or on its first one.
pub(crate) fn differences(
    made: &Imported,
    first_only: bool,
) -> Result<Vec<Difference>, ImportError> {
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
    let names = fourtuple_harness::kernels::names();
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
pub(crate) fn notes(made: &Imported, differences: &[Difference]) -> Vec<Note> {
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
pub(crate) fn unmet_notes(made: &Imported, rows: usize) -> Result<Vec<Note>, ImportError> {
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
pub(crate) fn unmet(case: &Case) -> Vec<Unmet> {
    profile::find(&case.kernel)
        .and_then(|profile| Model.run(case, &profile).ok())
        .map_or_else(Vec::new, |report| report.expect_failed)
}

/// A warning about the unmet expectations of a case; none if all are met.
pub(crate) fn warning(kernel: &str, unmet: &[Unmet]) -> Option<String> {
    let count = unmet.len();
    let plural = if count == 1 { "" } else { "s" };
    let mut text = format!(
        "NOT AS EXPECTED: {count} expectation{plural} of this scenario not met by the model of {kernel}. What follows is about another outcome than the expected one.\n"
    );
    for one in unmet.iter().take(LISTED) {
        let line = one
            .line
            .map_or_else(String::new, |line| format!("line {line}: "));
        text.push_str(&format!("  {line}{}\n", one.text));
    }
    if count > LISTED {
        text.push_str(&format!("  and {} more\n", count - LISTED));
    }
    (count > 0).then_some(text)
}
