//! Pins of the bind bucket: its two values, and the owners that a binder is compared with.

use super::super::Bench;
use super::{Pin, list, outcome, text};
use fourtuple_kernel::SockOpt;
use fourtuple_kernel::profile::Behaviours;
use fourtuple_kernel::profile::behaviour::*;

pub(super) const PINS: &[Pin] = &[
    Pin {
        behaviour: "pair_rule_v6_strict",
        kernel: "linux-3.10",
        program: |b| {
            let mut k = Bench::far_with(b);
            let (x, y) = (k.tcp6(), k.tcp6());
            for s in [x, y] {
                k.set(s, SockOpt::ReuseAddr(true));
            }
            list([k.bind(x, "::1", 0), k.bind(y, "::1", 0)])
        },
        answers: &[
            (|b| b.pair_rule_v6_strict = true, "40000 40001"),
            (|b| b.pair_rule_v6_strict = false, "40000 40000"),
        ],
    },
    Pin {
        behaviour: "force_reuse",
        kernel: "linux-3.5",
        program: |b| {
            let mut k = Bench::far_with(b);
            let (o, n) = (k.tcp(), k.tcp());
            k.bind(o, k.a1, 40000).unwrap();
            let set = k.try_set(n, SockOpt::Repair(true));
            format!("{} {}", outcome(set), text(k.bind(n, k.a1, 40000)))
        },
        answers: &[
            (|b| b.force_reuse = true, "ok 40000"),
            (|b| b.force_reuse = false, "ENOPROTOOPT EADDRINUSE"),
        ],
    },
    Pin {
        behaviour: "touch",
        kernel: "linux-4.14",
        program: touch,
        answers: &[
            (|b| b.touch = Touch::Owners, "40000 EADDRINUSE EADDRINUSE"),
            (|b| b.touch = Touch::Inverted, "EADDRINUSE 40000 40000"),
            (|b| b.touch = Touch::Every, "40000 40000 EADDRINUSE"),
            (
                |b| b.touch = Touch::NeverFirst,
                "EADDRINUSE 40000 EADDRINUSE",
            ),
        ],
    },
    Pin {
        behaviour: "reuseport_match",
        kernel: "linux-5.7",
        program: |b| {
            let mut answers = Vec::new();
            for ip in ["0.0.0.0", "10.0.0.2", "10.0.0.1"] {
                let mut k = Bench::far_with(b);
                let plain = k.tcp();
                k.bind(plain, k.a2, 40000).unwrap();
                // The second binder leaves a strict snapshot of its address.
                let snap = k.rp();
                k.bind(snap, k.a1, 40000).unwrap();
                let n = k.rp();
                answers.push(k.bind(n, ip, 40000));
            }
            list(answers)
        },
        answers: &[
            (
                |b| b.reuseport_match = ReuseportMatch::Uid,
                "40000 40000 40000",
            ),
            (
                |b| b.reuseport_match = ReuseportMatch::SnapshotEitherWild,
                "40000 EADDRINUSE 40000",
            ),
            (
                |b| b.reuseport_match = ReuseportMatch::SnapshotCovers,
                "EADDRINUSE EADDRINUSE 40000",
            ),
        ],
    },
    Pin {
        behaviour: "v6only_before_check",
        kernel: "linux-6.18",
        program: |b| {
            let mut k = Bench::local_with(b);
            let first = k.tcp6();
            k.bind(first, "::1", 40000).unwrap();
            let any = k.rp();
            k.bind(any, "0.0.0.0", 40000).unwrap();
            // The port is shared unchecked if the IPv4 wildcard covers the newcomer, which it does
            // not once the newcomer is for IPv6 only.
            let next = k.tcp6();
            k.set(next, SockOpt::ReusePort(true));
            text(k.bind(next, "::1", 40000))
        },
        answers: &[
            (|b| b.v6only_before_check = true, "EADDRINUSE"),
            (|b| b.v6only_before_check = false, "40000"),
        ],
    },
    Pin {
        behaviour: "bhash2",
        kernel: "linux-6.8",
        program: bhash2,
        answers: &[
            (|b| b.bhash2 = Bhash2::None, "- - - o - -"),
            (|b| b.bhash2 = Bhash2::SameFamilyNoTw, "o o o o - o"),
            (|b| b.bhash2 = Bhash2::SameFamily, "- o o o - o"),
            (|b| b.bhash2 = Bhash2::InetSeesAny6, "- - o o - o"),
            (|b| b.bhash2 = Bhash2::InetSeesMapped, "- - - o - o"),
            (|b| b.bhash2 = Bhash2::Unified, "- - - - - o"),
            (|b| b.bhash2 = Bhash2::UnifiedV6Only, "- - - o - o"),
            (|b| b.bhash2 = Bhash2::CreatorFamily, "- - - o o o"),
        ],
    },
    Pin {
        behaviour: "child_counted",
        kernel: "linux-2.6.32",
        program: |b| {
            let mut k = Bench::local_with(b);
            let l = k.tcp();
            k.listener(l, "127.0.0.1:7000");
            for port in 7001..7012 {
                let s = k.tcp();
                k.bind(s, k.a1, port).unwrap();
            }
            for port in 6001..6041 {
                let c = k.tcp();
                k.bind(c, "127.0.0.9", port).unwrap();
                k.connect(c, "127.0.0.1:7000").unwrap();
                let child = k.accept(l);
                k.close(c);
                k.close(child);
            }
            // More sockets than ports share early, unless the count has drifted down.
            let (x, y) = (k.ra(), k.ra());
            list([k.bind(x, k.a1, 0), k.bind(y, k.a1, 0)])
        },
        answers: &[
            (|b| b.child_counted = true, "40000 40000"),
            (|b| b.child_counted = false, "40000 40001"),
        ],
    },
    Pin {
        behaviour: "uid_kept",
        kernel: "linux-6.18",
        program: |b| {
            let mut answers = Vec::new();
            for uid in [1000, 0] {
                let mut k = Bench::local_with(b);
                let o = k.rp_as(1000);
                k.bind(o, k.a1, 40000).unwrap();
                k.connect(o, k.s1).unwrap();
                // Its FIN is not acknowledged yet: an orphan that is a full socket.
                k.close(o);
                let n = k.rp_as(uid);
                k.set(n, SockOpt::ReusePort(true));
                // Spoil the fast path, so that the owners are compared.
                let plain = k.tcp();
                k.bind(plain, k.a2, 40000).unwrap();
                answers.push(k.bind(n, k.a1, 40000));
            }
            list(answers)
        },
        answers: &[
            (|b| b.uid_kept = true, "40000 EADDRINUSE"),
            (|b| b.uid_kept = false, "EADDRINUSE 40000"),
        ],
    },
];

