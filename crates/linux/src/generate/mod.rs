//! Random socket programs. Program `number` of a seed depends on these two and on the kind only, so
//! that it can be made again without the others.
//!
//! The generator does not know the kernel's answers. It guesses the state of each socket so that
//! most calls make sense, and sometimes makes one that does not.

mod datagram;
mod directed;
mod ends;
mod routes;
mod setting;
mod settings;

use crate::program::{BACKLOG, Call, Program, Step};
use fourtuple_harness::SeededRng;
use fourtuple_syscall::{Family, Kind as Type, PortRange, ShortName, Shutdown, SockOpt, Syscall};
pub(crate) use setting::seen_from;
use setting::{Setting, any_sysctl};
use std::net::{Ipv6Addr, SocketAddr};

/// The kind of programs that a kernel can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Sleeps take no real time, so programs may sleep past TIME-WAIT.
    pub virtual_time: bool,
    /// Sockets may belong to several users.
    pub users: bool,
    /// There may be two hosts with a link between them.
    pub links: bool,
}

/// Makes program `number` of a seed, of stream sockets.
pub fn program(seed: u64, number: u64, kind: Kind) -> Program {
    make(seed, number, kind, Type::Stream)
}

/// Makes program `number` of a seed, of sockets of this type.
pub fn make(seed: u64, number: u64, kind: Kind, sockets: Type) -> Program {
    let mut rng = SeededRng::new(seed, number);
    let setting = Setting::new(&mut rng, kind);
    let steps = setting.steps(&mut rng, kind);
    let mut maker = Maker {
        kind,
        steps: steps.into_iter().map(Step::new).collect(),
        sockets: Vec::new(),
        sleeps: rng.weighted(&[(6, 0), (3, 1), (1, 3)]),
        rng,
        setting,
    };
    let name = match sockets {
        Type::Stream => {
            maker.program();
            "fuzz"
        }
        Type::Datagram => {
            maker.datagrams();
            "fuzz-udp"
        }
    };
    Program {
        program: format!("{name}-{seed}-{number}"),
        hosts: maker.setting.hosts,
        steps: maker.steps,
    }
}

/// The probable state of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    Fresh,
    Bound,
    Listening,
    Connected,
    Closed,
}

struct Socket {
    name: String,
    host: usize,
    v6: bool,
    guess: Guess,
    /// The requested local address.
    local: Option<SocketAddr>,
    /// TCP_REPAIR was set at some time. The model only knows that such a socket binds anywhere.
    repair: bool,
    /// Bound to a device, so it may share a 4-tuple with a socket that is not. Which of the two
    /// receives a packet depends on their order in a hash chain, which the model does not have.
    device: bool,
}

struct Maker {
    kind: Kind,
    rng: SeededRng,
    setting: Setting,
    steps: Vec<Step>,
    sockets: Vec<Socket>,
    /// Number of sleeps left.
    sleeps: usize,
}

/// Time in milliseconds that a connect may wait on a real clock. Answers that need no timer come
/// much earlier.
const PATIENCE_MS: u32 = 400;

impl Maker {
    fn program(&mut self) {
        if self.setting.fresh_range {
            return self.end_of_the_range();
        }
        for _ in 0..self.rng.weighted(&[(1, 0), (5, 1), (3, 2)]) {
            self.listener();
        }
        for _ in 0..self.rng.between(4, 22) {
            self.act();
        }
    }

    fn push(&mut self, call: impl Into<Call>) {
        self.steps.push(Step::new(call));
    }

    /// Adds a call on a socket, which is given its name.
    fn on(&mut self, index: usize, call: impl FnOnce(String) -> Syscall<String>) {
        let sock = self.sockets[index].name.clone();
        self.push(call(sock));
    }

    fn set(&mut self, index: usize, option: SockOpt) {
        self.on(index, |sock| Syscall::Set { sock, option });
    }

