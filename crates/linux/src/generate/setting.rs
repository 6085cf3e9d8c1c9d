//! The environment of a generated program: its hosts, addresses, port range and sysctls.

use super::Kind;
use crate::program::{Call, HostSpec};
use fourtuple_harness::SeededRng;
use std::net::{IpAddr, SocketAddr};

/// Addresses of the loopback interface, repeated by weight.
const LOOPBACK4: &[&str] = &[
    "127.0.0.1",
    "127.0.0.1",
    "127.0.0.1",
    "127.0.0.2",
    "127.0.0.2",
    "127.0.0.3",
];
const LOOPBACK6: &[&str] = &["::1", "::1", "::1", "::ffff:127.0.0.1", "::ffff:127.0.0.2"];
const WILD4: &[&str] = &["0.0.0.0"];
const WILD6: &[&str] = &["::", "::", "::ffff:0.0.0.0"];
/// Addresses that no host has.
const FOREIGN4: &[&str] = &["10.99.0.1"];
const FOREIGN6: &[&str] = &["2001:db8::99", "::ffff:10.99.0.1"];

/// The environment that all steps of a program share.
pub(super) struct Setting {
    pub(super) hosts: Vec<HostSpec>,
    /// The range of local ports.
    pub(super) range: (u16, u16),
    pub(super) uids: &'static [u32],
    /// The range is the default of a new namespace.
    pub(super) fresh_range: bool,
}

impl Setting {
    pub(super) fn new(rng: &mut SeededRng, kind: Kind) -> Setting {
        let low = rng.pick(&[40000, 40000, 40001, 32768, 61003]);
        let size = rng.weighted(&[
            (4, 1),
            (4, 2),
            (2, 3),
            (3, 4),
            (2, 5),
            (1, 6),
            (1, 7),
            (2, 8),
        ]);
        let mut setting = Setting {
            hosts: Vec::new(),
            range: (low, low + size - 1),
            uids: if kind.users && rng.percent(40) {
                &[0, 0, 1000, 1001]
            } else {
                &[0]
            },
            fresh_range: false,
        };
        if rng.percent(2) {
            setting.fresh_range = true;
            return setting;
        }
        if kind.links && rng.percent(10) {
            setting.hosts = two_hosts();
            for host in &mut setting.hosts {
                let (low, high) = setting.range;
                host.sysctls.insert(
                    "net.ipv4.ip_local_port_range".into(),
                    format!("{low} {high}"),
                );
            }
        }
        setting
    }

    /// The first steps, which set up the environment.
    pub(super) fn steps(&self, rng: &mut SeededRng, kind: Kind) -> Vec<Call> {
        let mut steps = Vec::new();
        let (low, high) = self.range;
        if self.hosts.is_empty() {
            steps.push(Call::Ns);
        }
        if self.fresh_range {
            return steps;
        }
        if self.hosts.is_empty() {
            steps.push(sysctl(
                "net.ipv4.ip_local_port_range",
                format!("{low} {high}"),
            ));
        }
        if rng.percent(20) {
            let first = low + rng.below(usize::from(high - low) + 1) as u16;
            let last = (first + rng.below(3) as u16).min(high);
            let ports = if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            };
            steps.push(sysctl("net.ipv4.ip_local_reserved_ports", ports));
        }
        for _ in 0..rng.weighted(&[(4, 0), (4, 1), (2, 2), (1, 3)]) {
            steps.push(any_sysctl(rng, kind));
        }
        steps
    }

    pub(super) fn port_in_range(&self, rng: &mut SeededRng) -> u16 {
        self.range.0 + rng.below(usize::from(self.range.1 - self.range.0) + 1) as u16
    }

    /// An address to bind to on a host.
    pub(super) fn local(&self, rng: &mut SeededRng, host: usize, v6: bool) -> IpAddr {
        let what = rng.weighted(&[(12, 0), (5, 1), (1, 2)]);
        let texts = match (what, v6) {
            // The model routes every address, the runner only those of hosts.
            (2, _) if !self.hosts.is_empty() => return self.own(rng, host, v6),
            (1, false) => WILD4,
            (1, true) => WILD6,
            (2, false) => FOREIGN4,
            (2, true) => FOREIGN6,
            _ => return self.own(rng, host, v6),
        };
        address(rng.pick(texts))
    }

    /// An address that a host has.
    pub(super) fn own(&self, rng: &mut SeededRng, host: usize, v6: bool) -> IpAddr {
        let own: Vec<IpAddr> = self.hosts.get(host).map_or_else(Vec::new, |h| {
            h.addresses
                .iter()
                .copied()
                .filter(|a| a.is_ipv6() == v6)
                .collect()
        });
        if !own.is_empty() && rng.percent(80) {
            return rng.pick(&own);
        }
        address(rng.pick(if v6 { LOOPBACK6 } else { LOOPBACK4 }))
    }

    /// An address to connect to that may have no listener.
    pub(super) fn remote(&self, rng: &mut SeededRng, host: usize, v6: bool) -> IpAddr {
        match rng.weighted(&[(8, 0), (2, 1), (1, 2)]) {
            0 => self.own(rng, host, v6),
            _ if !self.hosts.is_empty() => self.own(rng, host ^ 1, v6),
            1 => address(rng.pick(if v6 { WILD6 } else { WILD4 })),
            _ => address(rng.pick(if v6 { FOREIGN6 } else { FOREIGN4 })),
        }
    }
}

