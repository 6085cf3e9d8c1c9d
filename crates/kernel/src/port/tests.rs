//! The searches against the rules that they apply: a word of ports at a time and port by port must
//! find the same port, in random states of every kernel.

use super::order::Order;
use super::select_bind::{self, bind_may_select};
use super::select_connect;
use super::{Verdict, port_range};
use crate::Family;
use crate::addr::{Endpoint, Ip};
use crate::bucket::conflict::Mode;
use crate::chooser::Seeded;
use crate::machine::{Machine, NsId, SockId};
use crate::port::set::{Run, runs_by_one, runs_by_two};
use crate::profile::{self, Profile};
use crate::time::SEC;
use crate::{ShortName, SockOpt};
use proptest::prelude::*;
use std::net::Ipv4Addr;

const LOW: u16 = 40_000;
const OWN: [Ipv4Addr; 3] = [
    Ipv4Addr::UNSPECIFIED,
    Ipv4Addr::new(10, 0, 0, 1),
    Ipv4Addr::new(10, 0, 0, 2),
];
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

/// One step towards a random state. Ports are offsets into the range, sockets are picked by number.
#[derive(Clone, Debug)]
enum Step {
    Open {
        inet6: bool,
        reuse: bool,
        reuseport: bool,
        device: bool,
    },
    Bind(usize, usize, Option<u16>),
    Connect(usize, u16),
    /// To a listener of the machine itself, and this end closes first.
    Visit(usize),
    Listen(usize),
    Close(usize),
    Wait(u64),
    Reserve(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.1)).prop_map(
            |(inet6, reuse, reuseport, device)| Step::Open { inet6, reuse, reuseport, device }
        ),
        4 => (any::<usize>(), 0..3usize, prop::option::of(0..20u16))
            .prop_map(|(s, a, p)| Step::Bind(s, a, p)),
        6 => (any::<usize>(), 0..3u16).prop_map(|(s, d)| Step::Connect(s, d)),
        2 => any::<usize>().prop_map(Step::Visit),
        1 => any::<usize>().prop_map(Step::Listen),
        1 => any::<usize>().prop_map(Step::Close),
        1 => (0..90u64).prop_map(Step::Wait),
        1 => (0..20u16).prop_map(Step::Reserve),
    ]
}

struct Host {
    machine: Machine,
    ns: NsId,
    listener: SockId,
    socks: Vec<SockId>,
}

impl Host {
    fn new(profile: &Profile, size: u16) -> Self {
        let mut machine = Machine::new(profile.behaviours, Seeded::new(1, "host"));
        let ns = machine.add_namespace();
        for ip in &OWN[1..] {
            machine.add_address(ns, (*ip).into());
        }
        machine.set_routed(ns, true);
        let range = format!("{LOW} {}", LOW + size - 1);
        let written = machine.sysctl(ns, "net.ipv4.ip_local_port_range", &range);
        written.expect("every kernel has a range");
        let listener = machine.socket(ns, Family::Inet, 0);
        let at = Endpoint::new(OWN[1].into(), 80);
        machine.bind(listener, at.into()).expect("the port is free");
        machine.listen(listener, 100).expect("the socket is bound");
        Host {
            machine,
            ns,
            listener,
            socks: Vec::new(),
        }
    }

    fn sock(&self, number: usize) -> Option<SockId> {
        let count = self.socks.len();
        (count > 0).then(|| self.socks[number % count])
    }

    /// Makes a step. Calls may fail: a refusal leaves a state behind as well.
    fn act(&mut self, step: &Step) {
        let m = &mut self.machine;
        match *step {
            Step::Open {
                inet6,
                reuse,
                reuseport,
                device,
            } => {
                let family = if inet6 { Family::Inet6 } else { Family::Inet };
                let sock = m.socket(self.ns, family, 0);
                let _ = m.set_option(sock, SockOpt::ReuseAddr(reuse));
                let _ = m.set_option(sock, SockOpt::ReusePort(reuseport));
                if device {
                    let _ = m.set_option(sock, SockOpt::BindToDevice(ShortName::LO));
                }
                self.socks.push(sock);
            }
            Step::Bind(s, address, port) => {
                if let Some(s) = self.sock(s) {
                    let port = port.map_or(0, |offset| LOW + offset);
                    let at = Endpoint::new(OWN[address].into(), port);
                    let _ = self.machine.bind(s, at.into());
                }
            }
            Step::Connect(s, port) => {
                if let Some(s) = self.sock(s) {
                    let to = Endpoint::new(SERVER.into(), 3000 + port);
                    let _ = self.machine.connect(s, to.into());
                }
            }
            Step::Visit(s) => {
                if let Some(s) = self.sock(s) {
                    let to = Endpoint::new(OWN[1].into(), 80);
                    let _ = self.machine.connect(s, to.into());
                    self.machine.close(s);
                    self.socks.retain(|of| *of != s);
                    if let std::task::Poll::Ready(Ok(child)) = self.machine.accept(self.listener, 0)
                    {
                        self.machine.close(child);
                    }
                }
            }
            Step::Listen(s) => {
                if let Some(s) = self.sock(s) {
                    let _ = self.machine.listen(s, 1);
                }
            }
            Step::Close(s) => {
                if let Some(s) = self.sock(s) {
                    self.machine.close(s);
                    self.socks.retain(|of| *of != s);
                }
            }
            Step::Wait(seconds) => {
                let then = m.now().after(seconds * SEC);
                m.advance(then);
            }
            Step::Reserve(offset) => {
                let port = (LOW + offset).to_string();
                let _ = m.sysctl(self.ns, "net.ipv4.ip_local_reserved_ports", &port);
            }
        }
    }

