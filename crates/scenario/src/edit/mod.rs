//! Changes of a scenario in its text, which keep comments and layout.
//!
//! A change is given as another body. Both bodies are encoded, and the places where the two trees
//! differ are looked up in the tree of the file, which has spans: values are replaced there, fields
//! and items are added and removed (`walk`, `patch`). The result counts only if reading it gives
//! exactly the wanted body.

mod patch;
mod walk;

use crate::model::{Body, Point, Scenario};
use crate::parse_named;
use crate::source::SourceFile;
use crate::span::Span;
use crate::yaml::{Node, Value, place_of, read};

use patch::Patch;
use walk::Walk;

/// Longest text that is edited, in bytes. Longer ones are generated, and have no layout to keep.
const MAX_EDITED_BYTES: usize = 256 * 1024;

impl Scenario {
    /// The text of the file with another body at a point of the matrix. The matrix stays where the
    /// text with it is still valid, so that its other points have the change as well; otherwise the
    /// point takes its place. Nothing if the change has no place in the text.
    #[must_use]
    pub fn edited(&self, point: usize, body: &Body) -> Option<String> {
        if self.text.text.len() > MAX_EDITED_BYTES {
            return None;
        }
        let point = self.points.get(point)?;
        let wanted = self.rewritten(body);
        // What a tool makes is read as any other text: defaults and implicit steps are those of it.
        let wanted = parse_named("", "", &wanted.to_yaml()).ok()?;
        let wanted = &wanted.points.first()?.body;
        self.patched(point, wanted)
            .or_else(|| self.at(point)?.edited(0, wanted))
    }

    /// A scenario of this question, source and kernels, without a matrix.
    #[must_use]
    pub fn rewritten(&self, body: &Body) -> Scenario {
        let mut one = Scenario::new(self.about.clone(), self.kernel.clone(), body.clone());
        one.source.clone_from(&self.source);
        one
    }

    /// The edited text with the same matrix.
    fn patched(&self, point: &Point, wanted: &Body) -> Option<String> {
        let encoded = |body: &Body| self.rewritten(body).written;
        let mut walk = Walk::new(&self.text.text);
        walk.body(&self.written, &encoded(&point.body), &encoded(wanted))?;
        let text = walk.patch.apply(&self.text.text)?;
        let read = parse_named(&self.file, &self.name, &text).ok()?;
        let at = read.points.iter().find(|one| one.axes == point.axes)?;
        // The kernels may have been replaced by others than those of the text.
        let same_head = read.about == self.about && read.source == self.source;
        (same_head && at.body == *wanted).then_some(text)
    }

    /// The scenario at one point of its matrix, in the same text with the values of the axes.
    fn at(&self, point: &Point) -> Option<Scenario> {
        if self.matrix.is_empty() {
            return None;
        }
        let source = SourceFile::new(self.file.clone(), self.text.text.clone());
        let root = read(&source).ok()??;
        let mut patch = Patch::default();
        for entry in root.entries_of() {
            if &*entry.0.text == "matrix" {
                let text = &self.text.text;
                patch.remove_lines(text, &place_of(entry, text))?;
            }
        }
        for (key, value) in &self.written {
            fill_text(key.span, &key.text, point, &mut patch);
            fill(value, point, &mut patch);
        }
        let text = patch.apply(&self.text.text)?;
        let made = parse_named(&self.file, &self.name, &text).ok()?;
        (made.points.first()?.body == point.body).then_some(made)
    }
}

/// Writes the values of the axes in place of their names.
fn fill(node: &Node, point: &Point, patch: &mut Patch) {
    match &node.value {
        Value::Scalar { text, .. } => fill_text(node.span, text, point, patch),
        Value::List(items) => {
            for item in items {
                fill(item, point, patch);
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                fill_text(key.span, &key.text, point, patch);
                fill(value, point, patch);
            }
        }
    }
}

fn fill_text(span: Span, text: &str, point: &Point, patch: &mut Patch) {
    if text.contains("${") {
        let mut filled = text.to_owned();
        for (name, value) in &point.axes {
            filled = filled.replace(&format!("${{{name}}}"), value);
        }
        patch.replace(span.bytes(), Node::text(filled).flow());
    }
}
