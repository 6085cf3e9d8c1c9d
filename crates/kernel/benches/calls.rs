//! The time of single calls as the range fills, on a kernel of each way of searching.
//!
//! `instructions.rs` counts the instructions of the same calls.

#[allow(dead_code)]
mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::time::{Duration, Instant};
use support::rounds::{Act, FILLED, KERNELS, ROUND, Rounds};
use support::{Bench, RANGE, share};

/// Measures a call at each fill of the range.
fn filled(c: &mut Criterion, group: &str, name: &str, act: Act) {
    let mut group = c.benchmark_group(group);
    for kernel in KERNELS {
        for filled in FILLED {
            let mut rounds = Rounds::new(act, kernel, filled);
            let name = [name, kernel].join(if name.is_empty() { "" } else { "/" });
            group.bench_function(BenchmarkId::new(name, filled), |b| {
                b.iter_custom(|n| time(n, &mut rounds));
            });
        }
    }
    group.finish();
}

/// The time of so many calls, without the preparation of the rounds.
fn time(iterations: u64, rounds: &mut Rounds) -> Duration {
    let mut total = Duration::ZERO;
    let mut left = iterations;
    while left > 0 {
        let now = left.min(ROUND as u64);
        rounds.before(now as usize);
        let start = Instant::now();
        rounds.calls(now as usize);
        total += start.elapsed();
        rounds.after();
        left -= now;
    }
    total
}

fn connect(c: &mut Criterion) {
    filled(c, "connect", "one-destination", Act::ConnectOne);
    filled(c, "connect", "65th-destination", Act::ConnectAnother(64));
    filled(c, "connect", "poisoned", Act::ConnectPoisoned);
}

fn bind(c: &mut Criterion) {
    filled(c, "bind", "", Act::Bind);
}

fn close(c: &mut Criterion) {
    filled(c, "close", "", Act::Close);
}

fn expiry(c: &mut Criterion) {
    filled(c, "time-wait-expiry", "", Act::Expiry);
}

/// The cost of explanations: switched off, and switched on.
fn explained(c: &mut Criterion) {
    let mut group = c.benchmark_group("reasons");
    let taken = [("made", share(50)), ("refused", RANGE)];
    for (what, connections) in taken {
        for (asked, on) in [("not-explained", false), ("explained", true)] {
            let mut bench = Bench::connected("linux-6.18", connections, 1);
            bench.machine.set_explain(on);
            if on && what == "refused" {
                group.sample_size(10);
            }
            let mut rounds = Rounds::on(bench, Act::ConnectOne);
            group.bench_function(BenchmarkId::new(what, asked), |b| {
                b.iter_custom(|n| time(n, &mut rounds));
            });
        }
    }
    group.finish();
}

/// A whole range, from a machine that has just booted to the last port.
fn whole(c: &mut Criterion) {
    let mut group = c.benchmark_group("whole-range");
    group
        .sample_size(20)
        .throughput(Throughput::Elements(RANGE as u64));
    for kernel in KERNELS {
        group.bench_function(BenchmarkId::new("connect", kernel), |b| {
            b.iter(|| Bench::connected(kernel, RANGE, 1));
        });
        group.bench_function(BenchmarkId::new("bind", kernel), |b| {
            b.iter(|| Bench::poisoned(kernel, RANGE));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .without_plots();
    targets = whole, connect, bind, close, expiry, explained
}
criterion_main!(benches);
