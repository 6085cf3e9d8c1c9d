//! Runs that stand for several kernels: those that are equal in all behaviours that the run depends
//! on.

use std::sync::Arc;

use crate::attempts::Attempts;
use crate::engine::{Engine, OnKernel};
use crate::error::EngineError;
use crate::report::RunReport;

/// Runs one case on several kernels: the reports, in their order. A kernel for which an earlier run
/// stands is not run.
pub(super) fn run_on(
    engine: &dyn Engine,
    cases: &[OnKernel<'_>],
) -> Vec<Result<RunReport, EngineError>> {
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
