//! The `stock` engine: the scenario on turmoil's own sockets, as far as they support it. It shows
//! the result of a plain turmoil test.
//!
//! - [`simulation`]: the hosts
//! - [`api`]: the interpreter's access to turmoil's sockets
//! - [`steps`]: the step form
//!
//! Unsupported calls have the result `INEXPRESSIBLE`, and the program continues as a turmoil test
//! would without them: there is no `bind` before `connect`, there are no socket options, each host
//! has one address, and all hosts share one port range.

mod api;
mod simulation;
mod steps;

use super::calls;
use super::drive::drive;
use super::processes::Processes;
use api::Api;
use fourtuple_harness::runner::budget;
use fourtuple_harness::{Attempts, Engine, EngineError, RunReport, Standing, refuse_nat};
use fourtuple_kernel::profile::Profile;
use fourtuple_program::HostId;
use fourtuple_scenario::{Case, Hold, Process, Program};
use simulation::Simulation;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use steps::Steps;

/// Runs scenarios on turmoil's own sockets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stock;

impl Stock {
    /// The name of the engine.
    pub const NAME: &'static str = "stock";
}

impl Engine for Stock {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn about(&self) -> &'static str {
        "turmoil's own sockets: the result of a plain turmoil test"
    }

    fn standing(&self, _: &Case) -> Standing {
        Standing::Contrast
    }

    fn run(&self, case: &Case, profile: &Profile) -> Result<RunReport, EngineError> {
        refuse_nat(case)?;
        let outcome = simulate(case)?;
        Ok(super::contrast(case, profile, Self::NAME, outcome))
    }
}

fn simulate(case: &Case) -> Result<(Attempts, Vec<String>), EngineError> {
    let connections = budget::connections(case);
    if connections > budget::STOCK_CONNECTIONS {
        return Err(EngineError::new(format!(
            "turmoil's port selection is too slow for {connections} connections"
        )));
    }
    let mut processes = case.program.processes().into_iter().flatten();
    let ends = |(_, one): &(&String, &Process)| {
        one.inherit.is_some() || one.only_listens() && one.hold != Hold::Forever
    };
    if let Some((name, _)) = processes.find(ends) {
        return Err(EngineError::new(format!(
            "the listeners of {name} are closed or shared, which this engine leaves out"
        )));
    }
    let (builder, notes) = simulation::builder(case)?;
    let mut sim = builder.build();
    let simulation = Simulation::new(case, notes, &mut sim);
    let program = Rc::new(Driver::new(case, &simulation)?);
    for (id, (name, host)) in (0..).map(HostId).zip(&*case.hosts) {
        let at = sim.lookup(name.as_str());
        let (simulation, program) = (Rc::clone(&simulation), Rc::clone(&program));
        let (name, listen) = (name.clone(), host.listen.clone());
        let booted = Cell::new(false);
        sim.host(at, move || {
            let opened = (
                simulation.clone(),
                program.clone(),
                name.clone(),
                listen.clone(),
            );
            work(id, opened, booted.replace(true))
        });
    }
    let (running, starts) = (Rc::clone(&program), Rc::clone(&simulation));
    sim.client("scheduler", async move {
        // This client runs last in turmoil's first tick.
        starts.start();
        match &*running {
            Driver::Processes(processes) => processes.watch().await,
            Driver::Steps(steps) => steps.run_all().await,
        }
        Ok(())
    });
    let hosts = |name: &str| simulation.turmoil_host(name);
    let ended = drive(
        &mut sim,
        &simulation.clock,
        case,
        hosts,
        |sim| match calls::quietly(|| sim.step()) {
            Ok(Ok(finished)) => Ok(finished),
            Ok(Err(error)) => {
                let error = super::without_task_number(&error.to_string());
                Err(format!("the simulation ended early: {error}"))
            }
            Err(panic) => Err(format!(
                "turmoil panics, which ends the simulation: {panic}"
            )),
        },
    );
    // Sockets that only `simulation` still owns are dropped with it, after `sim`: turmoil panics if
    // one is dropped on another host, or outside of all hosts.
    drop(sim);
    if let Err(early) = ended {
        simulation.notes.add(early);
    }
    match simulation.failed() {
        Some(cannot) => Err(cannot),
        None => Ok((program.attempts(), simulation.notes.take())),
    }
}

/// The program of a scenario.
enum Driver {
    Processes(Box<Processes<Api>>),
    Steps(Box<Steps>),
}

impl Driver {
    fn new(case: &Case, simulation: &Rc<Simulation>) -> Result<Self, EngineError> {
        Ok(match &*case.program {
            Program::Processes(_) => {
                let api = Api::new(Rc::clone(simulation));
                Driver::Processes(Box::new(Processes::new(
                    case,
                    Arc::clone(&simulation.clock),
                    api,
                )?))
            }
            Program::Steps(_) => Driver::Steps(Box::new(Steps::new(case, simulation)?)),
        })
    }

    fn attempts(&self) -> Attempts {
        match self {
            Driver::Processes(processes) => processes.attempts(),
            Driver::Steps(steps) => steps.attempts(),
        }
    }
}

/// The software of a host. `again` is `true` after the first boot.
async fn work(
    host: HostId,
    (simulation, program, name, listen): (Rc<Simulation>, Rc<Driver>, String, Vec<SocketAddr>),
    again: bool,
) -> turmoil::Result {
    let mut places = Vec::new();
    for at in listen {
        let place = simulation.listen_at(at);
        // One listener serves all the scenario's listen addresses with this port.
        if places.contains(&place) {
            continue;
        }
        places.push(place);
        let opened = match &*program {
            Driver::Processes(processes) => processes.listen(host, at),
            Driver::Steps(steps) => steps.listen(host, at),
        };
        if let Err(outcome) = opened {
            simulation.fail(EngineError::new(format!(
                "host {name} cannot listen on {at}: {outcome}"
            )));
            return Err("no listener".into());
        }
    }
    simulation.started().await;
    match &*program {
        Driver::Processes(processes) => processes.run_on(&[host], again).await,
        Driver::Steps(steps) => steps.work(host).await,
    }
    Ok(())
}
