//! The engines of a snapshot suite: shared by `fourtuple test` and by the project's own suite.

use fourtuple_scenario::Case;

/// Sockets of the largest scenario that simulated networks run in a suite. Above it, simulating
/// every packet of tens of thousands of connections takes longer than all other scenarios together,
/// and the port model decides the answer.
const SIMULATED: u64 = 5_000;

/// Returns true for a scenario of tens of thousands of connections, which a suite runs on the model
/// alone.
#[must_use]
pub fn is_full_size(cases: &[Case]) -> bool {
    cases.iter().map(sockets).max() > Some(SIMULATED)
}

/// The number of sockets that the processes of a case make.
fn sockets(case: &Case) -> u64 {
    let processes = case
        .program
        .processes()
        .into_iter()
        .flat_map(|all| all.values());
    let of_one = processes
        .map(|one| u64::from(one.count) * (one.connections_each() + one.listen.len() as u64));
    of_one.sum()
}
