//! Pins of where sysctls live: what writing them in one network namespace does to another.

use super::super::Bench;
use super::{Pin, outcome, text};
use fourtuple_kernel::profile::Behaviours;
use fourtuple_kernel::profile::behaviour::*;
use fourtuple_kernel::{SegKind, Segment, WorldNs};

/// Writes a key in the second namespace, then in the first, and each time asks both what they do.
fn scope(b: Behaviours, key: &str, value: &str, probe: fn(&mut Bench) -> String) -> String {
    let mut words = Vec::new();
    for writer in [1, 0] {
        let mut k = Bench::empty(b);
        let second = k.w.add_namespace(k.m);
        let both = [k.ns, second];
        k.ns = both[writer];
        words.push(outcome(k.sysctl(key, value)).to_owned());
        for ns in both {
            words.push(probe(&mut inside(&k, ns)));
        }
    }
    words.join(" ")
}

/// A copy of the bench that looks at one namespace, with a server in it.
fn inside(k: &Bench, ns: WorldNs) -> Bench {
    let mut k = k.clone();
    k.ns = ns;
    k.server_ns = ns;
    k.serve(k.s1);
    k
}

/// Connects from 127.0.0.1:40000, closes first; the port is in TIME-WAIT.
fn time_wait(k: &mut Bench, peer_closes: bool) {
    let s = k.ra();
    k.bind(s, k.a1, 40000).unwrap();
    k.connect(s, k.s1).unwrap();
    if peer_closes {
        k.close_first(s);
    } else {
        k.close(s);
    }
}

fn held_after(k: &mut Bench, ms: u64) -> String {
    k.wait_ms(ms);
    let held = k.bucket(40000).is_some();
    (if held { "held" } else { "free" }).to_owned()
}

macro_rules! scope_pin {
    ($field:ident, $kernel:literal, $key:literal, $value:literal, $probe:expr, $off:literal, $on:literal) => {
        Pin {
            behaviour: stringify!($field),
            kernel: $kernel,
            program: |b| scope(b, $key, $value, $probe),
            answers: &[
                (
                    |b| b.$field = Scope::Absent,
                    concat!("ENOENT ", $off, " ", $off, " ENOENT ", $off, " ", $off),
                ),
                (
                    |b| b.$field = Scope::Machine,
                    concat!("ok ", $on, " ", $on, " ok ", $on, " ", $on),
                ),
                (
                    |b| b.$field = Scope::MachineHidden,
                    concat!("ENOENT ", $off, " ", $off, " ok ", $on, " ", $on),
                ),
                (
                    |b| b.$field = Scope::FirstOnly,
                    concat!("ok ", $on, " ", $off, " ok ", $on, " ", $off),
                ),
                (
                    |b| b.$field = Scope::Netns,
                    concat!("ok ", $off, " ", $on, " ok ", $on, " ", $off),
                ),
            ],
        }
    };
}

pub(super) const PINS: &[Pin] = &[
    scope_pin!(
        reserved_ports,
        "linux-3.18",
        "ip_local_reserved_ports",
        "32768",
        |k| {
            let s = k.tcp();
            text(k.bind(s, "127.0.0.7", 0))
        },
        "32768",
        "32769"
    ),
    scope_pin!(
        range_scope,
        "linux-3.13",
        "ip_local_port_range",
        "40000 40003",
        |k| {
            let s = k.tcp();
            text(k.bind(s, "127.0.0.7", 0))
        },
        "32768",
        "40000"
    ),
    scope_pin!(
        nonlocal_bind_scope,
        "linux-3.18",
        "ip_nonlocal_bind",
        "1",
        |k| {
            let s = k.tcp();
            text(k.bind(s, "8.8.8.8", 40000))
        },
        "EADDRNOTAVAIL",
        "40000"
    ),
    scope_pin!(
        unprivileged_port_scope,
        "linux-4.11",
        "ip_unprivileged_port_start",
        "80",
        |k| {
            let s = k.tcp_as(1000);
            text(k.bind(s, "127.0.0.1", 80))
        },
        "EACCES",
        "80"
    ),
    scope_pin!(
        tw_reuse_scope,
        "linux-4.10",
        "tcp_tw_reuse",
        "1",
        |k| {
            let s = k.unbound_pair(k.s1);
            k.close_first(s);
            k.wait(3);
            // A search that begins at the port in TIME-WAIT takes it over or goes on.
            let old = k.held()[0];
            k.chooser().hash_of = Some(|_| u64::MAX << 32 | u64::from(u32::MAX - 1));
            let got = k.unbound(k.s1);
            (if got == Ok(old) { "reused" } else { "kept" }).to_owned()
        },
        "kept",
        "reused"
    ),
    scope_pin!(
        tw_recycle_scope,
        "linux-4.10",
        "tcp_tw_recycle",
        "1",
        |k| {
            time_wait(k, true);
            held_after(k, 8_000)
        },
        "held",
        "free"
    ),
    scope_pin!(
        timestamps_scope,
        "linux-4.14",
        "tcp_timestamps",
        "0",
        |k| {
            time_wait(k, true);
            let s = k.ra();
            k.bind(s, k.a1, 40000).unwrap();
            text(k.connect(s, k.s1))
        },
        "40000",
        "EADDRNOTAVAIL"
    ),
    scope_pin!(
        fin_timeout_scope,
        "linux-4.9",
        "tcp_fin_timeout",
        "5",
        |k| {
            time_wait(k, false);
            held_after(k, 20_000)
        },
        "held",
        "free"
    ),
    scope_pin!(
        rfc1337_scope,
        "linux-4.15",
        "tcp_rfc1337",
        "1",
        |k| {
            time_wait(k, true);
            let [src, dst] = [k.s1, "127.0.0.1:40000"].map(super::super::bench::end);
            let segment = Segment::new(src, dst, SegKind::Rst)
                .with_saw_fin(true)
                .with_timestamps(true);
            k.w.machine_mut(k.m).deliver(k.ns.ns, segment);
            held_after(k, 0)
        },
        "free",
        "held"
    ),
    scope_pin!(
        max_tw_scope,
        "linux-4.11",
        "tcp_max_tw_buckets",
        "0",
        |k| {
            time_wait(k, true);
            held_after(k, 0)
        },
        "held",
        "free"
    ),
    Pin {
        behaviour: "range_above_unprivileged",
        kernel: "linux-4.11",
        program: |b| {
            let mut k = Bench::local_with(b);
            let written = outcome(k.sysctl("ip_local_port_range", "1000 2000"));
            k.with("ip_unprivileged_port_start", "1000");
            let lower = outcome(k.sysctl("ip_local_port_range", "1000 2000"));
            format!("{written} {lower}")
        },
        answers: &[
            (|b| b.range_above_unprivileged = true, "EINVAL ok"),
            (|b| b.range_above_unprivileged = false, "ok ok"),
        ],
    },
];
