//! Parser events to a tree, without recursion and within the limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle};

use super::node::{Key, Node, Value, text_weight};
use crate::diagnostic::{Diagnostic, Errors, quoted};
use crate::limits::{MAX_ERRORS, MAX_NESTING, MAX_VALUES};
use crate::source::SourceFile;
use crate::span::Span;

/// Reads the only document of a file. Returns `None` for an empty file.
pub(crate) fn read(source: &SourceFile) -> Result<Option<Node>, Errors> {
    let mut builder = Builder {
        source,
        open: Vec::new(),
        anchors: BTreeMap::new(),
        weight: 0,
        root: None,
        problems: Vec::new(),
        left_out: 0,
    };
    if let Err(fatal) = builder.run() {
        builder.problems.push(*fatal);
    }
    Errors::check(builder.problems, builder.left_out)?;
    Ok(builder.root)
}

/// A list or map that is not closed yet.
struct Open {
    span: Span,
    anchor: usize,
    value: OpenValue,
}

enum OpenValue {
    List(Vec<Node>),
    Map(Vec<(Key, Node)>, Option<Key>, BTreeMap<Arc<str>, Span>),
}

struct Builder<'s> {
    source: &'s SourceFile,
    open: Vec<Open>,
    /// Finished anchored nodes with their weight, by the parser's anchor number.
    anchors: BTreeMap<usize, (usize, Node)>,
    weight: usize,
    root: Option<Node>,
    /// Recoverable problems.
    problems: Vec<Diagnostic>,
    /// The number of problems beyond the limit.
    left_out: usize,
}

type Step = Result<(), Box<Diagnostic>>;

