//! The queue of tasks: a heap ordered by time and, within one instant, by who came first.

use crate::wire::{MAX_CONNECTIONS, MAX_LISTENERS};

/// What is to happen.
#[derive(Clone, Copy)]
pub enum Kind {
    /// An instance starts.
    Begin,
    /// An instance makes its next connection.
    Connect,
    /// A connect has been answered, and its instance goes on.
    Answered,
    /// A connection has been held long enough.
    Release,
    /// The client sees that the server closed.
    CloseClient,
    /// The server sees that the client closed.
    CloseServer,
    /// An instance closes a listener that it has.
    CloseListener,
    /// A socket is closed because its listener was.
    CloseAccepted,
}

/// Something to do at a point in virtual time.
#[derive(Clone, Copy)]
pub struct Task {
    pub at: u64,
    pub kind: Kind,
    /// The instance, the connection, the place among the ends of listeners, or the number of an accepted socket.
    pub of: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    task: Task,
    number: u32,
}

impl Entry {
    const NONE: Entry = Entry {
        task: Task {
            at: 0,
            kind: Kind::Begin,
            of: 0,
        },
        number: 0,
    };

    fn before(&self, other: &Entry) -> bool {
        (self.task.at, self.number) < (other.task.at, other.number)
    }
}

/// An instance, a connection, a listener that an instance has and an accepted socket have at most one task each.
const CAPACITY: usize = 3 * MAX_CONNECTIONS + MAX_LISTENERS;

pub struct Queue {
    entries: [Entry; CAPACITY],
    len: usize,
    number: u32,
}

impl Queue {
    pub const EMPTY: Queue = Queue {
        entries: [Entry::NONE; CAPACITY],
        len: 0,
        number: 0,
    };

    pub fn clear(&mut self) {
        self.len = 0;
        self.number = 0;
    }

    pub fn push(&mut self, at: u64, kind: Kind, of: u32) {
        if self.len == CAPACITY {
            return;
        }
        self.number += 1;
        self.entries[self.len] = Entry {
            task: Task { at, kind, of },
            number: self.number,
        };
        let mut child = self.len;
        self.len += 1;
        while child > 0 {
            let parent = (child - 1) / 2;
            if !self.entries[child].before(&self.entries[parent]) {
                return;
            }
            self.entries.swap(child, parent);
            child = parent;
        }
    }

    pub fn pop(&mut self) -> Option<Task> {
        self.len = self.len.checked_sub(1)?;
        self.entries.swap(0, self.len);
        let mut parent = 0;
        loop {
            let mut first = parent;
            for child in [2 * parent + 1, 2 * parent + 2] {
                if child < self.len && self.entries[child].before(&self.entries[first]) {
                    first = child;
                }
            }
            if first == parent {
                return Some(self.entries[self.len].task);
            }
            self.entries.swap(first, parent);
            parent = first;
        }
    }
}
