//! Runs a scenario: every kernel, every point of the matrix, every engine.

pub mod budget;
mod suite;

use std::sync::Arc;

use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::{Case, Scenario};
use indexmap::IndexMap;

use crate::agreement::{self, Agreement};
use crate::attempt::Name;
use crate::attempts::Attempts;
use crate::engine::{Engine, OnKernel};
use crate::error::EngineError;
use crate::kernels::{self, Order};
use crate::report::RunReport;
use crate::standing::Standing;

pub use suite::is_full_size;

/// The result of one engine on one case.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineRun {
    /// It ran.
    Ran(RunReport),
    /// The engine is unable to run this case.
    NotRun {
        /// The engine.
        engine: &'static str,
        /// Why, in one line.
        reason: String,
    },
}

impl EngineRun {
    /// The report, if it ran.
    #[must_use]
    pub fn report(&self) -> Option<&RunReport> {
        match self {
            EngineRun::Ran(report) => Some(report),
            EngineRun::NotRun { .. } => None,
        }
    }
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
    /// The standing of each run, in the same order.
    pub standings: Vec<Standing>,
    /// Every engine compared with the reference.
    pub agreement: Vec<Agreement>,
}

impl CaseReport {
    /// The run that others are compared with; without one, the first that ran.
    #[must_use]
    pub fn reference(&self) -> Option<&RunReport> {
        let found = self
            .standings
            .iter()
            .position(|one| *one == Standing::Reference);
        found
            .and_then(|at| self.runs[at].report())
            .or_else(|| self.reports().next())
    }

    /// The point of the matrix: `tw_reuse=1 hold=2s`; empty without a matrix.
    #[must_use]
    pub fn point(&self) -> String {
        self.case.point().join(" ")
    }

    /// The runs of the engines that were able to run it.
    pub fn reports(&self) -> impl Iterator<Item = &RunReport> {
        self.runs.iter().filter_map(EngineRun::report)
    }

    /// Returns whether an expectation failed, or engines differ that must not.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.judged().any(|report| !report.expect_failed.is_empty())
            || self.agreement.iter().any(Agreement::fails)
            || self.reports().any(RunReport::is_disallowed)
    }

    /// The runs whose expectations count. An engine that is there for contrast is expected to be
    /// wrong.
    pub fn judged(&self) -> impl Iterator<Item = &RunReport> {
        let runs = self.runs.iter().zip(&self.standings);
        runs.filter(|(_, standing)| match standing {
            Standing::Reference | Standing::MustAgree => true,
            // Where there is a reference, its answers are judged, and these are checked.
            Standing::MustBeAllowed => self.agreement.is_empty() && self.case.network.is_ideal(),
            Standing::Contrast => false,
        })
        .filter_map(|(run, _)| run.report())
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
    /// The source of the question.
    pub source: Vec<String>,
    /// The cases, in the order of history and of the matrix.
    pub cases: Vec<CaseReport>,
}

impl ScenarioReport {
    /// Returns whether any case failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.cases.iter().any(CaseReport::failed)
    }
}

/// A case that runs, its kernel's profile, and the names of all kernels that it stands for.
pub type Folded = (Arc<Case>, Arc<Profile>, Vec<Name>);

