//! Random programs of datagram sockets.

use super::{Guess, Maker};
use crate::program::{Call, Step};
use fourtuple_syscall::{Family, Kind as Type, SockOpt, Syscall};
use std::net::{IpAddr, SocketAddr};

/// Addresses of 127.0.0.0/8 in the pattern with many sockets on one port.
const MANY: u8 = 12;

impl Maker {
    /// A program of datagram sockets.
    pub(super) fn datagrams(&mut self) {
        if self.setting.fresh_range {
            // A port that no answer reports could be any of the default range.
            let (low, high) = self.setting.range;
            self.sysctl("net.ipv4.ip_local_port_range", &format!("{low} {high}"));
        }
        if self.rng.percent(4) {
            self.many_on_one_port();
        }
        for _ in 0..self.rng.between(6, 26) {
            self.datagram_act();
        }
    }

    fn datagram_act(&mut self) {
        match self.rng.below(100) {
            0..22 => self.datagram_binder(),
            22..42 => self.datagram_client(),
            42..54 => self.sender(),
            54..61 => self.datagram_receive(),
            61..71 => self.disconnect(),
            71..81 => self.end_of_a_datagram_socket(),
            81..87 => {
                if let Some(index) = self.some(|s| s.guess != Guess::Closed) {
                    self.datagram_option(index);
                }
            }
            87..91 => self.ask(),
            91..93 => self.shutdown(),
            93..95 => self.datagram_sysctl(),
            95..97 => self.bind_again(),
            97..98 => {
                if let Some(index) = self.some(|_| true) {
                    self.on(index, |sock| Syscall::Listen { sock, backlog: 8 });
                }
            }
            _ => self.sleep(),
        }
    }

    fn datagram_socket(&mut self) -> usize {
        let v6 = self.family();
        let host = self.any_host();
        let uid = self.rng.pick(self.setting.uids);
        let index = self.add(host, v6);
        let name = self.sockets[index].name.clone();
        let family = if v6 { Family::Inet6 } else { Family::Inet };
        self.steps.push(Step {
            host: self.setting.hosts.get(host).map(|h| h.name.clone()),
            ..Step::new(Call::socket_of(name, family, Type::Datagram, uid))
        });
        for _ in 0..self.rng.weighted(&[(5, 0), (6, 1), (3, 2)]) {
            self.datagram_option(index);
        }
        index
    }

    fn datagram_option(&mut self, index: usize) {
        let range = self.port_range();
        let option = match self.rng.below(100) {
            0..30 => SockOpt::ReuseAddr(true),
            30..60 => SockOpt::ReusePort(true),
            60..68 => SockOpt::BindAddressNoPort(true),
            68..76 => SockOpt::LocalPortRange(range),
            76..84 => SockOpt::V6Only(self.rng.below(2) == 1),
            84..86 => SockOpt::FreeBind(true),
            86..88 => SockOpt::Transparent(true),
            88..91 => SockOpt::BindToDevice(self.device()),
            91..92 => SockOpt::AttachReuseportBpf(true),
            92..93 => SockOpt::SynCount(3),
            93..94 => SockOpt::Linger(Some(0)),
            94..97 => SockOpt::ReuseAddr(false),
            _ => SockOpt::ReusePort(false),
        };
        let is_fresh = self.sockets[index].guess == Guess::Fresh;
        // Which calls take a connected socket out of its group differs with the kernel.
        if matches!(option, SockOpt::AttachReuseportBpf(_)) && !is_fresh {
            return;
        }
        if matches!(option, SockOpt::BindToDevice(_))
            && (!self.setting.hosts.is_empty() || !is_fresh)
        {
            return;
        }
        if matches!(option, SockOpt::BindToDevice(_)) {
            self.sockets[index].device = true;
        }
        self.set(index, option);
    }

    fn datagram_binder(&mut self) {
        let index = self.datagram_socket();
        let port = self.datagram_port();
        self.bind(index, port);
    }

