//! The conformance checker itself: its work, and its answer at its limits.

use fourtuple_kernel::conformance::{
    Checker, GaveUp, MAX_SOCKETS_KEPT, MAX_STATES, MAX_WORK, Op, SOCKETS_PER_UNIT, SimulatedKernel,
};
use fourtuple_kernel::profile::behaviour::Perturb;
use fourtuple_kernel::{Behaviours, Errno, Family, ShortName, SockOpt, Time, profile};
use fourtuple_syscall::{Kind, Outcome, Syscall};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

fn behaviours(name: &str) -> Behaviours {
    profile::find(name).expect("a known kernel").behaviours
}

/// A recording: the time at which each call had returned, the call, its outcome.
type Recording = Vec<(Time, Op, Outcome)>;

/// A simulated kernel, and the calls that it has answered.
struct Recorder {
    kernel: SimulatedKernel,
    calls: Recording,
    sockets: usize,
}

impl Recorder {
    fn new(kernel: &str, seed: u64) -> Self {
        Recorder {
            kernel: SimulatedKernel::new(behaviours(kernel), seed),
            calls: Vec::new(),
            sockets: 0,
        }
    }

    fn call(&mut self, op: impl Into<Op>) -> Outcome {
        let op = op.into();
        let seen = self.kernel.step(&op, 1_000_000);
        self.calls.push((self.kernel.now(), op, seen));
        seen
    }

    fn socket(&mut self) -> usize {
        self.sockets += 1;
        let sock = self.sockets;
        self.call(socket(sock, Family::Inet));
        sock
    }

    fn listener(&mut self, at: SocketAddr) -> usize {
        let sock = self.socket();
        self.call(Syscall::Bind { sock, addr: at });
        self.call(Syscall::Listen { sock, backlog: 128 });
        sock
    }
}

fn socket(sock: usize, family: Family) -> Syscall<usize> {
    Syscall::Socket {
        sock,
        family,
        kind: Kind::Stream,
        uid: 0,
        nonblock: false,
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Connections over the whole range of ports that are closed as soon as they are there. The
/// acknowledgement of each client's FIN is delayed, and may have been sent or not between any two
/// calls.
fn closing_connections(kernel: &str, connections: usize, accepts: bool) -> Recording {
    let mut recorder = Recorder::new(kernel, 7);
    recorder.call(Op::Ns);
    let listener = recorder.listener(loopback(80));
    for _ in 0..connections {
        let client = recorder.socket();
        recorder.call(Syscall::Connect {
            sock: client,
            addr: loopback(80),
        });
        if accepts {
            recorder.sockets += 1;
            let new = recorder.sockets;
            recorder.call(Syscall::Accept {
                sock: listener,
                new,
                uid: None,
            });
        }
        recorder.call(Syscall::Close { sock: client });
    }
    recorder.calls
}

fn check(kernel: &str, recording: &Recording) -> Checker {
    let mut checker = Checker::new(behaviours(kernel));
    for (n, (at, op, seen)) in recording.iter().enumerate() {
        let judged = checker.step(*at, op, seen);
        assert_eq!(judged, Ok(()), "{kernel}: call {n}, {op:?}");
    }
    checker
}

#[test]
fn a_hundred_closing_connections_are_checked_with_little_work() {
    for kernel in ["linux-2.6.32", "linux-4.4", "linux-6.18"] {
        for accepts in [false, true] {
            let checker = check(kernel, &closing_connections(kernel, 100, accepts));
            assert_eq!(checker.gave_up(), None);
            assert!(checker.tried() < 50_000, "{kernel}: {}", checker.tried());
        }
    }
}

/// The last port of an odd number of ports is reached from a taken one only, at a distance that the
/// search draws.
#[test]
fn the_last_port_of_an_odd_range_is_allowed_with_a_step_width() {
    let mut last = 0;
    for seed in 0..200 {
        let mut recorder = Recorder::new("linux-7.1", seed);
        recorder.call(Op::Ns);
        for (key, value) in [
            ("net.ipv4.ip_local_port_range", "40000 40014"),
            ("net.ipv4.ip_local_port_step_width", "65535"),
        ] {
            recorder.call(Op::Sysctl {
                host: 0,
                key: key.into(),
                value: value.into(),
            });
        }
        recorder.listener(loopback(80));
        for _ in 0..4 {
            let sock = recorder.socket();
            let addr = loopback(80);
            recorder.call(Syscall::Connect { sock, addr });
        }
        check("linux-7.1", &recorder.calls);
        let text = format!("{:?}", recorder.calls);
        // From 40012 it is the next port.
        last += u32::from(text.contains(":40014") && !text.contains(":40012"));
    }
    assert!(last > 0, "no search came to the last port from afar");
}

#[test]
fn too_many_explanations_are_reported_and_not_allowed_to_pass() {
    let recording = closing_connections("linux-6.18", 20, true);
    let checker = Checker::new(behaviours("linux-6.18")).giving_up_after(50);
    let mut gave_up = checker;
    for (at, op, seen) in &recording {
        assert_eq!(gave_up.step(*at, op, seen), Ok(()));
    }
    assert_eq!(gave_up.gave_up(), Some(GaveUp::Work(50)));
}

#[test]
fn the_page_of_limits_has_the_numbers() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/limits.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let words: Vec<&str> = page.split_whitespace().collect();
    let page = words.join(" ");
    for text in [
        format!("{MAX_STATES} states"),
        format!("{MAX_SOCKETS_KEPT} sockets"),
        format!("{MAX_WORK} trials"),
        format!("every {SOCKETS_PER_UNIT} sockets"),
    ] {
        assert!(page.contains(&text), "{text}");
    }
}

/// A kernel that moves the starts of searches in one of the three ways.
fn moving(perturb: Perturb) -> Behaviours {
    let mut behaviours = behaviours("linux-6.18");
    behaviours.perturb = perturb;
    behaviours
}

/// Connections to one destination, 20 of them before and 20 after a pause.
fn connects_to_one_destination(perturb: Perturb, seed: u64) -> Recording {
    let mut recorder = Recorder {
        kernel: SimulatedKernel::new(moving(perturb), seed),
        ..Recorder::new("linux-6.18", seed)
    };
    recorder.call(Op::Ns);
    recorder.call(Op::Sysctl {
        host: 0,
        key: "net.ipv4.ip_local_port_range".into(),
        value: "40000 40199".into(),
    });
    recorder.listener(loopback(5000));
    for n in 0..40 {
        if n == 20 {
            let seen = recorder.kernel.step(&Op::Sleep, 10_300_000_000);
            let at = recorder.kernel.now();
            recorder.calls.push((at, Op::Sleep, seen));
        }
        let sock = recorder.socket();
        recorder.call(Syscall::Connect {
            sock,
            addr: loopback(5000),
        });
    }
    recorder.calls
}

/// The answer of a kernel to a connect() by a socket that is bound to `lo`.
fn connect_by_lo(kernel: &str, family: Family, to: IpAddr) -> (Option<Errno>, Recording) {
    let mut recorder = Recorder::new(kernel, 1);
    let v6 = |last| IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last));
    let v4 = |host| IpAddr::from(Ipv4Addr::new(10, host, 0, 1));
    recorder.call(Op::Hosts(vec![vec![v4(0), v6(1)], vec![v4(1), v6(2)]]));
    let sock = 1;
    recorder.call(socket(sock, family));
    recorder.call(Syscall::Set {
        sock,
        option: SockOpt::BindToDevice(ShortName::new("lo").expect("it is short")),
    });
    let op = Op::from(Syscall::Connect {
        sock,
        addr: SocketAddr::new(to, 80),
    });
    let seen = recorder.kernel.step(&op, 300_000_000_000);
    let at = recorder.kernel.now();
    recorder.calls.push((at, op, seen));
    let errno = match seen {
        Outcome::Err(errno) => Some(errno),
        _ => None,
    };
    (errno, recorder.calls)
}

