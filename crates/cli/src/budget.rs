//! Memory and time that a command may be expected to take: what would take more is refused before it starts.

use std::time::Duration;

use fourtuple_harness::{Engine, Model, Need, budget};
use fourtuple_scenario::Scenario;

use crate::output::Failure;
use crate::select::{Folded, Selected};

/// About how many changes of a scenario `remedies` and `lint` try.
pub(crate) const TRIED: u64 = 64;

/// How much a command may be expected to take.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Budget {
    /// Most memory, in MiB, that a scenario may be expected to need. One that needs more is refused before anything runs.
    #[arg(long, value_name = "MIB", default_value_t = 8192)]
    max_memory: u64,
    /// Most seconds of a processor that all of it may be expected to take. What takes more is refused before anything runs.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    max_time: u64,
}

impl Budget {
    /// Bytes that may be needed.
    pub(crate) fn memory(self) -> u64 {
        self.max_memory.saturating_mul(1 << 20)
    }

    /// What each scenario needs on some engines.
    ///
    /// # Errors
    /// One needs more memory, or all of them more time, than they may.
    pub(crate) fn check(
        self,
        folded: &[Folded],
        engines: &[&dyn Engine],
    ) -> Result<Vec<Need>, Failure> {
        self.check_each(folded, |_| engines)
    }

    /// The same where each scenario, by its number, has engines of its own.
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

    /// The same for verbs that run each case on the model, so many times, and keep one outcome.
    pub(crate) fn check_model(self, selected: &[Selected], times: u64) -> Result<(), Failure> {
        let need = |one: &Selected| {
            let cases = one
                .cases
                .iter()
                .map(|case| budget::run(Model::NAME, case).times(times));
            cases.fold(Need::default(), Need::and)
        };
        let needs: Vec<Need> = selected.iter().map(need).collect();
        self.hold(selected.iter().map(|one| &one.scenario), &needs)
    }

    fn hold<'a>(
        self,
        scenarios: impl Iterator<Item = &'a Scenario> + Clone,
        needs: &[Need],
    ) -> Result<(), Failure> {
        for (scenario, need) in scenarios.clone().zip(needs) {
            if need.memory() > self.memory() {
                return Err(Failure::Told(format!(
                    "error: {}: {} may need {} MiB of memory, and the limit is {} MiB\n  = help: ask for fewer engines, kernels, points of the matrix or connections, or allow it with `--max-memory {}`",
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
            // The one that takes most is the one to look at.
            let most = scenarios.zip(needs).max_by_key(|(_, need)| need.nanos);
            let most = most.map_or("", |(scenario, _)| scenario.file.as_str());
            let files = match needs.len() {
                1 => String::new(),
                n => format!("{n} scenarios, of which this one takes most: "),
            };
            return Err(Failure::Told(format!(
                "error: {most}: {files}{} may take {seconds} s of a processor, and the limit is {} s\n  = help: ask for fewer engines, kernels, points of the matrix or connections, or allow it with `--max-time {seconds}`",
                counts(&all),
                self.max_time,
            )));
        }
        Ok(())
    }
}

/// What there is so much of.
fn counts(need: &Need) -> String {
    let s = |n: u64| if n == 1 { "" } else { "s" };
    let Need { runs, calls, .. } = need;
    format!("{runs} run{} with {calls} call{}", s(*runs), s(*calls))
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
