//! The document of `compare`.

use std::collections::BTreeMap;

use fourtuple_analysis::explore::Count;
use fourtuple_analysis::{Difference, History, histories};
use fourtuple_harness::{CaseReport, Group, Name, ScenarioReport, tally};
use schemars::JsonSchema;
use serde::Serialize;

/// A scenario on several kernels, grouped by outcome.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Comparison<'a> {
    /// The scenario.
    scenario: &'a Name,
    /// Its question.
    about: &'a str,
    /// Kernels with the same outcome, in the order of release.
    groups: Vec<ComparedGroup<'a>>,
    /// The releases in which answers change, with the behaviours that change them. Groups are
    /// counted from 0.
    histories: Vec<History>,
    /// The behaviours that set each group apart from the next, where no order of release connects
    /// them.
    differences: Vec<Difference>,
}

/// Kernels with the same outcome.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ComparedGroup<'a> {
    /// The kernels and points of the matrix.
    cases: Vec<ComparedCase<'a>>,
    /// Counts of answers by process and call.
    answers: Vec<Count>,
}

/// A point of the matrix on kernels that behave the same in everything.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct ComparedCase<'a> {
    /// The kernels.
    kernels: &'a [Name],
    /// The point of the matrix.
    axes: BTreeMap<&'a str, &'a str>,
}

impl<'a> Comparison<'a> {
    /// The comparison of a scenario's cases.
    #[must_use]
    pub fn of(report: &'a ScenarioReport) -> Self {
        let groups = Group::all(report);
        let histories = histories(report, &groups);
        let differences = match histories.is_empty() {
            true => groups.windows(2).filter_map(apart).collect(),
            false => Vec::new(),
        };
        Comparison {
            scenario: &report.name,
            about: &report.about,
            groups: groups.iter().map(ComparedGroup::of).collect(),
            histories,
            differences,
        }
    }
}

/// The difference between two groups at the same point of the matrix.
fn apart(pair: &[Group<'_>]) -> Option<Difference> {
    let (first, second) = (&pair[0].cases[0].case, &pair[1].cases[0].case);
    (first.axes == second.axes)
        .then(|| Difference::between(first, &first.kernel, &second.kernel))
        .flatten()
}

impl<'a> ComparedGroup<'a> {
    fn of(group: &Group<'a>) -> Self {
        let reference = group.cases[0].reference();
        let tallies = reference.map(|reference| tally(&reference.attempts));
        let answers = tallies.into_iter().flatten().flat_map(|tally| {
            let answers = tally.answers.into_iter();
            answers.map(move |(answer, times)| Count {
                process: tally.process.clone(),
                op: tally.op,
                answer,
                times,
            })
        });
        ComparedGroup {
            cases: group.cases.iter().copied().map(ComparedCase::of).collect(),
            answers: answers.collect(),
        }
    }
}

impl<'a> ComparedCase<'a> {
    fn of(case: &'a CaseReport) -> Self {
        let axes = case.case.axes.iter();
        ComparedCase {
            kernels: &case.kernels,
            axes: axes.map(|(name, value)| (&**name, &**value)).collect(),
        }
    }
}
