//! Reasons why a setting has no effect, as text, and the kernels that have it.

use fourtuple_kernel::nat::is_nat_sysctl;
use fourtuple_kernel::profile::behaviour::Scope;
use fourtuple_kernel::{sysctl_has_no_effect, sysctl_names, sysctl_scope};
use fourtuple_scenario::{Case, OptId, Options, PortRef, Program, SockOpt, Step};

use super::settings::Owner;
use crate::exists::History;

/// A hint about a sysctl that had no effect.
pub(super) fn sysctl(case: &Case, host: &str, key: &str, value: &str) -> Option<String> {
    let other = |key: &str| {
        let host = case.hosts.get(host)?;
        host.sysctl.get(key).map(String::as_str)
    };
    let here = case.hosts.get(host);
    let nat = here.is_some_and(|host| host.nat.is_some());
    let text = match key {
        "net.ipv4.ip_local_port_range" | "net.ipv4.ip_local_reserved_ports" if nat => {
            "NAT takes its ports from the rule, or 1024-65535; this is for sockets of the host"
        }
        "net.ipv4.tcp_tw_reuse" if nat => {
            "it is for sockets of the host; flows end by nf_conntrack_tcp_timeout_time_wait"
        }
        key if is_nat_sysctl(key) && !nat => "the host does no NAT: its flows are not modelled",
        key if key.ends_with("_timeout_time_wait") => {
            "no connection meets the port of a closed one; since 6.5 such ports are given away"
        }
        "net.ipv4.tcp_fin_timeout" => {
            "it is the time of FIN-WAIT-2; TIME-WAIT lasts 60 s whatever it says"
        }
        "net.ipv4.tcp_tw_reuse" if other("net.ipv4.tcp_timestamps") == Some("0") => {
            "it needs net.ipv4.tcp_timestamps"
        }
        "net.ipv4.tcp_tw_reuse" if value == "2" => "2 is for loopback connections only",
        "net.ipv4.tcp_tw_reuse" => {
            "it helps a connect() without bind to a server whose 4-tuples are all in TIME-WAIT; ports that bind() took, and bind() and listen() themselves, are not its business"
        }
        "net.ipv4.tcp_tw_reuse_delay" => "it matters where tcp_tw_reuse takes over a TIME-WAIT",
        "net.ipv4.tcp_max_tw_buckets" => "there are never that many TIME-WAITs",
        "net.ipv4.tcp_timestamps" => {
            "it decides whether a TIME-WAIT may be taken over, and none is asked for"
        }
        "net.ipv4.ip_autobind_reuse" => {
            "it is for bind() to port 0 with SO_REUSEADDR on both sides, once the range is full"
        }
        "net.ipv4.ip_local_reserved_ports" => "no search would have taken these ports",
        "net.ipv4.ip_local_port_range" => "no port of this host is chosen by the kernel",
        "net.ipv4.ip_local_port_step_width"
            if steps_by_one(other("net.ipv4.ip_local_port_range"), value) =>
        {
            "every distance up to it would leave ports of this range out, other than 1, which is the distance without it"
        }
        "net.ipv4.ip_local_port_step_width" => {
            "it changes the order in which connect() looks at ports, and no search here meets a taken port that it could pass"
        }
        "net.ipv4.tcp_rto_max_ms" | "net.ipv4.tcp_syn_linear_timeouts" => {
            "it sets when an unanswered SYN is sent again, and every SYN here is answered"
        }
        "net.core.somaxconn" => "no listener's queue gets that long",
        key if key.starts_with("net.mptcp.") => {
            "multipath TCP is not modelled, but its ports are those of `bind` and `connect`: every subflow but the first binds its address with port 0, which closes the port to each connect() without bind; write it as a process with `bind: ADDR:0`"
        }
        key if sysctl_has_no_effect(key) => "it is not modelled: no port depends on it",
        _ => return None,
    };
    Some(text.to_owned())
}

/// Returns `true` if this value of `ip_local_port_step_width` leaves 1 as the only factor: all
/// others up to it have a divisor in common with the number of ports that one pass over the range
/// visits.
fn steps_by_one(range: Option<&str>, most: &str) -> bool {
    let ends = range.unwrap_or("32768-60999").split(['-', ' ', '\t']);
    let mut ends = ends.filter_map(|end| end.parse::<u32>().ok());
    let (Some(low), Some(high), Ok(most)) = (ends.next(), ends.next(), most.parse()) else {
        return false;
    };
    let visited = high.saturating_sub(low).div_ceil(2);
    (2..=visited.min(most)).all(|factor| has_common_divisor(factor, visited))
}

