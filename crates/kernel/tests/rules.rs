//! Every rule of the model has a program that makes it decide, and gives the errno that goes with
//! it.

mod support;

use fourtuple_kernel::nat::{LinuxNat as Linux, NatRules, QuotaNat, Share, SourceNat};
use fourtuple_kernel::time::SEC;
use fourtuple_kernel::{Errno, PortRange, Rule, SockOpt, WorldSock};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::task::Poll;
use support::{Answer, Bench, FixedChooser, NatLab};

/// A program whose last call fails by a rule.
struct Case {
    rule: Rule,
    kernel: &'static str,
    errno: Errno,
    program: fn(&mut Bench) -> Answer,
}

macro_rules! cases {
    ($($test:ident: $rule:ident, $kernel:literal, $errno:ident, $program:expr;)*) => {
        const CASES: &[Case] = &[$(Case {
            rule: Rule::$rule,
            kernel: $kernel,
            errno: Errno::$errno,
            program: $program,
        },)*];
        $(
            #[test]
            fn $test() {
                let case = CASES.iter().find(|c| c.rule == Rule::$rule && c.kernel == $kernel);
                check(case.expect("the case is in the table"));
            }
        )*
    };
}

fn check(case: &Case) {
    let mut k = Bench::local(case.kernel);
    assert_eq!((case.program)(&mut k), Err(case.errno));
    let why = k.refusal().expect("refusals are explained");
    assert_eq!(why.rule, case.rule, "{} decided", why.rule.name());
    assert_eq!(why.errno, case.errno);
    assert!(!why.path.is_empty(), "the kernel's functions are named");

    // The answer does not depend on whether refusals are explained.
    let mut k = Bench::local(case.kernel);
    k.w.set_explain(false);
    assert_eq!((case.program)(&mut k), Err(case.errno));
    assert_eq!(k.refusal(), None);
}

/// All ports of the range, bound on 127.0.0.1.
fn fill(k: &mut Bench) {
    for port in 40000..=40003 {
        let s = k.tcp();
        k.bind(s, k.a1, port).unwrap();
    }
}

fn port_of(r: Result<(), Errno>) -> Answer {
    r.map(|()| 0)
}

