//! Outcomes in few rows, and the cases whose outcomes are equal.
//!
//! Calls of one process at one time with the same result are one row, and instants at which the
//! same happened again are one block.

use std::net::IpAddr;
use std::sync::Arc;

use fourtuple_scenario::Op;

use crate::attempt::{Answer, Args, Name, same_name};
use crate::attempts::{Attempt, Attempts, Mark};
use crate::runner::{CaseReport, ScenarioReport};
use crate::why::Why;

/// Rows that are searched backwards for an equal one within an instant; keeps the work linear.
const LOOK_BACK: usize = 64;

/// A story that can be compared with another kernel's: ports are not part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct EventTable {
    /// The blocks, the earliest first.
    pub blocks: Vec<EventBlock>,
    /// True for the step form, where every call is a row of its own.
    pub steps: bool,
}

/// Rows that happened together, once or at several instants in turn.
#[derive(Clone, Debug, PartialEq)]
pub struct EventBlock {
    /// Virtual time of the first instant, in nanoseconds.
    pub from: u64,
    /// Virtual time of the last instant, in nanoseconds.
    pub to: u64,
    /// The number of instants.
    pub instants: u32,
    /// The calls of each instant.
    pub rows: Vec<EventRow>,
}

/// Equal calls of one process with equal answers.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// The process.
    pub process: Name,
    /// The socket; set in the step form only.
    pub socket: Option<String>,
    /// The call.
    pub op: Op,
    /// Its arguments.
    pub args: Args,
    /// The answer.
    pub result: Answer,
    /// The source address that connect() used.
    pub local: Option<IpAddr>,
    /// Bytes moved.
    pub bytes: Option<u32>,
    /// Why the call failed.
    pub why: Option<Arc<Why>>,
    /// The instances of the process that made the call, in order.
    pub instances: Vec<u32>,
    /// The number of calls.
    pub calls: u32,
}

impl EventRow {
    fn of(attempt: Attempt<'_>, steps: bool) -> Self {
        EventRow {
            process: attempt.process().clone(),
            socket: steps.then(|| attempt.socket().to_string()),
            op: attempt.op(),
            args: attempt.args().clone(),
            result: attempt.result().clone(),
            local: source(attempt),
            bytes: attempt.bytes(),
            why: attempt.why().cloned(),
            instances: vec![attempt.instance()],
            calls: 1,
        }
    }

    /// Returns whether a call of the declarative form would make a row like this one.
    fn takes(&self, attempt: Attempt<'_>) -> bool {
        self.op == attempt.op()
            && self.result == *attempt.result()
            && same_name(&self.process, attempt.process())
            && self.args == *attempt.args()
            && self.local == source(attempt)
            && self.bytes == attempt.bytes()
            && same_why(self.why.as_ref(), attempt.why())
    }

    fn is_like(&self, other: &EventRow) -> bool {
        self.op == other.op
            && self.result == other.result
            && same_name(&self.process, &other.process)
            && self.args == other.args
            && self.local == other.local
            && self.bytes == other.bytes
            && self.socket == other.socket
            && same_why(self.why.as_ref(), other.why.as_ref())
    }

    fn add(&mut self, other: &EventRow) {
        self.calls += other.calls;
        self.instances.extend_from_slice(&other.instances);
    }
}

/// The address says which source a connect() used; elsewhere it repeats the arguments.
fn source(attempt: Attempt<'_>) -> Option<IpAddr> {
    let is_connect = matches!(attempt.op(), Op::Connect);
    attempt
        .local()
        .filter(|_| is_connect)
        .map(|local| local.ip())
}

/// Returns whether both calls have a reason with the same text, or neither has one.
fn same_why(a: Option<&Arc<Why>>, b: Option<&Arc<Why>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || same_reason(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// Reasons are equal when their texts are. The single ports behind them may differ, and so may the
/// call path: kernels renamed their functions without changing what they do.
fn same_reason(a: &Why, b: &Why) -> bool {
    a.rule == b.rule && a.ports == b.ports
}

impl EventTable {
    /// The story of an outcome. In the step form (`steps`) every call is a row of its own, in
    /// order.
    #[must_use]
    pub fn of(attempts: &Attempts, steps: bool) -> Self {
        let mut blocks: Vec<EventBlock> = Vec::new();
        // Of each row of the last block, the mark of an attempt that it took.
        let mut marks: Vec<Mark> = Vec::new();
        for (at, instant) in attempts.instants() {
            // Mostly the same calls come again and again; then nothing but their number is new.
            let again = !steps
                && instant
                    .clone()
                    .map(|one| one.mark())
                    .eq(marks.iter().copied());
            match blocks.last_mut().filter(|_| again) {
                Some(last) => last.again(at, instant),
                None => {
                    marks.clear();
                    let rows = rows_of(instant, &mut marks, steps);
                    close(&mut blocks, at, rows, steps);
                }
            }
        }
        for row in blocks.iter_mut().flat_map(|block| &mut block.rows) {
            row.instances.sort_unstable();
            row.instances.dedup();
        }
        EventTable { blocks, steps }
    }

    /// The number of rows in all blocks.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.blocks.iter().map(|block| block.rows.len()).sum()
    }

    /// Returns whether two stories are the same, ports apart.
    #[must_use]
    pub fn is_like(&self, other: &EventTable) -> bool {
        self.blocks.len() == other.blocks.len()
            && self.blocks.iter().zip(&other.blocks).all(|(a, b)| {
                (a.from, a.to, a.instants) == (b.from, b.to, b.instants)
                    && a.rows.len() == b.rows.len()
                    && a.rows.iter().zip(&b.rows).all(|(a, b)| {
                        a.is_like(b) && a.calls == b.calls && a.instances == b.instances
                    })
            })
    }
}

impl EventBlock {
    /// The same once more, a call for each row.
    fn again<'a>(&mut self, at: u64, calls: impl Iterator<Item = Attempt<'a>>) {
        self.to = at;
        self.instants += 1;
        for (row, call) in self.rows.iter_mut().zip(calls) {
            row.calls += 1;
            row.instances.push(call.instance());
        }
    }
}

