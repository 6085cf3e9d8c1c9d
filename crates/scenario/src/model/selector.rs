//! Which kernels are meant, as written: names are looked up later, because this crate knows none.

use std::fmt;

use crate::span::Spanned;

/// The kernels that a scenario, or a block of `expect`, is about: the union of its patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelSelector {
    /// The patterns in the order of the file; never empty after parsing.
    pub patterns: Vec<Spanned<KernelPattern>>,
}

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelPattern {
    /// `all`: every kernel there is.
    All,
    /// One name.
    One(String),
    /// `A..B`, both included, over the names of the same family (`linux`, `rhel`, `debian`, ...). An end that is
    /// left out is the first or the last of the family.
    Range {
        /// The first kernel.
        from: Option<String>,
        /// The last kernel.
        to: Option<String>,
    },
}

impl KernelSelector {
    /// The kernels of these patterns, written as in a scenario.
    pub fn of<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Self {
        let patterns = patterns
            .into_iter()
            .map(|text| KernelPattern::read(text.as_ref()).into());
        Self {
            patterns: patterns.collect(),
        }
    }

    /// Every kernel.
    pub fn all() -> Self {
        Self::of(["all"])
    }
}

impl KernelPattern {
    /// Reads a pattern. Whether its names exist is found out when they are looked up.
    pub fn read(text: &str) -> Self {
        let end = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        match text.split_once("..") {
            _ if text == "all" => Self::All,
            Some((from, to)) if !(from.is_empty() && to.is_empty()) => Self::Range {
                from: end(from.trim()),
                to: end(to.trim()),
            },
            _ => Self::One(text.to_owned()),
        }
    }
}

impl fmt::Display for KernelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::One(name) => f.write_str(name),
            Self::Range { from, to } => {
                let end = |end: &Option<String>| end.clone().unwrap_or_default();
                write!(f, "{}..{}", end(from), end(to))
            }
        }
    }
}
