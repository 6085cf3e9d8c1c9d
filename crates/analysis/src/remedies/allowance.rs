//! The calls that experiments may make in all.

use fourtuple_harness::{Engine as _, Model};
use fourtuple_scenario::Case;

/// Experiments that every scenario is given: with few calls each is made at fewer seeds.
const EXPERIMENTS: u64 = 16;

/// Seeds that a fix is tried with when the scenario is small.
const SEEDS: u32 = 64;

/// Socket calls that the model may still simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    calls: u64,
}

impl Allowance {
    /// No limit.
    pub const UNLIMITED: Allowance = Allowance { calls: u64::MAX };

    /// At most so many calls.
    #[must_use]
    pub fn of(calls: u64) -> Self {
        Allowance { calls }
    }

    /// Takes an equal part for one of `parts`.
    pub fn part(&mut self, parts: usize) -> Allowance {
        let parts = u64::try_from(parts).unwrap_or(u64::MAX);
        let part = Allowance::of(self.calls / parts.max(1));
        self.calls -= part.calls;
        part
    }

    /// Adds what a part has left.
    pub fn put_back(&mut self, part: Allowance) {
        self.calls = self.calls.saturating_add(part.calls);
    }

    /// Counts a run.
    pub(super) fn spend(&mut self, calls: usize) {
        let calls = u64::try_from(calls).unwrap_or(u64::MAX);
        // Without a limit nothing is counted, so that there stays none.
        if *self != Allowance::UNLIMITED {
            self.calls = self.calls.saturating_sub(calls);
        }
    }

    /// Returns whether a run of a case fits.
    pub(super) fn allows(self, case: &Case) -> bool {
        fourtuple_harness::runner::budget::run(Model.name(), case).calls <= self.calls
    }

    /// The seeds at which an experiment of this many calls is made.
    pub(super) fn seeds(self, attempts: usize) -> u32 {
        let calls = u64::try_from(attempts.max(1)).unwrap_or(u64::MAX);
        let afforded = self.calls / EXPERIMENTS / calls;
        let afforded = u32::try_from(afforded).unwrap_or(u32::MAX);
        seeds_for(attempts).min(afforded.max(1))
    }
}

/// Returns the number of seeds for a case of this many attempts.
pub(super) fn seeds_for(attempts: usize) -> u32 {
    match attempts {
        0..=2_000 => SEEDS,
        2_001..=20_000 => 16,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_allowance_add_up() {
        let mut all = Allowance::of(100);
        let mut first = all.part(4);
        assert_eq!(first, Allowance::of(25));
        first.spend(10);
        all.put_back(first);
        assert_eq!(all, Allowance::of(90));
        assert_eq!(all.part(1), Allowance::of(90));
    }

    #[test]
    fn few_calls_are_spread_over_the_experiments() {
        assert_eq!(Allowance::UNLIMITED.seeds(100), 64);
        assert_eq!(Allowance::of(16 * 100 * 3).seeds(100), 3);
        assert_eq!(Allowance::of(1).seeds(100), 1);
    }

    #[test]
    fn no_limit_is_never_used_up() {
        let mut all = Allowance::UNLIMITED;
        all.spend(usize::MAX);
        assert_eq!(all, Allowance::UNLIMITED);
    }
}
