//! Hosts, addresses, sysctls and the network of a generated scenario.

use fourtuple_harness::SeededRng;
use fourtuple_kernel::profile;
use fourtuple_scenario::{
    Fault, FaultKind, Host, Latency, Loss, Network, Options, PortRange, SockOpt, Switch,
};
use fourtuple_syscall::ShortName;
use indexmap::IndexMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Shape, nat};

/// Everything that the calls of a scenario refer to.
pub(super) struct Setting {
    pub(super) kernels: Vec<String>,
    pub(super) hosts: IndexMap<String, Host>,
    pub(super) network: Network,
    pub(super) time_wait: Option<Duration>,
    /// The range of local ports of most hosts.
    range: (u16, u16),
    pub(super) real: bool,
    /// Destinations that NAT hosts translate.
    services: Vec<SocketAddr>,
}

const HOSTS: [&str; 4] = ["app", "api", "db", "web"];
/// Ports that servers have.
const SERVICES: [u16; 4] = [80, 3000, 5000, 5001];

impl Setting {
    pub(super) fn new(rng: &mut SeededRng, shape: &Shape) -> Self {
        let low = rng.pick(&[40_000, 40_000, 40_001, 32_768, 61_003, 65_530]);
        let size = rng.weighted(&[
            (4, 1),
            (4, 2),
            (3, 3),
            (3, 4),
            (2, 5),
            (2, 8),
            (1, 64),
            (1, 200),
        ]);
        let mut setting = Setting {
            kernels: kernels(rng, shape),
            hosts: IndexMap::new(),
            network: Network::default(),
            time_wait: None,
            range: (low, low.saturating_add(size - 1)),
            real: shape.is_real(),
            services: Vec::new(),
        };
        let count = rng.weighted(&[(3, 1), (6, 2), (2, 3), (1, 4)]);
        for name in &HOSTS[..count] {
            let host = setting.host(rng);
            setting.hosts.insert((*name).to_owned(), host);
        }
        if !shape.is_real() {
            setting.spread(rng);
        }
        if count > 1 && rng.percent(15) {
            setting.services = nat::add(rng, &mut setting.hosts, setting.real);
        }
        setting
    }

    /// Returns `true` if some packets pass NAT hosts, which translate no datagrams.
    pub(super) fn has_nat(&self) -> bool {
        self.hosts.values().any(|host| host.nat.is_some())
    }

