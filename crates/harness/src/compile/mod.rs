//! Cases as plans: every name is resolved, and nothing is left to say to the interpreter.

mod nat;
mod steps;

use std::net::SocketAddr;
use std::time::Duration;

use fourtuple_program::{AcceptedFate, Close, HostId, Nanos, Plan, Process, ProcessId, Target};
use fourtuple_scenario as scenario;
use fourtuple_scenario::{Accepted, Case, Hold};
use indexmap::IndexMap;

use crate::error::EngineError;

pub use nat::{nat_rules, nat_source};
pub use steps::steps;

/// Backlog of the listeners of processes and of those that are there from the start; they accept at
/// once.
pub const BACKLOG: u32 = 4096;

/// The plan of a case in the declarative form. Hosts and processes have the numbers of their places
/// in the case.
///
/// # Errors
/// When the case is in the step form, or mentions a host or a process that it does not have.
pub fn plan(case: &Case) -> Result<Plan, EngineError> {
    let processes = case.program.processes();
    let processes = processes.ok_or_else(|| EngineError::new("the order of steps is fixed"))?;
    let all = processes.values().map(|one| process(case, processes, one));
    Ok(Plan::new(all.collect::<Result<_, _>>()?))
}

/// The place of the host with a name.
fn host(case: &Case, name: &str) -> Result<usize, EngineError> {
    let found = case.hosts.get_index_of(name);
    found.ok_or_else(|| EngineError::new(format!("no host is called {name}")))
}

fn process(
    case: &Case,
    processes: &IndexMap<String, scenario::Process>,
    one: &scenario::Process,
) -> Result<Process, EngineError> {
    let host = host(case, &one.on)?;
    let place_of = |name: &str| {
        let found = processes.get_index_of(name);
        let found =
            found.ok_or_else(|| EngineError::new(format!("no process is called {name}")))?;
        Ok::<_, EngineError>(ProcessId(number(found)))
    };
    let after = one.after.iter().map(|name| place_of(name));
    let connect = one.connect.iter().map(|addr| Target {
        addr: *addr,
        host: reached(case, host, *addr),
    });
    Ok(Process {
        host: HostId(number(host)),
        kind: one.protocol.kind(),
        uid: one.uid,
        count: one.count,
        start: nanos(one.start),
        after: after.collect::<Result<_, EngineError>>()?,
        options: one.options.iter().collect(),
        bind: one.bind.clone(),
        connect: connect.collect(),
        connections: one.connections,
        every: nanos(one.every),
        hold: match one.hold {
            Hold::Forever => None,
            Hold::For(time) => Some(nanos(time)),
        },
        close: match one.close {
            scenario::Close::Client => Close::Client,
            scenario::Close::Server => Close::Server,
            scenario::Close::Both => Close::Both,
            scenario::Close::Reset => Close::Reset,
        },
        repeat: one.repeat,
        stop_on_failure: one.stop_on_failure,
        listen: one.listen.clone(),
        backlog: BACKLOG as i32,
        listen_for: match one.hold {
            Hold::For(time) if one.only_listens() => Some(nanos(time)),
            _ => None,
        },
        inherit: one.inherit.as_deref().map(place_of).transpose()?,
        accepted: match one.accepted {
            Accepted::Keep => AcceptedFate::Keep,
            Accepted::Close => AcceptedFate::Close,
            Accepted::Reset => AcceptedFate::Reset,
        },
    })
}

/// The host that a connection from `from` to an address reaches; `None` if a NAT host decides.
fn reached(case: &Case, from: usize, addr: SocketAddr) -> Option<HostId> {
    let ip = addr.ip().to_canonical();
    if ip.is_loopback() || ip.is_unspecified() {
        return Some(HostId(number(from)));
    }
    let translated = |host: &scenario::Host| {
        let rules = host.nat.iter().flat_map(|nat| &nat.dnat);
        rules.into_iter().any(|(to, _)| *to == addr)
    };
    if case.hosts.values().any(translated) {
        return None;
    }
    let has = |host: &scenario::Host| host.addresses.iter().any(|one| one.to_canonical() == ip);
    let found = case.hosts.values().position(has)?;
    Some(HostId(number(found)))
}

fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn nanos(time: Duration) -> Nanos {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
