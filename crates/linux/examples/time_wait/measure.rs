//! Measures to the tick when TIME-WAIT ends, and asks the model when it should.
//!
//! A kernel does not end TIME-WAIT after 60 s but with the first step of its timer wheel behind that, and for a minute the wheel's step
//! is 512 ticks. Where the steps lie hangs on the moment at which ticks began to be counted, which differs between boots but not
//! within one: the first connection tells it, and the model then has to be right about all others to the tick.

use fourtuple_kernel::{Behaviours, Endpoint, Family as ModelFamily, Machine, Seeded, Time};
use fourtuple_linux::{Call, Family, Outcome, Program, RunError, Step, Vm, profile_of};
use std::net::SocketAddr;
use std::task::Poll;

/// How many connections are measured.
const CONNECTIONS: u32 = 12;
/// Milliseconds by which the moments of their ends differ. No divisor of the wheel's step.
const APART: u32 = 171;
/// The wheel's step for a minute, in ticks.
const STEP: i64 = 512;
/// When looking begins, and how long it lasts, in milliseconds.
const FIRST: u32 = 59_980;
const LOOKS: u32 = 2_200;

/// One connection's TIME-WAIT, in microseconds of the machine's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// When it began.
    pub(crate) began: u64,
    /// When its port was first seen to be free, at most two milliseconds late.
    pub(crate) ended: u64,
    /// When the model says that it ends, with ticks counted from `phase` on.
    pub(crate) expected: u64,
}

/// What was measured on one kernel.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    /// What uname calls it.
    pub(crate) release: String,
    /// Its profile.
    pub(crate) profile: String,
    /// The length of a tick in microseconds.
    pub(crate) tick: u64,
    /// When ticks began to be counted, by the first connection; known but for a multiple of the wheel's step.
    pub(crate) phase: u64,
    /// The connections, in order.
    pub(crate) all: Vec<Measured>,
}

impl Measured {
    /// How long it lasted.
    pub(crate) fn lasted(&self) -> u64 {
        self.ended - self.began
    }

    /// How much later it ended than the model says.
    pub(crate) fn late(&self) -> i64 {
        self.ended as i64 - self.expected as i64
    }
}

impl Measurement {
    /// By how much any of them ended at another moment than the model says.
    pub(crate) fn off_the_model(&self) -> u64 {
        let off = self.all.iter().map(|one| one.late().unsigned_abs());
        off.max().unwrap_or(u64::MAX)
    }

    /// By how much the times between their ends are no multiple of the wheel's step.
    pub(crate) fn off_the_grid(&self) -> u64 {
        let step = self.step();
        let Some(first) = self.all.first() else {
            return u64::MAX;
        };
        let left = self.all.iter().map(|one| {
            let left = one.ended.abs_diff(first.ended) % step;
            left.min(step - left)
        });
        left.max().unwrap_or(0)
    }

    /// The step of the wheel, in microseconds.
    pub(crate) fn step(&self) -> u64 {
        STEP as u64 * self.tick
    }
}

/// Boots an image and measures.
pub(crate) fn measure(vm: &Vm) -> Result<Measurement, RunError> {
    let programs: Vec<Program> = (0..CONNECTIONS).map(program).collect();
    let run = vm.run(&programs)?;
    let profile =
        profile_of(&run.release).ok_or_else(|| RunError::NoProfile(run.release.clone()))?;
    let tick = 1_000_000 / u64::from(profile.behaviours.hz);
    let mut all = Vec::new();
    let mut phase = 0;
    for answered in run.answers {
        let (began, ended) = seen(&answered?);
        if all.is_empty() {
            // The first one tells the phase, all others are foretold.
            let plain = expected(profile.behaviours, began);
            phase = (ended as i64 - plain as i64).rem_euclid(STEP * tick as i64) as u64;
        }
        all.push(Measured {
            began,
            ended,
            expected: expected(profile.behaviours, began.saturating_sub(phase)) + phase,
        });
    }
    Ok(Measurement {
        release: run.release,
        profile: profile.name,
        tick,
        phase,
        all,
    })
}

fn server() -> SocketAddr {
    ([127, 0, 0, 1], 5000).into()
}

fn client() -> SocketAddr {
    ([127, 0, 0, 1], 41_000).into()
}

/// A connection that its client closes first, and then a look at its port every millisecond.
fn program(number: u32) -> Program {
    let sock = |name: &str| name.to_owned();
    let socket = |name: &str| Call::Socket {
        sock: sock(name),
        family: Family::Inet,
        uid: None,
        nonblock: false,
    };
    let mut calls = vec![
        Call::Ns,
        Call::Sleep {
            ms: number * APART % 2_048,
        },
        socket("l"),
        Call::Bind {
            sock: sock("l"),
            at: server(),
        },
        Call::Listen {
            sock: sock("l"),
            backlog: None,
        },
        socket("a"),
        Call::Bind {
            sock: sock("a"),
            at: client(),
        },
        Call::Connect {
            sock: sock("a"),
            to: server(),
            wait_ms: None,
        },
        Call::Accept {
            sock: sock("l"),
            new: sock("s"),
            uid: None,
            wait_ms: None,
        },
        Call::Close { sock: sock("a") },
        Call::Close { sock: sock("s") },
        socket("b"),
        Call::Sleep { ms: FIRST },
    ];
    for _ in 0..LOOKS {
        calls.push(Call::Bind {
            sock: sock("b"),
            at: client(),
        });
        calls.push(Call::Sleep { ms: 1 });
    }
    Program {
        program: format!("connection {number}"),
        hosts: Vec::new(),
        steps: calls.into_iter().map(Step::from).collect(),
    }
}

fn at(step: &Step) -> u64 {
    step.answer.as_ref().map_or(0, |answer| answer.at_us)
}

/// When TIME-WAIT began, and when it had ended.
fn seen(program: &Program) -> (u64, u64) {
    let closes = |step: &&Step| matches!(&step.call, Call::Close { sock } if sock == "s");
    let free = |step: &&Step| {
        let worked = step.answer.as_ref().map(|answer| answer.result) == Some(Outcome::Ok);
        worked && matches!(&step.call, Call::Bind { sock, .. } if sock == "b")
    };
    let began = program.steps.iter().find(closes).map_or(0, at);
    (began, program.steps.iter().find(free).map_or(0, at))
}

/// When the model ends a TIME-WAIT that begins at a moment of the machine's clock.
fn expected(behaviours: Behaviours, began: u64) -> u64 {
    let mut machine = Machine::new(behaviours, Seeded::new(1, "measured"));
    machine.set_clock(Time(began * 1000));
    let ns = machine.add_namespace();
    let [server, client] = [server(), client()].map(Endpoint::from);
    let [listener, connecting] = [0, 1].map(|_| machine.socket(ns, ModelFamily::Inet, 0));
    let ready = machine
        .bind(listener, server)
        .and_then(|()| machine.listen(listener, 1))
        .and_then(|()| machine.bind(connecting, client))
        .is_ok();
    let connected = ready && machine.connect(connecting, server) == Poll::Ready(Ok(()));
    match machine.accept(listener, 0) {
        Poll::Ready(Ok(accepted)) if connected => {
            machine.close(connecting);
            machine.close(accepted);
        }
        _ => return 0,
    }
    machine.next_event().map_or(0, |end| end.nanos() / 1000)
}
