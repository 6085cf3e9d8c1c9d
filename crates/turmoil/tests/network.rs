//! Scenarios with latency, loss and faults on the two engines: equal runs yield equal bytes.

use fourtuple_harness::{Engine, kernels, runner};
use fourtuple_scenario::{discover, expand, load};
use fourtuple_turmoil::engine::{Stock, Turmoil};
use std::path::{Path, PathBuf};

fn scenarios() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/network");
    let found = discover([&root]).expect("there are scenarios");
    assert!(found.len() > 6, "{found:?}");
    found
}

/// All that a scenario gives on an engine, as text.
fn outcome(file: &Path, engine: &dyn Engine) -> String {
    let scenario = load(file).unwrap_or_else(|e| panic!("{e}"));
    let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|e| panic!("{e}"));
    let report = runner::run(&scenario, cases, &[engine]);
    assert!(!report.failed(), "{} on {}", scenario.name, engine.name());
    let text = format!("{report:?}");
    assert!(text.len() > 500, "{}: nothing has run", scenario.name);
    text
}

#[test]
fn every_scenario_gives_the_same_bytes_again() {
    for file in scenarios() {
        for engine in [&Turmoil as &dyn Engine, &Stock] {
            let first = outcome(&file, engine);
            assert!(first == outcome(&file, engine), "{}", file.display());
        }
    }
}

#[test]
fn a_hundred_runs_over_a_lossy_network_give_the_same_bytes() {
    let file = scenarios()
        .into_iter()
        .find(|file| file.ends_with("latency-and-loss.yaml"))
        .expect("there is a scenario with loss");
    let first = outcome(&file, &Turmoil);
    for run in 1..100 {
        assert!(first == outcome(&file, &Turmoil), "run {run}");
    }
}
