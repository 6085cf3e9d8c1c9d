//! Counts of results by process and call.

use std::fmt;

use fourtuple_scenario::Op;

use crate::attempt::{Answer, Name, same_name};
use crate::attempts::{Attempt, Attempts, Mark};

/// Attempt marks that are remembered. Processes take turns, so that the same few come again
/// and again.
const REMEMBERED: usize = 8;

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
pub fn tally(attempts: &Attempts) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = Vec::new();
    let mut known: [Option<(Mark, usize, usize)>; REMEMBERED] = [None; REMEMBERED];
    let mut oldest = 0;
    for attempt in attempts {
        let mark = attempt.mark();
        let place = known.iter().flatten().find(|(one, ..)| *one == mark);
        if let Some((_, tally, answer)) = place {
            tallies[*tally].answers[*answer].1 += 1;
            continue;
        }
        let (tally, answer) = count(&mut tallies, attempt);
        known[oldest] = Some((mark, tally, answer));
        oldest = (oldest + 1) % REMEMBERED;
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

/// Counts an attempt, and answers which tally and which of its answers it was.
fn count(tallies: &mut Vec<Tally>, attempt: Attempt<'_>) -> (usize, usize) {
    // Attempts of one process mostly follow each other, so that a look at the last entries is
    // nearly always enough.
    let found = tallies
        .iter()
        .rposition(|one| one.op == attempt.op() && same_name(&one.process, attempt.process()));
    let tally = found.unwrap_or_else(|| {
        tallies.push(Tally {
            process: attempt.process().clone(),
            op: attempt.op(),
            answers: Vec::new(),
        });
        tallies.len() - 1
    });
    let answers = &mut tallies[tally].answers;
    let found = answers
        .iter()
        .position(|(answer, _)| answer == attempt.result());
    let answer = found.unwrap_or_else(|| {
        answers.push((attempt.result().clone(), 0));
        answers.len() - 1
    });
    answers[answer].1 += 1;
    (tally, answer)
}
