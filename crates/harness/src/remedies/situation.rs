//! What is wrong in a run: which programs get no port, and which ones take them.

use std::collections::BTreeMap;
use std::sync::Arc;

use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::{Errno, Rule};
use fourtuple_scenario::{Case, Op, PortRange};
use serde::Serialize;

use super::edit::{self, Habits};
use crate::attempt::{Answer, Attempt, Name};
use crate::attempts::Attempts;
use crate::why::Why;

/// How a run came out: sockets by what became of them.
///
/// A socket counts once, by its last call of `bind`, `listen` and `connect`. Calls are no measure, because most ways out
/// change which calls there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Score {
    /// Sockets that got what they wanted.
    pub ok: u32,
    /// Sockets that were refused for want of a port: `EADDRINUSE` or `EADDRNOTAVAIL`.
    pub refused: u32,
    /// All sockets.
    pub total: u32,
}

/// Whether this answer says that there was no port.
fn no_port(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Errno(Errno::EADDRINUSE | Errno::EADDRNOTAVAIL)
    )
}

impl Score {
    /// The score of an outcome.
    #[must_use]
    pub fn of(attempts: &Attempts) -> Self {
        let mut last: BTreeMap<String, &Answer> = BTreeMap::new();
        for attempt in attempts {
            if matches!(attempt.op(), Op::Bind | Op::Listen | Op::Connect) {
                last.insert(attempt.socket().to_string(), attempt.result());
            }
        }
        let mut score = Score::default();
        for answer in last.values() {
            score.total += 1;
            score.ok += u32::from(answer.is_ok());
            score.refused += u32::from(no_port(answer));
        }
        score
    }

    /// Whether nobody is refused any more, and nothing else broke on the way.
    #[must_use]
    pub fn mends(self, before: Score) -> bool {
        self.refused == 0 && self.ok >= before.ok + before.refused
    }

    /// Whether more sockets get what they want.
    #[must_use]
    pub fn better_than(self, before: Score) -> bool {
        self.ok > before.ok
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.ok, self.total)
    }
}

/// A program that plays a part.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) habits: Habits,
}

/// The parts that programs play in a run.
#[derive(Clone, Debug)]
pub(super) struct Situation {
    pub(super) score: Score,
    /// Programs that are refused, and connect.
    pub(super) victims: Vec<Part>,
    /// Programs on the victims' hosts that bind before they connect, to port 0 or into the range.
    pub(super) binders: Vec<Part>,
    /// Programs on the victims' hosts that connect without bind.
    pub(super) plain: Vec<Part>,
    /// The victims' hosts.
    pub(super) hosts: Vec<String>,
    /// The range of local ports of the first of them.
    pub(super) range: PortRange,
    /// Ports inside the range that somebody on these hosts listens on or binds by number.
    pub(super) fixed: Vec<u16>,
    /// Why the first of them was refused.
    pub(super) why: Option<Arc<Why>>,
}

impl Situation {
    pub(super) fn of(case: &Case, profile: &Profile, attempts: &Attempts) -> Self {
        let mut refused: Vec<Name> = Vec::new();
        let mut hosts: Vec<String> = Vec::new();
        for attempt in attempts.iter().filter(|attempt| wants(*attempt)) {
            if !refused.contains(attempt.process()) {
                refused.push(attempt.process().clone());
            }
            if !hosts.iter().any(|host| **host == **attempt.host()) {
                hosts.push(attempt.host().to_string());
            }
        }
        let high = profile.behaviours.range_high;
        let range = hosts.first().map_or(PortRange::new(32768, high), |host| {
            edit::range_of(case, host, high)
        });
        let parts: Vec<Part> = edit::processes(case)
            .into_iter()
            .map(|name| Part {
                habits: edit::habits(case, &name),
                name,
            })
            .filter(|part| hosts.contains(&part.habits.host))
            .collect();
        let into_range = |part: &&Part| {
            let ports = part.habits.bind.iter().map(std::net::SocketAddr::port);
            !part.habits.connect.is_empty()
                && ports
                    .into_iter()
                    .any(|port| port <= 1 || range.contains(port))
        };
        let listens = case.hosts.iter().filter(|(name, _)| hosts.contains(name));
        let listens =
            listens.flat_map(|(_, host)| host.listen.iter().map(std::net::SocketAddr::port));
        let mut fixed: Vec<u16> = parts
            .iter()
            .flat_map(|part| part.habits.fixed.iter().copied())
            .chain(listens)
            .filter(|port| range.contains(*port))
            .collect();
        fixed.sort_unstable();
        fixed.dedup();
        let connects = |part: &&Part| !part.habits.connect.is_empty();
        let unbound = |part: &&Part| connects(part) && part.habits.bind.is_empty();
        Situation {
            score: Score::of(attempts),
            victims: parts
                .iter()
                .filter(connects)
                .filter(|part| refused.iter().any(|name| **name == *part.name))
                .cloned()
                .collect(),
            binders: parts.iter().filter(into_range).cloned().collect(),
            plain: parts.iter().filter(unbound).cloned().collect(),
            hosts,
            range,
            fixed,
            why: first_refusal(attempts),
        }
    }

    /// The rule that refused the first victim.
    pub(super) fn rule(&self) -> Option<Rule> {
        self.why.as_ref().map(|why| why.rule)
    }
}

fn wants(attempt: Attempt<'_>) -> bool {
    matches!(attempt.op(), Op::Bind | Op::Listen | Op::Connect) && no_port(attempt.result())
}

/// The reason of the first call that got no port.
pub(super) fn first_refusal(attempts: &Attempts) -> Option<Arc<Why>> {
    let refused = attempts.iter().find(|attempt| wants(*attempt))?;
    refused.why().cloned()
}

/// Names of parts.
pub(super) fn names(parts: &[Part]) -> Vec<String> {
    parts.iter().map(|part| part.name.clone()).collect()
}