/// The answers to three newcomers of a bucket: an owner that has lost its option, a third socket
/// that only has SO_REUSEPORT, and a third one at the address of a plain owner.
fn touch(b: Behaviours) -> String {
    let mut k = Bench::far_with(b);
    let x = k.ra();
    k.bind(x, k.a1, 40000).unwrap();
    k.set(x, SockOpt::ReuseAddr(false));
    let y = k.ra();
    let cleared = k.bind(y, k.a1, 40000);

    let mut k = Bench::far_with(b);
    let (x, y, z) = (k.ra(), k.rarp(), k.rp());
    for s in [x, y] {
        k.bind(s, k.a1, 40000).unwrap();
    }
    let third = k.bind(z, k.a1, 40000);

    let mut k = Bench::far_with(b);
    let (x, y, z) = (k.tcp(), k.ra(), k.ra());
    k.bind(x, k.a1, 40000).unwrap();
    k.bind(y, k.a2, 40000).unwrap();
    let plain = k.bind(z, k.a1, 40000);
    list([cleared, third, plain])
}

/// Pairs that the table by address treats differently: `o` shares, `-` does not.
fn bhash2(b: Behaviours) -> String {
    let mut marks = Vec::new();
    let mark = |granted: bool| if granted { "o" } else { "-" };
    // A TIME-WAIT of the same address.
    let mut k = Bench::local_with(b);
    let a = k.tcp();
    k.bind(a, k.a1, 40000).unwrap();
    k.connect(a, k.s1).unwrap();
    k.close_first(a);
    let n = k.tcp();
    marks.push(mark(k.bind(n, k.a1, 40000).is_ok()));
    for (first, only, second) in [
        ("::", false, "127.0.0.1"),
        ("::ffff:0.0.0.0", false, "127.0.0.1"),
        ("::", true, "::ffff:127.0.0.1"),
        ("::ffff:0.0.0.0", false, "::ffff:127.0.0.1"),
    ] {
        let mut k = Bench::local_with(b);
        let o = k.tcp6();
        k.set(o, SockOpt::V6Only(only));
        k.bind(o, first, 40000).unwrap();
        let n = if second.contains(':') {
            k.tcp6()
        } else {
            k.tcp()
        };
        marks.push(mark(k.bind(n, second, 40000).is_ok()));
    }
    // IPv4 sees a native IPv6 address as 127.0.0.6, but only in the list of all owners.
    let mut k = Bench::local_with(b);
    let l = k.tcp6();
    k.listener(l, "[::1]:7000");
    let c = k.tcp6();
    let port = k.connect(c, "[::1]:7000").unwrap();
    let n = k.tcp();
    marks.push(mark(k.bind(n, "127.0.0.6", port).is_ok()));
    marks.join(" ")
}