/// A random sysctl write, before or in the middle of a program.
pub(super) fn any_sysctl(rng: &mut SeededRng, kind: Kind) -> Call {
    let (key, values): (&str, &[&str]) = rng.weighted(&[
        (
            6,
            ("net.ipv4.tcp_tw_reuse", ["0", "1", "1", "2"].as_slice()),
        ),
        (2, ("net.ipv4.tcp_timestamps", &["0", "1"])),
        (3, ("net.ipv4.ip_autobind_reuse", &["0", "1", "1"])),
        (2, ("net.ipv4.ip_nonlocal_bind", &["0", "1", "1"])),
        (1, ("net.ipv6.ip_nonlocal_bind", &["0", "1", "1"])),
        (
            3,
            ("net.ipv4.tcp_tw_reuse_delay", &["1", "80", "150", "1000"]),
        ),
        (1, ("net.ipv4.tcp_max_tw_buckets", &["0", "1", "2"])),
        (1, ("net.ipv4.tcp_rfc1337", &["1"])),
        (1, ("net.ipv4.tcp_tw_recycle", &["0", "1"])),
        (1, ("net.ipv6.bindv6only", &["0", "1"])),
        (1, ("net.core.somaxconn", &["1", "2", "128"])),
        (
            1,
            (
                "net.ipv4.ip_unprivileged_port_start",
                &["0", "80", "81", "1024"],
            ),
        ),
        (
            1,
            (
                "net.ipv4.ip_local_port_range",
                &["40000 40001", "32768 32769", "1000 1002", "70 60", "0 5"],
            ),
        ),
        (1, ("net.ipv4.ip_local_port_step_width", &["0", "2", "3"])),
        (
            if kind.virtual_time { 3 } else { 1 },
            ("net.ipv4.tcp_fin_timeout", &["1", "2", "5", "30", "70"]),
        ),
    ]);
    sysctl(key, rng.pick(values))
}

fn sysctl(key: &str, value: impl Into<String>) -> Call {
    Call::Sysctl {
        key: key.into(),
        value: value.into(),
    }
}

fn two_hosts() -> Vec<HostSpec> {
    [
        ("a", ["10.0.0.1", "10.0.0.2", "fd00::1"]),
        ("b", ["10.0.0.3", "10.0.0.4", "fd00::3"]),
    ]
    .map(|(name, addresses)| HostSpec {
        name: name.into(),
        addresses: addresses.map(address).to_vec(),
        ..HostSpec::default()
    })
    .to_vec()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or(IpAddr::from([127, 0, 0, 1]))
}

/// The address by which a socket of a family reaches `at`: a mapped one for an IPv6 socket and an
/// IPv4 address.
pub(crate) fn seen_from(at: SocketAddr, v6: bool) -> SocketAddr {
    let ip = match at.ip() {
        IpAddr::V4(ip) if v6 && ip.is_unspecified() => IpAddr::from([0u16; 8]),
        IpAddr::V4(ip) if v6 => ip.to_ipv6_mapped().into(),
        IpAddr::V6(ip) if !v6 => ip
            .to_ipv4_mapped()
            .map_or(IpAddr::from([127, 0, 0, 1]), Into::into),
        ip => ip,
    };
    SocketAddr::new(ip, at.port())
}
