//! The differences of two bodies, at their places in a file.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::yaml::{Entries, Key, Node, Value, place_of};

use super::patch::{Patch, line_end, line_start};

/// Most items of lists that are compared one by one.
const MAX_ITEMS: usize = 4_000;

pub(super) struct Walk<'t> {
    text: &'t str,
    pub(super) patch: Patch,
}

/// The place of an element of a list or map: an entry with its key, an item of a block with its
/// dash.
type Part = Range<usize>;

impl<'t> Walk<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            patch: Patch::default(),
        }
    }

    /// Compares two bodies: `written` is the one before as it is in the file.
    pub(super) fn body(
        &mut self,
        written: &Entries,
        before: &Entries,
        after: &Entries,
    ) -> Option<()> {
        self.map(written, false, before, after)
    }

    /// Compares two values. Where the change has no place inside of the value, the whole value is
    /// replaced.
    fn value(&mut self, written: &Node, before: &Node, after: &Node) {
        if before.flow() == after.flow() {
            return;
        }
        let len = self.patch.len();
        let flow = written.is_flow(self.text);
        let done = match (&written.value, &before.value, &after.value) {
            (Value::Map(written), Value::Map(before), Value::Map(after)) => {
                self.map(written, flow, before, after)
            }
            (Value::List(written), Value::List(before), Value::List(after)) => {
                self.list(written, flow, before, after)
            }
            _ => None,
        };
        if done.is_none() {
            self.patch.truncate(len);
            self.patch.replace(written.place(self.text), after.flow());
        }
    }

    fn map(
        &mut self,
        written: &Entries,
        flow: bool,
        before: &Entries,
        after: &Entries,
    ) -> Option<()> {
        let find = |all: &Entries, key: &Key| all.iter().position(|(one, _)| one.text == key.text);
        // A default need not be written, and may be.
        let gone = before.iter().filter(|(key, _)| find(after, key).is_none());
        let mut removed: Vec<usize> = gone.filter_map(|(key, _)| find(written, key)).collect();
        removed.sort_unstable();
        let parts: Vec<Part> = written
            .iter()
            .map(|entry| place_of(entry, self.text))
            .collect();
        let mut last: Option<usize> = None;
        let mut last_kept = None;
        for (key, value) in after {
            let was = find(before, key);
            // Fields that change their order are not moved one by one.
            if was.is_some_and(|was| last.replace(was).is_some_and(|last| last > was)) {
                return None;
            }
            let was = was.map(|was| &before[was].1);
            let Some(at) = find(written, key) else {
                if was.is_none_or(|was| was.flow() != value.flow()) {
                    let key = Node::text(key.text.clone()).flow();
                    self.add(&parts, last_kept, flow, &format!("{key}: {}", value.flow()))?;
                }
                continue;
            };
            let written = &written[at].1;
            match was {
                Some(was) => self.value(written, was, value),
                None => self.patch.replace(written.place(self.text), value.flow()),
            }
            last_kept = Some(at);
        }
        self.remove(&parts, &removed, flow)
    }

    fn list(
        &mut self,
        written: &[Node],
        flow: bool,
        before: &[Node],
        after: &[Node],
    ) -> Option<()> {
        if written.len() != before.len() || before.len().max(after.len()) > MAX_ITEMS {
            return None;
        }
        let parts: Option<Vec<Part>> = written.iter().map(|item| self.item(item, flow)).collect();
        let parts = parts?;
        let old: Vec<String> = before.iter().map(unexpecting).collect();
        let new: Vec<String> = after.iter().map(unexpecting).collect();
        let mut removed = Vec::new();
        let mut last_kept = None;
        for op in capture_diff_slices(Algorithm::Myers, &old, &new) {
            let (was, is) = (op.old_range(), op.new_range());
            let paired = match op {
                DiffOp::Equal { .. } | DiffOp::Replace { .. } => was.len().min(is.len()),
                _ => 0,
            };
            for n in 0..paired {
                let at = was.start + n;
                self.value(&written[at], &before[at], &after[is.start + n]);
                last_kept = Some(at);
            }
            removed.extend(was.skip(paired));
            for node in &after[is.start + paired..is.end] {
                let dash = if flow { "" } else { "- " };
                self.add(&parts, last_kept, flow, &format!("{dash}{}", node.flow()))?;
            }
        }
        self.remove(&parts, &removed, flow)
    }

    /// The place of an item. Nothing if its dash is not before it on its line.
    fn item(&self, item: &Node, flow: bool) -> Option<Part> {
        let place = item.place(self.text);
        if flow {
            return Some(place);
        }
        let before = self.text.get(..place.start)?.trim_end_matches(' ');
        before.ends_with('-').then(|| before.len() - 1..place.end)
    }

    /// Adds an element after another one, or at the beginning.
    fn add(
        &mut self,
        parts: &[Part],
        after: Option<usize>,
        flow: bool,
        element: &str,
    ) -> Option<()> {
        let first = parts.first()?;
        let column = first.start - line_start(self.text, first.start);
        let indent = " ".repeat(column);
        match (after.map(|n| &parts[n]), flow) {
            (Some(part), true) => self.patch.insert(part.end, format!(", {element}")),
            (None, true) => self.patch.insert(first.start, format!("{element}, ")),
            (Some(part), false) => {
                let end = line_end(self.text, part.end);
                self.patch.insert(end, format!("\n{indent}{element}"));
            }
            (None, false) => {
                self.patch
                    .insert(first.start, format!("{element}\n{indent}"));
            }
        }
        Some(())
    }

    /// Removes elements, given by their places in order.
    fn remove(&mut self, parts: &[Part], removed: &[usize], flow: bool) -> Option<()> {
        if !removed.is_empty() && removed.len() == parts.len() {
            return None;
        }
        if !flow {
            for at in removed {
                self.patch.remove_lines(self.text, &parts[*at])?;
            }
            return Some(());
        }
        // Neighbours go together, because each goes with a comma.
        let mut rest = removed;
        while let Some(first) = rest.first().copied() {
            let run = rest.iter().zip(first..).take_while(|(at, n)| *at == n);
            let count = run.count();
            rest = &rest[count..];
            let last = first + count - 1;
            let part = match first.checked_sub(1) {
                Some(previous) => parts[previous].end..parts[last].end,
                None => parts[first].start..parts.get(last + 1)?.start,
            };
            self.patch.replace(part, "");
        }
        Some(())
    }
}

/// An item without what it expects, by which steps before and after a change are paired.
fn unexpecting(item: &Node) -> String {
    match &item.value {
        Value::Map(entries) => {
            let kept = entries
                .iter()
                .filter(|(key, _)| !key.text.starts_with("expect"));
            Node::entries(kept.cloned().collect()).flow()
        }
        _ => item.flow(),
    }
}
