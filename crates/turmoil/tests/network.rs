//! Scenarios with latency, loss and faults on the two engines: equal runs yield equal bytes.

use fourtuple_harness::json::Document;
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

/// The outcome format of a scenario on an engine.
fn outcome(file: &Path, engine: &dyn Engine) -> Vec<u8> {
    let scenario = load(file).unwrap_or_else(|e| panic!("{e}"));
    let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|e| panic!("{e}"));
    let report = runner::run(&scenario, cases, &[engine]);
    assert!(!report.failed(), "{} on {}", scenario.name, engine.name());
    let mut bytes = Vec::new();
    let mut document = Document::start(&mut bytes).expect("memory takes everything");
    document
        .add(&mut bytes, &report)
        .expect("memory takes everything");
    document
        .finish(&mut bytes)
        .expect("memory takes everything");
    assert!(bytes.len() > 500, "{}: nothing has run", scenario.name);
    bytes
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