    fn host(&self, rng: &mut SeededRng) -> Host {
        let number = self.hosts.len() + 1;
        let mut host = Host::default();
        for n in 0..rng.between(1, 3) {
            host.addresses
                .push(IpAddr::from([10, 0, number as u8, 1 + n as u8]));
        }
        if rng.percent(8) {
            host.ipv6 = Some(Switch::Off);
        } else if rng.percent(40) {
            for n in 0..rng.between(1, 2) {
                let last = (number as u16) * 16 + n as u16;
                host.addresses
                    .push(IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last]));
            }
        }
        if !self.real && rng.percent(8) {
            host.hz = Some(rng.pick(&[100, 250, 300, 1000]));
        }
        if rng.percent(92) {
            let (low, high) = self.range;
            host.sysctl.insert(
                "net.ipv4.ip_local_port_range".to_owned(),
                format!("{low} {high}"),
            );
        }
        for _ in 0..rng.weighted(&[(5, 0), (4, 1), (2, 2), (1, 4)]) {
            let (key, value) = self.sysctl(rng);
            host.sysctl.insert(key, value);
        }
        for _ in 0..rng.weighted(&[(3, 0), (6, 1), (2, 2)]) {
            let at = self.service(rng, &host);
            // Two listeners with one address and port are a mistake of the file.
            if host.listen.iter().all(|other| other.port() != at.port()) {
                host.listen.push(at);
            }
        }
        host
    }

    /// An address to listen on that the host has.
    fn service(&self, rng: &mut SeededRng, host: &Host) -> SocketAddr {
        let port = rng.pick(&SERVICES);
        let ip = match rng.below(10) {
            0..3 => IpAddr::from([0, 0, 0, 0]),
            3 => IpAddr::from([0u16; 8]),
            4 => mapped(rng.pick(&host.addresses)),
            _ => rng.pick(&host.addresses),
        };
        SocketAddr::new(ip, port)
    }

    /// Several kernels, machines with several hosts, faults: what a real kernel does not do.
    fn spread(&mut self, rng: &mut SeededRng) {
        let names: Vec<String> = self.hosts.keys().cloned().collect();
        if rng.percent(15) {
            self.time_wait = Some(Duration::from_secs(rng.pick(&[1, 10, 30])));
        }
        if names.len() > 1 && rng.percent(20) {
            for host in self.hosts.values_mut() {
                host.machine = rng.percent(70).then(|| "box".to_owned());
            }
        } else if names.len() > 1 && rng.percent(15) {
            let kernel = kernel(rng);
            let (_, host) = self
                .hosts
                .get_index_mut(names.len() - 1)
                .expect("there are hosts");
            host.kernel = Some(kernel.into());
        }
        if rng.percent(15) {
            self.network = network(rng, &names);
        }
    }

    pub(super) fn sysctl(&self, rng: &mut SeededRng) -> (String, String) {
        let (low, high) = self.range;
        let reserved = match rng.percent(50) {
            true => low.to_string(),
            false => format!("{low}-{high}"),
        };
        let all: &[(&str, &[&str])] = &[
            ("net.ipv4.tcp_tw_reuse", &["0", "1", "1", "2"]),
            ("net.ipv4.tcp_timestamps", &["0", "1"]),
            ("net.ipv4.ip_autobind_reuse", &["0", "1"]),
            ("net.ipv4.ip_nonlocal_bind", &["0", "1"]),
            ("net.ipv6.ip_nonlocal_bind", &["1"]),
            ("net.ipv4.tcp_tw_reuse_delay", &["1", "100", "1000"]),
            ("net.ipv4.tcp_max_tw_buckets", &["0", "1", "2"]),
            ("net.ipv4.tcp_rfc1337", &["1"]),
            ("net.ipv4.tcp_tw_recycle", &["1"]),
            ("net.ipv6.bindv6only", &["1"]),
            ("net.core.somaxconn", &["1", "2", "128"]),
            ("net.ipv4.ip_unprivileged_port_start", &["0", "81", "1024"]),
            ("net.ipv4.ip_local_port_step_width", &["0", "2", "3"]),
            ("net.ipv4.tcp_fin_timeout", &["1", "5", "70"]),
            ("net.ipv4.tcp_syn_retries", &["1", "2"]),
            ("net.ipv6.conf.all.disable_ipv6", &["1"]),
        ];
        match rng.percent(20) {
            true => ("net.ipv4.ip_local_reserved_ports".to_owned(), reserved),
            false => {
                let (key, values) = rng.pick(all);
                (key.to_owned(), rng.pick(values).to_owned())
            }
        }
    }

    pub(super) fn any_host(&self, rng: &mut SeededRng) -> String {
        let at = rng.below(self.hosts.len());
        self.hosts
            .get_index(at)
            .map(|(name, _)| name.clone())
            .unwrap_or_default()
    }

    /// An address of a host, or one that its kernel takes for its own.
    fn own(&self, rng: &mut SeededRng, host: &str) -> IpAddr {
        let loopback = ["127.0.0.1", "127.0.0.2", "::1"];
        match self.hosts.get(host) {
            Some(host) if rng.percent(75) => rng.pick(&host.addresses),
            _ => parsed(rng.pick(&loopback)),
        }
    }

    /// An address and port to bind to.
    pub(super) fn local(&self, rng: &mut SeededRng, host: &str) -> SocketAddr {
        let ip = match rng.below(20) {
            0..5 => parsed(rng.pick(&["0.0.0.0", "0.0.0.0", "::", "::ffff:0.0.0.0"])),
            5 => parsed(rng.pick(&["10.99.0.1", "fd99::1", "::ffff:10.99.0.1"])),
            6..9 => mapped(self.own(rng, host)),
            _ => self.own(rng, host),
        };
        SocketAddr::new(ip, self.port(rng))
    }

    fn port(&self, rng: &mut SeededRng) -> u16 {
        match rng.below(10) {
            0..5 => 0,
            5..8 => self.in_range(rng),
            _ => rng.pick(&SERVICES),
        }
    }

    fn in_range(&self, rng: &mut SeededRng) -> u16 {
        self.range.0 + rng.below(usize::from(self.range.1 - self.range.0) + 1) as u16
    }

    /// An address and port to connect to: mostly one with a listener.
    /// `nowhere`: or one that no host has.
    pub(super) fn remote(&self, rng: &mut SeededRng, host: &str, nowhere: bool) -> SocketAddr {
        if !self.services.is_empty() && rng.percent(25) {
            return rng.pick(&self.services);
        }
        let target = self.any_host(rng);
        let listeners = self.hosts.get(&target).map_or(&[][..], |to| &to.listen);
        if !listeners.is_empty() && rng.percent(75) {
            let at = rng.pick(listeners);
            let ip = match at.ip() {
                ip if ip.is_unspecified() && rng.percent(90) => self.own(rng, &target),
                ip => ip,
            };
            let ip = match rng.percent(12) {
                true => mapped(ip),
                false => ip,
            };
            return SocketAddr::new(ip, at.port());
        }
        let ip = match rng.below(20) {
            0 => parsed(rng.pick(&["0.0.0.0", "::", "::ffff:0.0.0.0"])),
            1 if nowhere => {
                parsed(rng.pick(&["10.99.0.1", "fd99::1", "::ffff:10.99.0.1", "224.0.0.1"]))
            }
            2..5 => mapped(self.own(rng, host)),
            5..9 => self.own(rng, host),
            _ => self.own(rng, &target),
        };
        let port = match rng.percent(50) {
            true => rng.pick(&SERVICES),
            false => self.in_range(rng),
        };
        SocketAddr::new(ip, port)
    }

    /// The same for a socket of one family: as a mapped address, or as an IPv4 address of the host.
    pub(super) fn in_family(&self, at: SocketAddr, v6: bool, host: &str) -> SocketAddr {
        let ip = match (at.ip(), v6) {
            (ip, true) => mapped(ip),
            (IpAddr::V6(ip), false) => match ip.to_ipv4_mapped() {
                Some(ip) => ip.into(),
                None => self
                    .hosts
                    .get(host)
                    .map_or(at.ip(), |host| host.addresses[0]),
            },
            (ip, false) => ip,
        };
        SocketAddr::new(ip, at.port())
    }

    pub(super) fn uid(&self, rng: &mut SeededRng) -> u32 {
        rng.weighted(&[(8, 0), (1, 1000), (1, 1001)])
    }

    pub(super) fn options(&self, rng: &mut SeededRng) -> Options {
        let mut options = Options::default();
        for _ in 0..rng.weighted(&[(6, 0), (5, 1), (3, 2), (1, 3)]) {
            options.set(self.option(rng));
        }
        options
    }

    fn option(&self, rng: &mut SeededRng) -> SockOpt {
        let (low, high) = self.range;
        let on = rng.percent(90);
        match rng.below(31) {
            0..8 => SockOpt::ReuseAddr(on),
            8..13 => SockOpt::ReusePort(on),
            13..16 => SockOpt::BindAddressNoPort(on),
            16..18 => SockOpt::LocalPortRange(match rng.percent(50) {
                true => PortRange { low, high: low },
                false => PortRange {
                    low: low + (high - low) / 2,
                    high,
                },
            }),
            18..20 => SockOpt::V6Only(rng.percent(50)),
            20..22 => SockOpt::Linger(rng.pick(&[Some(0), None, Some(1)])),
            22 => device("lo"),
            23 => match rng.below(3) {
                // Real hosts have an interface for each of the others.
                0 if !self.real || self.hosts.len() == 2 => device("eth0"),
                index => SockOpt::BindToIfIndex(index.min(1) as u8),
            },
            24 | 25 => SockOpt::FreeBind(on),
            26 => SockOpt::Transparent(on),
            27 => SockOpt::Linger2(rng.pick(&[-1, 0, 1, 5])),
            28 => SockOpt::Repair(on),
            29 => SockOpt::AttachReuseportBpf(on),
            _ => SockOpt::SynCount(rng.pick(&[1, 2])),
        }
    }

    /// A pause between calls, 0 to longer than TIME-WAIT; on a real clock a few milliseconds.
    pub(super) fn pause(&self, rng: &mut SeededRng) -> Duration {
        let ms = match self.real {
            true => rng.pick(&[0, 1, 10, 50]),
            false => rng.pick(&[
                0, 0, 1, 1, 10, 40, 200, 1_000, 3_000, 30_000, 59_000, 61_000,
            ]),
        };
        Duration::from_millis(ms)
    }
}

