//! Makes text that may quote input safe to print.
//!
//! Input is data: a control character in it must not reach a terminal, nor may one of its lines be
//! a command to a CI runner. Each such character is replaced by its escape, `\\u001b`, which is
//! readable in prose and has the same meaning in a JSON string.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use fourtuple_scenario::is_control;

/// Text without control characters except tabs and line breaks.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    unbracketed(replaced(text, |c| {
        is_control(c) && !matches!(c, '\n' | '\t')
    }))
}

/// Text on one line, without control characters.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    defused(replaced(text, |c| is_control(c) && c != '\t'))
}

fn replaced(text: &str, is_bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_bad(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The commands that GitHub's runner executes at the start of a line of output.
const COMMANDS: [&str; 15] = [
    "error",
    "warning",
    "notice",
    "debug",
    "group",
    "endgroup",
    "add-mask",
    "add-path",
    "set-env",
    "set-output",
    "save-state",
    "stop-commands",
    "echo",
    "add-matcher",
    "remove-matcher",
];

/// A line that GitHub's runner does not execute as a command.
fn defused(line: Cow<'_, str>) -> Cow<'_, str> {
    let begun = line.trim_start();
    let command = begun.strip_prefix("::").is_some_and(|rest| {
        let word = rest.split([' ', ':']).next().unwrap_or_default();
        COMMANDS.iter().any(|one| one.eq_ignore_ascii_case(word)) && rest.contains("::")
    });
    if command {
        let indent = line.len() - begun.len();
        return Cow::Owned(format!("{}\\u003a{}", &line[..indent], &begun[1..]));
    }
    unbracketed(line)
}

/// Text without `##[error]`, a form of command that runners execute anywhere in a line.
fn unbracketed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.contains("##[") {
        true => Cow::Owned(text.replace("##[", "#\\u0023[")),
        false => text,
    }
}

/// A writer that makes text safe. Each write must end on a character boundary, as those of `write!`
/// and serialisers do.
#[derive(Debug)]
pub struct Clean<W>(pub W);

impl<W: Write> Write for Clean<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A quick check, as most output is plain: these bytes begin each control character, though
        // 0xc2, 0xd8, 0xe2 and 0xef also begin others.
        let is_suspicious =
            |byte: &u8| matches!(byte, 0..=8 | 11..=31 | b'#' | 0x7f | 0xc2 | 0xd8 | 0xe2 | 0xef);
        match std::str::from_utf8(bytes) {
            Ok(all) if bytes.iter().any(is_suspicious) => self.0.write_all(text(all).as_bytes())?,
            _ => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced_and_other_text_is_not() {
        for plain in [
            "",
            "a\n\tb",
            "4 × ok",
            "Grüße, 日本語 🙂",
            "::1 to ::2",
            "[::]:80",
        ] {
            assert_eq!(text(plain), plain);
        }
        assert_eq!(
            text("\u{1b}[31m\u{7}\r\u{7f}"),
            "\\u001b[31m\\u0007\\u000d\\u007f"
        );
        assert_eq!(
            text("\u{9b}31m \u{202e}x\u{2028}"),
            "\\u009b31m \\u202ex\\u2028"
        );
        assert_eq!(line("a\nb"), "a\\u000ab");
    }

    #[test]
    fn a_writer_replaces_the_same() {
        let mut out = Clean(Vec::new());
        for piece in ["a\u{9b}", "×", "\u{202e}\n", "é"] {
            out.write_all(piece.as_bytes()).expect("memory");
        }
        assert_eq!(out.0, "a\\u009b×\\u202e\né".as_bytes());
    }

    #[test]
    fn the_escape_means_the_same_to_json() {
        let mut out = Clean(Vec::new());
        let hostile = "\u{1b}[1m \u{9d} \u{202e} \u{7f} \n";
        serde_json::to_writer(&mut out, hostile).expect("memory");
        let text = std::str::from_utf8(&out.0).expect("text");
        assert!(!text.chars().any(is_control), "{text}");
        assert_eq!(
            serde_json::from_str::<String>(text).expect("a string"),
            hostile
        );
    }

    #[test]
    fn line_is_not_a_command_to_a_ci_runner() {
        for (command, defused) in [
            ("::error::x", "\\u003a:error::x"),
            ("  ::Set-Env name=a::b", "  \\u003a:Set-Env name=a::b"),
            ("x ##[error]y", "x #\\u0023[error]y"),
        ] {
            assert_eq!(line(command), defused);
        }
        for address in ["::1", "  ::ffff:10.0.0.1 to ::1", "a ::error::"] {
            assert_eq!(line(address), address);
        }
    }
}
