//! The table of scenarios that real kernels ran: one script for each line, on the kernels of each
//! column.
//!
//! Listeners on 127.0.0.1:5000 and 127.0.0.9:5001, range 40000-40003.

use crate::support::{Answer, Bench, NOTAVAIL, S, USE, kernel, ok};
use fourtuple_kernel::{Errno, Shutdown, SockOpt};
use rstest::rstest;
use rstest_reuse::{apply, template};

#[template]
#[rstest]
#[case::mainline_2_6_32("linux-2.6.32")]
#[case::rhel_6_5("rhel-6.5")]
#[case::rhel_6_8("rhel-6.8")]
#[case::linux_3_10("linux-3.10")]
#[case::linux_4_4("linux-4.4")]
#[case::linux_4_19("linux-4.19")]
#[case::debian_11_5_10("debian-11")]
#[case::debian_12_6_1("debian-12")]
#[case::debian_13_6_12("debian-13")]
#[case::linux_6_17("linux-6.17.13")]
#[case::linux_6_18("linux-6.18")]
#[case::linux_6_19("linux-6.19")]
#[case::linux_7_0("linux-7.0")]
#[case::linux_7_1("linux-7.1")]
#[case::linux_7_2("linux-7.2")]
#[case::linux_7_3("linux-7.3")]
fn recorded(#[case] name: &str) {}

pub(super) fn bench(name: &str) -> Bench {
    let mut k = Bench::empty(kernel(name));
    (k.s1, k.s2) = ("127.0.0.1:5000", "127.0.0.9:5001");
    for at in [k.s1, k.s2] {
        k.serve(at);
    }
    k.range("40000 40003").with("tcp_tw_reuse", "0");
    k
}

fn one_of(name: &str, names: &[&str]) -> bool {
    names.contains(&name)
}

fn tries_lower_half_and_shares(name: &str) -> bool {
    one_of(name, &["rhel-6.8", "linux-4.4"])
}

/// bind(0) may share a port by SO_REUSEADDR.
fn shares_on_exhaustion(name: &str) -> bool {
    one_of(
        name,
        &[
            "linux-2.6.32",
            "rhel-6.5",
            "rhel-6.8",
            "linux-3.10",
            "linux-4.4",
        ],
    )
}

fn four_bound(k: &mut Bench, reuse: bool) -> (Vec<S>, Vec<Answer>) {
    let sockets: Vec<S> = (0..4)
        .map(|_| {
            let a = k.tcp();
            k.set(a, SockOpt::ReuseAddr(reuse))
        })
        .collect();
    let connects = sockets
        .iter()
        .map(|&a| {
            k.bind(a, "127.0.0.2", 0).unwrap();
            k.connect(a, k.s1)
        })
        .collect();
    (sockets, connects)
}

fn four_unbound(k: &mut Bench) -> Vec<S> {
    (0..4).map(|_| k.unbound_pair(k.s1)).collect()
}

/// bind() of a new plain socket to port 0.
fn bind_0(k: &mut Bench, ip: &str) -> Answer {
    let b = k.tcp();
    k.bind(b, ip, 0)
}

#[apply(recorded)]
fn s1_bound_ports_are_skipped(#[case] name: &str) {
    let mut k = bench(name);
    let (_, connects) = four_bound(&mut k, false);
    assert!(connects.iter().all(Result::is_ok));
    assert_eq!(k.unbound(k.s2), NOTAVAIL);
}

#[apply(recorded)]
fn s2_connect_type_ports_are_shared(#[case] name: &str) {
    let mut k = bench(name);
    four_unbound(&mut k);
    assert!(k.unbound(k.s2).is_ok());
    assert_eq!(k.unbound(k.s1), NOTAVAIL);
}

#[apply(recorded)]
fn s3_s4_another_and_the_same_address(#[case] name: &str) {
    let mut k = bench(name);
    four_bound(&mut k, false);
    let other = bind_0(&mut k, "127.0.0.3");
    assert_eq!(other.is_ok(), name != "linux-2.6.32", "{other:?}");
    assert_eq!(bind_0(&mut k, "127.0.0.2"), USE);
}

#[apply(recorded)]
fn s5_reuseaddr(#[case] name: &str) {
    let mut k = bench(name);
    k.draws(&[0, 1, 2, 3]);
    let (_, connects) = four_bound(&mut k, true);
    let failed = connects.iter().filter(|c| **c == NOTAVAIL).count();
    let shares = tries_lower_half_and_shares(name);
    assert_eq!(k.held().len(), if shares { 2 } else { 4 });
    assert_eq!(failed, if shares { 2 } else { 0 });
    for reuse in [false, true] {
        let mut k = k.clone();
        let b = k.tcp();
        k.set(b, SockOpt::ReuseAddr(reuse));
        assert_eq!(k.connect(b, k.s2).is_ok(), shares, "S5, S5b");
    }
    for ip in ["127.0.0.2", "0.0.0.0"] {
        let mut k = k.clone();
        let b = k.ra();
        let got = k.bind(b, ip, 0);
        assert_eq!(got.is_ok(), shares_on_exhaustion(name), "S5c, S5d: {got:?}");
    }
}

#[apply(recorded)]
fn s6_time_wait_of_bound_ports(#[case] name: &str) {
    for tw_reuse in ["0", "1", "2"] {
        let mut k = bench(name);
        k.with("tcp_tw_reuse", tw_reuse);
        for s in four_bound(&mut k, false).0 {
            k.close_first(s);
        }
        for pause in [0, 1_500, 1_200] {
            k.wait_ms(pause);
            assert_eq!(k.unbound(k.s2), NOTAVAIL);
            assert_eq!(k.unbound(k.s1), NOTAVAIL);
        }
        let plain = bind_0(&mut k, "127.0.0.2");
        assert_eq!(plain, USE);
        let b = k.ra();
        assert_eq!(k.bind(b, "127.0.0.2", 0), USE, "the old ones lack it");
        let got = bind_0(&mut k, "127.0.0.3");
        assert_eq!(got.is_ok(), name != "linux-2.6.32");
    }
}

#[apply(recorded)]
fn s6u_time_wait_of_connect_type_ports(#[case] name: &str) {
    for tw_reuse in ["0", "1", "2"] {
        let mut k = bench(name);
        k.with("tcp_tw_reuse", tw_reuse);
        for s in four_unbound(&mut k) {
            k.close_first(s);
        }
        assert!(k.clone().unbound(k.s2).is_ok(), "another destination");
        k.wait_ms(30);
        assert_eq!(k.unbound(k.s1), NOTAVAIL);
        k.wait_ms(2_670);
        assert_eq!(k.unbound(k.s1).is_ok(), tw_reuse != "0", "at 2.7 s");
    }
}

#[apply(recorded)]
fn s6p_peer_closes_first(#[case] name: &str) {
    let mut k = bench(name);
    for s in four_bound(&mut k, false).0 {
        k.close_last(s);
    }
    assert!(k.unbound(k.s2).is_ok());
    assert!(k.unbound(k.s1).is_ok());
}

#[apply(recorded)]
fn s7_bind_address_no_port(#[case] name: &str) {
    let known = !one_of(
        name,
        &["linux-2.6.32", "rhel-6.5", "rhel-6.8", "linux-3.10"],
    );
    let mut k = bench(name);
    for _ in 0..4 {
        let a = k.tcp();
        let set = k.try_set(a, SockOpt::BindAddressNoPort(true));
        assert_eq!(
            set,
            if known {
                Ok(())
            } else {
                Err(Errno::ENOPROTOOPT)
            }
        );
        k.bind(a, "127.0.0.2", 0).unwrap();
        k.connect(a, k.s1).unwrap();
    }
    assert_eq!(k.unbound(k.s2).is_ok(), known);
}

#[apply(recorded)]
fn s8_bind_0_many_times(#[case] name: &str) {
    let mut k = bench(name);
    let got: Vec<Answer> = (0..5).map(|_| bind_0(&mut k, "0.0.0.0")).collect();
    assert!(got[..4].iter().all(Result::is_ok));
    assert_eq!(got[4], USE);

    // S8r. The starts fall on free ports: 2.6.32 counts the listeners as well, and shares early.
    let mut k = bench(name);
    k.draws(&[0, 1, 2, 3]);
    let got: Vec<Answer> = (0..10)
        .map(|_| {
            let s = k.ra();
            k.bind(s, "0.0.0.0", 0)
        })
        .collect();
    let granted = got.iter().filter(|a| a.is_ok()).count();
    assert_eq!(granted, if shares_on_exhaustion(name) { 10 } else { 4 });
    let mut first: Vec<Answer> = got[..4].to_vec();
    first.sort_unstable();
    if tries_lower_half_and_shares(name) {
        assert_eq!(k.held(), [40000, 40001]);
    } else {
        assert_eq!(
            first,
            [40000, 40001, 40002, 40003].map(ok),
            "all ports first"
        );
    }

    // S8p
    let mut k = bench(name);
    let mut got = Vec::new();
    for _ in 0..10 {
        let s = k.tcp();
        if k.try_set(s, SockOpt::ReusePort(true)).is_err() {
            assert_eq!(name, "linux-2.6.32");
            return;
        }
        got.push(k.bind(s, "0.0.0.0", 0));
    }
    let granted = got.iter().filter(|a| a.is_ok()).count();
    if one_of(name, &["rhel-6.5", "rhel-6.8", "linux-3.10", "linux-4.4"]) {
        assert_eq!(granted, 10);
        assert_eq!(k.held().len(), 1, "shared while ports are free");
    } else {
        assert_eq!(granted, 4);
        assert_eq!(got[4..], [USE; 6]);
    }
}

#[apply(recorded)]
fn s9_one_port_twice(#[case] name: &str) {
    let mut k = bench(name);
    for ip in ["127.0.0.2", "127.0.0.3"] {
        let s = k.tcp();
        assert_eq!(k.bind(s, ip, 40000), ok(40000));
        assert_eq!(k.connect(s, k.s1), ok(40000));
    }
    let mut k = bench(name);
    let (a, b) = (k.ra(), k.ra());
    for s in [a, b] {
        assert_eq!(k.bind(s, "127.0.0.2", 40000), ok(40000));
    }
    assert_eq!(k.connect(a, k.s1), ok(40000));
    assert_eq!(k.connect(b, k.s1), NOTAVAIL);
    assert_eq!(k.connect(b, k.s2), ok(40000));
}

#[apply(recorded)]
fn s11_listener_in_the_range(#[case] name: &str) {
    let mut k = bench(name);
    k.range("40000 40001");
    let l = k.tcp();
    k.listener(l, "0.0.0.0:40001");
    assert_eq!(k.unbound(k.s1), ok(40000));
    assert_eq!(k.unbound(k.s1), NOTAVAIL);
    assert_eq!(k.unbound(k.s1), NOTAVAIL);
    assert_eq!(k.unbound(k.s2), ok(40000));
    assert_eq!(bind_0(&mut k, "0.0.0.0"), USE);
}

#[apply(recorded)]
fn s12_listener_closed_child_lives(#[case] name: &str) {
    for reuse in [false, true] {
        let mut k = bench(name);
        k.range("40001 40001");
        let l = k.tcp();
        k.set(l, SockOpt::ReuseAddr(reuse));
        k.listener(l, "127.0.0.1:40001");
        let client = k.tcp();
        k.bind(client, "127.0.0.9", 6000).unwrap();
        k.connect(client, "127.0.0.1:40001").unwrap();
        k.accept(l);
        k.close(l);
        assert_eq!(k.unbound(k.s1), NOTAVAIL);
        let plain = k.tcp();
        assert_eq!(k.bind(plain, "127.0.0.1", 40001), USE);
        let again = k.ra();
        if reuse {
            assert_eq!(k.bind(again, "127.0.0.1", 40001), ok(40001), "S12r");
            assert_eq!(k.listen(again), ok(40001));
            continue;
        }
        assert_eq!(k.bind(again, "127.0.0.1", 40001), USE);
        let got = bind_0(&mut k, "127.0.0.4");
        assert_eq!(got.is_ok(), name != "linux-2.6.32");
        let other = k.tcp();
        assert_eq!(k.bind(other, "127.0.0.3", 40001), ok(40001));
    }
}

#[apply(recorded)]
fn s13_to_s16_resets_explicit_ports_and_unconnected(#[case] name: &str) {
    let mut k = bench(name);
    for s in four_bound(&mut k, false).0 {
        k.reset(s);
    }
    assert!(k.unbound(k.s2).is_ok());
    assert!(k.unbound(k.s1).is_ok());
    assert!(bind_0(&mut k, "127.0.0.2").is_ok());

    for connect in [true, false] {
        let mut k = bench(name);
        for port in 40000..=40003 {
            let a = k.tcp();
            k.bind(a, "127.0.0.2", port).unwrap();
            if connect {
                k.connect(a, k.s1).unwrap();
            }
        }
        assert_eq!(k.unbound(k.s2), NOTAVAIL, "S14, S15");
    }

    let mut k = bench(name);
    four_unbound(&mut k);
    for (ip, port, reuse, want) in [
        ("127.0.0.8", 40001, false, ok(40001)),
        ("127.0.0.1", 40001, false, USE),
        ("127.0.0.1", 40001, true, USE),
        ("0.0.0.0", 40002, false, USE),
    ] {
        let b = k.tcp();
        k.set(b, SockOpt::ReuseAddr(reuse));
        assert_eq!(k.bind(b, ip, port), want, "S16: {ip}:{port}");
    }
    let got = bind_0(&mut k, "127.0.0.3");
    assert_eq!(got.is_ok(), name != "linux-2.6.32", "S16");
}

#[apply(recorded)]
fn s22_s23_a_binder_came_and_went(#[case] name: &str) {
    let recomputes = name.starts_with("linux-6.1") || name.starts_with("linux-7.");
    for time_wait in [false, true] {
        let mut k = bench(name);
        k.serve("127.0.0.1:5003");
        k.range("40000 40000");
        k.unbound_pair(k.s1);
        let b = k.tcp();
        k.bind(b, "127.0.0.3", 40000).unwrap();
        if time_wait {
            k.connect(b, k.s2).unwrap();
            k.close_first(b);
        } else {
            k.close(b);
        }
        let c = k.unbound("127.0.0.1:5003");
        assert_eq!(c.is_ok(), recomputes && !time_wait, "TIME-WAIT {time_wait}");
    }
}

#[apply(recorded)]
fn source_address_and_reserved_ports(#[case] name: &str) {
    let mut k = bench(name);
    let s = k.unbound_pair(k.s2);
    let own = one_of(name, &["linux-2.6.32", "rhel-6.5", "rhel-6.8"]);
    let ip = if own { "127.0.0.9" } else { "127.0.0.1" };
    assert!(k.name(s).starts_with(ip), "{}", k.name(s));

    let mut k = bench(name);
    let known = k.sysctl("ip_local_reserved_ports", "40000-40002");
    if name == "linux-2.6.32" {
        assert_eq!(known, Err(Errno::ENOENT));
        return;
    }
    assert_eq!(k.unbound(k.s1), ok(40003));
    assert_eq!(k.unbound(k.s1), NOTAVAIL);
    assert_eq!(bind_0(&mut k, "127.0.0.2"), ok(40003));
    assert_eq!(bind_0(&mut k, "127.0.0.2"), USE);
    let b = k.tcp();
    assert_eq!(k.bind(b, "127.0.0.2", 40000), ok(40000));
}

#[rstest]
#[case("linux-4.19", "127.0.0.1:0")]
#[case("debian-11", "0.0.0.0:0")]
#[case("debian-12", "0.0.0.0:0")]
#[case("debian-13", "0.0.0.0:0")]
#[case("linux-6.17.13", "0.0.0.0:0")]
#[case("linux-6.18", "0.0.0.0:0")]
#[case("linux-7.3", "0.0.0.0:0")]
fn s28_name_after_a_failed_connect(#[case] name: &str, #[case] want: &str) {
    let mut k = bench(name);
    four_unbound(&mut k);
    let b = k.tcp();
    assert_eq!(k.connect(b, k.s1), NOTAVAIL);
    assert_eq!(k.name(b), want);
}

#[apply(recorded)]
fn the_same_on_every_kernel(#[case] name: &str) {
    let mut k = bench(name);
    // Two SO_REUSEADDR binds of one address and port; the second listen() and a third bind fail.
    let (a, b, c) = (k.ra(), k.ra(), k.ra());
    for s in [a, b] {
        assert_eq!(k.bind(s, k.a1, 40000), ok(40000));
    }
    assert_eq!(k.listen(a), ok(40000));
    assert_eq!(k.listen(b), USE);
    assert_eq!(k.bind(c, k.a1, 40000), USE);
    // Dual stack.
    for only in [false, true] {
        for v6_first in [false, true] {
            let mut k = bench(name);
            let (four, six) = (k.tcp(), k.tcp6());
            k.set(six, SockOpt::V6Only(only));
            let (x, y) = if v6_first {
                (k.bind(six, "::", 40000), k.bind(four, "0.0.0.0", 40000))
            } else {
                (k.bind(four, "0.0.0.0", 40000), k.bind(six, "::", 40000))
            };
            assert_eq!(x, ok(40000));
            assert_eq!(y, if only { ok(40000) } else { USE });
        }
    }
    let (four, six) = (k.tcp(), k.tcp6());
    assert_eq!(k.bind(four, "127.0.0.2", 40001), ok(40001));
    assert_eq!(k.bind(six, "::1", 40001), ok(40001));
    // listen() without bind takes a port, and fails when the range is full.
    let mut k = bench(name);
    for _ in 0..4 {
        let l = k.tcp();
        assert!(k.listen(l).is_ok());
    }
    let l = k.tcp();
    assert_eq!(k.listen(l), USE);
    // A refused or disconnected socket gives its port back unless the port was asked for.
    let mut k = bench(name);
    let s = k.tcp();
    assert_eq!(k.connect(s, "127.0.0.1:81"), Err(Errno::ECONNREFUSED));
    let port = k.w.local_addr(s).port();
    assert_ne!(port, 0, "stale");
    let wild = k.tcp();
    assert_eq!(k.bind(wild, "0.0.0.0", port), ok(port));
    k.close(wild);
    let s = k.unbound_pair(k.s1);
    k.disconnect(s);
    assert!(!k.holds_port(s));
    let s = k.tcp();
    k.bind(s, "127.0.0.2", 40003).unwrap();
    assert_eq!(k.connect(s, "127.0.0.1:81"), Err(Errno::ECONNREFUSED));
    k.connect(s, k.s1).unwrap();
    k.disconnect(s);
    assert!(k.holds_port(s));
    assert_eq!(k.name(s), "127.0.0.2:40003");
    let l = k.tcp();
    k.listener(l, "127.0.0.2:40002");
    k.shutdown(l, Shutdown::Both);
    assert!(k.holds_port(l));
    k.close(l);
    assert!(k.bucket(40002).is_none());
}
