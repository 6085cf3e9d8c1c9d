//! Eras up to 4.1, examples 9 to 15, 17 and 18: how connections end and what they leave behind.

use super::Old;
use crate::support::bench::end;
use crate::support::{Bench, NOTAVAIL, S, USE, ok};
use fourtuple_kernel::{Errno, Family};
use std::task::Poll;

/// First port of an unbound connect() over a free range.
fn first(era: Old) -> u16 {
    if era.even() { 40000 } else { 40001 }
}

fn bound_then_time_wait(k: &mut Bench) {
    let a: Vec<S> = (0..4).map(|_| k.bound_pair(k.a1, k.s1)).collect();
    for s in a {
        k.close_first(s);
    }
}

fn unbound_then_time_wait(k: &mut Bench) {
    let a: Vec<S> = (0..4).map(|_| k.unbound_pair(k.s1)).collect();
    for s in a {
        k.close_first(s);
    }
}

/// A socket on the servers' host that is connected to an address of this one.
fn remote_client(k: &mut Bench, to: &str) -> S {
    let c = k.w.socket(k.server_ns, Family::Inet, 0);
    assert_eq!(k.w.connect(c, end(to)), Poll::Ready(Ok(())));
    c
}

pub(super) fn example_9_time_wait_in_bound_buckets(era: Old) {
    let mut k = Bench::far(era.kernel());
    k.with("tcp_tw_reuse", "1");
    bound_then_time_wait(&mut k);
    k.wait(10);
    for port in 40000..=40003 {
        assert_eq!(k.values(port).unwrap().0, 0);
    }
    let b = k.tcp();
    assert_eq!(k.connect(b, k.s1), NOTAVAIL);
    k.wait(51);
    assert_eq!(k.held(), [0u16; 0]);
    let b = k.tcp();
    assert_eq!(k.connect(b, k.s1), ok(first(era)));
}

pub(super) fn example_10_time_wait_in_connect_buckets(era: Old) {
    for (reuse, timestamps, seconds, want) in [
        ("0", "1", 10, NOTAVAIL),
        ("1", "1", 1, NOTAVAIL),
        ("1", "1", 2, ok(first(era))),
        ("1", "0", 10, NOTAVAIL),
    ] {
        let mut k = Bench::far(era.kernel());
        k.with("tcp_tw_reuse", reuse)
            .with("tcp_timestamps", timestamps);
        unbound_then_time_wait(&mut k);
        k.wait(seconds);
        let mut other = k.clone();
        let b = k.tcp();
        assert_eq!(
            k.connect(b, k.s1),
            want,
            "tcp_tw_reuse={reuse} timestamps={timestamps} after {seconds} s"
        );
        if want.is_ok() {
            let port = k.w.local_addr(b).port();
            assert_eq!(k.bucket(port).unwrap().owners.len(), 1, "TIME-WAIT is gone");
        }
        // Another destination never minds.
        let b = other.tcp();
        assert!(other.connect(b, other.s2).is_ok());
    }
}

pub(super) fn example_11_bound_reconnect(era: Old) {
    for timestamps in [true, false] {
        let mut k = Bench::far(era.kernel());
        k.with("tcp_tw_reuse", "0")
            .with("tcp_timestamps", if timestamps { "1" } else { "0" });
        let a = k.ra();
        assert_eq!(k.bind(a, k.a1, 40000), ok(40000));
        assert_eq!(k.connect(a, k.s1), ok(40000));
        k.close_first(a);
        let plain = k.tcp();
        assert_eq!(k.bind(plain, k.a1, 40000), USE);
        let b = k.ra();
        assert_eq!(k.bind(b, k.a1, 40000), ok(40000));
        let again = k.connect(b, k.s1);
        assert_eq!(again, if timestamps { ok(40000) } else { NOTAVAIL });
        assert!(k.holds_port(b), "an explicit port is kept");
    }
}

