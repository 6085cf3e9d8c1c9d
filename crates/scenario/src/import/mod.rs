//! Captures of other tools, converted to scenarios.
//!
//! - [`strace`](fn@strace): a log of `strace -f -ttt -e trace=network,close`, or of `perf trace`
//! - [`ss`](fn@ss): the output of `ss -tan` or `netstat -tan`, or `/proc/net/tcp`;
//!   [`tables`](fn@tables): several of them together
//! - [`understood`](fn@understood), [`understood_sysctls`](fn@understood_sysctls): the parts of a
//!   text that an import uses
//!
//! Both also take the text of `sysctl -a`, because neither capture shows the ephemeral port range.
//! Captures are incomplete. Assumptions, and parts that were not understood, are written into the
//! scenario as comments and returned as [`Imported::notes`], so that they are not mistaken for
//! facts.

mod checked;
mod kind;
mod notes;
mod ss;
mod strace;
mod sysctl;
mod text;
mod understood;

pub use checked::{Assumptions, AttemptRef, Holder, MAX_HELD_STEPS, Recorded};
pub use kind::of as kind_of;
pub use notes::Note;
pub use ss::{Table, ss, tables};
pub use strace::{Log, strace};
pub use text::decode;
pub use understood::{Understood, understood, understood_sysctls};

use crate::limits::MAX_FILE_BYTES;
use crate::model::Scenario;
use crate::value::PortRange;
use notes::Notes;

/// Largest capture, in bytes.
pub const MAX_CAPTURE_BYTES: u64 = 256 * 1024 * 1024;
/// Most lines of a capture that are read.
pub const MAX_CAPTURE_LINES: usize = 4_000_000;
/// Longest line of a capture, in bytes; longer ones are skipped.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// Most steps that an import generates. The format allows more, but the file would exceed its size
/// limit.
pub const MAX_IMPORTED_STEPS: usize = 6_000;
/// Most addresses that an import gives to one host.
pub const MAX_IMPORTED_ADDRESSES: usize = 500;

/// Facts about a capture that the caller supplies.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The kernels of the scenario, as patterns: `linux-6.18`, `rhel-6.5,linux-6.18`, `all`.
    pub kernel: Vec<String>,
    /// The text of `sysctl -a` on the captured machine.
    pub sysctl: Option<String>,
    /// The sockets of that machine before an strace log begins: the output of `ss -tan` or a
    /// similar tool.
    pub before: Option<String>,
    /// `true` if all these kernels support `IP_BIND_ADDRESS_NO_PORT` (Linux 4.2).
    pub no_port: bool,
}

/// A scenario generated from a capture.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The scenario, parsed from `yaml`.
    pub scenario: Scenario,
    /// The file, with the notes as comments.
    pub yaml: String,
    /// Assumptions, and parts that were not understood.
    pub notes: Vec<Note>,
    /// The answers of the log, and the attempts that reproduce them.
    pub recorded: Vec<Recorded>,
    /// The ephemeral port range of the recorded host, if the scenario sets it.
    pub range: Option<PortRange>,
    /// The file without its comments, and the title of the comments.
    body: String,
    title: &'static str,
}

impl Imported {
    /// Adds notes to the scenario and to its comments.
    pub fn add_notes(&mut self, notes: impl IntoIterator<Item = Note>) {
        self.notes.extend(notes);
        self.notes.sort_by_key(Note::rank);
        let comments = notes::comments(&self.notes, self.title);
        self.yaml = format!("{comments}{}", self.body);
    }
}

/// A capture that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ImportError {
    /// The problem, in one sentence.
    pub message: String,
    /// A suggested fix.
    pub help: String,
}

impl ImportError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}

fn check_size(text: &str) -> Result<(), ImportError> {
    if text.len() as u64 > MAX_CAPTURE_BYTES {
        return Err(ImportError::new(
            format!("the capture has {} bytes", text.len()),
            format!("the limit is {MAX_CAPTURE_BYTES} bytes; cut out the part that matters"),
        ));
    }
    Ok(())
}

/// The lines of a capture with their numbers, within the limits.
fn lines<'a>(text: &'a str, notes: &mut Notes) -> Vec<(usize, &'a str)> {
    lines_after(0, text, notes)
}

/// The lines of a capture that follows so many lines of others.
fn lines_after<'a>(before: usize, text: &'a str, notes: &mut Notes) -> Vec<(usize, &'a str)> {
    let mut all = Vec::new();
    for (n, line) in (before..).zip(text.lines()) {
        if n >= MAX_CAPTURE_LINES {
            notes.left_out(format!(
                "everything after line {MAX_CAPTURE_LINES}, the limit of an import"
            ));
            break;
        }
        if line.len() > MAX_LINE_BYTES {
            notes.count(
                format!(
                    "lines longer than {MAX_LINE_BYTES} bytes, which no capture of socket calls has"
                ),
                n + 1,
            );
            continue;
        }
        all.push((n + 1, line));
    }
    all
}

/// Adds the comments and parses the result, so that an import never returns an invalid scenario.
fn finish(body: String, notes: Notes, title: &'static str) -> Result<Imported, ImportError> {
    let notes = notes.finish();
    let text = format!("{}{body}", notes::comments(&notes, title));
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ImportError::new(
            format!("the scenario would have {} bytes", text.len()),
            format!(
                "the limit is {MAX_FILE_BYTES} bytes; cut out the part of the capture that matters"
            ),
        ));
    }
    match crate::parse("imported.yaml", &text) {
        Ok(scenario) => Ok(Imported {
            scenario,
            yaml: text,
            notes,
            recorded: Vec::new(),
            range: None,
            body,
            title,
        }),
        Err(errors) => Err(ImportError::new(
            format!("the capture cannot be expressed as a scenario:\n{errors}"),
            "cut out the part of the capture that matters",
        )),
    }
}
