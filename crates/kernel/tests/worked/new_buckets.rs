//! Eras from 4.2 on, examples 17, 18, 22, 23 and 29 to 35: what happens to a bucket's values and
//! to TIME-WAITs, and the order of ports.

use super::New;
use super::new_bind::{bench, four_unbound};
use crate::support::{Answer, Bench, NOTAVAIL, S, USE, WAITING, kernel, ok};
use fourtuple_kernel::{Errno, PortRange, SockOpt};

pub(super) fn example_17_binders_come_and_go(era: New) {
    let mut k = bench(era);
    four_unbound(&mut k);
    let ys: Vec<S> = (40000..=40003)
        .map(|port| {
            let y = k.tcp();
            assert_eq!(k.bind(y, k.a2, port), ok(port));
            y
        })
        .collect();
    assert_eq!(k.unbound(k.s2), NOTAVAIL);
    for y in ys {
        k.close(y);
    }
    let after = k.unbound(k.s2);
    if era == New::E618 {
        assert!(after.is_ok());
    } else {
        assert_eq!(after, NOTAVAIL);
    }

    // 17b: the binders leave a TIME-WAIT.
    let mut k = bench(era);
    four_unbound(&mut k);
    for port in 40000..=40003 {
        let y = k.tcp();
        k.bind(y, k.a2, port).unwrap();
        k.connect(y, k.s2).unwrap();
        k.close_first(y);
    }
    assert_eq!(k.unbound(k.s3), NOTAVAIL);
    k.wait_ms(59_000);
    assert_eq!(k.unbound(k.s3), NOTAVAIL);
    k.wait(6);
    assert_eq!(k.unbound(k.s3).is_ok(), era == New::E618);

    // 17c
    let mut k = bench(era);
    k.range("40000 40000");
    let x = k.ra();
    k.connect(x, k.s1).unwrap();
    let y = k.ra();
    assert_eq!(k.bind(y, k.a1, 40000), ok(40000));
    k.connect(y, k.s2).unwrap();
    assert_eq!(k.unbound(k.s3), NOTAVAIL);
    k.reset(y);
    assert_eq!(k.unbound(k.s3).is_ok(), era == New::E618);
}

pub(super) fn example_18_only_a_child(era: New) {
    let mut k = bench(era);
    k.range("40000 40000");
    let l = k.tcp();
    k.listener(l, "127.0.0.1:40000");
    let client = k.tcp();
    k.bind(client, "127.0.0.9", 6000).unwrap();
    k.connect(client, "127.0.0.1:40000").unwrap();
    let child = k.accept(l);
    k.close(l);
    assert_eq!(k.unbound(k.s2), NOTAVAIL);
    k.close(child);
    k.close(client);
    assert_eq!(k.unbound(k.s2), NOTAVAIL, "in TIME-WAIT");
    k.wait(65);
    assert_eq!(k.unbound(k.s2), ok(40000));
}

pub(super) fn example_22_the_hole(era: New) {
    let mut k = bench(era);
    k.range("40000 40000");
    let x = k.ra();
    assert_eq!(k.connect(x, k.s1), ok(40000));
    let y = k.ra();
    assert_eq!(k.bind(y, "0.0.0.0", 40000), ok(40000));
    assert_eq!(k.connect(y, k.s2), ok(40000));
    assert_eq!(k.unbound(k.s3), NOTAVAIL);
    k.reset(x);
    let want = if era == New::E618 {
        ok(40000)
    } else {
        NOTAVAIL
    };
    assert_eq!(k.unbound(k.s3), want);
    assert!(k.holds_port(y));
}

pub(super) fn example_23_time_wait_of_connect_type(era: New) {
    let mut k = bench(era);
    for s in four_unbound(&mut k) {
        k.close_first(s);
    }
    assert!(k.unbound(k.s2).is_ok());
    assert_eq!(k.unbound(k.s1), NOTAVAIL);
    // A leftover TIME-WAIT of another address would block as well (11.2): the bucket counts.
}

/// The age, in ms, from which the TIME-WAIT socket of the only port can be replaced; it begins at
/// x.3 s.
fn age_of_reuse(kernel_name: &str, tw_reuse: &str) -> Option<u64> {
    let mut k = Bench::local(kernel_name);
    k.range("40000 40000").with("tcp_tw_reuse", tw_reuse);
    k.wait_ms(300);
    let s = k.unbound_pair(k.s1);
    k.close_first(s);
    for ms in 0..5_000 {
        if k.unbound(k.s1).is_ok() {
            return Some(ms);
        }
        k.wait_ms(1);
    }
    None
}

