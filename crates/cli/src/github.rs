//! Annotations for GitHub Actions: an error at the line of the scenario that expected something else, a warning where
//! a rule has found something.

use std::io::{self, Write as _};

use fourtuple_harness::{ScenarioReport, text};
use fourtuple_scenario::Diagnostic;

use crate::output::Output;

/// Writes the annotations of a scenario; nothing when all is as expected.
pub(crate) fn write(out: &mut Output, report: &ScenarioReport) -> io::Result<()> {
    for case in &report.cases {
        for run in case.judged() {
            for unmet in &run.expect_failed {
                let message = format!("{} ({}, {})", unmet.text, run.kernel, run.engine);
                annotate(
                    out,
                    &report.file,
                    unmet.line.unwrap_or(1),
                    &report.name,
                    &message,
                )?;
            }
        }
        for one in case.agreement.iter().filter(|one| one.fails()) {
            let other = case.reports().find(|run| run.engine == one.engine);
            let Some(other) = other else { continue };
            let words = text::summary::agreement(one, case.reference(), other);
            let message = format!("{} on {}: {words}", one.engine, one.kernel);
            annotate(out, &report.file, 1, &report.name, &message)?;
        }
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
    writeln!(
        out,
        "::warning file={file},line={line},col={column},title={title}::{}",
        escaped(&message)
    )
}

fn annotate(out: &mut Output, file: &str, line: u32, title: &str, message: &str) -> io::Result<()> {
    let (file, title) = (escaped_property(file), escaped_property(title));
    writeln!(
        out,
        "::error file={file},line={line},title={title}::{}",
        escaped(message)
    )
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
