//! Pins of UDP's own rules.

use super::super::Bench;
use super::{Pin, text};
use fourtuple_kernel::SockOpt;

pub(super) const PINS: &[Pin] = &[
    Pin {
        behaviour: "udp_reuseport_groups",
        kernel: "linux-6.12",
        program: |b| {
            let mut k = Bench::local_with(b);
            let first = k.udp_with(&[SockOpt::ReusePort(true)]);
            k.bind(first, "127.0.0.1", 41000).unwrap();
            let second = k.udp_with(&[SockOpt::ReusePort(true)]);
            // The program starts a group before the socket has a port.
            let _ = k.try_set(second, SockOpt::AttachReuseportBpf(true));
            text(k.bind(second, "127.0.0.1", 41000))
        },
        answers: &[
            (|b| b.udp_reuseport_groups = true, "EADDRINUSE"),
            (|b| b.udp_reuseport_groups = false, "41000"),
        ],
    },
    Pin {
        behaviour: "udp_reuseport_decides",
        kernel: "linux-6.12",
        program: |b| {
            let mut k = Bench::local_with(b);
            let plain = k.udp();
            k.bind(plain, "127.0.0.2", 41000).unwrap();
            let sharing = k.udp_with(&[SockOpt::ReusePort(true)]);
            k.bind(sharing, "127.0.0.1", 41000).unwrap();
            // It overlaps with both, and meets the one that was bound last first.
            let wildcard = k.udp_with(&[SockOpt::ReusePort(true)]);
            text(k.bind(wildcard, "0.0.0.0", 41000))
        },
        answers: &[
            (|b| b.udp_reuseport_decides = true, "41000"),
            (|b| b.udp_reuseport_decides = false, "EADDRINUSE"),
        ],
    },
    Pin {
        behaviour: "udp_wildcard_misses",
        kernel: "linux-6.12",
        program: |b| {
            let mut k = Bench::local_with(b);
            for n in 1..=11 {
                let s = k.udp();
                k.bind(s, &format!("127.0.0.{n}"), 41000).unwrap();
            }
            let wildcard = k.udp();
            text(k.bind(wildcard, "0.0.0.0", 41000))
        },
        answers: &[
            (|b| b.udp_wildcard_misses = true, "41000"),
            (|b| b.udp_wildcard_misses = false, "EADDRINUSE"),
        ],
    },
];
