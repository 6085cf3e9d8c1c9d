//! Decoding of `nat` and `via`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use indexmap::IndexMap;

use crate::diagnostic::quoted;
use crate::limits::MAX_HOSTS;
use crate::model::{Host, IDLE, Nat, NatSource};
use crate::span::Span;
use crate::suggest::{nearest, one_of};
use crate::value::{AnyAddress, Count, Endpoint, NatPreset, NatRandom, PortRange, Word};
use crate::yaml::{Node, Value};

use super::Problems;
use super::fields::{Fields, MASQUERADE, NAT, entries};
use super::values::{text, word, words};

/// The word that stands for `{ masquerade: {} }`.
const WORD: &str = "masquerade";

/// Decodes the value of `nat`.
pub(crate) fn nat(node: &Node, problems: &mut Problems<'_>) -> Option<Nat> {
    if let Value::Scalar { .. } = node.value {
        return short(node, problems);
    }
    let fields = Fields::of(node, "a NAT host's rules", NAT, node.span, problems)?;
    let kinds = ["masquerade", "snat", "preset", "ports-per-client"];
    let given: Vec<&str> = kinds
        .into_iter()
        .filter(|kind| fields.key_span(kind).is_some())
        .collect();
    if let [first, second, ..] = given[..] {
        problems.report(
            fields.key_span(second).unwrap_or(node.span),
            format!("`{first}` and `{second}` in one rule"),
            &format!("one of {}", one_of(kinds)),
            None,
        );
        return None;
    }
    let dnat = fields.take("dnat", problems, dnat).unwrap_or_default();
    let source = source(&fields, given.first().copied(), node.span, problems);
    if given.is_empty() && fields.node("dnat").is_none() && !fields.has_unknown {
        problems.report(
            node.span,
            "the NAT host translates nothing",
            &format!("one of {}, or `dnat`", one_of(kinds)),
            Some("write `nat: masquerade`".to_owned()),
        );
    }
    Some(Nat { source, dnat })
}

/// A rule in one word.
fn short(node: &Node, problems: &mut Problems<'_>) -> Option<Nat> {
    let expected = "`masquerade`, a preset such as `aws-nat-gateway`, or a map of rules";
    let name = text(node, expected, problems)?;
    let source = match (name, NatPreset::parse(name)) {
        (WORD, _) => masquerade(None),
        (_, Ok(preset)) => NatSource::Preset(preset),
        (_, Err(bad)) => {
            let known = NatPreset::ALL.iter().map(|one| one.as_str());
            let help = bad
                .help
                .unwrap_or_else(|| format!("the presets are {}", one_of(known)));
            let message = format!("unknown preset {}", quoted(name));
            problems.report(node.span, message, expected, Some(help));
            return None;
        }
    };
    Some(Nat {
        source: Some(source),
        dnat: Vec::new(),
    })
}

fn masquerade(ports: Option<PortRange>) -> NatSource {
    NatSource::Linux {
        addresses: Vec::new(),
        ports,
        random: NatRandom::No,
        persistent: false,
    }
}

fn source(
    fields: &Fields<'_>,
    kind: Option<&str>,
    at: Span,
    problems: &mut Problems<'_>,
) -> Option<NatSource> {
    let linux = matches!(kind, Some("masquerade" | "snat"));
    let quota = kind == Some("ports-per-client");
    for (field, fits, of) in [
        ("ports", kind == Some("snat"), "`snat`"),
        ("random", linux, "`masquerade` or `snat`"),
        ("persistent", linux, "`masquerade` or `snat`"),
        ("hold-after-close", quota, "`ports-per-client`"),
        ("idle", quota, "`ports-per-client`"),
    ] {
        if let (Some(span), false) = (fields.key_span(field), fits) {
            let help = match (field, kind) {
                ("ports", Some("masquerade")) => {
                    Some("write `masquerade: { ports: ... }`".to_owned())
                }
                _ => None,
            };
            let message = format!("`{field}` has no effect here");
            problems.report(span, message, &format!("a rule with {of}"), help);
        }
    }
    let random = fields.take("random", problems, word);
    let random = random.unwrap_or(NatRandom::No);
    let persistent = fields.take("persistent", problems, word).unwrap_or(false);
    match kind? {
        "masquerade" => Some(NatSource::Linux {
            addresses: Vec::new(),
            ports: fields
                .take("masquerade", problems, masquerade_ports)
                .flatten(),
            random,
            persistent,
        }),
        "snat" => Some(NatSource::Linux {
            addresses: fields.take("snat", problems, pool)?,
            ports: fields.take("ports", problems, word),
            random,
            persistent,
        }),
        "preset" => fields.take("preset", problems, word).map(NatSource::Preset),
        _ => {
            let ports: Count = fields.take("ports-per-client", problems, word)?;
            if ports.0 > MOST_PORTS {
                problems.report(
                    fields.node("ports-per-client").map_or(at, |node| node.span),
                    format!("{} ports for each client", ports.0),
                    "at most 64512, the ports of an address from 1024 on",
                    None,
                );
            }
            Some(NatSource::Quota {
                ports_per_client: ports.0,
                hold_after_close: fields
                    .take("hold-after-close", problems, word::<Duration>)
                    .unwrap_or_default(),
                idle: fields.take("idle", problems, word).unwrap_or(IDLE),
            })
        }
    }
}

