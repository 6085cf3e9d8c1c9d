//! A map builder that omits defaults, and the maps that bodies and steps have in common.

use std::sync::Arc;
use std::time::Duration;

use crate::decode::written_sysctl;
use crate::model::{Options, Sysctls};
use crate::value::format_duration;
use crate::yaml::{Key, Node};

/// A map under construction.
#[derive(Default)]
pub(crate) struct Build {
    entries: Vec<(Key, Node)>,
}

impl Build {
    pub(crate) fn node(&mut self, key: impl Into<Arc<str>>, node: Node) {
        self.entries.push((Key::new(key), node));
    }

    pub(crate) fn text(&mut self, key: &str, value: impl ToString) {
        self.node(key, Node::text(value.to_string()));
    }

    /// Adds the field, unless it has its default.
    pub(crate) fn unless<T: PartialEq + ToString>(&mut self, key: &str, value: T, default: T) {
        if value != default {
            self.text(key, value);
        }
    }

    /// Adds the field, if there is a value.
    pub(crate) fn some(&mut self, key: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// Adds the field, unless it is zero.
    pub(crate) fn time(&mut self, key: &str, value: Duration) {
        if !value.is_zero() {
            self.text(key, format_duration(value));
        }
    }

    /// Adds a scalar for one value and a list for several; omits the field if there is none.
    pub(crate) fn one_or_many(
        &mut self,
        key: &str,
        values: impl IntoIterator<Item = impl ToString>,
    ) {
        let values: Vec<Node> = values
            .into_iter()
            .map(|value| Node::text(value.to_string()))
            .collect();
        if !values.is_empty() {
            self.node(key, one_or_list(values));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entries(self) -> Vec<(Key, Node)> {
        self.entries
    }

    pub(crate) fn map(self) -> Node {
        Node::entries(self.entries)
    }
}

/// Returns the only value, or a list.
pub(crate) fn one_or_list(mut values: Vec<Node>) -> Node {
    match (values.len(), values.pop()) {
        (1, Some(only)) => only,
        (_, last) => Node::list(values.into_iter().chain(last)),
    }
}

pub(crate) fn sysctls(sysctls: &Sysctls) -> Node {
    let entries = sysctls
        .iter()
        .map(|(name, value)| (name.as_str(), Node::text(written_sysctl(name, value))));
    Node::map(entries)
}

pub(crate) fn options(options: &Options) -> Node {
    let entries = options
        .iter()
        .map(|option| (option.name(), Node::text(option.value().to_string())));
    Node::map(entries)
}
