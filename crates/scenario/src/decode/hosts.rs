//! Decoding of `hosts`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use indexmap::IndexMap;

use crate::diagnostic::quoted;
use crate::limits::MAX_HOSTS;
use crate::model::Host;
use crate::span::{Span, Spanned};
use crate::suggest::{nearest, one_of};
use crate::value::{AnyAddress, Endpoint, Hz, Name, Switch, Word};
use crate::yaml::{Key, Node, Value};

use super::Problems;
use super::fields::{Fields, HOST, entries};
use super::nat::{check_ways, nat};
use super::sysctl::sysctls;
use super::values::{name, spanned, spanned_name, word, words};

pub(crate) type Hosts = IndexMap<String, Host>;

/// Decodes the value of `hosts`.
pub(crate) fn hosts(node: &Node, key: Span, problems: &mut Problems<'_>) -> Hosts {
    let mut all = Hosts::new();
    let Some(entries) = entries(node, "a map of hosts", problems) else {
        return all;
    };
    if entries.is_empty() {
        problems.report(
            key,
            "`hosts` is empty",
            "at least one host",
            Some("add `host: {}`".to_owned()),
        );
    }
    if entries.len() > MAX_HOSTS {
        let message = format!("{} hosts in one scenario", entries.len());
        problems.report(
            key,
            message,
            "",
            Some(format!("the limit is {MAX_HOSTS} hosts")),
        );
        return all;
    }
    let mut owners: IndexMap<IpAddr, String> = IndexMap::new();
    let mut rules: IndexMap<String, Span> = IndexMap::new();
    for (key, node) in entries {
        let Some(label) = map_name(key, problems) else {
            continue;
        };
        let host = if node.is_null() {
            Host::default()
        } else {
            host(node, key.span, problems).unwrap_or_default()
        };
        for address in &host.addresses {
            if address.is_loopback() {
                continue;
            }
            if let Some(owner) = owners.insert(*address, label.clone()) {
                problems.report(
                    key.span,
                    format!("{address} belongs to `{owner}` and to `{label}`"),
                    "addresses of its own",
                    Some("give each host different addresses".to_owned()),
                );
            }
        }
        if let (Some(_), Value::Map(fields)) = (&host.nat, &node.value)
            && let Some((key, _)) = fields.iter().find(|(key, _)| &*key.text == "nat")
        {
            rules.insert(label.clone(), key.span);
        }
        all.insert(label, host);
    }
    check_ways(&all, &rules, problems);
    all
}

/// Decodes the key of a map whose names are chosen by the user.
pub(crate) fn map_name(key: &Key, problems: &mut Problems<'_>) -> Option<String> {
    match Name::parse(&key.text) {
        Ok(name) => Some(name.0),
        Err(bad) => {
            let message = bad
                .message
                .unwrap_or_else(|| format!("{} is not a name", quoted(&key.text)));
            problems.report(key.span, message, Name::EXPECTED, bad.help);
            None
        }
    }
}

fn host(node: &Node, at: Span, problems: &mut Problems<'_>) -> Option<Host> {
    let fields = Fields::of(node, "a host", HOST, at, problems)?;
    let addresses = fields
        .take("addresses", problems, words::<AnyAddress>)
        .unwrap_or_default();
    let listen = fields
        .take("listen", problems, words::<Endpoint>)
        .unwrap_or_default();
    let host = Host {
        addresses: addresses.into_iter().map(|address| address.0).collect(),
        sysctl: fields.take("sysctl", problems, sysctls).unwrap_or_default(),
        listen: listen.into_iter().map(|endpoint| endpoint.0).collect(),
        ipv6: fields.take("ipv6", problems, word::<Switch>),
        tentative: fields
            .take("tentative", problems, word::<Duration>)
            .unwrap_or_default(),
        hz: fields.take("hz", problems, word::<Hz>).map(|hz| hz.0),
        kernel: fields.take("kernel", problems, spanned::<String>),
        machine: fields.take("machine", problems, name),
        via: fields.take("via", problems, spanned_name),
        nat: fields.take("nat", problems, nat),
    };
    if host.ipv6 == Some(Switch::Off)
        && let Some(address) = host.addresses.iter().find(|address| address.is_ipv6())
    {
        problems.report(
            fields.node("addresses").map_or(at, |node| node.span),
            format!("the host has `ipv6: off` and the IPv6 address {address}"),
            "IPv4 addresses",
            Some(format!("remove {address}, or `ipv6: off`")),
        );
    }
    if !host.tentative.is_zero() && !host.addresses.iter().any(IpAddr::is_ipv6) {
        problems.report(
            fields.key_span("tentative").unwrap_or(at),
            "`tentative` has no effect: the host has no IPv6 address",
            "a host with an IPv6 address",
            None,
        );
    }
    for (n, address) in host.listen.iter().enumerate() {
        let span = fields
            .node("listen")
            .map(super::values::items)
            .and_then(|items| items.get(n));
        let span = span.map_or(at, |node| node.span);
        if !owns(&host, *address) {
            problems.report(
                span,
                format!("the host has no address {}", address.ip()),
                "an address of the host, or a wildcard",
                Some(format!(
                    "add {} to `addresses`, or listen on `0.0.0.0:{}`",
                    address.ip(),
                    address.port()
                )),
            );
        } else if host.listen[..n].contains(address) {
            problems.report(
                span,
                format!("duplicate `listen` address {address}"),
                "each address and port once",
                None,
            );
        }
    }
    Some(host)
}

/// Returns `true` if a host has an address: one of its own, a loopback address, or a wildcard.
pub(crate) fn owns(host: &Host, address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    ip.is_unspecified() || ip.is_loopback() || host.addresses.contains(&ip)
}

/// Selects the named host, or the only one. Reports an unknown or missing name.
pub(crate) fn pick(
    named: Option<Spanned<String>>,
    at: Span,
    hosts: &Hosts,
    what: &str,
    problems: &mut Problems<'_>,
) -> Option<String> {
    let names = || hosts.keys().map(String::as_str);
    match named {
        Some(named) if hosts.contains_key(&named.value) => Some(named.value),
        Some(named) => {
            // An empty map means that decoding `hosts` failed, which has been reported.
            if hosts.is_empty() {
                return None;
            }
            let help = match nearest(&named.value, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add it under `hosts:`, or use {}", one_of(names())),
            };
            problems.report(
                named.span,
                format!("unknown host {}", quoted(&named.value)),
                &format!("a name under `hosts`: {}", one_of(names())),
                Some(help),
            );
            None
        }
        None if hosts.len() == 1 => hosts.keys().next().cloned(),
        None if hosts.is_empty() => None,
        None => {
            problems.report(
                at,
                format!("{what} does not name its host"),
                &format!("`on:` with {}", one_of(names())),
                Some(format!(
                    "add `on: {}`",
                    hosts.keys().next().map_or("", String::as_str)
                )),
            );
            None
        }
    }
}
