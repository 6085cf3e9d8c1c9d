//! The same work for many things, on all processors.

use std::panic::resume_unwind;
use std::thread;

/// What comes of each thing, in the order of the things.
pub(crate) fn map<T: Send, U: Send>(things: Vec<T>, work: impl Fn(T) -> U + Sync) -> Vec<U> {
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let share = things.len().div_ceil(threads).max(1);
    let mut things = things.into_iter();
    let shares: Vec<Vec<T>> = (0..threads)
        .map(|_| things.by_ref().take(share).collect())
        .collect();
    let work = &work;
    thread::scope(|scope| {
        let spawn =
            |share: Vec<T>| scope.spawn(move || share.into_iter().map(work).collect::<Vec<U>>());
        let running: Vec<_> = shares.into_iter().map(spawn).collect();
        let done = running.into_iter().map(|one| one.join());
        done.flat_map(|one| one.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_left_out_and_all_is_in_order() {
        for count in [0, 1, 2, 3, 7, 1000] {
            let doubled = super::map((0..count).collect(), |n: usize| 2 * n);
            assert_eq!(doubled, (0..count).map(|n| 2 * n).collect::<Vec<_>>());
        }
    }
}
