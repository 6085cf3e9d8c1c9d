//! Random programs, and the reference's answers to them.

use super::reference::ends::Ending;
use super::reference::reasons::Reasons;
use super::reference::{A1, A2, Answer, Reference};
use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::profile::behaviour::Scope;
use fourtuple_kernel::{PortRange, SockOpt};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use std::cell::RefCell;

/// Options of a new socket.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    uid: u32,
    reuse: bool,
    reuseport: bool,
    no_port: bool,
    /// Offsets from the low end of the range, if it has a range of its own.
    range: Option<(u16, u16)>,
}

/// One step of a random program. Sockets are picked among the living ones by `which`; ports are
/// offsets into the range.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Open {
        options: Options,
        /// Address, and port 0 or an offset.
        bind: Option<(u32, Option<u16>)>,
        listen: bool,
        connect: Option<u8>,
    },
    On(usize, Deed),
    Wait(u64),
    Range(u16, u16),
    Reserved(Vec<u16>),
    TwReuse(bool),
    AutobindReuse(bool),
    /// Binds every n-th port of the range.
    FillBind(u32, u16, bool),
    /// Connects without bind so many times.
    FillConnect(u8, u16),
    /// Ends so many sockets, beginning with one.
    EndMany(usize, u16, Ending),
}

/// A call on a socket that exists.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Set(SockOpt),
    Bind(u32, Option<u16>),
    Listen,
    Connect(u8),
    End(Ending),
}

/// One call, as both kernels are asked to do it. Sockets are numbered in the order of their making.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Socket(u32),
    Set(usize, SockOpt),
    Bind(usize, u32, u16),
    Listen(usize),
    Connect(usize, u8),
    End(usize, Ending),
    Wait(u64),
    Sysctl(&'static str, String),
}

/// The reference, and the calls of the last step with its answers.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) kernel: String,
    pub(crate) seed: u64,
    pub(crate) r: Reference,
    /// Range that offsets are counted in.
    pub(crate) base: (u16, u16),
    pub(crate) log: Vec<(Op, Option<Answer>, Reasons)>,
}

const START: u64 = 100 * 1_000_000_000;

