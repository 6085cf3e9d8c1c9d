//! Fixes for programs that connect.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fourtuple_kernel::Rule;
use fourtuple_scenario::{Case, Close, PortRange, Program, SockOpt};

use super::{Actor, Change, ENTRY, Edit, Entry, NO_BINDER, NO_CONNECTOR, closing, idle};
use crate::edit;
use crate::remedies::situation::{Cause, Situation, names};

/// The causes that vanish with the TIME-WAITs.
const CLOSED: &[Cause] = &[Cause::Shortage, Cause::Held, Cause::Collision];

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

fn slices(case: &Case, situation: &Situation) -> Change {
    let PortRange { low, high } = situation.range;
    if situation.binders.is_empty() {
        return Change::Nothing(NO_BINDER.to_owned());
    }
    let others: Vec<String> = situation
        .plain
        .iter()
        .map(|part| part.name.clone())
        .collect();
    if others.is_empty() || high - low < 3 {
        return Change::Nothing(
            "no other program shares the range, or it is too small to be cut".to_owned(),
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

fn explicit(case: &Case, situation: &Situation) -> Change {
    if situation.binders.is_empty() {
        return Change::Nothing(NO_BINDER.to_owned());
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
                // The new ports first, so that a single connection is moved as well.
                let ports = (1..times)
                    .chain([0])
                    .filter_map(|n| to.port().checked_add(n));
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
        Change::Nothing(NO_CONNECTOR.to_owned())
    } else {
        Change::To(made)
    }
}

fn pool(case: &Case, situation: &Situation) -> Change {
    let mut case = case.clone();
    let refused = names(&situation.victims);
    let saved = edit::reuse_connections(&mut case, &refused);
    let words = format!("{saved} connections fewer by {}", refused.join(", "));
    Change::one(
        saved > 0,
        words,
        case,
        "each refused program makes one connection to each destination",
    )
}

/// The smaller changes.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: "no-port-on-binder",
        name: "IP_BIND_ADDRESS_NO_PORT on programs that bind",
        who: Actor::Binders,
        exists: Some(|b| b.bind_address_no_port),
        cost: "one setsockopt() before bind(); the port is not known until connect(), and getsockname() says 0 until then",
        change: Edit::Option(SockOpt::BindAddressNoPort(true)),
        idle: idle::late_choice,
        removes: &[Cause::Shortage],
        ..ENTRY
    },
    Entry {
        id: "connect-without-bind",
        name: "connect without bind",
        who: Actor::Binders,
        cost: "the kernel chooses the source address: firewalls and servers that know the old one may object",
        change: Edit::By(|case, situation| {
            let mut case = case.clone();
            let changed = edit::unbind(&mut case, &names(&situation.binders));
            let words = format!("{} without bind", names(&situation.binders).join(", "));
            Change::one(changed, words, case, NO_BINDER)
        }),
        removes: &[Cause::Shortage],
        ..ENTRY
    },
    Entry {
        id: "own-address",
        name: "bind to an own source address, port 0",
        exists: Some(|b| b.bind_shares),
        cost: "an address for each program, and its ports are from now on closed to every connect() without bind as well",
        change: Edit::By(|case, situation| match own_addresses(case, situation, 1) {
            Some(one) => Change::To(vec![one]),
            None => Change::Nothing(NO_CONNECTOR.to_owned()),
        }),
        idle: |rule| match rule {
            Some(Rule::BindNoFreePort) => {
                "before ports were shared between addresses, bind() to port 0 skipped every port in use"
            }
            _ => "connecting from another address meets the same shortage",
        },
        removes: &[Cause::Shortage],
        ..ENTRY
    },
    Entry {
        id: "reuse-connections",
        name: "reuse connections (pool, keep-alive)",
        cost: "a pool in the program, and a server that keeps connections open",
        change: Edit::By(pool),
        removes: &[Cause::Shortage, Cause::Nat],
        fewer: true,
        ..ENTRY
    },
    Entry {
        id: "close-with-peer",
        name: "close what the peer has closed (CLOSE-WAIT)",
        cost: "the program must notice the end of file (recv() = 0) and close()",
        change: Edit::By(|case, _| {
            let mut case = case.clone();
            let closed = edit::close_with_peer(&mut case);
            let words = format!("{closed} more close()");
            Change::one(
                closed > 0,
                words,
                case,
                "no connection is left open after its peer has closed",
            )
        }),
        removes: &[Cause::Shortage, Cause::Held],
        ..ENTRY
    },
    Entry {
        id: "close-by-reset",
        name: "close by reset (SO_LINGER 0)",
        who: Actor::Closers,
        cost: "unread data is lost, and the peer sees ECONNRESET",
        change: Edit::By(|case, _| closing(case, Close::Reset)),
        removes: CLOSED,
        ..ENTRY
    },
    Entry {
        id: "close-by-server",
        name: "close by the server",
        who: Actor::Server,
        cost: "TIME-WAIT moves to the server, which has the memory and needs no ephemeral ports",
        change: Edit::By(|case, _| closing(case, Close::Server)),
        removes: CLOSED,
        ..ENTRY
    },
];

/// Larger changes, and those that seldom help.
pub(super) const LATER: &[Entry] = &[
    Entry {
        id: "more-addresses",
        name: "more source addresses, bound in turn",
        exists: Some(|b| b.bind_shares),
        cost: "more addresses to route and to allow; each gives the whole range once more",
        change: Edit::By(|case, situation| {
            let made: Vec<_> = [2, 4, 8, 16]
                .iter()
                .filter_map(|each| own_addresses(case, situation, *each))
                .collect();
            if made.is_empty() {
                Change::Nothing(NO_CONNECTOR.to_owned())
            } else {
                Change::To(made)
            }
        }),
        removes: &[Cause::Shortage],
        ..ENTRY
    },
    Entry {
        id: "more-destinations",
        name: "more ports on the server, connected in turn",
        who: Actor::Server,
        cost: "the server listens on more ports and the clients must know them",
        change: Edit::By(destinations),
        idle: |rule| match rule {
            Some(Rule::ConnectSkipFastreuse) => {
                "connect() skips buckets that bind() made, whatever the destination is"
            }
            Some(Rule::BindNoFreePort | Rule::BindConflict) => {
                "bind() chooses the port before it knows the destination"
            }
            _ => "",
        },
        removes: &[Cause::Shortage, Cause::Nat],
        ..ENTRY
    },
    Entry {
        id: "port-range-slices",
        name: "IP_LOCAL_PORT_RANGE, a slice for each",
        who: Actor::Binders,
        exists: Some(|b| b.local_port_range_option),
        cost: "each program keeps to its share of the range, so that each share runs out earlier than the whole",
        change: Edit::By(slices),
        removes: &[Cause::Shortage],
        ..ENTRY
    },
    Entry {
        id: "explicit-ports",
        name: "bind to named ports outside the range",
        who: Actor::Binders,
        cost: "the program manages ports itself, and a port in TIME-WAIT needs SO_REUSEADDR",
        change: Edit::By(explicit),
        removes: &[Cause::Shortage],
        ..ENTRY
    },
    Entry {
        id: "reuseaddr-on-binder",
        name: "SO_REUSEADDR on programs that bind",
        who: Actor::Binders,
        cost: "two sockets may get one port, and the second connect() to one destination then fails",
        change: Edit::Option(SockOpt::ReuseAddr(true)),
        idle: idle::sharing,
        ..ENTRY
    },
    Entry {
        id: "reuseaddr-on-victim",
        name: "SO_REUSEADDR on the refused program",
        cost: "mostly useless for outgoing connections",
        change: Edit::Option(SockOpt::ReuseAddr(true)),
        idle: idle::sharing,
        ..ENTRY
    },
    Entry {
        id: "reuseport-on-binder",
        name: "SO_REUSEPORT on programs that bind",
        who: Actor::Binders,
        exists: Some(|b| b.reuseport),
        cost: "mostly useless for outgoing connections; on old kernels ports are shared while free ones are left",
        change: Edit::Option(SockOpt::ReusePort(true)),
        idle: idle::sharing,
        ..ENTRY
    },
    Entry {
        id: "reuseport-on-victim",
        name: "SO_REUSEPORT on the refused program",
        exists: Some(|b| b.reuseport),
        cost: "mostly useless for outgoing connections",
        change: Edit::Option(SockOpt::ReusePort(true)),
        idle: idle::sharing,
        ..ENTRY
    },
    Entry {
        id: "no-port-on-victim",
        name: "IP_BIND_ADDRESS_NO_PORT on the refused program",
        exists: Some(|b| b.bind_address_no_port),
        cost: "none",
        change: Edit::Option(SockOpt::BindAddressNoPort(true)),
        idle: |_| "the option changes the bind() of its own socket, not the buckets of others",
        ..ENTRY
    },
    Entry {
        id: "own-address-no-port",
        name: "own source address with IP_BIND_ADDRESS_NO_PORT",
        exists: Some(|b| b.bind_address_no_port),
        cost: "an address for each program",
        change: Edit::By(|case, situation| {
            let Some((words, mut case)) = own_addresses(case, situation, 1) else {
                return Change::Nothing(NO_CONNECTOR.to_owned());
            };
            edit::option(
                &mut case,
                &names(&situation.victims),
                SockOpt::BindAddressNoPort(true),
            );
            Change::To(vec![(words, case)])
        }),
        idle: idle::late_choice,
        ..ENTRY
    },
];
