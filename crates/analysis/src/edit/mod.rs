//! Typed changes to a case, in both forms of scenarios.
//!
//! Nothing here knows whether a change helps: the changed scenario is run to find out.

mod closing;
mod listening;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fourtuple_scenario::{
    Address, BindStep, Case, Family, Hold, NatSource, PortRange, PortRef, Program, SockOpt,
    Spanned, Step,
};

pub(crate) use closing::{close, close_with_peer, closes};
pub(crate) use listening::{move_port, stop_first, to_wildcard};

/// The sysctl of the port range.
pub(crate) const RANGE: &str = "net.ipv4.ip_local_port_range";

/// The range of local ports of a host: its own, or the kernel's default with this upper end.
pub(crate) fn range_of(case: &Case, host: &str, default_high: u16) -> PortRange {
    let written = case
        .hosts
        .get(host)
        .and_then(|host| host.sysctl.get(RANGE))
        .and_then(|text| {
            let mut ends = text
                .split(|c: char| c == '-' || c.is_whitespace())
                .filter(|end| !end.is_empty());
            Some(PortRange::new(
                ends.next()?.parse().ok()?,
                ends.next()?.parse().ok()?,
            ))
        });
    written.unwrap_or(PortRange::new(32768, default_high))
}

/// The NAT host that the packets of a host meet first and that translates sources.
pub(crate) fn nat_host<'a>(case: &'a Case, host: &str) -> Option<&'a str> {
    let mut at = host;
    for _ in 0..case.hosts.len() {
        let via = &case.hosts.get(at)?.via.as_ref()?.value;
        let router = case.hosts.get(via)?;
        if router.nat.as_ref().is_some_and(|nat| nat.source.is_some()) {
            return Some(via);
        }
        at = via;
    }
    None
}

/// The source translation of a NAT host.
pub(crate) fn nat_source<'a>(case: &'a mut Case, host: &str) -> Option<&'a mut NatSource> {
    let host = case.hosts_mut().get_mut(host)?;
    host.nat.as_mut()?.source.as_mut()
}

/// The ports of a list such as `40000,40002-40005`, as ranges; what is no port is left out.
pub(crate) fn port_list(text: &str) -> Vec<PortRange> {
    let range = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        Some(PortRange::new(
            low.trim().parse().ok()?,
            high.trim().parse().ok()?,
        ))
    };
    text.split(',').filter_map(range).collect()
}

/// Sets a sysctl on hosts; `false` if all of them have that value already.
pub(crate) fn sysctl(case: &mut Case, hosts: &[String], key: &str, value: &str) -> bool {
    let mut changed = false;
    for host in hosts {
        let Some(host) = case.hosts_mut().get_mut(host) else {
            continue;
        };
        let old = host.sysctl.insert(key.to_owned(), value.to_owned());
        changed |= old.as_deref() != Some(value);
    }
    changed
}

/// The sockets of the step form that belong to some processes.
fn sockets_of(steps: &[Spanned<Step>], processes: &[String]) -> BTreeSet<String> {
    steps
        .iter()
        .filter_map(|step| match &step.value {
            Step::Socket(socket) if processes.contains(&socket.by) => Some(socket.socket.clone()),
            _ => None,
        })
        .collect()
}

/// The sockets that are connected at some point of the steps.
fn connecting(steps: &[Spanned<Step>]) -> BTreeSet<String> {
    steps
        .iter()
        .filter_map(|step| match &step.value {
            Step::Connect(connect) => Some(connect.connect.clone()),
            _ => None,
        })
        .collect()
}

/// Sets a socket option for all sockets of some processes; `false` if that changes nothing.
pub(crate) fn option(case: &mut Case, processes: &[String], option: SockOpt) -> bool {
    let mut changed = false;
    let mut set = |options: &mut fourtuple_scenario::Options| {
        let before = options.clone();
        options.set(option);
        changed |= *options != before;
    };
    match case.program_mut() {
        Program::Processes(all) => {
            for name in processes {
                if let Some(process) = all.get_mut(name) {
                    set(&mut process.options);
                }
            }
        }
        Program::Steps(steps) => {
            for step in steps {
                if let Step::Socket(socket) = &mut step.value
                    && processes.contains(&socket.by)
                    && (socket.family == Family::Inet6 || !matches!(option, SockOpt::V6Only(_)))
                {
                    socket.implicit = false;
                    set(&mut socket.options);
                }
            }
        }
    }
    changed
}