    fn act(&mut self) {
        if self.rng.percent(6) {
            return self.directed();
        }
        match self.rng.below(100) {
            0..26 => self.client(),
            26..40 => self.binder(),
            40..44 => self.listener(),
            44..60 => self.end(),
            60..66 => self.pair_ends(),
            66..70 => self.listen_again(),
            70..76 => self.set_later(),
            76..79 => self.shutdown(),
            79..82 => self.disconnect(),
            82..86 => self.transfer(),
            86..89 => self.ask(),
            89..92 => self.accept_any(),
            92..94 => {
                if let Call::Sysctl { key, value } = any_sysctl(&mut self.rng, self.kind) {
                    self.sysctl(&key, &value);
                }
            }
            94..97 => self.again(),
            _ => self.sleep(),
        }
    }

    /// Writes a sysctl on one of the hosts.
    fn sysctl(&mut self, key: &str, value: &str) {
        let host = self.any_host();
        self.sysctl_on(host, key, value);
    }

    fn any_host(&mut self) -> usize {
        self.rng.below(self.setting.hosts.len().max(1))
    }

    fn sysctl_on(&mut self, host: usize, key: &str, value: &str) {
        self.steps.push(Step {
            host: self.setting.hosts.get(host).map(|h| h.name.clone()),
            ..Step::new(Call::Sysctl {
                key: key.into(),
                value: value.into(),
            })
        });
    }

    fn socket(&mut self, v6: bool) -> usize {
        let host = self.any_host();
        let uid = self.rng.pick(self.setting.uids);
        self.socket_on(host, v6, uid)
    }

    /// Adds a socket that a step is to make.
    fn add(&mut self, host: usize, v6: bool) -> usize {
        let index = self.sockets.len();
        self.sockets.push(Socket {
            name: format!("s{index}"),
            host,
            v6,
            guess: Guess::Fresh,
            local: None,
            repair: false,
            device: false,
        });
        index
    }

    fn socket_on(&mut self, host: usize, v6: bool, uid: u32) -> usize {
        let index = self.add(host, v6);
        let name = self.sockets[index].name.clone();
        let family = if v6 { Family::Inet6 } else { Family::Inet };
        self.steps.push(Step {
            host: self.setting.hosts.get(host).map(|h| h.name.clone()),
            ..Step::new(Call::socket(name, family, uid))
        });
        index
    }

    fn family(&mut self) -> bool {
        self.rng.percent(35)
    }

    /// A range for `IP_LOCAL_PORT_RANGE`: within that of the namespace, around its end, or without
    /// a lower bound.
    fn port_range(&mut self) -> PortRange {
        let (low, high) = self.setting.range;
        match self.rng.below(4) {
            0 => PortRange::new(low, low),
            1 => PortRange::new(low + 1, high + 2),
            2 => PortRange::new(0, low),
            _ => PortRange::new(low, high),
        }
    }

    /// The name of a device, or none.
    fn device(&mut self) -> ShortName {
        let name = self.rng.pick(&["lo", "lo", ""]);
        ShortName::new(name).unwrap_or(ShortName::LO)
    }

    fn option(&mut self, index: usize) {
        let range = self.port_range();
        let option = match self.rng.below(100) {
            0..34 => SockOpt::ReuseAddr(true),
            34..58 => SockOpt::ReusePort(true),
            58..66 => SockOpt::BindAddressNoPort(true),
            66..73 => SockOpt::LocalPortRange(range),
            73..79 => SockOpt::V6Only(self.rng.below(2) == 1),
            79..84 => SockOpt::Linger(Some(0)),
            84..87 => SockOpt::FreeBind(true),
            87..90 => SockOpt::Transparent(true),
            90..94 => SockOpt::BindToDevice(self.device()),
            94..96 => SockOpt::Linger2(self.rng.pick(&[-1, 1, 5, 0])),
            96..98 => SockOpt::Repair(self.rng.pick(&[true, true, false])),
            98 => SockOpt::ReuseAddr(false),
            _ => SockOpt::ReusePort(false),
        };
        let is_fresh = self.sockets[index].guess == Guess::Fresh;
        match option {
            SockOpt::BindToDevice(_) if !self.setting.hosts.is_empty() || !is_fresh => return,
            SockOpt::BindToDevice(_) => self.sockets[index].device = true,
            SockOpt::Repair(_) if !is_fresh => return,
            SockOpt::Repair(_) => self.sockets[index].repair = true,
            _ => {}
        }
        self.set(index, option);
    }

