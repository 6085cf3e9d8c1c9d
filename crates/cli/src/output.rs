//! Results go to standard output, everything else to standard error.

use std::fmt;
use std::io::{self, BufWriter, Write};

use fourtuple_scenario::{Diagnostic, Errors};

/// What a command found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All as expected; exit status 0.
    Good,
    /// Something is not as expected; exit status 1.
    Bad,
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The reader of the output has gone, as `head` does. No failure to anybody.
    Closed,
    /// The input, the call or the system is wrong; exit status 2.
    Told(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Closed,
            kind => Failure::Told(format!("error: the output cannot be written: {kind}")),
        }
    }
}

impl From<Errors> for Failure {
    fn from(errors: Errors) -> Self {
        Failure::Told(errors.to_string())
    }
}

/// Standard output, buffered; colours are left out where nobody sees them.
pub(crate) struct Output {
    to: BufWriter<anstream::AutoStream<io::StdoutLock<'static>>>,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        let to = anstream::AutoStream::auto(io::stdout().lock());
        Output {
            to: BufWriter::with_capacity(1 << 16, to),
        }
    }

    /// Writes the lines of a text for people, with the words that matter in colour.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            writeln!(self.to, "{}", painted(line))?;
        }
        Ok(())
    }
}

impl Output {
    /// Writes a diagnostic, with its first words in colour.
    pub(crate) fn diagnostic(&mut self, one: &Diagnostic) -> io::Result<()> {
        let text = one.to_string();
        let (words, rest) = text.split_once(": ").unwrap_or(("", &text));
        writeln!(self.to, "\x1b[1;33m{words}\x1b[0m: {rest}\n")
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Words that are worth an eye, with their colour.
const PAINTED: [(&str, &str); 6] = [
    ("NOT AS EXPECTED", "\x1b[1;31m"),
    ("DIFFERS", "\x1b[1;31m"),
    ("EADDRNOTAVAIL", "\x1b[33m"),
    ("EADDRINUSE", "\x1b[33m"),
    ("because ", "\x1b[2m"),
    ("error:", "\x1b[1;31m"),
];

fn painted(line: &str) -> String {
    let heading = line.starts_with(|c: char| !c.is_whitespace()) && !line.starts_with("error:");
    let mut line = if heading {
        format!("\x1b[1m{line}\x1b[0m")
    } else {
        line.to_owned()
    };
    for (word, colour) in PAINTED {
        if !heading && line.contains(word) {
            line = line.replace(word, &format!("{colour}{word}\x1b[0m"));
        }
    }
    line
}

/// Writes a message to standard error. That it cannot be written is nothing anybody could be told.
pub(crate) fn complain(message: &dyn fmt::Display) {
    let mut err = anstream::stderr().lock();
    for line in message.to_string().lines() {
        let _ = writeln!(
            err,
            "{}",
            if line.starts_with("error:") {
                painted(line)
            } else {
                line.to_owned()
            }
        );
    }
}