cases! {
    bind_address_not_local: BindNotLocal, "linux-6.1", EADDRNOTAVAIL, |k| {
        let s = k.tcp();
        k.bind(s, "8.8.8.8", 0)
    };
    bind_privileged_port: BindPrivileged, "linux-6.1", EACCES, |k| {
        let s = k.tcp_as(1000);
        k.bind(s, k.a1, 81)
    };
    bind_already_bound: BindAlreadyBound, "linux-6.1", EINVAL, |k| {
        let s = k.tcp();
        k.bind(s, k.a1, 40000).unwrap();
        k.bind(s, k.a1, 40001)
    };
    bind_mapped_on_v6only: BindMappedV6Only, "linux-6.1", EINVAL, |k| {
        let s = k.tcp6();
        k.set(s, SockOpt::V6Only(true));
        k.bind(s, "::ffff:127.0.0.1", 40000)
    };
    bind_conflict: BindConflict, "linux-6.1", EADDRINUSE, |k| {
        fill(k);
        let s = k.tcp();
        k.bind(s, "0.0.0.0", 40000)
    };
    bind_no_port_in_range: BindNoFreePort, "linux-6.1", EADDRINUSE, |k| {
        fill(k);
        let s = k.tcp();
        k.bind(s, "0.0.0.0", 0)
    };
    bind_no_port_in_range_old: BindNoFreePort, "linux-2.6.32", EADDRINUSE, |k| {
        fill(k);
        let s = k.tcp();
        k.bind(s, k.a2, 0)
    };
    listen_conflict: ListenConflict, "linux-6.1", EADDRINUSE, |k| {
        let (x, y) = (k.ra(), k.ra());
        for s in [x, y] {
            k.bind(s, k.a1, 40000).unwrap();
        }
        k.listen(x).unwrap();
        k.listen(y)
    };
    listen_no_port_in_range: ListenNoFreePort, "linux-6.1", EADDRINUSE, |k| {
        fill(k);
        let s = k.tcp();
        k.listen(s)
    };
    listen_not_closed: ListenState, "linux-6.1", EINVAL, |k| {
        let s = k.unbound_pair(k.s1);
        k.listen(s)
    };
    connect_no_port_in_range: ConnectNoPort, "linux-6.1", EADDRNOTAVAIL, |k| {
        k.range("40000 40001");
        let s = k.tcp();
        k.bind(s, k.a2, 40001).unwrap();
        k.unbound_pair(k.s1);
        k.unbound(k.s1)
    };
    connect_skip_bucket_fastreuse: ConnectSkipFastreuse, "rhel-6.5", EADDRNOTAVAIL, |k| {
        fill(k);
        k.unbound(k.s1)
    };
    connect_tuple_in_use: ConnectTupleTaken, "linux-6.1", EADDRNOTAVAIL, |k| {
        for _ in 0..4 {
            k.unbound_pair(k.s1);
        }
        k.unbound(k.s1)
    };
    connect_tuple_in_time_wait: ConnectTupleTimeWait, "linux-6.1", EADDRNOTAVAIL, |k| {
        k.range("40000 40000");
        let s = k.unbound_pair(k.s1);
        k.close_first(s);
        k.unbound(k.s1)
    };
    connect_reserved: ConnectReserved, "linux-6.1", EADDRNOTAVAIL, |k| {
        k.with("ip_local_reserved_ports", "40000-40003");
        k.unbound(k.s1)
    };
    connect_bound_tuple_in_use: ConnectBoundTuple, "linux-6.1", EADDRNOTAVAIL, |k| {
        let (x, y) = (k.ra(), k.ra());
        for s in [x, y] {
            k.bind(s, k.a1, 40000).unwrap();
        }
        k.connect(x, k.s1).unwrap();
        k.connect(y, k.s1)
    };
    connect_bound_tuple_in_time_wait: ConnectBoundTimeWait, "linux-6.1", EADDRNOTAVAIL, |k| {
        k.with("tcp_timestamps", "0");
        let (x, y) = (k.ra(), k.ra());
        for s in [x, y] {
            k.bind(s, k.a1, 40000).unwrap();
        }
        k.connect(x, k.s1).unwrap();
        k.close_first(x);
        k.connect(y, k.s1)
    };
    connect_refused: ConnectRefused, "linux-6.1", ECONNREFUSED, |k| {
        k.unbound("127.0.0.1:9")
    };
    connect_timed_out: ConnectTimedOut, "linux-6.1", ETIMEDOUT, |k| {
        k.w.add_address(k.ns, "10.0.0.1".parse().unwrap());
        let s = k.tcp();
        assert_eq!(k.connect(s, "10.0.0.99:80"), support::WAITING);
        k.wait(300);
        k.connected(s)
    };
    connect_unreachable: ConnectUnreachable, "linux-6.1", ENETUNREACH, |k| {
        k.unbound("8.8.8.8:80")
    };
    connect_family: ConnectFamily, "linux-6.1", EAFNOSUPPORT, |k| {
        k.unbound("[::1]:80")
    };
    connect_state: ConnectState, "linux-6.1", EISCONN, |k| {
        let s = k.unbound_pair(k.s1);
        k.connect(s, k.s2)
    };
    link_local_without_scope: LinkLocalWithoutScope, "linux-6.18", EINVAL, |k| {
        let s = k.tcp6();
        k.connect(s, "[fe80::1]:53")
    };
    short_address: ShortAddress, "linux-6.18", EINVAL, |k| {
        let s = k.tcp6();
        port_of(k.w.bind(s, "127.0.0.1:53".parse::<SocketAddr>().expect("an address")))
    };
    ipv6_off: Ipv6Off, "linux-6.18", EADDRNOTAVAIL, |k| {
        k.with("net.ipv6.conf.lo.disable_ipv6", "1");
        let s = k.tcp6();
        k.connect(s, "[::1]:53")
    };
    address_tentative: AddressTentative, "linux-6.18", EADDRNOTAVAIL, |k| {
        let ip = "fd00::9".parse::<std::net::IpAddr>().expect("an address");
        let until = k.w.now().after(SEC);
        k.w.add_address(k.ns, ip);
        k.w.set_tentative(k.ns, until);
        let s = k.tcp6();
        port_of(k.w.bind(s, "[fd00::9]:53".parse::<SocketAddr>().expect("an address")))
    };
    option_unknown: OptionUnknown, "linux-2.6.32", ENOPROTOOPT, |k| {
        let s = k.tcp();
        port_of(k.try_set(s, SockOpt::ReusePort(true)))
    };
    option_invalid: OptionInvalid, "linux-6.8", EINVAL, |k| {
        let s = k.tcp();
        port_of(k.try_set(s, SockOpt::LocalPortRange(PortRange::new(40003, 40000))))
    };
    sysctl_unknown: SysctlUnknown, "linux-2.6.32", ENOENT, |k| {
        port_of(k.sysctl("ip_autobind_reuse", "1"))
    };
    sysctl_invalid: SysctlInvalid, "linux-6.1", EINVAL, |k| {
        port_of(k.sysctl("ip_local_port_range", "40003 40000"))
    };
    connection_reset: ConnectionReset, "linux-6.1", ECONNRESET, |k| {
        let s = k.unbound_pair(k.s1);
        let peer = k.peer(s);
        k.set(peer, SockOpt::Linger(Some(0)));
        k.close(peer);
        match k.w.send(s, 1) {
            Poll::Ready(r) => r.map(|_| 0),
            Poll::Pending => support::WAITING,
        }
    };
    autobind_no_free_port: AutobindNoFreePort, "linux-6.1", EAGAIN, |k| {
        for port in 40000..=40003 {
            let s = k.udp();
            k.connect(s, &format!("127.0.0.1:{port}")).unwrap();
        }
        let s = k.udp();
        k.connect(s, "127.0.0.1:53")
    };
    datagram_socket_listens: DatagramSocket, "linux-6.1", EOPNOTSUPP, |k| {
        let s = k.udp();
        k.listen(s)
    };
    send_no_destination: SendNoDestination, "linux-6.1", EDESTADDRREQ, |k| {
        let s = k.udp();
        sent(k, s, None, 1)
    };
    send_port_zero: SendPortZero, "linux-6.1", EINVAL, |k| {
        let s = k.udp();
        k.sendto(s, "127.0.0.1:0")
    };
    send_too_long: SendTooLong, "linux-6.1", EMSGSIZE, |k| {
        let s = k.udp();
        sent(k, s, Some("127.0.0.1:53"), 70_000)
    };
    send_broadcast: SendBroadcast, "linux-6.1", EACCES, |k| {
        k.w.add_address(k.ns, std::net::IpAddr::from([10, 0, 0, 1]));
        let s = k.udp();
        k.sendto(s, "255.255.255.255:53")
    };
    send_unreachable: SendUnreachable, "linux-6.1", ECONNREFUSED, |k| {
        let s = k.udp();
        k.connect(s, "127.0.0.1:53").unwrap();
        sent(k, s, None, 1).unwrap();
        sent(k, s, None, 1)
    };
}