    fn options(&mut self, index: usize) {
        for _ in 0..self.rng.weighted(&[(5, 0), (6, 1), (3, 2)]) {
            self.option(index);
        }
    }

    fn bind(&mut self, index: usize, port: u16) {
        let (host, v6) = (self.sockets[index].host, self.sockets[index].v6);
        let mut ip = self.setting.local(&mut self.rng, host, v6);
        // Sometimes an address of the other family. Not a mapped one: the model treats those as
        // both.
        if !v6 && self.rng.percent(2) {
            ip = self
                .rng
                .pick(&[Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED])
                .into();
        }
        self.bind_to(index, SocketAddr::new(ip, port));
    }

    fn bind_to(&mut self, index: usize, at: SocketAddr) {
        let socket = &mut self.sockets[index];
        if socket.guess == Guess::Fresh {
            socket.guess = Guess::Bound;
            socket.local = Some(at);
        }
        self.on(index, |sock| Syscall::Bind { sock, addr: at });
    }

    fn some_port(&mut self) -> u16 {
        match self.rng.weighted(&[(6, 0), (5, 1), (2, 2), (1, 3)]) {
            0 => 0,
            1 => self.setting.port_in_range(&mut self.rng),
            2 => 5000,
            _ => self.rng.pick(&[5001, 80, 1]),
        }
    }

    fn listener(&mut self) {
        let v6 = self.family();
        let index = self.socket(v6);
        if self.rng.percent(60) {
            self.set(index, SockOpt::ReuseAddr(true));
        }
        self.options(index);
        if self.rng.percent(93) {
            let port = match self.rng.weighted(&[(7, 0), (2, 1), (1, 2)]) {
                0 => 5000 + self.rng.below(2) as u16,
                1 => self.setting.port_in_range(&mut self.rng),
                _ => 0,
            };
            self.bind(index, port);
        }
        self.listen(index);
    }

    fn listen(&mut self, index: usize) {
        if self.sockets[index].repair {
            return;
        }
        let backlog = self.rng.weighted(&[(12, BACKLOG), (1, 0), (1, 1)]);
        self.sockets[index].guess = Guess::Listening;
        self.on(index, |sock| Syscall::Listen { sock, backlog });
    }

    fn listen_again(&mut self) {
        let likely = self.rng.percent(70);
        if let Some(index) = self.some(|s| !likely || s.guess == Guess::Bound) {
            self.listen(index);
        }
    }

