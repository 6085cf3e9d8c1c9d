//! NAT hosts as real kernels were measured: a row of the table of measurements each, on the kernels
//! 6.1 (no eviction), 6.18 and, for the search before 5.0, 4.14 and 3.10.

mod support;

use fourtuple_kernel::nat::{
    DestinationNat, LinuxNat, NatRules, Randomness, SourceNat, loss_probability,
};
use fourtuple_kernel::{Errno, Rule, Seeded, WorldSock};
use std::net::SocketAddr;
use std::task::Poll;
use support::nat_lab::{CLIENTS, ROUTER};
use support::{NatLab, kernel};

type Lab = NatLab<Seeded>;

fn lab(name: &str, rule: LinuxNat, seed: u64) -> Lab {
    NatLab::new(kernel(name), rule, |host| Seeded::new(seed, host))
}

fn masquerade() -> LinuxNat {
    LinuxNat::default()
}

fn to_ports(low: u16, high: u16) -> LinuxNat {
    LinuxNat {
        ports: Some((low, high)),
        ..LinuxNat::default()
    }
}

fn ports(seen: &[SocketAddr]) -> Vec<u16> {
    seen.iter().map(SocketAddr::port).collect()
}

const CURRENT: [&str; 2] = ["linux-6.1", "linux-6.18"];

#[test]
fn a_port_is_kept_for_the_first_and_moved_for_the_second() {
    for name in CURRENT {
        let mut lab = lab(name, masquerade(), 1);
        lab.connect(0, Some(45000), 0);
        lab.connect(1, Some(45000), 0);
        lab.connect(1, Some(45001), 1);
        let [first, second] = lab.seen(0)[..] else {
            panic!("two connections");
        };
        assert_eq!(first, SocketAddr::new(ROUTER.parse().unwrap(), 45000));
        assert_eq!(second.ip(), first.ip());
        assert!(second.port() >= 1024 && second.port() != 45000);
        assert_eq!(ports(&lab.seen(1)), [45001]);
        let counters = lab.counters();
        assert_eq!((counters.kept, counters.moved), (2, 1));
    }
}

#[test]
fn a_moved_port_stays_in_the_class_of_the_clients_port() {
    for name in CURRENT {
        for (port, low, high) in [
            (100, 1, 511),
            (511, 1, 511),
            (512, 600, 1023),
            (520, 600, 1023),
            (700, 600, 1023),
            (1023, 600, 1023),
            (1024, 1024, 65535),
        ] {
            let mut least = u16::MAX;
            let mut most = 0;
            for seed in 0..200 {
                let mut lab = lab(name, masquerade(), seed);
                lab.connect(0, Some(port), 0);
                lab.connect(1, Some(port), 0);
                let [first, second] = lab.seen(0)[..] else {
                    panic!("two connections from port {port}");
                };
                assert_eq!(first.port(), port);
                least = least.min(second.port());
                most = most.max(second.port());
            }
            assert!((low..=high).contains(&least) && (low..=high).contains(&most));
            // The whole class is used.
            assert!(least - low < (high - low) / 10 && high - most < (high - low) / 10);
        }
    }
}

/// The time until a connect() has an answer, in seconds, and the answer.
fn wait(lab: &mut Lab, socket: WorldSock) -> (u64, Result<(), Errno>) {
    let start = lab.world.now();
    for _ in 0..1000 {
        if let Poll::Ready(answer) = lab.world.connect_result(socket) {
            return (lab.world.now().since(start) / 1_000_000_000, answer);
        }
        let next = lab.world.next_event().expect("a SYN is repeated");
        lab.world.advance(next);
    }
    panic!("no answer");
}

#[test]
fn a_fifth_connection_over_four_ports_is_lost_in_silence() {
    // A SYN, and six repetitions; since 6.5 four more come first, each a second after the other.
    for (name, seconds, syns) in [("linux-6.1", 127, 7), ("linux-6.18", 131, 11)] {
        let mut lab = lab(name, to_ports(40000, 40003), 1);
        for n in 0..4 {
            lab.connect(n % 2, None, 0);
        }
        let mut seen = ports(&lab.seen(0));
        seen.sort_unstable();
        assert_eq!(seen, [40000, 40001, 40002, 40003]);
        let fifth = lab.connect(0, None, 0);
        assert_eq!(lab.counters().insert_failed, 1);
        let other = lab.connect(0, None, 1);
        assert_eq!(lab.world.connect_result(other), Poll::Ready(Ok(())));
        let (after, answer) = wait(&mut lab, fifth);
        assert_eq!((after, answer), (seconds, Err(Errno::ETIMEDOUT)), "{name}");
        let counters = lab.counters();
        assert_eq!(
            (counters.insert_failed, counters.drop),
            (syns, syns),
            "{name}"
        );
        let why = lab.world.take_refusal().expect("a reason");
        assert_eq!((why.rule, why.tried), (Rule::NatDrop, 4));
    }
}

