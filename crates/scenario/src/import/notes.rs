//! Notes about an import: assumptions, omissions, and parts that were not understood.

use std::fmt;

use indexmap::IndexMap;

/// Most line numbers in one note; further ones are counted.
const NAMED_LINES: usize = 6;
/// Most notes of one import; further ones are counted.
const MAX_NOTES: usize = 60;
/// Characters of a line of the capture that a note shows.
const SHOWN: usize = 90;
/// Widest comment line.
const WIDTH: usize = 110;

/// A note about an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The model gives another answer than the log.
    NotReproduced(String),
    /// A refusal for a reason other than ports.
    Other(String),
    /// A fact that the capture does not show, and that was assumed.
    Assumed(String),
    /// A fact of the capture that the scenario does not contain.
    LeftOut(String),
    /// A part of the capture that was not understood.
    NotUnderstood(String),
}

impl Note {
    /// The position of this kind of note in the output.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::NotReproduced(_) => 0,
            Self::Other(_) => 1,
            Self::Assumed(_) => 2,
            Self::LeftOut(_) => 3,
            Self::NotUnderstood(_) => 4,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReproduced(text) => write!(f, "not reproduced: {text}"),
            Self::Other(text) => write!(f, "not about ports: {text}"),
            Self::Assumed(text) => write!(f, "assumed: {text}"),
            Self::LeftOut(text) => write!(f, "left out: {text}"),
            Self::NotUnderstood(text) => write!(f, "not understood: {text}"),
        }
    }
}

/// Collects notes. Each is kept once; repeated ones are counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    others: Vec<String>,
    assumed: Vec<String>,
    left_out: Vec<String>,
    counted: IndexMap<String, Lines>,
    odd: Vec<(usize, String)>,
    more_odd: usize,
    /// Lines of the sysctls that were not understood.
    odd_sysctls: Vec<(usize, String)>,
    /// Captures that are read together: the number of lines before each, and its name.
    captures: Vec<(usize, String)>,
}

#[derive(Clone, Debug, Default)]
struct Lines {
    count: usize,
    first: Vec<usize>,
}

impl Notes {
    /// Notes a refusal for a reason other than ports.
    pub(crate) fn other(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.others.contains(&text) && self.others.len() < MAX_NOTES {
            self.others.push(text);
        }
    }

    pub(crate) fn assumed(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.assumed.contains(&text) && self.assumed.len() < MAX_NOTES {
            self.assumed.push(text);
        }
    }

    pub(crate) fn left_out(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.left_out.contains(&text) && self.left_out.len() < MAX_NOTES {
            self.left_out.push(text);
        }
    }

    /// Notes an omission of a kind that may occur on many lines.
    pub(crate) fn count(&mut self, what: impl Into<String>, line: usize) {
        let what = what.into();
        if !self.counted.contains_key(&what) && self.counted.len() >= MAX_NOTES {
            return;
        }
        let lines = self.counted.entry(what).or_default();
        lines.count += 1;
        if lines.first.len() < NAMED_LINES {
            lines.first.push(line);
        }
    }

    /// Notes a line, or a part of one, that was not understood.
    pub(crate) fn odd(&mut self, line: usize, text: &str) {
        if self.odd.len() >= MAX_NOTES {
            self.more_odd += 1;
            return;
        }
        self.odd.push((line, shown(text)));
    }

    /// Notes a line of the sysctls that was not understood.
    pub(crate) fn odd_sysctl(&mut self, line: usize, text: &str) {
        if self.odd_sysctls.len() < MAX_NOTES {
            self.odd_sysctls.push((line, shown(text)));
        }
    }

    /// Begins another capture after so many lines, whose lines notes name by its
    /// name, if it has one.
    pub(crate) fn begin(&mut self, name: &str, before: usize) {
        self.captures.push((before, name.to_owned()));
    }

    /// The lines that were not understood, by number.
    pub(crate) fn odd_lines(&self) -> impl Iterator<Item = usize> {
        self.odd
            .iter()
            .chain(&self.odd_sysctls)
            .map(|(line, _)| *line)
    }

    pub(crate) fn finish(self) -> Vec<Note> {
        let captures = self.captures;
        let numbered = |line: usize| {
            let capture = captures.iter().rfind(|(before, _)| *before < line);
            match capture.filter(|(_, name)| !name.is_empty()) {
                Some((before, name)) => format!("{} of {name}", line - before),
                None => line.to_string(),
            }
        };
        let counted = self.counted.into_iter().map(|(what, lines)| {
            let mut named: Vec<String> = lines.first.iter().map(|line| numbered(*line)).collect();
            if lines.count > named.len() {
                named.push("...".to_owned());
            }
            let word = if lines.count == 1 { "line" } else { "lines" };
            Note::LeftOut(format!(
                "{what}: {} ({word} {})",
                lines.count,
                named.join(", ")
            ))
        });
        let more = (self.more_odd > 0).then(|| format!("and {} more lines", self.more_odd));
        let assumed = self.assumed.into_iter().map(Note::Assumed);
        let left_out = self.left_out.into_iter().map(Note::LeftOut);
        let odd = self.odd.iter();
        let odd = odd.map(|(line, text)| format!("line {}: {text}", numbered(*line)));
        let sysctls = self.odd_sysctls.iter();
        let sysctls = sysctls.map(|(line, text)| format!("line {line} of the sysctls: {text}"));
        let odd = odd.chain(more).chain(sysctls).map(Note::NotUnderstood);
        let others = self.others.into_iter().map(Note::Other);
        let assumed = others.chain(assumed);
        assumed.chain(left_out).chain(counted).chain(odd).collect()
    }
}

/// A part of a capture for a message: shortened, on one line, without control characters.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text
        .trim()
        .chars()
        .take(SHOWN)
        .map(|c| {
            if c.is_control() || !c.is_ascii() {
                '?'
            } else {
                c
            }
        })
        .collect();
    if text.trim().chars().nth(SHOWN).is_some() {
        short.push_str("...");
    }
    short
}

/// Formats the notes as comments above a scenario.
pub(crate) fn comments(notes: &[Note], what: &str) -> String {
    let mut out = String::new();
    comment(&mut out, "# ", what);
    let mut heading = "";
    for note in notes {
        let (title, text) = match note {
            Note::NotReproduced(text) => (
                "Not reproduced: the model gives other answers than the log. Do not rely on this scenario.",
                text,
            ),
            Note::Other(text) => ("Refused for a reason other than ports:", text),
            Note::Assumed(text) => ("Assumed, because the capture does not say it:", text),
            Note::LeftOut(text) => ("Left out:", text),
            Note::NotUnderstood(text) => ("Not understood:", text),
        };
        if title != heading {
            out.push_str(&format!("#\n# {title}\n"));
            heading = title;
        }
        comment(&mut out, "# - ", text);
    }
    out.push('\n');
    out
}

fn comment(out: &mut String, first: &str, text: &str) {
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = if first == "# " { "# " } else { "#   " }.to_owned();
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(&word);
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}