pub(super) fn example_23b_age_of_reuse(era: New) {
    let want = match era {
        New::E42 | New::E46 | New::E411 | New::E414 => 1700,
        New::E57 | New::E61 | New::E68 => 700,
        New::E618 => 1001,
    };
    assert_eq!(age_of_reuse(era.kernel(), "1"), Some(want));
    assert_eq!(age_of_reuse(era.kernel(), "0"), None);
    // 2 is "on" on old kernels, and on newer ones for loopback.
    if era >= New::E57 {
        assert_eq!(age_of_reuse(era.kernel(), "2"), Some(want));
    }
}

pub(super) fn example_23b_peer_not_closed(era: New) {
    let mut k = Bench::local(era.kernel());
    k.range("40000 40000").with("tcp_tw_reuse", "1");
    let s = k.unbound_pair(k.s1);
    k.close(s);
    k.wait(3);
    let got = k.unbound(k.s1);
    // 6.1 has this from its long-term branch, 6.8 does not have it yet.
    if matches!(era, New::E61 | New::E618) {
        assert_eq!(got, NOTAVAIL);
    } else {
        assert_eq!(got, WAITING, "the old end answers first");
    }
}

pub(super) fn example_29_odd_range(era: New) {
    let mut k = bench(era);
    k.range("40000 40002");
    let mut got: Vec<Answer> = (0..3).map(|_| k.unbound(k.s1)).collect();
    if era == New::E42 {
        got.sort_unstable();
        assert_eq!(got, [ok(40000), ok(40001), ok(40002)]);
    } else {
        assert_eq!(got, [ok(40000), ok(40001), NOTAVAIL]);
    }
    // bind(0), for every start.
    for draw in 0..3 {
        let mut k = bench(era);
        k.range("40000 40002").always(draw);
        let got: Vec<Answer> = (0..3)
            .map(|_| {
                let s = k.tcp();
                k.bind(s, k.a1, 0)
            })
            .collect();
        let granted = got.iter().filter(|a| a.is_ok()).count();
        assert_eq!(granted, if era == New::E42 { 3 } else { 2 }, "{got:?}");
    }
}

pub(super) fn example_30_reuseaddr_joins_a_connect_port(era: New) {
    let mut k = bench(era);
    k.range("40000 40000");
    let x = k.ra();
    k.connect(x, k.s1).unwrap();
    let y = k.ra();
    assert_eq!(k.bind(y, k.a1, 40000), ok(40000));
    let want = if era == New::E411 { (1, 0) } else { (-1, 0) };
    assert_eq!(k.values(40000), Some(want));
    assert_eq!(k.unbound(k.s2), NOTAVAIL);
}

pub(super) fn example_31_server_restart(era: New) {
    let mut k = bench(era);
    let l = k.ra();
    k.listener(l, "0.0.0.0:40000");
    let client = k.tcp();
    k.bind(client, "127.0.0.9", 6000).unwrap();
    k.connect(client, "127.0.0.1:40000").unwrap();
    let child = k.accept(l);
    k.close(child);
    k.close(client);
    k.close(l);
    let plain = k.tcp();
    assert_eq!(k.bind(plain, "0.0.0.0", 40000), USE);
    let again = k.ra();
    assert_eq!(k.bind(again, "0.0.0.0", 40000), ok(40000));
    assert_eq!(k.listen(again), ok(40000));
}

pub(super) fn example_32_refused(era: New) {
    let mut k = bench(era);
    let a = k.tcp();
    let port = k.bind(a, k.a1, 0).unwrap();
    assert_eq!(k.connect(a, "127.0.0.1:81"), Err(Errno::ECONNREFUSED));
    assert_eq!(k.name(a), format!("127.0.0.1:{port}"), "stale");
    assert!(k.bucket(port).is_none(), "released");
    assert_eq!(k.connect(a, k.s2), ok(40000));
    assert_eq!(k.values(40000), Some((-1, -1)));
    if era >= New::E46 {
        assert_eq!(port, 40001);
    }
}

pub(super) fn example_33_no_time_wait_buckets(era: New) {
    let mut k = bench(era);
    k.range("40000 40000").with("tcp_max_tw_buckets", "0");
    for _ in 0..3 {
        let s = k.unbound_pair(k.s1);
        k.close_first(s);
    }
    k.with("tcp_max_tw_buckets", "1");
    let s = k.unbound_pair(k.s1);
    k.close_first(s);
    assert_eq!(k.unbound(k.s1), NOTAVAIL);
}

