//! Decoding of `processes`, the declarative form.

use std::net::SocketAddr;
use std::time::Duration;

use fourtuple_syscall::SockOpt;
use indexmap::IndexMap;

use crate::check::Order;
use crate::diagnostic::quoted;
use crate::limits::{MAX_CONNECTIONS, MAX_PROCESSES};
use crate::model::Process;
use crate::span::{Span, Spanned};
use crate::value::{Accepted, Close, Count, Endpoint, Hold, Invalid, Ordinary, Protocol, Word};
use crate::yaml::{Node, Value};

use super::Problems;
use super::fields::{Fields, entries};
use super::hosts::{Hosts, map_name, owns, pick};
use super::options::options;
use super::values::{items, names, spanned, word, words};

/// The fields of a process.
pub(crate) const FIELDS: &[&str] = &[
    "on",
    "protocol",
    "count",
    "uid",
    "start",
    "after",
    "bind",
    "options",
    "connect",
    "connections",
    "every",
    "hold",
    "close",
    "repeat",
    "stop_on_failure",
    "listen",
    "accepted",
    "inherit",
];

/// Decodes the value of `processes`.
pub(crate) fn processes(
    node: &Node,
    at: Span,
    hosts: &Hosts,
    problems: &mut Problems<'_>,
) -> IndexMap<String, Process> {
    let mut all = IndexMap::new();
    let mut order = Order::default();
    let entries = entries(node, "a map of processes", problems).unwrap_or_default();
    if entries.is_empty() && matches!(node.value, Value::Map(_)) {
        problems.report(at, "`processes` is empty", "at least one process", None);
    }
    if entries.len() > MAX_PROCESSES {
        let message = format!("{} processes in one scenario", entries.len());
        let help = format!("the limit is {MAX_PROCESSES} names; use `count` for equal processes");
        problems.report(at, message, "", Some(help));
        return all;
    }
    let mut connections: u64 = 0;
    let mut heirs = Vec::new();
    for (key, node) in entries {
        let Some(name) = map_name(key, problems) else {
            continue;
        };
        let Some((process, waits)) = process(node, key.span, hosts, problems) else {
            order.insert(name.clone(), key.span, Vec::new());
            all.insert(name, Process::new(""));
            continue;
        };
        let before = connections;
        connections = connections.saturating_add(process.total_connections());
        if connections > MAX_CONNECTIONS && before <= MAX_CONNECTIONS {
            problems.report(
                key.span,
                format!("more than {MAX_CONNECTIONS} connections in one run"),
                "",
                Some(format!("the limit for count × connections × repeat of all processes is {MAX_CONNECTIONS}")),
            );
        }
        let mut after = waits.after;
        if let Some(parent) = waits.inherit {
            after.push(parent.clone());
            heirs.push((name.clone(), parent));
        }
        order.insert(name.clone(), key.span, after);
        all.insert(name, process);
    }
    order.check(problems);
    inheritances(&all, &heirs, problems);
    all
}

/// One value of `bind`.
enum Bind {
    None,
    At(SocketAddr),
}

impl Word for Bind {
    const EXPECTED: &'static str = "`none`, or ADDR:PORT such as `192.168.0.12:0`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "none" => Ok(Self::None),
            _ if text.starts_with(|c: char| c.is_ascii_alphabetic()) && !text.contains(['.', ':']) => {
                Err(Invalid::message(format!("invalid `bind` value {}", quoted(text))).and_help(
                    "`none` leaves address and port to connect(); `0.0.0.0:0` binds the wildcard with a port that the kernel chooses",
                ))
            }
            _ => SocketAddr::parse(text).map(Self::At),
        }
    }
}

