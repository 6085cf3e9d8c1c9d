//! The model against the slow reference: equal answers, equal ports, equal buckets and equal
//! reasons after every call of random programs, on every kernel, with the same random numbers.

mod program;
#[allow(dead_code)]
#[path = "../reference/mod.rs"]
mod reference;

use fourtuple_kernel::chooser::PortHashInput;
use fourtuple_kernel::profile;
use fourtuple_kernel::{
    Chooser, Errno, Family, MachineId, PortVerdict, SockOpt, Time, World, WorldNs, WorldSock,
};
use program::{KERNEL, LARGE, Op, Spec, Step, TINY};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use reference::ends::Ending;
use reference::{A1, A2, Answer, ReferenceRng};
use rstest::rstest;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::Poll;

/// The reference's random numbers as a chooser of the model.
#[derive(Clone, Debug)]
struct RandomChooser(ReferenceRng);

impl Chooser for RandomChooser {
    fn bind_start(&mut self, n: u32, _parity: bool) -> u32 {
        self.0.bind_start(n)
    }

    fn port_hash(&mut self, input: PortHashInput) -> u64 {
        let last_byte = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(ip) => ip.octets()[15],
        };
        self.0.port_hash(
            u32::from(last_byte(input.source())),
            last_byte(input.destination().ip()),
            input.epoch(),
        )
    }

    fn connect_start(&mut self, base: u32, _n: u32, _even: bool) -> u32 {
        base
    }

    fn perturb_cell(&mut self, index: u32) -> u32 {
        self.0.cell(index)
    }

    fn perturb_step(&mut self, n: u32) -> u32 {
        self.0.perturb_step(n)
    }

    fn step_factor(&mut self, most: u32) -> u32 {
        self.0.perturb_step(most) + 1
    }

    fn garbage_uid_matches(&mut self) -> bool {
        self.0.garbage_uid
    }

    fn garbage_bit(&mut self) -> bool {
        false
    }

    fn pick_listener(&mut self, _n: u32) -> u32 {
        0
    }
}

/// The model, with its servers on another machine.
struct Model {
    w: World<RandomChooser>,
    m: MachineId,
    ns: WorldNs,
    listeners: Vec<WorldSock>,
    /// By the reference's numbers: a socket and the server's end of its connection.
    socks: Vec<(WorldSock, Option<WorldSock>)>,
}

fn host(addr: u32) -> IpAddr {
    match addr {
        0 => Ipv4Addr::UNSPECIFIED.into(),
        n => Ipv4Addr::new(10, 0, 0, n as u8).into(),
    }
}

fn server(dest: u8) -> SocketAddr {
    (Ipv4Addr::new(10, 0, 9, dest), 80).into()
}

impl Model {
    fn new(spec: &Spec) -> Self {
        let mut w = World::new();
        let m = w.add_machine(spec.r.b, RandomChooser(ReferenceRng::new(spec.seed)));
        let ns = w.add_namespace(m);
        let far = w.add_machine(spec.r.b, RandomChooser(ReferenceRng::new(0)));
        let far_ns = w.add_namespace(far);
        w.set_explain(true);
        for addr in [A1, A2] {
            w.add_address(ns, host(addr));
        }
        let listeners = (1..4)
            .map(|dest| {
                w.add_address(far_ns, server(dest).ip());
                let l = w.socket(far_ns, Family::Inet, 0);
                w.bind(l, server(dest)).expect("a free port");
                w.listen(l, 4096).expect("a free port");
                l
            })
            .collect();
        let mut model = Model {
            w,
            m,
            ns,
            listeners,
            socks: Vec::new(),
        };
        let range = format!("{} {}", spec.base.0, spec.base.1);
        model.sysctl("net.ipv4.ip_local_port_range", &range);
        model.sysctl("net.ipv4.tcp_tw_reuse", "0");
        model
    }

    fn sysctl(&mut self, key: &str, value: &str) {
        self.w.sysctl(self.ns, key, value).expect("the key exists");
    }

    fn port(&self, s: WorldSock, r: Result<(), Errno>) -> Answer {
        r.map(|()| self.w.local_addr(s).port())
    }

