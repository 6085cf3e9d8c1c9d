//! Rules about UDP: ports that selection shares.

use fourtuple_scenario::{Case, Program, Protocol, SockOpt, SocketType, Span, Step};
use std::collections::BTreeSet;

use super::settings::{self, Owner, What};
use super::{LintFinding, LintRule, Subject};

/// Sockets that share a port which the kernel selects, although others are free.
pub(super) fn check(subject: &Subject<'_>) -> Vec<LintFinding> {
    let mut seen: BTreeSet<u32> = BTreeSet::new();
    let mut findings = Vec::new();
    for (case, _, _) in &subject.cases {
        for setting in settings::all(subject.scenario, case) {
            let What::Option { option, .. } = &setting.what else {
                continue;
            };
            let shares = matches!(option, SockOpt::ReuseAddr(true) | SockOpt::ReusePort(true));
            if shares && selects(case, &setting.owner) && seen.insert(setting.span.start) {
                findings.push(shared(subject, setting.name(), setting.span));
            }
        }
    }
    findings
}

fn shared(subject: &Subject<'_>, name: &str, span: Span) -> LintFinding {
    let found = subject.find(
        LintRule::SharedPort,
        span,
        format!("{name} on a UDP socket whose port the kernel selects"),
        "it may get a port that another socket with the option has, while others are free",
    );
    LintFinding {
        diagnostic: found
            .diagnostic
            .with_note("of sockets that share an address and port one alone receives")
            .with_help("set the option only on sockets that bind a port by number"),
        ..found
    }
}

/// Returns `true` if the kernel selects a port for a datagram socket of this owner.
fn selects(case: &Case, owner: &Owner) -> bool {
    match (owner, &*case.program) {
        (Owner::Process(name), Program::Processes(all)) => all.get(name).is_some_and(|one| {
            let named = !one.bind.is_empty() && one.bind.iter().all(|at| at.port() != 0);
            one.protocol == Protocol::Udp && !named
        }),
        (Owner::Step(n), Program::Steps(steps)) => {
            let ours = steps.get(*n).and_then(|step| step.value.socket());
            let datagram = steps.iter().any(|step| match &step.value {
                Step::Socket(made) => {
                    made.kind == SocketType::Dgram && Some(made.socket.as_str()) == ours
                }
                _ => false,
            });
            // The first call that takes a port.
            let first = steps.iter().find(|step| {
                step.value.socket() == ours
                    && matches!(
                        &step.value,
                        Step::Bind(_) | Step::Connect(_) | Step::Sendto(_)
                    )
            });
            let named = first.is_none_or(|step| match &step.value {
                Step::Bind(bind) => bind.at.port != fourtuple_scenario::PortRef::Number(0),
                _ => false,
            });
            datagram && !named
        }
        _ => false,
    }
}

/// Returns `true` if all sockets of a case are datagram sockets.
pub(super) fn is_alone(case: &Case) -> bool {
    match &*case.program {
        Program::Processes(all) => all.values().all(|one| one.protocol == Protocol::Udp),
        Program::Steps(steps) => steps.iter().all(|step| match &step.value {
            Step::Socket(made) => made.kind == SocketType::Dgram,
            _ => true,
        }),
    }
}