pub(super) fn example_12_poisoning(era: Old) {
    // A plain binder of another address poisons the bucket until the last owner is gone.
    let mut k = Bench::far(era.kernel());
    k.range("40000 40000");
    let a = k.unbound_pair(k.s1);
    assert_eq!(k.values(40000).unwrap().0, -1);
    let b = k.tcp();
    assert_eq!(k.bind(b, k.a2, 40000), ok(40000));
    assert_eq!(k.values(40000).unwrap().0, 0);
    let c = k.tcp();
    assert_eq!(k.connect(c, k.s2), NOTAVAIL);
    k.close(b);
    assert_eq!(k.connect(c, k.s2), NOTAVAIL);
    k.reset(a);
    assert_eq!(k.connect(c, k.s2), ok(40000));

    // One with SO_REUSEADDR poisons where fastreuseport exists.
    let mut k = Bench::far(era.kernel());
    k.range("40000 40000");
    k.unbound_pair(k.s1);
    let b = k.ra();
    assert_eq!(k.bind(b, k.a2, 40000), ok(40000));
    assert_eq!(k.values(40000).unwrap().0, -1);
    let want = if era.has_reuseport() {
        NOTAVAIL
    } else {
        ok(40000)
    };
    let c = k.tcp();
    assert_eq!(k.connect(c, k.s2), want);
    if era.has_reuseport() {
        k.close(b);
        assert_eq!(k.connect(c, k.s2), NOTAVAIL);
    }

    // Port 0 for the binder.
    let mut k = Bench::far(era.kernel());
    k.range("40000 40000");
    k.unbound_pair(k.s1);
    let (b, c) = (k.tcp(), k.tcp());
    if era.shares() {
        assert_eq!(k.bind(b, k.a2, 0), ok(40000));
        assert_eq!(k.connect(c, k.s2), NOTAVAIL);
    } else {
        assert_eq!(k.bind(b, k.a2, 0), USE);
        assert_eq!(k.connect(c, k.s2), ok(40000));
    }
}

pub(super) fn example_13_listener_gone_child_alive(era: Old) {
    let mut k = Bench::far(era.kernel());
    k.range("40000 40000");
    let l = k.tcp();
    k.listener(l, "0.0.0.0:40000");
    let client = remote_client(&mut k, "10.0.0.1:40000");
    let child = k.accept(l);
    k.close(l);
    let b = k.tcp();
    assert_eq!(k.connect(b, k.s1), NOTAVAIL);
    let wild = k.tcp();
    assert_eq!(k.bind(wild, "0.0.0.0", 40000), USE);
    let other = k.tcp();
    assert_eq!(k.bind(other, k.a2, 40000), ok(40000));
    k.close(child);
    k.close(client);
    let b = k.tcp();
    assert_eq!(k.connect(b, k.s1), NOTAVAIL, "the child is in TIME-WAIT");
    k.wait(61);
    assert_eq!(k.connect(b, k.s1), NOTAVAIL, "the socket on A2 is left");
    k.close(other);
    assert_eq!(k.connect(b, k.s1), ok(40000));
}

pub(super) fn example_14_server_restart(era: Old) {
    let mut k = Bench::far(era.kernel());
    let l = k.ra();
    assert_eq!(k.bind(l, "0.0.0.0", 40000), ok(40000));
    assert_eq!(k.values(40000).unwrap().0, 1);
    assert_eq!(k.listen(l), ok(40000));
    assert_eq!(k.values(40000).unwrap().0, 0);
    remote_client(&mut k, "10.0.0.1:40000");
    k.accept(l);
    let second = k.ra();
    assert_eq!(k.bind(second, "0.0.0.0", 40000), USE);
    k.close(l);
    assert_eq!(k.bind(second, "0.0.0.0", 40000), ok(40000));
    assert_eq!(k.listen(second), ok(40000));

    // Without the option on the old listener its child and then TIME-WAIT block.
    let mut k = Bench::far(era.kernel());
    let l = k.tcp();
    k.listener(l, "0.0.0.0:40000");
    let client = remote_client(&mut k, "10.0.0.1:40000");
    let child = k.accept(l);
    k.close(l);
    let second = k.ra();
    assert_eq!(k.bind(second, "0.0.0.0", 40000), USE);
    k.close(child);
    k.close(client);
    assert_eq!(k.bind(second, "0.0.0.0", 40000), USE, "TIME-WAIT");
    k.wait(61);
    assert_eq!(k.bind(second, "0.0.0.0", 40000), ok(40000));
}

pub(super) fn example_15_lost_port(era: Old) {
    let refuses = "10.0.9.1:81";
    let mut k = Bench::far(era.kernel());
    let a = k.tcp();
    k.draws(&[2]);
    assert_eq!(k.bind(a, k.a1, 0), ok(40002));
    assert_eq!(k.connect(a, refuses), Err(Errno::ECONNREFUSED));
    assert!(!k.holds_port(a));
    assert_eq!(k.name(a), "10.0.0.1:40002", "stale");
    assert_eq!(k.connect(a, k.s1), ok(first(era)));

    let mut k = Bench::far(era.kernel());
    let a = k.tcp();
    assert_eq!(k.bind(a, k.a1, 40002), ok(40002));
    assert_eq!(k.connect(a, refuses), Err(Errno::ECONNREFUSED));
    assert!(k.holds_port(a));
    assert_eq!(k.connect(a, k.s1), ok(40002));
}

