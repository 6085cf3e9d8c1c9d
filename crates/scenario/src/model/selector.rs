//! Kernel selectors as written. [`KernelNames`](crate::KernelNames) looks the names up.

use std::fmt;

use crate::span::Spanned;

/// The kernels of a scenario, or of a block of `expect`: the union of its patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelSelector {
    /// The patterns in the order of the file; never empty after parsing.
    pub patterns: Vec<Spanned<KernelPattern>>,
}

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelPattern {
    /// `all`: every known kernel.
    All,
    /// One name.
    One(String),
    /// `A..B`, both included, over the names of the same family (`linux`, `rhel`, `debian`, ...).
    /// An omitted end is the first or the last of the family.
    Range {
        /// The first kernel.
        from: Option<String>,
        /// The last kernel.
        to: Option<String>,
    },
}

impl KernelSelector {
    /// Parses the patterns of a selector.
    pub fn of<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Self {
        let patterns = patterns
            .into_iter()
            .map(|text| KernelPattern::read(text.as_ref()).into());
        Self {
            patterns: patterns.collect(),
        }
    }

    /// Selects every kernel.
    pub fn all() -> Self {
        Self::of(["all"])
    }
}

impl KernelPattern {
    /// Parses a pattern. Its names are not checked.
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
