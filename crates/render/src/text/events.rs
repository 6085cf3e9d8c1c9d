//! The outcome of a run as a table of few rows, with the reason below each refused call.

use std::collections::BTreeSet;
use std::sync::Arc;

use fourtuple_harness::{Args, EventBlock, EventRow, EventTable, Name, Why, seconds};
use fourtuple_kernel::Rule;

use super::{columns, ranges, wrap};

/// Width of the reasons below a row.
const REASON_WIDTH: usize = 84;

/// Adds the story as a table of at most `limit` rows, with the reason below each refused call.
pub fn write(table: &EventTable, out: &mut String, limit: usize) {
    write_rows(table, out, limit, &mut Vec::new());
}

/// The same after other stories: rules that were printed there are only named.
pub fn write_rows(story: &EventTable, out: &mut String, limit: usize, printed: &mut Vec<Rule>) {
    let rows = story.blocks.iter().flat_map(|block| &block.rows);
    let processes: BTreeSet<&Name> = rows.map(|row| &row.process).collect();
    let show_process = story.steps && processes.len() > 1;
    let mut header = vec![
        "time".to_owned(),
        if story.steps { "socket" } else { "who" }.to_owned(),
    ];
    if show_process {
        header.push("process".to_owned());
    }
    header.extend(["call".to_owned(), "answer".to_owned()]);
    let mut table = vec![header];
    let mut whys: Vec<Option<&Arc<Why>>> = vec![None];
    'blocks: for block in &story.blocks {
        for (n, row) in block.rows.iter().enumerate() {
            if table.len() > limit {
                break 'blocks;
            }
            let mut cells = vec![
                if n == 0 { time(block) } else { String::new() },
                who(row, story.steps),
            ];
            if show_process {
                cells.push(row.process.to_string());
            }
            cells.extend([call(row), answer(row)]);
            table.push(cells);
            whys.push(row.why.as_ref());
        }
    }
    let left_out = story.rows() + 1 - table.len();
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

fn who(row: &EventRow, steps: bool) -> String {
    if steps {
        return row.socket.clone().unwrap_or_default();
    }
    let mut distinct = row.instances.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let times = if distinct.len() as u64 == u64::from(row.calls) {
        String::new()
    } else {
        format!(", {} calls", row.calls)
    };
    format!("{} {}{times}", row.process, ranges(&distinct))
}

fn call(row: &EventRow) -> String {
    let mut words = row.op.to_string();
    for (word, value) in row.args.pairs() {
        // Numbers need their name, addresses do not.
        if matches!(row.args, Args::Backlog(_) | Args::Len(_)) {
            words.push_str(&format!(" {word}"));
        }
        words.push(' ');
        words.push_str(&value);
    }
    words
}

fn answer(row: &EventRow) -> String {
    let mut words = row.result.to_string();
    if let Some(local) = row.local {
        words.push_str(&format!(", from {local}"));
    }
    if let Some(bytes) = row.bytes {
        words.push_str(&format!(", {bytes} bytes"));
    }
    words
}

fn time(block: &EventBlock) -> String {
    if block.instants == 1 {
        return seconds(block.from);
    }
    let from = seconds(block.from);
    format!(
        "{} to {}, {} times",
        from.trim_end_matches(" s"),
        seconds(block.to),
        block.instants
    )
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
