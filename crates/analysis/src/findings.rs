//! Findings besides refusals for want of a port: connections that go wrong without an
//! error, and errors that have nothing to do with ports, each with the check to run on a real host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use fourtuple_harness::{Answer, Args, Attempt, Attempts, Model, seconds};
use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::profile::behaviour::ConnectScan;
use fourtuple_kernel::{Errno, Rule};
use fourtuple_scenario::{Case, Hold, Op};
use fourtuple_syscall::canonical;
use schemars::JsonSchema;
use serde::Serialize;

use crate::chooser::ExperimentChooser;
use crate::edit;
use crate::phase;
use crate::remedies::situation::is_self_connect;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// Its name, for programs.
    pub kind: &'static str,
    /// The program of the scenario that it is about.
    pub program: String,
    /// The fact, in a sentence.
    pub text: String,
    /// The cure, or the check to run.
    pub check: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.text, self.check)
    }
}

/// All findings of an outcome, in the order of the calls; each kind once for each program.
#[must_use]
pub fn findings(case: &Case, profile: &Profile, attempts: &Attempts) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut bind_failed: BTreeSet<String> = BTreeSet::new();
    for attempt in attempts {
        let unknown = unknown_port(attempt, &mut bind_failed);
        for finding in [itself(attempt), unknown, error(case, attempt)] {
            let Some(finding) = finding else { continue };
            let known = |one: &Finding| one.program == finding.program && one.kind == finding.kind;
            if !found.iter().any(known) {
                found.push(finding);
            }
        }
    }
    found.extend(slow(case, profile));
    found.extend(time_wait_phase(case, profile));
    found
}

