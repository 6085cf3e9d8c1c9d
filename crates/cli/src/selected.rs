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
        checked::line(kernels_of(self.cases.iter()))
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

/// The kernels of some cases, including those of single hosts.
fn kernels_of<'a>(cases: impl Iterator<Item = &'a Case>) -> Vec<&'a str> {
    let mut kernels: Vec<&str> = Vec::new();
    for case in cases {
        let hosts = case.hosts.keys().map(|host| case.kernel_of(host));
        for kernel in std::iter::once(&*case.kernel).chain(hosts) {
            if !kernels.contains(&kernel) {
                kernels.push(kernel);
            }
        }
    }
    kernels
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
    checked::line(kernels_of(cases.map(|(case, _, _)| &**case)))
}

/// A scenario with its distinct cases to run.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) scenario: Scenario,
    pub(crate) cases: Vec<runner::Folded>,
}
