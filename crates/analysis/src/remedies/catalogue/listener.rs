//! Fixes for programs that bind or listen by number.

use fourtuple_kernel::profile::behaviour::Scope;
use fourtuple_scenario::{Case, Close, PortRange, SockOpt};

use super::{Actor, Change, ENTRY, Edit, Entry, NO_LISTENER, closing, set_option, set_sysctl};
use crate::edit;
use crate::remedies::situation::{Cause, Situation, names};

/// The causes that are about a port bound by number.
const OF_PORT: &[Cause] = &[Cause::Held, Cause::Collision];

fn reserve(case: &Case, situation: &Situation) -> Change {
    if situation.fixed.is_empty() {
        return Change::Nothing(
            "no port inside the range is bound by number, and reserving only takes ports away"
                .to_owned(),
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

/// A port outside the range and clear of every named port, near the range.
fn free_port(range: PortRange, taken: &[u16]) -> Option<u16> {
    let above = u32::from(range.high) + 1..65536;
    let below = (1024..u32::from(range.low)).rev();
    above
        .chain(below)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| !taken.contains(port))
}

fn outside(case: &Case, situation: &Situation) -> Change {
    let mut case = case.clone();
    let mut taken = Vec::new();
    for name in edit::processes(&case) {
        let habits = edit::habits(&case, &name);
        let all = habits.fixed.iter().chain(&habits.connect);
        taken.extend(all.map(std::net::SocketAddr::port));
    }
    let mut words = Vec::new();
    for from in &situation.fixed {
        let Some(to) = free_port(situation.range, &taken) else {
            continue;
        };
        taken.push(to);
        if edit::move_port(&mut case, *from, to) {
            words.push(format!("port {from} becomes {to}"));
        }
    }
    Change::one(
        !words.is_empty(),
        words.join("; "),
        case,
        "no refused port is inside the range",
    )
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: "reserved-ports",
        name: "ip_local_reserved_ports for the named ports",
        who: Actor::Operator,
        exists: Some(|b| b.reserved_ports != Scope::Absent),
        cost: "connect() and bind() to port 0 have fewer ports; a port that is taken already stays taken",
        change: Edit::By(reserve),
        removes: &[Cause::Collision, Cause::ToItself],
        ..ENTRY
    },
    Entry {
        id: "reuseaddr-on-both",
        name: "SO_REUSEADDR on the old and the new socket",
        who: Actor::Both,
        cost: "one setsockopt() before bind(), in the program that holds the port as well as in the one that wants it",
        change: Edit::Option(SockOpt::ReuseAddr(true)),
        idle: |_| "a socket that listens never shares its port through SO_REUSEADDR",
        removes: OF_PORT,
        ..ENTRY
    },
    Entry {
        id: "reuseaddr-on-new",
        name: "SO_REUSEADDR on the new socket alone",
        cost: "one setsockopt() before bind()",
        change: Edit::By(|case, situation| {
            set_option(
                case,
                &situation.listeners,
                SockOpt::ReuseAddr(true),
                NO_LISTENER,
            )
        }),
        idle: |_| "the old socket and its TIME-WAITs need it as well: both sides must have it",
        removes: OF_PORT,
        often_tried: true,
        ..ENTRY
    },
    Entry {
        id: "v6only",
        name: "IPV6_V6ONLY on the socket that binds [::]",
        who: Actor::Both,
        cost: "IPv4 clients need a listener of their own",
        change: Edit::By(|case, situation| {
            set_option(
                case,
                &situation.dual_stack(),
                SockOpt::V6Only(true),
                "no socket in the conflict binds [::]",
            )
        }),
        idle: |_| "the owners conflict within one family",
        removes: OF_PORT,
        ..ENTRY
    },
    Entry {
        id: "stop-first",
        name: "stop the old listener before the new one binds",
        who: Actor::Both,
        cost: "clients are refused in between",
        change: Edit::By(|case, situation| {
            let mut changed = case.clone();
            let done = edit::stop_first(&mut changed, &situation.contested);
            Change::one(
                done,
                "the old socket is closed first",
                changed,
                "the old listener has stopped already, or starts at the same time",
            )
        }),
        idle: |_| "its closed connections hold the port in TIME-WAIT",
        removes: &[Cause::Held],
        ..ENTRY
    },
    Entry {
        id: "reuseport-on-both",
        name: "SO_REUSEPORT on the old and the new socket",
        who: Actor::Both,
        exists: Some(|b| b.reuseport),
        cost: "one user for both; while both listen, connections are spread over them, and those queued on one that stops are reset",
        change: Edit::Option(SockOpt::ReusePort(true)),
        idle: |_| "every owner of the port must have it and belong to one user",
        removes: OF_PORT,
        ..ENTRY
    },
    Entry {
        id: "freebind",
        name: "IP_FREEBIND on the refused socket",
        cost: "the socket serves nothing until the address is there; a mistyped address is no longer noticed",
        change: Edit::By(|case, situation| match situation.cause {
            Cause::NotLocal => set_option(
                case,
                &situation.listeners,
                SockOpt::FreeBind(true),
                NO_LISTENER,
            ),
            _ => Change::Nothing("no address is missing on the host".to_owned()),
        }),
        removes: &[Cause::NotLocal],
        ..ENTRY
    },
    Entry {
        id: "nonlocal-bind",
        name: "ip_nonlocal_bind = 1",
        who: Actor::Operator,
        cost: "every program of the host may bind any address",
        change: Edit::By(|case, situation| match situation.cause {
            Cause::NotLocal => {
                let v6 = situation
                    .contested
                    .iter()
                    .any(std::net::SocketAddr::is_ipv6);
                let family = if v6 { "ipv6" } else { "ipv4" };
                set_sysctl(
                    case,
                    situation,
                    &format!("net.{family}.ip_nonlocal_bind"),
                    "1",
                )
            }
            _ => Change::Nothing("no address is missing on the host".to_owned()),
        }),
        removes: &[Cause::NotLocal],
        ..ENTRY
    },
    Entry {
        id: "wildcard",
        name: "bind the wildcard address",
        cost: "the program serves every address of the host",
        change: Edit::By(|case, situation| {
            if situation.cause != Cause::NotLocal {
                return Change::Nothing("no address is missing on the host".to_owned());
            }
            let mut changed = case.clone();
            let refused = names(&situation.listeners);
            let done = edit::to_wildcard(&mut changed, &refused, &situation.contested);
            let words = format!("{} on the wildcard address", refused.join(", "));
            Change::one(
                done,
                words,
                changed,
                "it binds the wildcard address already",
            )
        }),
        removes: &[Cause::NotLocal],
        ..ENTRY
    },
    Entry {
        id: "port-outside-range",
        name: "a port outside ip_local_port_range",
        who: Actor::Both,
        cost: "clients must know the new port",
        change: Edit::By(outside),
        removes: &[Cause::Collision, Cause::ToItself],
        ..ENTRY
    },
    Entry {
        id: "client-closes-first",
        name: "let the clients close first",
        who: Actor::Server,
        cost: "the server waits for the end of file before it closes; TIME-WAIT moves to the clients",
        change: Edit::By(|case, situation| match situation.listeners.as_slice() {
            [] => Change::Nothing(NO_LISTENER.to_owned()),
            _ => closing(case, Close::Client),
        }),
        removes: &[Cause::Held],
        ..ENTRY
    },
];
