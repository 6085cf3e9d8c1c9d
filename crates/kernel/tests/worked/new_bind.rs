//! Eras from 4.2 on, examples 1 to 16, 19 to 21 and 24 to 28: the port that each call gets.
//!
//! Range 40000-40003, servers on 127.0.0.1:5001 to 5003, tcp_tw_reuse=0.

use super::New;
use crate::support::{Answer, Bench, NOTAVAIL, S, USE, ok};
use fourtuple_kernel::{Errno, PortRange, Shutdown, SockOpt};

/// A bench of an era with tcp_tw_reuse off.
pub(super) fn bench(era: New) -> Bench {
    let mut k = Bench::local(era.kernel());
    k.with("tcp_tw_reuse", "0");
    k
}

/// Four sockets, each bound to an address and port 0 and connected to S1.
fn four_bound(k: &mut Bench, ip: &str) -> Vec<S> {
    (0..4).map(|_| k.bound_pair(ip, k.s1)).collect()
}

pub(super) fn four_unbound(k: &mut Bench) -> Vec<S> {
    (0..4).map(|_| k.unbound_pair(k.s1)).collect()
}

/// Four sockets with `SO_REUSEADDR` (and `SO_REUSEPORT`) on 127.0.0.1. Old eras let them share
/// ports, and then a connect() to the same destination fails; what it answered is returned.
fn four_reusing(k: &mut Bench, reuseport: bool) -> Vec<Answer> {
    (0..4)
        .map(|_| {
            let a = k.ra();
            if reuseport {
                k.set(a, SockOpt::ReusePort(true));
            }
            k.bind(a, k.a1, 0).unwrap();
            k.connect(a, k.s1)
        })
        .collect()
}

fn is_ok(a: Answer) -> bool {
    a.is_ok()
}

pub(super) fn example_1_bound_ports_are_skipped(era: New) {
    let mut k = bench(era);
    four_bound(&mut k, "127.0.0.1");
    assert_eq!(k.unbound(k.s2), NOTAVAIL);
    assert_eq!(k.unbound(k.s1), NOTAVAIL);
}

pub(super) fn example_2_also_in_time_wait(era: New) {
    for tw_reuse in ["0", "1"] {
        let mut k = bench(era);
        k.with("tcp_tw_reuse", tw_reuse);
        for s in four_bound(&mut k, "127.0.0.1") {
            k.close_first(s);
        }
        assert_eq!(k.unbound(k.s2), NOTAVAIL);
        k.wait_ms(2_500);
        assert_eq!(k.unbound(k.s2), NOTAVAIL);
        k.wait_ms(57_499);
        assert_eq!(k.unbound(k.s2), NOTAVAIL, "59.999 s");
        k.wait(5);
        assert!(is_ok(k.unbound(k.s2)));
    }
}

pub(super) fn example_3_closed_without_time_wait(era: New) {
    let mut k = bench(era);
    for s in four_bound(&mut k, "127.0.0.1") {
        k.reset(s);
    }
    assert!(is_ok(k.unbound(k.s2)));
    let mut k = bench(era);
    for s in four_bound(&mut k, "127.0.0.1") {
        k.close_last(s);
    }
    assert!(is_ok(k.unbound(k.s2)));
}

pub(super) fn example_4_and_5_another_address(era: New) {
    let mut k = bench(era);
    four_bound(&mut k, "127.0.0.1");
    let b = k.tcp();
    assert!(is_ok(k.bind(b, k.a2, 0)));
    assert!(is_ok(k.connect(b, k.s2)));

    let mut k = bench(era);
    four_bound(&mut k, "127.0.0.1");
    let b = k.tcp();
    k.set(b, SockOpt::BindAddressNoPort(true));
    assert_eq!(k.bind(b, k.a2, 0), ok(0));
    assert_eq!(k.connect(b, k.s2), NOTAVAIL);
}

pub(super) fn example_6_and_9_same_address(era: New) {
    let mut k = bench(era);
    four_bound(&mut k, "127.0.0.1");
    let b = k.tcp();
    assert_eq!(k.bind(b, k.a1, 0), USE);
    let b = k.ra();
    assert_eq!(k.bind(b, k.a1, 0), USE, "SO_REUSEADDR on B only");
}

pub(super) fn example_7_reuseaddr_on_all(era: New) {
    let mut k = bench(era);
    four_reusing(&mut k, false);
    let b = k.ra();
    let got = k.bind(b, k.a1, 0);
    if era < New::E411 {
        assert!(is_ok(got), "shares");
    } else {
        assert_eq!(got, USE);
    }

    // ip_autobind_reuse
    for reuseport in [false, true] {
        let mut k = bench(era);
        let known = k.sysctl("ip_autobind_reuse", "1");
        assert_eq!(
            known,
            if era >= New::E57 {
                Ok(())
            } else {
                Err(Errno::ENOENT)
            }
        );
        four_reusing(&mut k, reuseport);
        let b = if reuseport { k.rarp() } else { k.ra() };
        let got = k.bind(b, k.a1, 0);
        let shares = era < New::E411 || (era >= New::E57 && !reuseport);
        assert_eq!(got.is_ok(), shares, "with SO_REUSEPORT: {reuseport}");
        if !shares {
            assert_eq!(got, USE);
        }
    }
}

