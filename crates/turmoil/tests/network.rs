//! Scenarios with latency, loss and faults on the `turmoil` engine: their expectations say what the
//! network does to the ports, and equal runs give equal attempts.

use fourtuple_harness::{Engine, RunReport, kernels};
use fourtuple_kernel::profile;
use fourtuple_scenario::{discover, expand, load};
use fourtuple_turmoil::engine::{Stock, Turmoil};
use std::path::Path;

fn run_all(engine: &dyn Engine) -> Vec<RunReport> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/network");
    let mut reports = Vec::new();
    for file in discover([&root]).expect("there are scenarios") {
        let scenario = load(&file).unwrap_or_else(|e| panic!("{e}"));
        for case in expand(&scenario, &kernels::names()).unwrap_or_else(|e| panic!("{e}")) {
            let profile = profile::find(&case.kernel).expect("a case names a kernel");
            match engine.run(&case, &profile) {
                Ok(report) => reports.push(report),
                Err(cannot) => panic!("{} on {}: {cannot}", case.scenario, engine.name()),
            }
        }
    }
    assert!(reports.len() > 8);
    reports
}

#[test]
fn faults_do_to_the_ports_what_the_scenarios_expect() {
    for report in run_all(&Turmoil) {
        let attempts: Vec<String> = report
            .attempts
            .iter()
            .map(|a| format!("{} {} = {}", a.at_ns, a.call(), a.answer()))
            .collect();
        assert!(
            report.expect_failed.is_empty(),
            "{}: {:?}\n{}",
            report.scenario,
            report.expect_failed,
            attempts.join("\n")
        );
        assert!(!report.attempts.is_empty(), "{}", report.scenario);
    }
}

#[test]
fn equal_runs_give_equal_attempts() {
    for engine in [&Turmoil as &dyn Engine, &Stock] {
        assert_eq!(run_all(engine), run_all(engine));
    }
}
