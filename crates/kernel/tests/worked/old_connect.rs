//! Eras up to 4.1, examples 1 to 8 and 16: the port that each call gets.
//!
//! Range 40000-40003, local addresses A1 and A2, remote servers S1 and S2, hash and hint 0.

use super::Old;
use crate::support::{Bench, NOTAVAIL, S, USE, ok};
use fourtuple_kernel::SockOpt;

/// Four sockets on A1, each bound to port 0 with draw 0 and connected to S1.
fn four_bound(k: &mut Bench) -> Vec<S> {
    (0..4).map(|_| k.bound_pair(k.a1, k.s1)).collect()
}

/// The order in which unbound connects walk four free ports.
fn connect_order(era: Old) -> [u16; 4] {
    if era.even() {
        [40000, 40002, 40001, 40003]
    } else {
        [40001, 40002, 40003, 40000]
    }
}

pub(super) fn example_1_the_article(era: Old) {
    let mut k = Bench::far(era.kernel());
    let a = four_bound(&mut k);
    let ports: Vec<u16> = a.iter().map(|&s| k.w.local_addr(s).port()).collect();
    assert_eq!(ports, [40000, 40001, 40002, 40003]);
    for port in ports {
        assert_eq!(k.values(port).unwrap().0, 0, "fastreuse of {port}");
    }
    for to in [k.s1, k.s2] {
        let b = k.tcp();
        assert_eq!(k.connect(b, to), NOTAVAIL);
    }
}

pub(super) fn example_2_connected_unbound_first(era: Old) {
    let mut k = Bench::far(era.kernel());
    for port in connect_order(era) {
        let a = k.tcp();
        assert_eq!(k.connect(a, k.s1), ok(port));
        assert_eq!(k.values(port), Some((-1, -1)));
    }
    let first = connect_order(era)[0];
    let b = k.tcp();
    assert_eq!(k.connect(b, k.s2), ok(first), "shares the bucket");
    let c = k.tcp();
    assert_eq!(k.connect(c, k.s1), NOTAVAIL);
    // The hint has moved by one port (by two where starts are even): the next one shows it.
    let d = k.tcp();
    assert_eq!(k.connect(d, k.s2), ok(connect_order(era)[1]));
}

pub(super) fn example_3_another_address_port_0(era: Old) {
    let mut k = Bench::far(era.kernel());
    four_bound(&mut k);
    let b = k.tcp();
    k.draws(&[2]);
    if era.shares() {
        assert_eq!(k.bind(b, k.a2, 0), ok(40002));
        assert_eq!(k.connect(b, k.s1), ok(40002));
    } else {
        assert_eq!(k.bind(b, k.a2, 0), USE);
    }
}

pub(super) fn example_4_explicit_port(era: Old) {
    let mut k = Bench::far(era.kernel());
    four_bound(&mut k);
    let b = k.tcp();
    assert_eq!(k.bind(b, k.a2, 40002), ok(40002));
    assert_eq!(k.connect(b, k.s1), ok(40002));
}

pub(super) fn example_5_wildcard_or_same_address(era: Old) {
    let mut k = Bench::far(era.kernel());
    four_bound(&mut k);
    for ip in ["0.0.0.0", k.a1] {
        let plain = k.tcp();
        assert_eq!(k.bind(plain, ip, 0), USE);
        let reusing = k.ra();
        assert_eq!(k.bind(reusing, ip, 0), USE);
    }
}

pub(super) fn example_6_reuseaddr_on_a(era: Old) {
    let mut k = Bench::far(era.kernel());
    k.draws(&[0, 1, 2, 3]);
    let halves = era.even();
    let mut bound = Vec::new();
    let mut connected = Vec::new();
    for _ in 0..4 {
        let a = k.ra();
        bound.push(k.bind(a, k.a1, 0));
        connected.push(k.connect(a, k.s1));
    }
    if halves {
        assert_eq!(bound, [ok(40000), ok(40001), ok(40000), ok(40001)]);
        assert_eq!(connected, [ok(40000), ok(40001), NOTAVAIL, NOTAVAIL]);
        assert_eq!(k.held(), [40000, 40001]);
        let b = k.tcp();
        assert_eq!(k.connect(b, k.s1), ok(40002));
        return;
    }
    assert_eq!(bound, [ok(40000), ok(40001), ok(40002), ok(40003)]);
    assert_eq!(connected, bound);
    assert_eq!(k.values(40000).unwrap().0, 1);
    let b = k.tcp();
    assert_eq!(k.connect(b, k.s1), NOTAVAIL);

    let b = k.ra();
    k.draws(&[1, 1]);
    assert_eq!(k.bind(b, k.a1, 0), ok(40001));
    assert_eq!(k.connect(b, k.s1), NOTAVAIL);
    assert!(!k.holds_port(b), "the port is lost");
    assert_eq!(k.bind(b, k.a1, 0), ok(40001));
    assert_eq!(k.connect(b, k.s2), ok(40001));
}

