//! Remarks on scenarios for CI servers, which show them next to the files: an error at the line of
//! an unmet expectation, a note if calls were refused and nothing is expected, a warning for a
//! finding of a lint rule.

use fourtuple_analysis::LintFinding;
use fourtuple_harness::{Assessment, ScenarioReport, ScenarioVerdict};
use fourtuple_render::text;

/// The severity of a remark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
    Note,
}

/// One remark at a place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) level: Level,
    /// The name of the check, one of [`CHECKS`] or a lint rule.
    pub(crate) check: &'static str,
    pub(crate) title: String,
    pub(crate) file: String,
    /// Counted from 1.
    pub(crate) line: usize,
    /// In characters, counted from 1.
    pub(crate) column: Option<usize>,
    pub(crate) message: String,
}

/// The checks of `run` and what they find.
pub(crate) const CHECKS: [(&str, &str); 3] = [
    (
        "unmet-expectation",
        "An expectation of the scenario is not met.",
    ),
    (
        "engines-differ",
        "Engines give different results where they must not.",
    ),
    (
        "nothing-expected",
        "Calls were refused, and the scenario expects nothing.",
    ),
];

/// The remarks on the outcome of a scenario; none when all is as expected.
pub(crate) fn on_report(report: &ScenarioReport) -> Vec<Remark> {
    let remark = |level, check: usize, line: u32, message: String| Remark {
        level,
        check: CHECKS[check].0,
        title: report.name.to_string(),
        file: report.file.to_string(),
        line: line as usize,
        column: None,
        message,
    };
    let mut remarks = Vec::new();
    for case in &report.cases {
        for run in case.judged() {
            for unmet in &run.expect_failed {
                let message = format!("{} ({}, {})", unmet.text, run.kernel, run.engine);
                remarks.push(remark(Level::Error, 0, unmet.line.unwrap_or(1), message));
            }
        }
        for one in case.agreement.iter().filter(|one| one.fails()) {
            let other = case.reports().find(|run| run.engine == one.engine);
            let Some(other) = other else { continue };
            let words = text::summary::agreement(one, case.reference(), other);
            let message = format!("{} on {}: {words}", one.engine, one.kernel);
            remarks.push(remark(Level::Error, 1, 1, message));
        }
    }
    let assessment = Assessment::of(report);
    if assessment.verdict == ScenarioVerdict::NothingExpected && assessment.refused > 0 {
        let message = format!("nothing is expected: {}", assessment.counts());
        remarks.push(remark(Level::Note, 2, 1, message));
    }
    remarks
}

/// The remark of a lint rule.
pub(crate) fn on_finding(finding: &LintFinding) -> Remark {
    let one = &finding.diagnostic;
    let place = one.place.as_ref();
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
    Remark {
        level: Level::Warning,
        check: finding.rule.name(),
        title: finding.rule.name().to_owned(),
        file: one.file.clone(),
        line: place.map_or(1, |place| place.line),
        column: Some(place.map_or(1, |place| place.column)),
        message,
    }
}
