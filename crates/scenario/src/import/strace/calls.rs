//! The calls of a log: halves joined, in the order in which they took effect.

use std::borrow::Cow;

use indexmap::IndexMap;

use super::line::{Body, Line, Stamp, line};
use super::time::Clock;
use crate::import::notes::Notes;
use crate::import::{MAX_CAPTURE_LINES, MAX_LINE_BYTES};

/// A system call and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call<'a> {
    /// The line on which it took effect.
    pub(super) line: usize,
    /// The line on which it returned, if the log splits it.
    pub(super) until: Option<usize>,
    pub(super) pid: u32,
    /// The name of the program, if the line has it.
    pub(super) program: Option<&'a str>,
    pub(super) time: Option<u64>,
    pub(super) name: &'a str,
    /// The arguments as printed.
    text: Cow<'a, str>,
    pub(super) result: CallResult,
}

impl Call<'_> {
    /// The arguments, without the names that `perf trace` adds.
    pub(super) fn args(&self) -> Vec<String> {
        let mut args = split(&self.text);
        for arg in &mut args {
            if let Some((name, value)) = arg.split_once(": ")
                && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            {
                *arg = value.trim().to_owned();
            }
        }
        args
    }
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallResult {
    /// A non-negative number.
    Value(u64),
    /// An errno by its name.
    Errno(String),
    /// `?`: it did not return.
    Unknown,
    /// `? ERESTARTSYS`: interrupted by a signal, and restarted.
    Interrupted,
    /// A result injected by strace (`-e inject`): the call was not made.
    Injected,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LogEntry<'a> {
    Call(Call<'a>),
    /// The end of a task.
    Exit(u32),
}

/// Returns `true` for calls that wait for another party. They take effect when they return; all
/// others when they are made.
fn waits(name: &str) -> bool {
    name.starts_with("accept") || name.starts_with("recv") || name == "read"
}

/// Returns `true` for calls that make a descriptor: until they return, another thread may close the
/// file that had its number.
fn opens(name: &str) -> bool {
    matches!(name, "socket" | "dup" | "dup2" | "dup3" | "fcntl")
}

/// A call that has not returned yet.
struct PendingCall<'a> {
    line: usize,
    time: Option<u64>,
    text: &'a str,
    /// The index among the entries that is reserved for it.
    place: usize,
}

/// Parses lines into entries.
struct Lines<'a, 'n> {
    all: Vec<Option<LogEntry<'a>>>,
    begun: IndexMap<u32, PendingCall<'a>>,
    clock: Clock,
    notes: &'n mut Notes,
}

/// The number of stamped lines that are examined to detect the style of the stamps.
const STAMPS: usize = 5_000;

/// Parses a log into its entries, in order.
pub(super) fn calls<'a>(log: &'a str, notes: &mut Notes) -> Vec<LogEntry<'a>> {
    let stamps = log.lines().filter_map(|text| line(text).time);
    let mut lines = Lines {
        all: Vec::new(),
        begun: IndexMap::new(),
        clock: Clock::of(stamps.take(STAMPS)),
        notes,
    };
    let mut over = 0_usize;
    let (sorted, as_written) = if lines.clock.unordered {
        (by_time(log), "")
    } else {
        (Vec::new(), log)
    };
    for (n, text) in sorted.into_iter().chain(as_written.lines().enumerate()) {
        if n >= MAX_CAPTURE_LINES {
            over += 1;
        } else if text.len() > MAX_LINE_BYTES {
            let what = format!(
                "lines longer than {MAX_LINE_BYTES} bytes, which no capture of socket calls has"
            );
            lines.notes.count(what, n + 1);
        } else if text.starts_with("Lost ") && text.ends_with(" events") {
            let what = "lines about events that bpftrace lost: calls are missing";
            lines.notes.count(what, n + 1);
        } else {
            lines.read(n + 1, text);
        }
    }
    if over > 0 {
        lines.notes.left_out(format!(
            "{over} lines after line {MAX_CAPTURE_LINES}, the limit of an import"
        ));
    }
    lines.finish()
}