/// bind() sets the lock of an address and nothing takes it away, not even a later bind() of the
/// wildcard: disconnecting then keeps the source that connect() chose.
pub(super) fn address_lock_stays(era: Old) {
    let mut k = Bench::far(era.kernel());
    let a = k.tcp();
    k.bind(a, k.a1, 0).unwrap();
    k.connect(a, k.s1).unwrap();
    k.disconnect(a);
    assert!(!k.holds_port(a));
    assert!(k.name(a).starts_with("10.0.0.1:"));
    k.bind(a, "0.0.0.0", 0).unwrap();
    k.connect(a, k.s1).unwrap();
    k.disconnect(a);
    assert!(k.name(a).starts_with("10.0.0.1:"), "{}", k.name(a));
}

/// When each port becomes free, in tenths of a second since the bench was made.
fn deaths(k: &mut Bench, ports: &[u16], from_ms: u64) -> Vec<u64> {
    let mut at = vec![None; ports.len()];
    let mut ms = from_ms;
    while at.contains(&None) && ms < 200_000 {
        k.at_ms(ms);
        for (slot, &port) in at.iter_mut().zip(ports) {
            if slot.is_none() && k.bucket(port).is_none() {
                *slot = Some(ms / 100);
            }
        }
        ms += 10;
    }
    at.into_iter().map(|t| t.expect("dies")).collect()
}

/// Puts one port into TIME-WAIT (with the peer open: into FIN_WAIT2).
fn one_time_wait(k: &mut Bench, at_ms: u64, peer_closes: bool) -> u16 {
    k.at_ms(at_ms);
    let s = k.unbound_pair(k.s1);
    let port = k.w.local_addr(s).port();
    if peer_closes {
        k.close_first(s);
    } else {
        k.close(s);
    }
    port
}

/// Compares ends, in tenths of a second, of which those of slack timers may be a few tenths late.
fn near(got: &[u64], want: &[u64], slack: bool) -> bool {
    let late = if slack { 3 } else { 0 };
    let mut pairs = got.iter().zip(want);
    got.len() == want.len() && pairs.all(|(got, want)| (*want..=want + late).contains(got))
}

pub(super) fn example_17_length_of_time_wait(era: Old) {
    let exact = era == Old::K;
    let mut k = Bench::far(era.kernel());
    k.range("40000 40999");
    let ports = [0, 7_400, 7_600, 30_000].map(|ms| one_time_wait(&mut k, ms, true));
    // From 2.6.35 on each turn of the wheel is late by the slack of its timer.
    let slack = era.timer_slack();
    let want = match (exact, slack) {
        (true, _) => [600, 674, 676, 900],
        (_, true) => [601, 601, 676, 827],
        (_, false) => [600, 600, 675, 900],
    };
    assert_eq!(deaths(&mut k, &ports, 59_000), want);

    // A slot of the wheel with more than a hundred entries holds the others up.
    for (many, last) in [(101, 825), (100, 750)] {
        let mut k = Bench::far(era.kernel());
        k.range("40000 40999");
        let first = one_time_wait(&mut k, 0, true);
        let crowd: Vec<u16> = (0..many)
            .map(|_| one_time_wait(&mut k, 8_000, true))
            .collect();
        let last_port = one_time_wait(&mut k, 16_000, true);
        let got = deaths(
            &mut k,
            &[first, crowd[0], crowd[many - 1], last_port],
            59_000,
        );
        let want = if exact {
            [600, 680, 680, 760]
        } else {
            [600, 675, 675, last]
        };
        assert!(
            near(&got, &want, slack),
            "{many} entries: {got:?}, {want:?}"
        );
    }

    // Short timeouts of TIME-WAIT sockets are rounded up.
    let mut k = Bench::far(era.kernel());
    k.with("tcp_fin_timeout", "10");
    let ports = [0, 3_000].map(|ms| one_time_wait(&mut k, ms, false));
    let want = if exact { [100, 130] } else { [225, 225] };
    let got = deaths(&mut k, &ports, 4_000);
    assert!(near(&got, &want, slack), "{got:?}, {want:?}");
}

pub(super) fn example_18_no_time_wait(era: Old) {
    let mut k = Bench::far(era.kernel());
    let a: Vec<S> = (0..4).map(|_| k.bound_pair(k.a1, k.s1)).collect();
    for s in a {
        k.reset(s);
    }
    assert_eq!(k.held(), [0u16; 0]);
    let b = k.tcp();
    assert_eq!(k.connect(b, k.s1), ok(first(era)));
}

on_old_eras!(
    example_9_time_wait_in_bound_buckets,
    example_10_time_wait_in_connect_buckets,
    example_11_bound_reconnect,
    example_12_poisoning,
    example_13_listener_gone_child_alive,
    example_14_server_restart,
    example_15_lost_port,
    address_lock_stays,
    example_17_length_of_time_wait,
    example_18_no_time_wait,
);
