//! Where in a file a value was written.
//!
//! Spans travel with the values that are checked late (kernel names, expectations, steps), so that a problem found
//! long after reading still points at the file. They never take part in comparisons: two scenarios are equal when
//! they say the same, wherever they say it.

use std::ops::Deref;

/// A stretch of a scenario file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset just after the last byte; equal to `start` for something that is missing.
    pub end: u32,
    /// Line of the first byte, counted from 1; 0 for a value that no file holds.
    pub line: u32,
}

/// A value and where it was written. Equality looks at the value alone.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written; [`Span::default`] when a tool made it.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value with its place in a file.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// The line of the value, counted from 1, when a file holds it.
    pub fn line(&self) -> Option<u32> {
        (self.span.line > 0).then_some(self.span.line)
    }
}

impl<T> From<T> for Spanned<T> {
    fn from(value: T) -> Self {
        Self::new(value, Span::default())
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}
