//! A NAT host between a client and a server: the client connects to one destination, from each of
//! its ports by number, until all 64,512 are taken, on the model and on the running kernel with
//! nftables. Without bind() the kernel would spend most of the time on ephemeral port selection.

use crate::clock::best;
use crate::memory;
use cpu_time::ThreadTime;
use fourtuple_kernel::nat::{LinuxNat, NatRules, SourceNat};
use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::{Family, Seeded, World, WorldNs};
use socket2::{Domain, SockAddr, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::Command;
use std::task::Poll;
use std::time::Duration;

/// The argument with which this program listens behind the NAT host.
pub(crate) const SERVER: &str = "nat-server";
/// The argument with which it connects from before the NAT host.
pub(crate) const CLIENT: &str = "nat-client";
/// The ports of masquerade for clients with ports from 1024 on.
pub(crate) const PORTS: usize = 64_512;
/// The first of them.
const FIRST: u16 = 1024;
/// The connections of one process.
const PART: usize = 16_128;
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
const TO: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, 10), 80);

/// The network of the measurement on the running kernel. The first argument is this program. The
/// namespaces have their names in a mount namespace of their own, and end with it.
const LAB: &str = r#"
set -e
server=
trap 'test -z "$server" || kill $server' EXIT
mount --make-rprivate /
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
for name in client nat server; do ip netns add $name; ip -n $name link set lo up; done
ip link add in netns nat type veth peer name eth0 netns client
ip link add out netns nat type veth peer name eth0 netns server
ip -n nat addr add 10.1.0.1/24 dev in; ip -n nat link set in up
ip -n nat addr add 10.9.0.1/24 dev out; ip -n nat link set out up
ip -n client addr add 10.1.0.2/24 dev eth0; ip -n client link set eth0 up
ip -n client route add default via 10.1.0.1
ip -n server addr add 10.9.0.10/24 dev eth0; ip -n server link set eth0 up
ip netns exec server sh -c 'echo 65535 > /proc/sys/net/core/somaxconn'
ip netns exec nat sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
ip netns exec nat nft -f - <<RULES
table ip nat { chain post { type nat hook postrouting priority 100; oifname "out" masquerade; }; }
RULES
ip netns exec server "$0" nat-server < /dev/null > /dev/null &
server=$!
ip netns exec client "$0" nat-client
ip netns exec nat cat /proc/sys/net/netfilter/nf_conntrack_count
"#;

/// The model's NAT host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    /// Nanoseconds per connection: the sockets of both ends, and the flow.
    pub(crate) nanos: f64,
    /// The same without a NAT host.
    pub(crate) direct: f64,
    /// Bytes that a connection takes more than without a NAT host.
    pub(crate) bytes: f64,
}

/// A client, a host in between, and a server that listens.
fn world(profile: &Profile, nat: bool) -> (World<Seeded>, WorldNs) {
    let mut world = World::new();
    let mut host = |name: &str, ip: IpAddr| {
        let machine = world.add_machine(profile.behaviours, Seeded::new(1, name));
        let ns = world.add_namespace(machine);
        world.add_address(ns, ip);
        ns
    };
    let client = host("client", CLIENT_IP.into());
    let router = host("nat", Ipv4Addr::new(10, 9, 0, 1).into());
    let server = host("server", (*TO.ip()).into());
    if nat {
        world.set_router(client, router);
        let source = Some(SourceNat::Linux(LinuxNat::default()));
        let rules = NatRules {
            source,
            destinations: Vec::new(),
        };
        world.set_nat(router, rules);
    }
    let set = world.sysctl(server, "net.core.somaxconn", "65535");
    set.expect("every kernel has it");
    let listener = world.socket(server, Family::Inet, 0);
    world.bind(listener, TO.into()).expect("the port is free");
    world.listen(listener, 65_535).expect("it is bound");
    (world, client)
}

fn fill(world: &mut World<Seeded>, client: WorldNs) {
    for port in FIRST..=u16::MAX {
        let sock = world.socket(client, Family::Inet, 0);
        let at = SocketAddr::from((CLIENT_IP, port));
        world.bind(sock, at).expect("the port is free");
        let made = world.connect(sock, SocketAddr::V4(TO));
        assert_eq!(made, Poll::Ready(Ok(())), "there is a port");
    }
}

/// Fills the ports of a NAT host of the model.
pub(crate) fn model(profile: &Profile) -> Model {
    let measured = |nat: bool| {
        let nanos = best(5, || {
            let (mut world, client) = world(profile, nat);
            fill(&mut world, client);
            world
        });
        let before = memory::used();
        let (mut world, client) = world(profile, nat);
        fill(&mut world, client);
        let bytes = memory::used() - before;
        (nanos / PORTS as f64, bytes as f64 / PORTS as f64)
    };
    let (direct, without) = measured(false);
    let (nanos, with) = measured(true);
    Model {
        nanos,
        direct,
        bytes: with - without,
    }
}

/// Nanoseconds per connection through nftables on the running kernel, the least of some fills.
pub(crate) fn kernel(runs: usize) -> Result<f64, String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut least = f64::INFINITY;
    for _ in 0..runs {
        let output = Command::new("unshare")
            .args(["--mount", "--net", "sh", "-c", LAB])
            .arg(&this)
            .output()
            .map_err(|e| format!("failed to start unshare: {e}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        let (Some((flows, times)), true) = (numbers.split_last(), output.status.success()) else {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or("no message");
            return Err(format!(
                "it needs root, ip and nft, and namespaces cannot be made here: {said}"
            ));
        };
        if *flows < PORTS as f64 {
            return Err(format!("{flows} flows instead of {PORTS}"));
        }
        least = least.min(times.iter().sum::<f64>() / PORTS as f64);
    }
    Ok(least)
}

/// Listens until it is ended.
pub(crate) fn server() -> Result<(), std::io::Error> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SockAddr::from(TO))?;
    listener.listen(65_535)?;
    loop {
        std::thread::park();
    }
}

/// Makes a part of the connections and prints the nanoseconds that they took; another process makes
/// the rest while these are held, because a process may open only so many files.
pub(crate) fn client(left: Option<String>) -> Result<(), std::io::Error> {
    let left = left.and_then(|n| n.parse().ok()).unwrap_or(PORTS);
    let part = left.min(PART);
    rlimit::increase_nofile_limit(part as u64 + 100)?;
    // The ports count down, so that those that are left are the lowest.
    let ports = (left - part..left).rev().map(|n| FIRST + n as u16);
    let mut held = Vec::with_capacity(part);
    let start = ThreadTime::now();
    for port in ports {
        held.push(connect(port)?);
    }
    println!("{}", start.elapsed().as_nanos());
    if left > part {
        let mut rest = Command::new(std::env::current_exe()?);
        let rest = rest.args([CLIENT, &(left - part).to_string()]).status()?;
        if !rest.success() {
            return Err(std::io::Error::other("a part of the connections failed"));
        }
    }
    Ok(())
}

/// Connects from a port. The server starts at the same time as the client, so that the first
/// connection may have to wait for it.
fn connect(port: u16) -> Result<Socket, std::io::Error> {
    let from = SockAddr::from(SocketAddrV4::new(CLIENT_IP, port));
    for _ in 0..100 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        client.bind(&from)?;
        match client.connect(&SockAddr::from(TO)) {
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
                std::thread::sleep(Duration::from_millis(50));
            }
            connected => return connected.map(|()| client),
        }
    }
    Err(std::io::Error::other("the server does not listen"))
}
