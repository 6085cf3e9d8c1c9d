//! Results go to standard output, everything else to standard error. All of it passes through
//! [`clean`].

use std::fmt;
use std::io::{self, BufWriter, StderrLock, StdoutLock, Write};

use anstream::{AutoStream, ColorChoice};
use fourtuple_linux::RunError;
use fourtuple_render::text::clean::{self, Clean};
use fourtuple_render::text::totals::Totals;
use fourtuple_render::text::{Style, Text};
use fourtuple_scenario::{Diagnostic, Errors};

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything is as expected; exit status 0.
    Good,
    /// Something is not as expected; exit status 1.
    Bad,
}

impl Verdict {
    /// The verdict on all scenarios of a run. `named` are the engines selected by name.
    ///
    /// # Errors
    /// Nothing ran, or nothing on an engine selected by name.
    pub(crate) fn of(totals: &Totals, named: &[String]) -> Result<Self, Failure> {
        match totals.idle_engine(named) {
            Some((engine, reason)) => Err(Failure::Message(format!(
                "error: the engine `{engine}` ran nothing: {reason}"
            ))),
            None if totals.none_failed() => Ok(Verdict::Good),
            None => Ok(Verdict::Bad),
        }
    }
}

/// The reason why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// stdout was closed (EPIPE), as `head` does: not an error.
    Closed,
    /// Invalid input or arguments, or an error of the system; exit status 2.
    Message(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Closed,
            kind => Failure::Message(format!("error: failed to write the output: {kind}")),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Failure::Message(format!("error: {error}"))
    }
}

impl From<Errors> for Failure {
    fn from(errors: Errors) -> Self {
        Failure::Message(errors.to_string())
    }
}

/// The use of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` or `CLICOLOR=0` is set; otherwise if `CLICOLOR_FORCE` is.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Sets the choice for both outputs.
    pub(crate) fn set(self) {
        let choice = match self {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// Standard output, buffered.
pub(crate) struct Output {
    to: Clean<BufWriter<AutoStream<StdoutLock<'static>>>>,
    colours: bool,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        let to = io::stdout().lock();
        let colours = AutoStream::choice(&to) != ColorChoice::Never;
        // Without colours there is nothing to strip: escape sequences of input are gone by then.
        let to = match colours {
            true => AutoStream::always(to),
            false => AutoStream::always_ansi(to),
        };
        Output {
            to: Clean(BufWriter::with_capacity(1 << 16, to)),
            colours,
        }
    }

    /// Writes lines of text for people. A line that is not indented is a heading.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            let heading = line.starts_with(|c: char| !c.is_whitespace());
            self.piece(heading.then_some(Style::Heading), line)?;
            self.own("\n")?;
        }
        Ok(())
    }

    /// Writes text with its styles.
    pub(crate) fn styled(&mut self, text: &Text) -> io::Result<()> {
        for (style, piece) in text.pieces() {
            for line in piece.split_inclusive('\n') {
                self.piece(style, line.trim_end_matches('\n'))?;
                if line.ends_with('\n') {
                    self.own("\n")?;
                }
            }
        }
        Ok(())
    }

    /// Writes a line of details.
    pub(crate) fn faint(&mut self, line: &str) -> io::Result<()> {
        self.piece(Some(Style::Faint), line)?;
        self.own("\n")
    }

    /// Writes a diagnostic.
    pub(crate) fn diagnostic(&mut self, one: &Diagnostic) -> io::Result<()> {
        let text = match self.colours {
            true => one.styled(),
            false => one.to_string(),
        };
        self.own(&text)?;
        self.own("\n\n")
    }

    /// Writes a command to GitHub's runner; the caller has escaped its parts.
    pub(crate) fn annotation(&mut self, line: &str) -> io::Result<()> {
        self.own(&clean::text(line))?;
        self.own("\n")
    }

    /// Writes help, which contains no input.
    pub(crate) fn help(&mut self, help: &clap::builder::StyledStr) -> io::Result<()> {
        match self.colours {
            true => write!(self.to.0, "{}", help.ansi()),
            false => write!(self.to.0, "{help}"),
        }
    }

    /// Writes a part of a line.
    fn piece(&mut self, style: Option<Style>, text: &str) -> io::Result<()> {
        let text = clean::line(text);
        match style.filter(|_| self.colours && !text.is_empty()) {
            Some(style) => write!(self.to.0, "{}{text}\x1b[0m", code(style)),
            None => write!(self.to.0, "{text}"),
        }
    }

    /// Writes text that contains no input.
    fn own(&mut self, text: &str) -> io::Result<()> {
        self.to.0.write_all(text.as_bytes())
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

/// The escape sequence that begins a style.
fn code(style: Style) -> &'static str {
    match style {
        Style::Heading => "\x1b[1m",
        Style::Bad => "\x1b[1;31m",
        Style::Good => "\x1b[32m",
        Style::Refused => "\x1b[33m",
        Style::Faint => "\x1b[2m",
    }
}

/// Writes a message to standard error. There is no place left to report a failure of that.
pub(crate) fn complain(message: &dyn fmt::Display) {
    let to = io::stderr().lock();
    let colours = AutoStream::choice(&to) != ColorChoice::Never;
    let mut to: AutoStream<StderrLock<'_>> = match colours {
        true => AutoStream::always(to),
        false => AutoStream::always_ansi(to),
    };
    for line in message.to_string().lines() {
        let line = clean::line(line);
        let _ = match line.strip_prefix("error:").filter(|_| colours) {
            Some(rest) => writeln!(to, "{}error:\x1b[0m{rest}", code(Style::Bad)),
            None => writeln!(to, "{line}"),
        };
    }
}
