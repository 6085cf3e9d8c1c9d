//! Engines for scenarios: `turmoil` uses this crate's sockets, `stock` turmoil's own, and
//! `turmoil-net` those of the crate of that name.
//!
//! `calls` has the calls of sockets that return an `io::Error`, or panic.

mod calls;
mod drive;
mod linux;
mod notes;
mod processes;
mod signal;
mod stock;
mod turmoil_net;

use fourtuple_harness::{Attempts, RunReport};
use fourtuple_kernel::FlagSet;
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::Case;

pub use self::turmoil_net::TurmoilNet;
pub use linux::Turmoil;
pub use stock::Stock;

/// The report of a network without Linux's ports, from its attempts and notes.
fn contrast(
    case: &Case,
    profile: &Profile,
    name: &'static str,
    (attempts, notes): (Attempts, Vec<String>),
) -> RunReport {
    let mut report = RunReport::new(case, profile, name, attempts, notes);
    // The run does not depend on the kernel, so it is valid for all kernels.
    report.observed_flags = FlagSet::default();
    report
}

/// Removes the task number from the text of a simulation's error: tokio counts the tasks of the
/// whole process, so the number depends on other runs.
pub(crate) fn without_task_number(text: &str) -> String {
    let Some((before, after)) = text.split_once("task ") else {
        return text.to_owned();
    };
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() == after.len() {
        text.to_owned()
    } else {
        format!("{before}a task{rest}")
    }
}
