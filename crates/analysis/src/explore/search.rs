//! All states, level by level; states from which the same can come are one.

use std::collections::BTreeMap;

use fourtuple_harness::{EngineError, threads};
use fourtuple_kernel::profile::Profile;
use fourtuple_program::Move;
use fourtuple_scenario::{Case, Process};

use super::recorded::{self, RecordedChoices};
use super::sim::{Explored, State};
use super::symmetry::Symmetry;
use super::{Budget, Count, Course, Coverage, Found, named};
use crate::edit;
use crate::phase::phases;

/// The way to a state.
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
    /// The probability of reaching this state.
    weight: f64,
}

/// A successor of a state.
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
/// Most ways in which one call can go. A search over a full-size range has tens of thousands, and
/// so has every call after it, which no budget covers.
const WIDEST: usize = 1024;

/// States that are explored one by one, so that shares are exact, before equal ports and instances
/// stand for one another.
const EXACT: usize = 1_000;
/// Steps of one instance that a search may make for each state of its budget: what bounds its time.
const STEPS_PER_STATE: u64 = 2_000;
/// Instances times ports up to which that is tried at all; each of them is a way on from every
/// state.
const FEW: u64 = 128;

/// Everything that can happen; nothing if there are more states than the budget has.
pub(super) fn run(
    case: &Case,
    profile: &Profile,
    budget: Budget,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<(Found, Coverage)>, EngineError> {
    let phases = phases(case, profile);
    let (mut all, mut sum, mut symmetric_any) = (Found::new(), 0, false);
    for phase in &phases {
        let budget = Budget {
            states: budget.states - sum,
            ..budget
        };
        let mut before = |states| progress(sum + states);
        let one = from_phase(case, profile, budget, *phase, &mut before)?;
        let Some((found, states, symmetric)) = one else {
            return Ok(None);
        };
        for (counts, (share, course)) in found {
            let entry = all.entry(counts).or_insert((0.0, course));
            entry.0 += share / phases.len() as f64;
        }
        sum += states;
        symmetric_any |= symmetric;
    }
    let coverage = Coverage::Exhaustive {
        states: sum,
        symmetric: symmetric_any,
    };
    Ok(Some((all, coverage)))
}

/// Everything that can happen from one phase of the timer wheel on, with the number of states, and
/// `true` if equal ports and instances stood for one another.
fn from_phase(
    case: &Case,
    profile: &Profile,
    budget: Budget,
    phase: u64,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<(Found, usize, bool)>, EngineError> {
    let symmetry = Symmetry::of(case, profile);
    if places(case) > budget.states as u64 {
        return Ok(None);
    }
    let (tried, exact) = match symmetry {
        Some(_) => (ways(case, profile) <= FEW, budget.states.min(EXACT)),
        None => (true, budget.states),
    };
    let limits = Budget {
        states: exact,
        ..budget
    };
    if tried && let Some((found, states)) = search((case, profile, phase), limits, None, progress)?
    {
        return Ok(Some((found, states, false)));
    }
    let Some(symmetry) = symmetry else {
        return Ok(None);
    };
    let found = search((case, profile, phase), budget, Some(&symmetry), progress)?;
    Ok(found.map(|(found, states)| (found, states, true)))
}

/// The number of ways in which instances can be spread over the calls of their processes: equal
/// ones stand for one another, and a scenario has at least as many states.
fn places(case: &Case) -> u64 {
    let processes = case.program.processes();
    let of_one = |process: &Process| {
        let calls = u64::from(!process.bind.is_empty()) + u64::from(!process.connect.is_empty());
        let calls = calls * process.connections_each() + process.listen.len() as u64;
        // Combinations with repetition; the product stays whole at each step.
        (1..=calls.min(64)).fold(1u64, |all, n| {
            all.saturating_mul(u64::from(process.count) + n) / n
        })
    };
    processes
        .into_iter()
        .flat_map(indexmap::IndexMap::values)
        .fold(1, |all, process| all.saturating_mul(of_one(process)))
}

/// Instances times ports: about how many ways lead on from one state.
fn ways(case: &Case, profile: &Profile) -> u64 {
    let processes = case.program.processes();
    let instances: u64 = processes
        .into_iter()
        .flat_map(indexmap::IndexMap::values)
        .map(|process| u64::from(process.count))
        .sum();
    let ports = case
        .hosts
        .keys()
        .map(|host| edit::range_of(case, host, profile.behaviours.range_high).size())
        .min();
    instances * u64::from(ports.unwrap_or(0))
}

fn search(
    (case, profile, phase): (&Case, &Profile, u64),
    budget: Budget,
    symmetry: Option<&Symmetry>,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<(Found, usize)>, EngineError> {
    let (plan, mut start) = State::start(case, profile, phase)?;
    if symmetry.is_some() {
        start.free_searches();
    }
    let mut steps = vec![Step {
        parent: 0,
        action: None,
        answers: Vec::new(),
    }];
    let mut found = Found::new();
    let instances = start.instances();
    let mut work = 0u64;
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
                symmetry,
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
                            .or_insert_with(|| {
                                let course = Course {
                                    moves: moves(&steps, parent.step),
                                    free_searches: symmetry.is_some(),
                                    phase,
                                };
                                (0.0, course)
                            })
                            .0 += parent.weight;
                        continue;
                    }
                    After::Next(children, ways) => {
                        work += ways * instances;
                        if work > budget.states as u64 * STEPS_PER_STATE {
                            return Ok(None);
                        }
                        children
                    }
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

/// The successors of a state.
enum After {
    /// Nothing: these are the counts at the end.
    End(Vec<Count>),
    /// One of these, and how many ways were tried.
    Next(Vec<Child>, u64),
    /// So much that it is not worth listing.
    TooWide,
}

/// The input of states.
#[derive(Clone, Copy)]
struct From<'a> {
    plan: &'a Explored<'a>,
    start: &'a State,
    steps: &'a [Step],
    symmetry: Option<&'a Symmetry>,
}

impl From<'_> {
    /// Returns the successors of each of some states.
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
        let enabled = self.actions(state);
        if enabled.is_empty() {
            return After::End(named(self.plan, &state.counts()));
        }
        let all: u32 = enabled.iter().map(|(_, count)| *count).sum();
        let mut found: Vec<Child> = Vec::new();
        let mut tried = 0;
        let mut known: BTreeMap<u64, usize> = BTreeMap::new();
        for (action, count) in enabled {
            let each = f64::from(count) / f64::from(all);
            let mut given = Some(Vec::new());
            let mut ways = 0;
            while let Some(now) = given {
                ways += 1;
                if ways > WIDEST {
                    return After::TooWide;
                }
                let choices = RecordedChoices::of(now);
                let mut state = state.clone();
                state.replay(&choices);
                state.perform(self.plan, action);
                let made = choices.made();
                let weight = each * recorded::likelihood(&made);
                let digest = self.digest(&state);
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
                given = recorded::following(&made);
            }
            tried += ways as u64;
        }
        After::Next(found, tried)
    }

    /// The next actions, each with the number of actions that it stands for.
    fn actions(self, state: &State) -> Vec<(Move, u32)> {
        match self.symmetry {
            Some(symmetry) => state.symmetric(self.plan, symmetry).1,
            None => state
                .enabled()
                .into_iter()
                .map(|action| (action, 1))
                .collect(),
        }
    }

    fn digest(self, state: &State) -> u64 {
        match self.symmetry {
            Some(symmetry) => state.symmetric(self.plan, symmetry).0,
            None => state.digest(self.plan),
        }
    }

    /// A state from the beginning.
    fn again(self, step: u32) -> State {
        let mut state = self.start.clone();
        for (action, answers) in moves(self.steps, step) {
            state.replay(&RecordedChoices::of(answers));
            if let Some(action) = action {
                state.perform(self.plan, action);
            }
        }
        state
    }
}