    /// A port to bind: few of them, so that sockets meet.
    fn datagram_port(&mut self) -> u16 {
        match self.rng.weighted(&[(7, 0), (5, 1), (4, 2), (1, 3)]) {
            0 => 0,
            1 => self.setting.port_in_range(&mut self.rng),
            2 => 5000,
            _ => self.rng.pick(&[5001, 80]),
        }
    }

    fn bind_again(&mut self) {
        if let Some(index) = self.some(|_| true) {
            let port = self.datagram_port();
            self.bind(index, port);
        }
    }

    /// A destination: often a socket of the program, or a port where there is none.
    fn destination_of(&mut self, index: usize) -> SocketAddr {
        let (host, v6) = (self.sockets[index].host, self.sockets[index].v6);
        let likely = self.rng.percent(55);
        let bound = |at: Option<SocketAddr>| at.is_some_and(|at| at.port() != 0);
        match self.some(|s| likely && s.guess != Guess::Closed && bound(s.local)) {
            Some(other) => self.place_of(other, v6),
            None => {
                let port = match self.rng.below(5) {
                    0 => 5001,
                    1 => 53,
                    2 => 5000,
                    3 if self.rng.percent(10) => 0,
                    _ => self.setting.port_in_range(&mut self.rng),
                };
                // What a socket that is bound to `lo` sends to an address of no host comes back to
                // a wildcard socket, which the model does not have.
                let ip = match self.sockets[index].device {
                    true => self.setting.own(&mut self.rng, host, v6),
                    false => self.setting.remote(&mut self.rng, host, v6),
                };
                SocketAddr::new(ip, port)
            }
        }
    }

    /// A new socket, or one that exists, also a connected one.
    fn any_datagram_socket(&mut self) -> usize {
        let old = self.rng.percent(45);
        match self.some(|s| old && s.guess != Guess::Closed) {
            Some(index) => index,
            None => {
                let index = self.datagram_socket();
                if self.rng.percent(35) {
                    let port = self.datagram_port();
                    self.bind(index, port);
                }
                index
            }
        }
    }

    fn datagram_client(&mut self) {
        let index = self.any_datagram_socket();
        let mut to = self.destination_of(index);
        // An AF_INET6 socket takes a sockaddr_in as well.
        if let (IpAddr::V6(ip), true) = (to.ip(), self.rng.percent(10))
            && let Some(v4) = ip.to_ipv4_mapped()
        {
            to.set_ip(v4.into());
        }
        self.connect_at(index, to);
    }

    fn sender(&mut self) {
        let index = self.any_datagram_socket();
        let len = self.rng.between(0, 20);
        if self.rng.percent(25) {
            return self.on(index, |sock| Syscall::Send { sock, len });
        }
        let to = self.destination_of(index);
        self.on(index, |sock| Syscall::SendTo {
            sock,
            addr: to,
            len,
        });
    }

    fn datagram_receive(&mut self) {
        if let Some(index) = self.some(|s| s.guess != Guess::Closed) {
            self.on(index, |sock| Syscall::RecvFrom { sock, len: 20 });
        }
    }

    fn end_of_a_datagram_socket(&mut self) {
        match self.some(|s| s.guess != Guess::Closed) {
            Some(index) => self.close(index),
            None => self.datagram_client(),
        }
    }

    fn datagram_sysctl(&mut self) {
        let (low, high) = self.setting.range;
        let (key, value) = match self.rng.below(3) {
            0 => ("ip_local_reserved_ports", format!("{low}")),
            1 => ("ip_local_reserved_ports", format!("{low}-{high}")),
            _ => ("ip_local_port_range", format!("{low} {}", high + 1)),
        };
        self.sysctl(&format!("net.ipv4.{key}"), &value);
    }

    /// More than ten sockets on one port, then others that overlap with some of them.
    fn many_on_one_port(&mut self) {
        let host = self.any_host();
        for n in 1..=MANY {
            let index = self.add(host, false);
            let name = self.sockets[index].name.clone();
            self.steps.push(Step {
                host: self.setting.hosts.get(host).map(|h| h.name.clone()),
                ..Step::new(Call::socket_of(name, Family::Inet, Type::Datagram, 0))
            });
            self.bind_to(index, SocketAddr::from(([127, 0, 0, n], 5000)));
        }
    }
}
