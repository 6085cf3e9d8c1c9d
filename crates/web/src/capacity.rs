//! The connections that fit, and the cost of each.

use fourtuple_analysis::capacity::{Capacities, Measured, measure};
use fourtuple_kernel::profile;
use fourtuple_render::text;
use serde::Serialize;

use crate::reply::Reply;
use crate::request::Asked;
use crate::run;
use crate::select::Selected;

#[derive(Serialize)]
struct Capacity {
    /// The output of `fourtuple capacity`.
    text: String,
    cases: Vec<Capacities>,
}

/// Measures each program.
pub(crate) fn capacity(asked: &Asked, progress: &mut dyn FnMut(usize, usize)) -> Reply {
    let selected = match Selected::within_limits(asked, 1) {
        Ok(selected) => selected,
        Err(reply) => return reply,
    };
    let mut all: Vec<Capacities> = Vec::new();
    let mut known = Measured::default();
    let total = selected.cases.len();
    for (n, case) in selected.cases.iter().enumerate() {
        progress(n, total);
        // Names are checked when a scenario is expanded.
        let Some(profile) = profile::find(&case.kernel) else {
            continue;
        };
        match measure(case, &profile, &mut known, &mut |_| {}) {
            Ok(measured) => all.push(measured),
            Err(cannot) => {
                let message = format!("failed to measure the scenario: {cannot}");
                return Reply::error(message, None);
            }
        }
    }
    Reply::ok(&Capacity {
        text: run::lines(&text::capacity::report(&all)),
        cases: all,
    })
}
