//! Work on several threads, or on fewer where the system gives no more.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};

/// The number of CPUs.
#[must_use]
pub fn cpus() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// Calls `work` on up to `count` threads at once, one of which is the caller's, and waits until
/// each call has returned.
///
/// A limit on processes or on memory may leave fewer threads: `work` takes its tasks from a shared
/// queue, so that fewer calls do the same.
///
/// # Panics
/// When a call panics.
pub fn crew(count: usize, work: impl Fn() + Sync) {
    let work = &work;
    thread::scope(|scope| {
        for _ in 1..count {
            if Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
}

/// The results of `work` for each task, in the order of the tasks.
///
/// # Panics
/// When a call of `work` panics.
pub fn map<T: Send, U: Send>(count: usize, tasks: Vec<T>, work: impl Fn(T) -> U + Sync) -> Vec<U> {
    let mut results: Vec<Option<U>> = tasks.iter().map(|_| None).collect();
    let count = count.min(tasks.len());
    let tasks = Mutex::new(tasks.into_iter().zip(&mut results));
    crew(count, || {
        loop {
            let Some((task, result)) = lock(&tasks).next() else {
                return;
            };
            *result = Some(work(task));
        }
    });
    drop(tasks);
    results.into_iter().flatten().collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_has_its_result_in_order() {
        for tasks in [0, 1, 2, 3, 7, 1000] {
            for count in [0, 1, 2, 5] {
                let doubled = map(count, (0..tasks).collect(), |n: usize| 2 * n);
                assert_eq!(doubled, (0..tasks).map(|n| 2 * n).collect::<Vec<_>>());
            }
        }
    }
}
