//! Situations that random calls seldom produce, each with random parts.

use super::{Maker, PATIENCE_MS};
use crate::program::{Call, Step};
use fourtuple_syscall::{PortRange, SockOpt, Syscall};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The options by which sockets share a port.
const SHARING: [fn(bool) -> SockOpt; 2] = [SockOpt::ReuseAddr, SockOpt::ReusePort];

impl Maker {
    pub(super) fn directed(&mut self) {
        if self.setting.hosts.len() > 1 && self.rng.percent(80) {
            return self.two_settings();
        }
        match self.rng.below(38) {
            32 | 33 => self.mapped_connects(),
            34 => self.by_the_wrong_device(),
            // Between hosts the model has routes to everywhere.
            35 if self.setting.hosts.is_empty() => self.without_a_route(),
            36 => self.without_ipv6(),
            37 => self.wide_steps(),
            30 => self.grouped(),
            31 if self.kind.users => self.left_by_a_user(),
            0..4 => self.shut_down_first(),
            4..10 => self.crowd(),
            10..14 => self.half_closed(),
            14..16 => self.full_range(),
            16..21 => self.families(),
            21..24 => self.unheard_syn(),
            24..26 => self.repaired(),
            _ => self.end_of_a_connection(),
        }
    }

    /// Sockets of both families on one port, mapped addresses and wildcards among them.
    fn families(&mut self) {
        let host = self.any_host();
        let port = self.setting.port_in_range(&mut self.rng);
        match self.rng.below(10) {
            0 | 1 => return self.covered(host, port),
            2 | 3 => return self.as_ipv4_sees_it(host),
            _ => {}
        }
        if self.rng.percent(35) {
            // The wildcard of one family, and a mapped address of the other.
            for (only, ip) in [
                (true, Ipv6Addr::UNSPECIFIED),
                (false, Ipv4Addr::LOCALHOST.to_ipv6_mapped()),
            ] {
                let index = self.socket_on(host, true, 0);
                if only {
                    self.set(index, SockOpt::V6Only(true));
                }
                self.bind_to(index, SocketAddr::new(ip.into(), port));
            }
            return;
        }
        let reuse = self.rng.percent(25);
        for _ in 0..self.rng.between(2, 5) {
            let v6 = self.rng.percent(80);
            let index = self.socket_on(host, v6, 0);
            if v6 && self.rng.percent(50) {
                let only = self.rng.percent(80);
                self.set(index, SockOpt::V6Only(only));
            }
            if reuse {
                self.set(index, SockOpt::ReuseAddr(true));
            }
            let ip: IpAddr = if v6 {
                let wild = Ipv6Addr::UNSPECIFIED;
                let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
                let mapped_wild = Ipv4Addr::UNSPECIFIED.to_ipv6_mapped();
                let of = [wild, wild, mapped, mapped, mapped_wild, Ipv6Addr::LOCALHOST];
                self.rng.pick(&of).into()
            } else {
                let of = [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED];
                self.rng.pick(&of).into()
            };
            self.bind_to(index, SocketAddr::new(ip, port));
        }
    }

