//! Scenarios of steps: the order of the calls is the file's, what is left is the choice of ports.

use fourtuple_harness::{Attempts, EngineError, Model, tally};
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::Case;

use super::recorded::{self, RecordedChoices, Split};
use super::{Budget, Count, Course, Coverage, Found, Progress};
use crate::chooser::ExperimentChooser;
use crate::phase::phases;

/// All choices if they are few enough, otherwise seeded ones.
pub(super) fn run(
    case: &Case,
    profile: &Profile,
    budget: Budget,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Found, Coverage), EngineError> {
    let mut found = Found::new();
    let mut given = Some(Vec::new());
    let mut runs = 0;
    while let Some(now) = given {
        if runs >= budget.states {
            return sample(case, profile, budget, progress);
        }
        if runs % 64 == 0 {
            progress(Progress::States(runs));
        }
        let choices = RecordedChoices::of(now);
        let attempts = simulate(case, profile, choices.clone())?;
        let made = choices.made();
        add(&mut found, &attempts, recorded::likelihood(&made), &made);
        given = recorded::following(&made);
        runs += 1;
    }
    Ok((
        found,
        Coverage::Exhaustive {
            states: runs,
            symmetric: false,
        },
    ))
}

fn sample(
    case: &Case,
    profile: &Profile,
    budget: Budget,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Found, Coverage), EngineError> {
    let mut found = Found::new();
    let each = 1.0 / budget.samples.max(1) as f64;
    for run in 0..budget.samples {
        if run % 64 == 0 {
            progress(Progress::Runs(run));
        }
        let choices = RecordedChoices::random(Split::new(case.seed, run as u64));
        let attempts = simulate(case, profile, choices.clone())?;
        add(&mut found, &attempts, each, &choices.made());
    }
    Ok((
        found,
        Coverage::Sampled {
            runs: budget.samples,
            budget: budget.states,
        },
    ))
}

/// One run with recorded choices.
pub(super) fn simulate(
    case: &Case,
    profile: &Profile,
    mut choices: RecordedChoices,
) -> Result<Attempts, EngineError> {
    choices.draw_phase(&phases(case, profile));
    let (attempts, _) =
        Model::simulate(case, profile, |_| ExperimentChooser::from(choices.clone()))?;
    Ok(attempts)
}

fn add(found: &mut Found, attempts: &Attempts, weight: f64, made: &[(u32, u32)]) {
    let answers = made.iter().map(|(answer, _)| *answer).collect();
    let course = Course {
        moves: vec![(None, answers)],
        ..Course::default()
    };
    found.entry(counts(attempts)).or_insert((0.0, course)).0 += weight;
}

/// Counts of answers by process and call.
pub(super) fn counts(attempts: &Attempts) -> Vec<Count> {
    let mut counts: Vec<Count> = Vec::new();
    for tally in tally(attempts) {
        counts.extend(tally.answers.iter().map(|(answer, times)| Count {
            process: tally.process.clone(),
            op: tally.op,
            answer: answer.clone(),
            times: *times,
        }));
    }
    counts.sort();
    counts
}
