//! The semantics of the step form, as docs/format.md states them.

use crate::common::{case, report, story};

#[test]
fn every_call_is_an_attempt_and_names_are_kept() {
    let got = story(
        r#"steps:
  - { socket: l, by: server, on: api, options: { reuseaddr: true } }
  - { bind: l, at: "10.0.1.1:8080" }
  - { listen: l, backlog: 16 }
  - { socket: a, by: client, on: app }
  - { bind: a, at: "10.0.0.1:0", port_as: p, expect_port: 40000-40007 }
  - { connect: a, to: "10.0.1.1:8080", expect_peer: "10.0.1.1:8080", expect_local: "10.0.0.1:$p" }
  - { accept: l, as: c, expect_peer: "10.0.0.1:$p" }
  - { send: a, len: 10 }
  - { recv: c, len: 4 }
  - { getpeername: c }
  - { shutdown: a, how: write }
  - { close: a }
  - { sleep: 1s }
  - { close: c }
"#,
    );
    let want = [
        "0 l socket ok",
        "0 l bind ok",
        "0 l listen ok",
        "0 a socket ok",
        "0 a bind ok",
        "0 a connect ok",
        "0 l accept ok",
        "0 a send ok",
        "0 c recv ok",
        "0 c getpeername ok",
        "0 a shutdown ok",
        "0 a close ok",
        "1000 c close ok",
    ];
    assert_eq!(got, want);
}

#[test]
fn blocking_call_is_waiting_or_eagain() {
    let got = story(
        r#"steps:
  - { socket: l, by: s, on: api }
  - { bind: l, at: "10.0.1.1:8080" }
  - { listen: l }
  - { accept: l, as: c }
  - { socket: n, by: s, on: api, nonblock: true }
  - { bind: n, at: "10.0.1.1:8081" }
  - { listen: n }
  - { accept: n, as: d }
  - { close: c }
"#,
    );
    assert_eq!(&got[3], "0 l accept WAITING");
    assert_eq!(&got[7], "0 n accept EAGAIN");
    assert_eq!(&got[8], "0 c close EBADF");
}

#[test]
fn missing_port_is_noport() {
    let got = story(
        r#"steps:
  - { socket: a, by: p, on: app }
  - { bind: a, at: "10.9.9.9:0", port_as: p }
  - { socket: b, by: p, on: app }
  - { bind: b, at: "10.0.0.1:$p" }
"#,
    );
    assert_eq!(&got[1], "0 a bind EADDRNOTAVAIL");
    assert_eq!(&got[3], "0 b bind NOPORT");
}

#[test]
fn sysctls_change_what_follows() {
    let got = story(
        r#"steps:
  - { sysctl: { net.ipv4.ip_local_port_range: 40000-40000 }, on: app }
  - { socket: a, by: p, on: app }
  - { connect: a, to: "10.0.1.1:80", expect_port: 40000-40000 }
  - { socket: b, by: p, on: app }
  - { connect: b, to: "10.0.1.1:80", expect: EADDRNOTAVAIL }
"#,
    );
    assert_eq!(got[3], "0 b connect EADDRNOTAVAIL");
}

#[test]
fn expectations_that_fail_name_the_call_and_the_line() {
    let report = report(&case(
        r#"steps:
  - { socket: a, by: p, on: app }
  - { connect: a, to: "10.0.1.1:80", expect: EADDRNOTAVAIL }
  - { getsockname: a, expect_port: 1-10 }
  - { getpeername: a, expect_peer: "10.0.1.2:80" }
"#,
    ));
    let texts: Vec<String> = report
        .expect_failed
        .iter()
        .map(|one| {
            format!(
                "{}:{} {}",
                one.line.unwrap_or(0),
                one.n.unwrap_or(0),
                one.text
            )
        })
        .collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(
        texts[0].starts_with("9:2 a connect 10.0.1.1:80: expected EADDRNOTAVAIL, got ok"),
        "{texts:?}"
    );
    assert!(
        texts[1].contains("expected a port in 1-10, got 10.0.0.1:4000"),
        "{texts:?}"
    );
    assert!(
        texts[2].contains("expected peer address 10.0.1.2:80, got 10.0.1.1:80"),
        "{texts:?}"
    );
}
