//! Import of captures: the scenario contains the facts of the log, gaps are reported, and no input
//! panics.

use fourtuple_scenario::import::{ImportError, Imported, Note, Settings, strace};
use proptest::prelude::*;

fn settings(sysctl: Option<&str>) -> Settings {
    Settings {
        kernel: vec!["linux-6.18".to_owned()],
        sysctl: sysctl.map(str::to_owned),
        before: None,
        no_port: true,
    }
}

fn import(log: &str) -> Imported {
    strace(log, &settings(None)).expect("an import")
}

/// The part of the file below the head.
fn program(made: &Imported) -> String {
    let start = made.yaml.find("hosts:").expect("hosts");
    made.yaml[start..].to_owned()
}

fn notes(made: &Imported) -> String {
    made.notes.iter().map(|note| format!("{note}\n")).collect()
}

#[test]
fn decorated_descriptors_and_both_families() {
    let made = import(
        r#"100 1700000000.000001 socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP) = 3<TCPv6:[1]>
100 1700000000.000002 bind(3<TCPv6:[1]>, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::", &sin6_addr), sin6_scope_id=0}, 28) = -1 EACCES (Permission denied)
100 1700000000.000003 bind(3<TCPv6:[1]>, {sa_family=AF_INET6, sin6_port=htons(8080), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::", &sin6_addr), sin6_scope_id=0}, 28) = 0
100 1700000000.000004 listen(3<TCPv6:[[::]:8080]>, 10) = 0
100 1700000000.000005 accept4(3<TCPv6:[[::]:8080]>, {sa_family=AF_INET6, sin6_port=htons(40000), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::ffff:10.0.0.9", &sin6_addr), sin6_scope_id=0}, [28], SOCK_CLOEXEC) = 4<TCPv6:[[::ffff:10.0.0.1]:8080->[::ffff:10.0.0.9]:40000]>
"#,
    );
    insta::assert_snapshot!(program(&made), @r#"
    hosts:
      host: { addresses: [192.0.2.1] }
      peers: { addresses: [10.0.0.9] }
    steps:
      - { socket: s1, family: inet6, by: p1, uid: 1000, on: host }
      - { bind: s1, at: "[::]:80", expect: EACCES }
      - { bind: s1, at: "[::]:8080", expect: ok }
      - { listen: s1, backlog: 10, expect: ok }
      - { socket: far1, by: outside, on: peers }
      - { set: far1, options: { reuseaddr: true } }
      - { bind: far1, at: 10.0.0.9:40000 }
      - { connect: far1, to: 192.0.2.1:8080 }
      - { accept: s1, as: s2, expect: ok }
    "#);
    assert!(notes(&made).contains("192.0.2.1"), "{}", notes(&made));
}

#[test]
fn a_pending_connect_has_the_outcome_that_is_read_later() {
    let made = import(
        r#"socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_IP) = 3
connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.4")}, 16) = -1 EINPROGRESS (Operation now in progress)
getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0
close(3) = 0
socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_IP) = 3
connect(3, {sa_family=AF_INET, sin_port=htons(81), sin_addr=inet_addr("10.0.0.4")}, 16) = -1 EINPROGRESS (Operation now in progress)
connect(3, {sa_family=AF_INET, sin_port=htons(81), sin_addr=inet_addr("10.0.0.4")}, 16) = -1 EALREADY (Operation already in progress)
connect(3, {sa_family=AF_INET, sin_port=htons(81), sin_addr=inet_addr("10.0.0.4")}, 16) = 0
"#,
    );
    insta::assert_snapshot!(program(&made), @r"
    hosts:
      host: { addresses: [192.0.2.1] }
      peers: { addresses: [10.0.0.4], listen: 10.0.0.4:81 }
    steps:
      - { socket: s1, by: p1, on: host }
      - { connect: s1, to: 10.0.0.4:80, expect: ECONNREFUSED }
      - { close: s1 }
      - { socket: s2, by: p1, on: host }
      - { connect: s2, to: 10.0.0.4:81, expect: ok }
    ");
}

#[test]
fn server_steps_match_the_recorded_answers() {
    let made = import(
        r#"socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.4")}, 16) = 0
recvfrom(3, "", 10, 0, NULL, NULL) = 0
close(3) = 0
socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.4")}, 16) = -1 ECONNREFUSED (Connection refused)
close(3) = 0
socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.4")}, 16) = 0
recvfrom(3, 0x7ffc00001000, 10, 0, NULL, NULL) = -1 ECONNRESET (Connection reset by peer)
close(3) = 0
socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
bind(3, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("0.0.0.0")}, 16) = 0
"#,
    );
    insta::assert_snapshot!(program(&made), @r"
    hosts:
      host: { addresses: [192.0.2.1] }
      peers: { addresses: [10.0.0.4] }
    steps:
      - { socket: s1, by: p1, on: host }
      - { socket: server1, by: outside, on: peers, options: { reuseaddr: true } }
      - { bind: server1, at: 10.0.0.4:80 }
      - { listen: server1, backlog: 4096 }
      - { connect: s1, to: 10.0.0.4:80, expect: ok }
      - { accept: server1, as: far2 }
      - { close: far2 }
      - { close: s1 }
      - { socket: s2, by: p1, on: host }
      - { close: server1 }
      - { connect: s2, to: 10.0.0.4:80, expect: ECONNREFUSED }
      - { close: s2 }
      - { socket: s3, by: p1, on: host }
      - { socket: server3, by: outside, on: peers, options: { reuseaddr: true } }
      - { bind: server3, at: 10.0.0.4:80 }
      - { listen: server3, backlog: 4096 }
      - { connect: s3, to: 10.0.0.4:80, expect: ok }
      - { accept: server3, as: far4 }
      - { set: far4, options: { linger: reset } }
      - { close: far4 }
      - { close: s3 }
      - { socket: s4, by: p1, on: host }
      - { bind: s4, at: 0.0.0.0:0, expect: ok }
    ");
}

#[test]
fn duplicates_keep_a_socket_open_and_exits_close_it() {
    let made = import(
        r#"1 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
1 dup(3) = 4
1 fcntl(4, F_DUPFD_CLOEXEC, 5) = 5
1 close(3) = 0
1 close(4) = 0
1 bind(5, {sa_family=AF_INET, sin_port=htons(7), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
1 +++ exited with 0 +++
2 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
2 bind(3, {sa_family=AF_INET, sin_port=htons(7), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
"#,
    );
    insta::assert_snapshot!(program(&made), @r"
    hosts:
      host: {}
    steps:
      - { socket: s1, by: p1 }
      - { bind: s1, at: 127.0.0.1:7, expect: ok }
      - { close: s1 }
      - { socket: s2, by: p2 }
      - { bind: s2, at: 127.0.0.1:7, expect: ok }
    ");
}

#[test]
fn the_port_range_is_inferred_unless_sysctls_give_it() {
    let mut log = String::new();
    for fd in 3..7 {
        log.push_str(&format!(
            "socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = {fd}\n\
             connect({fd}, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"10.0.0.4\")}}, 16) = 0\n\
             getsockname({fd}, {{sa_family=AF_INET, sin_port=htons({}), sin_addr=inet_addr(\"10.0.0.1\")}}, [16]) = 0\n",
            49_997 + fd
        ));
    }
    log.push_str(
        "socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 9\n\
         connect(9, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"10.0.0.4\")}, 16) = -1 EADDRNOTAVAIL (Cannot assign requested address)\n",
    );
    let made = import(&log);
    insta::assert_snapshot!(program(&made), @r"
    hosts:
      host: { addresses: [10.0.0.1], sysctl: { net.ipv4.ip_local_port_range: 50000-50003 } }
      peers: { addresses: [10.0.0.4], listen: 10.0.0.4:80 }
    processes:
      plain: { on: host, connect: 10.0.0.4:80, connections: 5 }
    expect:
      plain.connect: { ok: 4, EADDRNOTAVAIL: 1 }
    ");
    assert!(notes(&made).contains("50000-50003"), "{}", notes(&made));
    let made = strace(
        &log,
        &settings(Some(
            "kernel.pid_max = 1\nnet.ipv4.ip_local_port_range = 49000\t50003\nnet.ipv4.tcp_tw_reuse = 2\nnet.ipv4.tcp_timestamps = 1\n",
        )),
    )
    .expect("an import");
    assert!(
        program(&made)
            .contains("{ net.ipv4.ip_local_port_range: 49000-50003, net.ipv4.tcp_tw_reuse: 2 }"),
        "{}",
        made.yaml
    );
}

#[test]
fn unknown_lines_are_reported_with_their_number() {
    let made = import(
        "socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3\n\
         what is this?\n\
         socket(AF_UNIX, SOCK_STREAM, 0) = 4\n\
         socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 5\n\
         connect(5, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr(\"10.0.0.4\")}, 16) = 0\n\
         <... recvfrom resumed>\"x\", 1) = 1\n\
         bind(3, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr(\"0.0.0.0\")}, 16) = -1 EWHAT (Whatever)\n\
         listen(3, 1) = -1 EADDRINUSE (Address already in use)\n",
    );
    insta::assert_snapshot!(notes(&made), @r"
    assumed: the ephemeral port range is the kernel's default; pass `--sysctl FILE` if it differs
    left out: returns of recvfrom calls without their beginning: 1 (line 6)
    left out: sockets other than TCP and UDP (Unix): 1 (line 3)
    left out: UDP sockets, which all got the ports that they asked for: 1 (line 4)
    not understood: line 2: what is this?
    not understood: line 7: bind answered EWHAT
    ");
    for note in &made.notes {
        let (Note::NotReproduced(text)
        | Note::Other(text)
        | Note::Assumed(text)
        | Note::LeftOut(text)
        | Note::NotUnderstood(text)) = note;
        let first = text.split_whitespace().next().expect("a word");
        assert!(made.yaml.contains(first));
    }
}

#[test]
fn logs_without_ports_and_logs_over_the_limits_are_refused_or_cut() {
    let refused =
        |log: &str| -> ImportError { strace(log, &settings(None)).expect_err("no import") };
    assert!(refused("").message.contains("an empty file"));
    assert!(
        refused("socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3\n")
            .message
            .contains("no bind")
    );
    assert!(strace("x", &settings(Some("kernel.pid_max = 1"))).is_err());

    let mut long = String::new();
    for n in 0..20_000 {
        // Alternating calls, so that the log is not regular.
        long.push_str(&format!(
            "socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3\n\
             bind(3, {{sa_family=AF_INET, sin_port=htons({}), sin_addr=inet_addr(\"127.0.0.1\")}}, 16) = 0\n\
             close(3) = 0\n",
            1024 + n
        ));
    }
    let made = import(&long);
    assert!(
        notes(&made).contains("the log is too long for one scenario"),
        "{}",
        notes(&made)
    );
}

/// Lines of logs in random order.
fn soup() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3".to_owned()),
        Just("socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP) = 4<TCPv6:[7]>".to_owned()),
        Just("socket(AF_UNIX, SOCK_STREAM, 0) = 5".to_owned()),
        (3_u32..6, any::<u16>(), "127.0.0.1|10.0.0.4|0.0.0.0|255.255.255.255|224.0.0.1", "0|-1 EADDRINUSE \\(x\\)|-1 EACCES|\\?").prop_map(
            |(fd, port, ip, result)| format!("bind({fd}, {{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr(\"{ip}\")}}, 16) = {result}")
        ),
        (3_u32..6, 0_u16..3, "127.0.0.1|10.0.0.4|10.0.0.5|0.0.0.0|255.255.255.255", "0|-1 EADDRNOTAVAIL|-1 EINPROGRESS \\(x\\)|-1 ECONNREFUSED|-1 ETIMEDOUT|-1 ENETUNREACH|-1 EHOSTUNREACH").prop_map(
            |(fd, port, ip, result)| format!("connect({fd}, {{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr(\"{ip}\")}}, 16) = {result}")
        ),
        (3_u32..6, "::1|::|fe80::1|::ffff:10.0.0.4|ff02::1", "0|-1 EADDRINUSE").prop_map(
            |(fd, ip, result)| format!("bind({fd}, {{sa_family=AF_INET6, sin6_port=htons(0), inet_pton(AF_INET6, \"{ip}\", &sin6_addr)}}, 28) = {result}")
        ),
        (3_u32..6).prop_map(|fd| format!("listen({fd}, 5) = 0")),
        (3_u32..6, 3_u32..9).prop_map(|(fd, new)| format!("accept4({fd}, {{sa_family=AF_INET, sin_port=htons(7), sin_addr=inet_addr(\"10.0.0.9\")}}, [16], 0) = {new}")),
        (3_u32..6, 3_u32..9).prop_map(|(fd, new)| format!("accept({fd}, NULL, NULL) = {new}")),
        (3_u32..9).prop_map(|fd| format!("close({fd}) = 0")),
        (3_u32..9).prop_map(|fd| format!("recvfrom({fd}, \"\", 1, 0, NULL, NULL) = 0")),
        (3_u32..9).prop_map(|fd| format!("recvfrom({fd}, 0x1, 1, 0, NULL, NULL) = -1 ECONNRESET (x)")),
        (3_u32..9).prop_map(|fd| format!("shutdown({fd}, SHUT_WR) = 0")),
        (3_u32..9).prop_map(|fd| format!("getsockname({fd}, {{sa_family=AF_INET, sin_port=htons(40000), sin_addr=inet_addr(\"10.0.0.1\")}}, [16]) = 0")),
        (3_u32..9).prop_map(|fd| format!("setsockopt({fd}, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0")),
        (3_u32..9).prop_map(|fd| format!("setsockopt({fd}, SOL_IP, 0x33 /* IP_??? */, [-1], 4) = -1 ENOPROTOOPT (x)")),
        (3_u32..9).prop_map(|fd| format!("connect({fd}, {{sa_family=AF_UNSPEC, sa_data=\"x\"}}, 16) = 0")),
        (3_u32..9).prop_map(|fd| format!("dup2({fd}, 8) = 8")),
        Just("clone(child_stack=NULL, flags=CLONE_VM|CLONE_FILES) = 2".to_owned()),
        Just("fork() = 3".to_owned()),
        Just("+++ exited with 0 +++".to_owned()),
        Just("accept4(3,  <unfinished ...>".to_owned()),
        Just("<... accept4 resumed>NULL, NULL, 0) = 7".to_owned()),
        ".{0,40}",
    ];
    let line = (1_u32..4, 0_u64..4_000_000_000, word).prop_map(|(pid, time, word)| {
        format!(
            "{pid} {}.{:06} {word}\n",
            time / 1_000_000,
            time % 1_000_000
        )
    });
    proptest::collection::vec(line, 0..60).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_imported_or_refused(text in "\\PC{0,400}") {
        let _ = strace(&text, &settings(Some(&text)));
        let _ = strace(&text, &settings(None));
    }

    /// Any order of calls yields a valid scenario; only a log without ports is rejected.
    #[test]
    fn any_order_of_calls_makes_a_scenario(log in soup()) {
        match strace(&log, &settings(None)) {
            Ok(made) => prop_assert!(made.yaml.len() as u64 <= fourtuple_scenario::limits::MAX_FILE_BYTES),
            Err(error) => prop_assert!(
                ["no bind", "this is "].iter().any(|known| error.message.contains(known)),
                "{error}\n{log}"
            ),
        }
    }
}