/// The ways in which both connections of a two-port range end.
#[derive(Clone, Copy, Debug)]
enum End {
    ClientFirst,
    ServerFirst,
    Reset,
}

fn two_closed(name: &str, end: End, seed: u64) -> Lab {
    let mut lab = lab(name, to_ports(40000, 40001), seed);
    let sockets = [lab.connect(0, None, 0), lab.connect(0, None, 0)];
    assert_eq!(lab.seen(0).len(), 2);
    for socket in sockets {
        match end {
            End::ClientFirst => lab.close_both(socket, 0),
            End::ServerFirst => lab.close_server_first(socket, 0),
            End::Reset => lab.reset(socket),
        }
    }
    lab.advance_ms(200);
    let flows = lab.world.nat_flows(lab.router);
    let want = match end {
        End::Reset => "CLOSE",
        _ => "TIME_WAIT",
    };
    assert!(
        flows.iter().all(|flow| flow.state.name() == want),
        "{flows:?}"
    );
    lab
}

#[test]
fn closing_flows_keep_their_ports_until_the_timer_before_eviction() {
    for end in [End::ClientFirst, End::ServerFirst, End::Reset] {
        let mut lab = two_closed("linux-6.1", end, 1);
        let socket = lab.connect(1, None, 0);
        let (seconds, answer) = wait(&mut lab, socket);
        match end {
            // CLOSE lasts 10 s: the repetition after 15 s finds a port.
            End::Reset => assert_eq!((seconds, answer), (15, Ok(()))),
            // TIME_WAIT lasts 120 s, longer than the last repetition.
            _ => assert_eq!((seconds, answer), (127, Err(Errno::ETIMEDOUT))),
        }
        assert_eq!(lab.counters().evicted, 0);
    }
}

#[test]
fn closing_flows_give_their_ports_away_since_eviction() {
    for end in [End::ClientFirst, End::ServerFirst, End::Reset] {
        // Each of the two entries is a coin.
        let taken = (0..400).filter(|seed| {
            let mut lab = two_closed("linux-6.18", end, *seed);
            lab.connect(1, None, 0);
            let evicted = lab.counters().evicted;
            assert_eq!(evicted + lab.counters().insert_failed, 1);
            evicted == 1
        });
        let taken = taken.count();
        assert!((270..330).contains(&taken), "{taken} of 400, expected 300");
    }
}

#[test]
fn a_lost_coin_stays_lost_for_the_repetitions() {
    let mut won = 0;
    for seed in 0..60 {
        let mut lab = lab("linux-6.18", to_ports(40000, 40000), seed);
        let first = lab.connect(0, None, 0);
        lab.close_both(first, 0);
        lab.advance_ms(100);
        let second = lab.connect(1, None, 0);
        if lab.counters().evicted == 1 {
            won += 1;
            continue;
        }
        let (_, answer) = wait(&mut lab, second);
        // The last repetition comes before the end of TIME_WAIT.
        assert_eq!(answer, Err(Errno::ETIMEDOUT));
        assert_eq!(lab.counters().evicted, 0);
    }
    assert!((15..45).contains(&won), "{won} of 60, expected 30");
}

#[test]
fn a_port_that_becomes_free_is_taken_by_the_next_repetition() {
    let mut lab = lab("linux-6.1", to_ports(40000, 40001), 1);
    let held = [lab.connect(0, None, 0), lab.connect(0, None, 0)];
    let waiting = lab.connect(1, None, 0);
    lab.advance_ms(1300);
    lab.reset(held[0]);
    // The entry is in CLOSE until 11.3 s.
    assert_eq!(wait(&mut lab, waiting), (13, Ok(())));
}

