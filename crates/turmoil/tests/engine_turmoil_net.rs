//! The engine `turmoil-net`: what a plain test on that crate would see, and what it leaves out.

use fourtuple_harness::{Engine as _, RunReport, kernels};
use fourtuple_kernel::profile;
use fourtuple_scenario::{discover, expand, load, parse};
use fourtuple_turmoil::engine::TurmoilNet;
use std::path::Path;

/// The only case of a scenario, on the engine.
fn run(rest: &str) -> RunReport {
    let text = format!(
        "about: turmoil-net
kernel: linux-6.18
hosts:
  app: {{ addresses: [10.0.0.1], sysctl: {{ net.ipv4.ip_local_port_range: 40000-40003 }} }}
  api: {{ addresses: [10.0.1.1], listen: [10.0.1.1:80] }}
{rest}\n"
    );
    let scenario = parse("test.yaml", &text).unwrap_or_else(|errors| panic!("{errors}"));
    let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|e| panic!("{e}"));
    let profile = profile::find("linux-6.18").expect("a kernel");
    let ran = TurmoilNet.run(&cases[0], &profile);
    ran.unwrap_or_else(|cannot| panic!("{cannot}"))
}

/// The calls and their answers.
fn calls(report: &RunReport) -> Vec<String> {
    let all = 0..report.attempts.len();
    all.filter_map(|n| report.attempts.get(n))
        .map(|one| format!("{} {}", one.call(), one.answer()))
        .collect()
}

#[test]
fn the_range_and_the_options_of_linux_are_left_out() {
    let report = run(
        "processes: { a: { on: app, count: 6, connect: 10.0.1.1:80, options: { reuseaddr: true } } }",
    );
    let calls = calls(&report);
    let connected: Vec<&String> = calls.iter().filter(|c| c.contains("10.0.0.1:49")).collect();
    assert_eq!(connected.len(), 6, "{calls:?}");
    for note in ["range of ports is 49152-65535", "reuseaddr is left out"] {
        assert!(report.notes.iter().any(|n| n.contains(note)), "{note}");
    }
}

#[test]
fn closed_ports_are_free_at_once_and_unanswered_connects_end() {
    let report = run("steps:
  - { socket: a, on: app }
  - { connect: a, to: \"10.0.1.1:80\" }
  - { close: a }
  - { socket: b, on: app }
  - { connect: b, to: \"10.0.1.1:81\" }
  - { socket: c, on: app }
  - { connect: c, to: \"10.0.9.9:80\" }
  - { socket: d, on: app, type: dgram }
  - { sendto: d, to: \"10.0.1.1:53\", len: 3 }");
    let calls = calls(&report);
    assert!(
        calls.iter().any(|c| c.contains("ECONNREFUSED")),
        "{calls:?}"
    );
    assert!(
        calls.last().is_some_and(|c| !c.contains("EADDR")),
        "{calls:?}"
    );
    assert!(!calls.iter().any(|c| c.contains("PANIC")), "{calls:?}");
}

/// Nothing in the corpus makes it panic, and equal runs have equal results.
#[test]
fn the_corpus_runs_and_repeats() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let (mut ran, mut left_out) = (0, 0);
    for file in discover([&root]).expect("there are scenarios") {
        let scenario = load(&file).unwrap_or_else(|e| panic!("{e}"));
        let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|e| panic!("{e}"));
        let case = &cases[0];
        let profile = profile::find(&case.kernel).expect("a kernel");
        match (
            TurmoilNet.run(case, &profile),
            TurmoilNet.run(case, &profile),
        ) {
            (Ok(a), Ok(b)) => {
                assert_eq!(a.attempts, b.attempts, "{}", scenario.name);
                assert_eq!(a.notes, b.notes, "{}", scenario.name);
                let panics = calls(&a).iter().any(|c| c.contains("PANIC"));
                assert!(!panics, "{}: {:?}", scenario.name, a.notes);
                ran += 1;
            }
            (Err(a), Err(b)) => {
                assert_eq!(a.to_string(), b.to_string());
                left_out += 1;
            }
            _ => panic!("{}: two runs differ", scenario.name),
        }
    }
    assert!(ran > 100 && left_out > 0, "{ran} ran, {left_out} did not");
}
