//! Destinations without a route, devices, disabled address families, and the step of the ephemeral
//! port selection.

use super::Maker;
use fourtuple_syscall::{ShortName, SockOpt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Addresses that no host has, of each family, and one of them mapped.
const NOWHERE: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99)),
    IpAddr::V6(Ipv4Addr::new(10, 99, 0, 1).to_ipv6_mapped()),
];

impl Maker {
    /// IPv6 sockets, bound to mapped or native addresses or unbound, that connect to both.
    pub(super) fn mapped_connects(&mut self) {
        let host = self.any_host();
        let mapped = IpAddr::from(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
        let native = IpAddr::from(Ipv6Addr::LOCALHOST);
        let server = self.socket_on(host, true, 0);
        let wild = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 5200 + server as u16);
        self.bind_to(server, wild);
        self.listen(server);
        for _ in 0..self.rng.between(2, 4) {
            let client = self.socket_on(host, true, 0);
            if self.rng.percent(60) {
                let wild = Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().into();
                let ip = self.rng.pick(&[mapped, mapped, native, wild]);
                self.bind_to(client, SocketAddr::new(ip, 0));
            }
            let ip = self.rng.pick(&[mapped, mapped, native]);
            self.connect_at(client, SocketAddr::new(ip, wild.port()));
        }
    }

    /// A socket bound to `lo` connects to an address that is not reachable through it. No other
    /// socket of the program has its 4-tuple.
    pub(super) fn by_the_wrong_device(&mut self) {
        let host = self.any_host();
        let to = self.rng.pick(&NOWHERE);
        let index = self.socket_on(host, to.is_ipv6(), 0);
        self.set(index, SockOpt::BindToDevice(ShortName::LO));
        self.sockets[index].device = true;
        self.connect_at(index, SocketAddr::new(to, 9));
        self.close(index);
    }

    /// Sockets, some of them bound, connect to where no route leads.
    pub(super) fn without_a_route(&mut self) {
        let host = self.any_host();
        for _ in 0..self.rng.between(1, 3) {
            let to = self.rng.pick(&NOWHERE);
            let index = self.socket_on(host, to.is_ipv6(), 0);
            if self.rng.percent(50) {
                let port = self.rng.pick(&[0, self.setting.range.0]);
                self.bind(index, port);
            }
            self.connect_at(index, SocketAddr::new(to, 9));
        }
    }

    /// IPv6 is switched off, and used; perhaps it is switched on again.
    pub(super) fn without_ipv6(&mut self) {
        let host = self.any_host();
        let native = IpAddr::from(Ipv6Addr::LOCALHOST);
        let wild = IpAddr::from(Ipv6Addr::UNSPECIFIED);
        for value in ["1", "0"] {
            self.sysctl_on(host, "net.ipv6.conf.all.disable_ipv6", value);
            for ip in [native, wild] {
                let index = self.socket_on(host, true, 0);
                self.bind_to(index, SocketAddr::new(ip, 0));
            }
            let index = self.socket_on(host, true, 0);
            self.connect_at(index, SocketAddr::new(native, 9));
            if self.rng.percent(60) {
                return;
            }
        }
    }

    /// Searches for a port that step over several ports at a time, where the kernel can do that.
    pub(super) fn wide_steps(&mut self) {
        let host = self.any_host();
        let width = self.rng.pick(&["1", "2", "3", "7", "64", "65535"]);
        let (low, _) = self.setting.range;
        let range = format!("{low} {}", low + self.rng.between(3, 40) as u16);
        self.sysctl_on(host, "net.ipv4.ip_local_port_range", &range);
        self.sysctl_on(host, "net.ipv4.ip_local_port_step_width", width);
        let server = self.socket_on(host, false, 0);
        let to = SocketAddr::from(([127, 0, 0, 1], 5200 + server as u16));
        self.bind_to(server, to);
        self.listen(server);
        for _ in 0..self.rng.between(3, 8) {
            let client = self.socket_on(host, false, 0);
            self.connect_at(client, to);
        }
    }
}
