//! UDP's rules, as they were measured on Linux 6.1, 6.18 and 7.3: a test for each row.

mod support;

use fourtuple_kernel::{Errno, PortRange, PortVerdict, Rule, SockOpt};
use std::collections::BTreeSet;
use support::{Answer, Bench, S, USE, ok};

const REUSEADDR: SockOpt = SockOpt::ReuseAddr(true);
const REUSEPORT: SockOpt = SockOpt::ReusePort(true);
const NO_PORT: SockOpt = SockOpt::BindAddressNoPort(true);
/// No port is left for a socket that was not bound.
const AGAIN: Answer = Err(Errno::EAGAIN);
/// Any kernel with every option.
const NEW: &str = "linux-6.18.44";

/// Makes a call for each number, and returns how many succeeded and the failures.
fn each(n: u32, mut call: impl FnMut(u32) -> Answer) -> (usize, BTreeSet<Errno>) {
    let answers: Vec<Answer> = (0..n).map(&mut call).collect();
    let failures = answers.iter().filter_map(|a| a.err()).collect();
    (answers.iter().filter(|a| a.is_ok()).count(), failures)
}

fn after_four(errno: Errno) -> (usize, BTreeSet<Errno>) {
    (4, BTreeSet::from([errno]))
}

fn connected(k: &mut Bench, options: &[SockOpt], to: &str) -> (S, Answer) {
    let s = k.udp_with(options);
    let answer = k.connect(s, to);
    (s, answer)
}

#[test]
fn connects_without_bind_take_one_port_each_whatever_the_destination() {
    let mut k = Bench::local(NEW);
    let same = each(5, |_| connected(&mut k, &[], "127.0.0.1:53").1);
    assert_eq!(same, after_four(Errno::EAGAIN));
    let mut k = Bench::local(NEW);
    let other = each(5, |n| {
        connected(&mut k, &[], &format!("127.0.0.1:{}", 100 + n)).1
    });
    assert_eq!(other, after_four(Errno::EAGAIN));
}

#[test]
fn sendto_without_bind_takes_a_port_as_well() {
    let mut k = Bench::local(NEW);
    let sent = each(5, |_| {
        let s = k.udp();
        k.sendto(s, "127.0.0.1:53")
    });
    assert_eq!(sent, after_four(Errno::EAGAIN));
}

#[test]
fn bind_to_port_0_ends_with_eaddrinuse() {
    for at in ["127.0.0.1", "0.0.0.0"] {
        let mut k = Bench::local(NEW);
        let bound = each(5, |_| {
            let s = k.udp();
            k.bind(s, at, 0)
        });
        assert_eq!(bound, after_four(Errno::EADDRINUSE), "{at}");
    }
}

#[test]
fn bind_to_port_0_with_a_sharing_option_shares_while_others_are_free() {
    for options in [&[REUSEADDR][..], &[REUSEPORT], &[REUSEADDR, REUSEPORT]] {
        let mut k = Bench::local(NEW);
        for _ in 0..2 {
            let s = k.udp_with(options);
            k.draws(&[1]);
            assert_eq!(k.bind(s, "127.0.0.1", 0), ok(40001), "{options:?}");
        }
        let more = each(8, |n| {
            let s = k.udp_with(options);
            k.draws(&[n % 4]);
            k.bind(s, "127.0.0.1", 0)
        });
        assert_eq!(more, (8, BTreeSet::new()));
    }
}

#[test]
fn connects_with_reuseaddr_give_duplicates_of_a_4_tuple() {
    let mut k = Bench::local(NEW);
    for n in 0..8 {
        k.draws(&[n % 4]);
        let (_, answer) = connected(&mut k, &[REUSEADDR], "127.0.0.1:53");
        assert_eq!(answer, ok(40000 + (n % 4) as u16));
    }
}

#[test]
fn bind_address_no_port_uses_each_port_once_for_each_source() {
    let mut k = Bench::local(NEW);
    let bound_and_connected = |k: &mut Bench, source: &str| {
        let s = k.udp_with(&[NO_PORT]);
        assert_eq!(k.bind(s, source, 0), ok(0));
        k.connect(s, "127.0.0.1:53")
    };
    let many = each(8, |n| {
        bound_and_connected(&mut k, &format!("127.0.0.{}", n + 2))
    });
    assert_eq!(many, (8, BTreeSet::new()));
    let mut k = Bench::local(NEW);
    let one = each(5, |_| bound_and_connected(&mut k, "127.0.0.2"));
    assert_eq!(one, after_four(Errno::EAGAIN));
}