fn process(
    node: &Node,
    at: Span,
    hosts: &Hosts,
    problems: &mut Problems<'_>,
) -> Option<(Process, Waits)> {
    let fields = Fields::of(node, "a process", FIELDS, at, problems)?;
    let on = fields.take("on", problems, spanned::<String>);
    let unreadable = fields.node("on").is_some() && on.is_none();
    let on = if unreadable {
        None
    } else {
        pick(on, at, hosts, "the process", problems)
    };
    let after = fields.take("after", problems, names).unwrap_or_default();
    let bind = fields
        .take("bind", problems, words::<Bind>)
        .unwrap_or_default();
    let inherit = fields.take("inherit", problems, spanned::<String>);
    let count = |name: &str, problems: &mut _| {
        fields
            .take(name, problems, word::<Count>)
            .map_or(1, |count| count.0)
    };
    let endpoints = |name: &str, problems: &mut _| -> Vec<SocketAddr> {
        let list = fields
            .take(name, problems, words::<Endpoint>)
            .unwrap_or_default();
        list.into_iter().map(|endpoint| endpoint.0).collect()
    };
    let process = Process {
        on: on.unwrap_or_default(),
        protocol: fields
            .take("protocol", problems, word::<Protocol>)
            .unwrap_or(Protocol::Tcp),
        count: count("count", problems),
        uid: fields
            .take("uid", problems, word::<Ordinary>)
            .map_or(0, |uid| uid.0),
        start: fields
            .take("start", problems, word::<Duration>)
            .unwrap_or_default(),
        after: after.iter().map(|name| name.value.clone()).collect(),
        bind: bind
            .iter()
            .filter_map(|one| match one {
                Bind::At(address) => Some(*address),
                Bind::None => None,
            })
            .collect(),
        options: fields
            .take("options", problems, options)
            .unwrap_or_default(),
        connect: endpoints("connect", problems),
        connections: count("connections", problems),
        every: fields
            .take("every", problems, word::<Duration>)
            .unwrap_or_default(),
        hold: fields
            .take("hold", problems, word::<Hold>)
            .unwrap_or(Hold::Forever),
        close: fields
            .take("close", problems, word::<Close>)
            .unwrap_or(Close::Client),
        repeat: count("repeat", problems),
        stop_on_failure: fields
            .take("stop_on_failure", problems, word)
            .unwrap_or(false),
        listen: fields
            .take("listen", problems, words::<SocketAddr>)
            .unwrap_or_default(),
        accepted: fields
            .take("accepted", problems, word::<Accepted>)
            .unwrap_or(Accepted::Keep),
        inherit: inherit.as_ref().map(|name| name.value.clone()),
    };
    let span = |name: &str| fields.node(name).map_or(at, |node| node.span);
    if bind.len() > 1 && bind.iter().any(|one| matches!(one, Bind::None)) {
        let help = "use one process that binds and one that does not";
        problems.report(
            span("bind"),
            "`bind` mixes `none` and addresses",
            "either `none` or addresses",
            Some(help.to_owned()),
        );
    }
    combinations(&process, &fields, at, problems);
    lifetimes(&process, &fields, problems);
    datagrams(&process, &fields, problems);
    reach(&process, &fields, at, hosts, problems);
    Some((process, Waits { after, inherit }))
}

/// The processes that one comes after, with their places in the file.
struct Waits {
    after: Vec<Spanned<String>>,
    inherit: Option<Spanned<String>>,
}

/// Reports combinations of fields that are contradictory or have no effect.
fn combinations(process: &Process, fields: &Fields<'_>, at: Span, problems: &mut Problems<'_>) {
    let key = |name: &str| fields.key_span(name);
    if let (Some(start), Some(_)) = (key("start"), key("after")) {
        let help = "remove one of them".to_owned();
        problems.report(
            start,
            "both `start` and `after` are given",
            "one of them",
            Some(help),
        );
    }
    // `bind: none` and an empty list are equivalent to an absent field.
    let idle = |name: &str| {
        let none =
            |item: &Node| matches!(&item.value, Value::Scalar { text, .. } if &**text == "none");
        fields
            .node(name)
            .is_none_or(|node| items(node).iter().all(none))
    };
    if ["bind", "connect", "listen", "inherit"]
        .into_iter()
        .all(idle)
        && !fields.has_unknown
    {
        let help = "add `connect:`, `bind:` or `listen:`".to_owned();
        problems.report(
            at,
            "the process makes no socket calls",
            "`connect`, `bind` or `listen`",
            Some(help),
        );
    }
    for name in ["close", "repeat"] {
        // Accepts fields at their default, such as `repeat: 1`.
        let said = name == "close" || process.repeat > 1;
        if process.hold == Hold::Forever
            && said
            && let Some(span) = key(name)
        {
            let message = format!("`{name}` has no effect: connections are held forever");
            let help = "add `hold:` with a time, such as `hold: 0s`".to_owned();
            problems.report(span, message, "a `hold` that ends", Some(help));
        }
    }
    let families = |list: &[SocketAddr]| {
        (
            list.iter().any(SocketAddr::is_ipv4),
            list.iter().any(SocketAddr::is_ipv6),
        )
    };
    let (bind, connect) = (families(&process.bind), families(&process.connect));
    if (bind.0 && connect.1) || (bind.1 && connect.0) {
        problems.report(
            fields.node("bind").map_or(at, |node| node.span),
            "`bind` and `connect` have different address families",
            "both IPv4 or both IPv6",
            Some(
                "a mapped address such as `[::ffff:10.0.0.1]:80` reaches IPv4 from an IPv6 socket"
                    .to_owned(),
            ),
        );
    }
}