#[test]
fn a_socket_bound_to_lo_does_not_reach_another_host() {
    for kernel in ["rhel-6.5", "linux-6.18"] {
        let other = IpAddr::from(Ipv4Addr::new(10, 1, 0, 1));
        let (errno, recording) = connect_by_lo(kernel, Family::Inet, other);
        assert_eq!(errno, Some(Errno::ETIMEDOUT), "{kernel}");
        check(kernel, &recording);
        let other = IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2));
        let (errno, recording) = connect_by_lo(kernel, Family::Inet6, other);
        assert_eq!(errno, Some(Errno::ENETUNREACH), "{kernel}");
        check(kernel, &recording);
        let own = IpAddr::from(Ipv4Addr::LOCALHOST);
        let (errno, _) = connect_by_lo(kernel, Family::Inet, own);
        assert_eq!(errno, Some(Errno::ECONNREFUSED), "{kernel}");
    }
}

/// A datagram socket takes its port first, and keeps it although the connect() fails: only a later
/// call reports which one it was.
#[test]
fn a_failed_connect_of_a_datagram_socket_keeps_an_unreported_port() {
    for seed in 1..5 {
        let mut recorder = Recorder::new("linux-6.18", seed);
        let host = IpAddr::from(Ipv4Addr::new(10, 0, 0, 1));
        recorder.call(Op::Hosts(vec![vec![host]]));
        recorder.call(Op::Sysctl {
            host: 0,
            key: "net.ipv6.conf.all.disable_ipv6".into(),
            value: "1".into(),
        });
        let sock = 1;
        recorder.call(Syscall::Socket {
            sock,
            family: Family::Inet6,
            kind: Kind::Datagram,
            uid: 0,
            nonblock: false,
        });
        let addr = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 3000);
        let seen = recorder.call(Syscall::Connect { sock, addr });
        assert_eq!(seen, Outcome::Err(Errno::EADDRNOTAVAIL));
        recorder.call(Syscall::Getsockname { sock });
        check("linux-6.18", &recorder.calls);
    }
}

fn first_disallowed(behaviours: Behaviours, recording: &Recording) -> Option<usize> {
    let mut checker = Checker::new(behaviours).checking_starts();
    recording
        .iter()
        .position(|(at, op, seen)| checker.step(*at, op, seen).is_err())
}

#[test]
fn forty_connects_show_how_the_start_of_a_search_moves() {
    let all = [Perturb::Hint, Perturb::Cells256, Perturb::Cells65536];
    for right in all {
        let recordings: Vec<Recording> = (0..8)
            .map(|seed| connects_to_one_destination(right, seed))
            .collect();
        for checked_as in all {
            let disallowed = recordings
                .iter()
                .filter(|recording| first_disallowed(moving(checked_as), recording).is_some())
                .count();
            match (right, checked_as) {
                _ if right == checked_as => assert_eq!(disallowed, 0, "{right:?}"),
                // With 256 cells, only one search in sixteen moves on by more than with a hint.
                (Perturb::Hint, Perturb::Cells256) => assert_eq!(disallowed, 0),
                (Perturb::Cells256, Perturb::Hint) => assert!(disallowed > 4, "{disallowed}"),
                _ => assert_eq!(disallowed, 8, "{right:?} as {checked_as:?}"),
            }
        }
    }
}
