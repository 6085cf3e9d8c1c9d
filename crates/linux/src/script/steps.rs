//! The step form: every step is one call, or several.

use super::processes::Standing;
use super::{Answered, Answers, Placed, answer, nat, placed, port_of, settable, sysctl};
use crate::program::{Call, Step};
use crate::wire::MAX_PROCESSES;
use fourtuple_harness::{EngineError, Recording, compile};
use fourtuple_kernel::Refusal;
use fourtuple_program as program;
use fourtuple_program::{CallLog, Caller, HostId, Nanos, PortName, SockName};
use fourtuple_scenario as scenario;
use fourtuple_scenario::Case;
use fourtuple_syscall::{Kind, Outcome, Returned, SockOpt, Syscall};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

/// The outcome of a call whose port was to be taken from a call that returned none.
const NO_PORT: Outcome = Outcome::Unsupported("NOPORT");

/// The steps of a case as calls.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    case: Case,
    placed: Vec<Placed>,
    attempts: Vec<StepCalls>,
    /// Number of calls of the script before these.
    before: usize,
}

/// A step that is an attempt.
#[derive(Clone, Debug)]
struct StepCalls {
    /// Its place in the case.
    step: u32,
    at: Nanos,
    /// Its calls, counted over the steps. The first is its own, or all of them set options.
    calls: Range<usize>,
}

/// The host and the real process of a socket. They are kept after the close, for calls that come
/// too late.
#[derive(Clone)]
struct Owner {
    host: String,
    process: u16,
    /// The type of the socket.
    kind: Kind,
}

struct Planner<'a> {
    case: &'a Case,
    out: Steps,
    names: BTreeMap<SockName, String>,
    owners: BTreeMap<SockName, Owner>,
    processes: BTreeMap<(HostId, String), u16>,
    /// The call that gives each port its value.
    ports: BTreeMap<PortName, usize>,
    /// Listeners of the scenario's hosts.
    listeners: Vec<Standing>,
    at: Nanos,
    wait_ms: u32,
}

impl Steps {
    /// Translates the steps of a case. `before` is the number of calls of the script before these,
    /// which open the `listeners` of the hosts.
    pub(super) fn of(
        case: &Case,
        before: usize,
        listeners: Vec<Standing>,
        wait_ms: u32,
    ) -> Result<Steps, EngineError> {
        let mut planner = Planner {
            case,
            out: Steps {
                case: case.clone(),
                placed: Vec::new(),
                attempts: Vec::new(),
                before,
            },
            names: BTreeMap::new(),
            owners: BTreeMap::new(),
            processes: BTreeMap::new(),
            ports: BTreeMap::new(),
            listeners,
            at: 0,
            wait_ms,
        };
        let plan = compile::steps(case)?;
        let of_case = case.program.steps().unwrap_or_default();
        for ((n, step), planned) in (0..).zip(of_case).zip(plan.steps()) {
            planner.step(n, step, planned)?;
        }
        Ok(planner.out)
    }

    pub(super) fn placed(&self) -> &[Placed] {
        &self.placed
    }

    /// Turns the answers into attempts.
    pub(super) fn answered<A: Answers>(
        &self,
        by: &mut A,
        to: &mut Answered,
    ) -> Result<(), A::Error> {
        let mut made: Vec<Step> = to.program.steps.clone();
        for one in &self.placed {
            let step = answer(one, by, &made)?;
            made.push(step);
        }
        let own = &made[self.before..];
        let mut owners = vec![0; own.len()];
        let mut recording = Recording::of_steps(&self.case);
        for (n, attempt) in (1..).zip(&self.attempts) {
            owners[attempt.calls.clone()].fill(n);
            let calls = &own[attempt.calls.clone()];
            let Some(call) = calls.first().and_then(|first| first.call.sys()) else {
                continue;
            };
            let no_port = self.placed[attempt.calls.start]
                .port_of
                .is_some_and(|call| made.get(call).and_then(port_of).is_none());
            let outcome = match no_port {
                true => NO_PORT,
                false => outcome(call, calls),
            };
            let caller = Caller::Step(attempt.step);
            let id = CallLog::<Refusal>::begin(
                &mut recording,
                attempt.at,
                caller,
                &call.clone().map(|_| ()),
            );
            recording.end(attempt.at, id, &outcome, None);
        }
        to.attempts = recording.finish();
        for (step, owner) in made.drain(self.before..).zip(owners) {
            to.keep(step, owner);
        }
        Ok(())
    }
}