/// The rows of an instant, and of each the mark of the last attempt that it took.
fn rows_of<'a>(
    instant: impl Iterator<Item = Attempt<'a>>,
    marks: &mut Vec<Mark>,
    steps: bool,
) -> Vec<EventRow> {
    let mut rows: Vec<EventRow> = Vec::new();
    for attempt in instant {
        let like = (!steps).then(|| like(&rows, marks, attempt)).flatten();
        match like {
            Some(like) => {
                marks[like] = attempt.mark();
                rows[like].calls += 1;
                rows[like].instances.push(attempt.instance());
            }
            None => {
                marks.push(attempt.mark());
                rows.push(EventRow::of(attempt, steps));
            }
        }
    }
    rows
}

/// The row of an instant that an attempt belongs to. No two rows that are looked at would take the
/// same attempt.
fn like(rows: &[EventRow], marks: &[Mark], attempt: Attempt<'_>) -> Option<usize> {
    let first = rows.len().saturating_sub(LOOK_BACK);
    let mark = attempt.mark();
    let found = marks[first..].iter().rposition(|one| *one == mark);
    let found = found.or_else(|| rows[first..].iter().rposition(|one| one.takes(attempt)));
    found.map(|at| first + at)
}

/// Ends an instant: it is a block of its own, or the block before once more.
fn close(blocks: &mut Vec<EventBlock>, at: u64, rows: Vec<EventRow>, steps: bool) {
    if let Some(last) = blocks.last_mut()
        && !steps
        && last.rows.len() == rows.len()
        && last.rows.iter().zip(&rows).all(|(a, b)| a.is_like(b))
    {
        last.to = at;
        last.instants += 1;
        for (row, again) in last.rows.iter_mut().zip(&rows) {
            row.add(again);
        }
        return;
    }
    blocks.push(EventBlock {
        from: at,
        to: at,
        instants: 1,
        rows,
    });
}

/// Cases with the same story.
#[derive(Debug)]
pub struct Group<'a> {
    /// The story that they share.
    pub story: EventTable,
    /// The cases; never empty.
    pub cases: Vec<&'a CaseReport>,
    /// All cases of the scenario.
    pub all: &'a [CaseReport],
}

impl<'a> Group<'a> {
    /// The groups of a scenario, in the order of their first case. Cases that no engine can run are
    /// left out.
    #[must_use]
    pub fn all(report: &'a ScenarioReport) -> Vec<Group<'a>> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        for case in &report.cases {
            let Some(reference) = case.reference() else {
                continue;
            };
            // Kernels for which one run stands share its attempts.
            let same = |one: &&CaseReport| {
                one.reference()
                    .is_some_and(|known| Arc::ptr_eq(&known.attempts, &reference.attempts))
            };
            if let Some(group) = groups.iter_mut().find(|group| group.cases.iter().any(same)) {
                group.cases.push(case);
                continue;
            }
            let story = EventTable::of(&reference.attempts, case.case.program.steps().is_some());
            match groups.iter_mut().find(|group| group.story.is_like(&story)) {
                Some(group) => group.cases.push(case),
                None => groups.push(Group {
                    story,
                    cases: vec![case],
                    all: &report.cases,
                }),
            }
        }
        groups
    }
}

/// A point in virtual time: `0 s`, `1.1 s`, `70 s`.
#[must_use]
pub fn seconds(nanos: u64) -> String {
    let whole = nanos / 1_000_000_000;
    let rest = nanos % 1_000_000_000;
    if rest == 0 {
        return format!("{whole} s");
    }
    let fraction = format!("{rest:09}");
    format!("{whole}.{} s", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shown_to_the_digit_that_matters() {
        assert_eq!(seconds(0), "0 s");
        assert_eq!(seconds(1_100_000_000), "1.1 s");
        assert_eq!(seconds(60_000_000_001), "60.000000001 s");
    }
}
