//! Traces: files of programs and of a kernel's answers to them, as JSON Lines.

use crate::program::Program;
use fourtuple_kernel::profile::HZ;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Read as _, Write};
use std::path::{Path, PathBuf};

/// Version of the format that this crate reads and writes.
const FORMAT: u32 = 1;
/// Largest file, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;
/// Longest line, in bytes without its end: one program with its answers.
pub const MAX_LINE_BYTES: u64 = 1 << 20;
/// Most programs in a file.
pub const MAX_PROGRAMS: usize = 100_000;

/// One boot of one kernel. State that the whole machine shares, such as the hint at which the
/// ephemeral port selection begins, carries over from one of its programs to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// The kernel that answered; `None` in a file of programs that have not run.
    pub header: Option<Header>,
    /// The programs, in the order in which they ran.
    pub programs: Vec<Program>,
}

/// The kernel that answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format: 1.
    pub trace: u32,
    /// Description of the kernel.
    pub kernel: String,
    /// The release that uname reports.
    pub release: String,
    /// The name of its profile.
    pub profile: String,
    /// Ticks per second (CONFIG_HZ), where it is not the default of its distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hz: Option<u32>,
}

impl Header {
    /// A header of the format's present version.
    pub fn new(kernel: &str, release: &str, profile: &str) -> Header {
        let [kernel, release, profile] = [kernel, release, profile].map(str::to_owned);
        Header {
            trace: FORMAT,
            kernel,
            release,
            profile,
            hz: None,
        }
    }
}

/// Error reading a trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A line is invalid.
    #[error("{}:{line}: {message}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The error.
        message: String,
    },
}

/// Reads a file of programs, with or without answers.
pub fn read_file(file: &Path) -> Result<Vec<Boot>, TraceError> {
    let open = std::fs::File::open(file).map_err(|source| TraceError::Io {
        file: file.to_owned(),
        source,
    })?;
    read(io::BufReader::new(open), file)
}

/// Reads programs; `file` is only used in errors. Reads no more than the limits allow.
pub fn read(mut from: impl BufRead, file: &Path) -> Result<Vec<Boot>, TraceError> {
    let mut boots: Vec<Boot> = Vec::new();
    let (mut bytes, mut programs) = (0, 0);
    let mut line = Vec::new();
    for number in 1.. {
        let wrong = |message: String| TraceError::Line {
            file: file.to_owned(),
            line: number,
            message,
        };
        line.clear();
        // One byte for the line break, and one to notice a line that is too long.
        let read = (&mut from)
            .take(MAX_LINE_BYTES + 2)
            .read_until(b'\n', &mut line)
            .map_err(|source| TraceError::Io {
                file: file.to_owned(),
                source,
            })?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        if bytes > MAX_FILE_BYTES {
            return Err(wrong(format!(
                "the file is larger than the limit of {MAX_FILE_BYTES} bytes; split it where a boot begins"
            )));
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.len() as u64 > MAX_LINE_BYTES {
            return Err(wrong(format!(
                "the line is longer than the limit of {MAX_LINE_BYTES} bytes; is this a recording?"
            )));
        }
        let text = std::str::from_utf8(&line)
            .map_err(|_| wrong("not UTF-8".into()))?
            .trim();
        if text.is_empty() {
            continue;
        }
        if let Some(header) = header(text).map_err(&wrong)? {
            boots.push(Boot {
                header: Some(header),
                programs: Vec::new(),
            });
            continue;
        }
        programs += 1;
        if programs > MAX_PROGRAMS {
            return Err(wrong(format!(
                "there are more programs than the limit of {MAX_PROGRAMS}; split the file where a boot begins"
            )));
        }
        let program = serde_json::from_str(text).map_err(|e| wrong(one_line(&e)))?;
        if boots.is_empty() {
            boots.push(Boot::default());
        }
        if let Some(boot) = boots.last_mut() {
            boot.programs.push(program);
        }
    }
    Ok(boots)
}

/// The header in `text`, if it is one.
fn header(text: &str) -> Result<Option<Header>, String> {
    #[derive(Deserialize)]
    struct Mark {
        trace: u32,
    }
    // Nearly every line is a program: checking the first key avoids parsing it twice.
    if !text
        .trim_start_matches(['{', ' ', '\t'])
        .starts_with("\"trace\"")
    {
        return Ok(None);
    }
    let mark: Mark = serde_json::from_str(text).map_err(|e| one_line(&e))?;
    if mark.trace != FORMAT {
        return Err(format!(
            "unknown trace format {}: expected format {FORMAT}",
            mark.trace
        ));
    }
    let header: Header = serde_json::from_str(text).map_err(|e| one_line(&e))?;
    match header.hz {
        Some(hz) if !HZ.contains(&hz) => Err(format!(
            "invalid `hz` {hz}: expected {} to {} ticks in a second",
            HZ.start(),
            HZ.end()
        )),
        _ => Ok(Some(header)),
    }
}

/// The message of serde with its column, but without its line number, which is always 1.
fn one_line(e: &serde_json::Error) -> String {
    let text = e.to_string();
    match text.split_once(" at line ") {
        Some((message, _)) => format!("column {}: {message}", e.column()),
        None => text,
    }
}

/// Writes boots; [`read`] returns the same ones.
pub fn write(mut to: impl Write, boots: &[Boot]) -> io::Result<()> {
    for boot in boots {
        if let Some(header) = &boot.header {
            serde_json::to_writer(&mut to, header)?;
            to.write_all(b"\n")?;
        }
        for program in &boot.programs {
            serde_json::to_writer(&mut to, program)?;
            to.write_all(b"\n")?;
        }
    }
    to.flush()
}
