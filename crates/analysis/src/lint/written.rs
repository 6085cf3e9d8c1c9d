//! Rules about the text of a scenario, whatever its outcome.

use std::net::SocketAddr;

use fourtuple_kernel::profile::Behaviours;
use fourtuple_kernel::profile::behaviour::{BindScan, ConnectScan, Scope};
use fourtuple_scenario::{Case, PortRange, PortRef, Program, Segment, SockOpt, Span, Step};
use indexmap::IndexMap;

use super::settings::{self, RECYCLE, Setting, What};
use super::{LintFinding, LintRule, Subject, datagram};
use crate::edit;

const RANGE: &str = edit::RANGE;
const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";

pub(super) fn check(subject: &Subject<'_>) -> Vec<LintFinding> {
    let mut findings = ranges(subject);
    findings.extend(listeners(subject));
    findings.extend(recycle(subject));
    findings
}

/// Returns whether searches of a kernel go through the range in steps of two, which an odd number
/// of ports does not fit.
fn leaves_one_out(b: &Behaviours) -> bool {
    b.bind_scan != BindScan::Sequential || b.connect_scan == ConnectScan::Parity
}

/// A range that is written somewhere, and the hosts and cases that it holds for.
fn range_of(setting: &Setting) -> Option<PortRange> {
    match &setting.what {
        What::Sysctl { key, value, .. } if key == RANGE => {
            let (low, high) = value.split_once(' ')?;
            Some(PortRange::new(low.parse().ok()?, high.parse().ok()?))
        }
        What::Option {
            option: SockOpt::LocalPortRange(range),
            ..
        } => Some(*range),
        _ => None,
    }
}

/// Odd numbers of ports, and ranges of sockets that reach out of their host's.
fn ranges(subject: &Subject<'_>) -> Vec<LintFinding> {
    let mut odd: IndexMap<(u32, PortRange), (Setting, Vec<usize>)> = IndexMap::new();
    let mut outside: IndexMap<u32, (Setting, PortRange, u16)> = IndexMap::new();
    for (n, (case, profile, _)) in subject.cases.iter().enumerate() {
        for setting in settings::all(subject.scenario, case) {
            let Some(range) = range_of(&setting) else {
                continue;
            };
            let host = match &setting.what {
                What::Sysctl { host, .. } => host.clone(),
                What::Option { .. } => super::tried::host_of(case, &setting),
            };
            let behaviours = subject.behaviours(n, &host);
            let of_host = edit::range_of(case, &host, profile.behaviours.range_high);
            let mut whole = range;
            if let What::Option { .. } = setting.what {
                whole = of_host.narrowed_to(range);
                let lost = [range.low, range.high]
                    .into_iter()
                    .find(|end| *end != 0 && !of_host.contains(*end));
                if let (Some(end), true) = (lost, behaviours.local_port_range_option) {
                    let key = setting.span.start;
                    outside
                        .entry(key)
                        .or_insert_with(|| (setting.clone(), of_host, end));
                }
            }
            let size = whole.size();
            let by_two = leaves_one_out(&behaviours) && !datagram::is_alone(case);
            if size > 1 && !size.is_multiple_of(2) && by_two {
                let key = (setting.span.start, whole);
                let entry = odd.entry(key).or_insert_with(|| (setting, Vec::new()));
                entry.1.push(n);
            }
        }
    }
    let mut findings = Vec::new();
    for ((_, range), (setting, cases)) in odd {
        let found = subject.find(
            LintRule::OddRange,
            setting.span,
            format!(
                "{} {range} has {} ports, an odd number",
                setting.name(),
                range.size()
            ),
            "each search leaves one of them out",
        );
        let note = format!(
            "on {} a search goes through the range in steps of two and may be refused while a port is free",
            subject.kernels(&cases)
        );
        let even = PortRange::new(range.low, range.high - 1);
        findings.push(LintFinding {
            diagnostic: found
                .diagnostic
                .with_note(note)
                .with_help(format!("use an even number of ports, such as {even}")),
            ..found
        });
    }
    for (setting, of_host, end) in outside.into_values() {
        let found = subject.find(
            LintRule::IgnoredOption,
            setting.span,
            format!(
                "{} has an end, {end}, outside of the host's range {of_host}",
                setting.name()
            ),
            "the kernel does not heed that end and says nothing",
        );
        findings.push(LintFinding {
            diagnostic: found
                .diagnostic
                .with_help(format!("keep it inside {of_host}, or widen {RANGE}")),
            ..found
        });
    }
    findings
}

