//! The parts of a text that an import uses, before anything is imported.

use super::notes::Notes;
use super::ss::table::{State, rows};
use super::{ImportError, check_size, lines, sysctl};

/// The parts of a text that an import understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Understood {
    /// The contents, such as `4 sockets: 1 listener, 2 connections, 1 in TIME-WAIT`.
    pub contents: String,
    /// The lines that were not understood, counted from 1.
    pub odd_lines: Vec<usize>,
    /// Parts that are left out, and why.
    pub left_out: Vec<String>,
}

/// Reads a table of sockets, as [`ss`](fn@super::ss) does.
///
/// # Errors
///
/// Texts over the limits.
pub fn understood(table: &str) -> Result<Understood, ImportError> {
    check_size(table)?;
    let mut notes = Notes::default();
    let lines = lines(table, &mut notes);
    let rows = rows(&lines, &mut notes);
    let of = |states: &[State]| {
        let rows = rows.iter().filter(|row| states.contains(&row.state));
        rows.count()
    };
    let parts = [
        (of(&[State::Listen]), "listener", "listeners"),
        (
            of(&[State::Held, State::FinWait2]),
            "connection",
            "connections",
        ),
        (of(&[State::TimeWait]), "in TIME-WAIT", "in TIME-WAIT"),
        (of(&[State::Bound]), "only bound", "only bound"),
    ];
    let parts = parts.iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
        .collect();
    let contents = match rows.len() {
        0 => "no socket".to_owned(),
        1 => format!("1 socket: {}", parts.join(", ")),
        count => format!("{count} sockets: {}", parts.join(", ")),
    };
    Ok(finish(contents, notes))
}

/// Reads the output of `sysctl -a`.
///
/// # Errors
///
/// Texts over the limits, and texts without a sysctl that affects ports.
pub fn understood_sysctls(text: &str) -> Result<Understood, ImportError> {
    let mut notes = Notes::default();
    let found = sysctl::read(text, &mut notes)?;
    let values: Vec<String> = found
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let contents = match values.is_empty() {
        true => "the defaults of all kernels".to_owned(),
        false => values.join(", "),
    };
    Ok(finish(contents, notes))
}

fn finish(contents: String, notes: Notes) -> Understood {
    let odd_lines = notes.odd_lines().collect();
    let left_out = notes.finish().into_iter().filter_map(|note| match note {
        super::Note::LeftOut(text) => Some(text),
        _ => None,
    });
    Understood {
        contents,
        odd_lines,
        left_out: left_out.collect(),
    }
}
