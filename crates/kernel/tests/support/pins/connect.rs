//! Pins of connect() and of what its failure leaves.

use super::super::Bench;
use super::{Pin, list, outcome, text};
use fourtuple_kernel::profile::behaviour::*;
use fourtuple_kernel::{Errno, PortRange, Shutdown, SockOpt};
use std::task::Poll;

pub(super) const PINS: &[Pin] = &[
    Pin {
        behaviour: "local_port_range_option",
        kernel: "linux-6.8",
        program: |b| {
            let mut k = Bench::local_with(b);
            let s = k.tcp();
            let set = k.try_set(s, SockOpt::LocalPortRange(PortRange::new(40002, 40003)));
            format!("{} {}", outcome(set), text(k.connect(s, k.s1)))
        },
        answers: &[
            (|b| b.local_port_range_option = true, "ok 40002"),
            (|b| b.local_port_range_option = false, "ENOPROTOOPT 40000"),
        ],
    },
    Pin {
        behaviour: "local_port_range_step_one",
        kernel: "linux-6.8",
        program: |b| {
            let mut k = Bench::local_with(b);
            list((0..4).map(|_| {
                let s = k.tcp();
                k.set(s, SockOpt::LocalPortRange(PortRange::new(40000, 40003)));
                k.connect(s, k.s1)
            }))
        },
        answers: &[
            (
                |b| b.local_port_range_step_one = true,
                "40000 40001 40002 40003",
            ),
            (
                |b| b.local_port_range_step_one = false,
                "40000 40002 40001 40003",
            ),
        ],
    },
    Pin {
        behaviour: "connect_scan",
        kernel: "linux-2.6.32",
        program: |b| {
            let mut k = Bench::far_with(b);
            k.range("40000 40002");
            list((0..3).map(|_| k.unbound(k.s1)))
        },
        answers: &[
            (
                |b| b.connect_scan = ConnectScan::FromNext,
                "40001 40002 40000",
            ),
            (
                |b| b.connect_scan = ConnectScan::EvenStart,
                "40000 40002 40001",
            ),
            (
                |b| b.connect_scan = ConnectScan::Parity,
                "40000 40001 EADDRNOTAVAIL",
            ),
        ],
    },
    Pin {
        behaviour: "perturb",
        kernel: "linux-5.18",
        program: |b| {
            let mut k = Bench::local_with(b);
            k.range("40000 40007");
            // Destinations with equal starts in different cells; the ten-second epoch moves both.
            k.chooser().hash_of = Some(|i| {
                let low = u64::from(i.destination().port() - 5001) * 8;
                let start = i.epoch() * 2;
                (start + low) << 32 | low
            });
            list([k.s1, k.s2].map(|to| k.unbound(to)))
        },
        answers: &[
            (|b| b.perturb = Perturb::Hint, "40000 40002"),
            (|b| b.perturb = Perturb::Cells256, "40000 40000"),
            (|b| b.perturb = Perturb::Cells65536, "40004 40004"),
        ],
    },
    Pin {
        behaviour: "connect_resets_address",
        kernel: "linux-6.2",
        program: |b| {
            let mut k = Bench::local_with(b);
            k.range("40000 40000");
            k.unbound_pair(k.s1);
            let s = k.tcp();
            assert_eq!(k.connect(s, k.s1), Err(Errno::EADDRNOTAVAIL));
            k.name(s)
        },
        answers: &[
            (|b| b.connect_resets_address = true, "0.0.0.0:0"),
            (|b| b.connect_resets_address = false, "127.0.0.1:0"),
        ],
    },
    Pin {
        behaviour: "source_preferred",
        kernel: "linux-2.6.37",
        program: |b| {
            let mut k = Bench::local_with(b);
            k.range("40000 40000");
            let l = k.tcp();
            k.listener(l, "127.0.0.9:7000");
            let s = k.unbound_pair("127.0.0.9:7000");
            k.name(s)
        },
        answers: &[
            (|b| b.source_preferred = true, "127.0.0.1:40000"),
            (|b| b.source_preferred = false, "127.0.0.9:40000"),
        ],
    },
    Pin {
        behaviour: "mapped_source_refused",
        kernel: "linux-4.4",
        program: |b| {
            let mut k = Bench::local_with(b);
            let s = k.tcp6();
            k.bind(s, "::ffff:127.0.0.1", 40000).unwrap();
            text(k.connect(s, "[::1]:7000"))
        },
        answers: &[
            (|b| b.mapped_source_refused = true, "EAFNOSUPPORT"),
            (|b| b.mapped_source_refused = false, "EINPROGRESS"),
        ],
    },
    Pin {
        behaviour: "foreign_source",
        kernel: "linux-6.18",
        program: |b| {
            let mut k = Bench::local_with(b);
            let s = k.tcp();
            k.w.set_option(s, SockOpt::FreeBind(true)).unwrap();
            k.bind(s, "10.99.0.1", 40000).unwrap();
            text(k.connect(s, k.s1))
        },
        answers: &[
            (|b| b.foreign_source = ForeignSource::Invalid, "EINVAL"),
            (
                |b| b.foreign_source = ForeignSource::Unreachable,
                "ENETUNREACH",
            ),
        ],
    },
    Pin {
        behaviour: "shutdown_after_handshake",
        kernel: "linux-6.18",
        program: |b| {
            let mut k = Bench::local_with(b);
            let s = k.tcp();
            k.bind(s, "127.0.0.1", 40000).unwrap();
            let shut = outcome(k.w.shutdown(s, Shutdown::Write));
            // To itself: its SYN comes in to it.
            let connected = text(k.connect(s, "127.0.0.1:40000"));
            format!("{shut} {connected}")
        },
        answers: &[
            (
                |b| b.shutdown_after_handshake = true,
                "ENOTCONN ECONNABORTED",
            ),
            (|b| b.shutdown_after_handshake = false, "ENOTCONN 40000"),
        ],
    },
    Pin {
        behaviour: "recompute_on_release",
        kernel: "linux-6.18",
        program: |b| {
            let mut k = Bench::local_with(b);
            k.range("40000 40000");
            k.unbound_pair(k.s1);
            let y = k.tcp();
            k.bind(y, k.a2, 40000).unwrap();
            let during = k.unbound(k.s2);
            k.close(y);
            list([during, k.unbound(k.s2)])
        },
        answers: &[
            (|b| b.recompute_on_release = true, "EADDRNOTAVAIL 40000"),
            (
                |b| b.recompute_on_release = false,
                "EADDRNOTAVAIL EADDRNOTAVAIL",
            ),
        ],
    },
    Pin {
        behaviour: "port_step_width",
        kernel: "linux-7.1",
        program: |b| {
            let mut k = Bench::local_with(b);
            let written = outcome(k.sysctl("ip_local_port_step_width", "3"));
            let refused = outcome(k.sysctl("ip_local_port_step_width", "-1"));
            format!("{written} {refused}")
        },
        answers: &[
            (|b| b.port_step_width = true, "ok EINVAL"),
            (|b| b.port_step_width = false, "ENOENT ENOENT"),
        ],
    },
    Pin {
        behaviour: "rto_max_setting",
        kernel: "linux-6.15",
        program: |b| {
            let mut k = Bench::local_with(b);
            let written = outcome(k.sysctl("tcp_rto_max_ms", "1000"));
            let refused = outcome(k.sysctl("tcp_rto_max_ms", "999"));
            format!("{written} {refused}")
        },
        answers: &[
            (|b| b.rto_max_setting = true, "ok EINVAL"),
            (|b| b.rto_max_setting = false, "ENOENT ENOENT"),
        ],
    },
    Pin {
        behaviour: "syn_rto_ms",
        kernel: "linux-3.1",
        program: |b| give_up(b, 1),
        answers: &[
            (|b| b.syn_rto_ms = 1000, "ETIMEDOUT after 3000 ms"),
            (|b| b.syn_rto_ms = 3000, "ETIMEDOUT after 9000 ms"),
            (|b| b.syn_rto_ms = 2000, "ETIMEDOUT after 6000 ms"),
            (|b| b.syn_rto_ms = 6000, "ETIMEDOUT after 18000 ms"),
        ],
    },
    Pin {
        behaviour: "syn_linear",
        kernel: "linux-6.5",
        program: |b| give_up(b, 9),
        answers: &[
            (|b| b.syn_linear = 0, "ETIMEDOUT after 487000 ms"),
            (|b| b.syn_linear = 1, "ETIMEDOUT after 488000 ms"),
            (|b| b.syn_linear = 4, "ETIMEDOUT after 491000 ms"),
            (|b| b.syn_linear = 8, "ETIMEDOUT after 495000 ms"),
        ],
    },
    Pin {
        behaviour: "syn_quick_retry",
        kernel: "debian-11",
        program: reconnect_over_open_peer,
        answers: &[
            (|b| b.syn_quick_retry = true, "8 ms"),
            (|b| b.syn_quick_retry = false, "1000 ms"),
        ],
    },
    Pin {
        behaviour: "syn_mute",
        kernel: "linux-3.10",
        program: reconnect_over_open_peer,
        answers: &[
            (|b| b.syn_mute = true, "never"),
            (|b| b.syn_mute = false, "1000 ms"),
        ],
    },
    Pin {
        behaviour: "somaxconn",
        kernel: "linux-5.4",
        program: |b| {
            let mut k = Bench::empty(b);
            let l = k.tcp();
            k.bind_at(l, "127.0.0.1:7000").unwrap();
            k.w.listen(l, 100_000).unwrap();
            let to = super::super::bench::end("127.0.0.1:7000");
            // Connections that are not accepted, until the queue is full.
            let mut queued = 0;
            while queued < 9000 {
                let s = k.tcp();
                if k.w.connect(s, to) != Poll::Ready(Ok(())) {
                    break;
                }
                queued += 1;
            }
            queued.to_string()
        },
        answers: &[
            (|b| b.somaxconn = 128, "129"),
            (|b| b.somaxconn = 256, "257"),
            (|b| b.somaxconn = 4096, "4097"),
            (|b| b.somaxconn = 8192, "8193"),
        ],
    },
];

