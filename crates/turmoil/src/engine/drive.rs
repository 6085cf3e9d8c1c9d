//! The driver loop of a simulation: turmoil's steps, the faults of the scenario, and the skipping
//! of idle time.

use crate::clock::{Clock, Idle};
use fourtuple_harness::runner::budget::{LONGEST, settled};
use fourtuple_scenario::{Case, Fault, FaultKind};
use std::net::IpAddr;
use std::time::Duration;
use turmoil::Sim;

/// The time after the last fault in which restarted hosts become active.
const AFTERMATH: Duration = Duration::from_millis(2);

/// The time until which the scenario's faults may cause activity.
pub(super) fn aftermath(case: &Case) -> Option<Duration> {
    let last = case.network.faults.iter().map(|fault| fault.at).max();
    last.map(|at| at + AFTERMATH)
}

/// Runs a simulation until its clients are done or no further activity is possible. `step` makes
/// one step of turmoil; an error is the reason for an early end. `host` looks up the hosts of
/// faults.
pub(super) fn drive(
    sim: &mut Sim<'_>,
    clock: &Clock,
    case: &Case,
    host: impl Fn(&str) -> IpAddr,
    mut step: impl FnMut(&mut Sim<'_>) -> Result<bool, String>,
) -> Result<(), String> {
    let mut faults = case.network.faults.as_slice();
    let settled = settled(case);
    loop {
        let now = clock.at(sim.elapsed());
        while let Some((fault, later)) = faults.split_first().filter(|(f, _)| f.at <= now) {
            faults = later;
            happen(sim, fault, &host);
            clock.note(now);
        }
        if now > LONGEST {
            return Err(format!(
                "the simulation ended early: it ran for {LONGEST:?} without completing"
            ));
        }
        if step(sim)? {
            return Ok(());
        }
        let next = faults.first().map(|fault| fault.at);
        if clock.skip(sim.elapsed(), settled, next) == Idle::ForEver {
            return Ok(());
        }
    }
}

fn happen(sim: &mut Sim<'_>, fault: &Fault, host: &impl Fn(&str) -> IpAddr) {
    let hosts: Vec<IpAddr> = fault.kind.hosts().into_iter().map(host).collect();
    if let [a, b] = hosts[..]
        && a == b
    {
        // There is no network between two hosts on one machine.
        return;
    }
    match fault.kind {
        FaultKind::Partition(..) => sim.partition(hosts[0], hosts[1]),
        FaultKind::Repair(..) => sim.repair(hosts[0], hosts[1]),
        FaultKind::Hold(..) => sim.hold(hosts[0], hosts[1]),
        FaultKind::Release(..) => sim.release(hosts[0], hosts[1]),
        FaultKind::Crash(_) => sim.crash(hosts[0]),
        FaultKind::Bounce(_) => sim.bounce(hosts[0]),
    }
}
