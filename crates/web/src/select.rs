//! Text to cases, as `select.rs` of the command does it, and the limits of a page.

use std::time::Duration;

use fourtuple_harness::runner::{self, Folded, budget};
use fourtuple_harness::{Model, Need, kernels};
use fourtuple_render::text::{checked, clean};
use fourtuple_scenario::{Case, KernelSelector, Scenario, expand, expandable, parse};

use crate::reply::Reply;
use crate::request::Asked;

/// Memory that an answer may be expected to need, in bytes: an address space has 4 GiB.
const MEMORY: u64 = 1 << 30;
/// Time from which on a request must say that it may take long. WebAssembly takes about twice the
/// time of the machine's own code, for which the estimates are.
const LONG: Duration = Duration::from_secs(2);

/// A scenario with its cases.
pub(crate) struct Selected {
    pub(crate) scenario: Scenario,
    pub(crate) cases: Vec<Case>,
}

impl Selected {
    /// Reads a scenario.
    pub(crate) fn of(asked: &Asked) -> Result<Self, Reply> {
        let names = kernels::names();
        let invalid = |errors| Reply::invalid(&errors, &asked.text);
        let mut scenario = parse(&asked.file, &asked.text).map_err(invalid)?;
        if !asked.kernel.is_empty() {
            // The scenario's own kernels are validated even if others are selected.
            expandable(&scenario, &names).map_err(invalid)?;
            known(&asked.kernel)?;
            scenario.kernel = KernelSelector::of(&asked.kernel);
        }
        let mut cases = expand(&scenario, &names).map_err(invalid)?;
        if let Some(seed) = asked.seed {
            for case in &mut cases {
                case.seed = seed;
            }
        }
        Ok(Selected { scenario, cases })
    }

    /// Reads a scenario of which each case runs on the model `times` times.
    pub(crate) fn within_limits(asked: &Asked, times: u64) -> Result<Self, Reply> {
        let selected = Selected::of(asked)?;
        let cases = selected.cases.iter();
        let needs = cases.map(|case| budget::run(Model::NAME, case).times(times));
        check(needs.fold(Need::default(), Need::and), asked)?;
        Ok(selected)
    }

    /// The distinct cases of a scenario, to be run once.
    pub(crate) fn folded(asked: &Asked) -> Result<(Scenario, Vec<Folded>), Reply> {
        let Selected { scenario, cases } = Selected::of(asked)?;
        let folded = runner::fold(&scenario, cases);
        check(budget::scenario(&folded, &[&Model]), asked)?;
        Ok((scenario, folded))
    }

    /// Keeps the cases of the first kernel, at every point of the matrix.
    pub(crate) fn keep_first_kernel(&mut self) {
        let first = self.cases.first().map(|case| case.kernel.clone());
        self.cases
            .retain(|case| Some(&case.kernel) == first.as_ref());
    }
}

/// Fails on the first kernel that has no profile.
pub(crate) fn known(patterns: &[String]) -> Result<(), Reply> {
    let names = kernels::names();
    let ends = patterns.iter().flat_map(|pattern| pattern.split(".."));
    for name in ends.map(str::trim) {
        if !name.is_empty() && name != "all" && !names.contains(name) {
            return Err(Reply::error(format!("unknown kernel `{name}`"), None));
        }
    }
    Ok(())
}

fn check(need: Need, asked: &Asked) -> Result<(), Reply> {
    if need.memory() > MEMORY {
        let message = format!(
            "{} calls may need {} MiB of memory, and the limit of this page is {} MiB",
            need.calls,
            need.memory().div_ceil(1 << 20),
            MEMORY >> 20
        );
        let help = "use fewer kernels, points of the matrix or connections, or the command";
        return Err(Reply::error(message, Some(help)));
    }
    if need.time() * 2 > LONG && !asked.patient {
        return Err(Reply::Long {
            calls: need.calls,
            seconds: (need.time() * 2).as_secs(),
        });
    }
    Ok(())
}

/// The line about the checks of the profiles of some cases.
pub(crate) fn certificate<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    clean::line(&checked::line_of(cases)).into_owned()
}
