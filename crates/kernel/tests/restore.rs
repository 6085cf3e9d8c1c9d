//! Sockets that are entered from outside leave the same ports as the calls that made them.

use std::net::SocketAddr;
use std::task::Poll;

use fourtuple_kernel::{
    Family, Machine, NsId, PortOrigin, Profile, Restored, Seeded, SockId, SockOpt, State,
};
use proptest::prelude::*;

const SOURCES: [&str; 2] = ["127.0.0.1", "127.0.0.2"];
const SERVERS: [&str; 2] = ["127.0.0.9:80", "127.0.0.9:81"];

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn machine(kernel: &str, ports: u16) -> (Machine, NsId) {
    let profile: Profile = kernel.parse().expect("a profile");
    let mut machine = Machine::new(profile.behaviours, Seeded::new(1, "host"));
    let ns = machine.add_namespace();
    let range = format!("40000 {}", 39_999 + ports);
    machine
        .sysctl(ns, "net.ipv4.ip_local_port_range", &range)
        .expect("a range");
    for server in SERVERS {
        let listener = machine.socket(ns, Family::Inet, 0);
        machine.bind(listener, at(server)).expect("bound");
        machine.listen(listener, 4096).expect("listening");
    }
    (machine, ns)
}

/// Connects from an address without taking a port in bind().
fn connect(machine: &mut Machine, ns: NsId, source: &str, to: &str) -> bool {
    let one = machine.socket(ns, Family::Inet, 0);
    let no_port = machine.set_option(one, SockOpt::BindAddressNoPort(true));
    no_port.is_ok()
        && machine.bind(one, at(&format!("{source}:0"))).is_ok()
        && machine.connect(one, at(to)) == Poll::Ready(Ok(()))
}

/// Makes a connection of a kind by calls, and returns it as it would be captured.
fn made(machine: &mut Machine, ns: NsId, kind: (bool, usize, usize, bool)) -> Option<Restored> {
    let (bound, source, server, closes) = kind;
    let one: SockId = machine.socket(ns, Family::Inet, 0);
    if !bound {
        machine
            .set_option(one, SockOpt::BindAddressNoPort(true))
            .ok()?;
    }
    machine
        .bind(one, at(&format!("{}:0", SOURCES[source])))
        .ok()?;
    let to = at(SERVERS[server]);
    if machine.connect(one, to) != Poll::Ready(Ok(())) {
        machine.close(one);
        return None;
    }
    let local = machine.local_addr(one);
    let mut state = State::Established;
    if closes {
        machine
            .shutdown(one, fourtuple_kernel::Shutdown::Write)
            .ok()?;
        state = machine.state(one);
    }
    let origin = match bound {
        true => PortOrigin::Bind,
        false => PortOrigin::Connect,
    };
    Some(Restored::new(state, Family::Inet, local, Some(to)).from(origin))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn restored_sockets_leave_the_ports_that_calls_leave(
        kinds in proptest::collection::vec(
            (any::<bool>(), 0..2_usize, 0..2_usize, any::<bool>()), 0..60),
        half in 4..16_u16,
        kernel in prop_oneof![Just("linux-4.19"), Just("linux-6.1"), Just("linux-6.18")],
    ) {
        let (mut called, ns) = machine(kernel, 2 * half);
        let (mut restored, _) = machine(kernel, 2 * half);
        for kind in kinds {
            if let Some(one) = made(&mut called, ns, kind) {
                restored.restore(ns, &one);
            }
        }
        restored.assert_invariants();
        for source in SOURCES {
            let ip = at(&format!("{source}:0")).ip();
            prop_assert_eq!(called.binds_left(ns, ip), restored.binds_left(ns, ip));
            for server in SERVERS {
                let left = called.connects_left(ns, ip, at(server));
                prop_assert_eq!(&left, &restored.connects_left(ns, ip, at(server)));
                let mut further = 0;
                while connect(&mut called, ns, source, server) {
                    further += 1;
                }
                prop_assert_eq!(left.usable, further);
                // What the calls took is taken in the other machine as well.
                while connect(&mut restored, ns, source, server) {}
            }
        }
    }
}

#[test]
fn a_time_wait_socket_has_the_age_that_its_time_left_says() {
    let (mut host, ns) = machine("linux-6.18", 4);
    host.sysctl(ns, "net.ipv4.tcp_tw_reuse", "1")
        .expect("a value");
    let (ip, server) = (at("127.0.0.1:0").ip(), at(SERVERS[0]));
    for (port, left_ms) in [(40000, 59_900), (40001, 30_000)] {
        let local = SocketAddr::new(ip, port);
        let mut one = Restored::new(State::TimeWait, Family::Inet, local, Some(server))
            .from(PortOrigin::Connect);
        one.left = Some(left_ms * 1_000_000);
        host.restore(ns, &one);
    }
    host.assert_invariants();
    // The young one is in the way; the other may be replaced.
    assert_eq!(host.connects_left(ns, ip, server).usable, 3);
    host.sysctl(ns, "net.ipv4.tcp_tw_reuse", "0")
        .expect("a value");
    assert_eq!(host.connects_left(ns, ip, server).usable, 2);
    let later = host.now().after(31_000_000_000);
    host.advance(later);
    assert_eq!(host.connects_left(ns, ip, server).usable, 3);
}

#[test]
fn children_of_a_listener_leave_its_bucket_alone() {
    let (mut host, ns) = machine("linux-6.18", 4);
    let (ip, server) = (at("127.0.0.1:0").ip(), at(SERVERS[0]));
    let local = at("127.0.0.1:40000");
    let listener = Restored::new(State::Listen, Family::Inet, local, None);
    let child = Restored::new(
        State::Established,
        Family::Inet,
        local,
        Some(at("127.0.0.5:1")),
    );
    host.restore(ns, &listener);
    host.restore(ns, &child.from(PortOrigin::Accept));
    let left = host.connects_left(ns, ip, server);
    assert_eq!(left.usable, 3);
    assert!(host.blocks_connect(ns, 40000) && !host.blocks_connect(ns, 40001));
    host.assert_invariants();
}
