//! A NAT host between a client and a server: the client connects to one destination until all
//! 64,512 ports are taken, on the model and on the running kernel with nftables.

use crate::clock::best;
use crate::memory;
use cpu_time::ThreadTime;
use fourtuple_kernel::nat::{LinuxNat, NatRules, SourceNat};
use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::{Family, Seeded, World, WorldNs};
use socket2::{Domain, SockAddr, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::process::Command;
use std::task::Poll;
use std::time::Duration;

/// The argument with which this program listens behind the NAT host.
pub(crate) const SERVER: &str = "nat-server";
/// The argument with which it connects from before the NAT host.
pub(crate) const CLIENT: &str = "nat-client";
/// The ports of masquerade for clients with ports from 1024 on.
pub(crate) const PORTS: usize = 64_512;
/// The range with which a client has as many ports.
const RANGE: &str = "1024 65535";
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
const TO: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, 10), 80);

/// The network of the measurement on the running kernel. The first argument is this program. The
/// namespaces have their names in a mount namespace of their own, and end with it.
const LAB: &str = r#"
set -e
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
ip netns exec client sh -c 'echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range'
ip netns exec server sh -c 'echo 65535 > /proc/sys/net/core/somaxconn'
ip netns exec nat sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
ip netns exec nat nft -f - <<RULES
table ip nat { chain post { type nat hook postrouting priority 100; oifname "out" masquerade; }; }
RULES
ip netns exec server "$0" nat-server < /dev/null &
ip netns exec client "$0" nat-client
ip netns exec nat cat /proc/sys/net/netfilter/nf_conntrack_count
kill $!
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
    for (ns, key, value) in [
        (client, "net.ipv4.ip_local_port_range", RANGE),
        (server, "net.core.somaxconn", "65535"),
    ] {
        world.sysctl(ns, key, value).expect("every kernel has it");
    }
    let listener = world.socket(server, Family::Inet, 0);
    world.bind(listener, TO.into()).expect("the port is free");
    world.listen(listener, 65_535).expect("it is bound");
    (world, client)
}

fn fill(world: &mut World<Seeded>, client: WorldNs) {
    for _ in 0..PORTS {
        let sock = world.socket(client, Family::Inet, 0);
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
        let mut numbers = text.lines().map(str::parse::<f64>);
        let (Some(Ok(nanos)), Some(Ok(flows))) = (numbers.next(), numbers.next()) else {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or("no message");
            return Err(format!(
                "it needs root, ip and nft, and namespaces cannot be made here: {said}"
            ));
        };
        if flows < PORTS as f64 {
            return Err(format!("{flows} flows instead of {PORTS}"));
        }
        least = least.min(nanos);
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

/// Connects until all ports are taken, and prints the nanoseconds of each connection.
pub(crate) fn client() -> Result<(), std::io::Error> {
    rlimit::increase_nofile_limit(PORTS as u64 + 100)?;
    // The server starts at the same time.
    let mut held = Vec::with_capacity(PORTS);
    for _ in 0..100 {
        match TcpStream::connect(TO) {
            Ok(first) => {
                held.push(first);
                break;
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    let start = ThreadTime::now();
    while held.len() < PORTS {
        held.push(TcpStream::connect(TO)?);
    }
    let each = start.elapsed().as_nanos() as f64 / (PORTS - 1) as f64;
    println!("{each}");
    // The flows are counted while the connections are open.
    Ok(())
}
