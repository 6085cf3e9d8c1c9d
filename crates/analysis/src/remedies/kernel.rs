//! Another kernel as a fix, and regressions of kernels as a cause.

use std::sync::Arc;

use fourtuple_harness::Attempts;
use fourtuple_harness::kernels::Order;
use fourtuple_kernel::profile::{self, Profile, Regression};
use fourtuple_scenario::{Case, Spanned};

use super::lab::{Certainty, Lab, Seeds, refuses_setting, reseeded};
use super::situation::{Cause, SocketCounts};
use super::{Effect, Remedy, catalogue};

/// Attempts up to which every other kernel is tried; beyond, only the newest.
const SMALL: usize = 20_000;

/// The case on another kernel.
fn on(case: &Case, hosts: &[String], name: &str) -> Case {
    let mut changed = case.clone();
    name.clone_into(&mut changed.kernel);
    for host in hosts {
        if let Some(host) = changed.hosts_mut().get_mut(host)
            && host.kernel.is_some()
        {
            host.kernel = Some(Spanned::from(name.to_owned()));
        }
    }
    changed
}

/// The profile without one of its regressions.
fn fixed(profile: &Profile, regression: &Regression) -> Profile {
    let mut profile = profile.clone();
    (regression.fix)(&mut profile.behaviours);
    profile
}

/// Returns whether every socket has its port on a profile, at this and at other seeds.
fn works(case: &Case, profile: &Profile, lab: &Lab<'_>) -> Option<(Arc<Attempts>, Seeds)> {
    let first = lab.model(case, profile).ok()?;
    let refuses = refuses_setting(&first.notes) || catalogue::unknown_option(&first.attempts);
    // A kernel that refuses a setting of the scenario runs another scenario.
    if refuses || !SocketCounts::of(&first.attempts).fixes(lab.situation.counts) {
        return None;
    }
    let seeds = lab.seeds(&first.attempts, |n| {
        let report = lab.model(&reseeded(case, n), profile);
        report.is_ok_and(|report| SocketCounts::of(&report.attempts).refused == 0)
    });
    Some((first.attempts, seeds))
}

/// The regression of this kernel without which nothing would be refused.
pub(super) fn regression(case: &Case, lab: &Lab<'_>) -> Option<&'static Regression> {
    lab.profile.behaviours.regressions().find(|one| {
        works(case, &fixed(lab.profile, one), lab).is_some_and(|(_, seeds)| seeds.good == seeds.of)
    })
}

/// The first kernel on which the scenario works as it is, for another reason than a regression: the
/// next newer one, else the nearest older one.
pub(super) fn another(case: &Case, lab: &Lab<'_>) -> Remedy {
    let (situation, profile) = (lab.situation, lab.profile);
    let all = profile::all();
    let here = all
        .iter()
        .position(|one| one.behaviours == profile.behaviours)
        .unwrap_or(0);
    let newer = all.iter().skip(here + 1);
    let older = all.iter().take(here).rev();
    let mut remedy = Remedy {
        id: "another-kernel".to_owned(),
        name: "another kernel".to_owned(),
        who: situation
            .hosts
            .iter()
            .map(|host| format!("root on {host}"))
            .collect(),
        since: "-".to_owned(),
        change: String::new(),
        effect: Effect::Nothing,
        seeds: None,
        after: None,
        cost: "an upgrade, or the pain of a downgrade".to_owned(),
        why: None,
        stale: None,
        often_tried: false,
        case: None,
        attempts: Arc::default(),
    };
    if !lab.allowance.get().allows(case) {
        remedy.effect = Effect::Untried;
        return remedy;
    }
    let few = situation.counts.total as usize > SMALL;
    let newest = all.last().into_iter();
    let candidates: Vec<&Profile> = if few {
        newest
            .filter(|one| one.behaviours != profile.behaviours)
            .collect()
    } else {
        newer.chain(older).collect()
    };
    let mut by_regression: Vec<(String, &Regression)> = Vec::new();
    let mut luck: Option<Remedy> = None;
    for other in &candidates {
        let mut hosts = situation.hosts.clone();
        if situation.cause == Cause::Nat {
            hosts.push(situation.nat.clone());
        }
        let changed = on(case, &hosts, &other.name);
        let Some((attempts, seeds)) = works(&changed, other, lab) else {
            continue;
        };
        let by = other.behaviours.regressions().find(|one| {
            works(&changed, &fixed(other, one), lab)
                .is_none_or(|(_, fixed)| fixed.good < seeds.good)
        });
        if let Some(by) = by {
            by_regression.push((other.name.clone(), by));
            continue;
        }
        let certainty = match seeds {
            _ if seeds.good == seeds.of && situation.cause != Cause::Collision => Certainty::Always,
            _ if seeds.good == seeds.of => Certainty::Usually,
            _ => Certainty::ByLuck,
        };
        let found = Remedy {
            effect: certainty.into(),
            seeds: Some(seeds),
            change: format!("kernel: {}", other.name),
            since: other.name.clone(),
            after: Some(SocketCounts::of(&attempts)),
            case: Some(changed),
            attempts,
            ..remedy.clone()
        };
        if certainty != Certainty::ByLuck {
            return found;
        }
        luck.get_or_insert(found);
    }
    remedy.after = Some(situation.counts);
    remedy.why = Some(why_none(&candidates, few, &by_regression));
    match luck {
        Some(found) => Remedy {
            why: Some("other ports are chosen there".to_owned()),
            ..found
        },
        None => remedy,
    }
}

fn why_none(tried: &[&Profile], few: bool, by: &[(String, &Regression)]) -> String {
    let mut why = if few {
        "sockets are refused on the newest kernel as well; others are not tried with so many"
            .to_owned()
    } else {
        format!(
            "sockets are refused on each of the {} other behaviours of kernels",
            tried.len()
        )
    };
    if let Some((_, first)) = by.first() {
        let names: Vec<&str> = by
            .iter()
            .filter(|(_, one)| std::ptr::eq(*one, *first))
            .map(|(name, _)| name.as_str())
            .collect();
        why.push_str(&format!(
            "; {} accepts it only through a bug: the kernel {} (fixed in {})",
            Order::new().compact(&names),
            first.symptom,
            first.fixed_in
        ));
    }
    why
}
