//! Replacements of parts of a text.

use std::ops::Range;

/// Replacements by their bytes, in any order.
#[derive(Debug, Default)]
pub(super) struct Patch {
    parts: Vec<(usize, usize, String)>,
}

impl Patch {
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Forgets all but the first replacements.
    pub(super) fn truncate(&mut self, len: usize) {
        self.parts.truncate(len);
    }

    pub(super) fn replace(&mut self, part: Range<usize>, by: impl Into<String>) {
        self.parts.push((part.start, part.end, by.into()));
    }

    pub(super) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// Removes the lines of a part. Nothing if more than white space precedes it.
    pub(super) fn remove_lines(&mut self, text: &str, part: &Range<usize>) -> Option<()> {
        let from = line_start(text, part.start);
        if !text.get(from..part.start)?.trim().is_empty() {
            return None;
        }
        let to = line_end(text, part.end);
        self.replace(from..text.len().min(to + 1), "");
        Some(())
    }

    /// The text with all replacements. Nothing if two of them overlap.
    pub(super) fn apply(mut self, text: &str) -> Option<String> {
        // Insertions at one place stay in their order, ahead of a removal that begins there.
        self.parts
            .sort_by_key(|(start, end, _)| (*start, end > start));
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for (start, end, by) in &self.parts {
            out.push_str(text.get(at..*start)?);
            out.push_str(by);
            at = *end;
        }
        out.push_str(text.get(at..)?);
        Some(out)
    }
}

/// The offset of the first byte of the line at an offset.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.rfind('\n').map_or(0, |n| n + 1)
}

/// The offset of the line break after an offset, or of the end.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let after = text.get(at..).unwrap_or_default();
    after.find('\n').map_or(text.len(), |n| at + n)
}