/// Reports fields that a UDP process cannot have: its sockets have no other end that listens,
/// accepts or closes.
fn datagrams(process: &Process, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    if process.protocol != Protocol::Udp {
        return;
    }
    let close = (process.close != Close::Client).then_some("close");
    for name in ["listen", "inherit", "accepted"].into_iter().chain(close) {
        let Some(span) = fields.key_span(name) else {
            continue;
        };
        let (message, expected, help) = match name {
            "close" => (
                "a UDP socket is closed by its own process",
                "`close: client`, the default",
                "remove `close`",
            ),
            _ => (
                "a UDP socket does not listen",
                "`bind`, `connect` or both",
                "bind the server's address: `bind: 10.0.0.1:53`; a UDP client needs no server",
            ),
        };
        problems.report(span, message, expected, Some(help.to_owned()));
    }
}

/// Reports lifetimes of listeners that have no effect.
fn lifetimes(process: &Process, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    let key = |name: &str| fields.key_span(name);
    let listens = !process.listen.is_empty() || process.inherit.is_some();
    if !fields.has_unknown && process.only_listens() && listens && process.hold != Hold::Forever {
        for (name, help) in [
            (
                "close",
                "`accepted:` says what happens to the connections that its listeners accepted",
            ),
            (
                "repeat",
                "a restart is a second process with `after:` or `start:`",
            ),
        ] {
            if let Some(span) = key(name)
                && (name == "close" || process.repeat > 1)
            {
                let message = format!("`{name}` never happens: this process makes no connections");
                problems.report(
                    span,
                    message,
                    "a process that connects",
                    Some(help.to_owned()),
                );
            }
        }
    }
    if let Some(span) = key("accepted")
        && (process.hold == Hold::Forever || !process.only_listens() || process.listen.is_empty())
    {
        problems.report(
            span,
            "`accepted` never happens: these listeners are never closed",
            "a process that only listens, with a `hold` that ends",
            Some(
                "move the listeners to a process of their own and add `hold:` with a time"
                    .to_owned(),
            ),
        );
    }
    if let Some(span) = key("inherit")
        && (!process.listen.is_empty() || !process.only_listens())
    {
        problems.report(
            span,
            "a process that inherits listeners has sockets of its own",
            "`inherit` without `listen`, `bind` and `connect`",
            Some("use another process for them".to_owned()),
        );
    }
}

/// Reports `inherit` of processes that have no listeners, or run on another host.
fn inheritances(
    all: &IndexMap<String, Process>,
    heirs: &[(String, Spanned<String>)],
    problems: &mut Problems<'_>,
) {
    for (name, parent) in heirs {
        let (Some(heir), Some(of)) = (all.get(name), all.get(&parent.value)) else {
            continue;
        };
        let (message, expected) = if of.listen.is_empty() {
            ("has no listeners", "a process with `listen`")
        } else if heir.on != of.on {
            ("runs on another host", "a process of the same host")
        } else {
            continue;
        };
        let message = format!("`{}` {message}", parent.value);
        problems.report(parent.span, message, expected, None);
    }
}

/// Reports `connect` addresses that no host owns, and `bind` and `listen` addresses of other hosts.
fn reach(
    process: &Process,
    fields: &Fields<'_>,
    at: Span,
    hosts: &Hosts,
    problems: &mut Problems<'_>,
) {
    let places = |name: &str| fields.node(name).map(items).unwrap_or_default();
    let span = |name: &str, n: usize| places(name).get(n).map_or(at, |node| node.span);
    let whole = |name: &str, list: usize| places(name).len() == list;
    if whole("connect", process.connect.len()) {
        for (n, address) in process.connect.iter().enumerate() {
            if !hosts.is_empty() && !hosts.values().any(|host| owns(host, *address)) {
                let message = format!("no host has the address {}", address.ip());
                let help = format!("add {} to the `addresses` of a host", address.ip());
                problems.report(
                    span("connect", n),
                    message,
                    "the address of a host",
                    Some(help),
                );
            }
        }
    }
    let Some(host) = hosts.get(&process.on) else {
        return;
    };
    for (name, list) in [("bind", &process.bind), ("listen", &process.listen)] {
        // `IP_FREEBIND` and `IP_TRANSPARENT` allow binding to foreign addresses.
        let foreign = process.options.has(SockOpt::FreeBind(true))
            || process.options.has(SockOpt::Transparent(true));
        if foreign || !whole(name, list.len()) {
            continue;
        }
        for (n, address) in list.iter().enumerate() {
            let elsewhere = hosts
                .iter()
                .find(|(_, host)| host.addresses.contains(&address.ip()));
            if let Some((other, _)) = elsewhere
                && !owns(host, *address)
            {
                problems.report(
                    span(name, n),
                    format!(
                        "{} is an address of `{other}`, not of `{}`",
                        address.ip(),
                        process.on
                    ),
                    &format!("an address of `{}`", process.on),
                    Some(format!(
                        "run the process on `{other}`, or add the address to `{}`",
                        process.on
                    )),
                );
            }
        }
    }
}
