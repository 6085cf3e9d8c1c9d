//! Measures the end of TIME-WAIT to the tick, and compares it with the model.
//!
//! A kernel ends TIME-WAIT not after exactly 60 s but with the next step of its timer wheel, and
//! for timers of a minute the wheel's step is 512 ticks. The phase of the steps depends on the
//! moment at which the tick counter started, which differs between boots but not within one: the
//! first connection determines it, and the model has to predict all others to the tick.

use fourtuple_kernel::{Behaviours, Family as ModelFamily, Machine, Seeded, Time};
use fourtuple_linux::{BACKLOG, Call, Family, Program, RunError, Step, Syscall, Vm, profile_of};
use std::net::SocketAddr;
use std::task::Poll;

/// Number of connections that are measured.
const CONNECTIONS: u32 = 12;
/// Milliseconds between the ends of their TIME-WAITs. Not a divisor of the wheel's step.
const APART: u32 = 171;
/// The wheel's step for a minute, in ticks.
const STEP: i64 = 512;
/// Start of the polling in milliseconds, and number of polls, one per millisecond.
const FIRST: u32 = 59_980;
const LOOKS: u32 = 2_200;

/// One connection's TIME-WAIT, in microseconds of the machine's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// The start.
    pub(crate) began: u64,
    /// The first time at which its port was observed to be free, at most two milliseconds late.
    pub(crate) ended: u64,
    /// The end by the model, with ticks counted from `phase`.
    pub(crate) expected: u64,
}

/// The measurements of one kernel.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    /// The release that uname reports.
    pub(crate) release: String,
    /// Its profile.
    pub(crate) profile: String,
    /// The length of a tick in microseconds.
    pub(crate) tick: u64,
    /// Start of the tick counter, determined by the first connection, modulo the wheel's step.
    pub(crate) phase: u64,
    /// The connections, in order.
    pub(crate) all: Vec<Measured>,
}

impl Measured {
    /// Its duration.
    pub(crate) fn lasted(&self) -> u64 {
        self.ended - self.began
    }

    /// The difference between its end and the model's.
    pub(crate) fn late(&self) -> i64 {
        self.ended as i64 - self.expected as i64
    }
}

impl Measurement {
    /// The largest difference between an end and the model's.
    pub(crate) fn off_the_model(&self) -> u64 {
        let off = self.all.iter().map(|one| one.late().unsigned_abs());
        off.max().unwrap_or(u64::MAX)
    }

    /// The largest distance of the times between their ends from a multiple of the wheel's step.
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

/// Boots an image and measures it.
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
            // The first one determines the phase, the others are predicted.
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

/// A connection that its client closes first, and then a bind to its port every millisecond.
fn program(number: u32) -> Program {
    let sock = |name: &str| name.to_owned();
    let socket = |name: &str| Call::socket(name, Family::Inet, 0);
    let bind = |name: &str, addr| {
        Call::from(Syscall::Bind {
            sock: sock(name),
            addr,
        })
    };
    let close = |name: &str| Call::from(Syscall::Close { sock: sock(name) });
    let mut calls = vec![
        Call::Ns,
        Call::Sleep {
            ms: number * APART % 2_048,
        },
        socket("l"),
        bind("l", server()),
        Call::from(Syscall::Listen {
            sock: sock("l"),
            backlog: BACKLOG,
        }),
        socket("a"),
        bind("a", client()),
        Call::from(Syscall::Connect {
            sock: sock("a"),
            addr: server(),
        }),
        Call::from(Syscall::Accept {
            sock: sock("l"),
            new: sock("s"),
            uid: None,
        }),
        close("a"),
        close("s"),
        socket("b"),
        Call::Sleep { ms: FIRST },
    ];
    for _ in 0..LOOKS {
        calls.push(bind("b", client()));
        calls.push(Call::Sleep { ms: 1 });
    }
    Program {
        program: format!("connection {number}"),
        hosts: Vec::new(),
        steps: calls.into_iter().map(Step::new).collect(),
    }
}

fn at(step: &Step) -> u64 {
    step.answer.as_ref().map_or(0, |answer| answer.at_us)
}

/// Start and end of TIME-WAIT.
fn seen(program: &Program) -> (u64, u64) {
    let closes =
        |step: &&Step| matches!(step.call.sys(), Some(Syscall::Close { sock }) if sock == "s");
    let free = |step: &&Step| {
        let worked = step.answer.is_some_and(|answer| answer.outcome.is_ok());
        worked && matches!(step.call.sys(), Some(Syscall::Bind { sock, .. }) if sock == "b")
    };
    let began = program.steps.iter().find(closes).map_or(0, at);
    (began, program.steps.iter().find(free).map_or(0, at))
}

/// The end of a TIME-WAIT by the model, for a start at a time of the machine's clock.
fn expected(behaviours: Behaviours, began: u64) -> u64 {
    let mut machine = Machine::new(behaviours, Seeded::new(1, "measured"));
    machine.set_clock(Time(began * 1000));
    let ns = machine.add_namespace();
    let [server, client] = [server(), client()];
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