#[test]
fn the_options_of_this_moment_count() {
    let mut k = Bench::local(NEW);
    let owner = k.udp_with(&[REUSEADDR]);
    k.bind(owner, "127.0.0.1", 41000).unwrap();
    k.set(owner, SockOpt::ReuseAddr(false));
    let binder = k.udp_with(&[REUSEADDR]);
    assert_eq!(k.bind(binder, "127.0.0.1", 41000), USE);
    k.set(owner, REUSEADDR);
    assert_eq!(k.bind(binder, "127.0.0.1", 41000), ok(41000));
}

#[test]
fn local_port_range_and_reserved_ports_count() {
    let mut k = Bench::local(NEW);
    k.range("40000 40007");
    let (low, high) = (40004, 40005);
    let range = SockOpt::LocalPortRange(PortRange { low, high });
    let got = each(3, |_| connected(&mut k, &[range], "127.0.0.1:53").1);
    assert_eq!(got, (2, BTreeSet::from([Errno::EAGAIN])));
    let mut k = Bench::local(NEW);
    k.with("ip_local_reserved_ports", "40000-40001");
    let got = each(3, |_| connected(&mut k, &[], "127.0.0.1:53").1);
    assert_eq!(got, (2, BTreeSet::from([Errno::EAGAIN])));
    let s = k.udp();
    assert_eq!(
        k.bind(s, "127.0.0.1", 40000),
        ok(40000),
        "a number may be reserved"
    );
}

#[test]
fn two_reuseaddr_sockets_connect_with_one_4_tuple() {
    let mut k = Bench::local(NEW);
    for _ in 0..2 {
        let s = k.udp_with(&[REUSEADDR]);
        k.bind(s, "127.0.0.1", 41003).unwrap();
        assert_eq!(k.connect(s, "127.0.0.1:53"), ok(41003));
    }
}

#[test]
fn the_port_behind_a_block_is_selected_more_often() {
    let mut k = Bench::local(NEW);
    k.range("40000 40007");
    for port in 40002..=40004 {
        let s = k.udp();
        k.bind(s, "127.0.0.1", port).unwrap();
    }
    let starts: Vec<Answer> = (0..8)
        .map(|start| {
            let s = k.udp();
            k.draws(&[start]);
            let answer = k.bind(s, "127.0.0.1", 0);
            k.close(s);
            answer
        })
        .collect();
    assert_eq!(starts.iter().filter(|a| **a == ok(40005)).count(), 4);
}

#[test]
fn connect_narrows_the_wildcard_and_leaves_the_port_to_other_addresses() {
    let mut k = Bench::local(NEW);
    let (s, answer) = connected(&mut k, &[], "127.0.0.1:53");
    let port = answer.unwrap();
    assert_eq!(k.name(s), format!("127.0.0.1:{port}"));
    for (at, want) in [
        ("127.0.0.2", ok(port)),
        ("127.0.0.1", USE),
        ("0.0.0.0", USE),
    ] {
        let other = k.udp();
        assert_eq!(k.bind(other, at, port), want, "{at}");
    }
}

#[test]
fn disconnect_gives_a_selected_port_back_and_keeps_a_named_one() {
    let mut k = Bench::local(NEW);
    let (s, answer) = connected(&mut k, &[], "127.0.0.1:53");
    let port = answer.unwrap();
    k.w.disconnect(s).unwrap();
    assert_eq!(k.name(s), "0.0.0.0:0");
    let other = k.udp();
    assert_eq!(k.bind(other, "0.0.0.0", port), ok(port));
    let named = k.udp();
    k.bind(named, "127.0.0.1", 41000).unwrap();
    k.connect(named, "127.0.0.1:53").unwrap();
    k.w.disconnect(named).unwrap();
    assert_eq!(k.name(named), "127.0.0.1:41000");
    let selected = k.udp();
    let port = k.bind(selected, "127.0.0.1", 0).unwrap();
    k.w.disconnect(selected).unwrap();
    assert_eq!(
        k.name(selected),
        "127.0.0.1:0",
        "bind() did not name the port {port}"
    );
}

