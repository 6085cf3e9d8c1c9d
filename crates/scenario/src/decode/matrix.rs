//! The matrix: its axes, and the substitution of their values for `${name}`.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use crate::diagnostic::quoted;
use crate::limits::MAX_MATRIX_POINTS;
use crate::model::Matrix;
use crate::span::Span;
use crate::suggest::{all_of, nearest};
use crate::yaml::{Key, Node, Value};

use super::Problems;
use super::fields::entries;
use super::hosts::map_name;
use super::values::{items, text};

/// Longest value of an axis, in bytes. Values are copied to every use, so they are kept short.
const MAX_AXIS_VALUE: usize = 256;

/// Decodes the value of `matrix`.
pub(crate) fn matrix(node: &Node, at: Span, problems: &mut Problems<'_>) -> Matrix {
    let mut matrix = Matrix::new();
    for (key, node) in entries(node, "a matrix", problems).unwrap_or_default() {
        let Some(name) = map_name(key, problems) else {
            continue;
        };
        let mut values = Vec::new();
        // Reports an axis that exceeds the limit by itself without decoding its values.
        let count = items(node).len();
        if count > MAX_MATRIX_POINTS {
            let message = format!("the axis `{name}` has {count} values");
            let help = format!("the limit is {MAX_MATRIX_POINTS} combinations of values");
            problems.report(key.span, message, "", Some(help));
            matrix.insert(name, Vec::new());
            continue;
        }
        for item in items(node) {
            let Some(value) = text(item, "a word or a number", problems) else {
                continue;
            };
            if values.iter().any(|seen| seen == value) {
                let message = format!("duplicate value {} on the axis `{name}`", quoted(value));
                problems.report(item.span, message, "each value once", None);
            } else if value.len() > MAX_AXIS_VALUE || value.contains("${") {
                let message = format!("invalid axis value {}", quoted(value));
                let help = format!("a value has at most {MAX_AXIS_VALUE} bytes and no `${{`");
                problems.report(item.span, message, "a word or a number", Some(help));
            } else {
                values.push(value.to_owned());
            }
        }
        if items(node).is_empty() {
            let message = format!("the axis `{name}` has no value");
            problems.report(
                key.span,
                message,
                "a list of values",
                Some(format!("write `{name}: [1, 2]`")),
            );
        }
        matrix.insert(name, values);
    }
    let points = matrix
        .values()
        .try_fold(1_usize, |points, values| {
            points.checked_mul(values.len().max(1))
        })
        .unwrap_or(usize::MAX);
    if points > MAX_MATRIX_POINTS {
        problems.report(
            at,
            format!("the matrix has more than {MAX_MATRIX_POINTS} points"),
            "",
            Some(format!(
                "the limit is {MAX_MATRIX_POINTS} combinations of values; split the scenario"
            )),
        );
        matrix.clear();
    }
    matrix
}

/// The points of a matrix in order, the last axis fastest.
pub(crate) fn points(matrix: &Matrix) -> Vec<IndexMap<String, String>> {
    let mut points = vec![IndexMap::new()];
    for (name, values) in matrix {
        points = points
            .iter()
            .flat_map(|point| {
                values.iter().map(move |value| {
                    let mut point = point.clone();
                    point.insert(name.clone(), value.clone());
                    point
                })
            })
            .collect();
    }
    points
}

/// Substitutes the axis values of one point in trees.
pub(crate) struct Substitution<'a> {
    pub(crate) axes: &'a IndexMap<String, String>,
    /// The axes that were referenced.
    pub(crate) used: IndexSet<String>,
}

impl Substitution<'_> {
    /// Returns the tree with all axes substituted.
    pub(crate) fn apply(&mut self, node: &Node, problems: &mut Problems<'_>) -> Node {
        let value = match &node.value {
            Value::Scalar { text, plain } => Value::Scalar {
                text: self.fill(text, node.span, problems),
                plain: *plain,
            },
            Value::List(items) => Value::List(
                items
                    .iter()
                    .map(|item| self.apply(item, problems))
                    .collect(),
            ),
            Value::Map(entries) => Value::Map(self.entries(entries, problems)),
        };
        Node {
            span: node.span,
            value,
        }
    }

    fn entries(
        &mut self,
        entries: &[(Key, Node)],
        problems: &mut Problems<'_>,
    ) -> Vec<(Key, Node)> {
        let mut filled: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
        let mut seen = IndexSet::new();
        for (key, node) in entries {
            let text = self.fill(&key.text, key.span, problems);
            if !seen.insert(text.clone()) {
                let message = format!("duplicate key {}", quoted(&text));
                problems.report(key.span, message, "each key once", None);
                continue;
            }
            let key = Key {
                span: key.span,
                text,
            };
            filled.push((key, self.apply(node, problems)));
        }
        filled
    }

    fn fill(&mut self, text: &Arc<str>, span: Span, problems: &mut Problems<'_>) -> Arc<str> {
        if !text.contains("${") {
            return text.clone();
        }
        let mut out = String::new();
        let mut rest = &**text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                let message = "unclosed `${`";
                problems.report(span, message, "`${name}`", Some("add the `}`".to_owned()));
                return text.clone();
            };
            match self.axes.get(name) {
                Some(value) => {
                    out.push_str(value);
                    self.used.insert(name.to_owned());
                }
                None => self.unknown(name, span, problems),
            }
            rest = after;
        }
        out.push_str(rest);
        out.into()
    }

    fn unknown(&self, name: &str, span: Span, problems: &mut Problems<'_>) {
        let names = || self.axes.keys().map(String::as_str);
        let help = match nearest(name, names()) {
            Some(near) => format!("did you mean `${{{near}}}`?"),
            None if self.axes.is_empty() => {
                format!("declare it: `matrix: {{ {}: [1, 2] }}`", plain(name))
            }
            None => format!("the axes are {}", all_of(names())),
        };
        let message = format!("unknown axis {}", quoted(name));
        problems.report(span, message, "an axis of `matrix`", Some(help));
    }
}

fn plain(name: &str) -> &str {
    let good = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if good && !name.is_empty() && name.len() < 32 {
        name
    } else {
        "name"
    }
}