/// send() or sendto() of this many bytes.
fn sent(k: &mut Bench, s: support::S, to: Option<&str>, len: u32) -> Answer {
    let to = to.map(|to| to.parse().expect("an address"));
    let answer = match to {
        Some(to) => k.w.send_to(s, to, len),
        None => k.w.send(s, len),
    };
    match answer {
        Poll::Ready(r) => r.map(|_| 0),
        Poll::Pending => support::WAITING,
    }
}

/// A rule and a situation, which gives the rule that decided in it.
type NatCase = (Rule, fn() -> Rule);

/// The rules of NAT hosts, each with a connection that is decided by it.
const NAT: &[NatCase] = &[
    (Rule::NatKeep, || {
        let mut lab = nat("linux-6.1", Linux::default());
        let first = lab.connect(0, Some(45000), 0);
        passed(&mut lab, first)
    }),
    (Rule::NatMove, || {
        let mut lab = nat("linux-6.1", Linux::default());
        lab.connect(0, Some(45000), 0);
        lab.advance_ms(1);
        let second = lab.connect(1, Some(45000), 0);
        passed(&mut lab, second)
    }),
    (Rule::NatEvict, || {
        let mut lab = nat("linux-6.18", one_port());
        let first = lab.connect(0, None, 0);
        lab.close_both(first, 0);
        lab.advance_ms(200);
        let second = lab.connect(1, None, 0);
        passed(&mut lab, second)
    }),
    (Rule::NatDrop, || {
        let mut lab = nat("linux-6.1", one_port());
        lab.connect(0, None, 0);
        let second = lab.connect(1, None, 0);
        lost(&mut lab, second)
    }),
    (Rule::NatRace, || {
        let mut lab = nat("linux-6.1", one_port());
        let last = "net.netfilter.nf_conntrack_tcp_timeout_close";
        lab.world.sysctl(lab.router, last, "1").unwrap();
        let client = lab.clients[1];
        let retries = "net.ipv4.tcp_syn_retries";
        lab.world.sysctl(client, retries, "1").unwrap();
        let first = lab.connect(0, None, 0);
        lab.reset(first);
        // Both are repeated when the port is free again, at the same moment.
        lab.connect(0, None, 0);
        let second = lab.connect(1, None, 0);
        lost(&mut lab, second)
    }),
    (Rule::NatTableFull, || {
        let mut lab = nat("linux-6.18", Linux::default());
        let most = "net.netfilter.nf_conntrack_max";
        lab.world.sysctl(lab.router, most, "1").unwrap();
        lab.connect(0, None, 0);
        let second = lab.connect(0, None, 0);
        lost(&mut lab, second)
    }),
    (Rule::NatQuota, || {
        let quota = QuotaNat {
            share: Share::Client,
            ports: 1,
            hold_after_close: 0,
            hold_after_reset: 0,
            idle: 350 * SEC,
            resets: false,
        };
        let mut lab = nat_host("linux-6.18", SourceNat::Quota(quota));
        lab.connect(0, None, 0);
        let second = lab.connect(0, None, 0);
        lost(&mut lab, second)
    }),
];