pub(super) fn example_7_six_reuseaddr_binds(era: Old) {
    let mut k = Bench::far(era.kernel());
    let got: Vec<_> = (0..6)
        .map(|_| {
            let s = k.ra();
            k.bind(s, k.a1, 0)
        })
        .collect();
    let (p0, p1, p2, p3) = (ok(40000), ok(40001), ok(40002), ok(40003));
    let want = match era {
        Old::D => [p0, p1, p2, p3, USE, USE],
        Old::F => [p0; 6],
        e if e < Old::F => [p0, p1, p2, p3, p0, p0],
        e if e.even() => [p0, p1, p0, p1, p0, p1],
        _ => [p0, p1, p2, p3, p0, p1],
    };
    assert_eq!(got, want);
}

pub(super) fn example_8_the_accident_of_3_3(era: Old) {
    let mut k = Bench::far(era.kernel());
    k.draws(&[2, 2]);
    let (a, b) = (k.ra(), k.ra());
    let got = [k.bind(a, k.a1, 0), k.bind(b, k.a1, 0)];
    let want = match era {
        Old::F => [40002, 40002],
        e if e.even() => [40000, 40001],
        _ => [40002, 40003],
    };
    assert_eq!(got, want.map(ok));
    assert_eq!(k.connect(a, k.s1), ok(want[0]));
    let second = k.connect(b, k.s1);
    assert_eq!(second, if era == Old::F { NOTAVAIL } else { ok(want[1]) });
}

pub(super) fn example_16_reuseport(era: Old) {
    let known = era.has_reuseport();
    // Servers of one user share, another user's does not.
    let mut k = Bench::far(era.kernel());
    let (a, b, c) = (k.tcp_as(1000), k.tcp_as(1000), k.tcp_as(2000));
    for s in [a, b, c] {
        assert_eq!(k.try_set(s, SockOpt::ReusePort(true)).is_ok(), known);
    }
    assert_eq!(k.bind(a, "0.0.0.0", 40000), ok(40000));
    assert_eq!(k.listen(a), ok(40000));
    if known {
        assert_eq!(k.bind(b, "0.0.0.0", 40000), ok(40000));
        assert_eq!(k.listen(b), ok(40000));
    } else {
        assert_eq!(k.bind(b, "0.0.0.0", 40000), USE);
    }
    assert_eq!(k.bind(c, "0.0.0.0", 40000), USE);

    // Port 0: shared before any free port.
    let mut k = Bench::far(era.kernel());
    let (a, b) = (k.tcp(), k.tcp());
    for s in [a, b] {
        assert_eq!(k.try_set(s, SockOpt::ReusePort(true)).is_ok(), known);
    }
    assert_eq!(k.bind(a, k.a1, 0), ok(40000));
    assert_eq!(k.bind(b, k.a1, 0), ok(if known { 40000 } else { 40001 }));

    // With both options listen() leaves fastreuse at 1.
    if known {
        let mut k = Bench::far(era.kernel());
        for _ in 0..2 {
            let s = k.rarp();
            k.listener(s, "0.0.0.0:40000");
        }
        assert_eq!(k.values(40000).unwrap().0, 1);
        let third = k.ra();
        assert_eq!(k.bind(third, "0.0.0.0", 40000), ok(40000));
        assert_eq!(k.listen(third), USE);
    }
}

on_old_eras!(
    example_1_the_article,
    example_2_connected_unbound_first,
    example_3_another_address_port_0,
    example_4_explicit_port,
    example_5_wildcard_or_same_address,
    example_6_reuseaddr_on_a,
    example_7_six_reuseaddr_binds,
    example_8_the_accident_of_3_3,
    example_16_reuseport,
);