#[test]
fn the_nat_hosts_own_connect_reports_no_error() {
    let mut lab = lab("linux-6.18", to_ports(40000, 40001), 1);
    lab.connect(0, None, 0);
    lab.connect(0, None, 0);
    let (socket, answer) = lab.connect_from(lab.router, None, lab.servers[0]);
    assert_eq!(answer, Poll::Pending);
    assert_eq!(wait(&mut lab, socket).1, Err(Errno::ETIMEDOUT));
}

#[test]
fn a_port_of_the_nat_host_that_a_forwarded_flow_has_is_rewritten() {
    for name in CURRENT {
        // Without any rule as well: a null binding.
        for source in [Some(SourceNat::Linux(masquerade())), None] {
            let moves = source.is_some();
            let rules = NatRules {
                source,
                ..NatRules::default()
            };
            let mut lab: Lab = NatLab::with(kernel(name), rules, |host| Seeded::new(1, host));
            lab.connect(0, Some(45000), 0);
            let own = Some((ROUTER, 45000));
            let (socket, answer) = lab.connect_from(lab.router, own, lab.servers[0]);
            assert_eq!(answer, Poll::Ready(Ok(())));
            assert_eq!(lab.world.local_addr(socket).port(), 45000);
            let seen = lab.seen(0);
            assert_eq!(seen[1].port() != 45000, moves, "{seen:?}");
        }
    }
}

#[test]
fn fully_random_keeps_no_port() {
    let rule = LinuxNat {
        random: Randomness::Fully,
        ..masquerade()
    };
    let mut lab = lab("linux-6.18", rule, 1);
    for n in 0..20 {
        lab.connect(0, Some(46000 + n), 0);
    }
    let seen = ports(&lab.seen(0));
    assert_eq!(seen.len(), 20);
    assert!(seen.iter().zip(46000..).all(|(port, own)| *port != own));
}

#[test]
fn the_address_of_a_range_depends_on_client_and_destination_alone() {
    let pool = |persistent| LinuxNat {
        addresses: Some(("10.9.0.1".parse().unwrap(), "10.9.0.3".parse().unwrap())),
        persistent,
        ..LinuxNat::default()
    };
    let seen = |persistent, server: usize| {
        let mut lab = lab("linux-6.18", pool(persistent), 1);
        for _ in 0..5 {
            lab.connect(0, None, server);
        }
        let mut ips: Vec<String> = lab
            .seen(server)
            .iter()
            .map(|at| at.ip().to_string())
            .collect();
        ips.dedup();
        ips
    };
    assert_eq!(seen(false, 0), ["10.9.0.2"]);
    assert_eq!(seen(true, 0), ["10.9.0.1"]);
    assert_eq!(seen(true, 1), ["10.9.0.1"]);
}

#[test]
fn a_service_and_its_backend_from_one_port_are_two_connections() {
    let service: SocketAddr = "10.99.0.1:80".parse().unwrap();
    for first in [true, false] {
        let rules = |backend| NatRules {
            source: None,
            destinations: vec![DestinationNat {
                to: service,
                backends: vec![backend],
            }],
        };
        let backend = "10.9.0.10:80".parse().unwrap();
        let mut lab: Lab = NatLab::with(kernel("linux-6.18"), rules(backend), |host| {
            Seeded::new(1, host)
        });
        let range = "net.ipv4.ip_local_port_range";
        lab.world
            .sysctl(lab.clients[0], range, "47000 47000")
            .unwrap();
        let order = if first {
            [service, backend]
        } else {
            [backend, service]
        };
        for to in order {
            let (socket, answer) = lab.connect_from(lab.clients[0], None, to);
            assert_eq!(answer, Poll::Ready(Ok(())));
            assert_eq!(lab.world.local_addr(socket).port(), 47000);
            assert_eq!(lab.world.peer_addr(socket), Ok(to));
        }
        let seen = lab.seen(0);
        assert_eq!(seen[0], SocketAddr::new(CLIENTS[0].parse().unwrap(), 47000));
        assert_ne!(seen[1].port(), 47000);
    }
}

/// The bounds that hold with a probability of 99 % for a number of successes.
fn bounds(n: f64, p: f64) -> (f64, f64) {
    let half = 2.576 * (n * p * (1.0 - p)).sqrt() + 0.5;
    (n * p - half, n * p + half)
}

