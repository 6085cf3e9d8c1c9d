//! Work on several threads whose results come in one order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::Builder;

use fourtuple_harness::threads;

use crate::output::Failure;
use crate::progress::Progress;
use crate::room::Room;

/// How so many pieces of work are done.
pub(crate) struct Plan<'a> {
    /// How many at a time; as many as there are processors if left out.
    pub(crate) jobs: Option<usize>,
    /// Bytes that each of them needs, and where they come from.
    pub(crate) needs: &'a [u64],
    pub(crate) room: &'a Room,
    /// Whether a result takes nearly nothing of what its work needed. Then large pieces of work go first, so that none of them is
    /// left for the end; otherwise all go in order, so that what is waited for is never behind what waits.
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

/// Does pieces of work, as many at a time as there is room for, and hands their results over in the order of their numbers.
pub(crate) fn in_order<T: Send>(
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
        room, needs, small, ..
    } = plan;
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel::<(usize, T)>();
        let mut threads = 0;
        for _ in 0..jobs {
            let sender = sender.clone();
            let (work, next, stop) = (&work, &next, &stop);
            let worker = move || {
                let _guard = Leaving { room, stop };
                loop {
                    let number = {
                        // Room is taken in the order in which work begins.
                        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                        let Some(&number) = next.next() else { return };
                        room.take(needs[number]);
                        number
                    };
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let result = work(number);
                    if *small {
                        room.give(needs[number]);
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
            // The system gives no thread at all: this one does the work.
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
                    return Err(Failure::Told(
                        "error: a scenario ended without a result".to_owned(),
                    ));
                }
            }
            while let Some(result) = early.get_mut(done).and_then(Option::take) {
                let written = progress.aside(|| each(result));
                if !small {
                    room.give(needs[done]);
                }
                done += 1;
                if let Err(failure) = written {
                    stop.store(true, Ordering::Relaxed);
                    room.open();
                    return Err(failure);
                }
            }
        }
        Ok(())
    })
}

/// Lets the others go on when a thread panics: what it had room for is never given back.
struct Leaving<'a> {
    room: &'a Room,
    stop: &'a AtomicBool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.stop.store(true, Ordering::Relaxed);
            self.room.open();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the work in the order in which it begins, and the results in the order in which they come.
    fn done(needs: &[u64], small: bool, jobs: usize) -> (Vec<usize>, Vec<usize>) {
        let room = Room::new(10);
        let plan = Plan {
            jobs: Some(jobs),
            needs,
            room: &room,
            small,
        };
        let begun = Mutex::new(Vec::new());
        let mut came = Vec::new();
        let work = |number| {
            begun.lock().expect("nobody panics").push(number);
            number
        };
        let each = |number| {
            came.push(number);
            Ok(())
        };
        let ended = in_order(&plan, &Progress::new(), |n| n.to_string(), work, each);
        assert!(ended.is_ok());
        (begun.into_inner().expect("nobody panics"), came)
    }

    #[test]
    fn results_come_in_order_whatever_begins_first() {
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
    fn nothing_more_begins_once_a_result_cannot_be_told() {
        let room = Room::new(10);
        let plan = Plan {
            jobs: Some(2),
            needs: &[9; 100],
            room: &room,
            small: false,
        };
        let begun = Mutex::new(0);
        let work = |_| *begun.lock().expect("nobody panics") += 1;
        let ended = in_order(
            &plan,
            &Progress::new(),
            |_| String::new(),
            work,
            |()| Err(Failure::Closed),
        );
        assert!(matches!(ended, Err(Failure::Closed)));
        assert!(begun.into_inner().expect("nobody panics") <= 4);
    }
}
