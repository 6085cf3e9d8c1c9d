//! The `stock` engine: the scenario on turmoil's own sockets, as far as they can say it. It shows
//! what a plain turmoil test would have told you.
//!
//! - [`stage`]: the hosts and what all tasks share
//! - [`calls`]: turmoil's calls with Linux's words for their answers, panics included
//! - [`processes`]: the declarative form; [`steps`]: the step form
//!
//! What turmoil cannot say is answered `INEXPRESSIBLE`, and the program goes on as a turmoil test
//! would without it: no `bind` before `connect`, no socket options, one address per host, one range
//! of ports for all hosts.

mod calls;
mod processes;
mod stage;
mod steps;

use fourtuple_harness::{Attempt, Cannot, Engine, RunReport, Standing};
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::{Case, Fault, FaultKind};
use stage::Stage;
use std::net::IpAddr;
use std::rc::Rc;
use turmoil::Sim;

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
        Ok(RunReport::new(case, profile, Self::NAME, attempts, notes))
    }
}

fn simulate(case: &Case) -> Result<(Vec<Attempt>, Vec<String>), Cannot> {
    let (builder, notes) = stage::builder(case)?;
    let mut sim = builder.build();
    let stage = Stage::new(case, notes, &mut sim)?;
    for (name, host) in &case.hosts {
        let at = sim.lookup(name.as_str());
        let (stage, listen) = (Rc::clone(&stage), host.listen.clone());
        let name = name.clone();
        sim.host(at, move || {
            processes::host(Rc::clone(&stage), name.clone(), listen.clone())
        });
    }
    let conducted = Rc::clone(&stage);
    let steps = case.program.steps().map(<[_]>::to_vec);
    sim.client("conductor", async move {
        match steps {
            Some(steps) => steps::run(&conducted, &steps).await,
            None => processes::run(&conducted).await,
        }
        Ok(())
    });
    let mut faults = case.network.faults.iter();
    loop {
        happen(&mut sim, &mut faults);
        match calls::quietly(|| sim.step()) {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => break,
            Ok(Err(error)) => {
                let error = super::without_task_number(&error.to_string());
                stage.note(format!("the simulation ended early: {error}"));
                break;
            }
            Err(panic) => {
                stage.note(format!(
                    "turmoil panics, which ends the simulation: {panic}"
                ));
                break;
            }
        }
    }
    drop(sim);
    match stage.failed() {
        Some(cannot) => Err(cannot),
        None => Ok(stage.finish()),
    }
}

/// Does what is due before turmoil's next step.
fn happen(sim: &mut Sim<'_>, faults: &mut std::slice::Iter<'_, Fault>) {
    while let Some(fault) = faults.as_slice().first().filter(|f| f.at <= sim.elapsed()) {
        faults.next();
        let hosts: Vec<IpAddr> = fault
            .kind
            .hosts()
            .into_iter()
            .map(|h| sim.lookup(h))
            .collect();
        match fault.kind {
            FaultKind::Partition(..) => sim.partition(hosts[0], hosts[1]),
            FaultKind::Repair(..) => sim.repair(hosts[0], hosts[1]),
            FaultKind::Hold(..) => sim.hold(hosts[0], hosts[1]),
            FaultKind::Release(..) => sim.release(hosts[0], hosts[1]),
            FaultKind::Crash(_) => sim.crash(hosts[0]),
            FaultKind::Bounce(_) => sim.bounce(hosts[0]),
        }
    }
}
