//! NAT hosts of a generated scenario.

use fourtuple_harness::SeededRng;
use fourtuple_scenario::{Host, Nat, NatPreset, NatRandom, NatSource, PortRange, Spanned, Sysctls};
use indexmap::IndexMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The address of a service that NAT hosts translate.
const SERVICE: [u8; 4] = [10, 77, 0, 1];
const PORTS: [u16; 2] = [80, 3000];

/// Sends the packets of some hosts through another, which translates them. `is_real`: as kernels
/// themselves can. Returns the addresses of services.
pub(super) fn add(
    rng: &mut SeededRng,
    hosts: &mut IndexMap<String, Host>,
    is_real: bool,
) -> Vec<SocketAddr> {
    let router = rng.below(hosts.len());
    let Some((name, _)) = hosts.get_index(router) else {
        return Vec::new();
    };
    let via = Spanned::from(name.clone());
    let first = (router + 1) % hosts.len();
    let behind: Vec<usize> = (0..hosts.len())
        .filter(|at| *at != router && (*at == first || rng.percent(40)))
        .collect();
    for at in behind {
        hosts[at].via = Some(via.clone());
    }
    let backends = backends(hosts);
    let host = &mut hosts[router];
    let mut nat = Nat {
        source: rng.percent(90).then(|| source(rng, host, is_real)),
        dnat: Vec::new(),
    };
    // A kernel translates what the NAT host itself sends to a service; the model does not.
    if !is_real && !backends.is_empty() && (nat.source.is_none() || rng.percent(30)) {
        host.addresses.push(IpAddr::from(SERVICE));
        for port in PORTS {
            let count = rng.between(1, 3);
            let own = (0..count).map(|_| rng.pick(&backends)).collect();
            nat.dnat.push((SocketAddr::from((SERVICE, port)), own));
        }
    }
    if nat == Nat::default() {
        nat.source = Some(source(rng, host, is_real));
    }
    sysctls(rng, &mut host.sysctl, is_real);
    let services = nat.dnat.iter().map(|(to, _)| *to).collect();
    host.nat = Some(nat);
    services
}

/// Listeners that services may have as their backends.
fn backends(hosts: &IndexMap<String, Host>) -> Vec<SocketAddr> {
    let listeners = hosts.values().flat_map(|host| {
        host.listen.iter().map(|at| match at.ip().is_unspecified() {
            true => SocketAddr::new(host.addresses[0], at.port()),
            false => *at,
        })
    });
    listeners.filter(SocketAddr::is_ipv4).collect()
}

fn source(rng: &mut SeededRng, host: &Host, is_real: bool) -> NatSource {
    if !is_real && rng.percent(20) {
        return match rng.percent(20) {
            true => NatSource::Preset(rng.pick(NatPreset::ALL)),
            false => NatSource::Quota {
                ports_per_client: rng.between(1, 4),
                hold_after_close: Duration::from_secs(rng.pick(&[0, 1, 120])),
                idle: Duration::from_secs(rng.pick(&[2, 350])),
            },
        };
    }
    // Consecutive addresses.
    let own = host.addresses.iter().filter(|ip| ip.is_ipv4()).copied();
    let own: Vec<IpAddr> = own.collect();
    let low = rng.pick(&[40_000, 40_001, 65_532]);
    let size = rng.weighted(&[(3, 1), (3, 2), (2, 4), (1, 100)]);
    NatSource::Linux {
        addresses: match rng.percent(30) {
            true => own[..rng.below(own.len()) + 1].to_vec(),
            false => Vec::new(),
        },
        ports: rng.percent(80).then(|| PortRange {
            low,
            high: low.saturating_add(size - 1),
        }),
        random: rng.weighted(&[
            (5, NatRandom::No),
            (1, NatRandom::Random),
            (2, NatRandom::Fully),
        ]),
        persistent: rng.percent(20),
    }
}

fn sysctls(rng: &mut SeededRng, sysctls: &mut Sysctls, is_real: bool) {
    let all: &[(&str, &[&str])] = &[
        ("nf_conntrack_tcp_timeout_time_wait", &["0", "1", "5", "60"]),
        ("nf_conntrack_tcp_timeout_close", &["0", "1", "3"]),
        ("nf_conntrack_tcp_timeout_established", &["1", "30"]),
        ("nf_conntrack_tcp_timeout_syn_sent", &["1", "2"]),
        ("nf_conntrack_tcp_loose", &["0"]),
        ("nf_conntrack_max", &["1", "2", "4"]),
    ];
    let all = match is_real {
        true => &all[..2],
        false => all,
    };
    if rng.percent(40) {
        let (key, values) = rng.pick(all);
        let value = rng.pick(values).to_owned();
        sysctls.insert(format!("net.netfilter.{key}"), value);
    }
}