/// The ports of an address from 1024 on.
const MOST_PORTS: u32 = 64_512;

/// The value of `masquerade`: nothing, or a map with `ports`.
fn masquerade_ports(node: &Node, problems: &mut Problems<'_>) -> Option<Option<PortRange>> {
    if node.is_null() {
        return Some(None);
    }
    let fields = Fields::of(node, "a masquerade rule", MASQUERADE, node.span, problems)?;
    Some(fields.take("ports", problems, word))
}

/// The addresses of `snat`, which a kernel takes as a range.
fn pool(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<IpAddr>> {
    let all = words::<AnyAddress>(node, problems)?;
    let all: Vec<IpAddr> = all.into_iter().map(|address| address.0).collect();
    if all.is_empty() {
        let expected = "an address of the NAT host, or several consecutive ones";
        problems.report(node.span, "an empty list of addresses", expected, None);
        return None;
    }
    if all.len() > MAX_HOSTS {
        let message = format!("{} addresses in one rule", all.len());
        problems.report(node.span, message, "at most 64", None);
        return None;
    }
    let follows = |pair: &[IpAddr]| match (pair[0], pair[1]) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.to_bits().checked_add(1) == Some(b.to_bits()),
        _ => false,
    };
    if !all.windows(2).all(follows) {
        problems.report(
            node.span,
            "the addresses of `snat` are not consecutive",
            "IPv4 addresses that follow each other, such as `[192.0.2.1, 192.0.2.2]`",
            Some("a rule of nftables takes one range of addresses".to_owned()),
        );
        return None;
    }
    Some(all)
}

/// The value of `dnat`: destinations with their backends.
fn dnat(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<(SocketAddr, Vec<SocketAddr>)>> {
    let mut all: Vec<(SocketAddr, Vec<SocketAddr>)> = Vec::new();
    for (key, node) in entries(node, "a map of destinations", problems)? {
        let to = match Endpoint::parse(&key.text) {
            Ok(to) => to.0,
            Err(bad) => {
                let message = bad
                    .message
                    .unwrap_or_else(|| format!("invalid destination {}", quoted(&key.text)));
                problems.report(key.span, message, Endpoint::EXPECTED, bad.help);
                continue;
            }
        };
        let Some(backends) = words::<Endpoint>(node, problems) else {
            continue;
        };
        let backends: Vec<SocketAddr> = backends.into_iter().map(|one| one.0).collect();
        if backends.is_empty() {
            problems.report(node.span, "no backends", "at least one ADDR:PORT", None);
        } else if backends.iter().any(|one| one.is_ipv4() != to.is_ipv4()) {
            let expected = "backends of the destination's address family";
            problems.report(
                node.span,
                "backends of another address family",
                expected,
                None,
            );
        } else {
            all.push((to, backends));
        }
    }
    Some(all)
}

/// Checks the hosts that `via` names: they exist, form no circle, and a NAT host has some that send
/// their packets through it. `rules` has the places of `nat`.
pub(crate) fn check_ways(
    hosts: &IndexMap<String, Host>,
    rules: &IndexMap<String, Span>,
    problems: &mut Problems<'_>,
) {
    for (name, host) in hosts {
        if let Some(via) = &host.via {
            if !hosts.contains_key(&via.value) {
                let names = || hosts.keys().map(String::as_str).filter(|one| one != name);
                let help =
                    nearest(&via.value, names()).map(|near| format!("did you mean `{near}`?"));
                problems.report(
                    via.span,
                    format!("unknown host {}", quoted(&via.value)),
                    "the name of another host",
                    help,
                );
            } else if circle(hosts, name) {
                problems.report(
                    via.span,
                    format!("the packets of `{name}` go round in a circle"),
                    "hosts that lead outside",
                    Some("remove `via` from one of the hosts of the circle".to_owned()),
                );
            }
        }
        let used = || hosts.values().filter_map(|one| one.via.as_ref());
        if let Some(span) = rules.get(name)
            && !used().any(|via| via.value == *name)
        {
            problems.report(
                *span,
                format!("no host sends its packets through `{name}`"),
                "another host with `via`",
                Some(format!("add `via: {name}` to the hosts behind it")),
            );
        }
    }
}

/// Returns `true` if the way of a host's packets leads back to it.
fn circle(hosts: &IndexMap<String, Host>, name: &str) -> bool {
    let mut at = name;
    for _ in 0..hosts.len() {
        match hosts.get(at).and_then(|host| host.via.as_ref()) {
            Some(via) if via.value == name => return true,
            Some(via) => at = &via.value,
            None => return false,
        }
    }
    false
}
