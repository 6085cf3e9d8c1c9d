//! An outcome again: its course of events, repeated call by call.

use fourtuple_harness::{Attempts, EngineError, Recording};
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::{Case, Program};

use super::recorded::RecordedChoices;
use super::sim::State;
use super::steps;
use super::{Outcome, named};

/// A course of events that was repeated.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The calls in the order in which they were made.
    pub attempts: Attempts,
    /// True if the run has the outcome.
    pub same: bool,
}

/// Repeats the witness of an outcome from the beginning.
///
/// # Errors
/// When the case cannot be set up, or is not the one that was explored.
pub fn replay(case: &Case, profile: &Profile, outcome: &Outcome) -> Result<Replay, EngineError> {
    if let Program::Steps(_) = &*case.program {
        let answers = outcome
            .course
            .moves
            .first()
            .map(|(_, answers)| answers.clone());
        let attempts = steps::simulate(
            case,
            profile,
            RecordedChoices::of(answers.unwrap_or_default()),
        )?;
        let same = steps::counts(&attempts) == outcome.counts;
        return Ok(Replay { attempts, same });
    }
    let (plan, state) = State::start(case, profile, outcome.course.phase)?;
    let mut state = state.with_recording(&plan);
    if outcome.course.free_searches {
        state.free_searches();
    }
    for (action, answers) in &outcome.course.moves {
        let action = action.filter(|action| state.enabled().contains(action));
        let Some(action) = action else {
            return Err(EngineError::new("this witness belongs to another scenario"));
        };
        state.replay(&RecordedChoices::of(answers.clone()));
        state.perform(&plan, action);
    }
    let same = state.enabled().is_empty() && named(&plan, &state.counts()) == outcome.counts;
    let recorded = state.recorded();
    Ok(Replay {
        attempts: recorded.map(Recording::finish).unwrap_or_default(),
        same,
    })
}
