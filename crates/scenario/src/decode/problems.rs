//! The problems found so far.

use indexmap::IndexSet;

use crate::diagnostic::{Diagnostic, Errors};
use crate::limits::MAX_ERRORS;
use crate::source::SourceFile;
use crate::span::Span;

/// Collects problems of one file. The same problem at the same place is kept once: a body is decoded for every point
/// of the matrix, and most problems are there each time.
pub(crate) struct Problems<'s> {
    pub(crate) source: &'s SourceFile,
    /// The point of the matrix that is being decoded, for values that depend on it.
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
        // One place in a template is one problem, whatever the values of the axes.
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

    /// How many problems are kept so far.
    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing has been reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether so much is wrong that looking further is of no use.
    pub(crate) fn is_full(&self) -> bool {
        self.left_out > 0
    }

    /// The problems in the order of the file.
    pub(crate) fn finish(mut self) -> Result<(), Errors> {
        self.list.sort_by_key(|(start, _)| *start);
        let list = self.list.into_iter().map(|(_, one)| one).collect();
        Errors::check(list, self.left_out)
    }
}
