//! The semantics of the declarative form, as docs/format.md states them.

use crate::common::{case, report, story, whole_case};

#[test]
fn a_bind_and_its_connect_stay_together_and_instances_take_turns() {
    let got = story(
        "processes:
  a: { on: app, count: 2, connections: 2, bind: 10.0.0.1:0, connect: 10.0.1.1:80 }
  b: { on: app, connect: 10.0.1.2:80 }
",
    );
    let calls: Vec<&str> = got
        .iter()
        .filter_map(|line| Some(line.rsplit_once(' ')?.0))
        .collect();
    let want = [
        "0 a.1 bind",
        "0 a.1 connect",
        "0 a.3 bind",
        "0 a.3 connect",
        "0 b.1 connect",
        "0 a.2 bind",
        "0 a.2 connect",
        "0 a.4 bind",
        "0 a.4 connect",
    ];
    assert_eq!(calls, want);
}

#[test]
fn after_waits_for_the_last_answer_not_for_the_close() {
    let got = story(
        "processes:
  late: { on: app, after: [a, b], connect: 10.0.1.1:80 }
  a: { on: app, connect: 10.0.1.1:80, hold: 9s }
  b: { on: app, start: 2s, connect: 10.0.1.1:80 }
",
    );
    assert_eq!(
        got,
        [
            "0 a.1 connect ok",
            "2000 b.1 connect ok",
            "2000 late.1 connect ok"
        ]
    );
}

#[test]
fn every_paces_the_connections_of_one_instance() {
    let got = story(
        "processes:
  a: { on: app, count: 2, connections: 3, every: 100ms, connect: 10.0.1.1:80 }
",
    );
    let want = [
        "0 a.1 connect ok",
        "0 a.4 connect ok",
        "100 a.2 connect ok",
        "100 a.5 connect ok",
        "200 a.3 connect ok",
        "200 a.6 connect ok",
    ];
    assert_eq!(got, want);
}

#[test]
fn repeat_waits_until_all_connections_of_the_round_are_closed() {
    let got = story(
        "processes:
  a: { on: app, connections: 2, every: 300ms, hold: 1s, repeat: 2, connect: 10.0.1.1:80 }
",
    );
    assert_eq!(
        got,
        [
            "0 a.1 connect ok",
            "300 a.2 connect ok",
            "1300 a.3 connect ok",
            "1600 a.4 connect ok"
        ]
    );
}

#[test]
fn every_also_holds_from_round_to_round() {
    let got = story(
        "processes:
  a: { on: app, every: 5s, hold: 1s, repeat: 3, connect: 10.0.1.1:80 }
",
    );
    assert_eq!(
        got,
        [
            "0 a.1 connect ok",
            "5000 a.2 connect ok",
            "10000 a.3 connect ok"
        ]
    );
}

#[test]
fn a_failed_bind_ends_the_connection_and_the_next_one_follows() {
    let got = story(
        "processes:
  a: { on: app, connections: 2, bind: [10.9.9.9:0, 10.0.0.1:0], connect: 10.0.1.1:80 }
",
    );
    assert_eq!(
        got,
        [
            "0 a.1 bind EADDRNOTAVAIL",
            "0 a.2 bind ok",
            "0 a.2 connect ok"
        ]
    );
}

#[test]
fn many_failed_binds_in_a_row_are_no_recursion() {
    let got = story(
        "processes:
  a: { on: app, connections: 100000, bind: 10.9.9.9:0, connect: 10.0.1.1:80 }
",
    );
    assert_eq!(got.len(), 100_000);
}

#[test]
fn refused_options_are_attempts_and_the_program_goes_on() {
    let mut case = case(
        "processes:
  a: { on: app, options: { reuseaddr: true, bind_address_no_port: true }, bind: 10.0.0.1:0, connect: 10.0.1.1:80 }
",
    );
    case.kernel = "rhel-6.5".to_owned();
    let got = report(&case);
    let words: Vec<String> = got
        .attempts
        .iter()
        .map(|one| format!("{} {}", one.op(), one.result()))
        .collect();
    assert_eq!(words, ["set ENOPROTOOPT", "bind ok", "connect ok"]);
}

