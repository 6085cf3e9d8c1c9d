//! The checks before a port is selected (routes, IPv6 that is switched off, scopes, repair), and
//! the repetitions of a SYN. All measured on linux-6.18, and recorded where another kernel is
//! named.

use crate::support::bench::end;
use crate::support::{Bench, NOTAVAIL, USE, WAITING, kernel, ok};
use fourtuple_kernel::reason::Rule;
use fourtuple_kernel::{Errno, ShortName, SockOpt, State};
use rstest::rstest;

const RECENT: &str = "linux-6.18";

#[rstest]
#[case::unbound(None)]
#[case::from_loopback(Some("[::1]:0"))]
#[case::from_ipv4(Some("[::ffff:10.0.0.1]:5000"))]
fn without_an_ipv6_address_no_ipv6_destination_is_reached(#[case] bind: Option<&str>) {
    let mut k = Bench::far(RECENT);
    let s = k.tcp6();
    if let Some(at) = bind {
        k.bind_at(s, at).unwrap();
    }
    assert_eq!(k.connect(s, "[fd00::1]:80"), Err(Errno::ENETUNREACH));
    assert_eq!(k.refusal().map(|r| r.rule), Some(Rule::ConnectUnreachable));
}

/// The SYN is lost on `lo`, but the socket has the address and a port all the same.
#[rstest]
fn address_of_a_socket_whose_syn_is_lost_on_lo(
    #[values("linux-3.10", "linux-5.15", "linux-6.18")] name: &str,
    #[values(false, true)] inet6: bool,
) {
    let mut k = Bench::far(name);
    let (s, to) = match inet6 {
        true => (k.tcp6(), "[::ffff:10.0.7.7]:80"),
        false => (k.tcp(), "10.0.7.7:80"),
    };
    k.set(s, SockOpt::BindToDevice(ShortName::LO));
    assert_eq!(k.connect(s, to), WAITING);
    let port = k.w.local_addr(s).port();
    let other = k.tcp();
    assert_eq!(k.bind(other, k.a1, port), USE);
    let elsewhere = k.tcp();
    assert_eq!(k.bind(elsewhere, k.a2, port), ok(port));
}

#[test]
fn an_ipv4_source_does_not_fit_a_local_ipv6_destination() {
    let mut k = Bench::far(RECENT);
    let s = k.tcp6();
    k.bind_at(s, "[::ffff:10.0.0.1]:5000").unwrap();
    assert_eq!(k.connect(s, "[::1]:80"), Err(Errno::EAFNOSUPPORT));
}

#[rstest]
#[case::everywhere("net.ipv6.conf.all.disable_ipv6")]
#[case::on_loopback("net.ipv6.conf.lo.disable_ipv6")]
fn ipv6_that_is_switched_off_has_no_loopback_address(#[case] key: &str) {
    let mut k = Bench::local(RECENT);
    k.with(key, "1");
    let s = k.tcp6();
    assert_eq!(k.bind_at(s, "[::1]:53"), NOTAVAIL);
    assert_eq!(k.connect(s, "[::1]:53"), NOTAVAIL);
    assert_eq!(k.refusal().map(|r| r.rule), Some(Rule::Ipv6Off));
    assert_eq!(k.bind_at(s, "[::]:54"), ok(54));
    let mapped = k.tcp6();
    assert!(k.connect(mapped, "[::ffff:127.0.0.1]:5001").is_ok());
    k.with(key, "0");
    let s = k.tcp6();
    assert_eq!(k.connect(s, "[::1]:53"), Err(Errno::ECONNREFUSED));
}

#[test]
fn without_ipv6_the_missing_source_is_seen_before_the_missing_route() {
    for (off, answer) in [("0", Errno::ENETUNREACH), ("1", Errno::EADDRNOTAVAIL)] {
        let mut k = Bench::local(RECENT);
        k.with("net.ipv6.conf.all.disable_ipv6", off);
        let s = k.tcp6();
        k.set(s, SockOpt::BindToDevice(ShortName::LO));
        assert_eq!(k.connect(s, "[fd00::10]:80"), Err(answer), "{off}");
    }
}

