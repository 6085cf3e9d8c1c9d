//! What an import assumed, left out, or did not understand.

use std::fmt;

use indexmap::IndexMap;

/// Lines that are named in one note; more are counted.
const NAMED_LINES: usize = 6;
/// Notes of one import; more are counted.
const MAX_NOTES: usize = 60;
/// Characters of a line of the capture that a note shows.
const SHOWN: usize = 90;
/// Widest comment line.
const WIDTH: usize = 110;

/// One thing to know about an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The log records this answer, and the model gives another one.
    NotReproduced(String),
    /// A refusal that has nothing to do with ports.
    Other(String),
    /// The capture does not say this, so it was assumed.
    Assumed(String),
    /// The capture says this, but it is not part of the scenario.
    LeftOut(String),
    /// This was not understood.
    NotUnderstood(String),
}

impl Note {
    /// The place of this kind of note among the others.
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

/// Notes in the making: each is kept once, and repeated ones are counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    others: Vec<String>,
    assumed: Vec<String>,
    left_out: Vec<String>,
    counted: IndexMap<String, Lines>,
    odd: Vec<String>,
    more_odd: usize,
}

#[derive(Clone, Debug, Default)]
struct Lines {
    count: usize,
    first: Vec<usize>,
}

impl Notes {
    /// A refusal that ports have nothing to do with.
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

    /// Something of a kind that is left out wherever it comes.
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

    /// A line, or a part of one, that says nothing to this program.
    pub(crate) fn odd(&mut self, line: usize, text: &str) {
        if self.odd.len() >= MAX_NOTES {
            self.more_odd += 1;
            return;
        }
        self.odd.push(format!("line {line}: {}", shown(text)));
    }

    pub(crate) fn finish(self) -> Vec<Note> {
        let counted = self.counted.into_iter().map(|(what, lines)| {
            let mut named: Vec<String> = lines.first.iter().map(usize::to_string).collect();
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
        let odd = self.odd.into_iter().chain(more).map(Note::NotUnderstood);
        let others = self.others.into_iter().map(Note::Other);
        let assumed = others.chain(assumed);
        assumed.chain(left_out).chain(counted).chain(odd).collect()
    }
}

/// A part of a capture as it may stand in a message: short, on one line, nothing that moves a cursor.
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

/// The notes as comments above a scenario.
pub(crate) fn comments(notes: &[Note], what: &str) -> String {
    let mut out = String::new();
    comment(&mut out, "# ", what);
    let mut heading = "";
    for note in notes {
        let (title, text) = match note {
            Note::NotReproduced(text) => (
                "Not reproduced: the log records other answers than the model gives. Do not rely on this scenario.",
                text,
            ),
            Note::Other(text) => ("Refused for another reason than ports:", text),
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
