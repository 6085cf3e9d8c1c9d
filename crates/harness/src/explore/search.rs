//! All states, level by level; states from which the same can come are one.

use std::collections::BTreeMap;

use fourtuple_kernel::profile::Profile;
use fourtuple_program::Move;
use fourtuple_scenario::Case;

use super::sim::{Explored, State};
use super::tape::{self, Tape};
use super::{Budget, Count, Course, Found, named};
use crate::engine::Cannot;
use crate::threads;

/// How a state was come to.
struct Step {
    parent: u32,
    action: Option<Move>,
    answers: Vec<u32>,
}

/// A state that has to be looked at.
struct Open {
    /// The state, unless there are so many that it has to be made again.
    state: Option<State>,
    /// Its place among the steps.
    step: u32,
    /// How likely it is to come here.
    weight: f64,
}

/// What comes next after a state.
struct Child {
    state: State,
    digest: u64,
    action: Move,
    answers: Vec<u32>,
    weight: f64,
}

/// States that are worked on at a time; bounds the memory, and changes nothing in the result.
const BATCH: usize = 32;
/// States of one level that are kept; the others are made again from their course of events.
const KEPT: usize = 1024;
/// Most ways in which one call can go. A search over a full-size range has tens of thousands, and so has every call after
/// it, which no budget covers.
const WIDEST: usize = 1024;

/// Everything that can happen; nothing if there are more states than the budget has.
pub(super) fn run(
    case: &Case,
    profile: &Profile,
    budget: Budget,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<(Found, usize)>, Cannot> {
    let (plan, start) = State::start(case, profile)?;
    let mut steps = vec![Step {
        parent: 0,
        action: None,
        answers: Vec::new(),
    }];
    let mut found = Found::new();
    let mut level = vec![Open {
        state: Some(start.clone()),
        step: 0,
        weight: 1.0,
    }];
    while !level.is_empty() {
        let mut next: Vec<Open> = Vec::new();
        let mut known: BTreeMap<u64, usize> = BTreeMap::new();
        for batch in level.chunks_mut(BATCH) {
            progress(steps.len());
            let from = From {
                plan: &plan,
                start: &start,
                steps: &steps,
            };
            let results = from.expand(batch, budget.threads);
            // In the order of the states, so that sums and witnesses do not depend on threads.
            for (parent, result) in batch.iter_mut().zip(results) {
                parent.state = None;
                let children = match result {
                    After::TooWide => return Ok(None),
                    After::End(counts) => {
                        let entry = found.entry(counts);
                        entry
                            .or_insert_with(|| (0.0, course(&steps, parent.step)))
                            .0 += parent.weight;
                        continue;
                    }
                    After::Next(children) => children,
                };
                for child in children {
                    let weight = parent.weight * child.weight;
                    if let Some(at) = known.get(&child.digest) {
                        next[*at].weight += weight;
                        continue;
                    }
                    if steps.len() >= budget.states {
                        return Ok(None);
                    }
                    known.insert(child.digest, next.len());
                    let step = u32::try_from(steps.len()).unwrap_or(u32::MAX);
                    steps.push(Step {
                        parent: parent.step,
                        action: Some(child.action),
                        answers: child.answers,
                    });
                    let state = (next.len() < KEPT).then_some(child.state);
                    next.push(Open {
                        state,
                        step,
                        weight,
                    });
                }
            }
        }
        level = next;
    }
    Ok(Some((found, steps.len())))
}

/// What comes after a state.
enum After {
    /// Nothing: these are the counts at the end.
    End(Vec<Count>),
    /// One of these.
    Next(Vec<Child>),
    /// So much that it is not worth listing.
    TooWide,
}

/// Where states are made from.
#[derive(Clone, Copy)]
struct From<'a> {
    plan: &'a Explored<'a>,
    start: &'a State,
    steps: &'a [Step],
}

impl From<'_> {
    /// What comes after each of some states.
    fn expand(self, batch: &[Open], threads: usize) -> Vec<After> {
        let threads = threads.clamp(1, batch.len().max(1));
        if threads == 1 {
            return batch.iter().map(|open| self.after(open)).collect();
        }
        let share = batch.len().div_ceil(threads);
        let parts = threads::map(threads, batch.chunks(share).collect(), |part: &[Open]| {
            let part = part.iter().map(|open| self.after(open));
            part.collect::<Vec<_>>()
        });
        parts.into_iter().flatten().collect()
    }

    fn after(self, open: &Open) -> After {
        let again;
        let state = match &open.state {
            Some(state) => state,
            None => {
                again = self.again(open.step);
                &again
            }
        };
        let enabled = state.enabled();
        if enabled.is_empty() {
            return After::End(named(self.plan, &state.counts()));
        }
        let each = 1.0 / enabled.len() as f64;
        let mut found: Vec<Child> = Vec::new();
        let mut known: BTreeMap<u64, usize> = BTreeMap::new();
        for action in enabled {
            let mut given = Some(Vec::new());
            let mut ways = 0;
            while let Some(now) = given {
                ways += 1;
                if ways > WIDEST {
                    return After::TooWide;
                }
                let tape = Tape::of(now);
                let mut state = state.clone();
                state.listen_to(&tape);
                state.perform(self.plan, action);
                let made = tape.made();
                let weight = each * tape::likelihood(&made);
                let digest = state.digest(self.plan);
                match known.get(&digest) {
                    Some(at) => found[*at].weight += weight,
                    None => {
                        known.insert(digest, found.len());
                        let answers = made.iter().map(|(answer, _)| *answer).collect();
                        found.push(Child {
                            state,
                            digest,
                            action,
                            answers,
                            weight,
                        });
                    }
                }
                given = tape::following(&made);
            }
        }
        After::Next(found)
    }

    /// A state from the beginning.
    fn again(self, step: u32) -> State {
        let mut state = self.start.clone();
        for (action, answers) in course(self.steps, step).moves {
            state.listen_to(&Tape::of(answers));
            if let Some(action) = action {
                state.perform(self.plan, action);
            }
        }
        state
    }
}

fn course(steps: &[Step], mut at: u32) -> Course {
    let mut moves = Vec::new();
    while at != 0 {
        let step = &steps[at as usize];
        moves.push((step.action, step.answers.clone()));
        at = step.parent;
    }
    moves.reverse();
    Course { moves }
}
