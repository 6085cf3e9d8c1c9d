//! Pins of TIME-WAIT and of timers.

use super::super::bench::end;
use super::super::{Bench, FixedChooser};
use super::connect::reconnect_over_open_peer;
use super::{Pin, list, outcome, text};
use fourtuple_kernel::profile::Behaviours;
use fourtuple_kernel::profile::behaviour::*;
use fourtuple_kernel::{Family, Machine, SockOpt, State, Time};
use std::task::Poll;

pub(super) const PINS: &[Pin] = &[
    Pin {
        behaviour: "tw_copies_reuseport",
        kernel: "linux-4.18",
        program: |b| {
            let mut k = Bench::local_with(b);
            let a = k.rp();
            k.bind(a, k.a1, 40000).unwrap();
            k.connect(a, k.s1).unwrap();
            k.close_first(a);
            // Another user's, so that no fast path lets it in.
            let n = k.rp_as(1000);
            text(k.bind(n, k.a1, 40000))
        },
        answers: &[
            (|b| b.tw_copies_reuseport = true, "40000"),
            (|b| b.tw_copies_reuseport = false, "EADDRINUSE"),
        ],
    },
    Pin {
        behaviour: "tw_reuse",
        kernel: "linux-4.19",
        program: |b| {
            let answers = [Bench::far_with, Bench::local_with].map(|bench| {
                let mut k = bench(b);
                k.range("40000 40000").with("tcp_tw_reuse", "2");
                let s = k.unbound_pair(k.s1);
                k.close_first(s);
                k.wait(3);
                k.unbound(k.s1)
            });
            let mut k = Bench::local_with(b);
            let three = outcome(k.sysctl("tcp_tw_reuse", "3"));
            format!("{} {three}", list(answers))
        },
        answers: &[
            (|b| b.tw_reuse = TwReuse::NonZero, "40000 40000 ok"),
            (
                |b| b.tw_reuse = TwReuse::Loopback,
                "EADDRNOTAVAIL 40000 EINVAL",
            ),
        ],
    },
    Pin {
        behaviour: "tw_reuse_not_fin_wait2",
        kernel: "linux-6.12",
        program: |b| {
            let mut k = Bench::local_with(b);
            k.range("40000 40000").with("tcp_tw_reuse", "1");
            let s = k.unbound_pair(k.s1);
            k.close(s);
            k.wait(5);
            text(k.unbound(k.s1))
        },
        answers: &[
            (|b| b.tw_reuse_not_fin_wait2 = true, "EADDRNOTAVAIL"),
            (|b| b.tw_reuse_not_fin_wait2 = false, "EINPROGRESS"),
        ],
    },
    Pin {
        behaviour: "tw_age",
        kernel: "linux-5.10",
        program: |b| {
            let mut k = Bench::local_with(b);
            k.range("40000 40000").with("tcp_tw_reuse", "1");
            k.wait_ms(300);
            let s = k.unbound_pair(k.s1);
            k.close_first(s);
            for ms in 0..5_000 {
                if k.unbound(k.s1).is_ok() {
                    return format!("{ms} ms");
                }
                k.wait_ms(1);
            }
            "never".to_owned()
        },
        answers: &[
            (|b| b.tw_age = TwAge::OverOneSecond, "1700 ms"),
            (|b| b.tw_age = TwAge::NextSecond, "700 ms"),
            (|b| b.tw_age = TwAge::Millis, "1001 ms"),
        ],
    },
    Pin {
        behaviour: "tw_stamp_monotonic",
        kernel: "linux-4.19",
        program: |b| {
            format!(
                "{} / {}",
                recycle_after_boot(b, 300),
                recycle_after_boot(b, 5_300)
            )
        },
        answers: &[
            (|b| b.tw_stamp_monotonic = true, "EADDRNOTAVAIL / ok"),
            (|b| b.tw_stamp_monotonic = false, "ok / ok"),
        ],
    },
    Pin {
        behaviour: "fin_ack_stamped",
        kernel: "rhel-6.5",
        program: |b| {
            let mut k = Bench::local_with(b);
            k.range("40000 40000").with("tcp_tw_reuse", "1");
            let s = k.unbound_pair(k.s1);
            k.wait(5);
            // The other end stays open, so that only the acknowledgement of the FIN comes back.
            k.close(s);
            k.wait_ms(50);
            text(k.unbound(k.s1))
        },
        answers: &[
            (|b| b.fin_ack_stamped = true, "EADDRNOTAVAIL"),
            (|b| b.fin_ack_stamped = false, "EINPROGRESS"),
        ],
    },
    Pin {
        behaviour: "timer_slack",
        kernel: "linux-4.0",
        program: |b| deaths(b, 1),
        answers: &[
            (|b| b.timer_slack = true, "60160 60160 67680"),
            (|b| b.timer_slack = false, "60000 60000 67500"),
        ],
    },
    Pin {
        behaviour: "tw_timer",
        kernel: "linux-4.1",
        program: |b| {
            let (few, many) = (deaths(b, 1), deaths(b, 202));
            format!("{few} / {many}")
        },
        answers: &[
            (
                |b| b.tw_timer = TwTimer::SlotWheel,
                "60000 60000 67500 / 60000 60000 75000",
            ),
            (
                |b| b.tw_timer = TwTimer::SlotWheelQuick,
                "60000 60000 67500 / 60000 60000 68500",
            ),
            (
                |b| b.tw_timer = TwTimer::Exact,
                "60000 67400 67600 / 60000 67400 67600",
            ),
            (
                |b| b.tw_timer = TwTimer::Grid,
                "60736 68928 68928 / 60736 68928 68928",
            ),
        ],
    },
    Pin {
        behaviour: "hz",
        kernel: "debian-11",
        program: |b| format!("{}, {}", deaths(b, 1), reconnect_over_open_peer(b)),
        answers: &[
            (|b| b.hz = 100, "61760 72000 72000, 20 ms"),
            (|b| b.hz = 250, "60736 68928 68928, 8 ms"),
            (|b| b.hz = 500, "60736 67904 67904, 4 ms"),
            (|b| b.hz = 1000, "60736 68928 68928, 2 ms"),
            (|b| b.hz = 2000, "60736 68928 68928, 1 ms"),
        ],
    },
    Pin {
        behaviour: "delayed_ack_ms",
        kernel: "linux-4.2",
        program: |b| {
            let mut k = Bench::local_with(b);
            let s = k.unbound_pair(k.s1);
            k.close(s);
            let mut ms = 0;
            while k.w.sockets(k.ns).iter().any(|s| s.state == State::FinWait1) {
                k.wait_ms(1);
                ms += 1;
            }
            format!("{ms} ms")
        },
        answers: &[
            (|b| b.delayed_ack_ms = 4, "4 ms"),
            (|b| b.delayed_ack_ms = 8, "8 ms"),
            (|b| b.delayed_ack_ms = 44, "44 ms"),
            (|b| b.delayed_ack_ms = 88, "88 ms"),
        ],
    },
];

