//! The replies to the page.

use std::fmt::Display;

use fourtuple_scenario::{Diagnostic, Errors, Severity};
use serde::Serialize;
use serde_json::Value;

/// A reply: exactly one of its fields is there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// The answer.
    Ok(Value),
    /// The scenario is invalid.
    Invalid(Invalid),
    /// The answer would take long, and the request does not say that it may.
    Long {
        /// Socket calls of all runs.
        calls: u64,
        /// An upper bound of the time in seconds.
        seconds: u64,
    },
    /// The request failed.
    Error {
        /// The problem, in one sentence.
        message: String,
        /// A suggested fix.
        help: Option<String>,
    },
}

/// The problems of a scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Invalid {
    problems: Vec<Problem>,
    /// The same as the command prints them.
    text: String,
}

/// A problem at a place of the text.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    /// The rule of a warning; none for an error.
    rule: Option<&'static str>,
    message: String,
    label: String,
    notes: Vec<String>,
    help: Option<String>,
    line: usize,
    column: usize,
    /// The marked characters, counted in UTF-16 as JavaScript does.
    from: usize,
    to: usize,
}

impl Reply {
    /// An answer.
    pub(crate) fn ok(answer: &impl Serialize) -> Self {
        match serde_json::to_value(answer) {
            Ok(value) => Reply::Ok(value),
            Err(error) => Reply::error(format!("failed to write the answer: {error}"), None),
        }
    }

    /// A failure.
    pub(crate) fn error(message: impl Display, help: Option<&str>) -> Self {
        Reply::Error {
            message: message.to_string(),
            help: help.map(str::to_owned),
        }
    }

    /// The problems of a scenario with this text.
    pub(crate) fn invalid(errors: &Errors, text: &str) -> Self {
        Reply::Invalid(Invalid {
            problems: errors.iter().map(|one| Problem::of(one, text)).collect(),
            text: errors.to_string(),
        })
    }
}

impl Problem {
    /// A diagnostic about a text.
    pub(crate) fn of(one: &Diagnostic, text: &str) -> Self {
        let place = one.place.as_ref();
        let marked = place.map(fourtuple_scenario::Place::bytes).unwrap_or(0..0);
        let utf16 = |to: usize| {
            let before = text.get(..to).unwrap_or(text);
            before.encode_utf16().count()
        };
        Problem {
            rule: match one.severity {
                Severity::Error => None,
                Severity::Warning(rule) => Some(rule),
            },
            message: one.message.clone(),
            label: place.map(|place| place.label.clone()).unwrap_or_default(),
            notes: one.notes.clone(),
            help: one.help.clone(),
            line: place.map_or(1, |place| place.line),
            column: place.map_or(1, |place| place.column),
            from: utf16(marked.start),
            to: utf16(marked.end),
        }
    }
}
