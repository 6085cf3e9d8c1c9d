//! The known ways out, in the order in which one would try them: what changes least comes first.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fourtuple_kernel::profile::behaviour::{Scope, TwAge};
use fourtuple_kernel::{Behaviours, Rule};
use fourtuple_scenario::{Case, Close, Op, PortRange, Program, SockOpt};
use serde::Serialize;

use super::edit;
use super::situation::{Part, Situation, names};

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The program that takes ports away from others by binding them.
    Offender,
    /// The program that gets no port.
    Victim,
    /// Whoever runs the client's host.
    Operator,
    /// The other end of the connections.
    Server,
}

impl Who {
    /// The word in the table.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Who::Offender => "offender",
            Who::Victim => "victim",
            Who::Operator => "operator",
            Who::Server => "server",
        }
    }
}

/// What came of an attempt to apply a way out.
pub(super) enum Change {
    /// Changed cases, the smallest change first, each with what was changed in words.
    To(Vec<(String, Case)>),
    /// There is nothing to apply it to, and why.
    Nothing(String),
}

impl Change {
    fn one(changed: bool, words: impl Into<String>, case: Case, otherwise: &str) -> Self {
        if changed {
            Change::To(vec![(words.into(), case)])
        } else {
            Change::Nothing(otherwise.to_owned())
        }
    }
}

/// A known way out.
pub(super) struct Entry {
    /// Short name, used in file names.
    pub(super) id: &'static str,
    /// The name in the table.
    pub(super) name: &'static str,
    pub(super) who: Who,
    /// Whether a kernel has what it needs; none if every kernel does.
    pub(super) exists: Option<fn(&Behaviours) -> bool>,
    /// What it costs or risks.
    pub(super) cost: &'static str,
    pub(super) apply: fn(&Case, &Situation) -> Change,
    /// Why it does nothing, when it does nothing.
    pub(super) idle: fn(Option<Rule>) -> &'static str,
    /// Whether it is advice that should no longer be given, and why.
    pub(super) stale: Option<&'static str>,
}

const NOBODY_BINDS: &str = "nobody here binds before connecting";
const NOT_CLOSED: &str = "no connection of this scenario is ever closed";
const NOBODY_REFUSED: &str = "no connecting program is refused";

/// Why settings about TIME-WAIT do not help.
fn time_wait(rule: Option<Rule>) -> &'static str {
    match rule {
        Some(Rule::ConnectSkipFastreuse) => {
            "connect() passes over every bucket that bind() made before it looks at a 4-tuple, so that it never comes to a TIME-WAIT there"
        }
        Some(
            Rule::BindNoFreePort
            | Rule::BindConflict
            | Rule::ListenConflict
            | Rule::ListenNoFreePort,
        ) => {
            "bind() and listen() do not look at tcp_tw_reuse; only connect() takes a TIME-WAIT over"
        }
        Some(Rule::ConnectTupleTaken | Rule::ConnectBoundTuple) => {
            "the 4-tuples are held by live connections; none of them is in TIME-WAIT"
        }
        Some(Rule::ConnectTupleTimeWait) => {
            "the TIME-WAITs do not qualify: too young, without timestamps, or not on a loopback address"
        }
        _ => "what is refused here is not refused because of a TIME-WAIT",
    }
}

fn buckets(rule: Option<Rule>) -> &'static str {
    match rule {
        Some(Rule::ConnectSkipFastreuse) => {
            "the option is about sharing between sockets that bind(); a connect() without bind passes the bucket over all the same"
        }
        Some(Rule::ConnectTupleTaken | Rule::ConnectTupleTimeWait) => {
            "nothing binds here that could share; connect() decides by the 4-tuple"
        }
        _ => "on automatic ports both owners would have to share, and their addresses overlap",
    }
}

/// Nothing to add to the rule that still refuses.
fn same_place(_: Option<Rule>) -> &'static str {
    ""
}

fn late_choice(_: Option<Rule>) -> &'static str {
    "the option leaves the choice of the port to connect(), which passes over the same buckets"
}

fn set_option(case: &Case, parts: &[Part], option: SockOpt, otherwise: &str) -> Change {
    let mut case = case.clone();
    let changed = edit::option(&mut case, &names(parts), option);
    Change::one(
        changed,
        format!("on {}", names(parts).join(", ")),
        case,
        otherwise,
    )
}

fn set_sysctl(case: &Case, situation: &Situation, key: &str, value: &str) -> Change {
    let mut case = case.clone();
    let changed = edit::sysctl(&mut case, &situation.hosts, key, value);
    let words = format!("{key} = {value} on {}", situation.hosts.join(", "));
    Change::one(changed, words, case, "it is set to that already")
}

