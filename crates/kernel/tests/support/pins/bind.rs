//! Pins of bind() and listen(): checks, searches, and the options that let owners share.

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
        behaviour: "arrives_by_owner",
        kernel: "linux-6.18",
        program: |b| {
            // A server for each interface; a client without one connects to 10.0.0.1, of eth0.
            let mut k = Bench::far_with(b);
            k.server_ns = k.ns;
            let connects = ["lo", "eth0"].map(|name| {
                let server = k.serve("0.0.0.0:5001");
                let name = ShortName::new(name).expect("a short name");
                k.set(server, SockOpt::BindToDevice(name));
                let client = k.tcp();
                let answer = outcome(k.connect(client, "10.0.0.1:5001").map(|_| ()));
                k.close(server);
                answer
            });
            connects.join(", ")
        },
        answers: &[
            (|b| b.arrives_by_owner = true, "ECONNREFUSED, ok"),
            (|b| b.arrives_by_owner = false, "ok, ECONNREFUSED"),
        ],
    },
    Pin {
        behaviour: "bind_checks_device",
        kernel: "linux-6.18",
        program: |b| {
            let mut k = Bench::local_with(b);
            let binds = ["lo", "eth0"].map(|name| {
                let s = k.tcp6();
                let name = ShortName::new(name).expect("a short name");
                k.set(s, SockOpt::BindToDevice(name));
                outcome(k.bind(s, "::1", 40000).map(|_| ()))
            });
            binds.join(", ")
        },
        answers: &[
            (|b| b.bind_checks_device = true, "ok, EADDRNOTAVAIL"),
            (|b| b.bind_checks_device = false, "ok, ok"),
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