    /// A new socket of every kind that the rules tell apart.
    fn newcomers(&mut self) -> Vec<u32> {
        let mut all = Vec::new();
        for number in 0..8 {
            let family = if number % 4 == 3 {
                Family::Inet6
            } else {
                Family::Inet
            };
            let sock = self.machine.socket(self.ns, family, 0);
            let _ = self
                .machine
                .set_option(sock, SockOpt::ReuseAddr(number % 2 == 1));
            let _ = self
                .machine
                .set_option(sock, SockOpt::ReusePort(number >= 6));
            if number == 5 {
                let _ = self
                    .machine
                    .set_option(sock, SockOpt::BindToDevice(ShortName::LO));
            }
            all.push(sock.index);
        }
        all
    }

    fn compare_binds(&mut self, sk: u32) {
        for own in OWN {
            self.machine.socks[sk].rcv_saddr = own.into();
            let (t, _) = self.machine.tables(self.ns.0);
            let (low, high) = port_range(t.ns, &t.socks[sk], t.rules);
            let ports = (low..=high).collect::<Vec<u16>>();
            for port in ports {
                self.machine.read_undefined(sk, port);
            }
            let (t, _) = self.machine.tables(self.ns.0);
            let size = (u32::from(high - low) + 1) & !1;
            let orders: Vec<Vec<Run>> = vec![
                runs_by_one(low, high, 3 % size.max(1)).to_vec(),
                runs_by_two(low, high, 1, size.max(1)).to_vec(),
            ];
            for mode in [Mode::Automatic, Mode::Autobind] {
                for runs in &orders {
                    let found = select_bind::first_usable(&t, sk, runs, mode);
                    let mut walk = runs.iter().flat_map(Run::ports);
                    let by_rule =
                        walk.find(|port| bind_may_select(&t, sk, *port, mode) == Verdict::Use);
                    assert_eq!(found, by_rule, "{mode:?} {runs:?}");
                }
            }
        }
    }

    fn compare_connects(&mut self, sk: u32, offset: u32) {
        let to = [0, 1, 2].map(|n| Endpoint::new(SERVER.into(), 3000 + n));
        let mut index = Default::default();
        // Twice: the first searches teach the index what the second ones use.
        for (to, own) in to.into_iter().chain(to).zip([1, 1, 2, 1, 1, 2]) {
            let sock = &mut self.machine.socks[sk];
            sock.rcv_saddr = Ip::from(OWN[own]);
            (sock.daddr, sock.dport) = (to.ip, to.port);
            let (t, chooser) = self.machine.tables(self.ns.0);
            let (low, high) = port_range(t.ns, &t.socks[sk], t.rules);
            let order = Order::from_offset(t.rules.connect_scan(), low, high, offset);
            let found = select_connect::first_usable(&t, &mut index, chooser, sk, &order);
            let by_rule = select_connect::first_usable_literally(&t, chooser, sk, &order);
            assert_eq!(found, by_rule, "{order:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn searches_find_the_port_that_the_rules_allow(
        kernel in any::<prop::sample::Index>(),
        size in 1..150u16,
        steps in prop::collection::vec(step(), 1..60),
        offset in prop_oneof![any::<u32>(), u32::MAX - 200..=u32::MAX],
    ) {
        let profiles = profile::all();
        let mut host = Host::new(kernel.get(&profiles), size);
        for step in &steps {
            host.act(step);
        }
        host.machine.assert_invariants();
        for sk in host.newcomers() {
            host.compare_binds(sk);
            host.compare_connects(sk, offset);
        }
    }
}
