//! The text of one scenario file, and the conversion of byte offsets to lines and columns.

use std::sync::Arc;

use crate::span::Span;

/// A file that was read, kept for excerpts in error messages.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// The path as the user gave it, for display.
    pub(crate) path: String,
    pub(crate) text: Arc<str>,
    line_starts: Vec<usize>,
}

impl SourceFile {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<Arc<str>>) -> Arc<Self> {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Arc::new(Self {
            path: path.into(),
            text,
            line_starts,
        })
    }

    /// Makes a span and looks its line up. Offsets past the end are moved to the end.
    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        let start = start.min(self.text.len());
        let end = end.clamp(start, self.text.len());
        Span {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(end).unwrap_or(u32::MAX),
            line: u32::try_from(self.line_index(start) + 1).unwrap_or(u32::MAX),
        }
    }

    fn line_index(&self, offset: usize) -> usize {
        self.line_starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1)
    }

    /// The line at `offset`: its number from 1, its text without the line break, and the offset
    /// inside it.
    pub(crate) fn line_at(&self, offset: usize) -> (usize, &str, usize) {
        let offset = offset.min(self.text.len());
        let index = self.line_index(offset);
        let start = self.line_starts[index];
        let end = self
            .line_starts
            .get(index + 1)
            .copied()
            .unwrap_or(self.text.len());
        let line = self.text[start..end].trim_end_matches(['\n', '\r']);
        (index + 1, line, (offset - start).min(line.len()))
    }

    /// The text of a span; empty if the span does not fit this file.
    pub(crate) fn slice(&self, span: Span) -> &str {
        self.text
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }
}