/// The cases of a scenario that have to run: kernels that behave the same in everything are one.
#[must_use]
pub fn fold(scenario: &Scenario, cases: Vec<Case>) -> Vec<Folded> {
    let order = Order::new();
    let mut folded: Vec<Folded> = Vec::new();
    let mut kernels = Kernels::default();
    // Of each point, what has been folded of it, with its kernel's class.
    let mut points: Points<(usize, usize)> = Points::default();
    for case in cases {
        // Names are checked when a scenario is expanded.
        let Some((profile, class)) = kernels.find(&case.kernel) else {
            continue;
        };
        let point = points.of(&case);
        let known = point
            .iter()
            .find(|(place, other)| *other == class && folded[*place].0.expect == case.expect);
        let asked = order.asked_for(&scenario.kernel, &case.kernel, &profile);
        let asked = asked.iter().map(|name| Name::from(name.as_str()));
        match known {
            Some((place, _)) => {
                let (_, _, names) = &mut folded[*place];
                for name in asked {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
            None => {
                point.push((folded.len(), class));
                let names = asked.collect();
                folded.push((Arc::new(case), profile, names));
            }
        }
    }
    folded
}

/// The kernels of a scenario's cases.
#[derive(Default)]
struct Kernels(Vec<(String, Option<Classed>)>);

/// A kernel's profile, with a number that is the same for those that behave the same in everything.
type Classed = (Arc<Profile>, usize);

impl Kernels {
    fn find(&mut self, name: &str) -> Option<Classed> {
        // The cases of a kernel come one after the other.
        if let Some((_, known)) = self.0.iter().rev().find(|(known, _)| known == name) {
            return known.clone();
        }
        let found = kernels::profile(name).map(|profile| {
            let mut known = self.0.iter().filter_map(|(_, known)| known.as_ref());
            let same = known.find(|(other, _)| other.behaviours == profile.behaviours);
            let class = same.map_or(self.0.len(), |(_, class)| *class);
            (profile, class)
        });
        self.0.push((name.to_owned(), found.clone()));
        found
    }
}

/// The points of a scenario's matrix, whose axes have one order, with a list for each.
pub(crate) struct Points<T> {
    axes: Vec<Arc<IndexMap<String, String>>>,
    lists: Vec<Vec<T>>,
}

impl<T> Default for Points<T> {
    fn default() -> Self {
        Points {
            axes: Vec::new(),
            lists: Vec::new(),
        }
    }
}

impl<T> Points<T> {
    /// The list of a case's point; an empty one if it is the first there.
    pub(crate) fn of(&mut self, case: &Case) -> &mut Vec<T> {
        // Cases that were expanded together share their axes.
        let shared = |axes| Arc::ptr_eq(axes, &case.axes);
        let same = |axes: &Arc<IndexMap<_, _>>| axes.values().eq(case.axes.values());
        let known = self.axes.iter().position(shared);
        let known = known.or_else(|| self.axes.iter().position(same));
        let number = known.unwrap_or(self.axes.len());
        if number == self.axes.len() {
            self.axes.push(Arc::clone(&case.axes));
            self.lists.push(Vec::new());
        }
        &mut self.lists[number]
    }
}

/// Runs the cases of a scenario on engines. Kernels that behave the same in everything run once.
#[must_use]
pub fn run(scenario: &Scenario, cases: Vec<Case>, engines: &[&dyn Engine]) -> ScenarioReport {
    run_folded(scenario, &fold(scenario, cases), engines)
}

/// The same for cases that have been folded.
#[must_use]
pub fn run_folded(
    scenario: &Scenario,
    cases: &[Folded],
    engines: &[&dyn Engine],
) -> ScenarioReport {
    let mut points: Points<usize> = Points::default();
    for (n, (case, _, _)) in cases.iter().enumerate() {
        points.of(case).push(n);
    }
    let mut runs: Vec<Vec<EngineRun>> = cases.iter().map(|_| Vec::new()).collect();
    for point in &points.lists {
        let on_kernels: Vec<OnKernel<'_>> = point
            .iter()
            .map(|&n| (&*cases[n].0, &*cases[n].1))
            .collect();
        for engine in engines {
            for (&n, made) in point.iter().zip(run_on(*engine, &on_kernels)) {
                runs[n].push(engine_run(*engine, made, &cases[n].2));
            }
        }
    }
    let reports = cases.iter().zip(runs);
    ScenarioReport {
        name: scenario.name.as_str().into(),
        file: scenario.file.as_str().into(),
        about: scenario.about.clone(),
        source: scenario.source.clone(),
        cases: reports
            .map(|((case, _, kernels), runs)| compared(case, kernels, runs, engines))
            .collect(),
    }
}

/// Runs one case on several kernels: the reports, in their order. A kernel for which an earlier run
/// stands is not run.
fn run_on(engine: &dyn Engine, cases: &[OnKernel<'_>]) -> Vec<Result<RunReport, EngineError>> {
    let mut made: Vec<Result<RunReport, EngineError>> = Vec::with_capacity(cases.len());
    // The outcomes that runs had, each once.
    let mut known: Vec<Arc<Attempts>> = Vec::new();
    for &(case, profile) in cases {
        let before = made.iter().zip(cases);
        let mut before = before.filter_map(|(made, other)| Some((made.as_ref().ok()?, other)));
        let same = before.find(|(made, (_, other))| {
            profile
                .behaviours
                .agrees_on(&other.behaviours, made.observed_flags)
        });
        let this = match same {
            Some((same, (other, _))) => Ok(same.on(case, profile, other)),
            None => engine
                .run(case, profile)
                .map(|report| kept_once(report, &mut known)),
        };
        made.push(this);
    }
    made
}

/// Deduplicates identical outcomes.
fn kept_once(mut report: RunReport, known: &mut Vec<Arc<Attempts>>) -> RunReport {
    match known.iter().find(|one| **one == report.attempts) {
        Some(same) => report.attempts = Arc::clone(same),
        None => known.push(Arc::clone(&report.attempts)),
    }
    report
}

/// Turns an engine's report on the first of some equivalent kernels into a run for all of them.
fn engine_run(
    engine: &dyn Engine,
    made: Result<RunReport, EngineError>,
    kernels: &[Name],
) -> EngineRun {
    match made {
        Ok(mut report) => {
            report.also = kernels[1..].to_vec();
            EngineRun::Ran(report)
        }
        Err(cannot) => EngineRun::NotRun {
            engine: engine.name(),
            reason: cannot.reason,
        },
    }
}

/// A case with all its runs, each compared with the reference.
fn compared(
    case: &Arc<Case>,
    kernels: &[Name],
    runs: Vec<EngineRun>,
    engines: &[&dyn Engine],
) -> CaseReport {
    let standings: Vec<Standing> = engines.iter().map(|engine| engine.standing(case)).collect();
    let reference = standings
        .iter()
        .position(|standing| *standing == Standing::Reference);
    let reference = reference.and_then(|at| runs[at].report());
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
        case: Arc::clone(case),
        kernels: kernels.to_vec(),
        runs,
        standings,
        agreement,
    }
}