pub(super) fn example_8_reuseaddr_on_the_others(era: New) {
    let mut k = bench(era);
    let connected = four_reusing(&mut k, false);
    let failed = connected.iter().filter(|c| **c == NOTAVAIL).count();
    let got = k.unbound(k.s2);
    if era < New::E411 {
        // Two lower ports one after the other; with parity passes only the odd one of them.
        let shared = if era == New::E42 { 2 } else { 3 };
        assert_eq!(failed, shared, "shared a port: {connected:?}");
        let free: &[u16] = match era {
            New::E42 => &[40002, 40003],
            _ => &[40000, 40002, 40003],
        };
        assert!(got.is_ok_and(|p| free.contains(&p)), "{got:?}");
    } else {
        assert_eq!(failed, 0);
        assert_eq!(got, NOTAVAIL);
    }
}

pub(super) fn example_10_explicit_port(era: New) {
    // The tuple to S1 is live on 40001 in every era (on 40000 not where parity passes share).
    for (to, want) in [("127.0.0.1:5002", ok(40001)), ("127.0.0.1:5001", NOTAVAIL)] {
        let mut k = bench(era);
        four_reusing(&mut k, false);
        let b = k.ra();
        assert_eq!(k.bind(b, k.a1, 40001), ok(40001));
        assert_eq!(k.connect(b, to), want);
        assert!(k.holds_port(b));
    }
}

pub(super) fn example_11_to_14_connect_type_ports(era: New) {
    let mut k = bench(era);
    four_unbound(&mut k);
    let mut shared: Vec<u16> = (0..4).map(|_| k.unbound(k.s2).unwrap()).collect();
    shared.sort_unstable();
    assert_eq!(shared, [40000, 40001, 40002, 40003]);
    assert_eq!(k.unbound(k.s2), NOTAVAIL, "a fifth");
    assert_eq!(k.unbound(k.s1), NOTAVAIL, "12");

    let mut k = bench(era);
    four_unbound(&mut k);
    let b = k.tcp();
    let port = k.bind(b, k.a2, 0).unwrap();
    assert_eq!(k.connect(b, k.s1), ok(port), "13");
    let others: Vec<Answer> = (0..4).map(|_| k.unbound(k.s2)).collect();
    assert_eq!(others.iter().filter(|a| a.is_ok()).count(), 3);
    assert!(!others.contains(&ok(port)), "closed to connect()");

    let mut k = bench(era);
    four_unbound(&mut k);
    let b = k.tcp();
    assert_eq!(k.bind(b, k.a1, 0), USE, "14");
}

pub(super) fn example_15_bind_address_no_port(era: New) {
    let mut k = bench(era);
    for _ in 0..4 {
        let a = k.tcp();
        k.set(a, SockOpt::BindAddressNoPort(true));
        assert_eq!(k.bind(a, k.a1, 0), ok(0));
        assert!(is_ok(k.connect(a, k.s1)));
    }
    for _ in 0..4 {
        assert!(is_ok(k.unbound(k.s2)));
    }
    assert_eq!(k.unbound(k.s2), NOTAVAIL);
}

pub(super) fn example_16_one_is_reset(era: New) {
    let mut k = bench(era);
    let a = four_bound(&mut k, "127.0.0.1");
    let port = k.w.local_addr(a[2]).port();
    k.reset(a[2]);
    assert_eq!(k.unbound(k.s2), ok(port));
}

pub(super) fn example_19_option_cleared(era: New) {
    let mut k = bench(era);
    let a = k.ra();
    k.bind(a, k.a1, 40000).unwrap();
    k.set(a, SockOpt::ReuseAddr(false));
    let b = k.ra();
    let fast = !matches!(era, New::E411 | New::E68 | New::E618);
    assert_eq!(k.bind(b, k.a1, 40000), if fast { ok(40000) } else { USE });

    // The same with SO_REUSEPORT and a wildcard; not stated for 4.11.
    if era != New::E411 {
        let mut k = bench(era);
        let a = k.rp();
        k.bind(a, k.a2, 40000).unwrap();
        k.set(a, SockOpt::ReusePort(false));
        let b = k.rp();
        assert_eq!(k.bind(b, k.a1, 40000), ok(40000));
        let c = k.rp();
        assert_eq!(
            k.bind(c, "0.0.0.0", 40000),
            if era < New::E68 { ok(40000) } else { USE }
        );
    }
}

