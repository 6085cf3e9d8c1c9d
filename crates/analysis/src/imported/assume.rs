//! The search for assumptions under which the model reproduces a log.

use std::net::SocketAddr;

use fourtuple_scenario::Op;
use fourtuple_scenario::import::{
    Assumptions, AttemptRef, Holder, ImportError, Imported, Log, MAX_HELD_STEPS, Recorded,
};

use super::{Difference, differences};

/// Maximum number of successive assumptions.
const ROUNDS: usize = 24;
/// Maximum number of recorded answers that all runs of a search compare.
const WORK: usize = 400_000;
/// Maximum number of overlapping calls that are tried in another order.
const ORDERS: usize = 8;
/// Number of ports of the default range.
const DEFAULT_WIDTH: u32 = 28_232;

/// Errors of a call that got no port.
const NO_PORT: [&str; 2] = ["EADDRNOTAVAIL", "EADDRINUSE"];

/// The scenario whose first difference comes latest.
///
/// Each round makes one more assumption about the first recorded answer that the model does not
/// reproduce. An assumption is kept if it moves the first difference further back.
pub(super) fn search(log: &Log) -> Result<Imported, ImportError> {
    let mut best = Attempt::new(log, log.assumptions())?;
    let mut search = Search { log, budget: WORK };
    for _ in 0..ROUNDS {
        let Some(first) = best.first() else { break };
        let Some(better) = search.better(&best, &first) else {
            break;
        };
        best = better;
    }
    Ok(best.made)
}

/// A scenario with some assumptions, and how far it reproduces the log.
struct Attempt {
    assumptions: Assumptions,
    made: Imported,
    differences: Vec<Difference>,
}

impl Attempt {
    fn new(log: &Log, assumptions: Assumptions) -> Result<Self, ImportError> {
        let made = log.scenario(&assumptions)?;
        let differences = differences(&made, true)?;
        Ok(Self {
            assumptions,
            made,
            differences,
        })
    }

    /// The first recorded answer that is not reproduced.
    fn first(&self) -> Option<Recorded> {
        let first = self.differences.first()?;
        self.made.recorded.get(first.recorded).cloned()
    }

    /// Lines up to which every recorded answer is reproduced, and the negative number of
    /// differences.
    fn rank(&self) -> (usize, isize) {
        let line = self.first().map_or(usize::MAX, |one| one.line);
        (line, -(self.differences.len() as isize))
    }

    /// Returns whether the answer of a line and all answers before it are reproduced.
    fn holds(&self, line: usize) -> bool {
        self.rank().0 > line
    }
}

struct Search<'a> {
    log: &'a Log,
    budget: usize,
}

