//! The estimated cost of running a case, from its counts alone and before it starts.
//!
//! Nothing is simulated and no clock is asked: the same scenario needs the same on every machine,
//! so that what is refused on one is refused on all. The figures per call are measured ones,
//! rounded up. They bound what the scenarios of the format can ask for within its limits; they do
//! not predict how long a run takes on the machine at hand.

use std::time::Duration;

use fourtuple_scenario::{Case, Hold, Process, Program, Step};

use crate::engine::Engine;
use crate::runner::{Folded, Points};

/// Bytes that one call of a process takes as long as the outcome is kept: its row of 32, its part
/// of the values that calls share, and of the text about them.
const KEPT: u64 = 100;
/// The same for a step, which may have a name, arguments, an answer and a reason of its own.
const KEPT_STEP: u64 = 1_200;
/// The fixed cost of a run.
const SMALLEST: Rate = Rate {
    bytes: 100_000,
    nanos: 100_000,
};

/// The cost of one call while an engine runs: sockets on both ends, and packets under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    /// Bytes that are held until the run is over.
    bytes: u64,
    /// Nanoseconds of a processor.
    nanos: u64,
}

/// The cost of an engine.
#[derive(Clone, Copy, Debug)]
struct Cost {
    engine: &'static str,
    rate: Rate,
    network: Network,
    /// It runs again for kernels that differ.
    per_kernel: bool,
    /// It does not run cases with more connections at once.
    connections: u64,
}

/// The network of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    /// Packets take no time.
    None,
    /// turmoil's, whose ticks take time where packets do.
    Ticks,
    /// turmoil's, whose ticks always take time.
    AlwaysTicks,
}

/// turmoil's own sockets run no cases with more connections: turmoil looks through all sockets of a
/// host for each port that it gives. This many take it a second, and twice as many four.
pub const STOCK_CONNECTIONS: u64 = 30_000;

/// turmoil-net runs no cases with more connections: it walks all sockets of all hosts after each
/// call, and has 16,384 ports.
pub const NET_CONNECTIONS: u64 = 4_096;

/// The costs of the engines. One that is not here costs as much as the first.
const COSTS: &[Cost] = &[
    Cost {
        engine: "model",
        rate: Rate {
            bytes: 700,
            nanos: 5_000,
        },
        network: Network::None,
        per_kernel: true,
        connections: u64::MAX,
    },
    Cost {
        engine: "turmoil",
        // Streams with their tasks and buffers on both hosts, and every packet on its way through
        // turmoil.
        rate: Rate {
            bytes: 3_500,
            nanos: 60_000,
        },
        network: Network::Ticks,
        per_kernel: true,
        connections: u64::MAX,
    },
    Cost {
        engine: "stock",
        // turmoil's streams with their buffers on both hosts, and its port selection, which
        // grows with the sockets.
        rate: Rate {
            bytes: 6_000,
            nanos: 60_000,
        },
        network: Network::AlwaysTicks,
        per_kernel: false,
        connections: STOCK_CONNECTIONS,
    },
    Cost {
        engine: "turmoil-net",
        // Two sockets with their buffers, in tables that every packet walks.
        rate: Rate {
            bytes: 4_000,
            nanos: 60_000,
        },
        network: Network::None,
        per_kernel: false,
        connections: NET_CONNECTIONS,
    },
];

/// The longest virtual time of a run on turmoil, in case a program goes round in circles for ever.
pub const LONGEST: Duration = Duration::from_secs(4 * 60 * 60);

/// The ticks that pass until everything that has arrived has reached the sockets, the tasks of
/// processes, and those that wait for them.
const TICKS: Duration = Duration::from_millis(10);

/// The cost of a tick for each host, in nanoseconds: turmoil enters the runtime of every one.
const TICK_OF_A_HOST: u64 = 3_000;

/// The time after an event on turmoil's network until nothing is under way: a packet, and the
/// answer of turmoil's own TCP to it.
#[must_use]
pub fn settled(case: &Case) -> Duration {
    case.network.latency.unwrap_or_default().max * 2 + TICKS
}

/// Nanoseconds that the ticks of a run on turmoil take at most.
fn ticking(case: &Case) -> u64 {
    // A lost packet is sent again after a while without ticks, and each time that has to settle.
    let tries = if case.network.loss.per_million > 0 {
        2
    } else {
        1
    };
    let ticks = settled(case).as_millis().try_into().unwrap_or(u64::MAX);
    let ticks = moments(case).saturating_mul(tries).saturating_mul(ticks);
    let most = LONGEST.as_millis().try_into().unwrap_or(u64::MAX);
    ticks
        .min(most)
        .saturating_mul(case.hosts.len() as u64)
        .saturating_mul(TICK_OF_A_HOST)
}

fn cost(engine: &str) -> Cost {
    let found = COSTS.iter().find(|cost| cost.engine == engine);
    *found.unwrap_or(&COSTS[0])
}

