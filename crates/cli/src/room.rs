//! Room for what runs at the same time: scenarios wait until those before them have left enough of it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// So many bytes, taken and given back.
#[derive(Debug)]
pub(crate) struct Room {
    most: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    /// Nobody waits any more.
    open: bool,
}

impl Room {
    pub(crate) fn new(most: u64) -> Self {
        Room {
            most,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Waits until there is room for so many bytes and takes them. What is alone always has room.
    pub(crate) fn take(&self, bytes: u64) {
        let mut state = self.lock();
        while !state.open && state.taken > 0 && state.taken.saturating_add(bytes) > self.most {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.taken = state.taken.saturating_add(bytes);
    }

    /// Gives back what was taken.
    pub(crate) fn give(&self, bytes: u64) {
        let mut state = self.lock();
        state.taken = state.taken.saturating_sub(bytes);
        self.changed.notify_all();
    }

    /// Lets everybody in from now on: nothing will be given back any more.
    pub(crate) fn open(&self) {
        self.lock().open = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Room;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn no_more_is_taken_than_there_is_and_what_is_alone_gets_in() {
        let room = Room::new(10);
        let (taken, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for bytes in (1..=6).cycle().take(200) {
                        room.take(bytes);
                        let now = taken.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        taken.fetch_sub(bytes, Ordering::SeqCst);
                        room.give(bytes);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 10);
        room.take(50);
        room.give(50);
    }

    #[test]
    fn an_open_room_keeps_nobody_waiting() {
        let room = Room::new(1);
        room.take(1);
        std::thread::scope(|scope| {
            // Nor those who come after it was opened, and find what others have taken meanwhile.
            for _ in 0..3 {
                scope.spawn(|| room.take(1));
            }
            room.open();
        });
    }
}