    /// A port with an owner that conflicts with the newcomer, and one that covers the newcomer's
    /// address and would share.
    fn covered(&mut self, host: usize, port: u16) {
        let plain = self.socket_on(host, true, 0);
        self.bind_to(plain, SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port));
        for (v6, ip) in [
            (false, Ipv4Addr::UNSPECIFIED.into()),
            (true, IpAddr::from(Ipv6Addr::LOCALHOST)),
        ] {
            let index = self.socket_on(host, v6, 0);
            self.set(index, SockOpt::ReusePort(true));
            self.bind_to(index, SocketAddr::new(ip, port));
        }
    }

    /// A connection over IPv6 whose address the IPv4 comparison reads as 127.0.0.6 if it is
    /// compared at all. Its socket was not bound: bind() would have made it IPv6-only.
    fn as_ipv4_sees_it(&mut self, host: usize) {
        let (low, _) = self.setting.range;
        let range = format!("{low} {low}");
        self.sysctl_on(host, "net.ipv4.ip_local_port_range", &range);
        let index = self.socket_on(host, true, 0);
        // To itself, as that is the port it gets.
        let to = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), low);
        self.connect_at(index, to);
        let other = self.socket_on(host, false, 0);
        let last = self.rng.pick(&[6, 6, 6, 1]);
        self.bind_to(other, SocketAddr::from(([127, 0, 0, last], low)));
    }

    /// A group member with a BPF program joins a port whose sockets have SO_REUSEPORT as it has;
    /// nothing else is checked there.
    fn grouped(&mut self) {
        let host = self.any_host();
        let port = self.setting.port_in_range(&mut self.rng);
        let at = SocketAddr::from(([127, 0, 0, 1], port));
        for attach in [false, true] {
            let index = self.socket_on(host, false, 0);
            self.set(index, SockOpt::ReusePort(true));
            if attach {
                self.set(index, SockOpt::AttachReuseportBpf(true));
            }
            self.bind_to(index, at);
            if attach {
                self.close(index);
            }
        }
    }

    /// A user closes a connection, and another user binds its port before the peer has acknowledged
    /// that. A third socket on the port makes the kernel compare all owners.
    fn left_by_a_user(&mut self) {
        let host = self.any_host();
        let server = self.socket_on(host, false, 0);
        let to = SocketAddr::from(([127, 0, 0, 1], 5100 + server as u16));
        self.bind_to(server, to);
        self.listen(server);
        let port = self.setting.port_in_range(&mut self.rng);
        let at = SocketAddr::from(([127, 0, 0, 1], port));
        let [user, other] = self
            .rng
            .pick(&[[1000, 0], [1000, 0], [0, 1000], [1000, 1000]]);
        let left = self.socket_on(host, false, user);
        self.set(left, SockOpt::ReusePort(true));
        self.bind_to(left, at);
        let plain = self.socket_on(host, false, 0);
        self.bind_to(plain, SocketAddr::from(([127, 0, 0, 2], port)));
        self.connect_at(left, to);
        let next = self.socket_on(host, false, other);
        self.set(next, SockOpt::ReusePort(true));
        self.close(left);
        self.bind_to(next, at);
    }

    /// Sockets with TCP_REPAIR for which the kernel chooses ports.
    fn repaired(&mut self) {
        let host = self.any_host();
        for _ in 0..2 {
            let index = self.socket_on(host, false, 0);
            self.sockets[index].repair = true;
            self.set(index, SockOpt::Repair(true));
            self.bind_to(index, SocketAddr::from(([127, 0, 0, 1], 0)));
        }
    }

    /// A SYN that meets a full accept queue and is retransmitted until the queue has room.
    fn unheard_syn(&mut self) {
        let host = self.any_host();
        let server = self.socket_on(host, false, 0);
        // A port that no other situation of the program uses.
        let to = SocketAddr::from(([127, 0, 0, 1], 5100 + server as u16));
        self.bind_to(server, to);
        self.sockets[server].guess = super::Guess::Listening;
        self.on(server, |sock| Syscall::Listen { sock, backlog: 0 });
        for _ in 0..2 {
            let client = self.socket_on(host, false, 0);
            // The range may have one port only.
            let own = SocketAddr::from(([127, 0, 0, 1], 5100 + client as u16));
            self.bind_to(client, own);
            self.connect_at(client, to);
        }
        // The fifth retransmission comes after five seconds, longer than most programs on a real
        // clock can wait.
        if self
            .rng
            .percent(if self.kind.virtual_time { 50 } else { 8 })
        {
            let ms = self.rng.between(4_700, 5_300);
            self.push(Call::Sleep { ms });
        }
        self.accept(server);
        let ms = self.rng.between(500, 1_300);
        self.push(Call::Sleep { ms });
        self.accept(server);
    }

    /// A socket that is shut down before it connects to itself, or listens.
    fn shut_down_first(&mut self) {
        let v6 = self.family();
        let index = self.socket(v6);
        let port = self.setting.port_in_range(&mut self.rng);
        self.bind(index, port);
        let how = self.any_half();
        self.on(index, |sock| Syscall::Shutdown { sock, how });
        if self.rng.percent(50) {
            self.listen(index);
            let client = self.socket(v6);
            self.connect_to(client, index);
        } else {
            self.connect_to(index, index);
        }
    }

    /// Several sockets of several users on one port, some of which share it; they change options,
    /// connect and close.
    fn crowd(&mut self) {
        let port = self.setting.port_in_range(&mut self.rng);
        let options = self
            .rng
            .pick(&[&SHARING[..1], &SHARING[1..], &SHARING[1..], &SHARING]);
        for _ in 0..self.rng.between(2, 5) {
            let v6 = self.rng.percent(20);
            let index = self.socket(v6);
            for option in options {
                if self.rng.percent(85) {
                    self.set(index, option(true));
                }
            }
            let port = if self.rng.percent(85) { port } else { 0 };
            self.bind(index, port);
            match self.rng.below(8) {
                0 | 1 => {
                    for option in options {
                        self.set(index, option(false));
                    }
                }
                2 => self.listen(index),
                3 | 4 => self.connect(index),
                5 => {
                    self.connect(index);
                    self.close(index);
                }
                _ => {}
            }
        }
    }

    /// More sockets with the same options than the range has ports; the kernel chooses the ports.
    fn full_range(&mut self) {
        let host = self.any_host();
        let (low, high) = self.setting.range;
        let autobind = self.rng.pick(&["0", "1"]);
        self.sysctl_on(host, "net.ipv4.ip_autobind_reuse", autobind);
        let options = self.rng.pick(&[&SHARING[..1], &SHARING[1..], &SHARING]);
        let uid = self.rng.pick(self.setting.uids);
        for _ in 0..(high - low + 2).min(4) {
            let index = self.socket_on(host, false, uid);
            for option in options {
                self.set(index, option(true));
            }
            self.bind_to(index, SocketAddr::from(([127, 0, 0, 1], 0)));
        }
    }

    /// Binds around the end of the default range of a new namespace.
    pub(super) fn end_of_the_range(&mut self) {
        let range = self
            .rng
            .pick(&[(60999, 61000), (60999, 61000), (60998, 61001)]);
        let range = PortRange::new(range.0, range.1);
        for _ in 0..self.rng.between(2, 4) {
            let v6 = self.family();
            let index = self.socket(v6);
            self.set(index, SockOpt::LocalPortRange(range));
            self.bind(index, 0);
        }
    }

    /// A connection with one end closed, and soon after another connection to the same address.
    fn half_closed(&mut self) {
        let Some(listener) = self.some(|s| s.guess == super::Guess::Listening) else {
            return self.listener();
        };
        let v6 = self.sockets[listener].v6;
        for (key, value) in [
            ("net.ipv4.tcp_tw_reuse", "1"),
            ("net.ipv4.tcp_tw_reuse_delay", "1"),
        ] {
            if self.rng.percent(70) {
                self.sysctl(key, value);
            }
        }
        let client = self.socket(v6);
        self.connect_to(client, listener);
        let child = self.accept(listener);
        let (first, second) = if self.rng.percent(70) {
            (client, child)
        } else {
            (child, client)
        };
        self.close(first);
        let ms = if self.kind.virtual_time {
            self.rng.pick(&[20, 70, 1100, 2500])
        } else {
            self.rng.pick(&[20, 70, 120])
        };
        self.push(Call::Sleep { ms });
        let again = self.socket(v6);
        self.connect_to(again, listener);
        if self.rng.percent(50) {
            self.close(second);
        }
    }

    /// Connects to the address of another socket, or of the same one.
    pub(super) fn connect_to(&mut self, index: usize, other: usize) {
        let v6 = self.sockets[index].v6;
        let at = self.place_of(other, v6);
        let sock = self.sockets[index].name.clone();
        self.sockets[index].guess = super::Guess::Connected;
        self.steps.push(Step {
            wait_ms: Some(PATIENCE_MS),
            ..Step::new(Syscall::Connect { sock, addr: at })
        });
    }
}
