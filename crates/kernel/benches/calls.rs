//! What single calls cost as the range fills, on the oldest and the newest way of searching.
//!
//! Every measurement makes calls in small batches and puts the machine back into the state it had,
//! outside the measured time, so that "at 90 %" stays at 90 %.

#[allow(dead_code)]
mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::time::{Duration, Instant};
use support::{Bench, RANGE, destination, share};

/// One kernel of each way in which connect() searches.
const KERNELS: [&str; 3] = ["rhel-6.5", "linux-4.4", "linux-6.18"];
/// How full the range is, in percent.
const FILLED: [usize; 5] = [0, 50, 90, 99, 100];
/// Calls between two looks at the clock. One percent of the range is more than that.
const BATCH: u64 = 64;

/// Measures `act` on `bench` in batches; `back` undoes one batch.
fn batches<T>(
    iterations: u64,
    bench: &mut Bench,
    mut act: impl FnMut(&mut Bench) -> T,
    mut back: impl FnMut(&mut Bench, Vec<T>),
) -> Duration {
    let mut total = Duration::ZERO;
    let mut left = iterations;
    while left > 0 {
        let now = left.min(BATCH);
        let mut done = Vec::with_capacity(now as usize);
        let start = Instant::now();
        for _ in 0..now {
            done.push(act(bench));
        }
        total += start.elapsed();
        back(bench, done);
        left -= now;
    }
    total
}

fn abort_all<E>(bench: &mut Bench, socks: Vec<Result<fourtuple_kernel::SockId, E>>) {
    for sock in socks.into_iter().flatten() {
        bench.abort(sock);
    }
}

fn connect(c: &mut Criterion) {
    let mut group = c.benchmark_group("connect");
    for kernel in KERNELS {
        for filled in FILLED {
            let mut bench = Bench::connected(kernel, share(filled), 1);
            let id = BenchmarkId::new(format!("one-destination/{kernel}"), filled);
            group.bench_function(id, |b| {
                b.iter_custom(|n| batches(n, &mut bench, |k| k.connect(destination(0)), abort_all));
            });
        }
        // The same number of ports in use, each towards 64 destinations; the next goes elsewhere.
        for filled in FILLED {
            let mut bench = Bench::connected(kernel, share(filled) * 64, 64);
            let id = BenchmarkId::new(format!("65th-destination/{kernel}"), filled);
            group.bench_function(id, |b| {
                b.iter_custom(|n| {
                    batches(n, &mut bench, |k| k.connect(destination(64)), abort_all)
                });
            });
        }
        for filled in FILLED {
            let mut bench = Bench::poisoned(kernel, share(filled));
            let id = BenchmarkId::new(format!("poisoned/{kernel}"), filled);
            group.bench_function(id, |b| {
                b.iter_custom(|n| batches(n, &mut bench, |k| k.connect(destination(0)), abort_all));
            });
        }
    }
    group.finish();
}

fn bind(c: &mut Criterion) {
    let mut group = c.benchmark_group("bind");
    for kernel in KERNELS {
        for filled in FILLED {
            let mut bench = Bench::poisoned(kernel, share(filled));
            group.bench_function(BenchmarkId::new(kernel, filled), |b| {
                b.iter_custom(|n| {
                    batches(n, &mut bench, Bench::bind, |bench, socks| {
                        for sock in socks.into_iter().flatten() {
                            bench.machine.close(sock);
                        }
                    })
                });
            });
        }
    }
    group.finish();
}

/// The newest of the connections is closed, which is where the next one goes.
fn close(c: &mut Criterion) {
    let mut group = c.benchmark_group("close");
    for kernel in KERNELS {
        for filled in FILLED {
            let held = share(filled).saturating_sub(BATCH as usize);
            let mut bench = Bench::connected(kernel, held, 1);
            group.bench_function(BenchmarkId::new(kernel, filled), |b| {
                b.iter_custom(|n| ends(n, &mut bench, false));
            });
        }
    }
    group.finish();
}

fn expiry(c: &mut Criterion) {
    let mut group = c.benchmark_group("time-wait-expiry");
    for kernel in KERNELS {
        for filled in FILLED {
            let held = share(filled).saturating_sub(BATCH as usize);
            let mut bench = Bench::connected(kernel, held, 1);
            group.bench_function(BenchmarkId::new(kernel, filled), |b| {
                b.iter_custom(|n| ends(n, &mut bench, true));
            });
        }
    }
    group.finish();
}

/// Connections are made, closed, and their TIME-WAITs end; one of the latter two is measured.
fn ends(iterations: u64, bench: &mut Bench, expiry: bool) -> Duration {
    let (mut closing, mut expiring) = (Duration::ZERO, Duration::ZERO);
    let mut left = iterations;
    while left > 0 {
        let now = left.min(BATCH);
        let socks: Vec<_> = (0..now)
            .map(|_| bench.connect(destination(0)).expect("there is a port"))
            .collect();
        let start = Instant::now();
        for sock in socks {
            bench.close(sock);
        }
        closing += start.elapsed();
        // Two turns of the wheel of old kernels.
        let over = bench.machine.now().after(120_000_000_000);
        let start = Instant::now();
        bench.machine.advance(over);
        expiring += start.elapsed();
        left -= now;
    }
    if expiry { expiring } else { closing }
}

/// What it costs that reasons could be asked for, and what they cost if they are.
fn explained(c: &mut Criterion) {
    let mut group = c.benchmark_group("reasons");
    let taken = [("made", share(50)), ("refused", RANGE)];
    for (what, connections) in taken {
        for (asked, on) in [("nobody-asks", false), ("asked-for", true)] {
            let mut bench = Bench::connected("linux-6.18", connections, 1);
            bench.machine.explain(on);
            if on && what == "refused" {
                group.sample_size(10);
            }
            group.bench_function(BenchmarkId::new(what, asked), |b| {
                b.iter_custom(|n| batches(n, &mut bench, |k| k.connect(destination(0)), abort_all));
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
