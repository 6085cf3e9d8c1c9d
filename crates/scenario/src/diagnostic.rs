//! Errors, and warnings of tools, that point at the file.
//!
//! A scenario is written by hand, so what is wrong with it is shown the way a compiler shows it: file, line and
//! column, the line itself, what stood there, what was expected, and a way out. Several problems of one file are
//! kept together in [`Errors`]. The rendering here has no colours; [`Diagnostic`] gives the parts to those who add
//! them.

use std::fmt::{self, Write as _};

use crate::source::SourceFile;
use crate::span::Span;

/// Widest excerpt of a source line, in characters. A longer line is cut around the place of the error.
const EXCERPT_CHARS: usize = 160;
/// Characters kept before the place of the error when a line is cut.
const EXCERPT_LEAD: usize = 60;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    /// The scenario cannot run.
    #[default]
    Error,
    /// It can run, and a tool has something to say about it by a rule of this name.
    Warning(&'static str),
}

/// One problem of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The path as the user gave it.
    pub file: String,
    /// The place in the file; none when the problem is the file itself (missing, too large, binary).
    pub place: Option<Place>,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Further facts, such as the matrix values under which it is wrong.
    pub notes: Vec<String>,
    /// A way out.
    pub help: Option<String>,
}

/// The place of a problem, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The line, or the part of a very long line around the problem. Control characters are replaced by spaces.
    pub excerpt: String,
    /// How many characters of `excerpt` come before the carets.
    pub caret_start: usize,
    /// How many carets there are; at least one.
    pub caret_count: usize,
    /// What was expected here, shown after the carets; may be empty.
    pub label: String,
}

impl Diagnostic {
    /// A problem of the file as a whole.
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

    /// A problem at a place in a file.
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

    /// Adds a way out.
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
        // An error over several lines is marked up to the end of its first line.
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

/// Characters that steer a terminal or a line of text instead of standing in it: the controls of ASCII and of C1, line
/// separators, invisible characters and those that turn the direction of writing.
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Text from the user's file as it may stand in a message: on one line, not too long, without control characters.
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

/// Text that may quote the file, on one line: a file is not to steer the terminal, nor to begin a line of its own.
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

/// All problems found in one go, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Errors {
    list: Vec<Diagnostic>,
    left_out: usize,
}

impl Errors {
    /// The problems of a list, or `Ok` when there are none.
    pub(crate) fn check(list: Vec<Diagnostic>, left_out: usize) -> Result<(), Self> {
        if list.is_empty() {
            Ok(())
        } else {
            Err(Self { list, left_out })
        }
    }

    /// The problems, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many problems are kept; at least one.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a value of this type is never empty"
    )]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// How many further problems were found beyond [`MAX_ERRORS`](crate::limits::MAX_ERRORS).
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Puts the problems of several files together.
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
            write!(f, "\n\nerror: and {} more like these", self.left_out)?;
        }
        Ok(())
    }
}
