//! A queue of items that are mostly added in their order: those stand in lines, and only the
//! others in a heap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// The number of kinds of items, each added in its own order, that cost nothing to sort.
const LINES: usize = 3;

/// A priority queue whose smallest item comes first.
///
/// An item joins the first line whose last item is not greater: what happens at once, what happens
/// after a delay of one length and what was planned from the start each have a line of their own.
/// What comes before all others stands in none.
#[derive(Clone, Debug)]
pub(super) struct Agenda<T> {
    /// An item that no other is smaller than, if the last ones that were added have left one.
    front: Option<T>,
    lines: [VecDeque<T>; LINES],
    others: BinaryHeap<Reverse<T>>,
    /// The line that the smallest item of all but the front one stands in, [`HEAP`] for the heap.
    /// Of no meaning while there is none.
    next: usize,
}

/// In the place of a line's number: the heap.
const HEAP: usize = LINES;

impl<T: Ord> Default for Agenda<T> {
    fn default() -> Self {
        Agenda {
            front: None,
            lines: std::array::from_fn(|_| VecDeque::new()),
            others: BinaryHeap::new(),
            next: 0,
        }
    }
}

impl<T: Ord> Agenda<T> {
    /// Adds an item.
    pub(super) fn push(&mut self, mut item: T) {
        if let Some(front) = &mut self.front {
            if item < *front {
                std::mem::swap(front, &mut item);
            }
        } else if self.behind().is_none_or(|first| item < *first) {
            self.front = Some(item);
            return;
        }
        let fits = |line: &VecDeque<T>| line.back().is_none_or(|last| *last <= item);
        let line = self.lines.iter().position(fits).unwrap_or(HEAP);
        // Behind another item of its line it is not the smallest.
        let at_front = self.lines.get(line).is_none_or(VecDeque::is_empty);
        if at_front && self.behind().is_none_or(|first| item < *first) {
            self.next = line;
        }
        match self.lines.get_mut(line) {
            Some(line) => line.push_back(item),
            None => self.others.push(Reverse(item)),
        }
    }

    /// The smallest item.
    #[must_use]
    #[inline]
    pub(super) fn first(&self) -> Option<&T> {
        self.front.as_ref().or_else(|| self.behind())
    }

    /// The smallest item of all but the front one.
    #[inline]
    fn behind(&self) -> Option<&T> {
        match self.lines.get(self.next) {
            Some(line) => line.front(),
            None => self.others.peek().map(|Reverse(item)| item),
        }
    }

    /// Takes the smallest item out.
    pub(super) fn pop(&mut self) -> Option<T> {
        if let Some(item) = self.front.take() {
            return Some(item);
        }
        let item = match self.lines.get_mut(self.next) {
            Some(line) => line.pop_front(),
            None => self.others.pop().map(|Reverse(item)| item),
        };
        self.next = self.smallest();
        item
    }

    /// The place of the smallest item.
    fn smallest(&self) -> usize {
        let mut best = self.others.peek().map(|Reverse(item)| (item, HEAP));
        for (n, line) in self.lines.iter().enumerate() {
            if let Some(item) = line.front()
                && best.is_none_or(|(least, _)| item < least)
            {
                best = Some((item, n));
            }
        }
        best.map_or(0, |(_, line)| line)
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
        assert_eq!(agenda.first(), Some(&1));
        assert_eq!((agenda.pop(), agenda.pop()), (Some(1), Some(2)));
        agenda.push(6);
        // Each comes before the one that was first, then one before none.
        for (item, first) in [(2, 2), (1, 1), (8, 1)] {
            agenda.push(item);
            assert_eq!(agenda.first(), Some(&first));
        }
        let rest: Vec<i32> = std::iter::from_fn(|| agenda.pop()).collect();
        assert_eq!(rest, [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 12]);
    }
}
