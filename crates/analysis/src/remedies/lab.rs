//! Experiments: a changed case on the model, at one seed and then at others.

use std::cell::Cell;
use std::sync::Arc;

use fourtuple_harness::{Attempts, Engine as _, EngineError, Model, RunReport};
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::Case;
use schemars::JsonSchema;
use serde::Serialize;

use super::allowance::{Allowance, seeds_for};
use super::catalogue;
use super::situation::{Cause, Situation, SocketCounts};
use crate::explore;
use crate::explore::Coverage;

/// States that are explored to prove a fix.
const STATES: usize = 2000;
/// Attempts that an exploration may have at most: beyond it never ends within its states.
const EXPLORED: usize = 64;
/// The share of seeds from which on a fix counts as one that usually works.
const USUALLY: f64 = 0.9;

/// Runs with different seeds, and those of them in which every socket had its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Seeds {
    /// Runs in which nothing was refused.
    pub good: u32,
    /// All runs.
    pub of: u32,
}

impl Seeds {
    /// The share of good runs.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.good) / f64::from(self.of.max(1))
    }
}

impl std::fmt::Display for Seeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.good, self.of)
    }
}

/// The certainty with which a changed case works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Certainty {
    /// Whatever ports are chosen: by exploration of every choice, or by argument, and at every seed
    /// tried.
    Always,
    /// At nearly every seed.
    Usually,
    /// At some seeds, because other ports are chosen.
    ByLuck,
}

/// The result of one changed case.
pub(super) struct Trial {
    pub(super) words: String,
    pub(super) case: Case,
    pub(super) attempts: Arc<Attempts>,
    pub(super) notes: Vec<String>,
    pub(super) counts: SocketCounts,
    /// Set when it works at the first seed.
    pub(super) certainty: Option<(Certainty, Seeds)>,
}

impl Trial {
    fn rank(&self) -> (Option<std::cmp::Reverse<Certainty>>, u32, u32) {
        let seeds = self.certainty.map_or(0, |(_, seeds)| seeds.good);
        let certainty = self.certainty.map(|(one, _)| std::cmp::Reverse(one));
        (certainty, seeds, self.counts.ok)
    }

    pub(super) fn is_certain(&self) -> bool {
        matches!(self.certainty, Some((Certainty::Always, _)))
    }

    /// Returns whether the kernel did not know what the change sets.
    pub(super) fn absent(&self) -> bool {
        refuses_setting(&self.notes) || catalogue::unknown_option(&self.attempts)
    }
}

/// Returns whether a kernel refused a sysctl.
pub(super) fn refuses_setting(notes: &[String]) -> bool {
    notes.iter().any(|note| note.contains("is refused with"))
}

/// The case with the n-th of its seeds.
pub(super) fn reseeded(case: &Case, n: u32) -> Case {
    let mut case = case.clone();
    case.seed = case.seed.wrapping_add(u64::from(n));
    case
}

/// A changed case before it is run.
pub(super) struct Variant {
    pub(super) words: String,
    pub(super) case: Case,
}

/// Runs changed cases on one kernel.
pub(super) struct Lab<'a> {
    pub(super) situation: &'a Situation,
    pub(super) profile: &'a Profile,
    /// The unchanged case at the seeds.
    pub(super) before: Seeds,
    /// The calls that are left.
    pub(super) allowance: Cell<Allowance>,
}