    fn call(&mut self, op: &Op) -> Option<Answer> {
        match op {
            Op::Socket(uid) => {
                let s = self.w.socket(self.ns, Family::Inet, *uid);
                self.socks.push((s, None));
                None
            }
            Op::Set(i, opt) => {
                self.w
                    .set_option(self.socks[*i].0, *opt)
                    .expect("it exists");
                None
            }
            Op::Bind(i, addr, port) => {
                let s = self.socks[*i].0;
                let r = self.w.bind(s, SocketAddr::new(host(*addr), *port));
                Some(self.port(s, r))
            }
            Op::Listen(i) => {
                let s = self.socks[*i].0;
                let r = self.w.listen(s, 8);
                Some(self.port(s, r))
            }
            Op::Connect(i, dest) => {
                let s = self.socks[*i].0;
                let r = match self.w.connect(s, server(*dest)) {
                    Poll::Ready(r) => r,
                    Poll::Pending => Err(Errno::EINPROGRESS),
                };
                if r.is_ok() {
                    let l = self.listeners[usize::from(*dest) - 1];
                    if let Poll::Ready(Ok(child)) = self.w.accept(l, 0) {
                        self.socks[*i].1 = Some(child);
                    }
                }
                Some(self.port(s, r))
            }
            Op::End(i, how) => {
                let (s, child) = self.socks[*i];
                self.end(s, child, *how);
                self.socks[*i].1 = None;
                None
            }
            Op::Wait(ms) => {
                let to = Time(self.w.now().nanos() + ms * 1_000_000);
                self.w.advance(to);
                None
            }
            Op::Sysctl(key, value) => {
                self.sysctl(key, value);
                None
            }
        }
    }

    fn end(&mut self, s: WorldSock, child: Option<WorldSock>, how: Ending) {
        match how {
            Ending::First => {
                self.w.close(s);
                child.into_iter().for_each(|c| self.w.close(c));
            }
            Ending::Last => {
                child.into_iter().for_each(|c| self.w.close(c));
                self.w.close(s);
            }
            Ending::Reset => {
                self.w
                    .set_option(s, SockOpt::Linger(Some(0)))
                    .expect("known everywhere");
                self.w.close(s);
            }
            Ending::Disconnect => self.w.disconnect(s).expect("never fails"),
        }
    }

    fn view(&self) -> Vec<(u16, i8, i8, usize)> {
        self.w
            .buckets(self.ns)
            .iter()
            .map(|b| (b.port, b.fastreuse, b.fastreuseport, b.owners.len()))
            .collect()
    }
}

impl StateMachineTest for Model {
    type SystemUnderTest = Model;
    type Reference = Spec;

    fn init_test(spec: &Spec) -> Model {
        Model::new(spec)
    }

    fn apply(mut model: Model, spec: &Spec, _: Step) -> Model {
        for (op, want, reasons) in &spec.log {
            let got = model.call(op);
            assert_eq!(got, *want, "{op:?} on {}", spec.kernel);
            let why = model
                .w
                .take_refusal()
                .map(|refusal| (refusal.tried, refusal.counts));
            let (tried, counts) = why.unwrap_or_default();
            assert_eq!(counts, *reasons, "reasons of {op:?} on {}", spec.kernel);
            let passed_by = reasons.get(&PortVerdict::NotVisited).unwrap_or(&0);
            assert_eq!(tried, reasons.values().sum::<u32>() - passed_by);
            model.w.machine(model.m).assert_invariants();
        }
        model
    }

    fn check_invariants(model: &Model, spec: &Spec) {
        let mut want = spec.r.view();
        if !spec.r.b.reuseport {
            // Where SO_REUSEPORT does not exist the second value means nothing.
            want.iter_mut().for_each(|b| b.2 = 0);
        }
        let mut got = model.view();
        if !spec.r.b.reuseport {
            got.iter_mut().for_each(|b| b.2 = 0);
        }
        assert_eq!(got, want, "buckets on {}", spec.kernel);
    }
}

/// Random programs on every n-th kernel. `PROPTEST_CASES` multiplies their number.
fn programs(sizes: &'static [u16], cases: u32, shard: usize) {
    let times: u32 = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    for profile in profile::all().into_iter().skip(shard).step_by(SHARDS) {
        let name = profile.name.clone();
        KERNEL.set(Some((profile, sizes)));
        let config = Config {
            cases: cases * times,
            failure_persistence: None,
            max_shrink_iters: 4096,
            ..Config::default()
        };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config.clone(), rng);
        let result = runner.run(
            &Spec::sequential_strategy(10..80),
            |(initial, transitions, seen)| {
                Model::test_sequential(config.clone(), initial, transitions, seen);
                Ok(())
            },
        );
        if let Err(e) = result {
            panic!("{name}: {e}");
        }
    }
}

/// Tests run side by side, each on its share of the kernels.
const SHARDS: usize = 4;

#[rstest]
fn tiny_ranges(#[values(0, 1, 2, 3)] shard: usize) {
    programs(TINY, 150, shard);
}

#[rstest]
fn large_ranges(#[values(0, 1, 2, 3)] shard: usize) {
    programs(LARGE, 10, shard);
}
