//! Every possible outcome of a scenario: every order of its calls and every port choice.
//!
//! `run` shows one course of events; `explore` shows whether a test that passes once always passes.
//! At each instant any process may make the next call, the searches
//! of bind() start anywhere, and those of connect() towards a destination continue where the
//! first one happened to start, and a TIME-WAIT ends when the timer wheel next comes by. States
//! from which the same can come are kept once, so that small scenarios are searched to the end;
//! larger ones are sampled with a seed. Every outcome has a witness, a course of events that leads
//! to it and can be repeated.
//!
//! - `sim`: the processes, one call at a time; `recorded`: random choices, recorded and replayed
//! - `search`: all states, level by level; `symmetry`: equivalent states; `sample`: seeded runs;
//!   `steps`: scenarios whose order is fixed

pub(crate) mod recorded;
mod sample;
mod search;
mod sim;
mod steps;
mod symmetry;
mod witness;

use std::collections::BTreeMap;

use fourtuple_harness::{Answer, EngineError, Name};
use fourtuple_kernel::Errno;
use fourtuple_kernel::profile::Profile;
use fourtuple_program::Move;
use fourtuple_scenario::{Case, Op, Program};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

pub use witness::{Replay, replay};

/// The limit on an exploration's work.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Most states that are looked at before sampling takes over.
    pub states: usize,
    /// Runs that are sampled when the states are too many.
    pub samples: usize,
    /// Threads; the result is the same for any number.
    pub threads: usize,
}

/// The progress of an exploration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// States so far.
    States(usize),
    /// Seeded runs so far, because there are too many states.
    Runs(usize),
}

/// The way the outcomes were found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Coverage {
    /// Every order and every choice.
    Exhaustive {
        /// Different states.
        states: usize,
        /// Equal ports and instances stood for one another, so that shares are estimates.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        symmetric: bool,
    },
    /// Seeded runs, because there are too many states.
    Sampled {
        /// The number of runs.
        runs: usize,
        /// The number of states that were visited before that was given up.
        budget: usize,
    },
}

/// The course of events that leads to an outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// The moves, each with the random choices during it; a scenario whose order is fixed has
    /// one without a move.
    pub(crate) moves: Vec<(Option<Move>, Vec<u32>)>,
    /// Every search may start anywhere.
    pub(crate) free_searches: bool,
    /// The phase of the timer wheel at the start.
    pub(crate) phase: u64,
}

/// One way in which the scenario can come out, as far as answers are concerned.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Outcome {
    /// Its probability, if all next calls and all port choices are equally likely; the share of
    /// the runs when sampled.
    pub share: f64,
    /// Counts of answers by process and call.
    pub counts: Vec<Count>,
    /// The way to reach it.
    #[serde(skip)]
    pub course: Course,
}

impl Outcome {
    /// Returns whether no call was refused for want of a port.
    #[must_use]
    pub fn has_ports(&self) -> bool {
        use fourtuple_kernel::Errno;
        let refused = |count: &Count| {
            matches!(
                count.answer,
                Answer::Errno(Errno::EADDRINUSE | Errno::EADDRNOTAVAIL | Errno::EAGAIN)
            )
        };
        !self.counts.iter().any(refused)
    }
}

/// The count of one answer of one process to one call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Count {
    /// The process.
    pub process: Name,
    /// The call.
    #[serde(serialize_with = "word")]
    #[schemars(with = "String")]
    pub op: Op,
    /// The answer.
    pub answer: Answer,
    /// The count.
    pub times: u32,
}

fn word<S: Serializer>(op: &Op, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(op.as_str())
}

/// The frequency of an answer over everything that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Often {
    /// Each call of this kind gets it, whatever happens.
    Always,
    /// Some calls get it in some runs, or not all calls do.
    Sometimes,
    /// No call ever gets it.
    Never,
}

/// One answer of one kind of call.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Class {
    /// The process.
    pub process: Name,
    /// The call.
    #[serde(serialize_with = "word")]
    #[schemars(with = "String")]
    pub op: Op,
    /// The answer.
    pub answer: Answer,
    /// Its frequency.
    pub often: Often,
    /// The share of the courses in which at least one call gets it.
    pub share: f64,
    /// Fewest times in one run.
    pub fewest: u32,
    /// Most times in one run.
    pub most: u32,
}

