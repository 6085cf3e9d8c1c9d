//! Measurements of the port model alone.

use crate::clock::best;
use crate::machine::rounds::{Act, ROUND, Rounds};
use crate::machine::{Bench, RANGE, destination, share};
use crate::memory;
use std::hint::black_box;

/// Nanoseconds per connect() and per bind() while the whole range fills up, on a machine that has
/// just booted.
pub(crate) fn whole_range(kernel: &str) -> (f64, f64) {
    let connect = best(15, || Bench::connected(kernel, RANGE, 1));
    let bind = best(15, || Bench::poisoned(kernel, RANGE));
    let each = |all: f64| all / RANGE as f64;
    (each(connect), each(bind))
}

/// Nanoseconds of a connect() that finds no port because all are taken by connections to the
/// destination, or because all are bound.
pub(crate) fn refused(kernel: &str) -> (f64, f64) {
    const CALLS: usize = 1000;
    let refuse = |mut bench: Bench| {
        best(15, || {
            for _ in 0..CALLS {
                let refused = bench.connect(destination(0));
                assert!(refused.is_err(), "there is no port");
            }
        }) / CALLS as f64
    };
    let full = refuse(Bench::connected(kernel, RANGE, 1));
    let poisoned = refuse(Bench::poisoned(kernel, RANGE));
    (full, poisoned)
}

/// Nanoseconds of a successful connect() at half of the range, and of a refused one, with or
/// without tracing of refusals.
pub(crate) fn reasons(kernel: &str, asked: bool) -> (f64, f64) {
    let mut bench = Bench::connected(kernel, share(50), 1);
    bench.machine.set_explain(asked);
    let made = lower_quartile(bench);
    let mut bench = Bench::connected(kernel, RANGE, 1);
    bench.machine.set_explain(asked);
    const CALLS: usize = 100;
    let refused = best(15, || {
        for _ in 0..CALLS {
            assert!(bench.connect(destination(0)).is_err(), "there is no port");
        }
    });
    (made, refused / CALLS as f64)
}

/// Nanoseconds of a connect() to one destination when this percentage of the range is taken.
pub(crate) fn at_fill(kernel: &str, percent: usize) -> f64 {
    lower_quartile(Bench::connected(
        kernel,
        share(percent).min(RANGE - ROUND),
        1,
    ))
}

/// Nanoseconds of a connect(): the lower quartile of rounds that each restore the state.
fn lower_quartile(bench: Bench) -> f64 {
    let mut rounds = Rounds::on(bench, Act::ConnectOne);
    let mut all = Vec::new();
    for _ in 0..200 {
        all.push(best(1, || rounds.calls(ROUND)) / ROUND as f64);
        rounds.after();
    }
    // The minimum of such short times would measure the clock's resolution.
    all.sort_by(f64::total_cmp);
    all[all.len() / 4]
}

/// The argument with which this program only holds connections, so that valgrind can count them.
pub(crate) const HELD: &str = "held";

/// Makes the connections, without measuring anything.
pub(crate) fn held_inside(
    connections: Option<String>,
    destinations: Option<String>,
) -> Result<(), String> {
    let number = |word: Option<String>| word.and_then(|word| word.parse().ok());
    let numbers = number(connections).zip(number(destinations));
    let (connections, destinations) = numbers.ok_or("there is nothing to hold")?;
    black_box(Bench::connected("linux-6.18", connections, destinations));
    Ok(())
}

/// Bytes per connection, and nanoseconds per connect(), for this number of connections over this
/// number of destinations.
pub(crate) fn held(connections: usize, destinations: usize) -> (f64, f64) {
    let before = memory::used();
    let mut bench = None;
    let took = best(1, || {
        bench = Some(Bench::connected("linux-6.18", connections, destinations));
    });
    let bytes = memory::used() - before;
    drop(bench);
    (bytes as f64 / connections as f64, took / connections as f64)
}
