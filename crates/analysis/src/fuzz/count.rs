//! The number of attempts that a file asks for.

use fourtuple_harness::Attempts;
use fourtuple_scenario::{Case, FaultKind, Op, Process, Program};

/// Returns a sentence about the first number of attempts that does not follow from the file and
/// from the answers before.
///
/// If the network loses packets or hosts crash, processes may not come to an end: only too many
/// attempts are wrong then. A host that is bounced starts its processes anew.
pub(super) fn wrong(case: &Case, attempts: &Attempts) -> Option<String> {
    match &*case.program {
        Program::Steps(steps) => {
            let calls = steps.iter().filter(|step| {
                let implicit =
                    matches!(&step.value, fourtuple_scenario::Step::Socket(one) if one.implicit);
                step.op().is_some() && !implicit
            });
            let (asked, made) = (calls.count(), attempts.len());
            let wrong = match case.network.is_ideal() {
                true => asked != made,
                false => asked < made,
            };
            wrong.then(|| format!("{made} attempts, but the file has {asked} calls"))
        }
        Program::Processes(processes) => {
            let ideal = case.network.is_ideal();
            processes.iter().find_map(|(name, process)| {
                let starts = 1 + bounces(case, &process.on);
                of_process(name, process, attempts, starts, ideal)
            })
        }
    }
}

/// The number of times that a host is bounced, by itself or with another namespace of its machine.
fn bounces(case: &Case, host: &str) -> u64 {
    let machine = |name: &str| {
        case.hosts
            .get(name)
            .and_then(|host| host.machine.as_deref())
    };
    let same =
        |name: &str| name == host || machine(name).is_some_and(|of| machine(host) == Some(of));
    let faults = case.network.faults.iter();
    faults
        .filter(|fault| matches!(&fault.kind, FaultKind::Bounce(name) if same(name)))
        .count() as u64
}

fn of_process(
    name: &str,
    process: &Process,
    attempts: &Attempts,
    starts: u64,
    complete: bool,
) -> Option<String> {
    let (mut binds, mut bound, mut listens, mut connects) = (0u64, 0u64, 0u64, 0u64);
    for attempt in attempts.iter().filter(|one| &**one.process() == name) {
        match attempt.op() {
            Op::Bind => {
                binds += 1;
                bound += u64::from(attempt.result().is_ok());
            }
            Op::Listen => listens += 1,
            Op::Connect => connects += 1,
            _ => {}
        }
    }
    let listeners = starts * u64::from(process.count) * process.listen.len() as u64;
    let of_each = |list: &[std::net::SocketAddr]| match list {
        [] => 0,
        _ => starts * process.total_connections(),
    };
    let (bindings, clients) = (of_each(&process.bind), of_each(&process.connect));
    let wrong = |what: &str, made: u64, asked: u64| {
        let differs = if complete {
            made != asked
        } else {
            made > asked
        };
        differs.then(|| format!("process `{name}`: {made} {what}, but the file asks for {asked}"))
    };
    let wrong_binds = wrong("binds", binds, listeners + bindings);
    wrong_binds.or_else(|| match (bindings, clients) {
        (0, _) => wrong("listens", listens, bound).or_else(|| wrong("connects", connects, clients)),
        (_, 0) => wrong("connects", connects, 0),
        // Each refused bind of a listener or of a connection leaves out the call after it.
        _ => wrong(
            "listens and connects",
            listens + connects,
            listeners + clients - (binds - bound),
        ),
    })
}
