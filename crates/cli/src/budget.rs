//! Limits of memory and CPU time: a command that is expected to exceed them is refused before it
//! starts.

use std::time::Duration;

use fourtuple_harness::runner::budget;
use fourtuple_harness::{Engine, Model, Need};
use fourtuple_scenario::Scenario;

use crate::output::{Failure, complain};
use crate::selected::{Folded, Selected};

/// Approximate number of variants of a scenario that `remedies` and `lint` try.
pub(crate) const TRIED: u64 = 64;

/// CPU time from which on a command states its estimate before it begins.
const LONG: Duration = Duration::from_secs(10);

/// The limits of a command.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Budget {
    /// Maximum memory in MiB that a scenario may be expected to need. One that needs more is
    /// refused before anything runs.
    #[arg(long, value_name = "MIB", default_value_t = 8192)]
    max_memory: u64,
    /// Maximum CPU time in seconds that the whole run may be expected to take. More is refused
    /// before anything runs.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    max_time: u64,
}

impl Budget {
    /// The limit of memory in bytes.
    pub(crate) fn memory(self) -> u64 {
        self.max_memory.saturating_mul(1 << 20)
    }

    /// Estimates the needs of each scenario on the same engines.
    ///
    /// # Errors
    /// A scenario is expected to exceed the limit of memory, or all of them that of CPU time.
    pub(crate) fn check(
        self,
        folded: &[Folded],
        engines: &[&dyn Engine],
    ) -> Result<Vec<Need>, Failure> {
        self.check_each(folded, |_| engines)
    }

    /// As [`Self::check`], with the engines of each scenario by its number.
    pub(crate) fn check_each<'a>(
        self,
        folded: &[Folded],
        engines: impl Fn(usize) -> &'a [&'a dyn Engine],
    ) -> Result<Vec<Need>, Failure> {
        let need = |(n, one): (usize, &Folded)| budget::scenario(&one.cases, engines(n));
        let needs: Vec<Need> = folded.iter().enumerate().map(need).collect();
        self.hold(folded.iter().map(|one| &one.scenario), &needs)?;
        Ok(needs)
    }

    /// As [`Self::check`] for verbs that run each case on the model `times` times, and keep one
    /// outcome.
    pub(crate) fn check_model(self, selected: &[Selected], times: u64) -> Result<(), Failure> {
        let needs: Vec<Need> = selected.iter().map(|one| on_model(one, times)).collect();
        self.hold(selected.iter().map(|one| &one.scenario), &needs)?;
        let all = needs.iter().copied().fold(Need::default(), Need::and);
        if all.time() > LONG {
            complain(&format!(
                "note: {} may take {} s of CPU time; fewer kernels or points of the matrix take less",
                counts(&all),
                all.time().as_secs()
            ));
        }
        Ok(())
    }

    /// As [`Self::check_model`] for one scenario and trials that end after `calls` calls. Where
    /// they do not suffice, says so and what is done instead.
    pub(crate) fn check_trials(
        self,
        selected: &Selected,
        times: u64,
        calls: u64,
    ) -> Result<(), Failure> {
        let once = on_model(selected, 1);
        let wanted = once.calls.saturating_mul(times);
        if wanted <= calls {
            return self.check_model(std::slice::from_ref(selected), times);
        }
        // Every case is run once in any event.
        let affordable = (calls / once.calls.max(1)).max(1);
        self.hold(
            std::iter::once(&selected.scenario),
            &[once.times(affordable)],
        )?;
        complain(&format!(
            "note: all trials at all seeds would take {wanted} calls; the limit of {calls} leaves about {affordable} trials for \
             each kernel and point of the matrix: fixes for the cause come first, at fewer seeds (change it with `--max-calls`)"
        ));
        Ok(())
    }

    fn hold<'a>(
        self,
        scenarios: impl Iterator<Item = &'a Scenario> + Clone,
        needs: &[Need],
    ) -> Result<(), Failure> {
        for (scenario, need) in scenarios.clone().zip(needs) {
            if need.memory() > self.memory() {
                return Err(Failure::Message(format!(
                    "error: {}: {} may need {} MiB of memory, and the limit is {} MiB\n  = help: use fewer engines, kernels, points of the matrix or connections, or raise the limit: `--max-memory {}`",
                    scenario.file,
                    counts(need),
                    mib(need.memory()),
                    self.max_memory,
                    mib(need.memory()),
                )));
            }
        }
        let all = needs.iter().copied().fold(Need::default(), Need::and);
        if all.time() > Duration::from_secs(self.max_time) {
            let seconds = all.nanos.div_ceil(1_000_000_000);
            // Names the scenario that takes the most time.
            let most = scenarios.zip(needs).max_by_key(|(_, need)| need.nanos);
            let most = most.map_or("", |(scenario, _)| scenario.file.as_str());
            let files = match needs.len() {
                1 => String::new(),
                n => format!("{n} scenarios, of which this one takes the most time: "),
            };
            return Err(Failure::Message(format!(
                "error: {most}: {files}{} may take {seconds} s of CPU time, and the limit is {} s\n  = help: use fewer engines, kernels, points of the matrix or connections, or raise the limit: `--max-time {seconds}`",
                counts(&all),
                self.max_time,
            )));
        }
        Ok(())
    }
}

/// The need of running each case on the model `times` times, with one outcome kept.
fn on_model(selected: &Selected, times: u64) -> Need {
    let cases = selected.cases.iter();
    let needs = cases.map(|case| budget::run(Model::NAME, case).times(times));
    needs.fold(Need::default(), Need::and)
}

/// Formats the numbers of runs and calls.
fn counts(need: &Need) -> String {
    let s = |n: u64| if n == 1 { "" } else { "s" };
    let Need { runs, calls, .. } = need;
    format!("{runs} run{} with {calls} call{}", s(*runs), s(*calls))
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
