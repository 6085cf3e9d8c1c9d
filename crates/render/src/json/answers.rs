//! The documents and lines of answers.

use fourtuple_analysis::LintFinding;
use fourtuple_analysis::capacity::{Capacities, need};
use fourtuple_analysis::explore::{Count, Exploration, Outcome, Replay};
use fourtuple_analysis::remedies::Remedies;
use fourtuple_harness::{Attempts, Unmet};
use schemars::JsonSchema;
use serde::Serialize;

/// The document of `remedies`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RemediesDocument<'a> {
    /// The fixes that were tried, for each kernel and point of the matrix.
    pub remedies: &'a [Remedies],
    /// The expectations of the scenario that are not met without any change.
    pub expect_failed: Vec<Unmet>,
}

/// A line of `remedies`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RemediesLine<'a> {
    /// The fixes that were tried on one kernel, at one point of the matrix.
    pub remedies: &'a Remedies,
    /// The expectations of the scenario that are not met there without any change.
    pub expect_failed: &'a [Unmet],
}

/// The document of `explore`, without and with `--witness`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExploreDocument<'a> {
    /// The possible outcomes, for each kernel and point of the matrix.
    Explorations(&'a [Exploration]),
    /// The way to one outcome, for each kernel and point of the matrix.
    Witnesses(&'a [Witness]),
}

/// A line of `explore`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExploreLine<'a> {
    /// The possible outcomes on one kernel, at one point of the matrix.
    Exploration(&'a Exploration),
    /// The way to an outcome.
    Witness(&'a Witness),
}

/// The way to an outcome.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Witness {
    scenario: String,
    kernel: String,
    /// The number of the outcome, counted from 1.
    outcome: usize,
    /// Its probability, or the share of the runs when sampled.
    share: f64,
    /// Counts of answers by process and call.
    counts: Vec<Count>,
    /// The calls in the order in which they were made.
    attempts: Attempts,
    /// True if the repeated run has the outcome.
    same: bool,
}

impl Witness {
    /// The repeated run of an outcome, which is the n-th of an exploration, counted from 1.
    #[must_use]
    pub fn new(found: &Exploration, n: usize, outcome: &Outcome, replay: Replay) -> Self {
        Witness {
            scenario: found.scenario.clone(),
            kernel: found.kernel.clone(),
            outcome: n,
            share: outcome.share,
            counts: outcome.counts.clone(),
            attempts: replay.attempts,
            same: replay.same,
        }
    }
}

/// The document of `capacity`, without and with `--need`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum CapacityDocument<'a> {
    /// The capacities that were measured.
    Measured {
        /// The capacities, for each kernel and point of the matrix.
        capacities: &'a [Capacities],
    },
    /// The ranges that a load needs.
    Needed {
        /// The load.
        need: &'a need::Need,
        /// The ranges.
        ranges: &'a [need::Range],
    },
}

/// The document of `lint`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LintDocument<'a> {
    /// The findings, in the order of files and lines.
    pub findings: Vec<LintEntry<'a>>,
}

/// A finding of a lint rule.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LintEntry<'a> {
    /// The rule, as `fourtuple lint --help` lists it.
    rule: &'static str,
    /// The path as it was given.
    file: &'a str,
    /// Counted from 1.
    line: Option<usize>,
    /// In characters, counted from 1.
    column: Option<usize>,
    /// The finding, in a sentence.
    message: &'a str,
    /// A remark on the marked text.
    label: Option<&'a str>,
    /// Further facts.
    notes: &'a [String],
    /// A suggested fix.
    help: Option<&'a str>,
}

impl<'a> From<&'a LintFinding> for LintEntry<'a> {
    fn from(finding: &'a LintFinding) -> Self {
        let diagnostic = &finding.diagnostic;
        let place = diagnostic.place.as_ref();
        LintEntry {
            rule: finding.rule.name(),
            file: &diagnostic.file,
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            message: &diagnostic.message,
            label: place.map(|place| place.label.as_str()),
            notes: &diagnostic.notes,
            help: diagnostic.help.as_deref(),
        }
    }
}
