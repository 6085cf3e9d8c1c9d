//! The verdict on a scenario: what it expected, and what every engine that was asked for made of
//! it.

use fourtuple_scenario::{Case, Program};
use schemars::JsonSchema;
use serde::Serialize;

use crate::attempt::Name;
use crate::runner::{CaseReport, EngineRun, ScenarioReport};
use crate::standing::Standing;

/// The result of a scenario in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScenarioVerdict {
    /// An expectation failed, engines differ that must not, or a real kernel answered what its
    /// profile does not allow.
    Failed,
    /// Every expectation holds, and every engine that was asked for ran every case.
    AsExpected,
    /// Nothing failed, but an engine that was asked for left out at least one case.
    Incomplete,
    /// Everything ran, and the scenario expects nothing: its answers are neither right nor wrong.
    NothingExpected,
}

/// The verdict on a scenario, with the counts and the gaps behind it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Assessment {
    /// The scenario.
    pub scenario: Name,
    /// The verdict.
    pub verdict: ScenarioVerdict,
    /// Runs of an engine on a case.
    pub runs: usize,
    /// Calls of the reference runs that succeeded.
    pub ok: usize,
    /// Calls of the reference runs that failed.
    pub refused: usize,
    /// Cases that an engine left out, those with the same reason together.
    pub left_out: Vec<LeftOut>,
}

/// Cases that an engine did not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LeftOut {
    /// The engine.
    pub engine: &'static str,
    /// The reason, in one line.
    pub reason: String,
    /// The number of cases.
    pub cases: usize,
}

impl Assessment {
    /// The assessment of a scenario.
    #[must_use]
    pub fn of(report: &ScenarioReport) -> Self {
        let (mut ok, mut refused) = (0, 0);
        for reference in report.cases.iter().filter_map(CaseReport::reference) {
            let good = reference.attempts.iter();
            let good = good.filter(|attempt| attempt.result().is_ok()).count();
            ok += good;
            refused += reference.attempts.len() - good;
        }
        Assessment {
            scenario: report.name.clone(),
            verdict: verdict(report),
            runs: report.cases.iter().map(|case| case.reports().count()).sum(),
            ok,
            refused,
            left_out: left_out(report),
        }
    }

    /// The counts in words: `5 calls ok, 4 refused`.
    #[must_use]
    pub fn counts(&self) -> String {
        counts(self.ok, self.refused)
    }
}

/// Calls that succeeded and calls that failed, in words.
#[must_use]
pub fn counts(ok: usize, refused: usize) -> String {
    let s = if ok == 1 { "" } else { "s" };
    format!("{ok} call{s} ok, {refused} refused")
}

fn verdict(report: &ScenarioReport) -> ScenarioVerdict {
    if report.failed() {
        return ScenarioVerdict::Failed;
    }
    // An engine for contrast is expected to miss what others can do.
    let left_out = report.cases.iter().any(|case| {
        let mut runs = case.runs.iter().zip(&case.standings);
        runs.any(|(run, standing)| run.report().is_none() && *standing != Standing::Contrast)
            || case.reference().is_none()
    });
    if left_out || report.cases.is_empty() {
        ScenarioVerdict::Incomplete
    } else if report.cases.iter().any(|case| expects(&case.case)) {
        ScenarioVerdict::AsExpected
    } else {
        ScenarioVerdict::NothingExpected
    }
}

/// Returns whether a case expects anything.
fn expects(case: &Case) -> bool {
    let in_steps = match &*case.program {
        Program::Steps(steps) => steps.iter().any(|step| {
            !step.expect().is_empty()
                || step.expect_port().is_some()
                || step.expect_local().is_some()
                || step.expect_peer().is_some()
        }),
        Program::Processes(_) => false,
    };
    in_steps || !case.expect.is_empty()
}

fn left_out(report: &ScenarioReport) -> Vec<LeftOut> {
    let mut all: Vec<LeftOut> = Vec::new();
    for run in report.cases.iter().flat_map(|case| &case.runs) {
        let EngineRun::NotRun { engine, reason } = run else {
            continue;
        };
        match all
            .iter_mut()
            .find(|one| one.engine == *engine && one.reason == *reason)
        {
            Some(known) => known.cases += 1,
            None => all.push(LeftOut {
                engine,
                reason: reason.clone(),
                cases: 1,
            }),
        }
    }
    all
}
