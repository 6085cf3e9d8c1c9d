//! The problem in a run: the programs that get no port, the programs that hold it, and the kind of
//! problem.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use fourtuple_harness::{Answer, Args, Attempt, Attempts, SocketName, Why};
use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::{Errno, Rule};
use fourtuple_scenario::{Case, Op, PortRange};
use fourtuple_syscall::canonical;
use schemars::JsonSchema;
use serde::Serialize;

use crate::edit::{self, Habits};

/// The result of a run: sockets by their last call of `bind`, `listen` and `connect`.
///
/// Calls are no measure, because most fixes change which calls there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SocketCounts {
    /// Sockets that got what they wanted.
    pub ok: u32,
    /// Sockets without the port that they need: refused with `EADDRINUSE` or `EADDRNOTAVAIL`, for
    /// UDP with `EAGAIN`, listening on an unknown port after a refused `bind`, connected to
    /// themselves, or lost by a NAT host that has no port for them.
    pub refused: u32,
    /// Those of `refused` that are connected to themselves.
    pub to_itself: u32,
    /// All sockets.
    pub total: u32,
}

/// Returns whether this answer to a call that takes a port says that there was none; `EAGAIN` is
/// UDP's.
fn no_port(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Errno(Errno::EADDRINUSE | Errno::EADDRNOTAVAIL | Errno::EAGAIN)
    )
}

/// Returns whether a NAT host dropped the first packet of a call, for want of a port or of room.
fn lost_at_nat(attempt: Attempt<'_>) -> bool {
    let rule = attempt.why().map(|why| why.rule);
    let nat = [
        Rule::NatDrop,
        Rule::NatRace,
        Rule::NatTableFull,
        Rule::NatQuota,
    ];
    !attempt.result().is_ok() && rule.is_some_and(|rule| nat.contains(&rule))
}

/// Returns whether a call connected its socket to itself (a simultaneous open of one socket).
pub(crate) fn is_self_connect(attempt: Attempt<'_>) -> bool {
    let Args::To(to) = attempt.args() else {
        return false;
    };
    attempt.op() == Op::Connect
        && attempt.result().is_ok()
        && attempt.local() == Some(canonical(*to))
}

/// Names a socket of one run.
fn key(name: SocketName<'_>) -> (&str, u32) {
    match name {
        SocketName::Named(name) => (name, 0),
        SocketName::Numbered(process, k) => (process, k),
    }
}

/// The state of one socket, as far as its calls of `bind`, `listen` and `connect` decide it.
#[derive(Clone, Copy, Default)]
struct Fate {
    ok: bool,
    refused: bool,
    to_itself: bool,
    bind_refused: bool,
}

impl Fate {
    fn call(&mut self, attempt: Attempt<'_>) {
        // A datagram takes a port only if the socket has none.
        if attempt.op() == Op::SendTo && self.ok {
            return;
        }
        let result = attempt.result();
        let refused = no_port(result) || lost_at_nat(attempt);
        // listen() after a refused bind() takes any port of the range: clients do not know it.
        let unknown = attempt.op() == Op::Listen && self.bind_refused;
        if attempt.op() == Op::Bind {
            self.bind_refused = refused;
        }
        self.to_itself = is_self_connect(attempt);
        self.refused = refused || unknown || self.to_itself;
        self.ok = result.is_ok() && !self.refused;
    }
}

impl SocketCounts {
    /// Counts the sockets of an outcome.
    #[must_use]
    pub fn of(attempts: &Attempts) -> Self {
        let mut fates: BTreeMap<(&str, u32), Fate> = BTreeMap::new();
        for attempt in attempts {
            if takes_port(attempt.op()) {
                fates
                    .entry(key(attempt.socket()))
                    .or_default()
                    .call(attempt);
            }
        }
        let mut counts = SocketCounts::default();
        for fate in fates.values() {
            counts.total += 1;
            counts.ok += u32::from(fate.ok);
            counts.refused += u32::from(fate.refused);
            counts.to_itself += u32::from(fate.to_itself);
        }
        counts
    }

    /// Returns whether every socket has its port, and nothing else broke on the way.
    ///
    /// A socket that is no longer connected to itself may be refused by the destination instead.
    #[must_use]
    pub fn fixes(self, before: SocketCounts) -> bool {
        self.refused == 0 && self.ok + before.to_itself >= before.ok + before.refused
    }

