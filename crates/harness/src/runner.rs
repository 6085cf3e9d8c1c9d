//! Runs a scenario: every kernel, every point of the matrix, every engine.

use std::sync::Arc;

use fourtuple_kernel::profile::{self, Profile};
use fourtuple_scenario::{Case, Scenario};

use crate::agreement::{self, Agreement};
use crate::attempt::Name;
use crate::engine::{Engine, Standing};
use crate::kernels::Order;
use crate::report::RunReport;

/// What one engine made of one case.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineRun {
    /// It ran.
    Ran(RunReport),
    /// It cannot run this case.
    Cannot {
        /// The engine.
        engine: &'static str,
        /// Why, in one line.
        reason: String,
    },
}

/// One case with what every engine made of it.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// The case.
    pub case: Arc<Case>,
    /// The kernels it stands for: the one that ran, then those that behave the same in everything.
    pub kernels: Vec<Name>,
    /// The engines, in the order in which they were asked for.
    pub runs: Vec<EngineRun>,
    /// Every engine compared with the model.
    pub agreement: Vec<Agreement>,
}

impl CaseReport {
    /// The run that others are compared with: the model's, else the first that ran.
    #[must_use]
    pub fn reference(&self) -> Option<&RunReport> {
        self.reports().next()
    }

    /// The runs of the engines that were able to run it.
    pub fn reports(&self) -> impl Iterator<Item = &RunReport> {
        self.runs.iter().filter_map(|run| match run {
            EngineRun::Ran(report) => Some(report),
            EngineRun::Cannot { .. } => None,
        })
    }

    /// Whether an expectation failed, or engines differ that must not.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.judged().any(|report| !report.expect_failed.is_empty())
            || self.agreement.iter().any(Agreement::fails)
            || self.reports().any(RunReport::is_disallowed)
    }

    /// The runs whose expectations count. An engine that is there for contrast is expected to be wrong.
    pub fn judged(&self) -> impl Iterator<Item = &RunReport> {
        self.reports().filter(|report| {
            let contrast = |one: &&Agreement| one.engine == report.engine && !one.required;
            !self.agreement.iter().any(|one| contrast(&one))
        })
    }
}

/// A scenario with everything that ran of it.
#[derive(Clone, Debug)]
pub struct ScenarioReport {
    /// Its name.
    pub name: Name,
    /// Its file, as it was given.
    pub file: Name,
    /// The question it asks.
    pub about: String,
    /// Where the question comes from.
    pub source: Vec<String>,
    /// The cases, in the order of history and of the matrix.
    pub cases: Vec<CaseReport>,
}

impl ScenarioReport {
    /// Whether any case failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.cases.iter().any(CaseReport::failed)
    }
}

/// A case that runs, its kernel's profile, and the names of all kernels that it stands for.
pub type Folded = (Arc<Case>, Profile, Vec<Name>);

/// The cases of a scenario that have to run: kernels that behave the same in everything are one.
#[must_use]
pub fn fold(scenario: &Scenario, cases: Vec<Case>) -> Vec<Folded> {
    let order = Order::new();
    let mut folded: Vec<Folded> = Vec::new();
    let mut profiles: Vec<(String, Option<Profile>)> = Vec::new();
    for case in cases {
        let known = profiles.iter().position(|(name, _)| *name == case.kernel);
        let known = known.unwrap_or_else(|| {
            profiles.push((case.kernel.clone(), profile::find(&case.kernel)));
            profiles.len() - 1
        });
        // Names are checked when a scenario is expanded.
        let Some(profile) = profiles[known].1.clone() else {
            continue;
        };
        let alike = folded.iter_mut().find(|(first, behaves, _)| {
            behaves.behaviours == profile.behaviours
                && first.axes == case.axes
                && first.expect == case.expect
        });
        let asked = order.asked_for(&scenario.kernel, &case.kernel, &profile);
        let asked = asked.iter().map(|name| Name::from(name.as_str()));
        match alike {
            Some((_, _, names)) => {
                for name in asked {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
            None => {
                let names = asked.collect();
                folded.push((Arc::new(case), profile, names));
            }
        }
    }
    folded
}

/// Runs the cases of a scenario on engines. Kernels that behave the same in everything run once.
#[must_use]
pub fn run(scenario: &Scenario, cases: Vec<Case>, engines: &[&dyn Engine]) -> ScenarioReport {
    let cases = fold(scenario, cases)
        .into_iter()
        .map(|(case, profile, kernels)| run_case(case, &profile, kernels, engines));
    ScenarioReport {
        name: scenario.name.as_str().into(),
        file: scenario.file.as_str().into(),
        about: scenario.about.clone(),
        source: scenario.source.clone(),
        cases: cases.collect(),
    }
}

fn run_case(
    case: Arc<Case>,
    profile: &Profile,
    kernels: Vec<Name>,
    engines: &[&dyn Engine],
) -> CaseReport {
    let mut runs: Vec<EngineRun> = Vec::with_capacity(engines.len());
    let mut standings: Vec<Standing> = Vec::with_capacity(engines.len());
    for engine in engines {
        standings.push(engine.standing(&case));
        runs.push(match engine.run(&case, profile) {
            Ok(mut report) => {
                report.also = kernels[1..].to_vec();
                EngineRun::Ran(report)
            }
            Err(cannot) => EngineRun::Cannot {
                engine: engine.name(),
                reason: cannot.reason,
            },
        });
    }
    let reference = standings
        .iter()
        .position(|standing| *standing == Standing::Reference);
    let reference = reference.and_then(|at| match &runs[at] {
        EngineRun::Ran(report) => Some(report),
        EngineRun::Cannot { .. } => None,
    });
    let agreement = match reference {
        None => Vec::new(),
        Some(reference) => runs
            .iter()
            .zip(&standings)
            .filter_map(|(run, standing)| match run {
                EngineRun::Ran(report) if *standing != Standing::Reference => {
                    Some(agreement::compare(reference, report, *standing))
                }
                _ => None,
            })
            .collect(),
    };
    CaseReport {
        case,
        kernels,
        runs,
        agreement,
    }
}
