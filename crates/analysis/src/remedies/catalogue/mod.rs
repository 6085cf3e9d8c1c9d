//! The known fixes, in the order in which one would try them: the fix for the cause first, then
//! what changes least.

mod connector;
mod datagram;
mod host;
mod idle;
mod listener;
mod nat;

use fourtuple_kernel::{Behaviours, Rule};
use fourtuple_scenario::{Case, Close, Op, OptId, Program, Protocol, SockOpt, SocketType, Step};

use crate::edit;

use super::situation::{Cause, Part, Situation, names};

/// The party that has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Actor {
    /// The programs that bind ports of the range.
    Binders,
    /// The programs that get no port.
    Refused,
    /// The old and the new holder of a port.
    Both,
    /// The administrator of the hosts.
    Operator,
    /// The programs that close connections.
    Closers,
    /// The other end of the connections.
    Server,
    /// The administrator of the NAT host on the way.
    NatHost,
}

impl Actor {
    /// Its names in the table.
    pub(super) fn names(self, situation: &Situation) -> Vec<String> {
        let named = match self {
            Actor::Binders => names(&situation.binders),
            Actor::Refused => situation.refused(),
            // A connection to itself has no other holder.
            Actor::Both if situation.both().is_empty() => situation.refused(),
            Actor::Both => names(&situation.both()),
            Actor::Closers => names(&situation.closers),
            Actor::Operator => situation
                .hosts
                .iter()
                .map(|host| format!("root on {host}"))
                .collect(),
            Actor::Server => vec!["the server".to_owned()],
            Actor::NatHost => vec![format!("root on {}", situation.nat)],
        };
        if named.is_empty() {
            return vec!["-".to_owned()];
        }
        named
    }

    /// The programs that it stands for, and the reason where there are none.
    fn parts(self, situation: &Situation) -> (Vec<Part>, &'static str) {
        match self {
            Actor::Binders => (situation.binders.clone(), NO_BINDER),
            Actor::Both if situation.listeners.is_empty() => (Vec::new(), NO_LISTENER),
            Actor::Both => (situation.both(), NO_LISTENER),
            Actor::Refused => (situation.victims.clone(), NO_CONNECTOR),
            Actor::Closers => (situation.closers.clone(), NOT_CLOSED),
            Actor::Operator | Actor::Server | Actor::NatHost => (Vec::new(), ""),
        }
    }
}

/// The result of applying a fix.
pub(super) enum Change {
    /// Changed cases, the smallest change first, each with the change in words.
    To(Vec<(String, Case)>),
    /// There is nothing to apply it to, and why.
    Nothing(String),
}

impl Change {
    fn one(changed: bool, words: impl Into<String>, case: Case, otherwise: &str) -> Self {
        if changed {
            Change::To(vec![(words.into(), case)])
        } else {
            Change::Nothing(otherwise.to_owned())
        }
    }
}

/// The change that a fix makes.
#[derive(Clone, Copy)]
pub(super) enum Edit {
    /// Sets a socket option on the programs that have to act.
    Option(SockOpt),
    /// Sets a sysctl on the hosts of the refused programs.
    Sysctl(&'static str, &'static str),
    /// Any other change.
    By(fn(&Case, &Situation) -> Change),
}

/// A known fix.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// Short name, used in file names.
    pub(super) id: &'static str,
    /// The name in the table.
    pub(super) name: &'static str,
    pub(super) who: Actor,
    /// Returns whether a kernel has it; none if every kernel does.
    pub(super) exists: Option<fn(&Behaviours) -> bool>,
    /// Its cost or risk.
    pub(super) cost: &'static str,
    pub(super) change: Edit,
    /// The reason when it has no effect, by the rule that still refuses.
    pub(super) idle: fn(Option<Rule>) -> &'static str,
    /// Why this advice should no longer be given.
    pub(super) stale: Option<&'static str>,
    /// Causes that it removes whatever ports are chosen, so that the seeds only confirm it.
    pub(super) removes: &'static [Cause],
    /// It is often tried, so that its having no effect is worth a line.
    pub(super) often_tried: bool,
    /// There are fewer sockets afterwards.
    pub(super) fewer: bool,
}

