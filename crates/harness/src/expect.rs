//! The scenario's expectations against what happened.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use fourtuple_scenario::{Address, Case, Program, Spanned, Step};
use schemars::JsonSchema;
use serde::Serialize;

use crate::attempt::Name;
use crate::attempts::Attempts;

/// An expectation that did not come true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unmet {
    /// The attempt, for an expectation of a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// The line of the scenario that expects it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The expectation and the result, in one line.
    pub text: String,
}

/// Every expectation of the case that its attempts do not meet, in the order of the file.
pub(crate) fn check(case: &Case, attempts: &Attempts) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    if let Program::Steps(steps) = &*case.program {
        check_steps(steps, attempts, &mut unmet);
    }
    for check in &case.expect {
        // Attempts of one process share its name.
        let mut last: Option<(&Name, bool)> = None;
        let mut is_meant = |process| match last {
            Some((known, meant)) if Arc::ptr_eq(known, process) => meant,
            _ => {
                let meant = **process == *check.process;
                last = Some((process, meant));
                meant
            }
        };
        let results = attempts
            .iter()
            .filter(|attempt| attempt.op() == check.op && is_meant(attempt.process()))
            .map(|attempt| attempt.result().word());
        if let Some(text) = check.failure(results) {
            unmet.push(Unmet {
                n: None,
                line: check.line(),
                text,
            });
        }
    }
    unmet
}

/// Returns whether a step makes an attempt.
pub(crate) fn makes_attempt(step: &Step) -> bool {
    match step {
        Step::Socket(socket) => !socket.implicit,
        Step::Sysctl(_) | Step::Sleep(_) => false,
        _ => true,
    }
}

fn check_steps(steps: &[Spanned<Step>], attempts: &Attempts, unmet: &mut Vec<Unmet>) {
    let mut ports: BTreeMap<&str, u16> = BTreeMap::new();
    let calls = steps.iter().filter(|step| makes_attempt(step));
    for (step, attempt) in calls.zip(attempts) {
        let mut fail = |text: String| {
            unmet.push(Unmet {
                n: Some(attempt.n()),
                line: step.line(),
                text: format!("{}: {text}", attempt.call()),
            });
        };
        let expect = step.expect();
        if !expect.is_empty()
            && !expect
                .iter()
                .any(|one| one.as_str() == attempt.result().word())
        {
            let names: Vec<&str> = expect.iter().map(|one| one.as_str()).collect();
            fail(format!(
                "expected {}, got {}",
                names.join(" or "),
                attempt.result()
            ));
            continue;
        }
        if !attempt.result().is_ok() {
            // Without a result there is no address to look at.
            if expect.is_empty() && asks_for_address(step) {
                fail(format!("expected an address, got {}", attempt.result()));
            }
            continue;
        }
        let named = if matches!(**step, Step::Getpeername(_) | Step::Recvfrom(_)) {
            attempt.peer()
        } else {
            attempt.local()
        };
        if let Some(range) = step.expect_port()
            && !named.is_some_and(|at| range.contains(at.port()))
        {
            fail(format!("expected a port in {range}, got {}", shown(named)));
        }
        for (wanted, got, word) in [
            (step.expect_local(), attempt.local(), "local"),
            (step.expect_peer(), attempt.peer(), "peer"),
        ] {
            let Some(wanted) = wanted else { continue };
            if resolve(wanted, &ports) != got {
                fail(format!(
                    "expected {word} address {wanted}, got {}",
                    shown(got)
                ));
            }
        }
        if let (Some(name), Some(at)) = (step.port_as(), named) {
            ports.insert(name, at.port());
        }
    }
}

fn asks_for_address(step: &Step) -> bool {
    step.expect_port().is_some() || step.expect_local().is_some() || step.expect_peer().is_some()
}

fn resolve(address: &Address, ports: &BTreeMap<&str, u16>) -> Option<SocketAddr> {
    address.resolve(|name| ports.get(name).copied())
}

fn shown(at: Option<SocketAddr>) -> String {
    at.map_or_else(|| "none".to_owned(), |at| at.to_string())
}
