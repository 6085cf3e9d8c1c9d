//! One run of the engine is reused for all kernels with the same observed behaviour flags. Every
//! such kernel must yield the same result when it runs by itself: on an ideal network, on one with
//! latency, and with a crash.

use fourtuple_harness::{Engine as _, kernels, runner};
use fourtuple_kernel::profile;
use fourtuple_scenario::{expand, parse};
use fourtuple_turmoil::engine::Turmoil;

const HOSTS: &str = "about: Shared runs
kernel: all
hosts:
  app:
    addresses: [10.0.0.1]
    sysctl: { net.ipv4.ip_local_port_range: 40000-40007 }
  api: { addresses: [10.0.1.1], listen: [10.0.1.1:80] }
";

const SCENARIOS: [&str; 4] = [
    "processes: { a: { on: app, count: 9, connect: 10.0.1.1:80 } }",
    "processes:
  a: { on: app, count: 4, options: { reuseaddr: true }, bind: 10.0.0.1:0, connect: 10.0.1.1:80, hold: 1s }
  b: { on: app, start: 20s, count: 8, connect: 10.0.1.1:80, hold: 1s }",
    "network: { latency: 40ms }
processes:
  a: { on: app, count: 3, connect: 10.0.1.1:80, hold: 200ms, every: 1s, repeat: 3 }",
    "network: { latency: 1ms, faults: [{ at: 500ms, partition: [app, api] }, { at: 1500ms, bounce: app }] }
processes:
  a: { on: app, count: 2, connect: 10.0.1.1:80, start: 1s }",
];

#[test]
fn a_shared_run_equals_the_run_of_each_kernel() {
    let mut shared = 0;
    for rest in SCENARIOS {
        let text = format!("{HOSTS}{rest}\n");
        let scenario = parse("test.yaml", &text).unwrap_or_else(|errors| panic!("{errors}"));
        let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|e| panic!("{e}"));
        let report = runner::run(&scenario, cases, &[&Turmoil]);
        assert!(report.cases.len() > 40, "the kernels are not there");
        let together: Vec<_> = (report.cases.iter())
            .map(|case| case.reports().next().expect("turmoil runs everything"))
            .collect();
        for (n, case) in report.cases.iter().enumerate() {
            let profile = profile::find(&case.case.kernel).expect("a kernel");
            let alone = Turmoil
                .run(&case.case, &profile)
                .unwrap_or_else(|cannot| panic!("{cannot}"));
            assert_eq!(
                together[n].attempts, alone.attempts,
                "{} of {rest}",
                alone.kernel
            );
            assert_eq!(together[n].notes, alone.notes, "{} of {rest}", alone.kernel);
            let stands = report.cases[..n]
                .iter()
                .zip(&together)
                .any(|(before, run)| {
                    let other = profile::find(&before.case.kernel).expect("a kernel");
                    profile
                        .behaviours
                        .agrees_on(&other.behaviours, run.observed_flags)
                });
            shared += usize::from(stands);
        }
    }
    assert!(shared > 50, "only {shared} kernels were spared a run");
}
