//! The `turmoil-net` engine: the scenario on the simulated kernels of the crate `turmoil-net`, as
//! far as its sockets express it. It shows the result of a plain turmoil-net test.
//!
//! turmoil-net has no clock and no runtime: packets move when the engine moves them, after each
//! call until none is left, as on the model. Calls that its sockets do not have return
//! `INEXPRESSIBLE`: there is no `bind` before `connect`, and there are no socket options. Its ports
//! are 49152-65535, whatever sysctls a host has, and no connection stays in TIME-WAIT.

mod api;

use api::{Api, Handle};
use fourtuple_harness::runner::budget;
use fourtuple_harness::{
    Attempts, Engine, EngineError, Recording, RunReport, Standing, compile, refuse_nat,
};
use fourtuple_kernel::profile::Profile;
use fourtuple_program::{HostId, Interpreter, run, run_steps};
use fourtuple_scenario::{Case, Program};
use std::net::SocketAddr;
use std::sync::Arc;

/// Runs scenarios on the sockets of turmoil-net.
#[derive(Clone, Copy, Debug, Default)]
pub struct TurmoilNet;

impl TurmoilNet {
    /// The name of the engine.
    pub const NAME: &'static str = "turmoil-net";
}

impl Engine for TurmoilNet {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn about(&self) -> &'static str {
        "turmoil-net's simulated kernels: the result of a plain turmoil-net test"
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
    if connections > budget::NET_CONNECTIONS {
        return Err(EngineError::new(format!(
            "turmoil-net looks through all sockets for each packet, too slow for {connections} connections"
        )));
    }
    if !case.network.faults.is_empty() {
        return Err(EngineError::new(
            "turmoil-net has no hosts that crash, and this engine's network is ideal",
        ));
    }
    let mut api = Api::new(case)?;
    let listeners = listen(case, &mut api)?;
    let recording = match &*case.program {
        Program::Processes(_) => {
            let plan = Arc::new(compile::plan(case)?);
            let mut interpreter = Interpreter::new(&plan);
            for (host, at, listener) in listeners {
                interpreter.add_listener(host, at.port(), listener);
            }
            let mut recording = Recording::new(case, &plan);
            run(
                &plan,
                &mut interpreter,
                &mut api,
                &mut recording,
                |_, _, _| {},
            );
            recording
        }
        Program::Steps(_) => {
            let plan = compile::steps(case)?;
            let mut recording = Recording::of_steps(case);
            run_steps(&plan, &mut api, &mut recording, |api, _| {
                for (_, _, listener) in &listeners {
                    api.accept_all(*listener);
                }
            });
            recording
        }
    };
    Ok((recording.finish(), api.notes.take()))
}

/// Opens the listeners of the scenario itself.
fn listen(case: &Case, api: &mut Api) -> Result<Vec<(HostId, SocketAddr, Handle)>, EngineError> {
    let mut listeners = Vec::new();
    for (id, (name, host)) in (0..).map(HostId).zip(&*case.hosts) {
        for &at in &host.listen {
            let listener = api.listen(id, at).map_err(|outcome| {
                EngineError::new(format!("host {name} cannot listen on {at}: {outcome}"))
            })?;
            listeners.push((id, at, listener));
        }
    }
    Ok(listeners)
}
