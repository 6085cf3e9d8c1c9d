//! 28,000 connections held by one host, on Linux's ports and on turmoil's own sockets, in one run.
//! The Linux host then fills its range of 28,232 ports, and the next connect must be refused with
//! the kernel's errno.

use criterion::{BenchmarkId, Criterion};
use fourtuple_turmoil::{BuildLinux, Errno, Linux, State, net, ss};
use std::time::{Duration, SystemTime};
use turmoil::Builder;

/// The number of connections that are held.
const HELD: usize = 28_000;
/// The size of Linux's default ephemeral port range.
const RANGE: usize = 28_232;

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .epoch(SystemTime::UNIX_EPOCH)
        .rng_seed(1)
        .simulation_duration(Duration::from_secs(3600))
        .min_message_latency(Duration::ZERO)
        .max_message_latency(Duration::ZERO)
        .ephemeral_ports(32_768..=60_999);
    builder
}

/// Defines the same program with either kind of sockets.
macro_rules! hold {
    ($sim:expr, $net:path, $count:expr, $then:expr) => {{
        use $net::{TcpListener, TcpStream};
        let mut sim = $sim;
        sim.host("server", || async {
            let listener = TcpListener::bind("0.0.0.0:80").await?;
            let mut accepted = Vec::new();
            loop {
                accepted.push(listener.accept().await?);
            }
        });
        sim.client("client", async {
            let mut held = Vec::new();
            for _ in 0..$count {
                held.push(TcpStream::connect("server:80").await?);
            }
            $then.await
        });
        sim.run().expect("every connect finds a port");
    }};
}

async fn nothing() -> turmoil::Result {
    Ok(())
}

/// Makes one more connection on a full range.
async fn one_more() -> turmoil::Result {
    assert_eq!(ss("client")?.count(State::Established), RANGE);
    let error = net::TcpStream::connect("server:80")
        .await
        .expect_err("there is no port left");
    assert_eq!(error.raw_os_error(), Some(Errno::EADDRNOTAVAIL.number()));
    Ok(())
}

fn main() {
    hold!(
        builder().build_linux(Linux::default()),
        fourtuple_turmoil::net,
        RANGE,
        one_more()
    );
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("held");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100));
    group.bench_function(BenchmarkId::new("stock", HELD), |b| {
        b.iter(|| hold!(builder().build(), turmoil::net, HELD, nothing()));
    });
    group.bench_function(BenchmarkId::new("linux", HELD), |b| {
        b.iter(|| {
            hold!(
                builder().build_linux(Linux::default()),
                fourtuple_turmoil::net,
                HELD,
                nothing()
            );
        });
    });
    group.finish();
    criterion.final_summary();
}
