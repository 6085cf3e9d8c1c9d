//! Text for people: fixed width, ordered, the same bytes everywhere.
//!
//! Nothing here knows about colours, terminals, wall clocks or absolute paths, because most of it
//! ends in snapshots.

pub mod capacity;
pub mod checked;
pub mod clean;
pub mod compare;
pub mod events;
pub mod explain;
pub mod explore;
pub mod plain;
pub mod ports;
pub mod remedies;
pub mod snapshot;
mod styled;
pub mod summary;
pub mod totals;
pub mod unmet;

pub use fourtuple_harness::seconds;
pub use styled::{Style, Text};

/// Widest line of running text.
pub const WIDTH: usize = 100;

/// Breaks text into lines of at most `width` characters, as far as its words allow.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Adds text with a word in front of its first line and the others indented to match.
pub fn labelled(out: &mut String, label: &str, text: &str) {
    let indent = label.chars().count();
    for (n, line) in wrap(text, WIDTH.saturating_sub(indent)).iter().enumerate() {
        if n == 0 {
            out.push_str(label);
        } else {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push_str(line);
        out.push('\n');
    }
}

/// Adds rows of cells as columns that are as wide as their widest cell, two spaces apart.
pub fn columns(out: &mut String, indent: usize, rows: &[Vec<String>]) {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..count)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    for row in rows {
        let mut line = " ".repeat(indent);
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            let pad = width.saturating_sub(cell.chars().count()) + 2;
            line.extend(std::iter::repeat_n(' ', pad));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// The text with a capital letter.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + chars.as_str())
        .unwrap_or_default()
}

/// Adds a table in Markdown. The cells are escaped already.
pub fn markdown(out: &mut String, head: &[String], rows: &[Vec<String>]) {
    let mut line = |cells: &[String]| {
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    };
    line(head);
    line(&vec!["---".to_owned(); head.len()]);
    for row in rows {
        line(row);
    }
}

/// Text that stays as it is inside a cell of a Markdown table.
#[must_use]
pub fn escape_markdown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '|' | '<' | '>' | '`' | '*' | '_' | '[' | ']' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Numbers as ranges: `1-4`, `1-3,5`.
#[must_use]
pub fn ranges(numbers: &[u32]) -> String {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut spans: Vec<(u32, u32)> = Vec::new();
    for number in sorted {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => spans.push((number, number)),
        }
    }
    const SHOWN: usize = 6;
    let mut parts: Vec<String> = spans
        .iter()
        .take(SHOWN)
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    if spans.len() > SHOWN {
        let rest: u64 = spans[SHOWN..]
            .iter()
            .map(|(first, last)| u64::from(last - first) + 1)
            .sum();
        parts.push(format!("and {rest} more"));
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_join_to_ranges() {
        assert_eq!(ranges(&[1, 2, 3, 5]), "1-3,5");
        assert_eq!(ranges(&[]), "");
        assert_eq!(
            ranges(&[1, 3, 5, 7, 9, 11, 13, 14]),
            "1,3,5,7,9,11,and 2 more"
        );
    }

    #[test]
    fn columns_end_without_spaces() {
        let mut out = String::new();
        columns(
            &mut out,
            2,
            &[
                vec!["a".into(), "bc".into()],
                vec!["abc".into(), String::new()],
            ],
        );
        assert_eq!(out, "  a    bc\n  abc\n");
    }

    #[test]
    fn long_words_are_not_broken() {
        assert_eq!(wrap("a bcd efghijk l", 5), ["a bcd", "efghijk", "l"]);
    }
}
