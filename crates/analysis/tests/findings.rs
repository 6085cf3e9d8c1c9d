//! Remarks on outcomes besides refusals for want of a port.

use fourtuple_analysis::{Finding, findings};
use fourtuple_harness::{Engine as _, Model, kernels};
use fourtuple_kernel::profile;
use fourtuple_scenario::{expand, parse};

/// The number of calls that fail, and the findings.
fn outcome(yaml: &str) -> (usize, Vec<Finding>) {
    let scenario = parse("case.yaml", yaml).unwrap_or_else(|errors| panic!("{errors}"));
    let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|errors| panic!("{errors}"));
    let profile = profile::find(&cases[0].kernel).expect("a kernel");
    let report = Model.run(&cases[0], &profile).expect("the model runs it");
    let failed = report.attempts.iter().filter(|one| !one.result().is_ok());
    (
        failed.count(),
        findings(&cases[0], &profile, &report.attempts),
    )
}

#[test]
fn errors_that_are_not_about_ports_are_named() {
    let yaml = r#"
about: A link-local address without a scope
kernel: linux-6.18
hosts: { h: { addresses: ["fe80::1"] } }
steps:
  - { bind: b, at: "[fe80::1]:53" }
"#;
    let (_, found) = outcome(yaml);
    assert_eq!(found[0].kind, "scope-missing");
}

#[test]
fn slow_selection_is_a_finding_before_ports_run_out() {
    let yaml = r#"
about: A proxy holds most of the ports towards one server
kernel: linux-6.18
hosts:
  lb: { addresses: [10.0.0.3], sysctl: { net.ipv4.ip_local_port_range: 32768-34815 } }
  web: { addresses: [10.0.1.1], listen: "10.0.1.1:80" }
processes:
  proxy: { on: lb, count: 3, connections: 500, connect: "10.0.1.1:80" }
"#;
    let (refused, found) = outcome(yaml);
    assert_eq!(refused, 0);
    assert_eq!(found[0].kind, "slow-selection");
}
