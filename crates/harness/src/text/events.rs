//! Events in few rows: calls of one process at one time with the same result are one
//! row, and instants at which the same happened again are one block.

use std::net::IpAddr;
use std::sync::Arc;

use fourtuple_kernel::Rule;
use fourtuple_scenario::Op;

use super::{columns, ranges, seconds, wrap};
use crate::attempt::{Answer, Args, Attempt, Name, same_name};
use crate::attempts::{Attempts, Mark};
use crate::why::Why;

/// Rows that are searched backwards for an equal one within an instant; keeps the work linear.
const LOOK_BACK: usize = 64;
/// Width of the reasons below a row.
const REASON_WIDTH: usize = 84;

/// A story that can be compared with another kernel's: ports are not part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct EventTable {
    blocks: Vec<Block>,
    steps: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Block {
    from: u64,
    to: u64,
    /// At how many instants this happened.
    instants: u32,
    rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq)]
struct Row {
    process: Name,
    /// Set in the step form only, where every call is a row of its own.
    socket: Option<String>,
    op: Op,
    args: Args,
    result: Answer,
    local: Option<IpAddr>,
    bytes: Option<u32>,
    why: Option<Arc<Why>>,
    instances: Vec<u32>,
    calls: u32,
}

impl Row {
    fn of(attempt: Attempt<'_>, steps: bool) -> Self {
        Row {
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

    fn is_like(&self, other: &Row) -> bool {
        self.op == other.op
            && self.result == other.result
            && same_name(&self.process, &other.process)
            && self.args == other.args
            && self.local == other.local
            && self.bytes == other.bytes
            && self.socket == other.socket
            && same_why(self.why.as_ref(), other.why.as_ref())
    }

    fn add(&mut self, other: &Row) {
        self.calls += other.calls;
        self.instances.extend_from_slice(&other.instances);
    }

    fn who(&self, steps: bool) -> String {
        if steps {
            return self.socket.clone().unwrap_or_default();
        }
        let mut distinct = self.instances.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let times = if distinct.len() as u64 == u64::from(self.calls) {
            String::new()
        } else {
            format!(", {} calls", self.calls)
        };
        format!("{} {}{times}", self.process, ranges(&distinct))
    }

    fn call(&self) -> String {
        let mut words = self.op.to_string();
        for (word, value) in self.args.pairs() {
            // Numbers need their name, addresses do not.
            if matches!(self.args, Args::Backlog(_) | Args::Len(_)) {
                words.push_str(&format!(" {word}"));
            }
            words.push(' ');
            words.push_str(&value);
        }
        words
    }

    fn answer(&self) -> String {
        let mut words = self.result.to_string();
        if let Some(local) = self.local {
            words.push_str(&format!(", from {local}"));
        }
        if let Some(bytes) = self.bytes {
            words.push_str(&format!(", {bytes} bytes"));
        }
        words
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
        let mut blocks: Vec<Block> = Vec::new();
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

    /// Rows that [`EventTable::write`] would show without a limit.
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

    /// Adds the story as a table of at most `limit` rows, with the reason below each refused call.
    pub fn write(&self, out: &mut String, limit: usize) {
        self.write_rows(out, limit, &mut Vec::new());
    }

    /// The same after other stories: rules that were printed there are only named.
    pub fn write_rows(&self, out: &mut String, limit: usize, printed: &mut Vec<Rule>) {
        let processes: std::collections::BTreeSet<&Name> =
            self.rows_in_order().map(|row| &row.process).collect();
        let show_process = self.steps && processes.len() > 1;
        let mut header = vec![
            "time".to_owned(),
            if self.steps { "socket" } else { "who" }.to_owned(),
        ];
        if show_process {
            header.push("process".to_owned());
        }
        header.extend(["call".to_owned(), "answer".to_owned()]);
        let mut table = vec![header];
        let mut whys: Vec<Option<&Arc<Why>>> = vec![None];
        'blocks: for block in &self.blocks {
            for (n, row) in block.rows.iter().enumerate() {
                if table.len() > limit {
                    break 'blocks;
                }
                let mut cells = vec![
                    if n == 0 { block.time() } else { String::new() },
                    row.who(self.steps),
                ];
                if show_process {
                    cells.push(row.process.to_string());
                }
                cells.extend([row.call(), row.answer()]);
                table.push(cells);
                whys.push(row.why.as_ref());
            }
        }
        let left_out = self.rows() + 1 - table.len();
        let mut text = String::new();
        columns(&mut text, 2, &table);
        let indent = 2
            + table
                .iter()
                .map(|row| row[0].chars().count())
                .max()
                .unwrap_or(0)
            + 2;
        for (line, why) in text.lines().zip(whys) {
            out.push_str(line);
            out.push('\n');
            if let Some(why) = why {
                reason(out, indent, why, printed);
            }
        }
        if left_out > 0 {
            out.push_str(&format!(
                "  ... and {left_out} more rows, see `fourtuple run --format json`\n"
            ));
        }
    }

    fn rows_in_order(&self) -> impl Iterator<Item = &Row> {
        self.blocks.iter().flat_map(|block| &block.rows)
    }
}

impl Block {
    /// The same once more, a call for each row.
    fn again<'a>(&mut self, at: u64, calls: impl Iterator<Item = Attempt<'a>>) {
        self.to = at;
        self.instants += 1;
        for (row, call) in self.rows.iter_mut().zip(calls) {
            row.calls += 1;
            row.instances.push(call.instance());
        }
    }

    fn time(&self) -> String {
        if self.instants == 1 {
            return seconds(self.from);
        }
        let from = seconds(self.from);
        format!(
            "{} to {}, {} times",
            from.trim_end_matches(" s"),
            seconds(self.to),
            self.instants
        )
    }
}

/// The rows of an instant, and of each the mark of the last attempt that it took.
fn rows_of<'a>(
    instant: impl Iterator<Item = Attempt<'a>>,
    marks: &mut Vec<Mark>,
    steps: bool,
) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
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
                rows.push(Row::of(attempt, steps));
            }
        }
    }
    rows
}

/// The row of an instant that an attempt belongs to. No two rows that are looked at would take the
/// same attempt.
fn like(rows: &[Row], marks: &[Mark], attempt: Attempt<'_>) -> Option<usize> {
    let first = rows.len().saturating_sub(LOOK_BACK);
    let mark = attempt.mark();
    let found = marks[first..].iter().rposition(|one| *one == mark);
    let found = found.or_else(|| rows[first..].iter().rposition(|one| one.takes(attempt)));
    found.map(|at| first + at)
}

/// Ends an instant: it is a block of its own, or the block before once more.
fn close(blocks: &mut Vec<Block>, at: u64, rows: Vec<Row>, steps: bool) {
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
    blocks.push(Block {
        from: at,
        to: at,
        instants: 1,
        rows,
    });
}

/// Adds a reason; one that was printed before is only named.
fn reason(out: &mut String, indent: usize, why: &Why, printed: &mut Vec<Rule>) {
    let pad = " ".repeat(indent);
    let before = printed.contains(&why.rule);
    let mut text = if before {
        format!("because {}, as above", why.rule)
    } else {
        format!("because {}: {}", why.rule, why.rule.text())
    };
    if !why.ports.is_empty() {
        text = format!("{} ({})", text.trim_end_matches('.'), why.ports.words());
    }
    for line in wrap(&text, REASON_WIDTH) {
        out.push_str(&format!("{pad}{line}\n"));
    }
    if !before {
        printed.push(why.rule);
    }
}
