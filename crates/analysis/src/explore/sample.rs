//! Seeded runs, for scenarios with too many states.

use fourtuple_harness::{EngineError, threads};
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::Case;

use super::recorded::{RecordedChoices, Split};
use super::sim::{Explored, State};
use super::{Budget, Count, Course, Found, named};
use crate::phase::phases;

/// Runs between two looks at the progress.
const BATCH: usize = 64;

/// Many runs, each with its own random choices.
pub(super) fn run(
    case: &Case,
    profile: &Profile,
    budget: Budget,
    progress: &mut dyn FnMut(usize),
) -> Result<Found, EngineError> {
    let phases = phases(case, profile);
    let starts = phases
        .iter()
        .map(|phase| Ok((*phase, State::start(case, profile, *phase)?)))
        .collect::<Result<Vec<_>, EngineError>>()?;
    let mut found = Found::new();
    let runs: Vec<u64> = (0..budget.samples as u64).collect();
    let each = 1.0 / runs.len().max(1) as f64;
    for batch in runs.chunks(BATCH) {
        progress(usize::try_from(batch[0]).unwrap_or(usize::MAX));
        for (counts, course) in several(&starts, case.seed, batch, budget.threads) {
            found.entry(counts).or_insert((0.0, course)).0 += each;
        }
    }
    Ok(found)
}

/// A phase of the timer wheel, and the state before the first call.
type Start<'a> = (u64, (Explored<'a>, State));

fn several(
    starts: &[Start<'_>],
    seed: u64,
    runs: &[u64],
    threads: usize,
) -> Vec<(Vec<Count>, Course)> {
    let share = runs.len().div_ceil(threads.max(1)).max(1);
    let parts = threads::map(threads, runs.chunks(share).collect(), |part: &[u64]| {
        let part = part.iter().map(|run| one(starts, seed, *run));
        part.collect::<Vec<_>>()
    });
    parts.into_iter().flatten().collect()
}

fn one(starts: &[Start<'_>], seed: u64, run: u64) -> (Vec<Count>, Course) {
    let mut order = Split::new(seed, run);
    let (phase, (plan, start)) = &starts[run as usize % starts.len()];
    let mut state = start.clone();
    let mut course = Course {
        phase: *phase,
        ..Course::default()
    };
    loop {
        let enabled = state.enabled();
        if enabled.is_empty() {
            break;
        }
        let pick = order.below(u32::try_from(enabled.len()).unwrap_or(u32::MAX));
        let action = enabled[pick as usize];
        let choices = RecordedChoices::random(Split::new(u64::from(order.below(u32::MAX)), run));
        state.replay(&choices);
        state.perform(plan, action);
        let answers = choices.made().iter().map(|(answer, _)| *answer).collect();
        course.moves.push((Some(action), answers));
    }
    (named(plan, &state.counts()), course)
}
