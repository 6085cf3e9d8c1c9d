//! Every scenario of the repository gives the same attempts on the `turmoil` engine as on the model.

use fourtuple_harness::{Engine, Model, kernels};
use fourtuple_kernel::profile;
use fourtuple_scenario::{Case, discover, expand, load};
use fourtuple_turmoil::engine::Turmoil;
use std::path::Path;

/// Attempts that differ, in words.
fn differences(case: &Case) -> Vec<String> {
    let profile = profile::find(&case.kernel).expect("a case names a kernel");
    let model = Model
        .run(case, &profile)
        .expect("the model runs every scenario");
    let turmoil = match Turmoil.run(case, &profile) {
        Ok(report) => report,
        Err(cannot) => return vec![cannot.reason],
    };
    let mut found = Vec::new();
    for n in 0..model.attempts.len().max(turmoil.attempts.len()) {
        let (a, b) = (model.attempts.get(n), turmoil.attempts.get(n));
        if let (Some(a), Some(b)) = (a, b)
            && a.same_as(b)
            && a.at_ns == b.at_ns
            && a.why == b.why
        {
            continue;
        }
        let words = |x: Option<&fourtuple_harness::Attempt>| {
            x.map_or_else(
                || "nothing".to_owned(),
                |x| format!("{} {} = {} at {}", x.n, x.call(), x.answer(), x.at_ns),
            )
        };
        found.push(format!("model {}; turmoil {}", words(a), words(b)));
    }
    if model.notes != turmoil.notes {
        found.push(format!(
            "model notes {:?}; turmoil {:?}",
            model.notes, turmoil.notes
        ));
    }
    found
}

#[test]
fn every_scenario_on_an_ideal_network() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let files = discover([&root]).expect("there are scenarios");
    assert!(!files.is_empty());
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut wrong = Vec::new();
    for file in files {
        if !file.to_string_lossy().contains(&only) {
            continue;
        }
        let scenario = load(&file).unwrap_or_else(|e| panic!("{e}"));
        for case in expand(&scenario, &kernels::names()).unwrap_or_else(|e| panic!("{e}")) {
            if !case.network.is_ideal() {
                continue;
            }
            let start = std::time::Instant::now();
            let found = differences(&case);
            eprintln!(
                "{} {} {:?} {}",
                case.scenario,
                case.kernel,
                start.elapsed(),
                found.len()
            );
            if !found.is_empty() {
                wrong.push(format!(
                    "{} on {}:\n  {}",
                    case.scenario,
                    case.kernel,
                    found[..found.len().min(6)].join("\n  ")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
