//! The list of problems found in one file.

use indexmap::IndexSet;

use crate::diagnostic::{Diagnostic, Errors};
use crate::limits::MAX_ERRORS;
use crate::source::SourceFile;
use crate::span::Span;

/// Collects the problems of one file. Equal problems at the same span are kept once: a body is
/// decoded for every point of the matrix, and most of its problems do not depend on the point.
pub(crate) struct Problems<'s> {
    pub(crate) source: &'s SourceFile,
    /// The point of the matrix that is being decoded, named in problems of values that depend on
    /// it.
    pub(crate) axes: String,
    list: Vec<(u32, Diagnostic)>,
    seen: IndexSet<(u32, String)>,
    left_out: usize,
}

impl<'s> Problems<'s> {
    pub(crate) fn new(source: &'s SourceFile) -> Self {
        Self {
            source,
            axes: String::new(),
            list: Vec::new(),
            seen: IndexSet::new(),
            left_out: 0,
        }
    }

    /// Reports a problem. `expected` may be empty.
    pub(crate) fn report(
        &mut self,
        span: Span,
        message: impl Into<String>,
        expected: &str,
        help: Option<String>,
    ) {
        let message = message.into();
        // A problem of a template is reported once for all values of its axes.
        let template = !self.axes.is_empty() && self.source.slice(span).contains("${");
        let key = if template {
            String::new()
        } else {
            message.clone()
        };
        if !self.seen.insert((span.start, key)) {
            return;
        }
        if self.list.len() >= MAX_ERRORS {
            self.left_out += 1;
            return;
        }
        let label = match expected {
            "" => String::new(),
            expected => format!("expected {expected}"),
        };
        let mut made = Diagnostic::at(self.source, span, message, label);
        if template {
            made = made.with_note(format!("for {}", self.axes));
        }
        if let Some(help) = help {
            made = made.with_help(help);
        }
        self.list.push((span.start, made));
    }

    /// The number of problems kept so far.
    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// `true` if no problem has been reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// `true` once the limit of reported problems is reached and checking can stop.
    pub(crate) fn is_full(&self) -> bool {
        self.left_out > 0
    }

    /// Returns the problems in the order of the file.
    pub(crate) fn finish(mut self) -> Result<(), Errors> {
        self.list.sort_by_key(|(start, _)| *start);
        let list = self.list.into_iter().map(|(_, one)| one).collect();
        Errors::check(list, self.left_out)
    }
}