thread_local! {
    /// The kernel whose programs are being made, and the sizes of their ranges.
    pub(crate) static KERNEL: RefCell<Option<(Profile, &'static [u16])>> = const { RefCell::new(None) };
}

impl Spec {
    fn pick(&self, which: usize) -> Option<usize> {
        let living: Vec<usize> = (0..self.r.socks.len())
            .filter(|&i| self.r.socks[i].alive)
            .collect();
        (!living.is_empty()).then(|| living[which % living.len()])
    }

    fn port(&self, offset: Option<u16>) -> u16 {
        offset.map_or(0, |o| self.base.0 + o % (self.base.1 - self.base.0 + 1))
    }

    /// Does one call on the reference and writes down what it answered.
    fn call(&mut self, op: Op) {
        let answer = match &op {
            Op::Socket(uid) => {
                self.r.socket(*uid);
                None
            }
            Op::Set(i, opt) => {
                let (b, s) = (self.r.b, &mut self.r.socks[*i]);
                match *opt {
                    SockOpt::ReuseAddr(on) => s.reuse = on,
                    SockOpt::ReusePort(on) if b.reuseport => s.reuseport = on,
                    SockOpt::BindAddressNoPort(on) if b.bind_address_no_port => s.no_port = on,
                    SockOpt::LocalPortRange(r) if b.local_port_range_option => {
                        s.range = (r.low, r.high);
                    }
                    _ => return,
                }
                None
            }
            Op::Bind(i, addr, port) => Some(self.r.bind(*i, *addr, *port)),
            Op::Listen(i) => Some(self.r.listen(*i)),
            Op::Connect(i, dest) => Some(self.r.connect(*i, *dest)),
            Op::End(i, how) => {
                self.r.end(*i, *how);
                None
            }
            Op::Wait(ms) => {
                self.r.wait(ms * 1_000_000);
                None
            }
            Op::Sysctl(..) => None,
        };
        let reasons = match answer {
            Some(Err(_)) => self.r.reasons.clone(),
            _ => Reasons::new(),
        };
        self.log.push((op, answer, reasons));
    }

    fn open(&mut self, o: &Options) -> usize {
        let i = self.r.socks.len();
        self.call(Op::Socket(o.uid));
        self.call(Op::Set(i, SockOpt::ReuseAddr(o.reuse)));
        self.call(Op::Set(i, SockOpt::ReusePort(o.reuseport)));
        self.call(Op::Set(i, SockOpt::BindAddressNoPort(o.no_port)));
        if let Some((x, y)) = o.range {
            let (low, high) = (self.base.0 + x.min(y), self.base.0 + x.max(y));
            self.call(Op::Set(
                i,
                SockOpt::LocalPortRange(PortRange::new(low, high)),
            ));
        }
        i
    }

    fn step(&mut self, step: &Step) {
        let plain = Options {
            uid: 0,
            reuse: false,
            reuseport: false,
            no_port: false,
            range: None,
        };
        match step {
            Step::Open {
                options,
                bind,
                listen,
                connect,
            } => {
                let i = self.open(options);
                if let Some((addr, offset)) = bind {
                    self.call(Op::Bind(i, *addr, self.port(*offset)));
                }
                if *listen {
                    self.call(Op::Listen(i));
                }
                if let Some(dest) = connect {
                    self.call(Op::Connect(i, *dest));
                }
            }
            Step::On(which, what) => {
                let Some(i) = self.pick(*which) else { return };
                self.call(match what {
                    Deed::Set(opt) => Op::Set(i, *opt),
                    Deed::Bind(addr, offset) => Op::Bind(i, *addr, self.port(*offset)),
                    Deed::Listen => Op::Listen(i),
                    Deed::Connect(dest) => Op::Connect(i, *dest),
                    Deed::End(how) => Op::End(i, *how),
                });
            }
            Step::EndMany(which, count, how) => {
                for _ in 0..*count {
                    if let Some(i) = self.pick(*which) {
                        self.call(Op::End(i, *how));
                    }
                }
            }
            Step::FillBind(addr, every, reuse) => {
                for port in (self.base.0..=self.base.1).step_by(usize::from(*every)) {
                    let i = self.open(&Options {
                        reuse: *reuse,
                        ..plain.clone()
                    });
                    self.call(Op::Bind(i, *addr, port));
                }
            }
            Step::FillConnect(dest, count) => {
                for _ in 0..*count {
                    let i = self.open(&plain);
                    self.call(Op::Connect(i, *dest));
                }
            }
            Step::Wait(ms) => self.call(Op::Wait(*ms)),
            sysctl => self.configure(sysctl),
        }
    }

    /// Writes a sysctl, if the kernel has it.
    fn configure(&mut self, step: &Step) {
        match step {
            Step::Range(x, y) => {
                let (x, y) = (self.port(Some(*x)), self.port(Some(*y)));
                self.r.range = (x.min(y), x.max(y));
                let text = format!("{} {}", self.r.range.0, self.r.range.1);
                self.call(Op::Sysctl("net.ipv4.ip_local_port_range", text));
            }
            Step::Reserved(offsets) if self.r.b.reserved_ports != Scope::Absent => {
                self.r.reserved = offsets.iter().map(|o| self.port(Some(*o))).collect();
                let texts: Vec<String> = self.r.reserved.iter().map(u16::to_string).collect();
                self.call(Op::Sysctl(
                    "net.ipv4.ip_local_reserved_ports",
                    texts.join(","),
                ));
            }
            Step::TwReuse(on) => {
                self.r.tw_reuse = *on;
                let text = u8::from(*on).to_string();
                self.call(Op::Sysctl("net.ipv4.tcp_tw_reuse", text));
            }
            Step::AutobindReuse(on) if self.r.b.autobind_reuse => {
                self.r.autobind_reuse = *on;
                let text = u8::from(*on).to_string();
                self.call(Op::Sysctl("net.ipv4.ip_autobind_reuse", text));
            }
            _ => {}
        }
    }
}

/// Sizes of the ranges in which sockets crowd together.
pub(crate) const TINY: &[u16] = &[1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// Sizes in which a search goes over many ports: some around the size of a machine word, and a few
/// hundred ports.
pub(crate) const LARGE: &[u16] = &[
    15, 16, 31, 63, 64, 65, 66, 100, 127, 128, 129, 191, 200, 257, 300, 333, 514,
];

fn options() -> impl Strategy<Value = Options> {
    let range = prop::option::weighted(0.1, (0..400u16, 0..400u16));
    (
        prop_oneof![5 => Just(0u32), 1 => Just(1000)],
        prop::bool::weighted(0.6),
        prop::bool::weighted(0.25),
        prop::bool::weighted(0.1),
        range,
    )
        .prop_map(|(uid, reuse, reuseport, no_port, range)| Options {
            uid,
            reuse,
            reuseport,
            no_port,
            range,
        })
}

fn address() -> impl Strategy<Value = u32> {
    prop_oneof![2 => Just(0), 4 => Just(A1), 2 => Just(A2)]
}

fn offset() -> impl Strategy<Value = Option<u16>> {
    prop_oneof![2 => Just(None), 1 => (0..400u16).prop_map(Some), 1 => (0..4u16).prop_map(Some)]
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        3 => Just(Ending::First),
        1 => Just(Ending::Last),
        2 => Just(Ending::Reset),
        2 => Just(Ending::Disconnect),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        1 => any::<bool>().prop_map(|on| Deed::Set(SockOpt::ReuseAddr(on))),
        1 => any::<bool>().prop_map(|on| Deed::Set(SockOpt::ReusePort(on))),
        3 => (address(), offset()).prop_map(|(a, o)| Deed::Bind(a, o)),
        2 => Just(Deed::Listen),
        4 => (1..4u8).prop_map(Deed::Connect),
        5 => ending().prop_map(Deed::End),
    ]
}

fn open() -> impl Strategy<Value = Step> {
    (
        options(),
        prop::option::weighted(0.6, (address(), offset())),
        prop::bool::weighted(0.1),
        prop::option::weighted(0.6, 1..4u8),
    )
        .prop_map(|(options, bind, listen, connect)| Step::Open {
            options,
            bind,
            listen,
            connect,
        })
}

/// Steps on single sockets; the values that most calls meet change seldom.
fn tiny_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => open(),
        22 => (any::<usize>(), deed()).prop_map(|(which, what)| Step::On(which, what)),
        2 => (0..70_000u64).prop_map(Step::Wait),
        2 => (0..2_500u64).prop_map(Step::Wait),
        1 => (0..400u16, 0..400u16).prop_map(|(x, y)| Step::Range(x, y)),
        1 => prop::collection::vec(0..400u16, 0..3).prop_map(Step::Reserved),
        1 => any::<bool>().prop_map(Step::TwReuse),
        1 => any::<bool>().prop_map(Step::AutobindReuse),
    ]
}