#[test]
fn addresses_do_not_come_back_with_ipv6() {
    let mut k = Bench::far(RECENT);
    let (own, far) = ("fd00::1", "[fd00::9]:80");
    k.w.add_address(k.ns, own.parse().unwrap());
    k.w.add_address(k.server_ns, end(far).ip());
    k.with("net.ipv6.conf.all.disable_ipv6", "1");
    // The socket has a source address, so that the route is missed first.
    let bound = k.tcp6();
    assert!(k.bind(bound, "::ffff:10.0.0.1", 0).is_ok());
    assert_eq!(k.connect(bound, far), Err(Errno::ENETUNREACH));
    k.with("net.ipv6.conf.all.disable_ipv6", "0");
    let s = k.tcp6();
    assert_eq!(k.bind(s, own, 0), NOTAVAIL);
    assert_eq!(k.connect(s, far), Err(Errno::ENETUNREACH));
    let s = k.tcp6();
    assert!(k.bind(s, "::1", 0).is_ok());
}

#[test]
fn a_missing_route_by_the_device_is_seen_before_a_mapped_source() {
    let mut k = Bench::far(RECENT);
    k.w.add_address(k.ns, end("[fd00::1]:0").ip());
    for (device, answer) in [("lo", Errno::ENETUNREACH), ("eth0", Errno::EAFNOSUPPORT)] {
        let s = k.tcp6();
        k.set(s, SockOpt::BindToDevice(ShortName::new(device).unwrap()));
        assert!(k.bind(s, "::ffff:127.0.0.1", 0).is_ok());
        assert_eq!(k.connect(s, "[fd00::1]:80"), Err(answer), "{device}");
    }
}

#[test]
fn every_user_may_clear_ip_transparent() {
    let mut k = Bench::local(RECENT);
    let s = k.tcp_as(1000);
    assert_eq!(k.try_set(s, SockOpt::Transparent(false)), Ok(()));
    assert_eq!(k.try_set(s, SockOpt::Transparent(true)), Err(Errno::EPERM));
}

#[test]
fn a_link_local_address_needs_a_scope() {
    let mut k = Bench::local(RECENT);
    k.w.add_address(k.ns, end("[fe80::1]:0").ip());
    let s = k.tcp6();
    assert_eq!(k.connect(s, "[fe80::1]:53"), Err(Errno::EINVAL));
    assert_eq!(
        k.refusal().map(|r| r.rule),
        Some(Rule::LinkLocalWithoutScope)
    );
    assert_eq!(k.bind_at(s, "[fe80::1]:53"), Err(Errno::EINVAL));
    assert_eq!(
        k.refusal().map(|r| r.rule),
        Some(Rule::LinkLocalWithoutScope)
    );
    k.set(s, SockOpt::BindToDevice(ShortName::new("eth0").unwrap()));
    assert_eq!(k.bind_at(s, "[fe80::1]:53"), ok(53));
}

#[test]
fn a_socket_in_repair_is_connected_at_once_and_sends_nothing() {
    let mut k = Bench::local(RECENT);
    for to in ["127.0.0.1:81", "127.0.0.1:5001"] {
        let s = k.tcp();
        k.set(s, SockOpt::Repair(true));
        assert!(k.connect(s, to).is_ok(), "{to}");
        assert_eq!(k.state(s), State::Established);
        k.close(s);
        assert_eq!(k.held(), [0u16; 0]);
    }
    // Out of repair, the other end is asked, and has no such connection.
    let s = k.tcp();
    k.set(s, SockOpt::Repair(true));
    k.connect(s, "127.0.0.1:81").unwrap();
    k.set(s, SockOpt::Repair(false));
    assert_eq!(k.state(s), State::Close);
}

#[rstest]
#[case(1, 4, 120_000, 3)]
#[case(2, 4, 120_000, 7)]
#[case(1, 0, 120_000, 3)]
#[case(2, 0, 120_000, 7)]
#[case(6, 4, 1000, 7)]
#[case(6, 0, 1000, 7)]
#[case(3, 0, 2000, 7)]
#[case(2, 4, 2000, 5)]
fn a_black_hole_is_given_up(
    #[case] retries: u32,
    #[case] linear: u32,
    #[case] longest: u32,
    #[case] seconds: u64,
) {
    let mut k = Bench::far(RECENT);
    k.with("tcp_syn_retries", &retries.to_string())
        .with("tcp_syn_linear_timeouts", &linear.to_string())
        .with("tcp_rto_max_ms", &longest.to_string());
    let s = k.tcp();
    assert_eq!(k.connect(s, "10.9.9.9:80"), WAITING);
    k.wait_ms(seconds * 1000 - 50);
    assert_eq!(k.connected(s), WAITING);
    k.wait_ms(100);
    assert_eq!(k.connected(s), Err(Errno::ETIMEDOUT));
}

