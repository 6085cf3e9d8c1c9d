//! The model under arbitrary calls: any call on any socket at any time, also on those that are
//! gone.
//!
//! Two worlds get the same calls; one of them explains its refusals. They must never differ.

use fourtuple_kernel::profile::{self, Profile};
use fourtuple_kernel::{
    Family, MachineId, PortRange, Seeded, ShortName, Shutdown, SockOpt, World, WorldNs, WorldSock,
    sysctl_names,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::task::Poll;

/// Most calls of one input; more only makes it slow.
const CALLS: usize = 400;

/// Bytes as a source of small decisions; zeros once they have run out.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = match self.0 {
            [first, rest @ ..] => (*first, rest),
            [] => (0, &[][..]),
        };
        self.0 = rest;
        first
    }

    fn wide(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    fn bit(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let at = usize::from(self.byte());
        (!list.is_empty()).then(|| &list[at % list.len()])
    }

    fn ip(&mut self) -> IpAddr {
        let v4 = |a, b, c, d| IpAddr::V4(Ipv4Addr::new(a, b, c, d));
        let list = [
            v4(0, 0, 0, 0),
            v4(127, 0, 0, 1),
            v4(127, 0, 0, 2),
            v4(10, 0, 0, 1),
            v4(10, 0, 0, 2),
            v4(10, 0, 0, 3),
            v4(10, 9, 9, 9),
            v4(224, 0, 0, 1),
            v4(255, 255, 255, 255),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
            IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
            IpAddr::V6(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped()),
            IpAddr::V6(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped()),
        ];
        let at = usize::from(self.byte());
        match list.get(at) {
            Some(ip) => *ip,
            None => Ipv4Addr::new(127, 0, 0, at as u8).into(),
        }
    }

    fn port(&mut self) -> u16 {
        match self.byte() {
            0 => 0,
            n @ 1..16 => 40_000 + u16::from(n % 6),
            n @ 16..32 => 5_000 + u16::from(n % 3),
            _ => self.wide(),
        }
    }

    fn endpoint(&mut self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.port())
    }

    fn option(&mut self) -> SockOpt {
        match self.byte() % 13 {
            0 => SockOpt::ReuseAddr(self.bit()),
            1 => SockOpt::ReusePort(self.bit()),
            2 => SockOpt::BindAddressNoPort(self.bit()),
            3 => SockOpt::LocalPortRange(PortRange::new(self.port(), self.port())),
            4 => SockOpt::V6Only(self.bit()),
            5 => SockOpt::Linger(self.bit().then(|| u32::from(self.byte()))),
            6 => {
                let names = ["", "lo", "eth0"];
                let name = names[usize::from(self.byte() % 3)];
                SockOpt::BindToDevice(ShortName::new(name).expect("a short name"))
            }
            7 => SockOpt::FreeBind(self.bit()),
            8 => SockOpt::Transparent(self.bit()),
            9 => SockOpt::Linger2(i32::from(self.wide() as i16)),
            10 => SockOpt::Repair(self.bit()),
            11 => SockOpt::AttachReuseportBpf(true),
            _ => SockOpt::SynCount(self.byte()),
        }
    }

    /// A value for a sysctl, valid or not.
    fn value(&mut self) -> String {
        match self.byte() % 8 {
            0 => "40000 40003".to_owned(),
            1 => format!("{} {}", self.wide(), self.wide()),
            2 => format!("{}-{}", self.port(), self.port()),
            3 => "0".to_owned(),
            4 => "-1".to_owned(),
            5 => self.byte().to_string(),
            6 => u64::MAX.to_string(),
            _ => {
                let text: Vec<u8> = (0..self.byte() % 16).map(|_| self.byte()).collect();
                String::from_utf8_lossy(&text).into_owned()
            }
        }
    }
}

fn profiles() -> &'static [Profile] {
    static ALL: OnceLock<Vec<Profile>> = OnceLock::new();
    ALL.get_or_init(profile::all)
}

/// A world of two machines, the first with two namespaces.
struct Simulation {
    world: World<Seeded>,
    machines: [MachineId; 2],
    hosts: [WorldNs; 3],
    socks: Vec<WorldSock>,
}

