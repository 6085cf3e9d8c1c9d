//! Programs written as step-form scenarios, so that an observed behaviour can be run, explained and
//! kept.

use crate::program::{BACKLOG, Call, NO_SOCKET, Program, Step};
use fourtuple_scenario::{Nat, NatSource};
use fourtuple_syscall::{Family, Kind, Outcome, Syscall};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// Writes the first `steps` steps of a program as a scenario for `kernel`. With `expect_last` the
/// last step expects the real kernel's answer.
pub fn scenario_text(
    program: &Program,
    steps: usize,
    kernel: &str,
    about: &str,
    expect_last: bool,
) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "about: {}", quoted(about));
    let _ = writeln!(out, "kernel: {kernel}");
    out.push_str("hosts:\n");
    if program.hosts.is_empty() {
        out.push_str("  h: { addresses: [127.0.0.1] }\n");
    }
    for host in &program.hosts {
        let addresses: Vec<String> = host
            .addresses
            .iter()
            .map(|a| quoted(&a.to_string()))
            .collect();
        let sysctls: Vec<String> = host
            .sysctls
            .iter()
            .map(|(k, v)| format!("{k}: {}", quoted(&range(v))))
            .collect();
        let _ = writeln!(
            out,
            "  {}: {{ addresses: [{}], sysctl: {{ {} }}{}{}{} }}",
            host.name,
            addresses.join(", "),
            sysctls.join(", "),
            match host.tentative_ms {
                0 => String::new(),
                ms => format!(", tentative: {ms}ms"),
            },
            host.via
                .iter()
                .map(|via| format!(", via: {via}"))
                .collect::<String>(),
            host.nat
                .iter()
                .map(|nat| format!(", nat: {}", rules(nat)))
                .collect::<String>(),
        );
    }
    out.push_str("steps:\n");
    let last = steps.saturating_sub(1);
    let owner = |step| Owner::of(program, step);
    let owners: BTreeSet<Owner<'_>> = program.steps.iter().take(steps).filter_map(owner).collect();
    for (i, step) in program.steps.iter().enumerate().take(steps) {
        let outcome = step.outcome();
        // A scenario cannot use a socket that is not open.
        if outcome == Some(NO_SOCKET) {
            continue;
        }
        let Some(mut fields) = line(&step.call, outcome) else {
            continue;
        };
        let has_host = matches!(
            step.call,
            Call::Sys(Syscall::Socket { .. }) | Call::Sysctl { .. }
        );
        if let (Some(host), true) = (host_of(program, step), has_host) {
            let _ = write!(fields, ", on: {host}");
        }
        if let Some(owner) = owner(step) {
            owner.write(&mut fields, owners.len() > 1);
        }
        // Only a socket call has a result in the format; the report notes the refusal of a sysctl.
        let expects = expect_last && i == last && matches!(step.call, Call::Sys(_));
        if let (true, Some(outcome @ (Outcome::Ok(_) | Outcome::Err(_)))) = (expects, outcome) {
            let _ = write!(fields, ", expect: {outcome}");
        }
        let _ = writeln!(out, "  - {{ {fields} }}");
    }
    out
}

/// The rules of a NAT host.
fn rules(nat: &Nat) -> String {
    let mut fields = Vec::new();
    if let Some(NatSource::Linux {
        addresses,
        ports,
        random,
        persistent,
    }) = &nat.source
    {
        let ports = ports.map(|ports| format!("ports: {ports}"));
        if addresses.is_empty() {
            fields.push(format!("masquerade: {{ {} }}", ports.unwrap_or_default()));
        } else {
            fields.push(format!("snat: {}", list(addresses)));
            fields.extend(ports);
        }
        fields.push(format!("random: {}", quoted(&random.to_string())));
        fields.push(format!("persistent: {persistent}"));
    }
    if !nat.dnat.is_empty() {
        let rule = |(to, backends): &(SocketAddr, Vec<SocketAddr>)| {
            format!("{}: {}", quoted(&to.to_string()), list(backends))
        };
        let rules: Vec<String> = nat.dnat.iter().map(rule).collect();
        fields.push(format!("dnat: {{ {} }}", rules.join(", ")));
    }
    format!("{{ {} }}", fields.join(", "))
}