impl Search<'_> {
    fn run(&mut self, assumptions: Assumptions) -> Option<Attempt> {
        let attempt = Attempt::new(self.log, assumptions).ok()?;
        let cost = attempt.made.recorded.len().max(1_000);
        self.budget = self.budget.checked_sub(cost)?;
        Some(attempt)
    }

    fn better(&mut self, best: &Attempt, first: &Recorded) -> Option<Attempt> {
        let refused = first
            .answers
            .iter()
            .all(|answer| NO_PORT.contains(&answer.as_str()));
        let mut found: Option<Attempt> = None;
        for assumptions in simple(best, first, refused) {
            let attempt = self.run(assumptions)?;
            if attempt.differences.is_empty() {
                return Some(attempt);
            }
            let before = found.as_ref().map_or(best.rank(), Attempt::rank);
            if attempt.rank() > before {
                found = Some(attempt);
            }
        }
        if found.is_none() && refused {
            for bound in [false, true] {
                let attempt = self.fill(best, first, bound);
                let before = found.as_ref().map_or(best.rank(), Attempt::rank);
                if let Some(attempt) = attempt.filter(|one| one.rank() > before) {
                    found = Some(attempt);
                }
            }
        }
        found
    }

    /// Ports of the range that were taken when the log begins, as few as it takes for a call to be
    /// refused.
    fn fill(&mut self, best: &Attempt, first: &Recorded, bound: bool) -> Option<Attempt> {
        let (to, from) = match (first.op, first.at) {
            (Op::Connect, Some(to)) => (Some(to), first.bound.map(|at| at.ip())),
            (Op::Bind, Some(at)) if at.port() == 0 && bound => (None, Some(at.ip())),
            _ => return None,
        };
        let holder = |count| Holder::Range {
            from,
            to,
            count,
            bound,
        };
        let steps = matches!(first.place, AttemptRef::Index(_));
        let width = best
            .made
            .range
            .map_or(DEFAULT_WIDTH, |range| u32::from(range.high - range.low) + 1);
        let most = if steps {
            width.min(MAX_HELD_STEPS)
        } else {
            width
        };
        let with = |count| {
            let mut assumptions = best.assumptions.clone();
            assumptions.holders.push(holder(count));
            assumptions
        };
        if let Some(found) = self.least(first.line, most, &with) {
            return Some(found);
        }
        // One holder on a range that is as wide as the ports which the log itself takes.
        let own = u32::try_from(best.made.recorded.len()).unwrap_or(u32::MAX);
        let widest = own.saturating_add(1).min(width.saturating_sub(1));
        let narrow = |less: u32| {
            let mut assumptions = with(1);
            let width = widest.saturating_sub(less).saturating_add(1);
            assumptions.width = u16::try_from(width).ok();
            assumptions
        };
        self.least(first.line, widest.max(1), &narrow)
    }

    /// The smallest number from 1 to `most` with which the answer of a line holds.
    fn least(
        &mut self,
        line: usize,
        most: u32,
        with: &dyn Fn(u32) -> Assumptions,
    ) -> Option<Attempt> {
        let mut found = self.run(with(most)).filter(|one| one.holds(line));
        let (mut low, mut high) = (1, most);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.run(with(middle)) {
                Some(attempt) if attempt.holds(line) => {
                    found = Some(attempt);
                    high = middle;
                }
                // With too many, calls before this one are refused.
                Some(attempt) if attempt.rank().0 < line => high = middle,
                Some(_) => low = middle + 1,
                None => break,
            }
        }
        found
    }
}

/// Single assumptions, the likeliest first.
fn simple(best: &Attempt, first: &Recorded, refused: bool) -> Vec<Assumptions> {
    let made = &best.assumptions;
    let mut all = Vec::new();
    for line in overlapping(best, first, refused) {
        let mut one = made.clone();
        if one.late.insert(line) {
            all.push(one);
        }
    }
    if refused {
        if let (Op::Bind, Some(at)) = (first.op, first.at.filter(|at| at.port() != 0)) {
            all.push(with_port(made, at));
        }
        return all;
    }
    if !made.outsiders_close_first {
        let mut one = made.clone();
        one.outsiders_close_first = true;
        all.push(one);
    }
    if !made.known_ports {
        let mut one = made.clone();
        one.known_ports = true;
        all.push(one);
    }
    all
}

fn with_port(made: &Assumptions, at: SocketAddr) -> Assumptions {
    let mut one = made.clone();
    one.holders.push(Holder::Port(at));
    one
}

/// Calls whose order with a call is open, by the line on which they begin. A call that was refused
/// may have come after the others; one that was not may have come before them.
fn overlapping(best: &Attempt, call: &Recorded, refused: bool) -> Vec<usize> {
    let overlaps = |one: &&Recorded| {
        let ends = |one: &Recorded| one.until.unwrap_or(one.line);
        one.line != call.line && one.line < ends(call) && call.line < ends(one)
    };
    let others: Vec<&Recorded> = best.made.recorded.iter().filter(overlaps).collect();
    let mut lines = Vec::new();
    if refused && !others.is_empty() && call.until.is_some() {
        lines.push(call.line);
    }
    let earlier = others.iter().filter(|one| one.until.is_some());
    lines.extend(earlier.map(|one| one.line).take(ORDERS));
    lines
}
