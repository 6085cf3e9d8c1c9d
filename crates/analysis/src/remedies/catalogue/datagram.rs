//! Fixes for UDP sockets, which need a port each and give it back at once.

use std::time::Duration;

use fourtuple_scenario::{Case, Hold, Process, Program, Protocol};

use super::{Actor, Change, ENTRY, Edit, Entry};
use crate::remedies::situation::{Cause, Situation};

/// The reason where a scenario of steps names each socket.
const STEPS: &str = "a scenario of steps names each socket itself";

/// Changes the refused UDP programs; `false` if a program has nothing to change.
fn programs(
    case: &Case,
    situation: &Situation,
    change: &dyn Fn(&mut Process) -> bool,
) -> Option<(Vec<String>, Case)> {
    let mut case = case.clone();
    let Program::Processes(all) = case.program_mut() else {
        return None;
    };
    let mut changed = Vec::new();
    for name in situation.refused() {
        if let Some(process) = all.get_mut(&name)
            && process.protocol == Protocol::Udp
            && change(process)
        {
            changed.push(name);
        }
    }
    (!changed.is_empty()).then_some((changed, case))
}

fn one_socket(case: &Case, situation: &Situation) -> Change {
    let one = |process: &mut Process| {
        let sockets = process.total_connections();
        process.count = 1;
        process.keep_connections(1);
        sockets > 1
    };
    match programs(case, situation, &one) {
        Some((names, case)) => {
            let words = format!("one socket in {}", names.join(", "));
            Change::To(vec![(words, case)])
        }
        None => Change::Nothing(STEPS.to_owned()),
    }
}

fn close_sooner(case: &Case, situation: &Situation) -> Change {
    let mut made = Vec::new();
    for hold in [1000, 100, 0].map(Duration::from_millis) {
        let sooner = |process: &mut Process| {
            let longer = match process.hold {
                Hold::Forever => true,
                Hold::For(time) => time > hold,
            };
            if longer {
                process.hold = Hold::For(hold);
            }
            longer
        };
        if let Some((names, case)) = programs(case, situation, &sooner) {
            let words = format!("{} holds each socket for {hold:?}", names.join(", "));
            made.push((words, case));
        }
    }
    match made.is_empty() {
        true => Change::Nothing(STEPS.to_owned()),
        false => Change::To(made),
    }
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: "udp-one-socket",
        name: "one unconnected socket for all destinations (sendto)",
        cost: "the program matches answers to questions itself; ICMP errors are not reported without IP_RECVERR",
        change: Edit::By(one_socket),
        removes: &[Cause::Shortage],
        fewer: true,
        ..ENTRY
    },
    Entry {
        id: "udp-close-sooner",
        name: "close UDP sockets sooner",
        who: Actor::Refused,
        cost: "a shorter timeout of the program; the port is free at once, as UDP has no TIME-WAIT",
        change: Edit::By(close_sooner),
        idle: |_| "all sockets are opened at the same instant",
        removes: &[Cause::Shortage],
        ..ENTRY
    },
];
