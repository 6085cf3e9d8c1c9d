//! The YAML tree.

use std::ops::Range;
use std::sync::Arc;

use crate::span::Span;

/// A value with its span.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Text as written. `plain` is `true` for text without quotes, which distinguishes `~` from
    /// `"~"`. The text is shared because aliases may repeat it many times.
    Scalar {
        text: Arc<str>,
        plain: bool,
    },
    List(Vec<Node>),
    /// The entries in the order of the file; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// The entries of a map.
pub(crate) type Entries = [(Key, Node)];

/// The bytes of a map entry in its text.
pub(crate) fn place_of((key, value): &(Key, Node), text: &str) -> Range<usize> {
    let key = key.span.bytes();
    key.start..value.place(text).end.max(key.end)
}

/// The key of a map entry.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) span: Span,
    pub(crate) text: Arc<str>,
}

impl Node {
    /// Makes a generated scalar. It counts as quoted, so that an empty text stays a text.
    pub(crate) fn text(text: impl Into<Arc<str>>) -> Self {
        Self {
            span: Span::default(),
            value: Value::Scalar {
                text: text.into(),
                plain: false,
            },
        }
    }

    pub(crate) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self {
            span: Span::default(),
            value: Value::List(items.into_iter().collect()),
        }
    }

    pub(crate) fn map<K: Into<Arc<str>>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::entries(
            entries
                .into_iter()
                .map(|(key, node)| (Key::new(key), node))
                .collect(),
        )
    }

    pub(crate) fn entries(entries: Vec<(Key, Self)>) -> Self {
        Self {
            span: Span::default(),
            value: Value::Map(entries),
        }
    }

    /// The kind of value, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Returns `true` for a list or map in brackets.
    pub(crate) fn is_flow(&self, text: &str) -> bool {
        let own = text.get(self.span.bytes()).unwrap_or_default();
        !matches!(self.value, Value::Scalar { .. }) && own.starts_with(['[', '{'])
    }

    /// The bytes of the value in its text. The span of a block may include comments after it.
    pub(crate) fn place(&self, text: &str) -> Range<usize> {
        let span = self.span.bytes();
        let last = match &self.value {
            _ if self.is_flow(text) => None,
            Value::Scalar { .. } => None,
            Value::List(items) => items.last().map(|item| item.place(text).end),
            Value::Map(entries) => entries.last().map(|entry| place_of(entry, text).end),
        };
        span.start..last.unwrap_or(span.end)
    }

    /// The entries of a map; none of anything else.
    pub(crate) fn entries_of(&self) -> &Entries {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The memory cost of the tree: one for each value and key, more for long text. The limits on
    /// aliases and matrices count this unit, so that they cover both many values and long ones.
    pub(crate) fn weight(&self) -> usize {
        match &self.value {
            Value::Scalar { text, .. } => text_weight(text),
            Value::List(items) => 1 + items.iter().map(Self::weight).sum::<usize>(),
            Value::Map(entries) => {
                let inner = entries
                    .iter()
                    .map(|(key, node)| text_weight(&key.text) + node.weight());
                1 + inner.sum::<usize>()
            }
        }
    }
}

pub(crate) fn text_weight(text: &str) -> usize {
    1 + text.len() / 64
}

impl Key {
    pub(crate) fn new(text: impl Into<Arc<str>>) -> Self {
        Self {
            span: Span::default(),
            text: text.into(),
        }
    }
}
