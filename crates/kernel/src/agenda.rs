//! A queue of things that are mostly added in their order: those stand in lines, and only the others in a heap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// How many kinds of things, each added in its own order, cost nothing to sort.
const LINES: usize = 3;

/// A priority queue whose smallest item comes first.
///
/// An item joins the first line whose last item is not greater: what happens at once, what happens after a delay of one
/// length and what was planned from the start each have a line of their own.
#[derive(Clone, Debug)]
pub struct Agenda<T> {
    lines: [VecDeque<T>; LINES],
    others: BinaryHeap<Reverse<T>>,
}

impl<T: Ord> Default for Agenda<T> {
    fn default() -> Self {
        Agenda {
            lines: std::array::from_fn(|_| VecDeque::new()),
            others: BinaryHeap::new(),
        }
    }
}

impl<T: Ord> Agenda<T> {
    /// Adds an item.
    pub fn push(&mut self, item: T) {
        let fits = |line: &&mut VecDeque<T>| line.back().is_none_or(|last| *last <= item);
        match self.lines.iter_mut().find(fits) {
            Some(line) => line.push_back(item),
            None => self.others.push(Reverse(item)),
        }
    }

    /// The smallest item.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        self.smallest().map(|(item, _)| item)
    }

    /// Takes the smallest item out.
    pub fn pop(&mut self) -> Option<T> {
        match self.smallest()?.1 {
            Some(line) => self.lines[line].pop_front(),
            None => self.others.pop().map(|Reverse(item)| item),
        }
    }

    /// Takes all items out.
    pub fn clear(&mut self) {
        self.lines.iter_mut().for_each(VecDeque::clear);
        self.others.clear();
    }

    /// All items, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let others = self.others.iter().map(|Reverse(item)| item);
        self.lines.iter().flatten().chain(others)
    }

    /// The smallest item and its line, if it stands in one.
    fn smallest(&self) -> Option<(&T, Option<usize>)> {
        let mut best = self.others.peek().map(|Reverse(item)| (item, None));
        for (n, line) in self.lines.iter().enumerate() {
            if let Some(item) = line.front()
                && best.is_none_or(|(least, _)| item < least)
            {
                best = Some((item, Some(n)));
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::Agenda;

    #[test]
    fn items_come_out_in_their_order() {
        let mut agenda = Agenda::default();
        let items = [9, 5, 7, 3, 4, 9, 1, 12, 2];
        for item in items {
            agenda.push(item);
        }
        assert_eq!(agenda.iter().count(), items.len());
        assert_eq!(agenda.first(), Some(&1));
        assert_eq!((agenda.pop(), agenda.pop()), (Some(1), Some(2)));
        agenda.push(6);
        let rest: Vec<i32> = std::iter::from_fn(|| agenda.pop()).collect();
        assert_eq!(rest, [3, 4, 5, 6, 7, 9, 9, 12]);
    }
}
