//! Random scenarios on several engines, whose answers must be the same.
//!
//! Scenario `number` of a seed depends on these two and on the [`Shape`] alone. [`examine`] runs a
//! batch of them and reports what no engine may do: answer unlike the reference, answer otherwise
//! in another order or on another thread, panic, or make another number of attempts, or sockets of
//! another family, than the file asks for. [`shrink`] looks for a smaller scenario with the same
//! finding.
//!
//! - `setting`: hosts, addresses, ports, sysctls; `nat`: NAT hosts
//! - `processes`, `steps`: the two forms
//! - `check`: what is wrong with what engines answer
//! - `count`: the number of attempts that a file asks for; `family`: the families of sockets
//! - `shrink`: smaller scenarios

mod check;
mod count;
mod family;
mod nat;
mod processes;
mod setting;
mod shrink;
mod steps;

pub use check::{Batch, Engines, Examined, Finding, Kind, examine};
pub use shrink::shrink;

use fourtuple_harness::SeededRng;
use fourtuple_scenario::{Body, KernelSelector, Program, Scenario};
use setting::Setting;

/// Which scenarios engines can run.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// The kernel of all of them, for engines that have only one; any kernels otherwise.
    pub kernel: Option<String>,
}

impl Shape {
    /// Returns whether scenarios are for a kernel that cannot be chosen, and whose clock is the
    /// real one.
    fn is_real(&self) -> bool {
        self.kernel.is_some()
    }
}

/// Makes scenario `number` of a seed.
#[must_use]
pub fn scenario(seed: u64, number: u64, shape: &Shape) -> Scenario {
    let mut rng = SeededRng::new(seed, number);
    let setting = Setting::new(&mut rng, shape);
    let kernels = setting.kernels.clone();
    let program = match rng.percent(60) {
        true => Program::Processes(processes::make(&setting, &mut rng)),
        false => Program::Steps(steps::make(&setting, &mut rng)),
    };
    let body = Body {
        seed: rng.between(1, 1_000).into(),
        time_wait: setting.time_wait,
        network: setting.network,
        hosts: setting.hosts,
        program,
        expect: Vec::new(),
    };
    of(seed, number, &kernels, body)
}

/// A scenario with the name of its number.
fn of(seed: u64, number: u64, kernels: &[String], body: Body) -> Scenario {
    let name = format!("fuzz-{seed}-{number}");
    let about = format!("Do the engines agree on scenario {number} of seed {seed}?");
    let mut scenario = Scenario::new(about, KernelSelector::of(kernels), body);
    scenario.file = format!("{name}.yaml");
    scenario.name = name;
    scenario
}