/// Binds each victim to addresses of its own, `each` of them.
fn own_addresses(case: &Case, situation: &Situation, each: usize) -> Option<(String, Case)> {
    let mut case = case.clone();
    let mut words = Vec::new();
    for victim in &situation.victims {
        let like = victim.habits.connect.first()?.ip();
        let own = edit::own_addresses(&mut case, &victim.habits.host, like, each);
        if own.len() < each {
            return None;
        }
        let at: Vec<SocketAddr> = own.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
        if !edit::bind(&mut case, &victim.name, &at) {
            return None;
        }
        let shown: Vec<String> = at.iter().map(ToString::to_string).collect();
        words.push(format!("{} binds {}", victim.name, shown.join(", ")));
    }
    (!words.is_empty()).then(|| (words.join("; "), case))
}

fn wider(case: &Case, situation: &Situation) -> Change {
    let PortRange { low, high } = situation.range;
    let size = situation.range.size();
    let wanted = size.saturating_add(situation.score.refused);
    // An even number of ports, because an odd one is lost to every search.
    let mut sizes = vec![wanted + wanted % 2, size * 2, size * 4, 28232, 64512];
    sizes.sort_unstable();
    sizes.dedup();
    let mut made: Vec<(String, Case)> = Vec::new();
    for wanted in sizes.into_iter().filter(|wanted| *wanted > size) {
        let above = u32::from(low) + wanted - 1;
        let (low, high) = match u16::try_from(above) {
            Ok(high) => (u32::from(low), high),
            Err(_) => ((65536 - wanted.min(64512)).max(1024), 65535),
        };
        let mut case = case.clone();
        if edit::sysctl(
            &mut case,
            &situation.hosts,
            edit::RANGE,
            &format!("{low} {high}"),
        ) {
            made.push((format!("{low}-{high}"), case));
        }
    }
    if made.is_empty() {
        return Change::Nothing(format!("the range {low}-{high} cannot grow"));
    }
    Change::To(made)
}

fn slices(case: &Case, situation: &Situation) -> Change {
    let PortRange { low, high } = situation.range;
    if situation.binders.is_empty() {
        return Change::Nothing(NOBODY_BINDS.to_owned());
    }
    let others: Vec<String> = situation
        .plain
        .iter()
        .map(|part| part.name.clone())
        .collect();
    if others.is_empty() || high - low < 3 {
        return Change::Nothing(
            "there is nobody to share the range with, or no room to share".to_owned(),
        );
    }
    let mut made = Vec::new();
    // The range as the change before this one left it, for combinations with a wider one.
    let host = situation
        .hosts
        .first()
        .map(String::as_str)
        .unwrap_or_default();
    let PortRange { low, high } = edit::range_of(case, host, high);
    let middle = low + (high - low) / 2;
    let mut changed = case.clone();
    let lower = PortRange::new(low, middle);
    let upper = PortRange::new(middle + 1, high);
    edit::option(
        &mut changed,
        &names(&situation.binders),
        SockOpt::LocalPortRange(lower),
    );
    edit::option(&mut changed, &others, SockOpt::LocalPortRange(upper));
    made.push((
        format!(
            "{lower} for {}, {upper} for {}",
            names(&situation.binders).join(", "),
            others.join(", ")
        ),
        changed,
    ));
    Change::To(made)
}

fn reserve(case: &Case, situation: &Situation) -> Change {
    if situation.fixed.is_empty() {
        return Change::Nothing(
            "nobody listens or binds by number inside the range, and reserving only takes ports away from searches".to_owned(),
        );
    }
    let ports: Vec<String> = situation.fixed.iter().map(u16::to_string).collect();
    set_sysctl(
        case,
        situation,
        "net.ipv4.ip_local_reserved_ports",
        &ports.join(","),
    )
}

