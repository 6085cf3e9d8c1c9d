//! Parts of a host that matter for ports besides its connections: who blocks ports, listeners,
//! sockets that are left open, settings.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use fourtuple_kernel::PortOrigin;

use super::state::{Host, Restored};
use super::{Listener, Program, Range, program};
use crate::document::Document;

/// Numbers by program, the largest first.
fn ranked(counts: BTreeMap<String, u32>) -> Vec<Program> {
    let mut all: Vec<Program> = counts
        .into_iter()
        .map(|(program, count)| Program { program, count })
        .collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.count));
    all
}

/// Programs whose sockets are bound explicitly, by the number of ports of the range that they
/// close to connect().
pub(super) fn blockers(host: &Host<'_>, range: RangeInclusive<u16>) -> Vec<Program> {
    let mut ports: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for (socket, origin) in host.sockets() {
        let port = socket.local.port();
        if origin == Some(PortOrigin::Bind) && range.contains(&port) {
            ports.entry(program(socket)).or_default().insert(port);
        }
    }
    let counted = ports.into_iter();
    ranked(
        counted
            .map(|(program, ports)| (program, ports.len() as u32))
            .collect(),
    )
}

/// Listeners on ports of the range that ephemeral port selection may take while they restart.
pub(super) fn listeners(
    document: &Document,
    now: &Restored,
    range: RangeInclusive<u16>,
) -> Vec<Listener> {
    let mut all: Vec<Listener> = document
        .sockets
        .iter()
        .filter(|one| one.state == "LISTEN" && range.contains(&one.local.port()))
        .filter(|one| !now.is_reserved(one.local.port()))
        .map(|one| Listener {
            at: one.local,
            program: program(one),
        })
        .collect();
    all.sort_by_key(|one| (one.at.port(), one.at.ip()));
    all
}

/// Programs with sockets whose peers have closed.
pub(super) fn close_wait(document: &Document) -> Vec<Program> {
    let mut counts = BTreeMap::new();
    for one in &document.sockets {
        if one.state == "CLOSE-WAIT" {
            *counts.entry(program(one)).or_insert(0) += 1;
        }
    }
    ranked(counts)
}

/// Settings without effect, and settings that surprise.
pub(super) fn settings(host: &Host<'_>, range: Range) -> Vec<String> {
    let value = |name: &str| host.sysctl(&format!("net.ipv4.{name}"));
    let time_waits = || {
        let sockets = host.document.sockets.iter();
        sockets.filter(|socket| socket.state == "TIME-WAIT")
    };
    let mut notes = Vec::new();
    if !host.has_range() {
        notes.push(format!(
            "the capture lacks net.ipv4.ip_local_port_range: the kernel's default, {}-{}, is assumed",
            range.low, range.high
        ));
    }
    if value("tcp_tw_reuse") == Some("1") && value("tcp_timestamps") == Some("0") {
        notes.push(
            "net.ipv4.tcp_tw_reuse = 1 has no effect without net.ipv4.tcp_timestamps".to_owned(),
        );
    }
    let remote = time_waits().filter(|one| !one.local.ip().to_canonical().is_loopback());
    if value("tcp_tw_reuse") == Some("2") && remote.count() > 0 {
        notes.push(
            "net.ipv4.tcp_tw_reuse = 2 is for loopback: it has no effect on the TIME-WAIT sockets of other addresses"
                .to_owned(),
        );
    }
    if value("tcp_fin_timeout").is_some_and(|seconds| seconds != "60") && time_waits().count() > 0 {
        notes.push(
            "net.ipv4.tcp_fin_timeout does not shorten TIME-WAIT: only FIN-WAIT-2 of sockets without a process"
                .to_owned(),
        );
    }
    if value("tcp_tw_recycle") == Some("1") {
        notes
            .push("net.ipv4.tcp_tw_recycle = 1 drops connections of clients behind NAT".to_owned());
    }
    if let Some(most) = value("tcp_max_tw_buckets").and_then(|most| most.parse::<usize>().ok())
        && time_waits().count() >= most
    {
        notes.push(format!(
            "net.ipv4.tcp_max_tw_buckets = {most} is reached: further connections end without TIME-WAIT"
        ));
    }
    let reserved = value("ip_local_reserved_ports").unwrap_or_default();
    if !reserved.is_empty() && range.reserved == 0 {
        notes.push(format!(
            "net.ipv4.ip_local_reserved_ports = {reserved} has no effect: all of it is outside the range"
        ));
    }
    let tracked = |name: &str| {
        let value = host.sysctl(&format!("net.netfilter.nf_conntrack_{name}"));
        value.and_then(|value| value.parse::<u64>().ok())
    };
    if let (Some(count), Some(max)) = (tracked("count"), tracked("max"))
        && max > 0
        && count * 10 >= max * 9
    {
        notes.push(format!(
            "the connection tracking table has {count} of {max} entries: beyond, connections time out"
        ));
    }
    notes
}
