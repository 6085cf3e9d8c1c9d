//! External engines: the adapters in `adapters/`, and programs that violate the protocol.
#![cfg(target_os = "linux")]

use fourtuple_harness::{Engine, EngineError, External, RunReport, kernels};
use fourtuple_linux::exec::{Exec, PATIENCE};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const MAX_WAIT: Duration = Duration::from_secs(2);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn succeeds(command: &str) -> bool {
    let status = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// The prefix with which a command may make network namespaces; `None` if that is not permitted.
fn in_namespace() -> Option<&'static str> {
    ["", "unshare -rn "]
        .into_iter()
        .find(|prefix| succeeds(&format!("{prefix}unshare -n true")))
}

/// Runs each case of a scenario text for the engine's own kernel.
fn run(engine: &Exec, text: &str) -> Vec<Result<RunReport, EngineError>> {
    let scenario = fourtuple_scenario::parse("test.yaml", text).expect("a scenario");
    let cases = fourtuple_scenario::expand(&scenario, &kernels::names()).expect("cases");
    cases
        .iter()
        .map(|case| engine.run(case, engine.profile()))
        .collect()
}

/// Options, errors, accepted sockets, data, and a TIME-WAIT that keeps a port.
fn scenario(kernel: &str) -> String {
    format!(
        r#"
about: Does an adapter answer as its kernel does?
kernel: {kernel}
hosts:
  h: {{ addresses: [10.0.0.1, "fd00::1"], sysctl: {{ net.ipv4.ip_local_port_range: 40000 40003 }} }}
steps:
  - {{ socket: l, by: server, on: h, options: {{ reuseaddr: true }} }}
  - {{ bind: l, at: "10.0.0.1:0", port_as: p }}
  - {{ listen: l }}
  - {{ socket: a, by: app }}
  - {{ connect: a, to: "10.0.0.1:$p", expect: ok }}
  - {{ accept: l, as: b }}
  - {{ send: a, len: 10 }}
  - {{ recv: b, len: 20 }}
  - {{ getpeername: a }}
  - {{ close: a }}
  - {{ close: b }}
  - {{ socket: c, by: app, family: inet6, options: {{ v6only: true, linger: reset, bindtodevice: lo }} }}
  - {{ bind: c, at: "[fd00::1]:0" }}
  - {{ connect: c, to: "[fd00::1]:9", expect: ECONNREFUSED }}
  - {{ socket: d, by: app }}
  - {{ set: d, options: {{ bindtoifindex: 1 }} }}
  - {{ bind: d, at: "10.0.0.9:0", expect: EADDRNOTAVAIL }}
  - {{ accept: l, as: e }}
"#
    )
}

/// Rounds, closes and a listener's lifetime, decided by the interpreter of all engines.
fn declared(kernel: &str) -> String {
    format!(
        r#"
about: Does an adapter run processes?
kernel: {kernel}
hosts:
  h:
    addresses: [10.0.0.1]
    sysctl: {{ net.ipv4.ip_local_port_range: 40000 40003, net.ipv4.tcp_tw_reuse: 0 }}
processes:
  server: {{ listen: "10.0.0.1:80", hold: 100ms, accepted: close }}
  client: {{ start: 10ms, count: 2, repeat: 2, connect: "10.0.0.1:80", hold: 20ms }}
  late: {{ after: client, connect: "10.0.0.1:80" }}
expect:
  client.connect: ok
  late.connect: EADDRNOTAVAIL
"#
    )
}

fn as_expected(outcome: Result<RunReport, EngineError>) -> RunReport {
    let report = outcome.expect("it can be expressed");
    assert!(!report.is_disallowed(), "{:?}", report.conformance);
    assert!(
        report.expect_failed.is_empty(),
        "{:?}",
        report.expect_failed
    );
    report
}

/// Runs the scenarios on an adapter and expects every answer to conform.
fn conforms(command: &str) {
    let engine = Exec::new(command, MAX_WAIT, PATIENCE).expect("an adapter of this kernel");
    for outcome in run(&engine, &scenario(&engine.profile().name)) {
        let report = as_expected(outcome);
        assert_eq!(report.notes, Vec::<String>::new());
        let words: Vec<String> = report
            .attempts
            .iter()
            .map(|attempt| attempt.result().to_string())
            .collect();
        assert_eq!(
            words.iter().filter(|word| *word == "ok").count(),
            15,
            "{words:?}"
        );
        assert_eq!(words.last().map(String::as_str), Some("WAITING"));
    }
    for outcome in run(&engine, &declared(&engine.profile().name)) {
        let report = as_expected(outcome);
        // Two of the server, and a connect of each instance in each round.
        let ok = report.attempts.iter();
        let ok = ok.filter(|attempt| attempt.result().to_string() == "ok");
        assert_eq!(ok.count(), 6);
    }
}

#[test]
fn python_adapter_conforms_in_a_namespace() {
    let Some(prefix) = in_namespace() else {
        eprintln!("NOT CHECKED: network namespaces are not allowed here");
        return;
    };
    if !succeeds("python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))'") {
        eprintln!("NOT CHECKED: there is no Python 3.9");
        return;
    }
    let adapter = root().join("adapters/python/adapter.py");
    conforms(&format!("exec {prefix}python3 '{}'", adapter.display()));
}

