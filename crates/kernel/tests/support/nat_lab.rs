//! Two clients, a NAT host and two servers, as in the measurements on real kernels: `c1` and `c2`
//! behind `rt`, and one host with two addresses outside.

use fourtuple_kernel::nat::{LinuxNat, NatCounters, NatRules, SourceNat};
use fourtuple_kernel::profile::Behaviours;
use fourtuple_kernel::{Chooser, Errno, Family, SockOpt, World, WorldNs, WorldSock};
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

/// Addresses of the clients.
pub const CLIENTS: [&str; 2] = ["10.1.0.2", "10.2.0.2"];
/// The address of the NAT host.
pub const ROUTER: &str = "10.9.0.1";
/// The servers.
pub const SERVERS: [&str; 2] = ["10.9.0.10:80", "10.9.0.11:80"];

#[derive(Clone)]
pub struct NatLab<C: Chooser> {
    pub world: World<C>,
    pub clients: [WorldNs; 2],
    pub router: WorldNs,
    pub servers: [SocketAddr; 2],
    listeners: [WorldSock; 2],
    accepted: [Vec<WorldSock>; 2],
}

impl<C: Chooser> NatLab<C> {
    /// A NAT host with one rule for what leaves.
    pub fn new(b: Behaviours, rule: LinuxNat, chooser: impl FnMut(&str) -> C) -> Self {
        let rules = NatRules {
            source: Some(SourceNat::Linux(rule)),
            ..NatRules::default()
        };
        Self::with(b, rules, chooser)
    }

    pub fn with(b: Behaviours, rules: NatRules, mut chooser: impl FnMut(&str) -> C) -> Self {
        let mut world = World::new();
        let mut host = |world: &mut World<C>, name: &str, ips: &[&str]| {
            let machine = world.add_machine(b, chooser(name));
            let ns = world.add_namespace(machine);
            for ip in ips {
                world.add_address(ns, ip.parse::<IpAddr>().unwrap());
            }
            // Clients choose other ports than those of the NAT host.
            let _ = world.sysctl(ns, "net.ipv4.tcp_tw_reuse", "0");
            ns
        };
        let router = host(&mut world, "rt", &[ROUTER]);
        let clients = [0, 1].map(|n| host(&mut world, ["c1", "c2"][n], &[CLIENTS[n]]));
        let servers = SERVERS.map(|at| at.parse::<SocketAddr>().unwrap());
        let ips = servers.map(|at| at.ip().to_string());
        let server = host(&mut world, "srv", &[&ips[0], &ips[1]]);
        world.set_explain(true);
        world.set_nat(router, rules);
        for client in clients {
            world.set_router(client, router);
        }
        let listeners = servers.map(|at| {
            let listener = world.socket(server, Family::Inet, 0);
            world.bind(listener, at).unwrap();
            world.listen(listener, 4096).unwrap();
            listener
        });
        NatLab {
            world,
            clients,
            router,
            servers,
            listeners,
            accepted: Default::default(),
        }
    }

    /// Connects from a host, from its own or a given port.
    pub fn connect_from(
        &mut self,
        ns: WorldNs,
        from: Option<(&str, u16)>,
        to: SocketAddr,
    ) -> (WorldSock, Poll<Result<(), Errno>>) {
        let socket = self.world.socket(ns, Family::Inet, 0);
        if let Some((ip, port)) = from {
            self.world
                .set_option(socket, SockOpt::ReuseAddr(true))
                .unwrap();
            let at = SocketAddr::new(ip.parse().unwrap(), port);
            self.world.bind(socket, at).unwrap();
        }
        let answer = self.world.connect(socket, to);
        (socket, answer)
    }

    /// Connects a client to a server.
    pub fn connect(&mut self, client: usize, port: Option<u16>, server: usize) -> WorldSock {
        let from = port.map(|port| (CLIENTS[client], port));
        self.connect_from(self.clients[client], from, self.servers[server])
            .0
    }

    /// The clients of a server since the last time.
    pub fn seen(&mut self, server: usize) -> Vec<SocketAddr> {
        let mut seen = Vec::new();
        while let Poll::Ready(Ok(socket)) = self.world.accept(self.listeners[server], 0) {
            seen.extend(self.world.peer_addr(socket));
            self.accepted[server].push(socket);
        }
        seen
    }

    /// Closes a connection, the client first; then all others of the server.
    pub fn close_both(&mut self, socket: WorldSock, server: usize) {
        self.seen(server);
        self.world.close(socket);
        for accepted in std::mem::take(&mut self.accepted[server]) {
            self.world.close(accepted);
        }
    }

    /// Closes all connections of a server, then this one.
    pub fn close_server_first(&mut self, socket: WorldSock, server: usize) {
        self.seen(server);
        for accepted in std::mem::take(&mut self.accepted[server]) {
            self.world.close(accepted);
        }
        self.world.close(socket);
    }

    /// Resets a connection.
    pub fn reset(&mut self, socket: WorldSock) {
        self.world
            .set_option(socket, SockOpt::Linger(Some(0)))
            .unwrap();
        self.world.close(socket);
    }

    pub fn counters(&self) -> NatCounters {
        self.world.nat_counters(self.router).unwrap()
    }

    pub fn advance_ms(&mut self, ms: u64) {
        let to = self.world.now().after(ms * 1_000_000);
        self.world.advance(to);
    }
}
