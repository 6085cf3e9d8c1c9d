//! Which engine is compared with which, whose answers are judged, and what runs once for all
//! kernels.

use fourtuple_harness::{
    Engine, EngineError, Model, RunReport, ScenarioReport, Standing, kernels, runner,
};
use fourtuple_kernel::FlagSet;
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::{Case, expand, parse};
use std::sync::atomic::{AtomicUsize, Ordering};

/// An engine that answers as the model, without its notes, with a standing of its own.
struct Other {
    standing: fn(&Case) -> Standing,
    observed_flags: FlagSet,
    runs: AtomicUsize,
}

impl Other {
    fn new(standing: fn(&Case) -> Standing, observed_flags: FlagSet) -> Self {
        Other {
            standing,
            observed_flags,
            runs: AtomicUsize::new(0),
        }
    }
}

impl Engine for Other {
    fn name(&self) -> &'static str {
        "other"
    }

    fn about(&self) -> &'static str {
        "the model under another name"
    }

    fn standing(&self, case: &Case) -> Standing {
        (self.standing)(case)
    }

    fn run(&self, case: &Case, profile: &Profile) -> Result<RunReport, EngineError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let report = Model.run(case, profile)?;
        let attempts = report.attempts.as_ref().clone();
        let mut report = RunReport::new(case, profile, self.name(), attempts, Vec::new());
        report.observed_flags = self.observed_flags;
        Ok(report)
    }
}

/// One port, so that the second connect fails; the scenario expects that it does not.
fn run(kernel: &str, network: &str, engines: &[&dyn Engine]) -> ScenarioReport {
    let text = format!(
        "about: a scenario of the tests
kernel: {kernel}
{network}
hosts:
  app: {{ addresses: [10.0.0.1], sysctl: {{ net.ipv4.ip_local_port_range: 40000-40000 }} }}
  api: {{ addresses: [10.0.1.1], listen: [10.0.1.1:80] }}
processes: {{ a: {{ on: app, count: 2, connect: 10.0.1.1:80 }} }}
expect: {{ a.connect: ok }}
"
    );
    let scenario = parse("test.yaml", &text).unwrap_or_else(|errors| panic!("{errors}"));
    let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|errors| panic!("{errors}"));
    runner::run(&scenario, cases, engines)
}

const FAULTS: &str = "network: { latency: 1ms }";

fn with_network(case: &Case) -> Standing {
    if case.network.is_ideal() {
        Standing::MustAgree
    } else {
        Standing::Reference
    }
}

#[test]
fn the_model_is_the_reference_unless_there_is_a_network() {
    let other = Other::new(with_network, FlagSet::ALL);
    let engines: [&dyn Engine; 2] = [&Model, &other];
    for (network, reference, compared) in [("", "model", "other"), (FAULTS, "other", "model")] {
        let report = run("linux-6.18", network, &engines);
        let case = &report.cases[0];
        assert_eq!(case.reference().map(|run| run.engine), Some(reference));
        let pairs: Vec<_> = case
            .agreement
            .iter()
            .map(|one| (one.engine, one.with))
            .collect();
        assert_eq!(pairs, [(compared, reference)]);
        assert!(report.failed());
    }
}

#[test]
fn engines_without_a_network_are_not_judged() {
    let alone: [&dyn Engine; 1] = [&Model];
    assert!(run("linux-6.18", "", &alone).failed());
    let report = run("linux-6.18", FAULTS, &alone);
    assert!(!report.failed());
    let notes = &report.cases[0].reference().expect("it ran").notes;
    assert_eq!(notes[..], ["leaves out of the network: latency".to_owned()]);
}

#[test]
fn an_engine_without_a_kernel_runs_once_for_all() {
    for (observed_flags, runs) in [(FlagSet::ALL, 2), (FlagSet::default(), 1)] {
        let other = Other::new(|_| Standing::Contrast, observed_flags);
        let engines: [&dyn Engine; 2] = [&Model, &other];
        let report = run("[rhel-6.5, linux-6.18]", "", &engines);
        assert_eq!(other.runs.load(Ordering::Relaxed), runs);
        let kernels: Vec<String> = report
            .cases
            .iter()
            .filter_map(|case| case.runs[1].report())
            .map(|run| run.kernel.to_string())
            .collect();
        assert_eq!(kernels, ["rhel-6.5", "linux-6.18"]);
    }
}
