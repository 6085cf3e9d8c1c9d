//! Errors, and warnings of tools, that point into the file.
//!
//! Scenarios are written by hand, so a problem is shown the way a compiler shows it: file, line and
//! column, the source line, the value found, the value expected, and a fix. The problems of one
//! file are collected in [`Errors`]. `Display` has no colours; [`Diagnostic::styled`] has.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use crate::source::SourceFile;
use crate::span::Span;

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

/// The place of a problem, with the text that is shown of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The text of the file.
    text: Arc<str>,
    marked: Range<usize>,
    /// The expectation, shown after the carets; may be empty.
    pub label: String,
    /// Other places that the problem is about.
    related: Vec<(Range<usize>, String)>,
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

    /// Makes a problem at some bytes of a text that is not a scenario, such as a configuration.
    pub fn in_text(
        file: impl Into<String>,
        text: &str,
        at: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        let source = SourceFile::new(file, text);
        Self::at(&source, source.span(at.start, at.end), message, label)
    }

    /// Marks another place of the file that the problem is about.
    #[must_use]
    pub(crate) fn with_related(mut self, span: Span, label: impl Into<String>) -> Self {
        if let Some(place) = &mut self.place {
            let marked = first_line(&place.text, span);
            place.related.push((marked, label.into()));
        }
        self
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
        let before = text.get(..offset).unwrap_or(text);
        Self {
            line,
            column: before.chars().count() + 1,
            text: Arc::clone(&source.text),
            marked: first_line(&source.text, span),
            label,
            related: Vec::new(),
        }
    }

    /// The bytes of the file that are marked.
    pub fn bytes(&self) -> Range<usize> {
        self.marked.clone()
    }

    /// The text of the file that is marked.
    pub fn marked(&self) -> &str {
        self.text.get(self.marked.clone()).unwrap_or_default()
    }
}

/// The bytes of a span up to the end of its first line: more than a line is not marked.
fn first_line(text: &str, span: Span) -> Range<usize> {
    let range = span.start as usize..span.end as usize;
    let line = text.get(range.clone()).and_then(|text| text.lines().next());
    range.start..range.start + line.map_or(0, str::len)
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

/// Replaces control characters, but for tabs and line breaks, by as many spaces as they have bytes:
/// offsets stay what they are.
fn tame_source(text: &str) -> String {
    let mut tamed = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' | '\n' => tamed.push(c),
            c if is_control(c) => tamed.extend(std::iter::repeat_n(' ', c.len_utf8())),
            c => tamed.push(c),
        }
    }
    tamed
}

/// Replaces control characters and line breaks, so that text of a file cannot control the terminal
/// or start a line of its own.
fn tame(text: &str) -> String {
    let tame = |c: char| if is_control(c) { '\u{fffd}' } else { c };
    text.chars().map(tame).collect()
}

impl Diagnostic {
    /// The problem with the escape sequences of a terminal. No control character of the file is
    /// among them.
    pub fn styled(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let (file, message) = (tame(&self.file), tame(&self.message));
        let title = match self.severity {
            Severity::Error => Level::ERROR.primary_title(message),
            Severity::Warning(rule) => Level::WARNING.primary_title(message).id(rule),
        };
        let group = Group::with_title(title).element(match &self.place {
            None => Element::from(Origin::path(file)),
            Some(place) => {
                let primary = AnnotationKind::Primary.span(place.marked.clone());
                let related = place.related.iter().map(|(marked, label)| {
                    AnnotationKind::Context
                        .span(marked.clone())
                        .label(tame(label))
                });
                Snippet::source(tame_source(&place.text))
                    .path(file)
                    .annotation(primary.label(tame(&place.label)))
                    .annotations(related)
                    .into()
            }
        });
        let notes = self
            .notes
            .iter()
            .map(|note| Level::NOTE.message(tame(note)));
        let help = self.help.iter().map(|help| Level::HELP.message(tame(help)));
        let text = renderer.render(&[group.elements(notes.chain(help))]);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        lines.join("\n")
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
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