/// Takes the bind() away from connections of some processes; their listeners keep theirs.
pub(crate) fn unbind(case: &mut Case, processes: &[String]) -> bool {
    match case.program_mut() {
        Program::Processes(all) => {
            let mut changed = false;
            for name in processes {
                if let Some(process) = all.get_mut(name)
                    && !process.connect.is_empty()
                {
                    changed |= !process.bind.is_empty();
                    process.bind.clear();
                }
            }
            changed
        }
        Program::Steps(steps) => {
            let ours = sockets_of(steps, processes);
            let connected = connecting(steps);
            let mut moved: Vec<(String, String)> = Vec::new();
            let before = steps.len();
            steps.retain(|step| match &step.value {
                Step::Bind(bind) if ours.contains(&bind.bind) && connected.contains(&bind.bind) => {
                    if let Some(port) = &bind.port_as {
                        moved.push((bind.bind.clone(), port.clone()));
                    }
                    false
                }
                _ => true,
            });
            // A port that later steps speak of is now the one that connect() chose.
            for step in steps.iter_mut() {
                if let Step::Connect(connect) = &mut step.value
                    && connect.port_as.is_none()
                    && let Some(at) = moved.iter().position(|(name, _)| *name == connect.connect)
                {
                    connect.port_as = Some(moved.swap_remove(at).1);
                }
            }
            steps.len() != before
        }
    }
}

/// Makes the connections of a process bind these addresses, in turn, before they connect.
pub(crate) fn bind(case: &mut Case, process: &str, at: &[SocketAddr]) -> bool {
    let Some(first) = at.first() else {
        return false;
    };
    match case.program_mut() {
        Program::Processes(all) => {
            let Some(process) = all.get_mut(process) else {
                return false;
            };
            let changed = process.bind != at;
            process.bind = at.to_vec();
            changed
        }
        Program::Steps(steps) => {
            let ours = sockets_of(steps, &[process.to_owned()]);
            let connected = connecting(steps);
            let mut made: Vec<Spanned<Step>> = Vec::with_capacity(steps.len() + ours.len());
            let mut bound: BTreeSet<String> = BTreeSet::new();
            let mut turn = at.iter().cycle();
            for mut step in std::mem::take(steps) {
                let name = step.value.socket().unwrap_or_default().to_owned();
                let meant = ours.contains(&name) && connected.contains(&name);
                match &mut step.value {
                    Step::Bind(bind) if meant => {
                        bind.at = Address::from(*turn.next().unwrap_or(first));
                        bound.insert(name);
                    }
                    Step::Connect(_) if meant && bound.insert(name.clone()) => {
                        let bind = BindStep {
                            bind: name,
                            at: Address::from(*turn.next().unwrap_or(first)),
                            port_as: None,
                            expect: Vec::new(),
                            expect_port: None,
                            expect_local: None,
                        };
                        made.push(Step::Bind(bind).into());
                    }
                    _ => {}
                }
                made.push(step);
            }
            *steps = made;
            true
        }
    }
}

/// Addresses of a host's family that no program binds and no other host has; made up and given to
/// the host where it has too few of its own.
pub(crate) fn own_addresses(
    case: &mut Case,
    host: &str,
    like: IpAddr,
    count: usize,
) -> Vec<IpAddr> {
    let bound = bound_addresses(case);
    let everywhere: BTreeSet<IpAddr> = case
        .hosts
        .values()
        .flat_map(|host| host.addresses.iter().copied())
        .chain(destinations(case))
        .collect();
    let Some(one) = case.hosts_mut().get_mut(host) else {
        return Vec::new();
    };
    let same =
        |ip: &IpAddr| ip.is_ipv4() == like.is_ipv4() && ip.is_loopback() == like.is_loopback();
    // The first address is what connect() without bind() uses, so that no program has it for
    // itself.
    let mut family = one.addresses.iter().copied().filter(same);
    let base = family.next().unwrap_or(match like {
        // No host has the addresses behind a wildcard.
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::new(10, 0, 0, 0).into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0).into(),
        like => like,
    });
    let mut found: Vec<IpAddr> = family
        .filter(|ip| !bound.contains(ip))
        .take(count)
        .collect();
    let mut next = base;
    for _ in 0..4096 {
        if found.len() >= count {
            break;
        }
        next = following(next);
        if !everywhere.contains(&next) && !bound.contains(&next) && same(&next) {
            found.push(next);
            one.addresses.push(next);
        }
    }
    found
}

fn following(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let next = Ipv4Addr::from(u32::from(ip).wrapping_add(1));
            // Not the addresses of a network or a broadcast.
            let skip = matches!(next.octets()[3], 0 | 255);
            if skip {
                following(next.into())
            } else {
                next.into()
            }
        }
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip).wrapping_add(1)).into(),
    }
}

