//! Fixes for connections that a NAT host loses.

use std::net::IpAddr;
use std::time::Duration;

use fourtuple_harness::compile;
use fourtuple_kernel::Rule;
use fourtuple_kernel::nat::{Share, SourceNat, TcpState};
use fourtuple_scenario::{Case, NatRandom, NatSource, PortRange};

use super::{Actor, Change, ENTRY, Edit, Entry};
use crate::edit;
use crate::remedies::situation::{Cause, Situation};

/// The reason where the ports are those of a provider.
const PROVIDER: &str = "the provider chooses the ports";
/// The prefix of the timeouts of connection tracking.
const TIMEOUT: &str = "net.netfilter.nf_conntrack_tcp_timeout_";

/// A change of a source translation and its name; `None` where it does not apply.
type Variant<'a> = &'a dyn Fn(&NatSource) -> Option<(String, NatSource)>;

/// Changes the source translation of the NAT host in several ways.
fn sources(
    case: &Case,
    situation: &Situation,
    variants: &[Variant<'_>],
    otherwise: &str,
) -> Change {
    let mut made = Vec::new();
    for variant in variants {
        let mut case = case.clone();
        if let Some(nat) = edit::nat_source(&mut case, &situation.nat)
            && let Some((words, changed)) = variant(nat)
        {
            *nat = changed;
            made.push((words, case));
        }
    }
    match made.is_empty() {
        true => Change::Nothing(otherwise.to_owned()),
        false => Change::To(made),
    }
}

/// The rule with so many times its ports; 0 is the rule without a range.
fn with_ports(source: &NatSource, times: u32) -> Option<(String, NatSource)> {
    let mut changed = source.clone();
    match &mut changed {
        NatSource::Linux { ports, .. } => {
            let old = (*ports)?;
            let PortRange { low, .. } = old;
            let size = old.size().saturating_mul(times);
            let high = u16::try_from(u32::from(low) + size.saturating_sub(1)).ok();
            *ports = match (times, high) {
                (0, _) => None,
                (_, Some(high)) => Some(PortRange::new(low, high)),
                (_, None) => return None,
            };
            let words = ports.map_or_else(
                || "no range in the rule: 1024-65535".to_owned(),
                |ports| format!("ports {ports} in the rule"),
            );
            Some((words, changed))
        }
        NatSource::Preset(_) | NatSource::Quota { .. } => {
            let quota = quota_of(source)?;
            let ports = quota.ports.checked_mul(times).filter(|ports| *ports > 0)?;
            let words = format!("{ports} ports for each client");
            let changed = NatSource::Quota {
                ports_per_client: ports,
                hold_after_close: Duration::from_nanos(quota.hold_after_close),
                idle: Duration::from_nanos(quota.idle),
            };
            (quota.share == Share::Client && ports <= 64_512).then_some((words, changed))
        }
    }
}

fn quota_of(source: &NatSource) -> Option<fourtuple_kernel::nat::QuotaNat> {
    match compile::nat_source(source)? {
        SourceNat::Quota(quota) => Some(quota),
        SourceNat::Linux(_) => None,
    }
}

fn wider(case: &Case, situation: &Situation) -> Change {
    sources(
        case,
        situation,
        &[
            &|source| with_ports(source, 2),
            &|source| with_ports(source, 4),
            &|source| with_ports(source, 16),
            &|source| with_ports(source, 0),
        ],
        "the rule has no range: all ports from 1024 on are used already",
    )
}

/// Gives the rule several consecutive addresses, which the NAT host gets where no host has them.
fn more_addresses(case: &Case, situation: &Situation) -> Change {
    let mut made = Vec::new();
    for count in [2, 4, 8] {
        let mut case = case.clone();
        let Some(all) = consecutive(&case, situation, count) else {
            continue;
        };
        if let Some(host) = case.hosts_mut().get_mut(&situation.nat) {
            let missing: Vec<IpAddr> = (all.iter().copied())
                .filter(|ip| !host.addresses.contains(ip))
                .collect();
            host.addresses.extend(missing);
        }
        if let Some(NatSource::Linux { addresses, .. }) =
            edit::nat_source(&mut case, &situation.nat)
            && addresses.len() < all.len()
        {
            let shown: Vec<String> = all.iter().map(ToString::to_string).collect();
            *addresses = all;
            made.push((format!("snat to {}", shown.join(", ")), case));
        }
    }
    match made.is_empty() {
        true => Change::Nothing(PROVIDER.to_owned()),
        false => Change::To(made),
    }
}

/// The address of the rule and those behind it, if no other host has one of them.
fn consecutive(case: &Case, situation: &Situation, count: u8) -> Option<Vec<IpAddr>> {
    let host = case.hosts.get(&situation.nat)?;
    let first = match &host.nat.as_ref()?.source {
        Some(NatSource::Linux { addresses, .. }) => addresses.first().copied(),
        _ => return None,
    };
    let v4 = |ip: &&IpAddr| ip.is_ipv4();
    let IpAddr::V4(first) = first.or_else(|| host.addresses.iter().find(v4).copied())? else {
        return None;
    };
    let others = || {
        case.hosts
            .iter()
            .filter(|(name, _)| **name != situation.nat)
    };
    let taken = |ip: IpAddr| others().any(|(_, host)| host.addresses.contains(&ip));
    let after = |n: u8| {
        Some(IpAddr::from(
            u32::from(first).checked_add(n.into())?.to_be_bytes(),
        ))
    };
    let all: Option<Vec<IpAddr>> = (0..count).map(after).collect();
    all.filter(|all| !all.iter().any(|ip| taken(*ip)))
}

fn fully_random(case: &Case, situation: &Situation) -> Change {
    let fully = |source: &NatSource| match source {
        NatSource::Linux { random, .. } if *random != NatRandom::Fully => {
            let mut changed = source.clone();
            if let NatSource::Linux { random, .. } = &mut changed {
                *random = NatRandom::Fully;
            }
            Some(("random: fully-random".to_owned(), changed))
        }
        _ => None,
    };
    let otherwise = "the rule has it, or is a provider's";
    sources(case, situation, &[&fully], otherwise)
}

/// Sets a sysctl of the NAT host to each of some values.
fn sysctl(case: &Case, situation: &Situation, key: &str, values: &[String]) -> Change {
    let mut made = Vec::new();
    for value in values {
        let mut case = case.clone();
        if edit::sysctl(&mut case, std::slice::from_ref(&situation.nat), key, value) {
            made.push((format!("{key} = {value} on {}", situation.nat), case));
        }
    }
    match made.is_empty() {
        true => Change::Nothing("it is set to that already".to_owned()),
        false => Change::To(made),
    }
}

fn shorter_time_wait(case: &Case, situation: &Situation) -> Change {
    let (state, _) = TcpState::TimeWait.timeout();
    let values = ["30", "10", "1"].map(str::to_owned);
    sysctl(case, situation, &format!("{TIMEOUT}{state}"), &values)
}

fn larger_table(case: &Case, situation: &Situation) -> Change {
    const MAX: &str = "net.netfilter.nf_conntrack_max";
    let host = case.hosts.get(&situation.nat);
    let set = host.and_then(|host| host.sysctl.get(MAX)?.parse::<u32>().ok());
    let Some(set) = set else {
        return Change::Nothing("the table has room for 262,144 flows".to_owned());
    };
    let values = [2, 4, 16].map(|times| set.saturating_mul(times).to_string());
    sysctl(case, situation, MAX, &values)
}

/// Why nothing about closed connections helps.
fn held(rule: Option<Rule>) -> &'static str {
    match rule {
        Some(Rule::NatDrop) => "the ports are held by connections that are open",
        _ => "the ports are not held by closed connections",
    }
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: "nat-wider-range",
        name: "wider range of ports in the NAT rule",
        who: Actor::NatHost,
        cost: "room, not a cure; without a range Linux has 64,512 ports, a provider hands out fewer blocks",
        change: Edit::By(wider),
        removes: &[Cause::Nat],
        ..ENTRY
    },
    Entry {
        id: "nat-time-wait",
        name: "shorter nf_conntrack_tcp_timeout_time_wait",
        who: Actor::NatHost,
        cost: "late packets of the old connection meet the new one; since 6.5 such ports are given away anyway",
        change: Edit::By(shorter_time_wait),
        idle: held,
        removes: &[Cause::Nat],
        ..ENTRY
    },
    Entry {
        id: "nat-larger-table",
        name: "larger nf_conntrack_max",
        who: Actor::NatHost,
        cost: "about 300 bytes of the kernel's memory for each flow",
        change: Edit::By(larger_table),
        idle: |_| "the table has room; the ports towards this destination are taken",
        removes: &[Cause::Nat],
        ..ENTRY
    },
    Entry {
        id: "nat-more-addresses",
        name: "more addresses in the NAT rule (snat)",
        who: Actor::NatHost,
        cost: "addresses to route and to allow; the address is a hash of client and destination, so that one pair never has more than one",
        change: Edit::By(more_addresses),
        idle: |_| "the address is a hash of client and destination: a full address is not left for another",
        ..ENTRY
    },
    Entry {
        id: "nat-fully-random",
        name: "fully-random in the NAT rule",
        who: Actor::NatHost,
        cost: "no connection keeps its port",
        change: Edit::By(fully_random),
        idle: |_| "it decides which port is tried first, not how many there are",
        often_tried: true,
        ..ENTRY
    },
    Entry {
        id: "nat-local-range",
        name: "wider ip_local_port_range on the NAT host",
        who: Actor::NatHost,
        cost: "none",
        change: Edit::By(|case, situation| {
            sysctl(case, situation, edit::RANGE, &["1024 65535".to_owned()])
        }),
        idle: |_| "NAT takes its ports from the rule, or 1024-65535; the range is for sockets of the host",
        stale: Some("the setting of another mechanism"),
        often_tried: true,
        ..ENTRY
    },
    Entry {
        id: "nat-tw-reuse",
        name: "tcp_tw_reuse = 1 on the NAT host",
        who: Actor::NatHost,
        cost: "none",
        change: Edit::By(|case, situation| {
            sysctl(case, situation, "net.ipv4.tcp_tw_reuse", &["1".to_owned()])
        }),
        idle: |_| "it is for sockets of the host; connection tracking has timeouts of its own",
        stale: Some("the setting of another mechanism"),
        often_tried: true,
        ..ENTRY
    },
];