/// A listener: its host, its port, and where it is written.
fn listening(subject: &Subject<'_>, case: &Case) -> Vec<(String, u16, Span)> {
    let mut found = Vec::new();
    let mut add = |host: &str, at: &[SocketAddr], path: &[&str]| {
        for (n, at) in at.iter().enumerate() {
            let mut path = super::keys(path);
            path.push(Segment::Item(n));
            found.push((host.to_owned(), at.port(), subject.scenario.span_of(&path)));
        }
    };
    for (name, host) in &*case.hosts {
        add(name, &host.listen, &["hosts", name, "listen"]);
    }
    match &*case.program {
        Program::Processes(all) => {
            for (name, process) in all {
                add(&process.on, &process.listen, &["processes", name, "listen"]);
            }
        }
        Program::Steps(steps) => {
            let listens = |name: &str| {
                let mut steps = steps.iter();
                steps.any(|step| matches!(&step.value, Step::Listen(one) if one.listen == name))
            };
            for step in steps {
                if let Step::Bind(bind) = &step.value
                    && let PortRef::Number(port) = bind.at.port
                    && listens(&bind.bind)
                    && let Some(socket) = settings::made(case, &bind.bind)
                {
                    let path = [
                        Segment::Key("steps"),
                        Segment::At(step.span),
                        Segment::Key("at"),
                    ];
                    let span = subject.scenario.span_of(&path);
                    found.push((socket.on.clone(), port, span));
                }
            }
        }
    }
    found
}

/// Listeners whose port an automatic choice may take first.
fn listeners(subject: &Subject<'_>) -> Vec<LintFinding> {
    let mut inside: IndexMap<(u32, u16), (Span, PortRange, bool)> = IndexMap::new();
    for (n, (case, _, _)) in subject.cases.iter().enumerate() {
        for (host, port, span) in listening(subject, case) {
            let behaviours = subject.behaviours(n, &host);
            let range = edit::range_of(case, &host, behaviours.range_high);
            let keeps = behaviours.reserved_ports != Scope::Absent;
            if port != 0 && range.contains(port) && !(keeps && reserved(case, &host, port)) {
                let entry = inside.entry((span.start, port));
                let (_, _, can) = entry.or_insert((span, range, true));
                *can &= keeps;
            }
        }
    }
    let finding =
        |((_, port), (span, range, can_reserve)): ((u32, u16), (Span, PortRange, bool))| {
            let found = subject.find(
                LintRule::ListenerInRange,
                span,
                format!("a listener on port {port}, inside the range of ephemeral ports {range}"),
                "an outgoing connection may have the port when the listener starts",
            );
            let help = if can_reserve {
                format!("reserve it with {RESERVED}: {port}, or listen outside of the range")
            } else {
                "listen outside of the range".to_owned()
            };
            LintFinding {
                diagnostic: found.diagnostic.with_help(help),
                ..found
            }
        };
    inside.into_iter().map(finding).collect()
}

fn reserved(case: &Case, host: &str, port: u16) -> bool {
    let written = case
        .hosts
        .get(host)
        .and_then(|host| host.sysctl.get(RESERVED));
    edit::port_list(written.map_or("", String::as_str))
        .iter()
        .any(|range| range.contains(port))
}

/// The advice that outlives its kernels.
fn recycle(subject: &Subject<'_>) -> Vec<LintFinding> {
    let mut found: IndexMap<u32, Span> = IndexMap::new();
    for (case, _, _) in &subject.cases {
        for setting in settings::all(subject.scenario, case) {
            if let What::Sysctl { key, value, .. } = &setting.what
                && key == RECYCLE
                && value != "0"
            {
                found.entry(setting.span.start).or_insert(setting.span);
            }
        }
    }
    let finding = |span: Span| {
        let found = subject.find(
            LintRule::StaleAdvice,
            span,
            format!("{RECYCLE} is stale advice"),
            "Linux 4.12 took it away",
        );
        LintFinding {
            diagnostic: found
                .diagnostic
                .with_note("while it was there, it dropped connections of clients behind a NAT")
                .with_help(
                    "to use ports in TIME-WAIT again from the connecting side: net.ipv4.tcp_tw_reuse",
                ),
            ..found
        }
    };
    found.into_values().map(finding).collect()
}