fn bound_addresses(case: &Case) -> BTreeSet<IpAddr> {
    match &*case.program {
        Program::Processes(all) => all
            .values()
            .flat_map(|process| process.bind.iter().map(SocketAddr::ip))
            .collect(),
        Program::Steps(steps) => steps
            .iter()
            .filter_map(|step| match &step.value {
                Step::Bind(bind) => Some(bind.at.ip),
                _ => None,
            })
            .collect(),
    }
}

fn destinations(case: &Case) -> Vec<IpAddr> {
    match &*case.program {
        Program::Processes(all) => all
            .values()
            .flat_map(|process| process.connect.iter().map(SocketAddr::ip))
            .collect(),
        Program::Steps(steps) => steps
            .iter()
            .filter_map(|step| match &step.value {
                Step::Connect(connect) => Some(connect.to.ip),
                _ => None,
            })
            .collect(),
    }
}

/// The socket usage of a program, as far as it decides which changes make sense for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Habits {
    /// Its host.
    pub(crate) host: String,
    /// Source addresses that its connections bind.
    pub(crate) bind: Vec<SocketAddr>,
    /// Their destinations, and those of datagrams.
    pub(crate) connect: Vec<SocketAddr>,
    /// Addresses where it listens or binds to a fixed port.
    pub(crate) fixed: Vec<SocketAddr>,
    /// The number of connections it makes.
    pub(crate) connections: u64,
    /// True if connections are ever closed.
    pub(crate) closes: bool,
}

/// The habits of a program of either form.
pub(crate) fn habits(case: &Case, process: &str) -> Habits {
    match &*case.program {
        Program::Processes(all) => {
            let Some(one) = all.get(process) else {
                return Habits::default();
            };
            let named = one.bind.iter().chain(&one.listen).copied();
            Habits {
                host: one.on.clone(),
                bind: one.bind.clone(),
                connect: one.connect.clone(),
                fixed: named.filter(|at| at.port() != 0).collect(),
                connections: one.total_connections(),
                closes: one.hold != Hold::Forever,
            }
        }
        Program::Steps(steps) => habits_of_steps(steps, process),
    }
}

fn habits_of_steps(steps: &[Spanned<Step>], process: &str) -> Habits {
    let ours = sockets_of(steps, &[process.to_owned()]);
    let connected = connecting(steps);
    let mut habits = Habits::default();
    for step in steps {
        let socket = step.value.socket().unwrap_or_default();
        if !ours.contains(socket) {
            continue;
        }
        match &step.value {
            Step::Socket(socket) => habits.host.clone_from(&socket.on),
            Step::Bind(bind) => {
                let port = match &bind.at.port {
                    PortRef::Number(port) => *port,
                    PortRef::Variable(_) => 1,
                };
                if connected.contains(socket) {
                    habits.bind.push(SocketAddr::new(bind.at.ip, port));
                }
                if port > 1 {
                    habits.fixed.push(SocketAddr::new(bind.at.ip, port));
                }
            }
            Step::Connect(connect) => {
                habits.connections += 1;
                let to = connect.to.resolve(|_| Some(0));
                habits.connect.extend(to);
            }
            Step::Sendto(send) => {
                habits.connections += 1;
                habits.connect.extend(send.to.resolve(|_| Some(0)));
            }
            Step::Close(_) => habits.closes |= connected.contains(socket),
            _ => {}
        }
    }
    habits
}

/// The processes of a case, in the order of the file.
pub(crate) fn processes(case: &Case) -> Vec<String> {
    match &*case.program {
        Program::Processes(all) => all.keys().cloned().collect(),
        Program::Steps(steps) => {
            let mut names: Vec<String> = Vec::new();
            for step in steps {
                if let Step::Socket(socket) = &step.value
                    && !names.contains(&socket.by)
                {
                    names.push(socket.by.clone());
                }
            }
            names
        }
    }
}

/// Lets the programs use one connection again and again instead of opening another each time. The
/// number of connections that are left out.
pub(crate) fn reuse_connections(case: &mut Case, processes: &[String]) -> u64 {
    let Program::Processes(all) = case.program_mut() else {
        return 0;
    };
    let mut saved = 0;
    for name in processes {
        let Some(process) = all.get_mut(name) else {
            continue;
        };
        let before = process.total_connections();
        if process.connect.is_empty() || !process.bind.is_empty() && process.bind[0].port() != 0 {
            continue;
        }
        // One connection to each destination stays open.
        process.keep_connections(u32::try_from(process.connect.len()).unwrap_or(u32::MAX));
        saved += before - process.total_connections();
    }
    saved
}