/// The same among steps that fill a range and empty it again.
fn large_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => tiny_step(),
        1 => prop::collection::vec(0..600u16, 0..40).prop_map(Step::Reserved),
        2 => (address(), 1..5u16, any::<bool>()).prop_map(|(a, n, r)| Step::FillBind(a, n, r)),
        2 => (1..4u8, 1..250u16).prop_map(|(d, n)| Step::FillConnect(d, n)),
        2 => (any::<usize>(), 1..250u16, ending()).prop_map(|(w, n, h)| Step::EndMany(w, n, h)),
    ]
}

impl ReferenceStateMachine for Spec {
    type State = Spec;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Spec> {
        let (profile, sizes) = KERNEL.with_borrow(Clone::clone).expect("a kernel is set");
        (any::<u64>(), prop::sample::select(sizes), 0..130u16)
            .prop_map(move |(seed, size, low)| {
                let base = (39_950 + low, 39_950 + low + size - 1);
                Spec {
                    kernel: profile.name.clone(),
                    seed,
                    r: Reference::new(profile.behaviours, START, base, seed),
                    base,
                    log: Vec::new(),
                }
            })
            .boxed()
    }

    fn transitions(_: &Spec) -> BoxedStrategy<Step> {
        let (_, sizes) = KERNEL.with_borrow(Clone::clone).expect("a kernel is set");
        if sizes == TINY {
            tiny_step().boxed()
        } else {
            large_step().boxed()
        }
    }

    fn apply(mut spec: Spec, step: &Step) -> Spec {
        spec.log.clear();
        spec.step(step);
        spec
    }
}