fn moves(steps: &[Step], mut at: u32) -> Vec<(Option<Move>, Vec<u32>)> {
    let mut moves = Vec::new();
    while at != 0 {
        let step = &steps[at as usize];
        moves.push((step.action, step.answers.clone()));
        at = step.parent;
    }
    moves.reverse();
    moves
}

#[cfg(test)]
mod tests {
    use fourtuple_kernel::profile;
    use fourtuple_scenario::{expand, parse};

    use super::*;

    fn case(kernel: &str, more: &str) -> Case {
        let yaml = format!(
            r#"
about: The report, smaller
kernel: {kernel}
hosts:
  app: {{ addresses: [192.168.0.12], sysctl: {{ net.ipv4.ip_local_port_range: 40000-40003 }} }}
  api: {{ addresses: [192.168.0.4, 192.168.0.5], listen: ["192.168.0.4:3000", "192.168.0.5:3000"] }}
processes:
  binders: {{ on: app, count: 3, bind: "192.168.0.12:0", connect: "192.168.0.4:3000"{more} }}
  plain: {{ on: app, count: 2, connect: "192.168.0.5:3000"{more} }}
"#
        );
        let scenario = parse("report.yaml", &yaml).expect("it reads");
        let cases = expand(&scenario, &fourtuple_harness::kernels::names());
        cases.expect("the kernel exists").remove(0)
    }

    #[test]
    fn symmetry_loses_no_outcome_and_invents_none() {
        let budget = Budget {
            states: 200_000,
            samples: 1,
            threads: 2,
        };
        for kernel in ["rhel-6.5", "linux-4.19", "linux-6.18"] {
            for more in ["", ", hold: 1s", ", options: { reuseaddr: true }"] {
                let case = case(kernel, more);
                let profile = profile::find(kernel).expect("the kernel exists");
                let Some(symmetry) = Symmetry::of(&case, &profile) else {
                    assert_eq!((kernel, more), ("rhel-6.5", ", hold: 1s"));
                    continue;
                };
                let explored = |symmetry| {
                    let found = search((&case, &profile, 0), budget, symmetry, &mut |_| {});
                    found.expect("it runs").expect("it is small enough")
                };
                let (exact, all) = explored(None);
                let (found, fewer) = explored(Some(&symmetry));
                let outcomes = |found: &Found| found.keys().cloned().collect::<Vec<_>>();
                assert_eq!(outcomes(&exact), outcomes(&found), "{kernel}{more}");
                // With SO_REUSEADDR each of the four ports is in a class of its own.
                let interchangeable = !more.contains("reuseaddr");
                assert!(
                    fewer <= all && (!interchangeable || fewer * 2 < all),
                    "{kernel}{more}: {fewer} of {all}"
                );
                let total: f64 = found.values().map(|(share, _)| share).sum();
                assert!((total - 1.0).abs() < 1e-6, "{total}");
            }
        }
    }
}
