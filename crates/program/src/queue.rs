//! Moves ordered by time and, within one instant, first in, first out.

use alloc::collections::{BTreeMap, VecDeque};

use crate::Nanos;

/// A queue of items with due times; see the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct Queue<T> {
    now: Nanos,
    due: VecDeque<T>,
    later: BTreeMap<Nanos, VecDeque<T>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue {
            now: 0,
            due: VecDeque::new(),
            later: BTreeMap::new(),
        }
    }
}

impl<T> Queue<T> {
    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    /// Advances time: items planned until then become due.
    pub(crate) fn advance(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        while let Some(first) = self.later.first_entry().filter(|one| *one.key() <= now) {
            if self.due.is_empty() {
                self.due = first.remove();
            } else {
                self.due.extend(first.remove());
            }
        }
    }

    pub(crate) fn push(&mut self, at: Nanos, item: T) {
        if at <= self.now {
            self.due.push_back(item);
        } else {
            self.later.entry(at).or_default().push_back(item);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.due.pop_front()
    }

    /// The time of the first item.
    pub(crate) fn next(&self) -> Option<Nanos> {
        if self.due.is_empty() {
            self.later.keys().next().copied()
        } else {
            Some(self.now)
        }
    }

    /// The time of the first item that is not due yet.
    pub(crate) fn later(&self) -> Option<Nanos> {
        self.later.keys().next().copied()
    }

    pub(crate) fn due(&self) -> impl Iterator<Item = &T> {
        self.due.iter()
    }

    /// All items with their times.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Nanos, &T)> {
        let due = self.due.iter().map(|item| (self.now, item));
        let later = self.later.iter();
        due.chain(later.flat_map(|(at, items)| items.iter().map(|item| (*at, item))))
    }

    /// Keeps the items that pass.
    pub(crate) fn retain(&mut self, mut pass: impl FnMut(&T) -> bool) {
        self.due.retain(&mut pass);
        self.later.retain(|_, items| {
            items.retain(&mut pass);
            !items.is_empty()
        });
    }
}

impl<T: PartialEq> Queue<T> {
    /// Removes a due item out of order.
    pub(crate) fn take(&mut self, item: &T) -> bool {
        let place = self.due.iter().position(|one| one == item);
        place.is_some_and(|place| self.due.remove(place).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn moves_come_in_the_order_of_time_and_then_of_arrival() {
        let mut queue = Queue::default();
        for (at, item) in [(5, 'd'), (0, 'a'), (7, 'g'), (5, 'e'), (0, 'b')] {
            queue.push(at, item);
        }
        let mut seen = Vec::new();
        while let Some(at) = queue.next() {
            queue.advance(at);
            let item = queue.pop().expect("it is due");
            if item == 'b' {
                queue.push(queue.now(), 'c');
            }
            if item == 'd' {
                // Late, and after the items that were on time.
                queue.push(2, 'f');
            }
            seen.push(item);
        }
        assert_eq!(seen, ['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    }

    #[test]
    fn a_move_may_be_taken_out_of_turn() {
        let mut queue = Queue::default();
        for (at, item) in [(0, 1), (0, 2), (3, 3)] {
            queue.push(at, item);
        }
        assert!(queue.take(&2) && !queue.take(&3));
        assert_eq!(queue.iter().collect::<Vec<_>>(), [(0, &1), (3, &3)]);
        queue.retain(|item| *item != 3);
        assert_eq!((queue.pop(), queue.next()), (Some(1), None));
    }
}
