//! Errors, and warnings of tools, that point into the file.
//!
//! Scenarios are written by hand, so a problem is shown the way a compiler shows it: file, line and
//! column, the source line, the value found, the value expected, and a fix. The problems of one
//! file are collected in [`Errors`]. The rendering here has no colours; a caller that adds them
//! uses the fields of [`Diagnostic`].

use std::fmt::{self, Write as _};

use crate::source::SourceFile;
use crate::span::Span;

/// Widest excerpt of a source line, in characters. A longer line is cut around the problem.
const EXCERPT_CHARS: usize = 160;
/// Characters kept before the problem when a line is cut.
const EXCERPT_LEAD: usize = 60;

/// The severity of a problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    /// The scenario cannot run.
    #[default]
    Error,
    /// The scenario can run. The payload is the name of the rule that warns.
    Warning(&'static str),
}

/// One problem of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error, or warning of a tool.
    pub severity: Severity,
    /// The path as the user gave it.
    pub file: String,
    /// The place in the file; `None` for a problem of the file itself (missing, too large, binary).
    pub place: Option<Place>,
    /// The problem, in one sentence without a full stop.
    pub message: String,
    /// Further facts, such as the matrix values for which the problem occurs.
    pub notes: Vec<String>,
    /// A suggested fix.
    pub help: Option<String>,
}

/// The place of a problem, ready for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The line, or the part of a long line around the problem. Control characters are replaced by
    /// spaces.
    pub excerpt: String,
    /// The number of characters of `excerpt` before the carets.
    pub caret_start: usize,
    /// The number of carets; at least one.
    pub caret_count: usize,
    /// The expectation, shown after the carets; may be empty.
    pub label: String,
}

impl Diagnostic {
    /// Makes a problem of the file as a whole.
    pub(crate) fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.into(),
            place: None,
            message: message.into(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// Makes a problem at a place in a file.
    pub(crate) fn at(
        source: &SourceFile,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        let mut made = Self::of_file(source.path.clone(), message);
        made.place = Some(Place::of(source, span, label.into()));
        made
    }

    /// Adds a suggested fix.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a further fact.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

impl Place {
    fn of(source: &SourceFile, span: Span, label: String) -> Self {
        let (line, text, offset) = source.line_at(span.start as usize);
        let (before, after) = text.split_at_checked(offset).unwrap_or((text, ""));
        let column = before.chars().count();
        // An error that spans several lines is marked up to the end of its first line.
        let marked = (span.end as usize).saturating_sub(span.start as usize);
        let marked = after
            .char_indices()
            .take_while(|(at, _)| *at < marked)
            .count();
        let skipped = if text.chars().count() > EXCERPT_CHARS {
            column.saturating_sub(EXCERPT_LEAD)
        } else {
            0
        };
        let shown: String = text
            .chars()
            .skip(skipped)
            .take(EXCERPT_CHARS)
            .map(|c| if is_control(c) { ' ' } else { c })
            .collect();
        let caret_start = column - skipped;
        let room = shown.chars().count().saturating_sub(caret_start).max(1);
        Self {
            line,
            column: column + 1,
            excerpt: shown.trim_end().to_owned(),
            caret_start,
            caret_count: marked.clamp(1, room),
            label,
        }
    }
}

/// Returns `true` for characters that control a terminal or the layout of a line instead of being
/// displayed: C0 and C1 controls, line separators, invisible characters and bidirectional controls.
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Quotes text of the user's file for a message: one line, shortened, without control characters.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if is_control(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// Replaces control characters and line breaks, so that text of a file cannot control the terminal
/// or start a line of its own.
fn tame(text: &str) -> String {
    let tame = |c: char| if is_control(c) { '\u{fffd}' } else { c };
    text.chars().map(tame).collect()
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        let (file, message) = (tame(&self.file), tame(&self.message));
        let _ = match self.severity {
            Severity::Error => writeln!(out, "error: {message}"),
            Severity::Warning(rule) => writeln!(out, "warning[{rule}]: {message}"),
        };
        let margin = match &self.place {
            None => {
                let _ = writeln!(out, " --> {file}");
                1
            }
            Some(place) => {
                let margin = place.line.to_string().len();
                let pad = " ".repeat(margin);
                let _ = writeln!(out, "{pad}--> {file}:{}:{}", place.line, place.column);
                let _ = writeln!(out, "{pad} |");
                let _ = writeln!(out, "{} | {}", place.line, place.excerpt);
                let mark = format!(
                    "{pad} | {}{} {}",
                    " ".repeat(place.caret_start),
                    "^".repeat(place.caret_count),
                    tame(&place.label)
                );
                let _ = writeln!(out, "{}", mark.trim_end());
                margin
            }
        };
        let pad = " ".repeat(margin);
        for note in &self.notes {
            let _ = writeln!(out, "{pad} = note: {}", tame(note));
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "{pad} = help: {}", tame(help));
        }
        f.write_str(out.trim_end())
    }
}

impl std::error::Error for Diagnostic {}

/// All problems of one operation, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Errors {
    list: Vec<Diagnostic>,
    left_out: usize,
}

impl Errors {
    /// Returns the problems as an error, or `Ok` if there are none.
    pub(crate) fn check(list: Vec<Diagnostic>, left_out: usize) -> Result<(), Self> {
        if list.is_empty() {
            Ok(())
        } else {
            Err(Self { list, left_out })
        }
    }

    /// Iterates over the problems, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// The number of problems kept; at least one.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a value of this type is never empty"
    )]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The number of further problems beyond [`MAX_ERRORS`](crate::limits::MAX_ERRORS).
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Joins the problems of two files.
    pub fn merge(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        self.left_out += other.left_out;
        self
    }
}

impl From<Diagnostic> for Errors {
    fn from(one: Diagnostic) -> Self {
        Self {
            list: vec![one],
            left_out: 0,
        }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, one) in self.list.iter().enumerate() {
            if n > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{one}")?;
        }
        if self.left_out > 0 {
            write!(f, "\n\nerror: and {} more problems", self.left_out)?;
        }
        Ok(())
    }
}
