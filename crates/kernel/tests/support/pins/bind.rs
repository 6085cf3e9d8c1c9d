//! Pins of bind(), listen() and the conflict test.

use super::super::Bench;
use super::{Pin, list, outcome, text};
use fourtuple_kernel::profile::Behaviours;
use fourtuple_kernel::profile::behaviour::*;
use fourtuple_kernel::{Errno, ShortName, SockOpt};

pub(super) const PINS: &[Pin] = &[
    Pin {
        behaviour: "bind_family",
        kernel: "linux-3.10",
        program: |b| {
            let mut k = Bench::local_with(b);
            let s = k.tcp();
            let r = k.bind(s, "::1", 40000);
            format!("{} {}", text(r), k.name(s))
        },
        answers: &[
            (
                |b| b.bind_family = BindFamily::Ignored,
                "40000 0.0.0.0:40000",
            ),
            (|b| b.bind_family = BindFamily::Invalid, "EINVAL 0.0.0.0:0"),
            (
                |b| b.bind_family = BindFamily::NoSupport,
                "EAFNOSUPPORT 0.0.0.0:0",
            ),
        ],
    },
    Pin {
        behaviour: "bind_scan",
        kernel: "linux-4.6",
        program: |b| {
            let plain = binds(b, 4, |k| k.tcp());
            let reusing = binds(b, 5, |k| k.ra());
            format!("{plain} / {reusing}")
        },
        answers: &[
            (
                |b| b.bind_scan = BindScan::Sequential,
                "40000 40001 40002 40003 / 40000 40001 40000 40001 40000",
            ),
            (
                |b| b.bind_scan = BindScan::ParityShare,
                "40001 40003 40000 40002 / 40001 40001 40001 40001 40001",
            ),
            (
                |b| b.bind_scan = BindScan::Parity,
                "40001 40003 40000 40002 / 40001 40000 40003 40002 EADDRINUSE",
            ),
        ],
    },
    Pin {
        behaviour: "bind_shares",
        kernel: "linux-3.3",
        program: |b| {
            let mut k = Bench::far_with(b);
            k.range("40000 40000");
            let (x, y) = (k.tcp(), k.tcp());
            list([k.bind(x, k.a1, 0), k.bind(y, k.a2, 0)])
        },
        answers: &[
            (|b| b.bind_shares = false, "40000 EADDRINUSE"),
            (|b| b.bind_shares = true, "40000 40000"),
        ],
    },
    Pin {
        behaviour: "half_range",
        kernel: "linux-4.2",
        program: |b| {
            let mut k = Bench::far_with(b);
            k.always(2);
            let reusing = k.ra();
            let forced = k.tcp();
            k.set(forced, SockOpt::Repair(true));
            list([k.bind(reusing, k.a1, 0), k.bind(forced, k.a2, 0)])
        },
        answers: &[
            (|b| b.half_range = HalfRange::No, "40002 40002"),
            (|b| b.half_range = HalfRange::Reuse, "40000 40002"),
            (|b| b.half_range = HalfRange::AnyReuse, "40000 40000"),
        ],
    },
    Pin {
        behaviour: "bsockets_check",
        kernel: "linux-2.6.38",
        program: |b| {
            let mut k = Bench::far_with(b);
            // More sockets than ports: the search wants to share early.
            for port in 7000..7005 {
                let s = k.tcp();
                k.bind(s, k.a1, port).unwrap();
            }
            let (x, y) = (k.ra(), k.ra());
            list([k.bind(x, k.a1, 0), k.bind(y, k.a1, 0)])
        },
        answers: &[
            (|b| b.bsockets_check = true, "40000 40001"),
            (|b| b.bsockets_check = false, "40000 EADDRINUSE"),
        ],
    },
    Pin {
        behaviour: "pair_rule",
        kernel: "linux-5.7",
        program: |b| {
            let mut answers = Vec::new();
            for (reuse, reuseport, autobind) in
                [(true, false, "0"), (false, true, "0"), (true, true, "1")]
            {
                let mut k = Bench::far_with(b);
                k.range("40000 40000").with("ip_autobind_reuse", autobind);
                let mut socket = || {
                    let s = k.tcp();
                    k.set(s, SockOpt::ReuseAddr(reuse));
                    k.set(s, SockOpt::ReusePort(reuseport))
                };
                let (x, y) = (socket(), socket());
                k.bind(x, k.a1, 0).unwrap();
                answers.push(k.bind(y, k.a1, 0));
            }
            list(answers)
        },
        answers: &[
            (|b| b.pair_rule = PairRule::Single, "40000 40000 40000"),
            (
                |b| b.pair_rule = PairRule::StrictRelaxed,
                "EADDRINUSE 40000 40000",
            ),
            (
                |b| b.pair_rule = PairRule::ReuseportExplicitOnly,
                "EADDRINUSE EADDRINUSE 40000",
            ),
            (
                |b| b.pair_rule = PairRule::Split,
                "EADDRINUSE EADDRINUSE EADDRINUSE",
            ),
        ],
    },
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
        behaviour: "close_conflicts",
        kernel: "linux-2.6.38",
        program: |b| {
            let mut k = Bench::far_with(b);
            let o = k.tcp();
            k.bind(o, k.a1, 40000).unwrap();
            // After the bind, so that no fast path skips the owners.
            k.set(o, SockOpt::ReuseAddr(true));
            let n = k.ra();
            text(k.bind(n, k.a1, 40000))
        },
        answers: &[
            (|b| b.close_conflicts = true, "EADDRINUSE"),
            (|b| b.close_conflicts = false, "40000"),
        ],
    },
    Pin {
        behaviour: "reuseport_group_term",
        kernel: "linux-5.7",
        program: |b| {
            let mut k = Bench::far_with(b);
            let (o, n) = (k.rp(), k.rp());
            k.bind(o, k.a1, 40000).unwrap();
            let attached = k.try_set(n, SockOpt::AttachReuseportBpf(true));
            format!("{} {}", outcome(attached), text(k.bind(n, k.a1, 40000)))
        },
        answers: &[
            (|b| b.reuseport_group_term = true, "ok EADDRINUSE"),
            (|b| b.reuseport_group_term = false, "ENOPROTOOPT 40000"),
        ],
    },
    Pin {
        behaviour: "reuseport",
        kernel: "linux-3.9",
        program: |b| {
            let mut k = Bench::far_with(b);
            let (o, n) = (k.tcp(), k.tcp());
            let set = [o, n].map(|s| outcome(k.try_set(s, SockOpt::ReusePort(true))));
            k.bind(o, k.a1, 40000).unwrap();
            format!("{} {}", set[0], text(k.bind(n, k.a1, 40000)))
        },
        answers: &[
            (|b| b.reuseport = true, "ok 40000"),
            (|b| b.reuseport = false, "ENOPROTOOPT EADDRINUSE"),
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
        behaviour: "autobind_reuse",
        kernel: "linux-5.7",
        program: |b| {
            let mut k = Bench::far_with(b);
            k.range("40000 40000");
            let written = k.sysctl("ip_autobind_reuse", "1");
            let (x, y) = (k.ra(), k.ra());
            k.bind(x, k.a1, 0).unwrap();
            format!("{} {}", outcome(written), text(k.bind(y, k.a1, 0)))
        },
        answers: &[
            (|b| b.autobind_reuse = true, "ok 40000"),
            (|b| b.autobind_reuse = false, "ENOENT EADDRINUSE"),
        ],
    },
    Pin {
        behaviour: "bind_address_no_port",
        kernel: "linux-4.2",
        program: |b| {
            let mut k = Bench::far_with(b);
            let s = k.tcp();
            let set = k.try_set(s, SockOpt::BindAddressNoPort(true));
            format!("{} {}", outcome(set), text(k.bind(s, k.a1, 0)))
        },
        answers: &[
            (|b| b.bind_address_no_port = true, "ok 0"),
            (|b| b.bind_address_no_port = false, "ENOPROTOOPT 40000"),
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
            // The port is shared without a look at its owners if the IPv4 wildcard covers the newcomer, which it does
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
                // Spoil the fast path, so that the owners are looked at.
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
    Pin {
        behaviour: "range_high",
        kernel: "linux-3.10",
        program: |b| {
            let mut k = Bench::empty(b);
            let s = k.tcp();
            k.always(61000 - 32768);
            text(k.bind(s, k.a1, 0))
        },
        answers: &[
            (|b| b.range_high = 61000, "61000"),
            (|b| b.range_high = 60999, "32768"),
        ],
    },
    Pin {
        behaviour: "v6_foreign_bind",
        kernel: "linux-3.10",
        program: |b| {
            let mut k = Bench::local_with(b);
            let foreign = "2001:db8::1";
            let mut got = Vec::new();
            for opt in [SockOpt::Transparent(true), SockOpt::FreeBind(true)] {
                let s = k.tcp6();
                k.set(s, opt);
                got.push(k.bind(s, foreign, 0).is_ok());
            }
            // Allowed by the sysctl, where it exists.
            let written = k.sysctl("net.ipv6.ip_nonlocal_bind", "1");
            let s = k.tcp6();
            let by_sysctl = k.bind(s, foreign, 0);
            got.push(by_sysctl.is_ok());
            assert!(by_sysctl.is_ok() || by_sysctl == Err(Errno::EADDRNOTAVAIL));
            format!("{got:?} {}", outcome(written))
        },
        answers: &[
            (
                |b| b.v6_foreign_bind = V6Foreign::None,
                "[false, false, false] ENOENT",
            ),
            (
                |b| b.v6_foreign_bind = V6Foreign::Transparent,
                "[true, false, false] ENOENT",
            ),
            (
                |b| b.v6_foreign_bind = V6Foreign::Freebind,
                "[true, true, false] ENOENT",
            ),
            (
                |b| b.v6_foreign_bind = V6Foreign::Sysctl,
                "[true, true, true] ok",
            ),
        ],
    },
    Pin {
        behaviour: "device_for_users",
        kernel: "linux-6.18",
        program: |b| {
            let mut k = Bench::local_with(b);
            let s = k.tcp_as(1000);
            let first = outcome(k.try_set(s, SockOpt::BindToDevice(ShortName::LO)));
            let second = outcome(k.try_set(s, SockOpt::BindToDevice(ShortName::default())));
            format!("{first} {second}")
        },
        answers: &[
            (|b| b.device_for_users = true, "ok EPERM"),
            (|b| b.device_for_users = false, "EPERM EPERM"),
        ],
    },
    Pin {
        behaviour: "bind_to_index",
        kernel: "linux-6.18",
        program: |b| {
            // One port of one address for each interface; a socket without one meets both.
            let mut k = Bench::local_with(b);
            let binds = [1, 2, 1, 0].map(|index| {
                let s = k.tcp();
                let set = outcome(k.try_set(s, SockOpt::BindToIfIndex(index)));
                let bound = k.bind(s, "127.0.0.1", 40000).map(|_| ());
                format!("{set} {}", outcome(bound))
            });
            binds.join(", ")
        },
        answers: &[
            (
                |b| b.bind_to_index = true,
                "ok ok, ok ok, ok EADDRINUSE, ok EADDRINUSE",
            ),
            (
                |b| b.bind_to_index = false,
                "ENOPROTOOPT ok, ENOPROTOOPT EADDRINUSE, ENOPROTOOPT EADDRINUSE, ENOPROTOOPT EADDRINUSE",
            ),
        ],
    },
];

/// Several binds to port 0 of one address.
fn binds(
    b: Behaviours,
    count: usize,
    mut socket: impl FnMut(&mut Bench) -> super::super::S,
) -> String {
    let mut k = Bench::far_with(b);
    list((0..count).map(|_| {
        let s = socket(&mut k);
        k.bind(s, k.a1, 0)
    }))
}

/// What the values of a bucket let in: an owner that has lost its option, a third socket that only
/// has SO_REUSEPORT, and a third one at the address of a plain owner.
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
