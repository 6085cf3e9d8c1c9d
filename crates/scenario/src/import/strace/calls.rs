//! The calls of a log: halves joined, in the order in which they had their effect.

use indexmap::IndexMap;

use super::line::{Body, line};
use crate::import::notes::Notes;

/// A system call and what it returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call<'a> {
    /// The line on which it had its effect.
    pub(super) line: usize,
    pub(super) pid: u32,
    pub(super) time: Option<u64>,
    pub(super) name: &'a str,
    pub(super) args: Vec<String>,
    pub(super) result: Answer,
}

/// What a call returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A number, not negative.
    Value(u64),
    /// An errno by its name.
    Errno(String),
    /// `?`: it did not return, or was interrupted and made again.
    Unknown,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happening<'a> {
    Call(Call<'a>),
    /// A task ended.
    Exit(u32),
}

/// Calls that wait for somebody else have their effect when they return; all others when they are made.
fn waits(name: &str) -> bool {
    name.starts_with("accept") || name.starts_with("recv") || name == "read"
}

/// Everything that happened, in order.
pub(super) fn calls<'a>(lines: &[(usize, &'a str)], notes: &mut Notes) -> Vec<Happening<'a>> {
    /// A call that has begun: its line, time, text and place in the list.
    struct Begun<'a> {
        line: usize,
        time: Option<u64>,
        text: &'a str,
        place: usize,
    }
    // The place of a call that has not returned is kept free.
    let mut all: Vec<Option<Happening<'a>>> = Vec::new();
    let mut begun: IndexMap<u32, Begun<'a>> = IndexMap::new();
    for (n, text) in lines {
        let read = line(text);
        match read.body {
            Body::Nothing => {}
            Body::Exit => {
                begun.swap_remove(&read.pid);
                all.push(Some(Happening::Exit(read.pid)));
            }
            Body::Call(text) => match call(text) {
                Some((name, args, result)) => all.push(Some(Happening::Call(Call {
                    line: *n,
                    pid: read.pid,
                    time: read.time,
                    name,
                    args,
                    result,
                }))),
                None => notes.odd(*n, text),
            },
            Body::Unfinished(text) => {
                let place = all.len();
                all.push(None);
                let (line, time) = (*n, read.time);
                begun.insert(
                    read.pid,
                    Begun {
                        line,
                        time,
                        text,
                        place,
                    },
                );
            }
            Body::Resumed(name, rest) => {
                let Some(start) = begun.swap_remove(&read.pid) else {
                    notes.count(
                        format!("ends of {} calls whose beginning is missing", word(name)),
                        *n,
                    );
                    continue;
                };
                let joined = format!("{}{rest}", start.text);
                let Some((_, args, result)) = call(&joined) else {
                    notes.odd(*n, &joined);
                    continue;
                };
                let Some(name) = name_of(start.text) else {
                    notes.odd(start.line, start.text);
                    continue;
                };
                let late = waits(name);
                let made = Happening::Call(Call {
                    line: if late { *n } else { start.line },
                    pid: read.pid,
                    time: if late { read.time } else { start.time },
                    name,
                    args,
                    result,
                });
                if late {
                    all.push(Some(made));
                } else if let Some(place) = all.get_mut(start.place) {
                    *place = Some(made);
                }
            }
        }
    }
    for (_, start) in begun {
        let name = name_of(start.text).unwrap_or("unknown");
        notes.count(
            format!(
                "{} calls that had not returned when the log ended",
                word(name)
            ),
            start.line,
        );
    }
    let mut all: Vec<Happening<'a>> = all.into_iter().flatten().collect();
    let mut next = None;
    for happening in all.iter_mut().rev() {
        let Happening::Call(call) = happening else {
            continue;
        };
        // Its line shows when it was made; it returned when the next line came, or before.
        if waits(call.name) && next.is_some() {
            call.time = next;
        }
        next = call.time.or(next);
    }
    all
}

/// A name out of a log as it may stand in a note.
fn word(name: &str) -> String {
    name.chars()
        .take(24)
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}

fn name_of(text: &str) -> Option<&str> {
    let (name, _) = text.split_once('(')?;
    let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    fits.then_some(name)
}

/// `name(args) = result`
fn call(text: &str) -> Option<(&str, Vec<String>, Answer)> {
    let name = name_of(text)?;
    // The last `=` behind a closing parenthesis; an explanation such as `(Connection refused)` comes after it.
    let (before, result) = text
        .match_indices('=')
        .rev()
        .filter_map(|(at, _)| Some((text.get(..at)?.trim_end(), text.get(at + 1..)?)))
        .find(|(before, _)| before.ends_with(')'))?;
    let args = before.get(name.len() + 1..before.len() - 1)?;
    Some((name, split(args), answer(result)?))
}

fn answer(text: &str) -> Option<Answer> {
    let mut words = text.split_whitespace();
    let first = words.next()?;
    if first == "?" {
        return Some(Answer::Unknown);
    }
    if first == "-1" {
        let name = words.next()?;
        let fits = name.starts_with('E')
            && name
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        return fits.then(|| Answer::Errno(name.to_owned()));
    }
    if let Some(hex) = first.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(Answer::Value);
    }
    // `3<TCP:[127.0.0.1:5000]>` with -y
    let digits = first.bytes().take_while(u8::is_ascii_digit).count();
    first.get(..digits)?.parse().ok().map(Answer::Value)
}

/// Arguments, cut at the commas that are not inside of anything.
fn split(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for c in text.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            match c {
                '"' => quoted = true,
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    parts.push(std::mem::take(&mut part).trim().to_owned());
                    continue;
                }
                _ => {}
            }
        }
        part.push(c);
    }
    if !(parts.is_empty() && part.trim().is_empty()) {
        parts.push(part.trim().to_owned());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_cut_outside_of_quotes_and_brackets() {
        assert_eq!(
            split(r#"3, {a=1, b="x, \"y"}, 16"#),
            ["3", r#"{a=1, b="x, \"y"}"#, "16"]
        );
        assert_eq!(split(""), Vec::<String>::new());
    }

    #[test]
    fn results_are_found_behind_the_arguments() {
        let (name, args, result) =
            call(r#"connect(3, {x="a) = 5"}, 16)   = -1 ECONNREFUSED (Connection refused)"#)
                .expect("a call");
        assert_eq!((name, args.len()), ("connect", 3));
        assert_eq!(result, Answer::Errno("ECONNREFUSED".to_owned()));
        assert_eq!(
            call("socket(AF_INET) = 3<TCP:[5]>").expect("a call").2,
            Answer::Value(3)
        );
        assert_eq!(call("nonsense"), None);
    }

    #[test]
    fn a_connect_counts_from_its_beginning_an_accept_from_its_end() {
        let lines = [
            (1, "7 accept(3, <unfinished ...>"),
            (2, "8 connect(4, {}, 16 <unfinished ...>"),
            (3, "7 <... accept resumed>NULL, NULL) = 5"),
            (4, "8 <... connect resumed>) = 0"),
        ];
        let found: Vec<usize> = calls(&lines, &mut Notes::default())
            .into_iter()
            .map(|one| match one {
                Happening::Call(call) => call.line,
                Happening::Exit(_) => 0,
            })
            .collect();
        assert_eq!(found, [2, 3]);
    }
}
