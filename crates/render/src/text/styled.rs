//! Text with styles, which are kept apart from it: input that contains escape sequences cannot
//! style anything, and text without styles is the text itself.

use std::fmt;

use super::{WIDTH, wrap};

/// The meaning that a piece of text is highlighted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The name of what follows.
    Heading,
    /// Something is wrong.
    Bad,
    /// All is well.
    Good,
    /// A call that failed.
    Refused,
    /// Details for those who look for them.
    Faint,
}

/// Pieces of text, each in one style or in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pieces: Vec<(Option<Style>, String)>,
}

impl Text {
    /// The pieces in order.
    pub fn pieces(&self) -> impl Iterator<Item = (Option<Style>, &str)> {
        self.pieces.iter().map(|(style, text)| (*style, &**text))
    }

    /// Adds plain text.
    pub fn push(&mut self, text: &str) {
        self.piece(None, text);
    }

    /// Adds text in a style.
    pub fn styled(&mut self, style: Style, text: &str) {
        self.piece(Some(style), text);
    }

    /// Adds text with a label in front of its first line and the others indented to match, as
    /// [`labelled`](super::labelled) does.
    pub fn labelled(&mut self, label: (Option<Style>, &str), style: Option<Style>, text: &str) {
        let indent = label.1.chars().count();
        for (n, line) in wrap(text, WIDTH.saturating_sub(indent)).iter().enumerate() {
            if n == 0 {
                self.piece(label.0, label.1);
            } else {
                self.push(&" ".repeat(indent));
            }
            self.piece(style, line);
            self.push("\n");
        }
    }

    /// Adds another text.
    pub fn append(&mut self, other: &Text) {
        for (style, text) in other.pieces() {
            self.piece(style, text);
        }
    }

    fn piece(&mut self, style: Option<Style>, text: &str) {
        match self.pieces.last_mut() {
            Some((last, so_far)) if *last == style => so_far.push_str(text),
            _ => self.pieces.push((style, text.to_owned())),
        }
    }
}

/// Without the styles.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces
            .iter()
            .try_for_each(|(_, text)| f.write_str(text))
    }
}