impl Builder<'_> {
    fn run(&mut self) -> Step {
        let options = granit_parser::options! { emit_comments: false };
        let text = &self.source.text;
        let mut documents = 0;
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| {
                let at = error.marker().byte_offset().unwrap_or(text.len());
                Box::new(self.syntax_error(at, &error.info()))
            })?;
            let span = self.span(span);
            if let Event::DocumentStart(..) = event {
                documents += 1;
                if documents > 1 {
                    return Err(self.fail(
                        span,
                        "a second document in one file",
                        "one scenario per file",
                        "move it into a file of its own",
                    ));
                }
            }
            if event.tag().is_some() {
                return Err(self.fail(
                    span,
                    "a YAML tag",
                    "a value without a `!tag`",
                    "remove the tag; a value's type comes from its field",
                ));
            }
            self.event(event, span)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Step {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                self.spend(span, text_weight(&text))?;
                let value = Value::Scalar {
                    text: text.into(),
                    plain: style == ScalarStyle::Plain,
                };
                self.finish(Node { span, value }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.start(span, anchor, OpenValue::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => {
                let map = OpenValue::Map(Vec::new(), None, BTreeMap::new());
                self.start(span, anchor, map)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Ok(());
                };
                let value = match open.value {
                    OpenValue::List(items) => Value::List(items),
                    OpenValue::Map(entries, _, _) => Value::Map(entries),
                };
                let end = (span.end as usize).max(open.span.end as usize);
                let span = self.source.span(open.span.start as usize, end);
                self.finish(Node { span, value }, open.anchor)
            }
            Event::Alias(id) => {
                let Some((weight, _)) = self.anchors.get(&id) else {
                    return Err(self.fail(
                        span,
                        "an alias inside the value it stands for",
                        "a value that ends",
                        "write the value out",
                    ));
                };
                let weight = *weight;
                self.spend(span, weight)?;
                let node = self.anchors[&id].1.clone();
                self.finish(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, span: Span, anchor: usize, value: OpenValue) -> Step {
        self.spend(span, 1)?;
        if self.open.len() >= MAX_NESTING {
            return Err(self.fail(
                span,
                format!("lists and maps are nested more than {MAX_NESTING} deep"),
                "",
                format!("the limit is {MAX_NESTING} levels; a scenario needs six"),
            ));
        }
        self.open.push(Open {
            span,
            anchor,
            value,
        });
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Step {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.weight(), node.clone()));
        }
        let Some(open) = self.open.last_mut() else {
            self.root.get_or_insert(node);
            return Ok(());
        };
        match &mut open.value {
            OpenValue::List(items) => items.push(node),
            OpenValue::Map(_, waiting @ None, seen) => {
                let Value::Scalar { text, .. } = node.value else {
                    let kind = node.kind();
                    return Err(self.fail(
                        node.span,
                        format!("{kind} as the key of a map"),
                        "a word",
                        "write `name: value`",
                    ));
                };
                let key = Key {
                    span: node.span,
                    text,
                };
                match seen.get(&key.text) {
                    None => {
                        seen.insert(key.text.clone(), key.span);
                    }
                    Some(_) if self.problems.len() >= MAX_ERRORS => self.left_out += 1,
                    Some(first) => {
                        let problem = Diagnostic::at(
                            self.source,
                            key.span,
                            format!("duplicate key {}", quoted(&key.text)),
                            "expected each key once",
                        )
                        .with_related(*first, "the first one")
                        .with_help("remove one of them, or rename it");
                        self.problems.push(problem);
                    }
                }
                // The value of a duplicate key is still read, so that problems in it are reported.
                *waiting = Some(key);
            }
            OpenValue::Map(entries, waiting, _) => {
                if let Some(key) = waiting.take() {
                    entries.push((key, node));
                }
            }
        }
        Ok(())
    }

    /// Adds to the cost of the tree so far. Stops an alias bomb before anything is copied.
    fn spend(&mut self, span: Span, weight: usize) -> Step {
        self.weight = self.weight.saturating_add(weight);
        if self.weight <= MAX_VALUES {
            return Ok(());
        }
        Err(self.fail(
            span,
            format!("the file holds more than {MAX_VALUES} values after expanding its aliases"),
            "",
            format!("the limit is {MAX_VALUES} values; use `count` or `matrix` to repeat things"),
        ))
    }

    fn fail(
        &self,
        span: Span,
        message: impl Into<String>,
        label: &str,
        help: impl Into<String>,
    ) -> Box<Diagnostic> {
        let label = if label.is_empty() {
            String::new()
        } else {
            format!("expected {label}")
        };
        Box::new(Diagnostic::at(self.source, span, message, label).with_help(help))
    }

    /// Converts an error of the parser. An unclosed bracket is reported where it was opened,
    /// because the parser detects it somewhere further down.
    fn syntax_error(&self, at: usize, said: &str) -> Diagnostic {
        let unclosed = self
            .open
            .iter()
            .rev()
            .find(|open| self.source.text[open.span.start as usize..].starts_with(['[', '{']));
        if let Some(open) = unclosed {
            let start = open.span.start as usize;
            let (noun, close) = match &open.value {
                OpenValue::List(_) => ("list", ']'),
                OpenValue::Map(..) => ("map", '}'),
            };
            let span = self.source.span(start, start + 1);
            let (_, text, _) = self.source.line_at(at);
            let help = if text.contains("${") {
                format!("add `{close}`; inside brackets, `${{name}}` needs quotes: `\"${{name}}\"`")
            } else {
                format!("add `{close}`, or put a word with special characters in quotes")
            };
            return Diagnostic::at(
                self.source,
                span,
                format!("unclosed {noun}"),
                format!("expected a `{close}` that closes it"),
            )
            .with_related(self.source.span(at, at), format!("noticed here: {said}"))
            .with_help(help);
        }
        let span = self.source.span(at, at);
        let (_, line, column) = self.source.line_at(at);
        let parts = line.split_at_checked(column);
        let second_colon = parts.is_some_and(|(a, b)| a.contains(": ") && b.starts_with(':'));
        let help = if second_colon {
            "text that contains `: ` needs quotes"
        } else {
            "check the indentation and the quotes of this line and the one before it"
        };
        Diagnostic::at(
            self.source,
            span,
            format!("invalid YAML: {said}"),
            "noticed here",
        )
        .with_help(help)
    }

    fn span(&self, span: granit_parser::Span) -> Span {
        let range = span.byte_range().unwrap_or(0..0);
        // The span of block text includes the blank lines after it, which are not shown.
        let text = self.source.text.get(range.clone()).unwrap_or_default();
        let end = range.start + text.trim_end().len();
        self.source.span(range.start, end)
    }
}
