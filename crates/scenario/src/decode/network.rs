//! Decoding of `network` and its faults.

use std::time::Duration;

use crate::diagnostic::quoted;
use crate::limits::MAX_FAULTS;
use crate::model::{Fault, FaultKind, Network};
use crate::span::{Span, Spanned};
use crate::suggest::{all_of, one_of};
use crate::yaml::{Node, Value};

use super::Problems;
use super::fields::{FAULT, Fields, NETWORK};
use super::hosts::{Hosts, pick};
use super::values::{names, word};

/// Decodes the value of `network`.
pub(crate) fn network(
    node: &Node,
    at: Span,
    hosts: &Hosts,
    problems: &mut Problems<'_>,
) -> Option<Network> {
    let fields = Fields::of(node, "the network", NETWORK, at, problems)?;
    let mut network = Network {
        latency: fields.take("latency", problems, word),
        loss: fields.take("loss", problems, word).unwrap_or_default(),
        faults: Vec::new(),
    };
    let Some(node) = fields.node("faults") else {
        return Some(network);
    };
    let Value::List(items) = &node.value else {
        let message = format!("expected a list of faults, found {}", node.kind());
        let help = "write `- { at: 10s, crash: api }` on a line of its own";
        problems.report(node.span, message, "a list", Some(help.to_owned()));
        return Some(network);
    };
    if items.len() > MAX_FAULTS {
        let message = format!("{} faults in one scenario", items.len());
        problems.report(
            node.span,
            message,
            "",
            Some(format!("the limit is {MAX_FAULTS} faults")),
        );
        return Some(network);
    }
    for item in items {
        network.faults.extend(fault(item, hosts, problems));
    }
    // The sort is stable, so that faults at the same time keep the order of the file.
    network.faults.sort_by_key(|fault| fault.at);
    Some(network)
}

fn fault(node: &Node, hosts: &Hosts, problems: &mut Problems<'_>) -> Option<Fault> {
    let fields = Fields::of(node, "a fault", FAULT, node.span, problems)?;
    let at: Option<Duration> = fields.need("at", problems, word);
    let kinds: Vec<&str> = FAULT[1..]
        .iter()
        .copied()
        .filter(|name| fields.node(name).is_some())
        .collect();
    let [kind] = kinds.as_slice() else {
        let message = match kinds.as_slice() {
            [] => "the fault has no kind".to_owned(),
            kinds => format!(
                "the fault has several kinds: {}",
                all_of(kinds.iter().copied())
            ),
        };
        let expected = format!("exactly one of {}", one_of(FAULT[1..].iter().copied()));
        problems.report(node.span, message, &expected, None);
        return None;
    };
    let node = fields.node(kind)?;
    let named = names(node, problems)?;
    let wanted = if matches!(*kind, "crash" | "bounce") {
        1
    } else {
        2
    };
    if named.len() != wanted {
        let expected = if wanted == 1 {
            "one host"
        } else {
            "a list of two hosts"
        };
        let message = format!("{} takes {expected}, not {}", quoted(kind), named.len());
        problems.report(
            node.span,
            message,
            expected,
            Some(format!("write one `{kind}` fault for each")),
        );
        return None;
    }
    let mut found = Vec::new();
    for name in named {
        let span = name.span;
        found.push(Spanned::new(
            pick(Some(name), span, hosts, "the fault", problems)?,
            span,
        ));
    }
    if let [a, b] = found.as_slice()
        && a == b
    {
        problems.report(
            b.span,
            format!("`{}` is named twice", b.value),
            "two different hosts",
            None,
        );
        return None;
    }
    let mut found = found.into_iter().map(|name| name.value);
    let mut next = || found.next().unwrap_or_default();
    let kind = match *kind {
        "partition" => FaultKind::Partition(next(), next()),
        "repair" => FaultKind::Repair(next(), next()),
        "hold" => FaultKind::Hold(next(), next()),
        "release" => FaultKind::Release(next(), next()),
        "crash" => FaultKind::Crash(next()),
        _ => FaultKind::Bounce(next()),
    };
    Some(Fault { at: at?, kind })
}
