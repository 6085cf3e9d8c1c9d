//! The `model` engine: the scenario on the kernel model, with virtual time and a network on which
//! packets take no time.
//!
//! It is the reference for all others: a pure function of scenario, profile and seed. It has no
//! network: where a scenario asks for one, its answers show what the network changes.
//!
//! - `net`: hosts become namespaces of a [`World`]
//! - `api`: the model as the interpreter of `fourtuple-program` sees it

mod api;
mod net;

pub use net::{HostNs, Net, refuse_datagrams_through_nat, sysctl_refusal};
use std::sync::Arc;

use fourtuple_kernel::journal::Journal;
use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::{Chooser, Seeded, World};
use fourtuple_program::{HostId, Interpreter, run, run_steps};
use fourtuple_scenario::{Case, Program};

use crate::attempts::Attempts;
use crate::compile;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::recording::Recording;
use crate::report::RunReport;
use crate::standing::Standing;

/// The port model with virtual time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Model;

/// A moment of a run at which an observer looks at the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The number of attempts so far.
    pub calls: usize,
    /// True before the first call, and when an instance has made all calls of its turn.
    pub is_turn_over: bool,
    /// True at the end of the run.
    pub is_end: bool,
}

impl Moment {
    fn of(calls: usize, is_turn_over: bool) -> Self {
        Moment {
            calls,
            is_turn_over,
            is_end: false,
        }
    }
}

impl Model {
    /// The name of the engine.
    pub const NAME: &'static str = "model";

    /// Runs a case with a source of chance of the caller's own: `chooser` makes one for each
    /// machine from its name.
    ///
    /// # Errors
    /// When the case cannot be set up.
    pub fn simulate<C: Chooser>(
        case: &Case,
        profile: &Profile,
        mut chooser: impl FnMut(&str) -> C,
    ) -> Result<(Attempts, Vec<String>), EngineError> {
        let net = Net::new(case, profile, &mut chooser)?;
        let (attempts, net) = Self::run_on(net, case, &mut |_, _| ())?;
        Ok((attempts, notes(net.notes, case)))
    }

    /// Returns the number of calls that a case makes and the virtual time that it takes.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn foresee(
        case: &Case,
        profile: &Profile,
    ) -> Result<(usize, std::time::Duration), EngineError> {
        let net = Net::new(case, profile, &mut seeded(case))?;
        let (attempts, net) = Self::run_on(net, case, &mut |_, _| ())?;
        Ok((
            attempts.len(),
            std::time::Duration::from_nanos(net.elapsed()),
        ))
    }

    /// Runs a case with an observer of the hosts, which is called before the first call and after
    /// each.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn watched(
        case: &Case,
        profile: &Profile,
        watch: &mut dyn FnMut(&Net<Seeded>, Moment),
    ) -> Result<(), EngineError> {
        Self::run_on(Net::new(case, profile, &mut seeded(case))?, case, watch)?;
        Ok(())
    }

    /// Runs the program of a case to its end: its attempts, and the hosts at the end.
    fn run_on<C: Chooser>(
        mut net: Net<C>,
        case: &Case,
        watch: &mut dyn FnMut(&Net<C>, Moment),
    ) -> Result<(Attempts, Net<C>), EngineError> {
        watch(&net, Moment::of(0, true));
        let recording = match &*case.program {
            Program::Processes(_) => {
                let plan = Arc::new(compile::plan(case)?);
                let mut interpreter = Interpreter::new(&plan);
                for (host, socket, port) in &net.listeners {
                    interpreter.add_listener(HostId(*host as u32), *port, *socket);
                }
                let mut recording = Recording::new(case, &plan);
                let moved = |net: &mut Net<C>, log: &Recording, turn_over| {
                    watch(net, Moment::of(log.attempts(), turn_over));
                };
                run(&plan, &mut interpreter, &mut net, &mut recording, moved);
                recording
            }
            Program::Steps(_) => {
                let plan = compile::steps(case)?;
                let mut recording = Recording::of_steps(case);
                let over = |net: &mut Net<C>, log: &Recording| {
                    net.accept_all();
                    watch(net, Moment::of(log.attempts(), true));
                };
                run_steps(&plan, &mut net, &mut recording, over);
                recording
            }
        };
        let end = Moment {
            is_end: true,
            ..Moment::of(recording.attempts(), true)
        };
        watch(&net, end);
        net.note_nats();
        Ok((recording.finish(), net))
    }

    /// Runs a case and takes down its calls, from those that set the hosts up to the last. The
    /// network is left out.
    ///
    /// # Errors
    /// When the case cannot be set up.
    pub fn journal(case: &Case, profile: &Profile) -> Result<Journal, EngineError> {
        let mut world = World::new();
        world.keep_journal();
        let net = Net::within(world, case, profile, &mut seeded(case))?;
        let (_, net) = Self::run_on(net, case, &mut |_, _| ())?;
        Ok(net.world.journal().cloned().unwrap_or_default())
    }
}

impl Engine for Model {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn about(&self) -> &'static str {
        "the port model with virtual time; packets take no time"
    }

    fn standing(&self, case: &Case) -> Standing {
        if case.network.is_ideal() {
            Standing::Reference
        } else {
            Standing::Contrast
        }
    }

    fn run(&self, case: &Case, profile: &Profile) -> Result<RunReport, EngineError> {
        let net = Net::new(case, profile, &mut seeded(case))?;
        let (attempts, net) = Self::run_on(net, case, &mut |_, _| ())?;
        let observed_flags = net.observed_flags();
        let notes = notes(net.notes, case);
        let mut report = RunReport::new(case, profile, Self::NAME, attempts, notes);
        report.observed_flags = observed_flags;
        Ok(report)
    }
}

/// The choosers of a case's machines.
fn seeded(case: &Case) -> impl FnMut(&str) -> Seeded {
    let seed = case.seed;
    move |machine| Seeded::new(seed, machine)
}

/// The notes of a run, with what it left out.
fn notes(mut notes: Vec<String>, case: &Case) -> Vec<String> {
    if !case.network.is_ideal() {
        notes.push(left_out(case));
    }
    notes
}

/// The parts of a case that an engine without a network leaves out.
#[must_use]
pub fn left_out(case: &Case) -> String {
    let network = &case.network;
    let mut parts: Vec<String> = Vec::new();
    if network.latency.is_some() {
        parts.push("latency".to_owned());
    }
    if network.loss.per_million > 0 {
        parts.push("loss".to_owned());
    }
    for fault in &network.faults {
        let word = fault.kind.as_str().to_owned();
        if !parts.contains(&word) {
            parts.push(word);
        }
    }
    format!("leaves out of the network: {}", parts.join(", "))
}
