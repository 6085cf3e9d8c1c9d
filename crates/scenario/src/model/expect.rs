//! Expectations, checked in addition to the snapshot.

use indexmap::IndexMap;

use super::KernelSelector;
use crate::span::Spanned;
use crate::value::{Answer, Op};

/// Checks that apply to some kernels, or to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectBlock {
    /// The kernels; `None` for all kernels of the scenario.
    pub kernel: Option<KernelSelector>,
    /// The checks, in the order of the file.
    pub checks: Vec<Spanned<Check>>,
}

/// One check: `binders.connect: { ok: 4 }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The process whose attempts are checked, all instances together.
    pub process: String,
    /// The socket call.
    pub op: Op,
    /// The expected results.
    pub expected: Expected,
}

/// The expected results of one process and call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Each result is one of these, and there is at least one attempt: `plain.connect:
    /// EADDRNOTAVAIL`.
    Each(Vec<Answer>),
    /// Exactly these results with these counts, and no others: `plain.connect: { ok: 3,
    /// EADDRNOTAVAIL: 1 }`.
    Counts(IndexMap<Answer, u32>),
}

impl Check {
    /// Returns a message if the results of the checked attempts differ from the expectation.
    ///
    /// `results` are the names in the outcome: `ok` or errno names.
    pub fn failure<'a>(&self, results: impl IntoIterator<Item = &'a str>) -> Option<String> {
        let mut seen: IndexMap<&str, u32> = IndexMap::new();
        // Equal results tend to follow each other by the thousand, so runs are counted before the
        // map is updated.
        let mut last: Option<(&str, u32)> = None;
        for result in results {
            last = Some(match last {
                Some((word, count)) if word == result => (word, count + 1),
                Some((word, count)) => {
                    *seen.entry(word).or_default() += count;
                    (result, 1)
                }
                None => (result, 1),
            });
        }
        if let Some((word, count)) = last {
            *seen.entry(word).or_default() += count;
        }
        let fits = match &self.expected {
            Expected::Each(allowed) => {
                let allowed = |result: &&str| allowed.iter().any(|one| one.as_str() == *result);
                !seen.is_empty() && seen.keys().all(allowed)
            }
            Expected::Counts(counts) => {
                let wanted = |answer: &Answer| counts.get(answer).copied().unwrap_or(0);
                let other = seen.keys().any(|result| {
                    Answer::from_name(result).is_none_or(|answer| wanted(&answer) == 0)
                });
                let count = |answer: &Answer| seen.get(answer.as_str()).copied().unwrap_or(0);
                !other
                    && counts
                        .iter()
                        .all(|(answer, wanted)| count(answer) == *wanted)
            }
        };
        if fits {
            return None;
        }
        let expected = match &self.expected {
            Expected::Each(allowed) => {
                let names: Vec<&str> = allowed.iter().map(|one| one.as_str()).collect();
                format!("{} each time", names.join(" or "))
            }
            Expected::Counts(counts) => tally(counts.iter().map(|(one, n)| (one.as_str(), *n))),
        };
        let got = tally(seen);
        Some(format!(
            "{}.{}: expected {expected}, got {got}",
            self.process, self.op
        ))
    }
}

fn tally<'a>(counts: impl IntoIterator<Item = (&'a str, u32)>) -> String {
    let parts: Vec<String> = counts
        .into_iter()
        .map(|(name, count)| format!("{count} × {name}"))
        .collect();
    if parts.is_empty() {
        "no attempt".to_owned()
    } else {
        parts.join(", ")
    }
}