/// The ports that connect() gets one after the other while all are held. `factor` gives the draws
/// that move later searches, and the one for the distance.
fn walked(width: &str, factor: u32, range: &str, count: usize) -> Vec<u16> {
    let mut k = stepping(width, factor, range);
    (0..count).map_while(|_| k.unbound(k.s1).ok()).collect()
}

fn stepping(width: &str, factor: u32, range: &str) -> Bench {
    let mut k = Bench::far("linux-7.1");
    k.range(range).with("ip_local_port_step_width", width);
    k.chooser().step = factor - 1;
    let hash_at_start = |_: &_| 0;
    k.chooser().hash_of = Some(hash_at_start);
    k
}

#[test]
fn the_step_width_changes_the_order_and_not_the_ports() {
    let all = |width, factor| walked(width, factor, "40000 40015", 17);
    for (width, factor) in [("0", 1), ("1", 1), ("3", 3), ("8", 3), ("1000", 5)] {
        let mut ports = all(width, factor);
        ports.sort_unstable();
        assert_eq!(
            ports,
            (40000..=40015).collect::<Vec<_>>(),
            "{width} {factor}"
        );
    }
    assert_eq!(all("0", 1), all("1", 1));
    // 2 has a divisor in common with the eight even ports, and the next odd factor is too large.
    assert_eq!(all("2", 2), all("0", 2));
    // Behind a first candidate that is taken.
    let second = |width| {
        let mut k = stepping(width, 3, "40000 40015");
        let s = k.tcp();
        k.bind(s, k.a1, 40000).unwrap();
        k.unbound(k.s1)
    };
    assert_eq!(second("0"), ok(40002));
    assert_eq!(second("8"), ok(40006));
}

#[test]
fn connecting_to_ipv6_from_ipv4_leaves_the_marker_to_ipv4_sockets() {
    // Recorded on 2.6.32.
    let mut k = Bench::local("linux-2.6.32");
    let s = k.tcp6();
    k.bind_at(s, "[::ffff:127.0.0.2]:40000").unwrap();
    let before = k.tcp();
    assert_eq!(k.bind(before, "127.0.0.2", 40000), Err(Errno::EADDRINUSE));
    assert_eq!(k.connect(s, "[::1]:5002"), WAITING);
    let (wild, marker, own) = (k.tcp(), k.tcp(), k.tcp());
    assert_eq!(k.bind(wild, "0.0.0.0", 40000), Err(Errno::EADDRINUSE));
    assert_eq!(k.bind(marker, "127.0.0.6", 40000), Err(Errno::EADDRINUSE));
    assert_eq!(k.bind(own, "127.0.0.2", 40000), ok(40000));
}

#[rstest]
#[case("rhel-7.3", Ok(()), NOTAVAIL)]
#[case("rhel-7.7", Ok(()), ok(40000))]
#[case("linux-3.10", Err(Errno::ENOENT), NOTAVAIL)]
fn a_second_namespace_writes_ip_nonlocal_bind(
    #[case] name: &str,
    #[case] written: Result<(), Errno>,
    #[case] bound: crate::support::Answer,
) {
    let mut k = Bench::empty(kernel(name));
    let host = k.ns;
    k.ns = k.w.add_namespace(k.m);
    assert_eq!(k.sysctl("ip_nonlocal_bind", "1"), written);
    let s = k.tcp();
    assert_eq!(k.bind(s, "192.0.2.1", 40000), bound);
    // What the first namespace sees.
    k.ns = host;
    let s = k.tcp();
    let of_the_host = name == "rhel-7.3";
    assert_eq!(k.bind(s, "192.0.2.1", 40001).is_ok(), of_the_host);
}

#[test]
fn profiles_name_what_was_recorded() {
    let rows = [
        ("rhel-8.1", "rhel-8.2"),
        ("rhel-8.2", "rhel-8.3"),
        ("rhel-8.6", "rhel-8.7"),
        ("rhel-9.0.0", "rhel-9.0"),
        ("rhel-9.2", "rhel-9.3"),
        ("rhel-7.7", "rhel-7.9"),
        ("linux-3.18.0", "linux-3.18.140"),
        ("linux-4.1.0", "linux-4.1.52"),
        ("linux-6.17", "linux-6.17.8"),
        ("ubuntu-24.04.0", "ubuntu-24.04"),
    ];
    for (one, other) in rows {
        assert_ne!(kernel(one), kernel(other), "{one} and {other}");
    }
    for (one, other) in [("rhel-8", "rhel-8.9"), ("rhel-9", "rhel-9.3")] {
        assert_eq!(kernel(one), kernel(other));
    }
}