#[test]
fn listeners_of_processes_are_attempts_and_accept() {
    let got = story(
        "processes:
  server: { on: app, listen: [10.0.0.1:8080, 10.0.0.1:8081] }
  caller: { on: api, after: server, count: 2, connect: 10.0.0.1:8081 }
",
    );
    let want = [
        "0 server.1 bind ok",
        "0 server.1 listen ok",
        "0 server.2 bind ok",
        "0 server.2 listen ok",
        "0 caller.1 connect ok",
        "0 caller.2 connect ok",
    ];
    assert_eq!(got, want);
}

#[test]
fn connect_without_a_listener_is_refused() {
    let got = story("processes: { a: { on: app, connect: 10.0.1.1:81 } }\n");
    assert_eq!(got, ["0 a.1 connect ECONNREFUSED"]);
}

/// With one port, a second connection to the same server shows which side has TIME-WAIT.
fn second_connect(close: &str) -> String {
    let text = format!(
        "
about: one port
kernel: linux-6.18
hosts:
  app: {{ addresses: [10.0.0.1], sysctl: {{ net.ipv4.ip_local_port_range: 40000-40000, net.ipv4.tcp_tw_reuse: 0 }} }}
  api: {{ addresses: [10.0.1.1], listen: 10.0.1.1:80 }}
processes:
  a: {{ on: app, connect: 10.0.1.1:80, hold: 1s, close: {close} }}
  b: {{ on: app, start: 3s, connect: 10.0.1.1:80 }}
"
    );
    let report = report(&whole_case(&text));
    report
        .attempts
        .iter()
        .next_back()
        .expect("an attempt")
        .result()
        .to_string()
}

#[test]
fn side_that_closes_first_keeps_time_wait() {
    assert_eq!(second_connect("client"), "EADDRNOTAVAIL");
    assert_eq!(second_connect("server"), "ok");
    assert_eq!(second_connect("both"), "EADDRNOTAVAIL");
    assert_eq!(second_connect("reset"), "ok");
}

#[test]
fn time_wait_can_be_made_short() {
    let text = "
about: a short TIME-WAIT
kernel: linux-6.18
time_wait: 500ms
hosts:
  app: { addresses: [10.0.0.1], sysctl: { net.ipv4.ip_local_port_range: 40000-40000, net.ipv4.tcp_tw_reuse: 0 } }
  api: { addresses: [10.0.1.1], listen: 10.0.1.1:80 }
processes:
  a: { on: app, connect: 10.0.1.1:80, hold: 0s, close: client }
  b: { on: app, start: 400ms, connect: 10.0.1.1:80 }
  c: { on: app, start: 2s, connect: 10.0.1.1:80 }
";
    let results: Vec<String> = report(&whole_case(text))
        .attempts
        .iter()
        .map(|one| one.result().to_string())
        .collect();
    assert_eq!(results, ["ok", "EADDRNOTAVAIL", "ok"]);
}

#[test]
fn a_refused_sysctl_is_noted() {
    let text = "
about: an unknown sysctl
kernel: linux-2.6.32
hosts: { app: { addresses: [10.0.0.1], sysctl: { net.ipv4.ip_local_reserved_ports: 40000 }, listen: 10.0.0.1:80 } }
processes: { a: { on: app, connect: 10.0.0.1:80 } }
";
    let report = report(&whole_case(text));
    assert_eq!(
        report.notes,
        ["app: sysctl net.ipv4.ip_local_reserved_ports = 40000 is refused with ENOENT"]
    );
}

#[test]
fn a_seed_gives_the_same_outcome_every_time() {
    let rest = "processes: { a: { on: app, count: 8, bind: 10.0.0.1:0, connect: 10.0.1.1:80 } }\n";
    let first = report(&case(rest));
    for _ in 0..20 {
        assert_eq!(report(&case(rest)), first);
    }
}

#[test]
fn a_network_that_is_not_ideal_is_noted() {
    let report = report(&case(
        "network: { latency: 5ms, loss: 1%, faults: [{ at: 1s, partition: [app, api] }] }
processes: { a: { on: app, connect: 10.0.1.1:80 } }
",
    ));
    assert_eq!(
        report.notes,
        ["leaves out of the network: latency, loss, partition"]
    );
}