    /// A socket that fits, if there is one.
    fn some(&mut self, fits: impl Fn(&Socket) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.sockets.len())
            .filter(|&i| fits(&self.sockets[i]))
            .collect();
        (!all.is_empty()).then(|| self.rng.pick(&all))
    }

    fn binder(&mut self) {
        let v6 = self.family();
        let index = self.socket(v6);
        self.options(index);
        let port = self.some_port();
        self.bind(index, port);
    }

    fn client(&mut self) {
        // Often a socket that exists already.
        let bound = if self.rng.percent(40) {
            self.some(|s| matches!(s.guess, Guess::Bound | Guess::Fresh))
        } else {
            None
        };
        let index = match bound {
            Some(index) => index,
            None => {
                let v6 = self.family();
                let index = self.socket(v6);
                self.options(index);
                if self.rng.percent(35) {
                    let port = self.some_port();
                    self.bind(index, port);
                }
                index
            }
        };
        self.connect(index);
    }

    /// Connects a socket; a fresh or bound one is then expected to be connected.
    fn connect_at(&mut self, index: usize, to: SocketAddr) {
        let socket = &mut self.sockets[index];
        if matches!(socket.guess, Guess::Fresh | Guess::Bound) {
            socket.guess = Guess::Connected;
        }
        let sock = socket.name.clone();
        self.steps.push(Step {
            wait_ms: Some(PATIENCE_MS),
            ..Step::new(Syscall::Connect { sock, addr: to })
        });
    }

    fn connect(&mut self, index: usize) {
        if self.sockets[index].repair || self.sockets[index].device {
            return;
        }
        let (host, v6) = (self.sockets[index].host, self.sockets[index].v6);
        let listener = if self.rng.percent(78) {
            self.some(|s| s.guess == Guess::Listening)
        } else {
            None
        };
        let own = self.sockets[index].local.filter(|a| a.port() != 0);
        let to = match (listener, own) {
            (Some(l), _) => {
                let at = self.sockets[l]
                    .local
                    .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5000)));
                let mut at = seen_from(at, v6);
                if at.ip().is_unspecified() && self.rng.percent(85) {
                    at.set_ip(self.setting.own(&mut self.rng, self.sockets[l].host, v6));
                }
                at
            }
            // To itself.
            (None, Some(at)) if self.rng.percent(50) => at,
            _ => {
                let port = match self.rng.below(4) {
                    0 => 5001,
                    1 => 9,
                    _ => self.setting.port_in_range(&mut self.rng),
                };
                SocketAddr::new(self.setting.remote(&mut self.rng, host, v6), port)
            }
        };
        self.connect_at(index, to);
        if let Some(listener) = listener
            && self.rng.percent(60)
        {
            self.accept(listener);
        }
    }

    fn accept(&mut self, listener: usize) -> usize {
        let index = self.sockets.len();
        let (host, v6) = (self.sockets[listener].host, self.sockets[listener].v6);
        let name = format!("s{index}");
        self.sockets.push(Socket {
            name: name.clone(),
            host,
            v6,
            guess: Guess::Connected,
            local: None,
            repair: false,
            device: false,
        });
        let uid = self.rng.pick(self.setting.uids);
        let uid = (uid != 0).then_some(uid);
        let new = name;
        self.on(listener, |sock| Syscall::Accept { sock, new, uid });
        index
    }

    fn accept_any(&mut self) {
        if let Some(listener) = self.some(|s| s.guess == Guess::Listening) {
            self.accept(listener);
        }
    }

    /// Closes one socket, in one of several ways.
    fn end(&mut self) {
        let connected = self.rng.percent(60);
        let Some(index) =
            self.some(|s| s.guess != Guess::Closed && (!connected || s.guess == Guess::Connected))
        else {
            return self.client();
        };
        if self.rng.percent(10) {
            self.set(index, SockOpt::Linger(Some(0)));
        }
        self.close(index);
    }

    fn close(&mut self, index: usize) {
        self.sockets[index].guess = Guess::Closed;
        self.on(index, |sock| Syscall::Close { sock });
    }

    /// The address that reaches a socket.
    fn place_of(&mut self, index: usize, v6: bool) -> SocketAddr {
        let at = self.sockets[index]
            .local
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5000)));
        let mut to = seen_from(at, v6);
        if to.ip().is_unspecified() {
            let host = self.sockets[index].host;
            to.set_ip(self.setting.own(&mut self.rng, host, v6));
        }
        to
    }

    /// A connection with both its ends closed, one after the other.
    fn pair_ends(&mut self) {
        let Some(listener) = self.some(|s| s.guess == Guess::Listening) else {
            return self.listener();
        };
        let v6 = self.sockets[listener].v6;
        let client = self.socket(v6);
        self.options(client);
        if self.sockets[client].repair || self.sockets[client].device {
            return;
        }
        if self.rng.percent(40) {
            let port = self.some_port();
            self.bind(client, port);
        }
        self.connect_to(client, listener);
        let child = self.accept(listener);
        if self.rng.percent(15) {
            // Unread data makes the close a reset.
            let from = if self.rng.percent(50) { client } else { child };
            self.on(from, |sock| Syscall::Send { sock, len: 10 });
        }
        match self.rng.below(5) {
            0 | 1 => {
                self.close(client);
                self.close(child);
            }
            2 | 3 => {
                self.close(child);
                self.close(client);
            }
            _ => {
                let how = Shutdown::Write;
                self.on(client, |sock| Syscall::Shutdown { sock, how });
                self.close(child);
                self.close(client);
            }
        }
        if self.rng.percent(50) {
            self.sleep();
        }
    }

    fn set_later(&mut self) {
        if let Some(index) = self.some(|s| s.guess != Guess::Closed) {
            self.option(index);
        }
    }

    fn shutdown(&mut self) {
        // A shutdown of an unconnected socket fails but still has an effect later.
        let any = self.rng.percent(25);
        if let Some(index) =
            self.some(|s| any || matches!(s.guess, Guess::Connected | Guess::Listening))
        {
            let how = self.any_half();
            let socket = &mut self.sockets[index];
            if socket.guess == Guess::Listening && how != Shutdown::Write {
                socket.guess = Guess::Bound;
            }
            self.on(index, |sock| Syscall::Shutdown { sock, how });
        }
    }

    fn any_half(&mut self) -> Shutdown {
        self.rng
            .pick(&[Shutdown::Write, Shutdown::Both, Shutdown::Read])
    }

    fn disconnect(&mut self) {
        let connected = self.rng.percent(80);
        if let Some(index) = self.some(|s| !connected || s.guess == Guess::Connected) {
            let socket = &mut self.sockets[index];
            if socket.guess != Guess::Closed {
                socket.guess = Guess::Bound;
            }
            self.on(index, |sock| Syscall::Disconnect { sock });
        }
    }

    fn transfer(&mut self) {
        // Calls on unconnected sockets return errors.
        let any = self.rng.percent(25);
        if let Some(index) = self.some(|s| any || s.guess == Guess::Connected) {
            let len = self.rng.between(1, 20);
            let sends = self.rng.percent(60);
            self.on(index, |sock| match sends {
                true => Syscall::Send { sock, len },
                false => Syscall::Recv { sock, len },
            });
        }
    }

    fn ask(&mut self) {
        if let Some(index) = self.some(|s| s.guess != Guess::Closed) {
            let own = self.rng.percent(70);
            self.on(index, |sock| match own {
                true => Syscall::Getsockname { sock },
                false => Syscall::Getpeername { sock },
            });
        }
    }

    /// Repeats a call on a socket that has had such a call, or is closed.
    fn again(&mut self) {
        let Some(index) = self.some(|_| true) else {
            return;
        };
        if self.rng.percent(50) {
            self.connect(index);
        } else {
            let port = self.some_port();
            self.bind(index, port);
        }
    }

    fn sleep(&mut self) {
        if self.sleeps == 0 {
            return;
        }
        self.sleeps -= 1;
        let ms = if self.kind.virtual_time {
            match self.rng.below(10) {
                0..4 => self.rng.between(1, 400),
                4..7 => self.rng.between(900, 3200),
                7..9 => self.rng.between(56_000, 66_000),
                _ => self.rng.between(4_000, 130_000),
            }
        } else if self.rng.percent(6) {
            self.rng.between(900, 2300)
        } else {
            self.rng.between(1, 300)
        };
        self.push(Call::Sleep { ms });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind {
        virtual_time: false,
        users: true,
        links: true,
    };

    #[test]
    fn a_program_depends_on_seed_and_number_only() {
        let first: Vec<Program> = (0..50).map(|n| program(7, n, KIND)).collect();
        for (n, expected) in first.iter().enumerate().rev() {
            assert_eq!(program(7, n as u64, KIND), *expected);
        }
        assert_ne!(program(8, 3, KIND).steps, first[3].steps);
    }

    #[test]
    fn every_program_can_be_sent() {
        for number in 0..2000 {
            let made = program(1, number, KIND);
            if let Err(e) = crate::plan::Plan::new(&made) {
                panic!("{e}");
            }
            let datagrams = make(1, number, KIND, Type::Datagram);
            if let Err(e) = crate::plan::Plan::new(&datagrams) {
                panic!("{e}");
            }
        }
    }
}
