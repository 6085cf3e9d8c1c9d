//! What turns the crank: turmoil's steps, the faults of the scenario, and the time in between in
//! which nothing happens.

use crate::clock::{Clock, Idle};
use fourtuple_harness::budget;
use fourtuple_scenario::{Case, Fault, FaultKind};
use std::net::IpAddr;
use std::time::Duration;
use turmoil::Sim;

/// The longest virtual time that a run takes, in case somebody goes round in circles for ever.
pub(super) const LONGEST: Duration = Duration::from_secs(4 * 60 * 60);

/// How many ticks pass until everybody has been told of something that has arrived: the sockets,
/// the task of a process, whoever waits for that.
const TICKS: Duration = Duration::from_millis(10);

/// What a tick costs for each host, in nanoseconds: turmoil enters the runtime of every one.
const TICK_OF_A_HOST: u64 = 3_000;

/// Time after the last fault in which hosts that it has started get to work.
const AFTERMATH: Duration = Duration::from_millis(2);

/// Until when there is something left to do because of the scenario's faults.
pub(super) fn aftermath(case: &Case) -> Option<Duration> {
    let last = case.network.faults.iter().map(|fault| fault.at).max();
    last.map(|at| at + AFTERMATH)
}

/// After something has happened, the time until nothing is under way: a packet, and the answer of turmoil's own TCP to it.
fn settled(case: &Case) -> Duration {
    case.network.latency.unwrap_or_default().max * 2 + TICKS
}

/// Nanoseconds that the ticks of a run take at most.
pub(super) fn ticking(case: &Case) -> u64 {
    // A lost packet is sent again after a while in which nobody ticks, and each time that has to settle.
    let tries = if case.network.loss.per_million > 0 {
        2
    } else {
        1
    };
    let ticks = settled(case).as_millis().try_into().unwrap_or(u64::MAX);
    let ticks = budget::moments(case)
        .saturating_mul(tries)
        .saturating_mul(ticks);
    let most = LONGEST.as_millis().try_into().unwrap_or(u64::MAX);
    ticks
        .min(most)
        .saturating_mul(case.hosts.len() as u64)
        .saturating_mul(TICK_OF_A_HOST)
}

/// Runs a simulation until its clients are done, or nothing can happen any more. `step` makes one
/// step of turmoil; its error is why the simulation ended early. `host` knows the hosts of faults.
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
        // Two hosts on one machine have no network between them.
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
