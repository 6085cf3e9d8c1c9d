//! Fixes for the administrator of a host.

use fourtuple_kernel::Rule;
use fourtuple_kernel::profile::behaviour::{Scope, TwAge};
use fourtuple_scenario::{Case, PortRange};

use super::{Actor, Change, ENTRY, Edit, Entry, idle};
use crate::edit;
use crate::remedies::situation::{Cause, Situation};

fn wider(case: &Case, situation: &Situation) -> Change {
    let PortRange { low, high } = situation.range;
    let size = situation.range.size();
    let wanted = size.saturating_add(situation.counts.refused);
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

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: "tw-reuse-1",
        name: "tcp_tw_reuse = 1",
        who: Actor::Operator,
        cost: "needs tcp_timestamps on both ends; a TIME-WAIT is taken over after a second",
        change: Edit::Sysctl("net.ipv4.tcp_tw_reuse", "1"),
        idle: idle::time_wait,
        removes: &[Cause::Shortage],
        often_tried: true,
        ..ENTRY
    },
    Entry {
        id: "tw-reuse-2",
        name: "tcp_tw_reuse = 2",
        who: Actor::Operator,
        cost: "loopback connections only (before 4.19 any value but 0 meant 1)",
        change: Edit::Sysctl("net.ipv4.tcp_tw_reuse", "2"),
        idle: idle::time_wait,
        removes: &[Cause::Shortage],
        ..ENTRY
    },
    Entry {
        id: "tw-reuse-delay",
        name: "tcp_tw_reuse_delay = 100",
        who: Actor::Operator,
        exists: Some(|b| b.tw_age == TwAge::Millis),
        cost: "late packets of the old connection have less time to die; needs tcp_tw_reuse",
        change: Edit::Sysctl("net.ipv4.tcp_tw_reuse_delay", "100"),
        idle: idle::time_wait,
        removes: &[Cause::Shortage],
        ..ENTRY
    },
    Entry {
        id: "wider-range",
        name: "wider ip_local_port_range",
        who: Actor::Operator,
        cost: "room, not a cure: the next burst fails the same way, and listeners inside the new range may lose their port",
        change: Edit::By(wider),
        removes: &[Cause::Shortage],
        ..ENTRY
    },
    Entry {
        id: "autobind-reuse",
        name: "ip_autobind_reuse = 1",
        who: Actor::Operator,
        exists: Some(|b| b.autobind_reuse),
        cost: "SO_REUSEADDR sockets share ports once the range is full, and may then fail in connect()",
        change: Edit::Sysctl("net.ipv4.ip_autobind_reuse", "1"),
        idle: |rule| match rule {
            Some(Rule::BindNoFreePort) => "it is for sockets with SO_REUSEADDR on both sides",
            _ => "it is about bind() to port 0; connect() does not look at it",
        },
        ..ENTRY
    },
    Entry {
        id: "fin-timeout",
        name: "tcp_fin_timeout = 10",
        who: Actor::Operator,
        cost: "orphaned connections are given up earlier",
        change: Edit::Sysctl("net.ipv4.tcp_fin_timeout", "10"),
        idle: |_| "it shortens FIN-WAIT-2, not TIME-WAIT, whose 60 s are fixed",
        stale: Some("often given as the length of TIME-WAIT, which it is not"),
        often_tried: true,
        ..ENTRY
    },
    Entry {
        id: "tw-recycle",
        name: "tcp_tw_recycle = 1",
        who: Actor::Operator,
        exists: Some(|b| b.tw_recycle_scope != Scope::Absent),
        cost: "drops connections of clients behind a NAT",
        change: Edit::Sysctl("net.ipv4.tcp_tw_recycle", "1"),
        idle: idle::time_wait,
        stale: Some("stale advice: it broke clients behind a NAT and is gone since Linux 4.12"),
        often_tried: true,
        ..ENTRY
    },
];