/// The lines of a log with their indices, in the order of their stamps.
fn by_time(log: &str) -> Vec<(usize, &str)> {
    let mut last = Stamp::Seconds(0);
    let mut all: Vec<(Stamp, usize, &str)> = Vec::new();
    for (n, text) in log.lines().enumerate().take(MAX_CAPTURE_LINES + 1) {
        last = line(text).time.unwrap_or(last);
        all.push((last, n, text));
    }
    all.sort_by_key(|(time, ..)| *time);
    all.into_iter().map(|(_, n, text)| (n, text)).collect()
}

impl<'a> Lines<'a, '_> {
    fn read(&mut self, n: usize, text: &'a str) {
        let read = line(text);
        let time = read.time.map(|stamp| self.clock.read(stamp));
        match read.body {
            Body::Nothing => {}
            Body::Exit => {
                self.begun.swap_remove(&read.pid);
                self.all.push(Some(LogEntry::Exit(read.pid)));
            }
            Body::Call(text) => match call(text) {
                Some((name, args, result)) => self.all.push(Some(LogEntry::Call(Call {
                    line: n,
                    until: None,
                    pid: read.pid,
                    program: read.program,
                    time,
                    name,
                    text: Cow::Borrowed(args),
                    result,
                }))),
                None => self.notes.odd(n, text),
            },
            Body::Unfinished(text) => {
                let place = self.all.len();
                self.all.push(None);
                let begun = PendingCall {
                    line: n,
                    time,
                    text,
                    place,
                };
                self.begun.insert(read.pid, begun);
            }
            Body::Resumed(name, rest) => self.resumed(n, &read, time, name, rest),
        }
    }

    fn resumed(
        &mut self,
        n: usize,
        read: &Line<'a>,
        time: Option<u64>,
        name: &'a str,
        rest: &'a str,
    ) {
        let Some(start) = self.begun.swap_remove(&read.pid) else {
            let what = format!("returns of {} calls without their beginning", word(name));
            self.notes.count(what, n);
            return;
        };
        let joined = format!("{}{rest}", start.text);
        let (Some((_, args, result)), Some(name)) = (call(&joined), name_of(start.text)) else {
            self.notes.odd(n, &joined);
            return;
        };
        let late = waits(name) || opens(name);
        let made = LogEntry::Call(Call {
            line: if late { n } else { start.line },
            until: Some(n).filter(|_| !late),
            pid: read.pid,
            program: read.program,
            time: if late { time } else { start.time },
            name,
            text: Cow::Owned(args.to_owned()),
            result,
        });
        if late {
            self.all.push(Some(made));
        } else if let Some(place) = self.all.get_mut(start.place) {
            *place = Some(made);
        }
    }

    fn finish(self) -> Vec<LogEntry<'a>> {
        for (_, start) in self.begun {
            let name = name_of(start.text).unwrap_or("unknown");
            let what = format!(
                "{} calls that had not returned when the log ended",
                word(name)
            );
            self.notes.count(what, start.line);
        }
        let mut all: Vec<LogEntry<'a>> = self.all.into_iter().flatten().collect();
        let mut next = None;
        for entry in all.iter_mut().rev() {
            let LogEntry::Call(call) = entry else {
                continue;
            };
            // It was made on its own line, and returned before the next line at the latest.
            if waits(call.name) && next.is_some() {
                call.time = next;
            }
            next = call.time.or(next);
        }
        all
    }
}

/// A name of the log for a note.
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

/// Parses `name(args) = result`.
fn call(text: &str) -> Option<(&str, &str, CallResult)> {
    let name = name_of(text)?;
    // The result follows the last `=` after a closing parenthesis. Explanations such as
    // `(Connection refused)` come after it.
    let (before, result) = text
        .match_indices('=')
        .rev()
        .filter_map(|(at, _)| Some((text.get(..at)?.trim_end(), text.get(at + 1..)?)))
        .find(|(before, _)| before.ends_with(')'))?;
    let args = before.get(name.len() + 1..before.len() - 1)?;
    Some((name, args, answer(result)?))
}