fn explicit(case: &Case, situation: &Situation) -> Change {
    if situation.binders.is_empty() {
        return Change::Nothing(NOBODY_BINDS.to_owned());
    }
    let mut case = case.clone();
    let PortRange { low, high } = situation.range;
    let mut words = Vec::new();
    // Above the range if there is room, else below it.
    let wanted: u64 = situation
        .binders
        .iter()
        .map(|part| part.habits.connections)
        .sum();
    let Some(wanted) = u16::try_from(wanted).ok().filter(|wanted| *wanted <= 1024) else {
        return Change::Nothing(
            "there are too many connections to name a port for each".to_owned(),
        );
    };
    let mut next = if u32::from(high) + u32::from(wanted) < 65535 {
        high + 1
    } else if low > 1024 + wanted {
        low - wanted
    } else {
        return Change::Nothing("there are not enough ports outside the range".to_owned());
    };
    for part in &situation.binders {
        let Some(ip) = part.habits.bind.first().map(SocketAddr::ip) else {
            continue;
        };
        let count = u16::try_from(part.habits.connections).unwrap_or(u16::MAX);
        let at: Vec<SocketAddr> = (next..next + count)
            .map(|port| SocketAddr::new(ip, port))
            .collect();
        edit::bind(&mut case, &part.name, &at);
        words.push(format!(
            "{} binds {ip}:{next}-{}",
            part.name,
            next + count - 1
        ));
        next += count;
    }
    Change::To(vec![(words.join("; "), case)])
}

fn destinations(case: &Case, situation: &Situation) -> Change {
    let Program::Processes(_) = &*case.program else {
        return Change::Nothing("a scenario of steps names each destination itself".to_owned());
    };
    let mut made = Vec::new();
    for times in [2u16, 4, 8] {
        let mut case = case.clone();
        let mut words = Vec::new();
        for victim in &situation.victims {
            let mut connect = Vec::new();
            for to in &victim.habits.connect {
                let ports = (0..times).filter_map(|n| to.port().checked_add(n));
                connect.extend(ports.map(|port| SocketAddr::new(to.ip(), port)));
            }
            let Program::Processes(all) = case.program_mut() else {
                continue;
            };
            let Some(process) = all.get_mut(&victim.name) else {
                continue;
            };
            process.connect.clone_from(&connect);
            words.push(format!(
                "{} connects to {times} ports of each server",
                victim.name
            ));
            for to in connect {
                let any = |at: &SocketAddr| {
                    at.port() == to.port() && (at.ip() == to.ip() || at.ip().is_unspecified())
                };
                let serves = |host: &fourtuple_scenario::Host| {
                    host.addresses.contains(&to.ip()) || to.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST)
                };
                if let Some(host) = case.hosts_mut().values_mut().find(|host| serves(host))
                    && !host.listen.iter().any(any)
                {
                    host.listen.push(to);
                }
            }
        }
        if !words.is_empty() {
            made.push((words.join("; "), case));
        }
    }
    if made.is_empty() {
        Change::Nothing(NOBODY_REFUSED.to_owned())
    } else {
        Change::To(made)
    }
}

fn closing(case: &Case, how: Close) -> Change {
    let mut case = case.clone();
    let changed = edit::close(&mut case, how);
    Change::one(changed, format!("close: {how}"), case, NOT_CLOSED)
}