/// The possible outcomes of a case.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Exploration {
    /// The scenario.
    pub scenario: String,
    /// Its question.
    pub about: String,
    /// The kernel.
    pub kernel: String,
    /// The point of the matrix, `name=value`.
    pub point: Vec<String>,
    /// The way the outcomes were found.
    pub coverage: Coverage,
    /// True if the order of the calls is fixed, because the scenario has steps.
    pub fixed_order: bool,
    /// The answers by kind of call.
    pub classes: Vec<Class>,
    /// The outcomes, the likeliest first.
    pub outcomes: Vec<Outcome>,
}

/// The sums of a search: outcomes by their counts, each with its share and the first course that
/// led there.
type Found = BTreeMap<Vec<Count>, (f64, Course)>;

/// Explores a case. `progress` is called with the number of states, and of runs once sampling has
/// begun.
///
/// # Errors
/// When the case cannot be set up.
pub fn explore(
    case: &Case,
    profile: &Profile,
    budget: Budget,
    progress: &mut dyn FnMut(Progress),
) -> Result<Exploration, EngineError> {
    let (found, coverage) = match &*case.program {
        Program::Steps(_) => steps::run(case, profile, budget, progress)?,
        Program::Processes(_) => match search::run(case, profile, budget, &mut |n| {
            progress(Progress::States(n))
        })? {
            Some(found) => found,
            None => {
                let found =
                    sample::run(case, profile, budget, &mut |n| progress(Progress::Runs(n)))?;
                (
                    found,
                    Coverage::Sampled {
                        runs: budget.samples,
                        budget: budget.states,
                    },
                )
            }
        },
    };
    let classes = classes(&found);
    let mut outcomes: Vec<Outcome> = found
        .into_iter()
        .map(|(counts, (share, course))| Outcome {
            share,
            counts,
            course,
        })
        .collect();
    // The order of the counts decides between equal shares, so that it is the same everywhere.
    outcomes.sort_by(|a, b| b.share.total_cmp(&a.share));
    Ok(Exploration {
        scenario: case.scenario.clone(),
        about: case.about.clone(),
        kernel: case.kernel.clone(),
        point: case.point(),
        coverage,
        fixed_order: case.program.steps().is_some(),
        classes,
        outcomes,
    })
}

/// Answers that a call is known to give when ports run out; they are named also when they never
/// come.
fn expected(op: Op) -> &'static [Errno] {
    match op {
        Op::Bind | Op::Listen => &[Errno::EADDRINUSE],
        Op::Connect => &[Errno::EADDRNOTAVAIL],
        _ => &[],
    }
}

fn classes(found: &Found) -> Vec<Class> {
    let mut kinds: Vec<(Name, Op)> = Vec::new();
    for count in found.keys().flatten() {
        let kind = (count.process.clone(), count.op);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.sort();
    let mut classes = Vec::new();
    for (process, op) in kinds {
        let of_kind = |count: &&Count| count.process == process && count.op == op;
        let mut answers: Vec<Answer> = vec![Answer::Ok];
        answers.extend(expected(op).iter().map(|errno| Answer::Errno(*errno)));
        for count in found.keys().flatten().filter(of_kind) {
            if !answers.contains(&count.answer) {
                answers.push(count.answer.clone());
            }
        }
        for answer in answers {
            let mut class = Class {
                process: process.clone(),
                op,
                answer: answer.clone(),
                often: Often::Never,
                share: 0.0,
                fewest: u32::MAX,
                most: 0,
            };
            let mut only = true;
            for (counts, (share, _)) in found {
                let times = counts
                    .iter()
                    .filter(of_kind)
                    .filter(|count| count.answer == answer);
                let times: u32 = times.map(|count| count.times).sum();
                let all: u32 = counts.iter().filter(of_kind).map(|count| count.times).sum();
                class.fewest = class.fewest.min(times);
                class.most = class.most.max(times);
                class.share += if times > 0 { *share } else { 0.0 };
                only &= times == all && all > 0;
            }
            class.often = match (class.most, only) {
                (0, _) => Often::Never,
                (_, true) => Often::Always,
                _ => Often::Sometimes,
            };
            classes.push(class);
        }
    }
    classes
}

/// The counts of a state, with names, in order.
fn named(explored: &sim::Explored<'_>, counts: &sim::Counts) -> Vec<Count> {
    let counts = counts.iter().map(|((process, op, answer), times)| Count {
        process: explored.names[*process].clone(),
        op: *op,
        answer: answer.clone(),
        times: *times,
    });
    let mut counts: Vec<Count> = counts.collect();
    counts.sort();
    counts
}
