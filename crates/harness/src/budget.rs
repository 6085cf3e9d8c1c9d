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
/// of what calls have in common, and what is told of it.
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
pub struct Rate {
    /// Bytes that are held until the run is over.
    pub bytes: u64,
    /// Nanoseconds of a processor.
    pub nanos: u64,
}

impl Rate {
    /// The model's.
    pub const MODEL: Rate = Rate {
        bytes: 700,
        nanos: 5_000,
    };
}

/// An upper bound on the cost of running something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// The number of runs: a case on an engine.
    pub runs: u64,
    /// Socket calls over all runs.
    pub calls: u64,
    /// Bytes of the outcomes, which are kept until the scenario is told.
    pub kept: u64,
    /// Bytes that the largest run needs besides while it goes on.
    pub working: u64,
    /// Nanoseconds of a processor over all runs.
    pub nanos: u64,
}

impl Need {
    /// One run of a case on an engine with this rate.
    #[must_use]
    pub fn of(case: &Case, rate: Rate) -> Need {
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
            let mut one = engine.need(case);
            if again && !engine.asks_kernel() {
                // An engine that knows nothing of kernels is not asked again.
                (one.working, one.nanos) = (0, 0);
            }
            need = need.and(one);
        }
    }
    need
}

/// Most calls that a case makes. Where an option is refused, setting it is a call as well.
#[must_use]
pub fn calls(case: &Case) -> u64 {
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
#[must_use]
pub fn moments(case: &Case) -> u64 {
    let faults = case.network.faults.len() as u64;
    let acts = match &*case.program {
        Program::Steps(steps) => steps.len() as u64,
        Program::Processes(processes) => {
            let one = |process: &Process| {
                let closes = u64::from(process.hold != Hold::Forever);
                let connections = u64::from(process.connections) * u64::from(process.repeat);
                connections.saturating_mul(1 + closes).saturating_add(1)
            };
            processes.values().map(one).fold(0, u64::saturating_add)
        }
    };
    acts.saturating_add(faults)
}

/// Bytes that a case sends, which an engine with a network may have to hold all at once.
#[must_use]
pub fn sent(case: &Case) -> u64 {
    let steps = case.program.steps().unwrap_or_default();
    let lengths = steps.iter().map(|step| match &step.value {
        Step::Send(send) => u64::from(send.len),
        _ => 0,
    });
    lengths.fold(0, u64::saturating_add)
}
