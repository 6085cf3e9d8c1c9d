//! The step form of a generated scenario.

use fourtuple_harness::SeededRng;
use fourtuple_scenario::{
    AcceptStep, Address, BindStep, ConnectStep, Family, ListenStep, NameStep, OnSocketStep,
    Options, PortRef, RecvfromStep, SendtoStep, SetStep, Shutdown, ShutdownStep, SleepStep,
    SockOpt, SocketStep, SocketType, Spanned, Step, SysctlStep, Sysctls, TransferStep,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::setting::Setting;

struct Socket {
    name: String,
    host: String,
    listens: bool,
    /// The address of its bind(), as it was requested.
    local: Option<Address>,
}

struct Maker<'a> {
    setting: &'a Setting,
    rng: &'a mut SeededRng,
    steps: Vec<Spanned<Step>>,
    sockets: Vec<Socket>,
    /// Sockets that have a name, also those that an accept may not have made.
    named: usize,
    ports: Vec<String>,
}

pub(super) fn make(setting: &Setting, rng: &mut SeededRng) -> Vec<Spanned<Step>> {
    let length = rng.between(3, 26);
    let mut maker = Maker {
        setting,
        rng,
        steps: Vec::new(),
        sockets: Vec::new(),
        named: 0,
        ports: Vec::new(),
    };
    maker.socket();
    for _ in 0..length {
        maker.step();
    }
    if !setting.has_nat() && maker.rng.percent(25) {
        maker.use_datagrams();
    }
    maker.steps
}