fn list(items: &[impl ToString]) -> String {
    let items: Vec<String> = items.iter().map(|one| quoted(&one.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// The host of a step: the first one if the step names none. `None` for a program with one host.
fn host_of<'a>(program: &'a Program, step: &'a Step) -> Option<&'a str> {
    let [first, _, ..] = &program.hosts[..] else {
        return None;
    };
    Some(step.host.as_deref().unwrap_or(&first.name))
}

/// The owner of a socket: a process of a scenario is on one host and runs as one user.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Owner<'a> {
    host: Option<&'a str>,
    uid: u32,
}

impl<'a> Owner<'a> {
    /// The owner of the socket that a step makes.
    fn of(program: &'a Program, step: &'a Step) -> Option<Self> {
        match step.call {
            Call::Sys(Syscall::Socket { uid, .. }) => Some(Owner {
                host: host_of(program, step),
                uid,
            }),
            _ => None,
        }
    }

    /// Writes the process and its user. The only process of a scenario needs no name.
    fn write(&self, fields: &mut String, among_others: bool) {
        if among_others {
            let _ = write!(fields, ", by: user{}", self.uid);
            if let Some(host) = self.host {
                let _ = write!(fields, "-{host}");
            }
        }
        if self.uid != 0 {
            let _ = write!(fields, ", uid: {}", self.uid);
        }
    }
}

/// The fields of one step, or `None` for a step that scenarios do not have.
fn line(call: &Call, outcome: Option<Outcome>) -> Option<String> {
    Some(match call {
        Call::Ns | Call::Addr { .. } => return None,
        // A scenario only writes sysctls that the kernel has.
        Call::Sysctl { .. } if !outcome.is_none_or(|outcome| outcome.is_ok()) => return None,
        Call::Sysctl { key, value } => format!("sysctl: {{ {key}: {} }}", quoted(&range(value))),
        Call::Sleep { ms } => format!("sleep: {ms}ms"),
        Call::Sys(call) => {
            let mut fields = format!("{}: {}", call.op(), call.sock());
            let _ = arguments(&mut fields, call);
            fields
        }
    })
}

/// Adds the arguments of a call that are not their defaults.
fn arguments(s: &mut String, call: &Syscall<String>) -> std::fmt::Result {
    match call {
        Syscall::Socket {
            family,
            kind,
            nonblock,
            ..
        } => {
            if *kind == Kind::Datagram {
                s.push_str(", type: dgram");
            }
            if *family == Family::Inet6 {
                s.push_str(", family: inet6");
            }
            if *nonblock {
                s.push_str(", nonblock: true");
            }
            Ok(())
        }
        Syscall::Set { option, .. } => {
            let value = quoted(&option.value().to_string());
            write!(s, ", options: {{ {}: {value} }}", option.name())
        }
        Syscall::Bind { addr, .. } => write!(s, ", at: \"{addr}\""),
        Syscall::Listen { backlog, .. } if *backlog == BACKLOG => Ok(()),
        Syscall::Listen { backlog, .. } => write!(s, ", backlog: {backlog}"),
        Syscall::Connect { addr, .. } => write!(s, ", to: \"{addr}\""),
        Syscall::Accept { new, .. } => write!(s, ", as: {new}"),
        Syscall::SendTo { addr, len, .. } => write!(s, ", to: \"{addr}\", len: {len}"),
        Syscall::Send { len, .. } | Syscall::Recv { len, .. } | Syscall::RecvFrom { len, .. } => {
            write!(s, ", len: {len}")
        }
        Syscall::Shutdown { how, .. } => write!(s, ", how: {how}"),
        Syscall::Disconnect { .. }
        | Syscall::Close { .. }
        | Syscall::Getsockname { .. }
        | Syscall::Getpeername { .. } => Ok(()),
    }
}

/// Writes `40000 40003` in the scenario's form, `40000-40003`.
fn range(value: &str) -> String {
    match value.split_whitespace().collect::<Vec<_>>()[..] {
        [low, high] if low.parse::<u16>().is_ok() && high.parse::<u16>().is_ok() => {
            format!("{low}-{high}")
        }
        _ => value.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    if plain && !text.is_empty() {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
