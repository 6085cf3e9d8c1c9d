//! Spans of a scenario's values, for tools that report warnings.

use crate::diagnostic::{Diagnostic, Severity};
use crate::model::Scenario;
use crate::span::Span;
use crate::yaml::{Node, Value};

/// One component of the path from the top of a file to a value.
#[derive(Clone, Copy, Debug)]
pub enum Segment<'a> {
    /// The entry of a map with this key.
    Key(&'a str),
    /// The item of a list at this index, counted from 0. A scalar counts as a list of one.
    Item(usize),
    /// The item of a list with this span.
    At(Span),
}

impl Scenario {
    /// The text of the file; empty for a generated scenario.
    #[must_use]
    pub fn file_text(&self) -> &str {
        &self.text.text
    }

    /// The span of the value at a path, together with its key. If the path cannot be followed to
    /// its end, as with keys that come from a matrix, it is the span of the last component that was
    /// found.
    #[must_use]
    pub fn span_of(&self, path: &[Segment<'_>]) -> Span {
        let mut entries = Some(&self.written);
        let mut node: Option<&Node> = None;
        let mut found = Span::default();
        for segment in path {
            let next = match segment {
                Segment::Key(key) => {
                    let entry =
                        entries.and_then(|all| all.iter().find(|(one, _)| *one.text == **key));
                    entry.map(|(key, value)| {
                        (
                            value,
                            Span {
                                end: value.span.end,
                                ..key.span
                            },
                        )
                    })
                }
                Segment::Item(place) => match node.map(|node| &node.value) {
                    Some(Value::List(items)) => items.get(*place).map(|item| (item, item.span)),
                    Some(_) if *place == 0 => node.map(|node| (node, node.span)),
                    _ => None,
                },
                Segment::At(span) => match node.map(|node| &node.value) {
                    Some(Value::List(items)) => {
                        let item = items.iter().find(|item| item.span.start == span.start);
                        item.map(|item| (item, item.span))
                    }
                    _ => None,
                },
            };
            let Some((value, span)) = next else { break };
            found = span;
            node = Some(value);
            entries = match &value.value {
                Value::Map(all) => Some(all),
                _ => None,
            };
        }
        found
    }

    /// Makes a warning of a rule about a place in this file.
    #[must_use]
    pub fn warning(
        &self,
        rule: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Diagnostic {
        let mut made = Diagnostic::at(&self.text, span, message, label);
        made.severity = Severity::Warning(rule);
        made
    }

    /// The text of the file; empty for a generated scenario.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text.text
    }
}