#[test]
fn tcp_and_udp_have_ports_of_their_own() {
    let mut k = Bench::local(NEW);
    let t = k.tcp();
    k.bind(t, "127.0.0.1", 41006).unwrap();
    let u = k.udp();
    assert_eq!(k.bind(u, "127.0.0.1", 41006), ok(41006));
    assert!(
        k.w.bucket(k.ns, 41006)
            .is_some_and(|bucket| bucket.owners.len() == 1)
    );
}

#[test]
fn a_dual_stack_wildcard_covers_ipv4_unless_it_is_v6only() {
    let mut k = Bench::local(NEW);
    let both = k.udp6();
    k.bind(both, "::", 41005).unwrap();
    let v4 = k.udp();
    assert_eq!(k.bind(v4, "127.0.0.1", 41005), USE);
    let only = k.udp6();
    k.set(only, SockOpt::V6Only(true));
    k.bind(only, "::", 41006).unwrap();
    assert_eq!(k.bind(v4, "127.0.0.1", 41006), ok(41006));
}

#[test]
fn reuseport_shares_between_sockets_of_one_user() {
    for (kernel, uid, want) in [
        ("linux-3.8", 7, USE),
        ("linux-3.9", 7, ok(41000)),
        ("linux-6.18", 7, ok(41000)),
        ("linux-6.18", 8, USE),
    ] {
        let mut k = Bench::local(kernel);
        let sockets = [k.udp_as(7), k.udp_as(uid)];
        let known = sockets.map(|s| k.try_set(s, REUSEPORT).is_ok());
        assert_eq!(known[0], kernel != "linux-3.8");
        k.bind(sockets[0], "127.0.0.1", 41000).unwrap();
        assert_eq!(
            k.bind(sockets[1], "127.0.0.1", 41000),
            want,
            "{kernel} {uid}"
        );
    }
}

#[test]
fn a_failed_connect_keeps_the_port_that_it_took_first() {
    let mut k = Bench::empty(support::kernel(NEW));
    k.w.machine_mut(k.m).set_routed(k.ns.ns, false);
    k.range("40000 40003");
    let (s, answer) = connected(&mut k, &[], "192.0.2.1:53");
    assert_eq!(answer, Err(Errno::ENETUNREACH));
    assert_eq!(k.name(s), "0.0.0.0:40000");
}

#[test]
fn refusals_name_the_kernels_functions_and_the_owners() {
    let mut k = Bench::local(NEW);
    for _ in 0..4 {
        connected(&mut k, &[], "127.0.0.1:53").1.unwrap();
    }
    assert_eq!(connected(&mut k, &[], "127.0.0.1:53").1, AGAIN);
    let refusal = k.w.take_refusal().unwrap();
    assert_eq!(refusal.rule, Rule::AutobindNoFreePort);
    assert_eq!(refusal.counts[&PortVerdict::Conflict], 4);
    assert!(
        refusal
            .path
            .ends_with(&["udp_lib_get_port", "udp_lib_lport_inuse"])
    );
    assert_eq!(
        refusal.ports[0].owners,
        ["127.0.0.1:40000 ESTAB 127.0.0.1:53"]
    );
}

#[test]
fn a_datagram_reaches_the_socket_that_is_connected_to_its_sender() {
    let mut k = Bench::far(NEW);
    let server = k.w.socket_of(
        k.server_ns,
        fourtuple_kernel::Family::Inet,
        fourtuple_kernel::Kind::Datagram,
        0,
    );
    k.bind_at(server, "10.0.9.1:53").unwrap();
    let client = k.udp();
    let port = k.sendto(client, "10.0.9.1:53").unwrap();
    let from = k.recvfrom(server).unwrap().unwrap();
    assert_eq!(from.to_string(), format!("10.0.0.1:{port}"));
    assert_eq!(k.recvfrom(server), Ok(None), "there was only one");
    let connected = k.udp();
    k.connect(connected, "10.0.9.1:54").unwrap();
    assert_eq!(k.sendto(connected, "10.0.9.1:54"), ok(port + 1));
    assert_eq!(k.recvfrom(connected), Err(Errno::ECONNREFUSED));
    assert_eq!(k.recvfrom(connected), Ok(None), "it is reported once");
}

#[test]
fn datagram_sockets_neither_listen_nor_accept() {
    let mut k = Bench::local(NEW);
    let s = k.udp();
    assert_eq!(k.listen(s), Err(Errno::EOPNOTSUPP));
    assert_eq!(k.w.take_refusal().unwrap().rule, Rule::DatagramSocket);
}
