//! Time that was really spent: processor time of the thread, so that what else runs on the machine
//! counts less.

use cpu_time::ThreadTime;
use std::hint::black_box;

/// The least nanoseconds that some runs took.
pub(crate) fn best<T>(runs: usize, mut act: impl FnMut() -> T) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..runs {
        let start = ThreadTime::now();
        let made = black_box(act());
        let took = start.elapsed();
        drop(made);
        least = least.min(took.as_nanos() as f64);
    }
    least
}