fn answer(text: &str) -> Option<CallResult> {
    let mut words = text.split_whitespace();
    let first = words.next()?;
    if text.contains("(INJECTED)") {
        return Some(CallResult::Injected);
    }
    if first == "?" {
        let restarts = words
            .next()
            .is_some_and(|name| name.starts_with("ERESTART"));
        return Some(if restarts {
            CallResult::Interrupted
        } else {
            CallResult::Unknown
        });
    }
    if first == "-1" {
        let name = words.next()?;
        // Old versions of strace do not know the kernel's internal codes, from ERESTARTSYS on.
        if matches!(name, "512" | "513" | "514" | "516") {
            return Some(CallResult::Interrupted);
        }
        let fits = name.starts_with('E')
            && name
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        return fits.then(|| CallResult::Errno(name.to_owned()));
    }
    if let Some(hex) = first.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(CallResult::Value);
    }
    // `-y` prints `3<TCP:[127.0.0.1:5000]>`.
    let digits = first.bytes().take_while(u8::is_ascii_digit).count();
    first.get(..digits)?.parse().ok().map(CallResult::Value)
}

/// Splits arguments at the commas outside of quotes and brackets.
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
        assert_eq!((name, split(args).len()), ("connect", 3));
        assert_eq!(result, CallResult::Errno("ECONNREFUSED".to_owned()));
        let result = |text| call(text).expect("a call").2;
        assert_eq!(result("socket(AF_INET) = 3<TCP:[5]>"), CallResult::Value(3));
        assert_eq!(
            result("connect(3) = -1 EADDRNOTAVAIL (Nein) (INJECTED)"),
            CallResult::Injected
        );
        assert_eq!(
            result("connect(3) = ? ERESTARTSYS (To be)"),
            CallResult::Interrupted
        );
        assert_eq!(
            result("connect(3) = -1 512 (Unknown)"),
            CallResult::Interrupted
        );
        assert_eq!(call("nonsense"), None);
    }

    #[test]
    fn a_connect_counts_from_its_beginning_an_accept_from_its_end() {
        let log = "7 accept(3, <unfinished ...>\n\
                   8 connect(4, {}, 16 <unfinished ...>\n\
                   7 <... accept resumed>NULL, NULL) = 5\n\
                   8 <... connect resumed>) = 0\n";
        assert_eq!(order(log), [2, 3]);
    }

    /// The lines on which the calls of a log take effect.
    fn order(log: &str) -> Vec<usize> {
        let line = |one: LogEntry<'_>| match one {
            LogEntry::Call(call) => call.line,
            LogEntry::Exit(_) => 0,
        };
        let entries = calls(log, &mut Notes::default());
        entries.into_iter().map(line).collect()
    }

    #[test]
    fn a_number_that_another_thread_closes_meanwhile_is_opened_afterwards() {
        let log = "7 socket(AF_INET, SOCK_STREAM, 0 <unfinished ...>\n\
                   8 close(4) = 0\n\
                   7 <... socket resumed>) = 4\n";
        assert_eq!(order(log), [2, 3]);
    }

    #[test]
    fn lines_of_bpftrace_have_the_order_of_their_stamps() {
        let log = "7 31855.000003 close(3) = 0\n\
                   Lost 12 events\n\
                   8 31855.000002 close(4) = 0\n\
                   8 31855.000004 close(5) = 0\n";
        assert_eq!(order(log), [3, 1, 4]);
        let mut notes = Notes::default();
        calls(log, &mut notes);
        let lost = notes
            .finish()
            .iter()
            .any(|note| note.to_string().contains("lost"));
        assert!(lost);
    }
}