impl Lab<'_> {
    /// Runs variants until one surely works; otherwise the one that works most often, then the one
    /// with most sockets ok, the smallest of equals.
    pub(super) fn best(
        &self,
        variants: Vec<Variant>,
        removes: &[Cause],
        fewer: bool,
    ) -> Result<Trial, String> {
        let mut best: Option<Trial> = None;
        let mut reason = String::new();
        for variant in variants {
            match self.run(variant, removes, fewer) {
                Ok(trial) => {
                    let done = trial.is_certain();
                    if best.as_ref().is_none_or(|best| trial.rank() > best.rank()) {
                        best = Some(trial);
                    }
                    if done {
                        break;
                    }
                }
                Err(cannot) => reason = cannot.reason,
            }
        }
        best.ok_or(reason)
    }

    /// Runs a case, and counts its calls.
    pub(super) fn model(&self, case: &Case, profile: &Profile) -> Result<RunReport, EngineError> {
        let mut allowance = self.allowance.get();
        if !allowance.allows(case) {
            return Err(EngineError::new(
                "the calls that trials may make are used up",
            ));
        }
        let report = Model.run(case, profile)?;
        allowance.spend(report.attempts.len());
        self.allowance.set(allowance);
        Ok(report)
    }

    fn fixes(&self, counts: SocketCounts, fewer: bool) -> bool {
        let before = self.situation.counts;
        counts.fixes(before) || fewer && counts.fixes_with_fewer(before)
    }

    fn run(&self, variant: Variant, removes: &[Cause], fewer: bool) -> Result<Trial, EngineError> {
        let report = self.model(&variant.case, self.profile)?;
        let counts = SocketCounts::of(&report.attempts);
        let mut trial = Trial {
            words: variant.words,
            case: variant.case,
            attempts: report.attempts,
            notes: report.notes,
            counts,
            certainty: None,
        };
        if self.fixes(counts, fewer) && !trial.absent() {
            trial.certainty = Some(self.certainty(&trial, removes, fewer));
        }
        Ok(trial)
    }

    /// Runs a changed case that works with other seeds.
    fn certainty(&self, trial: &Trial, removes: &[Cause], fewer: bool) -> (Certainty, Seeds) {
        let seeds = self.seeds(&trial.attempts, |n| {
            let report = self.model(&reseeded(&trial.case, n), self.profile);
            report.is_ok_and(|report| self.fixes_alone(&report.attempts, fewer))
        });
        let Seeds { good, of } = seeds;
        let argued = removes.contains(&self.situation.cause);
        let certainty = if good == of && (argued || self.proved(trial)) {
            Certainty::Always
        } else if seeds.share() >= USUALLY
            && 1.0 - seeds.share() <= (1.0 - self.before.share()) / 4.0
        {
            Certainty::Usually
        } else {
            Certainty::ByLuck
        };
        (certainty, seeds)
    }

    /// Counts the seeds at which a case works that works at the first, with these attempts.
    pub(super) fn seeds(&self, first: &Attempts, works: impl Fn(u32) -> bool) -> Seeds {
        let of = self.before.of.min(seeds_for(first.len()));
        let good = (1..of).filter(|n| works(*n)).count();
        let good = u32::try_from(good).unwrap_or(u32::MAX).saturating_add(1);
        Seeds { good, of }
    }

    /// At another seed the unchanged case has other counts, so that only refusals count.
    fn fixes_alone(&self, attempts: &Attempts, fewer: bool) -> bool {
        let counts = SocketCounts::of(attempts);
        counts.refused == 0
            && (fewer || counts.ok + self.situation.counts.to_itself >= self.situation.counts.ok)
    }

    /// Explores every order and every choice of a port, if they are few.
    fn proved(&self, trial: &Trial) -> bool {
        // An exploration counts answers, which do not say that a NAT host had no port.
        let cause = self.situation.cause;
        let seen = !matches!(cause, Cause::ToItself | Cause::Nat);
        if trial.attempts.len() > EXPLORED || !seen {
            return false;
        }
        let budget = explore::Budget {
            states: STATES,
            samples: 1,
            threads: 1,
        };
        let explored = explore::explore(&trial.case, self.profile, budget, &mut |_| {});
        explored.is_ok_and(|all| {
            let exhaustive = matches!(all.coverage, Coverage::Exhaustive { .. });
            exhaustive && all.outcomes.iter().all(explore::Outcome::has_ports)
        })
    }
}
