//! A queue of things that are mostly added in their order: those stand in a line, and only the others in a heap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A priority queue whose smallest item comes first. Items that are not less than all before them cost nothing to sort.
#[derive(Clone, Debug)]
pub struct Agenda<T> {
    line: VecDeque<T>,
    others: BinaryHeap<Reverse<T>>,
}

impl<T: Ord> Default for Agenda<T> {
    fn default() -> Self {
        Agenda {
            line: VecDeque::new(),
            others: BinaryHeap::new(),
        }
    }
}

impl<T: Ord> Agenda<T> {
    /// Adds an item.
    pub fn push(&mut self, item: T) {
        if self.line.back().is_none_or(|last| *last <= item) {
            self.line.push_back(item);
        } else {
            self.others.push(Reverse(item));
        }
    }

    /// The smallest item.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        match (self.line.front(), self.others.peek()) {
            (Some(a), Some(Reverse(b))) => Some(a.min(b)),
            (a, b) => a.or(b.map(|Reverse(b)| b)),
        }
    }

    /// Takes the smallest item out.
    pub fn pop(&mut self) -> Option<T> {
        let from_line = match (self.line.front(), self.others.peek()) {
            (Some(a), Some(Reverse(b))) => a <= b,
            (a, _) => a.is_some(),
        };
        if from_line {
            self.line.pop_front()
        } else {
            self.others.pop().map(|Reverse(item)| item)
        }
    }

    /// All items, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let others = self.others.iter().map(|Reverse(item)| item);
        self.line.iter().chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::Agenda;

    #[test]
    fn items_come_out_in_their_order() {
        let mut agenda = Agenda::default();
        let items = [3, 5, 4, 9, 1, 9, 7, 12, 2];
        items.map(|item| agenda.push(item));
        assert_eq!(agenda.iter().count(), items.len());
        assert_eq!(agenda.first(), Some(&1));
        assert_eq!((agenda.pop(), agenda.pop()), (Some(1), Some(2)));
        agenda.push(6);
        let rest: Vec<i32> = std::iter::from_fn(|| agenda.pop()).collect();
        assert_eq!(rest, [3, 4, 5, 6, 7, 9, 9, 12]);
    }
}
