//! Annotations for GitHub Actions: an error at the line of the scenario that expected something else, a notice where
//! calls were refused and nothing is expected, a warning where a rule has found something.

use std::io;

use fourtuple_harness::{Assessment, ScenarioReport, ScenarioVerdict, text};
use fourtuple_scenario::Diagnostic;

use crate::output::Output;

/// Writes the annotations of a scenario; nothing when all is as expected.
pub(crate) fn write(out: &mut Output, report: &ScenarioReport) -> io::Result<()> {
    for case in &report.cases {
        for run in case.judged() {
            for unmet in &run.expect_failed {
                let message = format!("{} ({}, {})", unmet.text, run.kernel, run.engine);
                annotate(out, "error", report, unmet.line.unwrap_or(1), &message)?;
            }
        }
        for one in case.agreement.iter().filter(|one| one.fails()) {
            let other = case.reports().find(|run| run.engine == one.engine);
            let Some(other) = other else { continue };
            let words = text::summary::agreement(one, case.reference(), other);
            let message = format!("{} on {}: {words}", one.engine, one.kernel);
            annotate(out, "error", report, 1, &message)?;
        }
    }
    let assessment = Assessment::of(report);
    if assessment.verdict == ScenarioVerdict::NothingExpected && assessment.refused > 0 {
        let message = format!("nothing is expected: {}", assessment.counts());
        annotate(out, "notice", report, 1, &message)?;
    }
    Ok(())
}

/// Writes what a tool has to say about a scenario as a warning.
pub(crate) fn warning(out: &mut Output, title: &str, one: &Diagnostic) -> io::Result<()> {
    let (file, title) = (escaped_property(&one.file), escaped_property(title));
    let place = one.place.as_ref();
    let (line, column) = place.map_or((1, 1), |place| (place.line, place.column));
    let mut message = one.message.clone();
    if let Some(label) = place
        .map(|place| &place.label)
        .filter(|label| !label.is_empty())
    {
        message.push_str(&format!(": {label}"));
    }
    for more in one.notes.iter().chain(&one.help) {
        message.push_str(&format!("\n{more}"));
    }
    let message = escaped(&message);
    out.annotation(&format!(
        "::warning file={file},line={line},col={column},title={title}::{message}"
    ))
}

fn annotate(
    out: &mut Output,
    kind: &str,
    report: &ScenarioReport,
    line: u32,
    message: &str,
) -> io::Result<()> {
    let (file, title) = (
        escaped_property(&report.file),
        escaped_property(&report.name),
    );
    let message = escaped(message);
    out.annotation(&format!(
        "::{kind} file={file},line={line},title={title}::{message}"
    ))
}

/// Text as the runner wants it in a message.
fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn escaped_property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}
