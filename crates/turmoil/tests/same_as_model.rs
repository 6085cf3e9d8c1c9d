//! Regression tests for programs whose attempts once differed between the engines `turmoil` and
//! `model`.

use fourtuple_harness::{Engine, Model, kernels};
use fourtuple_kernel::profile;
use fourtuple_scenario::{expand, parse};
use fourtuple_turmoil::engine::Turmoil;

/// The attempts on both engines, which must be equal.
fn attempts(what: &str) -> Vec<String> {
    attempts_on("linux-6.18", what)
}

fn attempts_on(kernel: &str, what: &str) -> Vec<String> {
    let text = format!("about: two engines\nkernel: {kernel}\n{what}");
    let scenario = parse("test.yaml", &text).unwrap_or_else(|errors| panic!("{errors}"));
    let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|errors| panic!("{errors}"));
    let profile = profile::find(kernel).expect("a kernel");
    let on = |engine: &dyn Engine| {
        let report = engine.run(&cases[0], &profile).expect("it can run");
        let line =
            |one: fourtuple_harness::Attempt<'_>| format!("{}: {}", one.call(), one.answer());
        report.attempts.iter().map(line).collect::<Vec<_>>()
    };
    let (model, turmoil) = (on(&Model), on(&Turmoil));
    assert_eq!(model, turmoil);
    model
}

#[test]
fn a_mapped_address_makes_an_ipv6_socket() {
    let got = attempts(
        r#"
hosts:
  app: { addresses: 10.0.0.1, listen: 10.0.0.1:80 }
processes:
  a: { options: { v6only: true }, bind: "[::ffff:10.0.0.1]:8000", connect: "[::ffff:10.0.0.1]:80" }
  b: { options: { v6only: true }, connect: "[::ffff:10.0.0.1]:80" }
  c: { options: { v6only: true }, listen: "[::ffff:10.0.0.1]:90" }
  d: { bind: "[::ffff:10.0.0.1]:8001", connect: "[::ffff:10.0.0.1]:80" }
"#,
    );
    let want = [
        "a.1 bind 10.0.0.1:8000: EINVAL",
        "b.1 connect 10.0.0.1:80: ENETUNREACH",
        "c.1 bind 10.0.0.1:90: EINVAL",
        "d.1 bind 10.0.0.1:8001: ok 10.0.0.1:8001",
        "d.1 connect 10.0.0.1:80: ok 10.0.0.1:8001",
    ];
    assert_eq!(got, want);
}

#[test]
fn a_reset_has_its_place_among_what_happens_at_once() {
    let first = attempts(
        "
seed: 539
hosts:
  app: { addresses: 10.0.0.2, listen: 10.0.0.2:40001 }
  api: { addresses: 10.1.0.1, sysctl: { net.ipv4.ip_local_port_range: 40002-40005 } }
processes:
  b: { on: api, start: 10ms, connect: 10.0.0.2:40001, connections: 4, hold: 0s }
  c: { on: api, connect: 10.0.0.2:40001, hold: 10ms, close: reset }
",
    );
    assert_eq!(first.len(), 5);
    let second = attempts(
        "
seed: 527
hosts:
  app: { addresses: 10.0.0.1, sysctl: { net.ipv4.ip_local_port_range: 60001-60006 }, listen: 10.0.0.1:3000 }
processes:
  b: { connect: 10.0.0.1:3000, hold: 0s, close: reset }
  d: { count: 3, after: b, connect: 10.0.0.1:3000, connections: 2, every: 20ms, hold: 10ms }
",
    );
    assert_eq!(second.len(), 7);
}

#[test]
fn a_hosts_own_listener_has_the_family_of_its_address() {
    // From 6.1 to 6.11 the addresses of the two families are not compared.
    let mapped = r#"
hosts: { app: { addresses: 10.0.0.1, listen: "[::ffff:10.0.0.1]:80" } }
processes: { a: { listen: 10.0.0.1:80 } }
"#;
    let bind = |kernel| attempts_on(kernel, mapped).swap_remove(0);
    assert_eq!(bind("linux-6.4"), "a.1 bind 10.0.0.1:80: ok 10.0.0.1:80");
    assert_eq!(bind("linux-6.18"), "a.1 bind 10.0.0.1:80: EADDRINUSE");
}

#[test]
fn a_hosts_own_listener_accepts_whatever_its_backlog_is() {
    let got = attempts(
        "
hosts: { app: { addresses: 10.0.0.1, sysctl: { net.core.somaxconn: 1 }, listen: 10.0.0.1:80 } }
steps:
  - { connect: a, to: 10.0.0.1:80 }
  - { connect: b, to: 10.0.0.1:80 }
  - { connect: c, to: 10.0.0.1:80 }
",
    );
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|one| one.contains(": ok ")), "{got:?}");
}

#[test]
fn a_connection_that_was_reset_is_accepted() {
    for ends in ["close: c", "disconnect: c"] {
        let got = attempts(&format!(
            "
hosts: {{ app: {{ addresses: 10.0.0.1 }} }}
steps:
  - {{ bind: l, at: 10.0.0.1:80 }}
  - {{ listen: l }}
  - {{ socket: c, options: {{ linger: reset }} }}
  - {{ connect: c, to: 10.0.0.1:80 }}
  - {{ {ends} }}
  - {{ accept: l, as: child }}
  - {{ recv: child }}
"
        ));
        assert!(got[5].ends_with(": ok 10.0.0.1:80"), "{got:?}");
    }
}

#[test]
fn an_address_that_only_a_rule_of_nat_has_is_its_hosts_own() {
    let got = attempts(
        r#"
hosts:
  app: { addresses: 10.0.1.1, via: api }
  api:
    addresses: [10.0.2.2, 10.77.0.1]
    listen: 0.0.0.0:80
    nat: { snat: [10.0.2.1, 10.0.2.2], ports: 40001-40002, dnat: { "10.77.0.1:80": [10.0.2.1:80] } }
processes:
  b: { on: app, bind: 10.0.1.1:4000, connect: 10.77.0.1:80 }
"#,
    );
    let want = [
        "b.1 bind 10.0.1.1:4000: ok 10.0.1.1:4000",
        "b.1 connect 10.77.0.1:80: ok 10.0.1.1:4000",
    ];
    assert_eq!(got, want);
}