impl Entry {
    /// Applies the fix to a case.
    pub(super) fn apply(&self, case: &Case, situation: &Situation) -> Change {
        match self.change {
            Edit::Option(option) => {
                let (parts, otherwise) = self.who.parts(situation);
                let shares = matches!(option.id(), OptId::ReuseAddr | OptId::ReusePort);
                if shares && parts.iter().any(|part| is_datagram(case, &part.name)) {
                    return Change::Nothing(SHARES_ANSWERS.to_owned());
                }
                set_option(case, &parts, option, otherwise)
            }
            Edit::Sysctl(key, value) => set_sysctl(case, situation, key, value),
            Edit::By(change) => change(case, situation),
        }
    }
}

/// The reason why UDP sockets must not share a port that the kernel selects.
const SHARES_ANSWERS: &str =
    "UDP sockets with it get ports that are in use, and of those on one port one alone is answered";

/// Returns `true` if a program has datagram sockets.
fn is_datagram(case: &Case, program: &str) -> bool {
    match &*case.program {
        Program::Processes(all) => {
            (all.get(program)).is_some_and(|one| one.protocol == Protocol::Udp)
        }
        Program::Steps(steps) => steps.iter().any(|step| match &step.value {
            Step::Socket(made) => made.by == program && made.kind == SocketType::Dgram,
            _ => false,
        }),
    }
}

/// The fields that most entries share.
const ENTRY: Entry = Entry {
    id: "",
    name: "",
    who: Actor::Refused,
    exists: None,
    cost: "",
    change: Edit::By(|_, _| Change::Nothing(String::new())),
    idle: |_| "",
    stale: None,
    removes: &[],
    often_tried: false,
    fewer: false,
};

const NO_BINDER: &str = "no program here binds before it connects";
const NOT_CLOSED: &str = "no connection of this scenario is ever closed";
const NO_CONNECTOR: &str = "no connecting program is refused";
const NO_LISTENER: &str = "no program that binds or listens by number is refused";

fn set_option(case: &Case, parts: &[Part], option: SockOpt, otherwise: &str) -> Change {
    let mut case = case.clone();
    let names = names(parts);
    let changed = edit::option(&mut case, &names, option);
    let otherwise = if names.is_empty() {
        otherwise
    } else {
        "it is set already"
    };
    let words = format!(
        "{}: {} on {}",
        option.name(),
        option.value(),
        names.join(", ")
    );
    Change::one(changed, words, case, otherwise)
}

fn set_sysctl(case: &Case, situation: &Situation, key: &str, value: &str) -> Change {
    let mut case = case.clone();
    let changed = edit::sysctl(&mut case, &situation.hosts, key, value);
    let words = format!("{key} = {value} on {}", situation.hosts.join(", "));
    Change::one(changed, words, case, "it is set to that already")
}

fn closing(case: &Case, how: Close) -> Change {
    let otherwise = if edit::closes(case) {
        "the connections close that way already"
    } else {
        NOT_CLOSED
    };
    let mut case = case.clone();
    let changed = edit::close(&mut case, how);
    Change::one(changed, format!("close: {how}"), case, otherwise)
}

/// Every known fix but another kernel. Those for UDP and for NAT hosts come first where the refused
/// programs use them, and are left out elsewhere.
pub(super) fn entries(case: &Case, situation: &Situation) -> impl Iterator<Item = &'static Entry> {
    let refused = situation.refused();
    let udp = refused.iter().any(|name| is_datagram(case, name));
    let at_nat = situation.cause == Cause::Nat;
    let some = |is: bool, entries: &'static [Entry]| if is { entries } else { &[] };
    let all = [
        some(at_nat, nat::ENTRIES),
        some(udp, datagram::ENTRIES),
        listener::ENTRIES,
        connector::ENTRIES,
        host::ENTRIES,
        connector::LATER,
    ];
    all.into_iter().flatten()
}

/// Returns whether a kernel refused an option that a change set.
pub(super) fn unknown_option(attempts: &fourtuple_harness::Attempts) -> bool {
    attempts.iter().any(|attempt| {
        matches!(attempt.op(), Op::Set | Op::Socket)
            && *attempt.result()
                == fourtuple_harness::Answer::Errno(fourtuple_kernel::Errno::ENOPROTOOPT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique() {
        let all = [
            nat::ENTRIES,
            datagram::ENTRIES,
            listener::ENTRIES,
            connector::ENTRIES,
            host::ENTRIES,
            connector::LATER,
        ];
        let entries = || all.into_iter().flatten();
        let mut ids: Vec<&str> = entries().map(|entry| entry.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        assert!(entries().all(|entry| !entry.name.is_empty() && !entry.cost.is_empty()));
    }
}