    /// As [`SocketCounts::fixes`], for a change after which there are fewer sockets.
    #[must_use]
    pub(super) fn fixes_with_fewer(self, before: SocketCounts) -> bool {
        let others = |counts: SocketCounts| counts.total - counts.ok - counts.refused;
        self.refused == 0 && self.ok > 0 && others(self) <= others(before)
    }

    /// Returns whether more sockets get what they want.
    #[must_use]
    pub fn better_than(self, before: SocketCounts) -> bool {
        self.ok > before.ok
    }
}

impl std::fmt::Display for SocketCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.ok, self.total)
    }
}

/// The kind of problem, by the first socket without its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The range has no usable port left.
    Shortage,
    /// A port that is bound by number was chosen for an outgoing connection before.
    Collision,
    /// A port that is bound by number belongs to another socket that names it as well.
    Held,
    /// The address is not on the host.
    NotLocal,
    /// A connection got its destination as its source and is connected to itself.
    ToItself,
    /// A NAT host on the way has no port left, or no room for a flow.
    Nat,
    /// Any other refusal.
    Other,
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
    pub(super) counts: SocketCounts,
    pub(super) cause: Cause,
    /// Programs that connect and are refused.
    pub(super) victims: Vec<Part>,
    /// Programs that bind or listen by number and are refused.
    pub(super) listeners: Vec<Part>,
    /// Programs that hold the refused port of a listener: by number, or by an outgoing connection.
    pub(super) owners: Vec<Part>,
    /// The refused addresses of the listeners.
    pub(super) contested: Vec<SocketAddr>,
    /// Programs on the hosts of refused programs that bind before they connect, to port 0 or into
    /// the range.
    pub(super) binders: Vec<Part>,
    /// Programs on these hosts that connect without bind.
    pub(super) plain: Vec<Part>,
    /// Programs on these hosts that close connections.
    pub(super) closers: Vec<Part>,
    /// The hosts of refused programs.
    pub(super) hosts: Vec<String>,
    /// The NAT host that their packets meet first; empty if there is none.
    pub(super) nat: String,
    /// The range of local ports of the first of them.
    pub(super) range: PortRange,
    /// Ports inside the range that must not be chosen: bound by number on these hosts, or the
    /// destination of a connection to itself.
    pub(super) fixed: Vec<u16>,
    /// The reason of the first refusal.
    pub(super) why: Option<Arc<Why>>,
}

/// The calls that failed for want of a port, and the sockets that hold the ports of listeners.
#[derive(Default)]
struct Refusals {
    programs: Vec<String>,
    binding: Vec<String>,
    hosts: Vec<String>,
    contested: Vec<SocketAddr>,
    itself: Vec<u16>,
    takers: Vec<String>,
    cause: Option<Cause>,
}

fn add<T: PartialEq>(list: &mut Vec<T>, one: T) {
    if !list.contains(&one) {
        list.push(one);
    }
}

impl Refusals {
    fn of(attempts: &Attempts) -> Self {
        let mut all = Refusals::default();
        // The address of each bound socket, for a refused listen().
        let mut bound: BTreeMap<(&str, u32), SocketAddr> = BTreeMap::new();
        for attempt in attempts {
            let at = match attempt.args() {
                Args::At(at) => Some(canonical(*at)),
                _ => bound.get(&key(attempt.socket())).copied(),
            };
            if let (Op::Bind, Some(at)) = (attempt.op(), at)
                && at.port() != 0
            {
                bound.insert(key(attempt.socket()), at);
            }
            let itself = is_self_connect(attempt);
            if !itself && !wants(attempt) {
                continue;
            }
            add(&mut all.programs, attempt.process().to_string());
            add(&mut all.hosts, attempt.host().to_string());
            let at = at.filter(|at| at.port() != 0 && attempt.op() != Op::Connect);
            if let Some(at) = at {
                add(&mut all.binding, attempt.process().to_string());
                add(&mut all.contested, at);
            }
            if itself {
                all.itself.extend(attempt.local().map(|local| local.port()));
            }
            let rule = attempt.why().map(|why| why.rule);
            all.cause.get_or_insert(match (itself, rule, at) {
                (true, ..) => Cause::ToItself,
                _ if lost_at_nat(attempt) => Cause::Nat,
                (_, Some(Rule::BindNotLocal | Rule::AddressTentative | Rule::Ipv6Off), _) => {
                    Cause::NotLocal
                }
                (_, _, Some(_)) => Cause::Held,
                (_, Some(Rule::ConnectBoundTuple | Rule::ConnectBoundTimeWait), _) => Cause::Other,
                _ => Cause::Shortage,
            });
        }
        all.find_takers(attempts);
        all
    }