/// The length of a connect() to a host that does not answer, with this many repetitions.
fn give_up(b: Behaviours, repetitions: u8) -> String {
    let mut k = Bench::far_with(b);
    let s = k.tcp();
    k.set(s, SockOpt::SynCount(repetitions));
    assert_eq!(k.connect(s, "10.0.7.7:80"), Err(Errno::EINPROGRESS));
    for ms in (0..1_000_000).step_by(500) {
        let r = k.connected(s);
        if r != Err(Errno::EINPROGRESS) {
            return format!("{} after {ms} ms", text(r));
        }
        k.wait_ms(500);
    }
    "never".to_owned()
}

/// The length of a connect() whose SYN meets the open other end of an old connection.
pub(super) fn reconnect_over_open_peer(b: Behaviours) -> String {
    let mut k = Bench::local_with(b);
    k.range("40000 40000").with("tcp_tw_reuse", "1");
    let s = k.unbound_pair(k.s1);
    k.close(s);
    k.wait(3);
    let again = k.tcp();
    assert_eq!(k.connect(again, k.s1), Err(Errno::EINPROGRESS));
    for ms in 0..20_000 {
        if k.connected(again).is_ok() {
            return format!("{ms} ms");
        }
        k.wait_ms(1);
    }
    "never".to_owned()
}
