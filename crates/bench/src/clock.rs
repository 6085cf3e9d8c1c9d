//! CPU time of the thread, which other programs on the machine affect less than wall-clock time.

use cpu_time::ThreadTime;
use std::hint::black_box;

/// The minimum time of several runs, in nanoseconds.
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
