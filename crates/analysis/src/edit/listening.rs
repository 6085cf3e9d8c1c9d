//! Changes of programs that listen or bind by number.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fourtuple_scenario::{Address, Case, Hold, OnSocketStep, PortRef, Program, Spanned, Step};

use super::sockets_of;

/// Moves everything that names a port to another one: listeners, binds and the connections to them.
pub(crate) fn move_port(case: &mut Case, from: u16, to: u16) -> bool {
    let mut changed = false;
    let mut at = |at: &mut SocketAddr| {
        if at.port() == from {
            at.set_port(to);
            changed = true;
        }
    };
    for host in case.hosts_mut().values_mut() {
        host.listen.iter_mut().for_each(&mut at);
    }
    match case.program_mut() {
        Program::Processes(all) => {
            for process in all.values_mut() {
                let all = process.bind.iter_mut().chain(&mut process.listen);
                all.chain(&mut process.connect).for_each(&mut at);
            }
        }
        Program::Steps(steps) => {
            let mut port = |address: &mut Address| {
                if address.port == PortRef::Number(from) {
                    address.port = PortRef::Number(to);
                    changed = true;
                }
            };
            for step in steps {
                match &mut step.value {
                    Step::Bind(bind) => port(&mut bind.at),
                    Step::Connect(connect) => port(&mut connect.to),
                    _ => {}
                }
            }
        }
    }
    changed
}

/// Lets some processes bind the wildcard address where they name one of these addresses.
pub(crate) fn to_wildcard(case: &mut Case, processes: &[String], contested: &[SocketAddr]) -> bool {
    let wild = |ip: IpAddr| -> IpAddr {
        match ip {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        }
    };
    let mut changed = false;
    match case.program_mut() {
        Program::Processes(all) => {
            for name in processes {
                let Some(process) = all.get_mut(name) else {
                    continue;
                };
                let named = process.bind.iter_mut().chain(&mut process.listen);
                for at in named.filter(|at| contested.contains(at)) {
                    changed |= !at.ip().is_unspecified();
                    at.set_ip(wild(at.ip()));
                    if let SocketAddr::V6(at) = at {
                        at.set_scope_id(0);
                    }
                }
            }
        }
        Program::Steps(steps) => {
            let ours = sockets_of(steps, processes);
            for step in steps {
                if let Step::Bind(bind) = &mut step.value
                    && ours.contains(&bind.bind)
                    && contested.iter().any(|at| at.ip() == bind.at.ip)
                {
                    changed |= !bind.at.ip.is_unspecified();
                    bind.at.ip = wild(bind.at.ip);
                    bind.at.scope = 0;
                }
            }
        }
    }
    changed
}

/// Stops the former holder of a port before the port is bound again: closes its socket ahead of the
/// second `bind`, or ends the hold of its listener before the other program starts.
pub(crate) fn stop_first(case: &mut Case, contested: &[SocketAddr]) -> bool {
    let ours = |ip: IpAddr, port: u16| {
        let mut all = contested.iter();
        all.any(|at| at.port() == port && (at.ip() == ip || ip.is_unspecified()))
    };
    match case.program_mut() {
        Program::Steps(steps) => {
            let binds: Vec<(usize, String)> = steps
                .iter()
                .enumerate()
                .filter_map(|(n, step)| match &step.value {
                    Step::Bind(bind) => match bind.at.port {
                        PortRef::Number(port) => {
                            ours(bind.at.ip, port).then(|| (n, bind.bind.clone()))
                        }
                        PortRef::Variable(_) => None,
                    },
                    _ => None,
                })
                .collect();
            let mut changed = false;
            for pair in binds.windows(2).rev() {
                let ((_, old), (second, _)) = (&pair[0], &pair[1]);
                let closes = |step: &Spanned<Step>| matches!(&step.value, Step::Close(close) if close.socket == *old);
                if steps[..*second].iter().any(closes) {
                    continue;
                }
                steps.retain(|step| !closes(step));
                let close = OnSocketStep {
                    socket: old.clone(),
                    expect: Vec::new(),
                };
                steps.insert(*second, Step::Close(close).into());
                changed = true;
            }
            changed
        }
        Program::Processes(all) => {
            let listens = |at: &SocketAddr| ours(at.ip(), at.port());
            let mut starts: Vec<(usize, std::time::Duration)> = all
                .values()
                .enumerate()
                .filter(|(_, one)| one.connect.is_empty() && one.listen.iter().any(listens))
                .map(|(n, one)| (n, one.start))
                .collect();
            starts.sort_by_key(|(n, start)| (*start, *n));
            let mut changed = false;
            for pair in starts.windows(2) {
                let ((old, from), (_, to)) = (pair[0], pair[1]);
                let half = to.saturating_sub(from) / 2;
                let Some((_, process)) = all.get_index_mut(old) else {
                    continue;
                };
                if !half.is_zero() && process.hold == Hold::Forever {
                    process.hold = Hold::For(half);
                    changed = true;
                }
            }
            changed
        }
    }
}