impl Simulation {
    fn new(kernels: [&Profile; 2], seed: u64, explain: bool) -> Self {
        let mut world = World::new();
        let [a, b] = kernels;
        let first = world.add_machine(a.behaviours, Seeded::new(seed, "first"));
        let second = world.add_machine(b.behaviours, Seeded::new(seed, "second"));
        let hosts = [
            world.add_namespace(first),
            world.add_namespace(first),
            world.add_namespace(second),
        ];
        for (host, last) in hosts.into_iter().zip(1..) {
            world.add_address(host, Ipv4Addr::new(10, 0, 0, last).into());
            let v6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last));
            world.add_address(host, v6.into());
            // A small range: the searches come to its end soon. Refused where it is the machine's.
            let _ = world.sysctl(host, "net.ipv4.ip_local_port_range", "40000 40005");
        }
        world.set_explain(explain);
        Simulation {
            world,
            machines: [first, second],
            hosts,
            socks: Vec::new(),
        }
    }

    /// Makes one call and returns its answer as text.
    fn call(&mut self, bytes: &mut Bytes<'_>) -> String {
        let op = bytes.byte() % 18;
        let host = self.hosts[usize::from(bytes.byte() % 3)];
        if op < 3 {
            let family = if bytes.byte().is_multiple_of(3) {
                Family::Inet6
            } else {
                Family::Inet
            };
            let sock = self.world.socket(host, family, u32::from(bytes.byte() % 3));
            self.socks.push(sock);
            return String::new();
        }
        if op == 3 {
            let step = u64::from(bytes.wide());
            let unit = *bytes
                .of(&[1_u64, 1_000, 1_000_000, 100_000_000, 1 << 48])
                .unwrap_or(&1);
            let to = self.world.now().after(step.saturating_mul(unit));
            self.world.advance(to);
            return format!("{:?}", self.world.next_event());
        }
        if op == 4 {
            let key = *bytes.of(&sysctl_names()).unwrap_or(&"none");
            let value = bytes.value();
            return format!("{:?}", self.world.sysctl(host, key, &value));
        }
        if op == 5 && bytes.byte() < 8 {
            self.world.crash(host);
            return String::new();
        }
        let Some(sock) = bytes.of(&self.socks).copied() else {
            return String::new();
        };
        let w = &mut self.world;
        match op {
            5 => format!("{:?}", w.connect_result(sock)),
            6 => format!("{:?}", w.set_option(sock, bytes.option())),
            7 | 8 => format!("{:?}", w.bind(sock, bytes.endpoint())),
            9 => format!("{:?}", w.listen(sock, u32::from(bytes.byte()))),
            10 | 11 => format!("{:?}", w.connect(sock, bytes.endpoint())),
            12 => match w.accept(sock, u32::from(bytes.byte() % 3)) {
                Poll::Ready(Ok(child)) => {
                    self.socks.push(child);
                    format!("{child:?}")
                }
                other => format!("{other:?}"),
            },
            13 => format!("{:?}", w.send(sock, u32::from(bytes.wide()))),
            14 => format!("{:?}", w.recv(sock, u32::from(bytes.wide()))),
            15 => {
                let how = [Shutdown::Read, Shutdown::Write, Shutdown::Both];
                format!("{:?}", w.shutdown(sock, how[usize::from(bytes.byte() % 3)]))
            }
            16 => format!("{:?}", w.disconnect(sock)),
            _ => {
                w.close(sock);
                String::new()
            }
        }
    }

    fn assert_invariants(&self) {
        for machine in self.machines {
            self.world.machine(machine).assert_invariants();
        }
    }

    /// The observable state.
    fn view(&self) -> String {
        let mut seen = String::new();
        for host in self.hosts {
            let (buckets, sockets) = (self.world.buckets(host), self.world.sockets(host));
            seen += &format!("{buckets:?}{sockets:?}");
        }
        for &sock in &self.socks {
            seen += &format!(
                "{:?}{:?}",
                self.world.local_addr(sock),
                self.world.peer_addr(sock)
            );
        }
        seen
    }
}

/// Any calls on any kernels: no panic, no overflow, the invariants hold after every call, and
/// nothing depends on whether refusals are explained.
pub fn model(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (Some(a), Some(b)) = (bytes.of(profiles()), bytes.of(profiles())) else {
        return;
    };
    let seed = u64::from(bytes.byte());
    let mut silent = Simulation::new([a, b], seed, false);
    let mut explaining = Simulation::new([a, b], seed, true);
    for _ in 0..CALLS {
        if bytes.0.is_empty() {
            break;
        }
        let mut same = Bytes(bytes.0);
        let answer = silent.call(&mut bytes);
        assert_eq!(answer, explaining.call(&mut same), "reasons change answers");
        silent.assert_invariants();
        if let Some(refusal) = explaining.world.take_refusal() {
            assert!(
                answer.contains(&format!("{:?}", refusal.errno)),
                "{answer} is explained by {refusal:?}"
            );
        }
    }
    assert_eq!(silent.view(), explaining.view(), "reasons change the state");
}
