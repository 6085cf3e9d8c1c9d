//! The order in which real kernels hand out the ports of 40000-40007, and what an odd-sized range
//! loses.

use super::real::bench;
use crate::support::{Answer, Bench};
use rstest::rstest;

/// Last digits of all ports in the order in which unbound connects got them, from a hash.
fn connect_order(name: &str, hash: u64) -> Vec<u16> {
    let mut k = bench(name);
    k.range("40000 40007");
    k.chooser().hash = hash;
    (0..8).map(|_| k.unbound(k.s1).unwrap() - 40000).collect()
}

fn bind_order(name: &str, draws: &[u32]) -> Vec<u16> {
    let mut k = bench(name);
    k.range("40000 40007").draws(draws);
    (0..8)
        .map(|_| {
            let s = k.tcp();
            k.bind(s, k.a1, 0).unwrap() - 40000
        })
        .collect()
}

#[rstest]
#[case("linux-2.6.32")]
#[case("rhel-6.5")]
#[case("linux-3.10")]
fn connect_walks_one_by_one(#[case] name: &str) {
    for start in 0..8 {
        let want: Vec<u16> = (1..=8).map(|i| (start + i) % 8).collect();
        assert_eq!(connect_order(name, u64::from(start)), want);
    }
    // Eight steps are a full turn: the same again after all were closed.
    let mut k = bench(name);
    k.range("40000 40007");
    let mut rounds = Vec::new();
    for _ in 0..2 {
        let sockets: Vec<_> = (0..8).map(|_| k.unbound_pair(k.s1)).collect();
        let ports: Vec<u16> = sockets.iter().map(|&s| k.w.local_addr(s).port()).collect();
        rounds.push(ports);
        for s in sockets {
            k.reset(s);
        }
    }
    assert_eq!(rounds[0], rounds[1]);
}

#[rstest]
#[case("rhel-6.8")]
#[case("linux-4.4")]
fn connect_walks_by_two_then_the_other_parity(#[case] name: &str) {
    assert_eq!(connect_order(name, 2), [2, 4, 6, 0, 3, 5, 7, 1]);
    for hash in 0..8 {
        let got = connect_order(name, hash);
        assert!(got[..4].iter().all(|p| p % 2 == got[0] % 2), "{got:?}");
        assert_eq!(got[0] % 2, 0, "even: eight is even");
    }
    // In a range of odd size the starting parity is free.
    let mut parities = [false; 2];
    for hash in 0..14 {
        let mut k = bench(name);
        k.range("40000 40006");
        k.chooser().hash = hash;
        parities[usize::from(k.unbound(k.s1).unwrap() % 2)] = true;
    }
    assert_eq!(parities, [true; 2]);
}

#[rstest]
#[case("linux-4.19")]
#[case("debian-11")]
#[case("debian-12")]
#[case("debian-13")]
#[case("linux-6.18")]
#[case("linux-7.3")]
fn parity_of_the_low_bound(#[case] name: &str) {
    for low in [40000, 40001] {
        for draw in 0..8 {
            let mut k = bench(name);
            k.range(&format!("{low} {}", low + 7)).always(draw);
            // Old trees take the hash's lower half, newer ones its upper half.
            k.chooser().hash = u64::from(draw) << 32 | u64::from(draw);
            let mut binder = k.clone();
            let connects: Vec<u16> = (0..8).map(|_| k.unbound(k.s1).unwrap()).collect();
            let binds: Vec<u16> = (0..8)
                .map(|_| {
                    let s = binder.tcp();
                    binder.bind(s, binder.a1, 0).unwrap()
                })
                .collect();
            for i in 0..8 {
                assert_eq!((connects[i] - low) % 2, u16::from(i >= 4), "{connects:?}");
                assert_eq!((binds[i] - low) % 2, u16::from(i < 4), "{binds:?}");
            }
        }
    }
}

#[test]
fn connect_order_of_4_19() {
    assert_eq!(connect_order("linux-4.19", 0), [0, 2, 4, 6, 1, 3, 5, 7]);
}

#[rstest]
#[case("linux-2.6.32")]
#[case("rhel-6.5")]
#[case("rhel-6.8")]
#[case("linux-3.10")]
#[case("linux-4.4")]
fn bind_0_has_no_parity(#[case] name: &str) {
    // A random start for each call, and the next free port upwards.
    let got = bind_order(name, &[0, 7, 0, 5, 5, 1, 1, 1]);
    assert_eq!(got, [0, 7, 1, 5, 6, 2, 3, 4]);
}

fn fill(k: &mut Bench, connect: bool) -> Vec<Answer> {
    (0..7)
        .map(|_| {
            if connect {
                return k.unbound(k.s1);
            }
            let s = k.tcp();
            k.bind(s, k.a1, 0)
        })
        .collect()
}

#[rstest]
#[case("linux-2.6.32", false)]
#[case("rhel-6.5", false)]
#[case("rhel-6.8", false)]
#[case("linux-3.10", false)]
#[case("linux-4.4", false)]
#[case("linux-4.19", true)]
#[case("debian-11", true)]
#[case("debian-12", true)]
#[case("debian-13", true)]
#[case("linux-6.17.13", true)]
#[case("linux-6.18", true)]
#[case("linux-7.3", true)]
fn seventh_of_seven(#[case] name: &str, #[case] may_fail: bool) {
    let mut failed = [0, 0];
    for draw in 0..6 {
        for connect in [false, true] {
            let mut k = bench(name);
            k.range("40000 40006").always(draw);
            k.chooser().hash = u64::from(draw) << 32 | u64::from(draw);
            let got = fill(&mut k, connect);
            assert!(got[..6].iter().all(Result::is_ok), "{got:?}");
            failed[usize::from(connect)] += usize::from(got[6].is_err());
        }
    }
    assert_eq!(failed[0] > 0, may_fail, "bind(0)");
    if !may_fail {
        assert_eq!(failed, [0, 0]);
    }
}
