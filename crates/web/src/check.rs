//! Errors and warnings about a scenario, with their places.

use fourtuple_harness::kernels;
use serde::Serialize;

use crate::reply::{Problem, Reply};
use crate::request::Asked;
use crate::select::Selected;

/// Warnings about a scenario.
#[derive(Serialize)]
struct Warnings {
    problems: Vec<Problem>,
}

/// The errors of a scenario; the reply is empty if there are none.
pub(crate) fn check(asked: &Asked) -> Reply {
    match Selected::of(asked) {
        Ok(_) => Reply::ok(&Warnings {
            problems: Vec::new(),
        }),
        Err(reply) => reply,
    }
}

/// Approximate number of variants of a scenario that `lint` tries.
const TRIED: u64 = 64;

/// The warnings of `fourtuple lint`.
pub(crate) fn lint(asked: &Asked) -> Reply {
    let selected = match Selected::within_limits(asked, TRIED) {
        Ok(selected) => selected,
        Err(reply) => return reply,
    };
    match fourtuple_analysis::lint(&selected.scenario, &kernels::names(), &mut |_| {}) {
        Err(errors) => Reply::invalid(&errors, &asked.text),
        Ok(findings) => Reply::ok(&Warnings {
            problems: findings
                .iter()
                .map(|one| Problem::of(&one.diagnostic, &asked.text))
                .collect(),
        }),
    }
}