/// Milliseconds at which three TIME-WAITs end that begin at 0, 7.4 and 7.6 s; the first moment has
/// `crowd` of them.
fn deaths(b: Behaviours, crowd: usize) -> String {
    let mut k = Bench::far_with(b);
    k.range("40000 40999");
    let mut ports = Vec::new();
    for (ms, count) in [(0, crowd), (7_400, 1), (7_600, 1)] {
        k.at_ms(ms);
        for n in 0..count {
            let s = k.unbound_pair(k.s1);
            if n == 0 {
                ports.push(k.w.local_addr(s).port());
            }
            k.close_first(s);
        }
    }
    let mut ends = vec![0; ports.len()];
    for ms in (58_000..80_000).step_by(4) {
        k.at_ms(ms);
        for (end, &port) in ends.iter_mut().zip(&ports) {
            if *end == 0 && k.bucket(port).is_none() {
                *end = ms;
            }
        }
    }
    let texts: Vec<String> = ends.iter().map(u64::to_string).collect();
    texts.join(" ")
}

/// Takes over a TIME-WAIT that began this long after boot, by explicit port.
fn recycle_after_boot(b: Behaviours, ms: u64) -> String {
    let mut m = Machine::new(b, FixedChooser::default());
    m.set_clock(Time::from_millis(ms));
    let ns = m.add_namespace();
    let l = m.socket(ns, Family::Inet, 0);
    m.bind(l, end("127.0.0.1:5001")).unwrap();
    m.listen(l, 8).unwrap();
    let client = |m: &mut Machine<FixedChooser>| {
        let s = m.socket(ns, Family::Inet, 0);
        m.set_option(s, SockOpt::ReuseAddr(true)).unwrap();
        m.bind(s, end("127.0.0.1:40000")).unwrap();
        (s, m.connect(s, end("127.0.0.1:5001")))
    };
    let (s, first) = client(&mut m);
    assert_eq!(first, Poll::Ready(Ok(())));
    let Poll::Ready(Ok(child)) = m.accept(l, 0) else {
        panic!("accept");
    };
    m.close(s);
    m.close(child);
    m.advance(Time::from_millis(ms + 2_000));
    match client(&mut m).1 {
        Poll::Ready(r) => outcome(r).to_owned(),
        Poll::Pending => "waiting".to_owned(),
    }
}