fn device(name: &str) -> SockOpt {
    SockOpt::BindToDevice(ShortName::new(name).expect("it is short"))
}

fn kernels(rng: &mut SeededRng, shape: &Shape) -> Vec<String> {
    match &shape.kernel {
        Some(kernel) => vec![kernel.clone()],
        None => (0..rng.weighted(&[(6, 1), (2, 2), (1, 3)]))
            .map(|_| kernel(rng))
            .collect(),
    }
}

fn kernel(rng: &mut SeededRng) -> String {
    let names = profile::names();
    names[rng.below(names.len())].to_string()
}

/// Latency, loss, and things that happen to hosts and links.
fn network(rng: &mut SeededRng, names: &[String]) -> Network {
    let mut network = Network::default();
    if rng.percent(60) {
        let min = Duration::from_millis(rng.between(0, 20).into());
        let more = Duration::from_millis(rng.pick(&[0, 0, 5, 30]));
        network.latency = Some(Latency {
            min,
            max: min + more,
        });
    }
    if rng.percent(25) {
        network.loss = Loss {
            per_million: rng.pick(&[1_000, 50_000, 300_000]),
        };
    }
    for _ in 0..rng.weighted(&[(4, 0), (2, 1), (1, 3)]) {
        let host = names[rng.below(names.len())].clone();
        let other = names.iter().find(|name| **name != host).cloned();
        let kind = match (rng.below(6), other) {
            (0, Some(other)) => FaultKind::Partition(host, other),
            (1, Some(other)) => FaultKind::Repair(host, other),
            (2, Some(other)) => FaultKind::Hold(host, other),
            (3, Some(other)) => FaultKind::Release(host, other),
            (4, _) => FaultKind::Crash(host),
            _ => FaultKind::Bounce(host),
        };
        network.faults.push(Fault {
            at: Duration::from_millis(rng.pick(&[0, 1, 10, 100, 1_000, 30_000])),
            kind,
        });
    }
    network.faults.sort_by_key(|fault| fault.at);
    network
}

/// The IPv4-mapped form of an address, if it has one.
pub(super) fn mapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().into(),
        ip => ip,
    }
}

fn parsed(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
