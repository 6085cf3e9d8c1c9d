//! Runs that stand for several kernels: those that are alike in all behaviours that the run asked for.

use std::sync::Arc;

use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::Case;

use crate::attempts::Attempts;
use crate::engine::Cannot;
use crate::report::RunReport;

/// A case on a kernel.
pub type OnKernel<'a> = (&'a Case, &'a Profile);

/// What comes of one case on several kernels, in their order. `run` makes the run at a place in it, and is asked where none
/// before stands for that kernel as well; with `asks_kernel` unset, the first stands for all.
pub fn share(
    cases: &[OnKernel<'_>],
    asks_kernel: bool,
    mut run: impl FnMut(usize) -> Result<RunReport, Cannot>,
) -> Vec<Result<RunReport, Cannot>> {
    let mut made: Vec<Result<RunReport, Cannot>> = Vec::with_capacity(cases.len());
    // The outcomes that runs had, each once.
    let mut known: Vec<Arc<Attempts>> = Vec::new();
    for (n, &(case, profile)) in cases.iter().enumerate() {
        let mut before = made.iter().zip(cases);
        let same = before.find(|(made, (_, other))| {
            !asks_kernel
                || made
                    .as_ref()
                    .is_ok_and(|one| profile.behaviours.agrees_on(&other.behaviours, one.asked))
        });
        let this = match same {
            None => run(n).map(|report| kept_once(report, &mut known)),
            Some((Ok(same), (other, _))) => Ok(same.on(case, profile, other)),
            Some((Err(cannot), _)) => Err(cannot.clone()),
        };
        made.push(this);
    }
    made
}

/// What came out the same is kept once, whatever it hangs on.
fn kept_once(mut report: RunReport, known: &mut Vec<Arc<Attempts>>) -> RunReport {
    match known.iter().find(|one| **one == report.attempts) {
        Some(same) => report.attempts = Arc::clone(same),
        None => known.push(Arc::clone(&report.attempts)),
    }
    report
}