/// The outcome of a step whose first call is `call`.
fn outcome(call: &Syscall<String>, calls: &[Step]) -> Outcome {
    let mut outcomes = calls.iter().filter_map(Step::outcome);
    if let Syscall::Socket { .. } | Syscall::Set { .. } = call {
        // The first refusal is the result.
        return outcomes.find(|one| !one.is_ok()).unwrap_or(Outcome::OK);
    }
    let own = outcomes.next().unwrap_or(Outcome::WouldBlock);
    let Outcome::Ok(returned) = own else {
        return own;
    };
    Outcome::Ok(match call {
        Syscall::Connect { addr, .. } => Returned {
            peer: Some(peer_of(*addr, returned.local)),
            ..returned
        },
        // accept() returns the peer's address, not the local one.
        Syscall::Accept { .. } => Returned {
            local: match outcomes.next() {
                Some(Outcome::Ok(name)) => name.local,
                _ => None,
            },
            ..returned
        },
        _ => returned,
    })
}

/// The peer of a connection to `to`: for the wildcard address that is the socket's own address.
fn peer_of(to: SocketAddr, local: Option<SocketAddr>) -> SocketAddr {
    match local {
        Some(local) if to.ip().is_unspecified() => SocketAddr::new(local.ip(), to.port()),
        _ => to,
    }
}

