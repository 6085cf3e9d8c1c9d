//! Rules about NAT hosts: parts of a rule that change nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;

use fourtuple_harness::{Engine as _, Model};
use fourtuple_kernel::Rule;
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::{Case, NatRandom, NatSource, Program, Step};

use super::{LintFinding, LintRule, Subject};
use crate::edit;

pub(super) fn check(subject: &Subject<'_>) -> Vec<LintFinding> {
    let mut seen: BTreeSet<(u32, &str)> = BTreeSet::new();
    let mut findings = Vec::new();
    for (case, profile, _) in &subject.cases {
        for (name, host) in &*case.hosts {
            let source = host.nat.as_ref().and_then(|nat| nat.source.as_ref());
            let Some(NatSource::Linux {
                addresses,
                random,
                persistent,
                ..
            }) = source
            else {
                continue;
            };
            let mut add = |field: &'static str, message: String, label: &str, note: &str| {
                let keys = super::keys(&["hosts", name, "nat", field]);
                let span = subject.scenario.span_of(&keys);
                if seen.insert((span.start, field)) {
                    let found = subject.find(LintRule::NatNothing, span, message, label);
                    findings.push(LintFinding {
                        diagnostic: found.diagnostic.with_note(note),
                        ..found
                    });
                }
            };
            if *persistent && addresses.len() < 2 {
                add(
                    "persistent",
                    format!("persistent has no effect on {name}"),
                    "the rule has one address",
                    "it chooses among several addresses by the client alone",
                );
            }
            if addresses.len() > pairs(case, name) {
                add(
                    "snat",
                    format!("{name} has more addresses than it can use here"),
                    "more addresses than pairs of a client and a destination",
                    "the address is a hash of client and destination: a full address is not left for another",
                );
            }
            if *random != NatRandom::No && random_loses_as_many(case, profile, name) {
                add(
                    "random",
                    format!("random makes no room on {name}"),
                    "without it as many connections are lost",
                    "it decides which port is tried first, not how many there are",
                );
            }
        }
    }
    findings
}

/// The pairs of a client's address and a destination's, among connections that pass the NAT host.
fn pairs(case: &Case, nat: &str) -> usize {
    let behind = (case.hosts.iter()).filter(|(name, _)| edit::nat_host(case, name) == Some(nat));
    let clients: usize = behind.map(|(_, host)| host.addresses.len()).sum();
    let destinations: BTreeSet<IpAddr> = match &*case.program {
        Program::Processes(all) => {
            let to = all.values().flat_map(|one| &one.connect);
            to.map(std::net::SocketAddr::ip).collect()
        }
        Program::Steps(steps) => steps
            .iter()
            .filter_map(|step| match &step.value {
                Step::Connect(connect) => Some(connect.to.ip),
                Step::Sendto(send) => Some(send.to.ip),
                _ => None,
            })
            .collect(),
    };
    clients * destinations.len()
}

/// Returns `true` if connections are lost for want of a port, and without the flag as many.
fn random_loses_as_many(case: &Case, profile: &Profile, nat: &str) -> bool {
    let mut without = case.clone();
    if let Some(NatSource::Linux { random, .. }) = edit::nat_source(&mut without, nat) {
        *random = NatRandom::No;
    }
    let lost = |case: &Case| {
        let report = Model.run(case, profile).ok()?;
        let dropped = report.attempts.iter().filter(|attempt| {
            let rule = attempt.why().map(|why| why.rule);
            rule == Some(Rule::NatDrop) && !attempt.result().is_ok()
        });
        Some(dropped.count())
    };
    lost(case).is_some_and(|count| count > 0 && lost(&without) == Some(count))
}