/// The most that running a case on an engine takes, by the case's counts.
#[must_use]
pub fn run(engine: &str, case: &Case) -> Need {
    let cost = cost(engine);
    if cost.connections < u64::MAX && connections(case) > cost.connections {
        // It says that it does not run it, which costs nothing.
        return Need {
            runs: 1,
            ..Need::default()
        };
    }
    let mut need = Need::of(case, cost.rate);
    if cost.network != Network::None {
        need.working = need.working.saturating_add(sent(case));
    }
    if cost.network == Network::AlwaysTicks
        || cost.network == Network::Ticks && !case.network.is_ideal()
    {
        need.nanos = need.nanos.saturating_add(ticking(case));
    }
    need
}

/// An upper bound of the connections that a case has open at once.
#[must_use]
pub fn connections(case: &Case) -> u64 {
    let processes = case.program.processes().into_iter().flatten();
    let of = |process: &Process| match process.connect.is_empty() && process.bind.is_empty() {
        true => 0,
        false => u64::from(process.count) * u64::from(process.connections),
    };
    processes.map(|(_, process)| of(process)).sum()
}

/// An upper bound on the cost of running something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// The number of runs: a case on an engine.
    pub runs: u64,
    /// Socket calls over all runs.
    pub calls: u64,
    /// Bytes of the outcomes, which are kept until the scenario is printed.
    pub kept: u64,
    /// Bytes that the largest run needs besides while it goes on.
    pub working: u64,
    /// Nanoseconds of a processor over all runs.
    pub nanos: u64,
}

impl Need {
    /// One run of a case on an engine with this rate.
    fn of(case: &Case, rate: Rate) -> Need {
        let calls = calls(case);
        let kept = match &*case.program {
            Program::Steps(_) => KEPT_STEP,
            Program::Processes(_) => KEPT,
        };
        Need {
            runs: 1,
            calls,
            kept: calls.saturating_mul(kept),
            working: calls
                .saturating_mul(rate.bytes)
                .saturating_add(SMALLEST.bytes),
            nanos: calls
                .saturating_mul(rate.nanos)
                .saturating_add(SMALLEST.nanos),
        }
    }

    /// Both, one after the other, with the outcomes of the first kept.
    #[must_use]
    pub fn and(self, other: Need) -> Need {
        Need {
            runs: self.runs.saturating_add(other.runs),
            calls: self.calls.saturating_add(other.calls),
            kept: self.kept.saturating_add(other.kept),
            working: self.working.max(other.working),
            nanos: self.nanos.saturating_add(other.nanos),
        }
    }

    /// The same so often, with one outcome kept.
    #[must_use]
    pub fn times(self, times: u64) -> Need {
        Need {
            runs: self.runs.saturating_mul(times),
            calls: self.calls.saturating_mul(times),
            nanos: self.nanos.saturating_mul(times),
            ..self
        }
    }

    /// Bytes in all.
    #[must_use]
    pub fn memory(self) -> u64 {
        self.kept.saturating_add(self.working)
    }

    /// Time of a processor in all.
    #[must_use]
    pub fn time(self) -> Duration {
        Duration::from_nanos(self.nanos)
    }
}

/// Estimates a scenario on some engines with all its outcomes kept.
#[must_use]
pub fn scenario(folded: &[Folded], engines: &[&dyn Engine]) -> Need {
    let mut need = Need::default();
    let mut points = Points::default();
    for (case, _, _) in folded {
        let point = points.of(case);
        let again = !point.is_empty();
        point.push(());
        for engine in engines {
            let mut one = run(engine.name(), case);
            if again && !cost(engine.name()).per_kernel {
                // An engine that knows nothing of kernels is not asked again.
                (one.working, one.nanos) = (0, 0);
            }
            need = need.and(one);
        }
    }
    need
}

/// Most calls that a case makes. Where an option is refused, setting it is a call as well.
fn calls(case: &Case) -> u64 {
    match &*case.program {
        Program::Steps(steps) => steps.len() as u64,
        Program::Processes(processes) => {
            let one = |process: &Process| {
                let options = process.options.iter().count() as u64;
                let listeners = process.listen.len() as u64 * (2 + options);
                let connection = options
                    + u64::from(!process.bind.is_empty())
                    + u64::from(!process.connect.is_empty());
                let listening = listeners.saturating_mul(process.count.into());
                connection
                    .saturating_mul(process.total_connections())
                    .saturating_add(listening)
            };
            processes.values().map(one).fold(0, u64::saturating_add)
        }
    }
}

/// Most moments at which something begins to happen: instances of a process act together, one
/// connection after the other. An engine with a network lets it settle after each.
fn moments(case: &Case) -> u64 {
    let faults = case.network.faults.len() as u64;
    let acts = match &*case.program {
        Program::Steps(steps) => steps.len() as u64,
        Program::Processes(processes) => {
            let one = |process: &Process| {
                let closes = u64::from(process.hold != Hold::Forever);
                let connections = process.connections_each();
                connections.saturating_mul(1 + closes).saturating_add(1)
            };
            processes.values().map(one).fold(0, u64::saturating_add)
        }
    };
    acts.saturating_add(faults)
}

/// Bytes that a case sends, which an engine with a network may have to hold all at once.
fn sent(case: &Case) -> u64 {
    let steps = case.program.steps().unwrap_or_default();
    let lengths = steps.iter().map(|step| match &step.value {
        Step::Send(send) => u64::from(send.len),
        Step::Sendto(send) => u64::from(send.len),
        _ => 0,
    });
    lengths.fold(0, u64::saturating_add)
}
