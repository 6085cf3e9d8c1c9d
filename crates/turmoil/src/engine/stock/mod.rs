//! The `stock` engine: the scenario on turmoil's own sockets, as far as they can say it. It shows
//! what a plain turmoil test would have told you.
//!
//! - [`stage`]: the hosts
//! - [`api`]: turmoil's sockets as interpreters see them
//! - [`calls`]: turmoil's calls with Linux's words for their answers, panics included
//! - [`steps`]: the step form
//!
//! What turmoil cannot say is answered `INEXPRESSIBLE`, and the program goes on as a turmoil test
//! would without it: no `bind` before `connect`, no socket options, one address per host, one range
//! of ports for all hosts.

mod api;
mod calls;
mod stage;
mod steps;

use super::drive::drive;
use super::processes::Processes;
use api::Api;
use fourtuple_harness::{Attempts, Cannot, Engine, RunReport, Standing, budget};
use fourtuple_kernel::Asked;
use fourtuple_kernel::profile::Profile;
use fourtuple_program::HostId;
use fourtuple_scenario::{Case, Program};
use stage::Stage;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use steps::Steps;

/// turmoil's own sockets.
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
        "turmoil's own sockets, as far as they can say it: what a plain turmoil test would tell"
    }

    fn standing(&self, _: &Case) -> Standing {
        Standing::Contrast
    }

    fn run(&self, case: &Case, profile: &Profile) -> Result<RunReport, Cannot> {
        let (attempts, notes) = simulate(case)?;
        let mut report = RunReport::new(case, profile, Self::NAME, attempts, notes);
        // It knows nothing of kernels: one run stands for all.
        report.asked = Asked::default();
        Ok(report)
    }
}

fn simulate(case: &Case) -> Result<(Attempts, Vec<String>), Cannot> {
    let connections = budget::connections(case);
    if connections > budget::STOCK_CONNECTIONS {
        return Err(Cannot::new(format!(
            "turmoil's search for a port is too slow for {connections} connections"
        )));
    }
    let (builder, notes) = stage::builder(case)?;
    let mut sim = builder.build();
    let stage = Stage::new(case, notes, &mut sim);
    let program = Rc::new(Driver::new(case, &stage)?);
    for (id, (name, host)) in (0..).map(HostId).zip(&*case.hosts) {
        let at = sim.lookup(name.as_str());
        let (stage, program) = (Rc::clone(&stage), Rc::clone(&program));
        let (name, listen) = (name.clone(), host.listen.clone());
        let booted = Cell::new(false);
        sim.host(at, move || {
            let opened = (stage.clone(), program.clone(), name.clone(), listen.clone());
            work(id, opened, booted.replace(true))
        });
    }
    let (conducted, starts) = (Rc::clone(&program), Rc::clone(&stage));
    sim.client("conductor", async move {
        // It runs last in turmoil's first tick.
        starts.start();
        match &*conducted {
            Driver::Processes(processes) => processes.watch().await,
            Driver::Steps(steps) => steps.conduct().await,
        }
        Ok(())
    });
    let hosts = |name: &str| stage.turmoil_host(name);
    let ended = drive(
        &mut sim,
        &stage.clock,
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
    // Sockets that only the stage still has go with it, after turmoil: on the wrong host, or on
    // none, turmoil panics when one is dropped.
    drop(sim);
    if let Err(early) = ended {
        stage.notes.add(early);
    }
    match stage.failed() {
        Some(cannot) => Err(cannot),
        None => Ok((program.attempts(), stage.notes.take())),
    }
}

/// The program of a scenario.
enum Driver {
    Processes(Processes<Api>),
    Steps(Steps),
}

impl Driver {
    fn new(case: &Case, stage: &Rc<Stage>) -> Result<Self, Cannot> {
        Ok(match &*case.program {
            Program::Processes(_) => {
                let api = Api::new(Rc::clone(stage));
                Driver::Processes(Processes::new(case, Arc::clone(&stage.clock), api)?)
            }
            Program::Steps(_) => Driver::Steps(Steps::new(case, stage)?),
        })
    }

    fn attempts(&self) -> Attempts {
        match self {
            Driver::Processes(processes) => processes.attempts(),
            Driver::Steps(steps) => steps.attempts(),
        }
    }
}

/// What runs on a host. `again`: not for the first time.
async fn work(
    host: HostId,
    (stage, program, name, listen): (Rc<Stage>, Rc<Driver>, String, Vec<SocketAddr>),
    again: bool,
) -> turmoil::Result {
    let mut places = Vec::new();
    for at in listen {
        let place = stage.listen_at(at);
        // One listener serves all addresses that the scenario listens on with this port.
        if places.contains(&place) {
            continue;
        }
        places.push(place);
        let opened = match &*program {
            Driver::Processes(processes) => processes.listen(host, at),
            Driver::Steps(steps) => steps.listen(host, at),
        };
        if let Err(outcome) = opened {
            stage.fail(Cannot::new(format!(
                "host {name} cannot listen on {at}: {outcome}"
            )));
            return Err("no listener".into());
        }
    }
    stage.started().await;
    match &*program {
        Driver::Processes(processes) => processes.run_on(&[host], again).await,
        Driver::Steps(steps) => steps.work(host).await,
    }
    Ok(())
}