#[test]
fn c_adapter_conforms_in_a_namespace() {
    let Some(prefix) = in_namespace() else {
        eprintln!("NOT CHECKED: network namespaces are not allowed here");
        return;
    };
    let source = root().join("adapters/c/adapter.c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("exec-adapter");
    let (source, shown) = (source.display(), program.display());
    if !succeeds(&format!(
        "cc -O1 -Wall -Wextra -Werror -o '{shown}' '{source}'"
    )) {
        assert!(!succeeds("cc --version"), "the C adapter does not compile");
        eprintln!("NOT CHECKED: there is no C compiler");
        return;
    }
    conforms(&format!("exec {prefix}'{shown}'"));
}

/// The version line of an adapter for Linux 6.1.
const HELLO: &str = r#"echo '{"fourtuple":"exec","version":1,"name":"fake","kernel":"linux-6.1","clock":"virtual"}'"#;

/// The error reported for an adapter that behaves like this after its version line.
fn reported(behaviour: &str) -> (String, Option<String>) {
    let command = format!("{HELLO}; {behaviour}");
    let patience = Duration::from_millis(500);
    let engine = Exec::new(&command, MAX_WAIT, patience).expect("a version line");
    let outcome = run(&engine, &scenario("linux-6.1")).remove(0);
    let cannot = outcome.expect_err("it does not answer").to_string();
    (cannot, engine.broken())
}

#[test]
fn failures_of_adapters_are_named_and_end_the_run() {
    for (behaviour, expected) in [
        (
            "read l; exit 3",
            "the adapter ended before it wrote the outcome of `ns` (request 1) (exit status: 3)",
        ),
        (
            "exec sleep 60",
            "the adapter did not write the outcome of `ns` (request 1) within 0.5 s",
        ),
        (
            "read l; echo '{\"n\":7,\"at_us\":1,\"result\":\"ok\"}'",
            "`{\"n\":7,\"at_us\":1,\"result\":\"ok\"}` is not the outcome of `ns` (request 1): `n` is 7",
        ),
        (
            "read l; echo '{\"n\":1,\"at_us\":1,\"result\":\"fine\"}'",
            "`{\"n\":1,\"at_us\":1,\"result\":\"fine\"}` is not the outcome of `ns` (request 1): invalid result `fine`: expected the name of an errno such as `EADDRINUSE`, `ok` or `WAITING`",
        ),
    ] {
        let (cannot, broken) = reported(behaviour);
        assert_eq!(cannot, expected);
        assert_eq!(broken.as_deref(), Some(expected));
    }
}

#[test]
fn unsupported_calls_are_named_and_do_not_end_the_run() {
    let reply = r#"{"n":1,"at_us":1,"result":"UNSUPPORTED","reason":"no namespaces"}"#;
    let (cannot, broken) = reported(&format!("read l; echo '{reply}'; read l"));
    assert_eq!(cannot, "the adapter does not support it: no namespaces");
    assert_eq!(broken, None);
}

#[test]
fn other_versions_and_unknown_kernels_are_refused() {
    let refused = |command: &str| {
        let engine = Exec::new(command, MAX_WAIT, PATIENCE);
        engine.err().expect("it is not an adapter")
    };
    assert_eq!(
        refused(&HELLO.replace(":1,", ":2,")),
        "the adapter speaks version 2 of `exec`: expected version 1 of `exec`"
    );
    assert_eq!(
        refused(&HELLO.replace("linux-6.1", "plan9")),
        "the adapter's kernel `plan9` is neither a profile nor a release with one"
    );
    assert!(refused("echo hello").starts_with("invalid version line `hello`: "));
    assert_eq!(
        refused("exit 4"),
        "the adapter ended before it wrote its version line (exit status: 4)"
    );
}

#[test]
fn cases_that_an_adapter_cannot_express_say_why() {
    let engine = Exec::new(HELLO, MAX_WAIT, PATIENCE).expect("a version line");
    let reason = |text: &str| {
        let outcome = run(&engine, text).remove(0);
        outcome.expect_err("it cannot be expressed").to_string()
    };
    let head = "about: What is left out?\nkernel: linux-6.1\n";
    assert_eq!(
        reason(&format!(
            "{head}hosts: {{ a: {{}}, b: {{ addresses: [10.0.0.2] }} }}\nsteps: [{{ socket: s, on: a }}]\n"
        )),
        "it has several hosts, and an adapter is one"
    );
    assert_eq!(
        reason(&format!(
            "{head}time_wait: 5s\nhosts: {{ a: {{}} }}\nsteps: [{{ socket: s }}]\n"
        )),
        "TIME-WAIT is 60 s in every kernel and cannot be changed"
    );
    assert_eq!(
        reason(&format!(
            "{head}hosts: {{ a: {{ addresses: [10.0.0.1] }} }}\nsteps: [{{ connect: s, to: \"10.0.0.2:1\" }}]\n"
        )),
        "it connects to 10.0.0.2, which no host has"
    );
    assert_eq!(
        reason(&format!(
            "{head}hosts: {{ a: {{ addresses: [\"fd00::3\"], tentative: 2s }} }}\nsteps: [{{ socket: s }}]\n"
        )),
        "it times duplicate address detection, and an adapter waits until it is over"
    );
}
