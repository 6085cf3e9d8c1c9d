//! What other tools captured, turned into scenarios.
//!
//! - [`strace`](fn@strace): a log of `strace -f -ttt -e trace=network,close`
//! - [`ss`](fn@ss): the output of `ss -tan`
//!
//! Both take the text of `sysctl -a` besides, because neither capture says which range of ports there is. A capture
//! never tells everything. What an import has to assume, and what it does not understand, goes with the scenario as
//! comments and is handed over as [`Imported::notes`], so that nobody takes a guess for a fact.

mod notes;
mod ss;
mod strace;
mod sysctl;

pub use notes::Note;
pub use ss::ss;
pub use strace::strace;

use crate::limits::MAX_FILE_BYTES;
use crate::model::Scenario;
use notes::Notes;

/// Largest capture, in bytes.
pub const MAX_CAPTURE_BYTES: u64 = 64 * 1024 * 1024;
/// Most lines of a capture that are looked at.
pub const MAX_CAPTURE_LINES: usize = 1_000_000;
/// Longest line of a capture, in bytes; longer ones are left out.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// Most steps that an import makes. A scenario may have more, but its file may not be larger than it would become.
pub const MAX_IMPORTED_STEPS: usize = 6_000;
/// Most addresses that an import gives to one host.
pub const MAX_IMPORTED_ADDRESSES: usize = 500;

/// What a caller can say about a capture.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The kernels of the scenario, written as in one: `linux-6.18`, `rhel-6.5,linux-6.18`, `all`.
    pub kernel: Vec<String>,
    /// The text of `sysctl -a` of the machine that was captured.
    pub sysctl: Option<String>,
    /// Whether all these kernels have `IP_BIND_ADDRESS_NO_PORT` (Linux 4.2).
    pub no_port: bool,
}

/// A scenario made of a capture.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The scenario, read back from `yaml`.
    pub scenario: Scenario,
    /// The file, with the notes as comments.
    pub yaml: String,
    /// What was assumed and what was not understood.
    pub notes: Vec<Note>,
}

/// Why a capture cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ImportError {
    /// What is wrong, in one sentence.
    pub message: String,
    /// A way out.
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
    let mut all = Vec::new();
    for (n, line) in text.lines().enumerate() {
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

/// Writes the file, and reads it back: an import that makes a scenario which is none has a defect of its own.
fn finish(yaml: &str, notes: Notes, what: &str) -> Result<Imported, ImportError> {
    let notes = notes.finish();
    let text = format!("{}{yaml}", notes::comments(&notes, what));
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
        }),
        Err(errors) => Err(ImportError::new(
            format!("what was captured cannot be said in a scenario:\n{errors}"),
            "cut out the part of the capture that matters",
        )),
    }
}