pub(super) fn example_34_listen_without_bind(era: New) {
    for draw in 0..4 {
        let mut k = bench(era);
        k.always(draw);
        let l = k.tcp();
        let port = k.listen(l).unwrap();
        if era >= New::E46 {
            assert_eq!(port % 2, 1, "an odd offset");
        } else {
            assert_eq!(u32::from(port), 40000 + draw);
        }
        assert_eq!(k.values(port), Some((0, 0)));
        k.range(&format!("{port} {port}"));
        assert_eq!(k.unbound(k.s1), NOTAVAIL);
    }
}

pub(super) fn example_35_reserved_ports(era: New) {
    let mut k = bench(era);
    k.with("ip_local_reserved_ports", "40000,40002");
    let mut got: Vec<Answer> = (0..3).map(|_| k.unbound(k.s1)).collect();
    got[..2].sort_unstable();
    assert_eq!(got, [ok(40001), ok(40003), NOTAVAIL]);
    let b = k.tcp();
    assert_eq!(k.bind(b, k.a1, 40000), ok(40000));
    let b = k.tcp();
    k.range("40000 40000");
    assert_eq!(k.bind(b, k.a2, 0), USE);
}

/// 11.1: parity decides the order in an eight-port range.
pub(super) fn order_of_ports(era: New) {
    for draw in 0..8 {
        let mut k = bench(era);
        k.range("40000 40007").always(draw);
        let bind_all = |reuse: bool| -> Vec<u16> {
            let mut k = k.clone();
            (0..8)
                .map(|_| {
                    let s = if reuse { k.ra() } else { k.tcp() };
                    k.bind(s, k.a1, 0).unwrap()
                })
                .collect()
        };
        let sorted = |ports: &[u16]| {
            let mut p = ports.to_vec();
            p.sort_unstable();
            p
        };
        let plain = bind_all(false);
        let reusing = bind_all(true);
        if era == New::E42 {
            let from = 40000 + draw as u16;
            let want: Vec<u16> = (0..8).map(|i| 40000 + (from - 40000 + i) % 8).collect();
            assert_eq!(plain, want, "one by one");
            assert!(reusing.iter().all(|p| *p <= 40003), "{reusing:?}");
        } else {
            assert_eq!(sorted(&plain[..4]), [40001, 40003, 40005, 40007]);
            assert_eq!(sorted(&plain[4..]), [40000, 40002, 40004, 40006]);
            if era >= New::E411 {
                assert_eq!(sorted(&reusing[..2]), [40001, 40003]);
                assert_eq!(sorted(&reusing[2..4]), [40000, 40002]);
                assert_eq!(sorted(&reusing[4..6]), [40005, 40007]);
                assert_eq!(sorted(&reusing[6..]), [40004, 40006]);
            } else {
                assert!(
                    reusing.iter().all(|p| [40001, 40003].contains(p)),
                    "shares odd ports of the lower half: {reusing:?}"
                );
            }
        }
    }
    let mut k = bench(era);
    k.range("40000 40007");
    let got: Vec<u16> = (0..8).map(|_| k.unbound(k.s1).unwrap()).collect();
    assert!(got[..4].iter().all(|p| p % 2 == 0), "even first: {got:?}");
    assert!(got[4..].iter().all(|p| p % 2 == 1), "then odd: {got:?}");

    // With the low bound odd the parities swap, as they are offsets.
    if era != New::E42 {
        let mut k = bench(era);
        k.range("40001 40008");
        let s = k.tcp();
        assert_eq!(k.bind(s, k.a1, 0).unwrap() % 2, 0);
        assert_eq!(k.unbound(k.s1).unwrap() % 2, 1);
    }

    one_by_one_in_a_range_of_its_own(era);
}

/// IP_LOCAL_PORT_RANGE: one by one from 6.8 on.
fn one_by_one_in_a_range_of_its_own(era: New) {
    if kernel(era.kernel()).local_port_range_option {
        let mut k = bench(era);
        k.range("40000 40007");
        let got: Vec<u16> = (0..8)
            .map(|_| {
                let s = k.tcp();
                k.set(s, SockOpt::LocalPortRange(PortRange::new(40000, 40007)));
                k.connect(s, k.s1).unwrap()
            })
            .collect();
        let in_turn: Vec<u16> = (40000..=40007).collect();
        assert_eq!(got == in_turn, era >= New::E68, "{got:?}");
    }
}

on_new_eras!(
    example_17_binders_come_and_go,
    example_18_only_a_child,
    example_22_the_hole,
    example_23_time_wait_of_connect_type,
    example_23b_age_of_reuse,
    example_23b_peer_not_closed,
    example_29_odd_range,
    example_30_reuseaddr_joins_a_connect_port,
    example_31_server_restart,
    example_32_refused,
    example_33_no_time_wait_buckets,
    example_34_listen_without_bind,
    example_35_reserved_ports,
    order_of_ports,
);
