//! Ordered parallel map with a memory budget.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::Builder;

use fourtuple_harness::threads;

use crate::memory::MemoryBudget;
use crate::output::Failure;
use crate::progress::Progress;

/// The parameters of a parallel map.
pub(crate) struct Plan<'a> {
    /// Number of jobs that run at a time; the number of CPUs by default.
    pub(crate) jobs: Option<usize>,
    /// The bytes that each job needs.
    pub(crate) needs: &'a [u64],
    pub(crate) memory: &'a MemoryBudget,
    /// True if a result needs almost no memory compared to its job. Large jobs then start first, so
    /// that none of them is left for the end. Otherwise jobs start in order: a job that waits for
    /// memory must not precede one whose result is due first, to avoid a deadlock.
    pub(crate) small: bool,
}

impl Plan<'_> {
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.needs.len()).collect();
        if self.small {
            order.sort_by_key(|at| std::cmp::Reverse(self.needs[*at]));
        }
        order
    }
}

/// Runs jobs in parallel, as far as the memory budget allows, and passes their results to `each` in
/// the order of their numbers.
pub(crate) fn map_ordered<T: Send>(
    plan: &Plan<'_>,
    progress: &Progress,
    name: impl Fn(usize) -> String,
    work: impl Fn(usize) -> T + Sync,
    mut each: impl FnMut(T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let total = plan.needs.len();
    let jobs = plan
        .jobs
        .unwrap_or_else(threads::cpus)
        .clamp(1, total.max(1));
    let order = plan.order();
    let next = Mutex::new(order.iter());
    let stop = AtomicBool::new(false);
    let Plan {
        memory,
        needs,
        small,
        ..
    } = plan;
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel::<(usize, T)>();
        let mut threads = 0;
        for _ in 0..jobs {
            let sender = sender.clone();
            let (work, next, stop) = (&work, &next, &stop);
            let worker = move || {
                let _guard = Leaving { memory, stop };
                loop {
                    let number = {
                        // Memory is acquired in the order in which jobs start.
                        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                        let Some(&number) = next.next() else { return };
                        memory.take(needs[number]);
                        number
                    };
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let result = work(number);
                    if *small {
                        memory.give(needs[number]);
                    }
                    if sender.send((number, result)).is_err() {
                        return;
                    }
                }
            };
            if Builder::new().spawn_scoped(scope, worker).is_err() {
                break;
            }
            threads += 1;
        }
        drop(sender);
        if threads == 0 {
            // No thread could be started: the jobs run on this one.
            return (0..total).try_for_each(|number| {
                progress.at(number, name(number));
                let result = work(number);
                progress.aside(|| each(result))
            });
        }
        let mut early: Vec<Option<T>> = (0..total).map(|_| None).collect();
        let mut done = 0;
        while done < total {
            progress.at(done, name(done));
            match receiver.recv() {
                Ok((number, result)) => early[number] = Some(result),
                Err(mpsc::RecvError) => {
                    return Err(Failure::Message(
                        "error: a scenario ended without a result".to_owned(),
                    ));
                }
            }
            while let Some(result) = early.get_mut(done).and_then(Option::take) {
                let written = progress.aside(|| each(result));
                if !small {
                    memory.give(needs[done]);
                }
                done += 1;
                if let Err(failure) = written {
                    stop.store(true, Ordering::Relaxed);
                    memory.open();
                    return Err(failure);
                }
            }
        }
        Ok(())
    })
}

/// Unblocks the other threads if one panics, as its memory is never released.
struct Leaving<'a> {
    memory: &'a MemoryBudget,
    stop: &'a AtomicBool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.stop.store(true, Ordering::Relaxed);
            self.memory.open();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the jobs in the order in which they start, and the results in the order in
    /// which they arrive.
    fn done(needs: &[u64], small: bool, jobs: usize) -> (Vec<usize>, Vec<usize>) {
        let memory = MemoryBudget::new(10);
        let plan = Plan {
            jobs: Some(jobs),
            needs,
            memory: &memory,
            small,
        };
        let begun = Mutex::new(Vec::new());
        let mut came = Vec::new();
        let work = |number| {
            begun.lock().expect("no thread panics").push(number);
            number
        };
        let each = |number| {
            came.push(number);
            Ok(())
        };
        let ended = map_ordered(&plan, &Progress::new(), |n| n.to_string(), work, each);
        assert!(ended.is_ok());
        (begun.into_inner().expect("no thread panics"), came)
    }

    #[test]
    fn results_come_in_order_whichever_job_starts_first() {
        let needs = [1, 9, 3, 9, 11, 0];
        let numbers: Vec<usize> = (0..needs.len()).collect();
        assert_eq!(done(&needs, false, 1), (numbers.clone(), numbers.clone()));
        let (begun, came) = done(&needs, true, 1);
        assert_eq!((begun, came), (vec![4, 1, 3, 2, 0, 5], numbers.clone()));
        for jobs in 2..6 {
            for small in [false, true] {
                let (mut begun, came) = done(&needs, small, jobs);
                begun.sort_unstable();
                assert_eq!((&begun, &came), (&numbers, &numbers));
            }
        }
    }

    #[test]
    fn no_job_starts_after_a_result_failed_to_be_written() {
        let memory = MemoryBudget::new(10);
        let plan = Plan {
            jobs: Some(2),
            needs: &[9; 100],
            memory: &memory,
            small: false,
        };
        let begun = Mutex::new(0);
        let work = |_| *begun.lock().expect("no thread panics") += 1;
        let ended = map_ordered(
            &plan,
            &Progress::new(),
            |_| String::new(),
            work,
            |()| Err(Failure::Closed),
        );
        assert!(matches!(ended, Err(Failure::Closed)));
        assert!(begun.into_inner().expect("no thread panics") <= 4);
    }
}