type Lab = NatLab<FixedChooser>;

fn nat(kernel: &str, rule: Linux) -> Lab {
    nat_host(kernel, SourceNat::Linux(rule))
}

fn nat_host(kernel: &str, source: SourceNat) -> Lab {
    let rules = NatRules {
        source: Some(source),
        ..NatRules::default()
    };
    NatLab::with(support::kernel(kernel), rules, |_| FixedChooser {
        races: true,
        ..FixedChooser::default()
    })
}

fn one_port() -> Linux {
    Linux {
        ports: Some((40000, 40000)),
        ..Linux::default()
    }
}

/// The rule by which a connection got its source port.
fn passed(lab: &mut Lab, socket: WorldSock) -> Rule {
    assert_eq!(lab.world.connect_result(socket), Poll::Ready(Ok(())));
    let passage = lab.world.passage(socket);
    passage.expect("it passes the NAT host").chosen.rule()
}

/// The rule by which the SYN of a connection was dropped, until it timed out.
fn lost(lab: &mut Lab, socket: WorldSock) -> Rule {
    let answer = loop {
        if let Poll::Ready(answer) = lab.world.connect_result(socket) {
            break answer;
        }
        let next = lab.world.next_event().expect("a SYN is repeated");
        lab.world.advance(next);
    };
    assert_eq!(answer, Err(Errno::ETIMEDOUT));
    let why = lab.world.take_refusal().expect("refusals are explained");
    assert_eq!(why.errno, Errno::ETIMEDOUT);
    why.rule
}

#[test]
fn nat_rules_decide() {
    for (rule, program) in NAT {
        assert_eq!(program(), *rule, "{}", rule.name());
    }
}

#[test]
fn every_rule_has_a_case() {
    let cases = CASES.iter().map(|c| c.rule);
    let covered: BTreeSet<Rule> = cases.chain(NAT.iter().map(|(rule, _)| *rule)).collect();
    let all: BTreeSet<Rule> = Rule::ALL.iter().copied().collect();
    assert_eq!(covered, all);
}

#[test]
fn names_of_rules_are_unique() {
    let names: BTreeSet<&str> = Rule::ALL.iter().map(|r| r.name()).collect();
    assert_eq!(names.len(), Rule::ALL.len());
}
