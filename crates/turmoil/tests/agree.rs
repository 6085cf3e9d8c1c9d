//! On an ideal network, the attempts of the `turmoil` engine equal the model's, including times,
//! reasons and notes. The regression suite compares the answers of every case; this test covers the
//! oldest and the newest kernel of each scenario.

use fourtuple_harness::{Attempt, Engine, Model, RunReport, kernels};
use fourtuple_kernel::profile;
use fourtuple_scenario::{Case, discover, expand, load};
use fourtuple_turmoil::engine::Turmoil;
use std::path::Path;

/// Most calls of a case in this test; the suite covers larger ones.
const CALLS: usize = 2_000;

fn run(engine: &dyn Engine, case: &Case) -> RunReport {
    let profile = profile::find(&case.kernel).expect("a case names a kernel");
    let ran = engine.run(case, &profile);
    ran.unwrap_or_else(|cannot| panic!("{} on {}: {cannot}", case.scenario, engine.name()))
}

fn words(attempt: Option<Attempt<'_>>) -> String {
    attempt.map_or_else(
        || "nothing".to_owned(),
        |one| {
            format!(
                "{} = {} at {} ({:?})",
                one.call(),
                one.answer(),
                one.at_ns(),
                one.why()
            )
        },
    )
}

/// Describes the differences.
fn differences(case: &Case, model: &RunReport) -> Vec<String> {
    let turmoil = run(&Turmoil, case);
    let mut found = Vec::new();
    for n in 0..model.attempts.len().max(turmoil.attempts.len()) {
        let (a, b) = (model.attempts.get(n), turmoil.attempts.get(n));
        let same = matches!((a, b), (Some(a), Some(b))
            if a.same_as(b) && a.at_ns() == b.at_ns() && a.why() == b.why());
        if !same {
            found.push(format!("{n}: model {}; turmoil {}", words(a), words(b)));
        }
    }
    if model.notes != turmoil.notes {
        found.push(format!(
            "notes: model {:?}; turmoil {:?}",
            model.notes, turmoil.notes
        ));
    }
    found
}

#[test]
fn times_reasons_and_notes_are_the_models() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut compared = 0;
    let mut wrong = Vec::new();
    for file in discover([&root]).expect("there are scenarios") {
        let scenario = load(&file).unwrap_or_else(|e| panic!("{e}"));
        let mut cases = expand(&scenario, &kernels::names()).unwrap_or_else(|e| panic!("{e}"));
        // The engine has no NAT hosts.
        let forwards = |case: &Case| {
            case.hosts
                .values()
                .any(|host| host.nat.is_some() || host.via.is_some())
        };
        cases.retain(|case| case.network.is_ideal() && !forwards(case));
        let newest = cases.pop();
        for case in cases.into_iter().next().into_iter().chain(newest) {
            let model = run(&Model, &case);
            if model.attempts.len() > CALLS {
                continue;
            }
            compared += model.attempts.len();
            let found = differences(&case, &model);
            if !found.is_empty() {
                let first = found[..found.len().min(6)].join("\n  ");
                wrong.push(format!("{} on {}:\n  {first}", case.scenario, case.kernel));
            }
        }
    }
    assert!(compared > 1_000, "{compared} calls");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