    /// Programs whose outgoing connections got a refused port out of the range.
    fn find_takers(&mut self, attempts: &Attempts) {
        let contested = |port: u16| self.contested.iter().any(|at| at.port() == port);
        let mut takers = Vec::new();
        for attempt in attempts {
            let chosen = match (attempt.op(), attempt.args()) {
                (Op::Connect, _) => true,
                (Op::Bind, Args::At(at)) => at.port() == 0,
                _ => false,
            };
            if chosen
                && self.hosts.iter().any(|host| **host == **attempt.host())
                && attempt.local().is_some_and(|local| contested(local.port()))
            {
                add(&mut takers, attempt.process().to_string());
            }
        }
        if !takers.is_empty() && self.cause == Some(Cause::Held) {
            self.cause = Some(Cause::Collision);
        }
        self.takers = takers;
    }
}

impl Situation {
    pub(super) fn of(case: &Case, profile: &Profile, attempts: &Attempts) -> Self {
        let refusals = Refusals::of(attempts);
        let hosts = refusals.hosts.clone();
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
        let some = |keep: &dyn Fn(&Part) -> bool| -> Vec<Part> {
            parts.iter().filter(|part| keep(part)).cloned().collect()
        };
        let connects = |part: &Part| !part.habits.connect.is_empty();
        let into_range = |part: &Part| {
            let mut ports = part.habits.bind.iter().map(SocketAddr::port);
            connects(part) && ports.any(|port| port <= 1 || range.contains(port))
        };
        let holds = |part: &Part| {
            let contested = |at: &SocketAddr| {
                let mut all = refusals.contested.iter();
                all.any(|one| one.port() == at.port())
            };
            refusals.takers.contains(&part.name) || part.habits.fixed.iter().any(contested)
        };
        let mut fixed: Vec<u16> = parts
            .iter()
            .flat_map(|part| part.habits.fixed.iter())
            .chain(
                case.hosts
                    .iter()
                    .filter(|(name, _)| hosts.contains(name))
                    .flat_map(|(_, host)| &host.listen),
            )
            .map(SocketAddr::port)
            .chain(refusals.itself.iter().copied())
            .filter(|port| range.contains(*port))
            .collect();
        fixed.sort_unstable();
        fixed.dedup();
        let nat = hosts.iter().find_map(|host| edit::nat_host(case, host));
        Situation {
            counts: SocketCounts::of(attempts),
            nat: nat.unwrap_or_default().to_owned(),
            cause: refusals.cause.unwrap_or(Cause::Other),
            victims: some(&|part| {
                connects(part)
                    && refusals.programs.contains(&part.name)
                    && !refusals.binding.contains(&part.name)
            }),
            listeners: some(&|part| refusals.binding.contains(&part.name)),
            owners: some(&holds),
            binders: some(&into_range),
            plain: some(&|part| connects(part) && part.habits.bind.is_empty()),
            closers: some(&|part| part.habits.closes),
            contested: refusals.contested,
            hosts,
            range,
            fixed,
            why: first_refusal(attempts),
        }
    }

    /// The rule that refused the first call.
    pub(super) fn rule(&self) -> Option<Rule> {
        self.why.as_ref().map(|why| why.rule)
    }

    /// All refused programs, in the order of the file.
    pub(super) fn refused(&self) -> Vec<String> {
        let mut all = names(&self.listeners);
        all.extend(names(&self.victims));
        all
    }

    /// The old and the new holders of a contested port.
    pub(super) fn both(&self) -> Vec<Part> {
        let mut all = self.owners.clone();
        for part in &self.listeners {
            if all.iter().all(|one| one.name != part.name) {
                all.push(part.clone());
            }
        }
        all
    }

    /// The programs in the conflict that bind the IPv6 wildcard.
    pub(super) fn dual_stack(&self) -> Vec<Part> {
        let any6 = |at: &SocketAddr| at.is_ipv6() && at.ip().is_unspecified();
        let mut both = self.both();
        both.retain(|part| part.habits.fixed.iter().any(any6));
        both
    }
}

/// The calls after which a socket has a port.
fn takes_port(op: Op) -> bool {
    matches!(op, Op::Bind | Op::Listen | Op::Connect | Op::SendTo)
}

fn wants(attempt: Attempt<'_>) -> bool {
    takes_port(attempt.op()) && (no_port(attempt.result()) || lost_at_nat(attempt))
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
