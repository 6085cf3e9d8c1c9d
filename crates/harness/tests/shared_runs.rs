//! One run stands for all kernels that are equal in the flags it observed: every kernel must say
//! the same when it runs by itself.

use crate::common::case;
use fourtuple_harness::{Engine as _, Model, kernels, runner};
use fourtuple_kernel::profile;
use fourtuple_scenario::{expand, parse};

/// Scenarios that ask kernels for much and for little.
const SCENARIOS: [&str; 5] = [
    // Nothing but connects.
    "processes: { a: { on: app, count: 9, connect: 10.0.1.1:80 } }",
    // Ephemeral ports of sockets that share, until there are none.
    "processes:
  a: { on: app, count: 10, bind: 10.0.0.1:0, options: { reuseaddr: true }, connect: 10.0.1.1:80 }
  b: { on: app, after: a, count: 3, options: { reuseport: true }, bind: 0.0.0.0:0, connect: 10.0.1.2:80 }
  c: { on: app, after: b, count: 2, connect: 10.0.1.2:80 }",
    // TIME-WAIT, and what may take it over.
    "processes:
  a: { on: app, count: 4, connect: 10.0.1.1:80, hold: 1s, repeat: 5, every: 3s }",
    // Options and sysctls that not every kernel has.
    "processes:
  a: { on: app, count: 12, bind: 10.0.0.1:0, options: { bind_address_no_port: true, local_port_range: 40002-40005 }, connect: 10.0.1.1:80 }
  b: { on: app, start: 61s, count: 2, bind: 10.0.0.2:40003, connect: 10.0.1.1:80, hold: 1s }",
    // IPv6 wildcards and named ports.
    "steps:
  - { socket: l, on: app, family: inet6, options: { reuseaddr: true } }
  - { bind: l, at: \"[::]:5000\" }
  - { listen: l, backlog: 4 }
  - { socket: m, on: app }
  - { bind: m, at: \"10.0.0.1:5000\" }
  - { socket: n, on: app, options: { reuseaddr: true } }
  - { bind: n, at: \"10.0.0.1:5000\" }
  - { socket: c, on: app }
  - { connect: c, to: \"10.0.0.1:5000\" }
  - { close: c }
  - { sleep: 2s }
  - { socket: d, on: app }
  - { connect: d, to: \"10.0.0.1:5000\" }",
];

#[test]
fn a_run_stands_for_kernels_that_say_the_same_by_themselves() {
    let mut shared = 0;
    for rest in SCENARIOS {
        let text = crate::common::text(rest).replace("kernel: linux-6.18", "kernel: all");
        let scenario = parse("test.yaml", &text).unwrap_or_else(|errors| panic!("{errors}"));
        let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|e| panic!("{e}"));
        let report = runner::run(&scenario, cases, &[&Model]);
        assert!(report.cases.len() > 40, "the kernels are not there");
        for case in &report.cases {
            let together = case.reports().next().expect("the model runs everything");
            let profile = profile::find(&case.case.kernel).expect("a kernel");
            let alone = Model
                .run(&case.case, &profile)
                .unwrap_or_else(|cannot| panic!("{cannot}"));
            assert_eq!(
                together.attempts, alone.attempts,
                "{} of {rest}",
                together.kernel
            );
            assert_eq!(together.notes, alone.notes, "{} of {rest}", together.kernel);
            assert_eq!(together.kernel, alone.kernel);
        }
        let asked: Vec<_> = report
            .cases
            .iter()
            .map(|case| case.reports().next().expect("a report").observed_flags)
            .collect();
        for (n, case) in report.cases.iter().enumerate() {
            let this = profile::find(&case.case.kernel)
                .expect("a kernel")
                .behaviours;
            let stands = report.cases[..n].iter().zip(&asked).any(|(before, asked)| {
                let other = profile::find(&before.case.kernel).expect("a kernel");
                this.agrees_on(&other.behaviours, *asked)
            });
            shared += usize::from(stands);
        }
    }
    assert!(shared > 50, "only {shared} kernels were spared a run");
}

#[test]
fn a_run_hangs_on_what_it_asked_for_only() {
    let case = case(SCENARIOS[0]);
    let right = profile::find("linux-6.18").expect("a kernel");
    let report = crate::common::report(&case);
    for name in fourtuple_kernel::Behaviours::NAMES {
        for behaviours in right.behaviours.mutants(name) {
            if !behaviours.agrees_on(&right.behaviours, report.observed_flags) {
                continue;
            }
            let wrong = profile::Profile {
                behaviours,
                ..right.clone()
            };
            let other = Model.run(&case, &wrong).expect("the model runs everything");
            assert_eq!(report.attempts, other.attempts, "{name}");
        }
    }
}
