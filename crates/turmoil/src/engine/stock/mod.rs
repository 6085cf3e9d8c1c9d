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

use super::drive::{drive, ticking};
use fourtuple_harness::call::Numbering;
use fourtuple_harness::{Attempts, Cannot, Engine, Need, Rate, RunReport, Standing, budget};
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::Case;
use stage::Stage;
use std::rc::Rc;

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

    fn asks_kernel(&self) -> bool {
        false
    }

    fn need(&self, case: &Case) -> Need {
        if connections(case) > CONNECTIONS {
            // It says that it cannot, which costs nothing.
            return Need {
                runs: 1,
                ..Need::default()
            };
        }
        let mut need = Need::of(case, RATE);
        need.working = need.working.saturating_add(budget::sent(case));
        need.nanos = need.nanos.saturating_add(ticking(case));
        need
    }

    fn run(&self, case: &Case, profile: &Profile) -> Result<RunReport, Cannot> {
        let (attempts, notes) = simulate(case)?;
        Ok(RunReport::new(case, profile, Self::NAME, attempts, notes))
    }
}

/// turmoil's streams with their buffers on both hosts, and its search for a port, which grows with the sockets.
const RATE: Rate = Rate {
    bytes: 6_000,
    nanos: 60_000,
};

/// turmoil looks through all sockets of a host for each port that it gives. This many connections
/// take it a second, and twice as many four.
const CONNECTIONS: u64 = 30_000;

/// An upper bound of the connections that a case has open at once.
fn connections(case: &Case) -> u64 {
    let processes = case
        .program
        .processes()
        .into_iter()
        .flat_map(|p| p.values());
    processes
        .map(|p| u64::from(p.count) * u64::from(Numbering::of(p).connections()))
        .sum()
}

fn simulate(case: &Case) -> Result<(Attempts, Vec<String>), Cannot> {
    let connections = connections(case);
    if connections > CONNECTIONS {
        return Err(Cannot::new(format!(
            "turmoil's search for a port is too slow for {connections} connections"
        )));
    }
    let (builder, notes) = stage::builder(case)?;
    let mut sim = builder.build();
    let stage = Stage::new(case, notes, &mut sim)?;
    for (name, host) in &*case.hosts {
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
        stage.note(early);
    }
    match stage.failed() {
        Some(cannot) => Err(cannot),
        None => Ok(stage.finish()),
    }
}
