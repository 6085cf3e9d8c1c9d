//! Consistency of scenarios and recordings: the model's own answers to a scenario are checked as a
//! recording is.
//!
//! `fourtuple certify` checks recordings against the behaviours of a profile, and every answer of
//! the real kernel is one that they allow. Here the same checker, with the same behaviours, is
//! shown the answers of the model: each must be allowed as well. A snapshot of a recorded kernel
//! therefore says nothing that its recordings would contradict.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fourtuple_harness::{Model, kernels, runner};
use fourtuple_kernel::conformance::{Checker, Mentions};
use fourtuple_kernel::profile::behaviour::Scope;
use fourtuple_kernel::{Profile, World};
use fourtuple_scenario::{Case, Close, Program, expand, load};
use fourtuple_suite::{index, is_full_size, scenarios};
use rstest::rstest;
use serde::Deserialize;

/// The profiles that recordings of real kernels were checked against, from the certificates.
fn recorded() -> Vec<String> {
    #[derive(Deserialize)]
    struct Certificate {
        how: String,
        calls: u64,
        disallowed: u64,
    }
    let text = include_str!("../crates/render/data/certificates.json");
    let found: BTreeMap<String, Vec<Certificate>> =
        serde_json::from_str(text).expect("certificates");
    let good = |one: &Certificate| one.how == "recording" && one.calls > 0 && one.disallowed == 0;
    let mut names = found.into_iter().filter(|(_, all)| all.iter().any(good));
    std::iter::from_fn(|| names.next().map(|(name, _)| name)).collect()
}

/// The reason why a case has no answers of one kernel that could be checked, if so.
fn left_out(case: &Case) -> Option<&'static str> {
    let both = |program: &Program| match program {
        Program::Processes(all) => all.values().any(|one| one.close == Close::Both),
        Program::Steps(_) => false,
    };
    if case.hosts.values().any(|host| host.kernel.is_some()) {
        Some("its hosts have kernels of their own")
    } else if case.time_wait.is_some() {
        Some("its TIME-WAIT is not the kernel's")
    } else if both(&case.program) {
        Some("`close: both` is two calls at once")
    } else {
        None
    }
}

/// Returns whether a case depends on a setting that this kernel obeys in its first namespace only,
/// in which recordings do not run.
fn is_of_first_namespace(case: &Case, profile: &Profile) -> bool {
    let sets = |key: &str| {
        case.hosts
            .values()
            .any(|host| host.sysctl.contains_key(key))
    };
    profile.behaviours.nonlocal_bind_scope == Scope::FirstOnly && sets("net.ipv4.ip_nonlocal_bind")
}

#[rstest]
fn the_answers_to(#[files("scenarios/**/*.yaml")] path: PathBuf) {
    let scenario = load(&path).unwrap_or_else(|errors| panic!("{errors}"));
    let cases = expand(&scenario, &kernels::names()).unwrap_or_else(|errors| panic!("{errors}"));
    if is_full_size(&cases) {
        return;
    }
    let recorded: Vec<Profile> = recorded()
        .iter()
        .map(|name| {
            fourtuple_kernel::profile::find(name).expect("a certificate of a kernel that exists")
        })
        .collect();
    for (case, profile, _) in runner::fold(&scenario, cases) {
        if left_out(&case).is_some()
            || is_of_first_namespace(&case, &profile)
            || !recorded
                .iter()
                .any(|one| one.behaviours == profile.behaviours)
        {
            continue;
        }
        check(&case, &profile);
    }
}

/// Runs a case on one kernel that all of its hosts share, as a real kernel runs it, and checks the
/// answers.
fn check(case: &Case, profile: &Profile) {
    let mut case = case.clone();
    for host in case.hosts_mut().values_mut() {
        host.machine = Some("one".to_owned());
    }
    let journal =
        Model::journal(&case, profile).unwrap_or_else(|cannot| panic!("{}", cannot.reason));
    if journal.is_concurrent() {
        return;
    }
    let mut checker = Checker::new(profile.behaviours);
    let entries = journal.entries(<World>::START);
    let mut mentions = Mentions::default();
    for entry in &entries {
        mentions.add(&entry.op, &entry.seen);
    }
    checker.expect(mentions);
    for (number, entry) in entries.iter().enumerate() {
        let followed = checker.step(entry.at, &entry.op, &entry.seen);
        if let Err(disallowed) = followed {
            panic!(
                "{} on {}, {:?}: the recordings of this kernel allow no such answer to call {number}: {:?} answered {:?}, allowed {:?}",
                case.scenario, profile.name, case.axes, entry.op, entry.seen, disallowed.allowed
            );
        }
    }
}

#[test]
fn there_are_recordings_and_most_scenarios_can_be_checked() {
    assert!(recorded().len() >= 10, "{:?}", recorded());
    let mut why: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let all = scenarios();
    for path in &all {
        let scenario = load(path).unwrap_or_else(|errors| panic!("{errors}"));
        let cases =
            expand(&scenario, &kernels::names()).unwrap_or_else(|errors| panic!("{errors}"));
        let reasons = cases.iter().map(left_out);
        if let Some(reason) = reasons.reduce(|one, other| one.and(other)).flatten() {
            why.entry(reason).or_default().push(index::name(path));
        }
    }
    let out: usize = why.values().map(Vec::len).sum();
    assert!(out * 6 < all.len(), "left out: {why:#?}");
}
