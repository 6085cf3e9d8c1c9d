//! The scenarios that a command works on, with their cases.

use fourtuple_harness::{runner, threads};
use fourtuple_render::text::checked;
use fourtuple_scenario::{Case, Scenario};

/// A scenario with its cases.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) scenario: Scenario,
    pub(crate) cases: Vec<Case>,
}

impl Selected {
    /// The line about the checks of its kernels' profiles.
    pub(crate) fn certificate(&self) -> String {
        checked::line_of(&self.cases)
    }

    /// The scenario and its cases as an item of a sweep, in a line.
    pub(crate) fn sweep_item(&self) -> String {
        let cases: Vec<String> = self.cases.iter().map(sweep_item).collect();
        format!("{}: {}", self.scenario.name, cases.join(", "))
    }
}

/// A case as an item of a sweep.
fn sweep_item(case: &Case) -> String {
    format!("{} {:?} {}", case.kernel, case.axes, case.seed)
}

/// The distinct cases to run.
pub(crate) fn fold(selected: Vec<Selected>) -> Vec<Folded> {
    threads::map(threads::cpus(), selected, |one| Folded {
        cases: runner::fold(&one.scenario, one.cases),
        scenario: one.scenario,
    })
}

/// The line about the checks of the profiles of several scenarios.
pub(crate) fn certificate(folded: &[Folded]) -> String {
    let cases = folded.iter().flat_map(|one| &one.cases);
    checked::line_of(cases.map(|(case, _, _)| &**case))
}

/// A scenario with its distinct cases to run.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) scenario: Scenario,
    pub(crate) cases: Vec<runner::Folded>,
}