impl Planner<'_> {
    fn push(&mut self, one: Placed) -> usize {
        self.out.placed.push(one);
        self.out.placed.len() - 1
    }

    fn push_for(&mut self, owner: &Owner, call: impl Into<Call>) -> usize {
        let one = placed(&owner.host, call);
        self.push(Placed {
            process: owner.process,
            ..one
        })
    }

    /// Makes the calls since `start` the attempt of a step.
    fn note(&mut self, step: u32, start: usize) {
        let calls = start..self.out.placed.len();
        let at = self.at;
        self.out.attempts.push(StepCalls { step, at, calls });
    }

    fn host(&self, host: HostId) -> String {
        let found = self.case.hosts.get_index(host.0 as usize);
        found.map(|(name, _)| name.clone()).unwrap_or_default()
    }

    /// The name that the case gives to a socket.
    fn name(&self, sock: SockName) -> String {
        self.names.get(&sock).cloned().unwrap_or_default()
    }

    fn owner(&self, sock: SockName) -> Owner {
        let first = || Owner {
            host: self.host(HostId(0)),
            process: 0,
            kind: Kind::Stream,
        };
        self.owners.get(&sock).cloned().unwrap_or_else(first)
    }

    /// The number of the real process for a process of the scenario.
    fn process(&mut self, host: HostId, name: &str) -> u16 {
        let next = 1 + self.processes.len() % MAX_PROCESSES;
        *self
            .processes
            .entry((host, name.to_owned()))
            .or_insert(u16::try_from(next).unwrap_or(1))
    }

    /// Plans the step with number `n`.
    fn step(
        &mut self,
        n: u32,
        step: &scenario::Step,
        planned: &program::Step,
    ) -> Result<(), EngineError> {
        let start = self.out.placed.len();
        let name = step.socket().unwrap_or_default();
        match planned {
            program::Step::Sleep(nanos) => {
                let ms = u32::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u32::MAX);
                self.at = self.at.saturating_add(*nanos);
                let host = self.host(HostId(0));
                self.push(placed(&host, Call::Sleep { ms }));
            }
            program::Step::Sysctl { host, settings } => {
                for (key, value) in settings {
                    self.push(sysctl(&self.host(*host), key, value));
                }
            }
            program::Step::Socket {
                sock,
                host,
                family,
                kind,
                uid,
                nonblock,
                options,
                implicit,
                ..
            } => {
                if *nonblock {
                    return Err(EngineError::new("it has a socket that does not block"));
                }
                let by = match step {
                    scenario::Step::Socket(socket) => &*socket.by,
                    _ => "",
                };
                let owner = Owner {
                    host: self.host(*host),
                    process: self.process(*host, by),
                    kind: *kind,
                };
                self.names.insert(*sock, name.to_owned());
                self.push_for(&owner, Call::socket_of(name, *family, *kind, *uid));
                self.owners.insert(*sock, owner);
                self.set(*sock, options)?;
                if !implicit {
                    self.note(n, start);
                }
            }
            program::Step::Set { sock, options } => {
                self.names.insert(*sock, name.to_owned());
                self.set(*sock, options)?;
                self.note(n, start);
            }
            program::Step::Call {
                call,
                port,
                port_as,
            } => {
                self.names.insert(*call.sock(), name.to_owned());
                if let (Some(&new), scenario::Step::Accept(accept)) = (call.made(), step) {
                    let nameless = || format!("nameless.{}", u32::MAX - new.0);
                    let name = accept.accepted.clone().unwrap_or_else(nameless);
                    self.names.insert(new, name);
                }
                self.call(n, call, *port, *port_as);
            }
        }
        Ok(())
    }

    fn set(&mut self, sock: SockName, options: &[SockOpt]) -> Result<(), EngineError> {
        let owner = self.owner(sock);
        for &option in options {
            settable(option, self.case.hosts.len())?;
            let sock = self.name(sock);
            self.push_for(&owner, Syscall::Set { sock, option });
        }
        Ok(())
    }

    fn call(
        &mut self,
        n: u32,
        call: &Syscall<SockName>,
        port: Option<PortName>,
        port_as: Option<PortName>,
    ) {
        let start = self.out.placed.len();
        let owner = self.owner(*call.sock());
        let own = self.push_for(&owner, call.map(|sock| self.name(sock)));
        let one = &mut self.out.placed[own];
        if let Syscall::Connect { .. } = call {
            one.step.wait_ms = Some(self.wait_ms);
        }
        // If no earlier call returns this port, it is taken from this one, which has none yet, so
        // that it is not made.
        let own = self.out.before + own;
        one.port_of = port.map(|name| self.ports.get(&name).copied().unwrap_or(own));
        if let Some(&new) = call.made() {
            self.owners.insert(new, owner.clone());
            let sock = self.name(new);
            self.push_for(&owner, Syscall::Getsockname { sock });
        }
        if let Some(name) = port_as {
            self.ports.insert(name, own);
        }
        self.note(n, start);
        if let Syscall::Connect { addr, .. } = call
            && owner.kind == Kind::Stream
        {
            self.accept_at_hosts(&owner.host, *addr, port.is_some());
        }
    }

    /// Accepts the connection that a connect from `host` may have made to a listener of a host. The
    /// listener accepts all its connections, so that its backlog never fills.
    fn accept_at_hosts(&mut self, host: &str, to: SocketAddr, any_port: bool) {
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        let own = to.ip().is_loopback() || to.ip().is_unspecified();
        let translated = nat::backends(self.case, to, any_port);
        let reached = if translated.is_empty() {
            vec![to]
        } else {
            translated
        };
        let mut accepts = Vec::new();
        for one in &self.listeners {
            let Some((name, of)) = self.case.hosts.get_index(one.host) else {
                continue;
            };
            let is_reached = |to: &SocketAddr| {
                let host = match own {
                    true => name == host,
                    false => of.addresses.contains(&to.ip()),
                };
                host && (any_port || one.port == to.port())
            };
            if !reached.iter().any(is_reached) {
                continue;
            }
            let accept = Syscall::Accept {
                sock: one.sock.clone(),
                new: format!("{}.{}", one.sock, self.out.placed.len() + accepts.len()),
                uid: None,
            };
            accepts.push(placed(name, accept));
        }
        self.out.placed.extend(accepts);
    }
}
