//! Memory semaphore: jobs wait until earlier ones have released enough memory.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A number of bytes to acquire and release.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    most: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    /// No thread has to wait any more.
    open: bool,
}

impl MemoryBudget {
    pub(crate) fn new(most: u64) -> Self {
        MemoryBudget {
            most,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Waits until the bytes are available and acquires them. A job that runs alone is always
    /// admitted.
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

    /// Releases bytes.
    pub(crate) fn give(&self, bytes: u64) {
        let mut state = self.lock();
        state.taken = state.taken.saturating_sub(bytes);
        self.changed.notify_all();
    }

    /// Admits every thread from now on, because bytes will not be released any more.
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
    use super::MemoryBudget;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn limit_holds_and_a_single_job_is_always_admitted() {
        let memory = MemoryBudget::new(10);
        let (taken, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for bytes in (1..=6).cycle().take(200) {
                        memory.take(bytes);
                        let now = taken.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        taken.fetch_sub(bytes, Ordering::SeqCst);
                        memory.give(bytes);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 10);
        memory.take(50);
        memory.give(50);
    }

    #[test]
    fn open_semaphore_admits_every_thread() {
        let memory = MemoryBudget::new(1);
        memory.take(1);
        std::thread::scope(|scope| {
            // Including threads that arrive later and find the bytes acquired by others.
            for _ in 0..3 {
                scope.spawn(|| memory.take(1));
            }
            memory.open();
        });
    }
}
