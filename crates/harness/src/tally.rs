//! How often each process got which answer from which call.

use std::fmt;

use fourtuple_scenario::Op;

use crate::attempt::{Answer, Attempt, Name, same_name};

/// The answers of one process to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The process.
    pub process: Name,
    /// The call.
    pub op: Op,
    /// Answer and count, in the order in which the answers first came.
    pub answers: Vec<(Answer, u32)>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (answer, count)) in self.answers.iter().enumerate() {
            let comma = if n > 0 { ", " } else { "" };
            write!(f, "{comma}{count} {answer}")?;
        }
        Ok(())
    }
}

/// The tallies of an outcome, in the order in which processes and calls first appear.
#[must_use]
pub fn tally(attempts: &[Attempt]) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = Vec::new();
    // Attempts of one process mostly follow each other, so that a look at the last entries is nearly always enough.
    for attempt in attempts {
        let found = tallies
            .iter_mut()
            .rev()
            .find(|one| one.op == attempt.op && same_name(&one.process, &attempt.process));
        let tally = match found {
            Some(tally) => tally,
            None => {
                tallies.push(Tally {
                    process: attempt.process.clone(),
                    op: attempt.op,
                    answers: Vec::new(),
                });
                tallies.last_mut().expect("one was just added")
            }
        };
        match tally
            .answers
            .iter_mut()
            .find(|(answer, _)| *answer == attempt.result)
        {
            Some((_, count)) => *count += 1,
            None => tally.answers.push((attempt.result.clone(), 1)),
        }
    }
    // Calls of one process stand together, even if processes took turns.
    let mut order: Vec<Name> = Vec::new();
    for tally in &tallies {
        if !order.contains(&tally.process) {
            order.push(tally.process.clone());
        }
    }
    tallies.sort_by_key(|tally| order.iter().position(|name| *name == tally.process));
    tallies
}
