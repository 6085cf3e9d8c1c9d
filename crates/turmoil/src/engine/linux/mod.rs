//! The `turmoil` engine: hosts are turmoil hosts with this crate's kernels.
//!
//! - [`simulation`]: the hosts of a run, and the notes about it
//! - [`api`]: the interpreter's access to the kernels
//! - [`datagram`]: its calls on datagram sockets
//! - [`ideal`]: the declarative form on an ideal network; [`steps`]: the step form
//! - [`pace`]: the passage of time
//!
//! On an ideal network packets take no time, and the outcome must be the model's, to the port.
//! turmoil needs at least a tick to move a packet, so the engine stops the kernels' clocks while
//! packets are in flight, makes one call at a time in the model's order, and lets time pass while
//! all processes wait. With latency, loss or faults the clock is turmoil's, and each machine makes
//! its own calls.

mod api;
mod datagram;
mod ideal;
mod pace;
mod simulation;
mod steps;

use super::drive::drive;
use crate::{Linux, LinuxSim};
use fourtuple_harness::runner::budget::LONGEST;
use fourtuple_harness::{Attempts, Engine, EngineError, RunReport, Standing};
use fourtuple_kernel::profile::{FlagSet, Profile};
use fourtuple_scenario::Case;
use simulation::Simulation;
use std::future::Future as _;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::SystemTime;

/// Size of a datagram queue that a burst of handshakes does not overflow.
const QUEUE: usize = 65_536;

/// Runs scenarios as async code on turmoil hosts with Linux ports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turmoil;

impl Turmoil {
    /// The name of the engine.
    pub const NAME: &'static str = "turmoil";
}

impl Engine for Turmoil {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn about(&self) -> &'static str {
        "async tasks on turmoil hosts; ports from the model, packets over turmoil's network"
    }

    fn standing(&self, case: &Case) -> Standing {
        if case.network.is_ideal() {
            Standing::MustAgree
        } else {
            Standing::Reference
        }
    }

    fn run(&self, case: &Case, profile: &Profile) -> Result<RunReport, EngineError> {
        let (attempts, notes, observed_flags) = simulate(case, profile)?;
        let mut report = RunReport::new(case, profile, Self::NAME, attempts, notes);
        report.observed_flags = observed_flags;
        Ok(report)
    }
}

/// turmoil's builder, configured to be independent of the machine and the date.
pub(in crate::engine) fn builder(case: &Case) -> turmoil::Builder {
    let mut builder = turmoil::Builder::new();
    let latency = case.network.latency.unwrap_or_default();
    builder
        .epoch(SystemTime::UNIX_EPOCH)
        .rng_seed(case.seed)
        .simulation_duration(LONGEST)
        .udp_capacity(QUEUE)
        .tcp_capacity(QUEUE)
        .min_message_latency(latency.min)
        .max_message_latency(latency.max);
    if case.network.loss.per_million > 0 {
        builder.fail_rate(case.network.loss.probability());
    }
    builder
}

/// The attempts, the notes, and the behaviour flags that the run observed.
type Simulated = (Attempts, Vec<String>, FlagSet);

fn simulate(case: &Case, profile: &Profile) -> Result<Simulated, EngineError> {
    let linux = Linux::with_behaviours(&profile.name, profile.behaviours);
    let mut sim = LinuxSim::new(builder(case).build(), linux);
    let simulation = Simulation::new(case, profile, &mut sim)?;
    note_left_out(case, &simulation);
    let kernels = Arc::clone(sim.kernels());
    let host = |name: &str| simulation.turmoil_host(name);
    // On an ideal network the program advances between the steps, when all packets have arrived.
    let mut program = simulation
        .is_ideal()
        .then(|| Box::pin(Rc::clone(&simulation).run()));
    let ended = drive(sim.raw(), &kernels.network.clock, case, host, |sim| {
        let ended = sim.step().map_err(|error| {
            let error = super::without_task_number(&error.to_string());
            format!("the simulation ended early: {error}")
        })?;
        let Some(program) = &mut program else {
            return Ok(ended);
        };
        if sim.elapsed() > LONGEST {
            return Err("the simulation ended early: a packet did not arrive".to_owned());
        }
        let mut cx = Context::from_waker(Waker::noop());
        Ok(program.as_mut().poll(&mut cx).is_ready())
    });
    if !simulation.is_ideal() {
        simulation.note_nats();
    }
    drop(program);
    drop(sim);
    if let Some(cannot) = simulation.failed() {
        return Err(cannot);
    }
    if let Err(early) = ended {
        simulation.note(early);
    }
    let (attempts, notes) = simulation.finish();
    Ok((attempts, notes, kernels.observed_flags()))
}

/// Notes the faults between hosts of one machine, which are not simulated.
fn note_left_out(case: &Case, simulation: &Simulation) {
    for fault in &case.network.faults {
        if let [a, b] = fault.kind.hosts()[..]
            && simulation.turmoil_host(a) == simulation.turmoil_host(b)
        {
            simulation.note(format!(
                "{} of {a} and {b} is left out: they are one machine",
                fault.kind.as_str()
            ));
        }
    }
}