/// The share of lost SYNs, with so many ports of a small range free.
#[test]
fn searches_fail_as_often_as_the_formula_says() {
    // Measured on Linux 6.18 by tools/nat-on-kernel: 894, 108 and 58 of 3,000.
    for (free, apart, measured) in [(1u16, 0, 894.0), (2, 100, 108.0), (4, 30, 58.0)] {
        let holes: Vec<u16> = (0..free).map(|n| 40007 + n * apart).collect();
        let formula = loss_probability(40000, 40255, |port| !holes.contains(&port));
        let mut lab = lab("linux-6.1", to_ports(40000, 40255), u64::from(free));
        for port in (40000..40256).filter(|port| !holes.contains(port)) {
            lab.connect(0, Some(port), 0);
        }
        let probes = 3000;
        for n in 0..probes {
            let probe = lab.connect(1, Some(1024 + n), 0);
            // A socket that waits is closed, one that is connected reset.
            lab.reset(probe);
            lab.advance_ms(11_000);
        }
        let lost = lab.counters().insert_failed as f64;
        let (low, high) = bounds(f64::from(probes), formula);
        assert!(
            (low..=high).contains(&lost),
            "{free} free: {lost}, expected {low} to {high}"
        );
        assert!(
            (low..=high).contains(&measured),
            "{free} free: {measured} {low} {high}"
        );
    }
}

/// A block of ports that clients have kept, and clients whose ports clash with it.
#[test]
fn a_block_of_kept_ports_loses_as_many_as_on_a_real_kernel() {
    // Measured on Linux 6.18 by tools/nat-on-kernel.
    type Taken = fn(u16) -> bool;
    let blocks: [(Taken, u16, f64); 3] = [
        (|port| (32768..=60999).contains(&port), 3000, 43.0),
        (
            |port| (32768..=60999).contains(&port) && port.is_multiple_of(2),
            3000,
            0.0,
        ),
        (|port| (1024..=63487).contains(&port), 3000, 2557.0),
    ];
    for (taken, probes, measured) in blocks {
        let formula = loss_probability(1024, 65535, taken);
        let mut lab = lab("linux-6.1", masquerade(), 1);
        for port in (1024..=65535).filter(|port| taken(*port)) {
            lab.connect(0, Some(port), 0);
        }
        for n in 0..probes {
            lab.connect(1, Some(33000 + n * 2), 0);
        }
        let lost = lab.counters().insert_failed as f64;
        let probes = f64::from(probes);
        let (low, high) = bounds(probes, formula);
        assert!(
            (low..=high).contains(&lost),
            "{lost}, expected {low} to {high}"
        );
        assert!(
            (low..=high).contains(&measured),
            "{measured}, expected {low} to {high}"
        );
    }
}

#[test]
fn a_search_before_5_0_finds_the_last_free_port() {
    for (name, lost) in [("linux-3.10", 0), ("linux-4.14", 0), ("linux-5.4", 1)] {
        let lost_of = |seed| {
            let mut lab = lab(name, to_ports(40000, 42047), seed);
            for port in 40000..42047 {
                lab.connect(0, Some(port), 0);
            }
            lab.connect(1, Some(30000), 0);
            lab.counters().insert_failed
        };
        let most = (0..5).map(lost_of).max();
        assert_eq!(most, Some(lost), "{name}");
    }
}

#[test]
fn a_full_table_drops_only_when_all_flows_are_assured() {
    let mut lab = lab("linux-6.18", masquerade(), 1);
    lab.world
        .sysctl(lab.router, "net.netfilter.nf_conntrack_max", "2")
        .unwrap();
    lab.connect(0, None, 0);
    lab.connect(0, None, 0);
    let third = lab.connect(0, None, 0);
    assert_eq!(lab.counters().drop, 1);
    assert_eq!(wait(&mut lab, third).1, Err(Errno::ETIMEDOUT));
    let why = lab.world.take_refusal().expect("a reason");
    assert_eq!(why.rule, Rule::NatTableFull);
}

#[test]
fn a_shorter_time_wait_gives_the_port_back_sooner() {
    let mut lab = lab("linux-6.1", to_ports(40000, 40000), 1);
    let key = "net.netfilter.nf_conntrack_tcp_timeout_time_wait";
    lab.world.sysctl(lab.router, key, "20").unwrap();
    let first = lab.connect(0, None, 0);
    lab.close_both(first, 0);
    lab.advance_ms(100);
    let second = lab.connect(1, None, 0);
    // The repetitions come after 1, 3, 7, 15 and 31 s.
    assert_eq!(wait(&mut lab, second), (31, Ok(())));
}