pub(super) fn example_20_two_servers(era: New) {
    let mut k = bench(era);
    let (a, b) = (k.ra(), k.ra());
    assert_eq!(k.bind(a, k.a1, 40000), ok(40000));
    assert_eq!(k.bind(b, k.a1, 40000), ok(40000));
    assert_eq!(k.listen(a), ok(40000));
    assert_eq!(k.listen(b), USE);
    assert!(k.holds_port(b), "it stays bound");
    let c = k.ra();
    assert_eq!(k.bind(c, k.a1, 40000), USE);
    assert_eq!(k.bind(c, k.a2, 40000), ok(40000));
}

pub(super) fn example_21_wildcard_narrows(era: New) {
    let mut k = bench(era);
    four_bound(&mut k, "0.0.0.0");
    let b = k.tcp();
    assert!(is_ok(k.bind(b, k.a2, 0)));
    assert!(is_ok(k.connect(b, k.s1)));
}

pub(super) fn example_24_bound_reconnect(era: New) {
    for (timestamps, want) in [("1", ok(40000)), ("0", NOTAVAIL)] {
        let mut k = bench(era);
        k.with("tcp_timestamps", timestamps);
        let a = k.ra();
        k.bind(a, k.a1, 40000).unwrap();
        k.connect(a, k.s1).unwrap();
        k.close_first(a);
        let b = k.ra();
        assert_eq!(k.bind(b, k.a1, 40000), ok(40000));
        assert_eq!(k.connect(b, k.s1), want, "timestamps {timestamps}");
    }
}

pub(super) fn example_25_local_port_range(era: New) {
    // 6.1 has it as a long-term branch.
    let known = era >= New::E61;
    let mut k = bench(era);
    for port in [40000, 40001, 40003] {
        let a = k.tcp();
        k.bind(a, k.a1, port).unwrap();
    }
    let b = k.tcp();
    let set = k.try_set(b, SockOpt::LocalPortRange(PortRange::new(40000, 40001)));
    if known {
        assert_eq!(set, Ok(()));
        assert_eq!(k.connect(b, k.s1), NOTAVAIL);
    } else {
        assert_eq!(set, Err(Errno::ENOPROTOOPT));
    }
    assert_eq!(k.unbound(k.s1), ok(40002));

    if known {
        let mut k = bench(era);
        let b = k.tcp();
        k.set(b, SockOpt::LocalPortRange(PortRange::new(45000, 45010)));
        let port = k.connect(b, k.s1).unwrap();
        assert!((40000..=40003).contains(&port), "{port}");
        let b = k.tcp();
        k.set(b, SockOpt::LocalPortRange(PortRange::new(45000, 45010)));
        let port = k.bind(b, k.a2, 0).unwrap();
        assert!((40000..=40003).contains(&port), "{port}");
    }
}

pub(super) fn example_26_reuseport_and_uid(era: New) {
    let mut k = bench(era);
    for (uid, want) in [(0, ok(40000)), (0, ok(40000)), (1000, USE)] {
        let s = k.rp_as(uid);
        assert_eq!(k.bind(s, k.a1, 40000), want, "uid {uid}");
    }
}

pub(super) fn example_27_and_28_reuseport_port_0(era: New) {
    let mut k = bench(era);
    for port in 40000..=40003 {
        let s = k.rp();
        k.bind(s, k.a1, port).unwrap();
    }
    let b = k.rp();
    assert_eq!(k.bind(b, k.a1, 0).is_ok(), era < New::E411, "27");

    let mut k = bench(era);
    for port in 40000..=40003 {
        let s = k.rarp();
        k.bind(s, k.a1, port).unwrap();
    }
    let b = k.rarp();
    let got = k.bind(b, k.a1, 0);
    assert_eq!(got.is_ok(), era < New::E411, "28");
}

pub(super) fn listener_shut_down(era: New) {
    // Explicit port: kept. Automatic one: released, though getsockname() still prints it.
    let mut k = bench(era);
    let l = k.tcp();
    k.listener(l, "127.0.0.1:40000");
    k.shutdown(l, Shutdown::Read);
    assert!(k.holds_port(l));
    let l = k.tcp();
    let port = k.listen(l).unwrap();
    k.shutdown(l, Shutdown::Read);
    assert!(!k.holds_port(l));
    assert_eq!(k.w.local_addr(l).port(), port);
}

on_new_eras!(
    example_1_bound_ports_are_skipped,
    example_2_also_in_time_wait,
    example_3_closed_without_time_wait,
    example_4_and_5_another_address,
    example_6_and_9_same_address,
    example_7_reuseaddr_on_all,
    example_8_reuseaddr_on_the_others,
    example_10_explicit_port,
    example_11_to_14_connect_type_ports,
    example_15_bind_address_no_port,
    example_16_one_is_reset,
    example_19_option_cleared,
    example_20_two_servers,
    example_21_wildcard_narrows,
    example_24_bound_reconnect,
    example_25_local_port_range,
    example_26_reuseport_and_uid,
    example_27_and_28_reuseport_port_0,
    listener_shut_down,
);