impl Maker<'_> {
    fn push(&mut self, step: Step) {
        self.steps.push(step.into());
    }

    fn step(&mut self) {
        match self.rng.below(40) {
            0..5 => {
                self.socket();
            }
            5..8 => self.server(),
            8..14 => self.client(),
            14..19 => self.bind(),
            19..21 => self.listen(),
            21..25 => self.accept(),
            25..31 => self.close(),
            31 => self.shutdown(),
            32 => self.disconnect(),
            33 => self.set(),
            34 => self.transfer(),
            35 => self.name(),
            36 => self.sysctl(),
            _ => self.sleep(),
        }
    }

    fn fresh(&mut self) -> String {
        self.named += 1;
        format!("s{}", self.named)
    }

    fn socket(&mut self) -> usize {
        let name = self.fresh();
        let host = self.setting.any_host(self.rng);
        let family = self.rng.pick(&[Family::Inet, Family::Inet, Family::Inet6]);
        let options = match self.rng.percent(50) {
            true => self.setting.options(self.rng),
            false => Options::default(),
        };
        let uid = self.setting.uid(self.rng);
        // A real kernel's connects wait for their answer.
        let nonblock = !self.setting.real && self.rng.percent(15);
        self.push(Step::Socket(SocketStep {
            socket: name.clone(),
            family,
            kind: SocketType::Stream,
            by: format!("{host}-{uid}"),
            uid,
            on: host.clone(),
            nonblock,
            options,
            expect: Vec::new(),
            implicit: false,
        }));
        self.sockets.push(Socket {
            name,
            host,
            listens: false,
            local: None,
        });
        self.sockets.len() - 1
    }

    /// A socket that is open, as far as the file says.
    fn any(&mut self) -> usize {
        match self.sockets.is_empty() {
            true => self.socket(),
            false => self.rng.below(self.sockets.len()),
        }
    }

    /// A name for the port of a call, now and then.
    fn port_as(&mut self) -> Option<String> {
        if !self.rng.percent(10) {
            return None;
        }
        let name = format!("p{}", self.ports.len() + 1);
        self.ports.push(name.clone());
        Some(name)
    }

    fn address(&mut self, at: SocketAddr) -> Address {
        let mut address = Address::from(at);
        if !self.ports.is_empty() && self.rng.percent(15) {
            let name = self.ports[self.rng.below(self.ports.len())].clone();
            address.port = PortRef::Variable(name);
        }
        address
    }

    fn bind(&mut self) {
        let socket = self.any();
        let host = self.sockets[socket].host.clone();
        let at = self.setting.local(self.rng, &host);
        let at = self.address(at);
        self.bind_to(socket, at);
    }

    fn bind_to(&mut self, socket: usize, at: Address) {
        self.sockets[socket].local.get_or_insert(at.clone());
        let port_as = self.port_as();
        let bind = self.sockets[socket].name.clone();
        self.push(Step::Bind(BindStep {
            bind,
            at,
            port_as,
            expect: Vec::new(),
            expect_port: None,
            expect_local: None,
        }));
    }

    /// A socket that is bound and listens.
    fn server(&mut self) {
        let socket = self.socket();
        if self.rng.percent(90) {
            let host = self.sockets[socket].host.clone();
            let at = self.setting.local(self.rng, &host).into();
            self.bind_to(socket, at);
        }
        self.listen_on(socket);
    }

    fn listen(&mut self) {
        let socket = self.any();
        self.listen_on(socket);
    }

    fn listen_on(&mut self, socket: usize) {
        self.sockets[socket].listens = true;
        let backlog = self.rng.weighted(&[(6, 128), (1, 0), (1, 1)]);
        let port_as = self.port_as();
        let listen = self.sockets[socket].name.clone();
        self.push(Step::Listen(ListenStep {
            listen,
            backlog,
            port_as,
            expect: Vec::new(),
            expect_port: None,
            expect_local: None,
        }));
    }

    fn client(&mut self) {
        let socket = match self.rng.percent(60) {
            true => self.socket(),
            false => self.any(),
        };
        let host = self.sockets[socket].host.clone();
        let listeners: Vec<Address> = self
            .sockets
            .iter()
            .filter(|one| one.listens)
            .filter_map(|one| one.local.clone())
            .filter(|at| at.port != PortRef::Number(0))
            .collect();
        let to = match !listeners.is_empty() && self.rng.percent(50) {
            true => listeners[self.rng.below(listeners.len())].clone(),
            false => {
                let to = self.setting.remote(self.rng, &host, true);
                self.address(to)
            }
        };
        let port_as = self.port_as();
        let connect = self.sockets[socket].name.clone();
        self.push(Step::Connect(ConnectStep {
            connect,
            to,
            port_as,
            expect: Vec::new(),
            expect_port: None,
            expect_local: None,
            expect_peer: None,
        }));
    }

    fn accept(&mut self) {
        let listening: Vec<usize> = (0..self.sockets.len())
            .filter(|&n| self.sockets[n].listens)
            .collect();
        if listening.is_empty() {
            return self.client();
        }
        let socket = self.rng.pick(&listening);
        let name = self.fresh();
        let (accept, host) = {
            let listener = &self.sockets[socket];
            (listener.name.clone(), listener.host.clone())
        };
        self.push(Step::Accept(AcceptStep {
            accept,
            accepted: Some(name.clone()),
            expect: Vec::new(),
            expect_local: None,
            expect_peer: None,
        }));
        self.sockets.push(Socket {
            name,
            host,
            listens: false,
            local: None,
        });
    }

    fn on(&mut self) -> OnSocketStep {
        let socket = self.any();
        OnSocketStep {
            socket: self.sockets[socket].name.clone(),
            expect: Vec::new(),
        }
    }

    fn close(&mut self) {
        let socket = self.any();
        let socket = self.sockets.remove(socket).name;
        self.push(Step::Close(OnSocketStep {
            socket,
            expect: Vec::new(),
        }));
    }

    fn disconnect(&mut self) {
        let on = self.on();
        self.push(Step::Disconnect(on));
    }

    fn shutdown(&mut self) {
        let shutdown = self.on().socket;
        let how = self.rng.pick(&[
            Shutdown::Read,
            Shutdown::Write,
            Shutdown::Write,
            Shutdown::Both,
        ]);
        self.push(Step::Shutdown(ShutdownStep {
            shutdown,
            how,
            expect: Vec::new(),
        }));
    }

    fn set(&mut self) {
        let mut options = self.setting.options(self.rng);
        if options.is_empty() {
            options.set(SockOpt::ReuseAddr(true));
        }
        let set = self.on().socket;
        self.push(Step::Set(SetStep {
            set,
            options,
            expect: Vec::new(),
        }));
    }

    fn transfer(&mut self) {
        let transfer = TransferStep {
            socket: self.on().socket,
            len: self.rng.pick(&[1, 10, 1_000]),
            expect: Vec::new(),
        };
        let step = match self.rng.percent(50) {
            true => Step::Send(transfer),
            false => Step::Recv(transfer),
        };
        self.push(step);
    }

    /// Makes most sockets datagram sockets, and some of their transfers `sendto` and `recvfrom`.
    fn use_datagrams(&mut self) {
        let mut hosts: BTreeMap<String, String> = BTreeMap::new();
        let mut steps = std::mem::take(&mut self.steps);
        for step in &mut steps {
            match &mut step.value {
                Step::Socket(made) if self.rng.percent(75) => {
                    made.kind = SocketType::Dgram;
                    hosts.insert(made.socket.clone(), made.on.clone());
                }
                Step::Send(send) if self.rng.percent(70) => {
                    if let Some(host) = hosts.get(&send.socket) {
                        step.value = Step::Sendto(SendtoStep {
                            sendto: send.socket.clone(),
                            to: self.setting.remote(self.rng, host, true).into(),
                            len: send.len,
                            port_as: None,
                            expect: Vec::new(),
                            expect_port: None,
                            expect_local: None,
                        });
                    }
                }
                Step::Recv(recv) if hosts.contains_key(&recv.socket) => {
                    step.value = Step::Recvfrom(RecvfromStep {
                        socket: recv.socket.clone(),
                        len: recv.len,
                        port_as: None,
                        expect: Vec::new(),
                        expect_port: None,
                        expect_peer: None,
                    });
                }
                _ => {}
            }
        }
        self.steps = steps;
    }

    fn name(&mut self) {
        let name = NameStep {
            socket: self.on().socket,
            port_as: self.port_as(),
            expect: Vec::new(),
            expect_port: None,
            expect_address: None,
        };
        let step = match self.rng.percent(60) {
            true => Step::Getsockname(name),
            false => Step::Getpeername(name),
        };
        self.push(step);
    }

    fn sysctl(&mut self) {
        let (key, value) = self.setting.sysctl(self.rng);
        let on = self.setting.any_host(self.rng);
        self.push(Step::Sysctl(SysctlStep {
            sysctl: Sysctls::from([(key, value)]),
            on,
        }));
    }

    fn sleep(&mut self) {
        let sleep = self.setting.pause(self.rng);
        self.push(Step::Sleep(SleepStep { sleep }));
    }
}