fn has_common_divisor(mut a: u32, mut b: u32) -> bool {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a > 1
}

/// A hint about an option that had no effect.
pub(super) fn option(case: &Case, owner: &Owner, option: SockOpt) -> Option<String> {
    let process = match (owner, &*case.program) {
        (Owner::Process(name), Program::Processes(all)) => all.get(name),
        _ => None,
    };
    let binds = process.is_some_and(|process| !process.bind.is_empty());
    let named = process.is_some_and(|process| process.bind.iter().all(|at| at.port() != 0));
    let text = match option {
        SockOpt::BindAddressNoPort(_) if process.is_some() && !binds => {
            "the option is about the program's own bind(), and this program does not bind"
        }
        SockOpt::BindAddressNoPort(_) if binds && named => {
            "the option is about bind() to port 0, and this program names its ports"
        }
        SockOpt::BindAddressNoPort(_) => "the option is about the bind() of the one who sets it",
        SockOpt::ReuseAddr(_) if alone(case, owner) => {
            "another socket on the same port does not have it: both the old and the new socket need it"
        }
        SockOpt::ReuseAddr(_) => {
            "it matters for a listener whose port is in TIME-WAIT, and for sockets that bind the same port"
        }
        SockOpt::ReusePort(_) => {
            "it matters when sockets of one user bind the same address and port and all have it"
        }
        SockOpt::V6Only(_) => "it matters where an IPv6 wildcard meets IPv4 on one port",
        SockOpt::Linger(_) => "no connection with it is closed in a way that it changes",
        SockOpt::LocalPortRange(_) => "no port of this socket is chosen by the kernel",
        SockOpt::Linger2(_) => "it is the time of FIN-WAIT-2, not of TIME-WAIT",
        _ => return None,
    };
    Some(text.to_owned())
}

/// Returns whether another socket or program names the same port and has no SO_REUSEADDR.
fn alone(case: &Case, owner: &Owner) -> bool {
    let sets = |options: &Options| options.get(OptId::ReuseAddr) == Some(SockOpt::ReuseAddr(true));
    let mut sockets: Vec<(bool, bool, Vec<u16>)> = Vec::new();
    match (owner, &*case.program) {
        (Owner::Process(name), Program::Processes(all)) => {
            sockets.extend(all.iter().map(|(other, process)| {
                let named = process.bind.iter().chain(&process.listen);
                let ports = named.map(std::net::SocketAddr::port);
                let ports = ports.filter(|port| *port != 0).collect();
                (other == name, sets(&process.options), ports)
            }));
        }
        (Owner::Step(n), Program::Steps(steps)) => {
            let ours = steps.get(*n).and_then(|step| step.value.socket());
            for step in steps {
                if let Step::Bind(bind) = &step.value
                    && let PortRef::Number(port) = bind.at.port
                {
                    let sets = |options: &Options| {
                        options.get(OptId::ReuseAddr) == Some(SockOpt::ReuseAddr(true))
                    };
                    let has = steps.iter().any(|step| match &step.value {
                        Step::Socket(one) => one.socket == bind.bind && sets(&one.options),
                        Step::Set(one) => one.set == bind.bind && sets(&one.options),
                        _ => false,
                    });
                    sockets.push((ours == Some(&bind.bind), has, vec![port]));
                }
            }
        }
        _ => {}
    }
    let ours: Vec<u16> = sockets
        .iter()
        .filter(|(own, ..)| *own)
        .flat_map(|(_, _, ports)| ports.clone())
        .collect();
    sockets
        .iter()
        .any(|(own, has, ports)| !own && !has && ports.iter().any(|port| ours.contains(port)))
}

/// Which kernels have a setting that some refuse, for those that came or went with a kernel.
pub(super) fn since(name: &str) -> Option<String> {
    let history = History::new();
    let kernels = match name {
        "bind_address_no_port" => history.since(|b| b.bind_address_no_port),
        "local_port_range" => history.since(|b| b.local_port_range_option),
        "reuseport" => history.since(|b| b.reuseport),
        key if sysctl_names().contains(&key) => {
            history.since(|b| sysctl_scope(b, key).is_some_and(|scope| scope != Scope::Absent))
        }
        _ => return None,
    };
    Some(format!("who has it: {kernels}"))
}
