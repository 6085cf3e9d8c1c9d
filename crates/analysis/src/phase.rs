//! The phase of the timer wheel: a TIME-WAIT ends when the wheel next comes by, which no scenario
//! can say.

use std::time::Duration;

use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::{Case, Process, Program, Step};

/// Phases that are tried.
const PHASES: u64 = 8;
/// The length of TIME-WAIT of every kernel.
const TIME_WAIT: Duration = Duration::from_secs(60);

/// The time within which a TIME-WAIT of a case ends, if its timer is late by chance: from, to.
pub(crate) fn window(case: &Case, profile: &Profile) -> Option<(Duration, Duration)> {
    let length = case.time_wait.unwrap_or(TIME_WAIT);
    let mut behaviours = profile.behaviours;
    if let Some(hz) = case.hosts.values().find_map(|host| host.hz) {
        behaviours.hz = hz;
    }
    let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let grid = behaviours.time_wait_grid(nanos)?;
    Some((length, length.saturating_add(Duration::from_nanos(grid))))
}

/// The phases in which a case can start, each as likely as the others: one if it ends before any
/// TIME-WAIT does.
pub(crate) fn phases(case: &Case, profile: &Profile) -> Vec<u64> {
    match window(case, profile) {
        Some((from, to)) if longest(case) >= from => {
            let grid = u64::try_from((to - from).as_nanos()).unwrap_or(u64::MAX);
            (0..PHASES).map(|n| grid / PHASES * n).collect()
        }
        _ => vec![0],
    }
}

/// The time that a case takes at most, if no call has to wait.
fn longest(case: &Case) -> Duration {
    match &*case.program {
        Program::Steps(steps) => steps
            .iter()
            .filter_map(|one| match &one.value {
                Step::Sleep(one) => Some(one.sleep),
                _ => None,
            })
            .fold(Duration::ZERO, Duration::saturating_add),
        Program::Processes(processes) => {
            let lengths = processes.values().map(Process::length);
            lengths.fold(Duration::ZERO, Duration::saturating_add)
        }
    }
}
