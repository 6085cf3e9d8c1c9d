//! Kernel names, supplied by the caller.

use std::collections::BTreeSet;

use indexmap::{IndexMap, IndexSet};

use crate::diagnostic::quoted;
use crate::model::{KernelPattern, KernelSelector};
use crate::span::Span;
use crate::suggest::nearest_few;

/// The known kernels, oldest first within each family. The family of a name is the part before its
/// first `-`: `linux`, `rhel`, `debian`, ...
#[derive(Clone, Debug, Default)]
pub struct KernelNames {
    /// The names of each kernel, the primary one first.
    kernels: Vec<Vec<String>>,
    /// Name to index in `kernels`.
    places: IndexMap<String, usize>,
}

/// Indices of the kernels that a selector matches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chosen(BTreeSet<usize>);

/// Message and help for a name that matches no kernel; the caller adds the span.
pub(crate) struct Unknown {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl KernelNames {
    /// Makes a registry of kernels in order, each with its primary name and its aliases. A name
    /// that occurs again later is ignored.
    pub fn new<N, A>(kernels: impl IntoIterator<Item = (N, A)>) -> Self
    where
        N: AsRef<str>,
        A: IntoIterator,
        A::Item: AsRef<str>,
    {
        let mut made = Self::default();
        for (name, aliases) in kernels {
            let aliases = aliases.into_iter().map(|alias| alias.as_ref().to_owned());
            let names = std::iter::once(name.as_ref().to_owned()).chain(aliases);
            let place = made.kernels.len();
            let mut kept = Vec::new();
            for name in names {
                if !made.places.contains_key(&name) {
                    made.places.insert(name.clone(), place);
                    kept.push(name);
                }
            }
            if !kept.is_empty() {
                made.kernels.push(kept);
            }
        }
        made
    }

    /// Returns `true` if a kernel has this name, primary or alias.
    pub fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Iterates over the primary names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.kernels
            .iter()
            .filter_map(|names| names.first())
            .map(String::as_str)
    }

    /// The primary name of the kernel with this name.
    pub fn usual(&self, name: &str) -> Option<&str> {
        let place = *self.places.get(name)?;
        self.kernels.get(place)?.first().map(String::as_str)
    }

    /// At most three names similar to an unknown one, nearest first.
    pub fn nearest(&self, name: &str) -> Vec<&str> {
        nearest_few(name, self.places.keys().map(String::as_str))
    }

    /// The kernels of a selector, each once, in the order of the selector. A kernel keeps the name
    /// that the selector uses for it; ranges yield names of the range's family.
    pub(crate) fn select(&self, selector: &KernelSelector) -> Result<Vec<String>, Vec<Unknown>> {
        let mut found: IndexSet<String> = IndexSet::new();
        let mut unknown = Vec::new();
        for pattern in &selector.patterns {
            match self.matching(&pattern.value) {
                Ok(names) => found.extend(names),
                Err((message, help)) => unknown.push(Unknown {
                    span: pattern.span,
                    message,
                    help,
                }),
            }
        }
        if unknown.is_empty() {
            Ok(found.into_iter().collect())
        } else {
            Err(unknown)
        }
    }

    /// The kernels that a selector matches, under any of their names.
    pub(crate) fn chosen(&self, selector: &KernelSelector) -> Result<Chosen, Vec<Unknown>> {
        let names = self.select(selector)?;
        let places = names.iter().filter_map(|name| self.places.get(name));
        Ok(Chosen(places.copied().collect()))
    }

    /// Returns `true` if a kernel, under any of its names, is among the chosen ones.
    pub(crate) fn is_among(&self, Chosen(places): &Chosen, name: &str) -> bool {
        (self.places.get(name)).is_some_and(|place| places.contains(place))
    }

    fn matching(&self, pattern: &KernelPattern) -> Result<Vec<String>, (String, String)> {
        match pattern {
            KernelPattern::All => Ok(self.iter().map(str::to_owned).collect()),
            KernelPattern::One(name) => {
                self.place(name)?;
                Ok(vec![name.clone()])
            }
            KernelPattern::Range { from, to } => self.range(from.as_deref(), to.as_deref()),
        }
    }

    fn range(&self, from: Option<&str>, to: Option<&str>) -> Result<Vec<String>, (String, String)> {
        let first = from.map(|name| self.place(name)).transpose()?;
        let last = to.map(|name| self.place(name)).transpose()?;
        let family = family(from.or(to).unwrap_or_default());
        if let (Some(from), Some(to)) = (from, to) {
            let other = self::family(to);
            if other != family {
                let message = format!("the range spans the families `{family}` and `{other}`");
                let help = "a range covers one family; write a list of two ranges".to_owned();
                return Err((message, help));
            }
            if first > last {
                let message = format!("the range from `{from}` to `{to}` is reversed");
                return Err((message, format!("write `{to}..{from}`")));
            }
        }
        let first = first.unwrap_or(0);
        let last = last.unwrap_or(self.kernels.len().saturating_sub(1));
        let mut found = Vec::new();
        for place in first..=last {
            let names = self
                .kernels
                .get(place)
                .map(Vec::as_slice)
                .unwrap_or_default();
            // The ends of a range keep the aliases that the selector uses.
            let end = [from, to]
                .into_iter()
                .flatten()
                .find(|end| names.iter().any(|name| name == end));
            let own = names
                .iter()
                .map(String::as_str)
                .find(|name| self::family(name) == family);
            found.extend(end.or(own).map(str::to_owned));
        }
        Ok(found)
    }

    fn place(&self, name: &str) -> Result<usize, (String, String)> {
        if let Some(place) = self.places.get(name) {
            return Ok(*place);
        }
        let near = self.nearest(name);
        let help = match near.as_slice() {
            [] => "`fourtuple kernels` lists the names".to_owned(),
            near => format!(
                "did you mean {}?",
                crate::suggest::one_of(near.iter().copied())
            ),
        };
        Err((format!("unknown kernel {}", quoted(name)), help))
    }
}

fn family(name: &str) -> &str {
    name.split_once('-').map_or(name, |(family, _)| family)
}