/// Every known way out but another kernel.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: "no-port-on-binder",
        name: "IP_BIND_ADDRESS_NO_PORT on the binder",
        who: Who::Offender,
        exists: Some(|b| b.bind_address_no_port),
        cost: "one setsockopt() before bind(); the port is not known until connect(), and getsockname() says 0 until then",
        apply: |case, situation| {
            set_option(
                case,
                &situation.binders,
                SockOpt::BindAddressNoPort(true),
                NOBODY_BINDS,
            )
        },
        idle: late_choice,
        stale: None,
    },
    Entry {
        id: "connect-without-bind",
        name: "connect without bind",
        who: Who::Offender,
        exists: None,
        cost: "the kernel chooses the source address: firewalls and servers that know the old one may object",
        apply: |case, situation| {
            let mut case = case.clone();
            let changed = edit::unbind(&mut case, &names(&situation.binders));
            let words = format!("{} without bind", names(&situation.binders).join(", "));
            Change::one(changed, words, case, NOBODY_BINDS)
        },
        idle: same_place,
        stale: None,
    },
    Entry {
        id: "own-address",
        name: "bind to an own source address, port 0",
        who: Who::Victim,
        exists: Some(|b| b.bind_shares),
        cost: "an address for each program, and from now on the victim's ports are closed to every plain connect() as well",
        apply: |case, situation| match own_addresses(case, situation, 1) {
            Some(one) => Change::To(vec![one]),
            None => Change::Nothing(NOBODY_REFUSED.to_owned()),
        },
        idle: |rule| match rule {
            Some(Rule::BindNoFreePort) => {
                "before ports were shared between addresses, bind() to port 0 skipped every port that anybody held"
            }
            _ => "connecting from another address meets the same shortage",
        },
        stale: None,
    },
    Entry {
        id: "close-by-reset",
        name: "close by reset (SO_LINGER 0)",
        who: Who::Offender,
        exists: None,
        cost: "data that has not been read is lost, and the server sees ECONNRESET",
        apply: |case, _| closing(case, Close::Reset),
        idle: same_place,
        stale: None,
    },
    Entry {
        id: "close-by-server",
        name: "close by the server",
        who: Who::Server,
        exists: None,
        cost: "TIME-WAIT moves to the server, which has the memory but not the ports to lose",
        apply: |case, _| closing(case, Close::Server),
        idle: same_place,
        stale: None,
    },
    Entry {
        id: "tw-reuse-1",
        name: "tcp_tw_reuse = 1",
        who: Who::Operator,
        exists: None,
        cost: "needs tcp_timestamps on both ends; a TIME-WAIT is taken over after a second",
        apply: |case, situation| set_sysctl(case, situation, "net.ipv4.tcp_tw_reuse", "1"),
        idle: time_wait,
        stale: None,
    },
    Entry {
        id: "tw-reuse-2",
        name: "tcp_tw_reuse = 2",
        who: Who::Operator,
        exists: None,
        cost: "loopback connections only (before 4.19 any value but 0 meant 1)",
        apply: |case, situation| set_sysctl(case, situation, "net.ipv4.tcp_tw_reuse", "2"),
        idle: time_wait,
        stale: None,
    },
    Entry {
        id: "tw-reuse-delay",
        name: "tcp_tw_reuse_delay = 100",
        who: Who::Operator,
        exists: Some(|b| b.tw_age == TwAge::Millis),
        cost: "late packets of the old connection have less time to die; needs tcp_tw_reuse",
        apply: |case, situation| set_sysctl(case, situation, "net.ipv4.tcp_tw_reuse_delay", "100"),
        idle: time_wait,
        stale: None,
    },
    Entry {
        id: "wider-range",
        name: "wider ip_local_port_range",
        who: Who::Operator,
        exists: None,
        cost: "buys room, no cure: the next burst fails the same way, and listeners inside the new range may lose their port",
        apply: wider,
        idle: same_place,
        stale: None,
    },
    Entry {
        id: "more-addresses",
        name: "more source addresses, bound in turn",
        who: Who::Victim,
        exists: Some(|b| b.bind_shares),
        cost: "more addresses to route and to allow; each gives the whole range once more",
        apply: |case, situation| {
            let made: Vec<_> = [2, 4, 8, 16]
                .iter()
                .filter_map(|each| own_addresses(case, situation, *each))
                .collect();
            if made.is_empty() {
                Change::Nothing(NOBODY_REFUSED.to_owned())
            } else {
                Change::To(made)
            }
        },
        idle: same_place,
        stale: None,
    },
    Entry {
        id: "more-destinations",
        name: "more ports on the server, connected in turn",
        who: Who::Server,
        exists: None,
        cost: "the server listens on more ports and the clients must know them",
        apply: destinations,
        idle: |rule| match rule {
            Some(Rule::ConnectSkipFastreuse) => {
                "buckets that bind() made are passed over whatever the destination is"
            }
            Some(Rule::BindNoFreePort | Rule::BindConflict) => {
                "bind() chooses the port before it knows the destination"
            }
            _ => "",
        },
        stale: None,
    },
    Entry {
        id: "port-range-slices",
        name: "IP_LOCAL_PORT_RANGE, a slice for each",
        who: Who::Offender,
        exists: Some(|b| b.local_port_range_option),
        cost: "each program keeps to its share of the range, so that each share runs out earlier than the whole",
        apply: slices,
        idle: same_place,
        stale: None,
    },
    Entry {
        id: "explicit-ports",
        name: "bind to named ports outside the range",
        who: Who::Offender,
        exists: None,
        cost: "the program manages ports itself, and a port in TIME-WAIT needs SO_REUSEADDR",
        apply: explicit,
        idle: same_place,
        stale: None,
    },
    Entry {
        id: "reserved-ports",
        name: "ip_local_reserved_ports for fixed ports",
        who: Who::Operator,
        exists: Some(|b| b.reserved_ports != Scope::Absent),
        cost: "searches have fewer ports; who holds a port already keeps it",
        apply: reserve,
        idle: same_place,
        stale: None,
    },
    Entry {
        id: "reuseaddr-on-binder",
        name: "SO_REUSEADDR on the binder",
        who: Who::Offender,
        exists: None,
        cost: "two sockets may get one port, and the second connect() to one destination then fails",
        apply: |case, situation| {
            set_option(
                case,
                &situation.binders,
                SockOpt::ReuseAddr(true),
                NOBODY_BINDS,
            )
        },
        idle: buckets,
        stale: None,
    },
    Entry {
        id: "reuseaddr-on-victim",
        name: "SO_REUSEADDR on the victim",
        who: Who::Victim,
        exists: None,
        cost: "mostly useless for outgoing connections",
        apply: |case, situation| {
            set_option(
                case,
                &situation.victims,
                SockOpt::ReuseAddr(true),
                NOBODY_REFUSED,
            )
        },
        idle: buckets,
        stale: None,
    },
    Entry {
        id: "reuseport-on-binder",
        name: "SO_REUSEPORT on the binder",
        who: Who::Offender,
        exists: Some(|b| b.reuseport),
        cost: "mostly useless for outgoing connections; on old kernels ports are shared while free ones are left",
        apply: |case, situation| {
            set_option(
                case,
                &situation.binders,
                SockOpt::ReusePort(true),
                NOBODY_BINDS,
            )
        },
        idle: buckets,
        stale: None,
    },
    Entry {
        id: "reuseport-on-victim",
        name: "SO_REUSEPORT on the victim",
        who: Who::Victim,
        exists: Some(|b| b.reuseport),
        cost: "mostly useless for outgoing connections",
        apply: |case, situation| {
            set_option(
                case,
                &situation.victims,
                SockOpt::ReusePort(true),
                NOBODY_REFUSED,
            )
        },
        idle: buckets,
        stale: None,
    },
    Entry {
        id: "autobind-reuse",
        name: "ip_autobind_reuse = 1",
        who: Who::Operator,
        exists: Some(|b| b.autobind_reuse),
        cost: "SO_REUSEADDR sockets share ports once the range is full, and may then fail in connect()",
        apply: |case, situation| set_sysctl(case, situation, "net.ipv4.ip_autobind_reuse", "1"),
        idle: |rule| match rule {
            Some(Rule::BindNoFreePort) => "it is for sockets with SO_REUSEADDR on both sides",
            _ => "it is about bind() to port 0; connect() does not look at it",
        },
        stale: None,
    },
    Entry {
        id: "no-port-on-victim",
        name: "IP_BIND_ADDRESS_NO_PORT on the victim",
        who: Who::Victim,
        exists: Some(|b| b.bind_address_no_port),
        cost: "none",
        apply: |case, situation| {
            set_option(
                case,
                &situation.victims,
                SockOpt::BindAddressNoPort(true),
                NOBODY_REFUSED,
            )
        },
        idle: |_| "the option is about the bind() of the one who sets it, and not about the buckets that others made",
        stale: None,
    },
    Entry {
        id: "own-address-no-port",
        name: "own source address with IP_BIND_ADDRESS_NO_PORT",
        who: Who::Victim,
        exists: Some(|b| b.bind_address_no_port),
        cost: "an address for each program",
        apply: |case, situation| {
            let Some((words, mut case)) = own_addresses(case, situation, 1) else {
                return Change::Nothing(NOBODY_REFUSED.to_owned());
            };
            edit::option(
                &mut case,
                &names(&situation.victims),
                SockOpt::BindAddressNoPort(true),
            );
            Change::To(vec![(words, case)])
        },
        idle: late_choice,
        stale: None,
    },
    Entry {
        id: "fin-timeout",
        name: "tcp_fin_timeout = 10",
        who: Who::Operator,
        exists: None,
        cost: "orphaned connections are given up earlier",
        apply: |case, situation| set_sysctl(case, situation, "net.ipv4.tcp_fin_timeout", "10"),
        idle: |_| "it shortens FIN-WAIT-2, not TIME-WAIT, whose 60 s are fixed",
        stale: Some("often given as the length of TIME-WAIT, which it is not"),
    },
    Entry {
        id: "tw-recycle",
        name: "tcp_tw_recycle = 1",
        who: Who::Operator,
        exists: Some(|b| b.tw_recycle_scope != Scope::Absent),
        cost: "drops connections of clients behind a NAT",
        apply: |case, situation| set_sysctl(case, situation, "net.ipv4.tcp_tw_recycle", "1"),
        idle: time_wait,
        stale: Some("stale advice: it broke clients behind a NAT and is gone since Linux 4.12"),
    },
];

/// The option that a refused `set` was about, if a change failed that way.
pub(super) fn unknown_option(attempts: &crate::attempts::Attempts) -> bool {
    attempts.iter().any(|attempt| {
        matches!(attempt.op(), Op::Set | Op::Socket)
            && *attempt.result()
                == crate::attempt::Answer::Errno(fourtuple_kernel::Errno::ENOPROTOOPT)
    })
}