/// A call whose answer depends on when the timer wheel comes by: it is made at about the end of a
/// TIME-WAIT.
fn time_wait_phase(case: &Case, profile: &Profile) -> Option<Finding> {
    let (from, to) = phase::window(case, profile)?;
    let mut phases = phase::phases(case, profile).into_iter();
    let count = phases.len();
    let run = |phase| {
        let chooser = |machine: &str| ExperimentChooser::seeded(case.seed, machine, phase);
        Model::simulate(case, profile, chooser).map(|(attempts, _)| attempts)
    };
    if count < 2 {
        return None;
    }
    let first = run(phases.next()?).ok()?;
    let mut differing: BTreeMap<usize, usize> = BTreeMap::new();
    for phase in phases {
        let other = run(phase).ok()?;
        let differs = |(a, b): (Attempt<'_>, Attempt<'_>)| a.result() != b.result();
        // What comes after the first call that differs follows from it.
        if let Some(n) = first.iter().zip(&other).position(differs) {
            *differing.entry(n).or_default() += 1;
        }
    }
    let (n, differing) = differing.into_iter().next()?;
    let attempt = first.iter().nth(n)?;
    let refused = if attempt.result().is_ok() {
        differing
    } else {
        count - differing
    };
    let (from, to) = (seconds(nanos(from)), seconds(nanos(to)));
    Some(Finding {
        kind: "time-wait-phase",
        program: attempt.process().to_string(),
        text: format!(
            "A TIME-WAIT of this kernel ends {from} to {to} after the close, when the timer wheel next comes by: {} by {} at {} is refused at {refused} of {count} phases of the wheel.",
            attempt.op(),
            attempt.process(),
            seconds(attempt.at_ns()),
        ),
        check: format!(
            "Wait longer than {to}, or do not depend on the end of TIME-WAIT (SO_REUSEADDR on both sides, another port)."
        ),
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn itself(attempt: Attempt<'_>) -> Option<Finding> {
    is_self_connect(attempt).then(|| {
        let at = attempt.local().map(|at| at.to_string()).unwrap_or_default();
        Finding {
            kind: "connected-to-itself",
            program: attempt.process().to_string(),
            text: format!(
                "{} is connected to itself: connect() to {at} chose that very port as its source (a simultaneous open), and no other program is involved.",
                attempt.process()
            ),
            check: "Reserve the port with ip_local_reserved_ports, use one outside ip_local_port_range, or start the listener first; a program can see it by getsockname() = getpeername().".to_owned(),
        }
    })
}

/// listen() after a refused bind() on the same socket.
fn unknown_port(attempt: Attempt<'_>, failed: &mut BTreeSet<String>) -> Option<Finding> {
    let name = || attempt.socket().to_string();
    let refused = matches!(attempt.result(), Answer::Errno(_));
    match attempt.op() {
        Op::Bind if refused => {
            failed.insert(name());
        }
        Op::Bind if !failed.is_empty() => {
            failed.remove(&name());
        }
        Op::Listen if !refused && failed.contains(&name()) => {
            return Some(Finding {
                kind: "listens-on-unknown-port",
                program: attempt.process().to_string(),
                text: format!(
                    "{} listens on an ephemeral port that no client knows: bind() was refused, and listen() on an unbound socket takes any port.",
                    attempt.process()
                ),
                check: "Check the result of bind(); `ss -ltnp` shows the port.".to_owned(),
            });
        }
        _ => {}
    }
    None
}

/// Returns whether IPv6 is switched off on a host.
fn ipv6_off(case: &Case, host: &str) -> bool {
    let Some(host) = case.hosts.get(host) else {
        return false;
    };
    ["all", "lo", "default"].iter().any(|scope| {
        let key = format!("net.ipv6.conf.{scope}.disable_ipv6");
        host.sysctl.get(&key).is_some_and(|value| value != "0")
    })
}

/// Returns whether the addresses of the caller's host were tentative when a call was made.
fn is_tentative(case: &Case, attempt: Attempt<'_>) -> bool {
    let name: &str = attempt.host();
    let host = case.hosts.get(name);
    host.is_some_and(|host| u128::from(attempt.at_ns()) < host.tentative.as_nanos())
}

/// Errors whose cause is no port.
fn error(case: &Case, attempt: Attempt<'_>) -> Option<Finding> {
    let Answer::Errno(errno) = attempt.result() else {
        return None;
    };
    let at = match attempt.args() {
        Args::At(at) | Args::To(at) => canonical(*at),
        _ => return None,
    };
    let program = attempt.process();
    let ip = at.ip();
    let rule = attempt.why().map(|why| why.rule);
    let finding = |kind, text: String, check: String| {
        Some(Finding {
            kind,
            program: program.to_string(),
            text,
            check,
        })
    };
    match (attempt.op(), *errno, rule) {
        (Op::Bind | Op::Connect, Errno::EADDRNOTAVAIL | Errno::ENETUNREACH, _)
            if ip.is_ipv6() && ipv6_off(case, attempt.host()) =>
        {
            finding(
                "ipv6-off",
                format!("IPv6 is switched off on {}, so that {ip} is not there.", attempt.host()),
                "Not a shortage of ports. Check: `sysctl net.ipv6.conf.all.disable_ipv6` and `ip -6 addr show dev lo`; use the IPv4 address, or try both.".to_owned(),
            )
        }
        (Op::Bind | Op::Connect, Errno::EINVAL, _) if is_link_local6(ip) => finding(
            "scope-missing",
            format!("{ip} is a link-local address without a scope."),
            format!("Not a shortage of ports. Check: `ip -6 addr show scope link`; write the interface, as in {ip}%eth0 (sin6_scope_id)."),
        ),
        (_, Errno::EADDRNOTAVAIL, Some(Rule::AddressTentative)) => finding(
            "tentative",
            format!("An IPv6 address of {} is still in duplicate address detection.", attempt.host()),
            "Not a shortage of ports. Check: `ip -6 addr show tentative`; start after network-online, wait for the address, or use IP_FREEBIND or `nodad`.".to_owned(),
        ),
        (Op::Connect, Errno::ETIMEDOUT, _) if ip.is_ipv6() && is_tentative(case, attempt) => finding(
            "tentative-source",
            format!(
                "The IPv6 address of {} was still in duplicate address detection when {program} connected, so that the source was ::1.",
                attempt.host()
            ),
            "Not a shortage of ports. Check: `ip -6 addr show tentative`; start after network-online, or bind the source, which fails at once.".to_owned(),
        ),
        (Op::Bind, Errno::EADDRNOTAVAIL, Some(Rule::BindNotLocal)) => finding(
            "address-not-local",
            format!("{program} binds {ip}, which {} does not have.", attempt.host()),
            format!("Not a shortage of ports. Check: `ip addr show to {ip}` (an address marked `tentative` cannot be bound yet)."),
        ),
        (Op::Bind, Errno::EACCES, _) => finding(
            "privileged-port",
            format!("{program} may not bind port {}.", at.port()),
            "Not a shortage of ports. Check: `sysctl net.ipv4.ip_unprivileged_port_start`, and CAP_NET_BIND_SERVICE.".to_owned(),
        ),
        (Op::Connect, Errno::ENETUNREACH, _) => finding(
            "no-route",
            format!("There is no route to {ip}."),
            format!("Not a shortage of ports. Check: `ip route get {ip}`."),
        ),
        (Op::Connect, Errno::ETIMEDOUT, _) => finding(
            "no-answer",
            format!("{at} does not answer."),
            "Not a shortage of local ports. Check: a firewall, a full connection table (`nstat -az | grep -i drop`, `dmesg | grep conntrack`), or a NAT without free ports.".to_owned(),
        ),
        (Op::Bind, Errno::EADDRINUSE, Some(Rule::BindConflict))
            if ip.is_ipv4() && dual_stack_owner(case, at.port()) =>
        {
            finding(
                "dual-stack",
                format!("A socket bound to [::]:{} without IPV6_V6ONLY takes IPv4 connections too, so it owns the port in both families.", at.port()),
                "Check: `ss -ltn6` shows `*:PORT` for such a socket.".to_owned(),
            )
        }
        (Op::Bind | Op::Listen, Errno::EADDRINUSE, Some(Rule::BindConflict)) => {
            let owner = live_listener(case, attempt, at)?;
            finding(
                "still-listens",
                format!("{owner} still listens on port {}.", at.port()),
                "Check: `ss -ltnp`. Stop it first (in a scenario: `hold` on a process that only listens), or give both SO_REUSEPORT; with SO_REUSEADDR alone, two sockets never listen on one port.".to_owned(),
            )
        }
        _ => None,
    }
}

/// Another process of the same host that listens on a port to the end of the run.
fn live_listener<'a>(case: &'a Case, attempt: Attempt<'_>, at: SocketAddr) -> Option<&'a str> {
    let mut processes = case.program.processes()?.iter();
    let (name, _) = processes.find(|(name, one)| {
        let same =
            |listen: &SocketAddr| listen.port() == at.port() && listen.is_ipv4() == at.is_ipv4();
        *one.on == **attempt.host()
            && **name != **attempt.process()
            && one.hold == Hold::Forever
            && one.listen.iter().any(same)
    })?;
    Some(name)
}

fn is_link_local6(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// Returns whether some program binds the IPv6 wildcard on a port.
fn dual_stack_owner(case: &Case, port: u16) -> bool {
    let any = |at: &SocketAddr| at.port() == port && at.ip() == Ipv6Addr::UNSPECIFIED;
    edit::processes(case)
        .iter()
        .any(|name| edit::habits(case, name).fixed.iter().any(any))
        || case.hosts.values().any(|host| host.listen.iter().any(any))
}

/// Ephemeral port selection that is slow, because more than half of the range is in use towards one
/// destination.
fn slow(case: &Case, profile: &Profile) -> Option<Finding> {
    let load = busiest(case, profile)?;
    // Other searches pass no ports that they have found in use before.
    let b = &profile.behaviours;
    if b.connect_scan != ConnectScan::Parity || load.slices && b.local_port_range_step_one {
        return None;
    }
    (load.held * 2 > u64::from(load.ports) && load.ports >= 1024).then(|| Finding {
        kind: "slow-selection",
        program: load.program.clone(),
        text: format!(
            "{} connections of {} to {} take more than half of the {} ports: from there on each connect() looks at {} ports and more (about {} µs of processor time each on a current machine, instead of 20).",
            load.held,
            load.host,
            load.to,
            load.ports,
            load.ports / 2,
            20 + load.ports / 2 * SLOW_NS / 1000,
        ),
        check: "More destinations or source addresses (each has the whole range), reused connections, or a wider range keep it short; from Linux 6.8 on, IP_LOCAL_PORT_RANGE makes connect() try one port after the other, not first those of one parity.".to_owned(),
    })
}

/// Time to look at one port in use, measured on Linux 6.18: 990 µs for a range of 28,000 ports that
/// is nearly full.
const SLOW_NS: u32 = 35;

/// The destination with most connections at once from one host.
struct Load {
    program: String,
    host: String,
    to: SocketAddr,
    held: u64,
    ports: u32,
    /// The programs have slices of the range (IP_LOCAL_PORT_RANGE).
    slices: bool,
}

fn busiest(case: &Case, profile: &Profile) -> Option<Load> {
    let processes = case.program.processes()?;
    let mut loads: Vec<Load> = Vec::new();
    for (name, process) in processes {
        if process.connect.is_empty() || !process.bind.is_empty() || process.hold != Hold::Forever {
            continue;
        }
        let each = process.total_connections() / process.connect.len() as u64;
        for to in &process.connect {
            match loads
                .iter_mut()
                .find(|load| load.to == *to && load.host == process.on)
            {
                Some(load) => load.held += each,
                None => {
                    let range = edit::range_of(case, &process.on, profile.behaviours.range_high);
                    loads.push(Load {
                        program: name.clone(),
                        host: process.on.clone(),
                        to: *to,
                        held: each,
                        ports: range.size(),
                        slices: process.options.local_port_range().is_some(),
                    });
                }
            }
        }
    }
    loads.into_iter().max_by_key(|load| load.held)
}
