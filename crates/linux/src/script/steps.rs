//! The step form: every step is one call, or several.

use super::processes::Standing;
use super::{Answered, Answers, Placed, answer, options, placed, port_of, sysctl, unmapped};
use crate::program::{Answer, Call, OptionValue, Outcome, Step};
use crate::wire::MAX_PROCESSES;
use fourtuple_harness::{Answer as AttemptAnswer, Args, EngineError, Name, Recorder, Seen};
use fourtuple_scenario as scenario;
use fourtuple_scenario::{Address, Case, PortRef, Spanned};
use fourtuple_syscall::canonical;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

/// The steps of a case as calls.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    placed: Vec<Placed>,
    attempts: Vec<StepCalls>,
    /// Number of calls of the script before these.
    before: usize,
}

/// A step that is an attempt.
#[derive(Clone, Debug)]
struct StepCalls {
    step: scenario::Step,
    host: Name,
    process: Name,
    socket: Name,
    at_ns: u64,
    /// Its calls, counted over the steps. The first is its own, or all of them set options.
    calls: Range<usize>,
}

/// A socket of the steps. Its owner is kept after the close, for calls that come too late.
#[derive(Clone)]
struct SocketEntry {
    host: Name,
    process: Name,
    number: u16,
}

struct Planner<'a> {
    case: &'a Case,
    out: Steps,
    sockets: BTreeMap<String, SocketEntry>,
    processes: BTreeMap<(String, String), u16>,
    /// The call that gives each port its value.
    ports: BTreeMap<String, usize>,
    /// Listeners of the scenario's hosts.
    listeners: Vec<Standing>,
    at_ns: u64,
    wait_ms: u32,
    nameless: u32,
}

impl Steps {
    /// Translates steps. `before` is the number of calls of the script before these, which open the
    /// `listeners` of the hosts.
    pub(super) fn of(
        case: &Case,
        steps: &[Spanned<scenario::Step>],
        before: usize,
        listeners: Vec<Standing>,
        wait_ms: u32,
    ) -> Result<Steps, EngineError> {
        let mut planner = Planner {
            case,
            out: Steps {
                placed: Vec::new(),
                attempts: Vec::new(),
                before,
            },
            sockets: BTreeMap::new(),
            processes: BTreeMap::new(),
            ports: BTreeMap::new(),
            listeners,
            at_ns: 0,
            wait_ms,
            nameless: 0,
        };
        for step in steps {
            planner.step(step)?;
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
        let mut recorder = Recorder::with_capacity(self.attempts.len());
        for (n, attempt) in (1..).zip(&self.attempts) {
            owners[attempt.calls.clone()].fill(n);
            let no_port = self.placed[attempt.calls.start]
                .port_of
                .is_some_and(|call| made.get(call).and_then(port_of).is_none());
            attempt.attempt(&own[attempt.calls.clone()], no_port, &mut recorder);
        }
        to.attempts = recorder.finish();
        for (step, owner) in made.drain(self.before..).zip(owners) {
            to.keep(step, owner);
        }
        Ok(())
    }
}

impl Planner<'_> {
    fn push(&mut self, one: Placed) -> usize {
        self.out.placed.push(one);
        self.out.placed.len() - 1
    }

    fn note(
        &mut self,
        step: &scenario::Step,
        entry: &SocketEntry,
        name: &str,
        calls: Range<usize>,
    ) {
        self.out.attempts.push(StepCalls {
            step: step.clone(),
            host: entry.host.clone(),
            process: entry.process.clone(),
            socket: name.into(),
            at_ns: self.at_ns,
            calls,
        });
    }

    /// The number of the real process for a process of the scenario.
    fn process(&mut self, host: &str, name: &str) -> u16 {
        let next = 1 + self.processes.len() % MAX_PROCESSES;
        let key = (host.to_owned(), name.to_owned());
        *self
            .processes
            .entry(key)
            .or_insert(u16::try_from(next).unwrap_or(1))
    }

    fn step(&mut self, step: &scenario::Step) -> Result<(), EngineError> {
        match step {
            scenario::Step::Sleep(sleep) => {
                let ms = sleep.sleep.as_nanos().div_ceil(1_000_000);
                let ms = u32::try_from(ms).unwrap_or(u32::MAX);
                self.at_ns += nanos(sleep.sleep);
                let host = self.case.hosts.keys().next().cloned().unwrap_or_default();
                self.push(placed(&host, Call::Sleep { ms }));
            }
            scenario::Step::Sysctl(of) => {
                for (key, value) in &of.sysctl {
                    self.push(sysctl(&of.on, key, value));
                }
            }
            scenario::Step::Socket(socket) => {
                if socket.nonblock {
                    return Err(EngineError::new("it has a socket that does not block"));
                }
                let entry = SocketEntry {
                    host: socket.on.as_str().into(),
                    process: socket.by.as_str().into(),
                    number: self.process(&socket.on, &socket.by),
                };
                let start = self.out.placed.len();
                let call = Call::Socket {
                    sock: socket.socket.clone(),
                    family: socket.family,
                    uid: Some(socket.uid),
                    nonblock: socket.nonblock,
                };
                self.push(placed_in(&entry, call));
                self.set(&entry, &socket.socket, &socket.options)?;
                if !socket.implicit {
                    let calls = start..self.out.placed.len();
                    self.note(step, &entry, &socket.socket, calls);
                }
                self.sockets.insert(socket.socket.clone(), entry);
            }
            _ => self.call(step)?,
        }
        Ok(())
    }

    fn set(
        &mut self,
        entry: &SocketEntry,
        sock: &str,
        options: &scenario::Options,
    ) -> Result<(), EngineError> {
        for (option, value) in options::of(options, self.case.hosts.len())? {
            let sock = sock.to_owned();
            self.push(placed_in(
                entry,
                Call::Set {
                    sock,
                    option,
                    value,
                },
            ));
        }
        Ok(())
    }

    /// An address, and the call that its port comes from.
    fn address(&self, address: &Address) -> (SocketAddr, Option<usize>) {
        let fixed = address.resolve(|_| Some(0));
        let fixed = fixed.unwrap_or(SocketAddr::new(address.ip, 0));
        // If no earlier call returns this port, it is taken from a call without a port, so that
        // this one is not made.
        let call = |name| self.ports.get(name).copied().unwrap_or(usize::MAX);
        (fixed, address.variable().map(call))
    }

    fn call(&mut self, step: &scenario::Step) -> Result<(), EngineError> {
        let Some(name) = step.socket() else {
            return Ok(());
        };
        let sock = name.to_owned();
        let entry = match self.sockets.get(name) {
            Some(entry) => entry.clone(),
            None => SocketEntry {
                host: self
                    .case
                    .hosts
                    .keys()
                    .next()
                    .map_or("", String::as_str)
                    .into(),
                process: "main".into(),
                number: 0,
            },
        };
        let start = self.out.placed.len();
        let mut from = None;
        let call = match step {
            scenario::Step::Set(set) => {
                self.set(&entry, name, &set.options)?;
                self.note(step, &entry, name, start..self.out.placed.len());
                return Ok(());
            }
            scenario::Step::Bind(bind) => {
                let (at, port) = self.address(&bind.at);
                from = port;
                Call::Bind { sock, at }
            }
            scenario::Step::Connect(connect) => {
                let (to, port) = self.address(&connect.to);
                from = port;
                let wait_ms = Some(self.wait_ms);
                Call::Connect { sock, to, wait_ms }
            }
            scenario::Step::Listen(listen) => Call::Listen {
                sock,
                backlog: Some(i32::try_from(listen.backlog).unwrap_or(i32::MAX)),
            },
            scenario::Step::Accept(accept) => {
                let new = accept.accepted.clone().unwrap_or_else(|| {
                    self.nameless += 1;
                    format!("nameless.{}", self.nameless)
                });
                self.sockets.insert(new.clone(), entry.clone());
                Call::Accept {
                    sock,
                    new,
                    uid: None,
                    wait_ms: None,
                }
            }
            scenario::Step::Send(transfer) => Call::Send {
                sock,
                len: transfer.len,
                wait_ms: None,
            },
            scenario::Step::Recv(transfer) => Call::Recv {
                sock,
                len: transfer.len,
                wait_ms: None,
            },
            scenario::Step::Shutdown(shutdown) => Call::Shutdown {
                sock,
                how: shutdown.how,
            },
            scenario::Step::Disconnect(_) => Call::Disconnect { sock },
            scenario::Step::Close(_) => Call::Close { sock },
            scenario::Step::Getsockname(_) => Call::Getsockname { sock },
            scenario::Step::Getpeername(_) => Call::Getpeername { sock },
            scenario::Step::Socket(_) | scenario::Step::Sysctl(_) | scenario::Step::Sleep(_) => {
                return Ok(());
            }
        };
        let accepted = match &call {
            Call::Accept { new, .. } => Some(new.clone()),
            _ => None,
        };
        let own = self.push(Placed {
            port_of: from.map(|call| call.min(self.out.before + start)),
            ..placed_in(&entry, call)
        });
        if let Some(sock) = accepted {
            // accept() returns the peer's address, not the local one.
            self.push(placed_in(&entry, Call::Getsockname { sock }));
        }
        if let Some(port) = step.port_as() {
            self.ports.insert(port.to_owned(), self.out.before + own);
        }
        self.note(step, &entry, name, start..self.out.placed.len());
        if let scenario::Step::Connect(connect) = step {
            self.accept_at_hosts(&entry.host, &connect.to);
        }
        Ok(())
    }

    /// Accepts the connection that a connect from `host` may have made to a listener of a host. The
    /// listener accepts all its connections, so that its backlog never fills.
    fn accept_at_hosts(&mut self, host: &str, to: &Address) {
        let ip = unmapped(to.ip);
        let own = ip.is_loopback() || ip.is_unspecified();
        let reached = self.case.hosts.iter().position(|(name, of)| match own {
            true => name == host,
            false => of.addresses.contains(&ip),
        });
        let on_port = |port: u16| match &to.port {
            PortRef::Number(number) => *number == port,
            PortRef::Variable(_) => true,
        };
        let mut accepts = Vec::new();
        for one in &self.listeners {
            if Some(one.host) != reached || !on_port(one.port) {
                continue;
            }
            let Some((name, _)) = self.case.hosts.get_index(one.host) else {
                continue;
            };
            let accept = Call::Accept {
                sock: one.sock.clone(),
                new: format!("{}.{}", one.sock, self.out.placed.len() + accepts.len()),
                uid: None,
                wait_ms: None,
            };
            accepts.push(placed(name, accept));
        }
        self.out.placed.extend(accepts);
    }
}

fn placed_in(entry: &SocketEntry, call: Call) -> Placed {
    Placed {
        process: entry.number,
        ..placed(&entry.host, call)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl StepCalls {
    /// Adds the attempt of the step.
    fn attempt(&self, calls: &[Step], no_port: bool, recorder: &mut Recorder) {
        let caller = recorder.caller(self.host.clone(), self.process.clone(), self.socket.clone());
        let slot = recorder.call(
            self.at_ns,
            caller,
            self.step.op().unwrap_or(scenario::Op::Set),
            self.args(calls),
        );
        if no_port {
            return recorder.failed(slot, AttemptAnswer::Foreign("NOPORT".into()), None);
        }
        let options = matches!(
            self.step,
            scenario::Step::Socket(_) | scenario::Step::Set(_)
        );
        let mut answers = calls.iter().filter_map(|step| step.answer.as_ref());
        let own = if options {
            // The first refusal is the result.
            let refused = answers.find(|answer| answer.result != Outcome::Ok);
            match refused {
                Some(answer) => answer,
                None => return recorder.ok(slot, Seen::default()),
            }
        } else {
            match answers.next() {
                Some(answer) => answer,
                None => return,
            }
        };
        match word(own.result) {
            AttemptAnswer::Ok => recorder.ok(slot, self.seen(calls, own)),
            other => recorder.failed(slot, other, None),
        }
    }

    fn seen(&self, calls: &[Step], own: &Answer) -> Seen {
        let mut seen = Seen {
            local: own.local.map(canonical),
            peer: own.peer.map(canonical),
            bytes: None,
        };
        match (&self.step, calls.first().map(|step| &step.call)) {
            (scenario::Step::Connect(_), Some(Call::Connect { to, .. })) => {
                seen.peer = Some(canonical(peer_of(*to, own.local)));
            }
            (scenario::Step::Accept(_), _) => {
                let local = calls.get(1).and_then(|step| step.answer.as_ref()?.local);
                seen.local = local.map(canonical);
            }
            (scenario::Step::Send(_) | scenario::Step::Recv(_), _) => seen.bytes = own.moved,
            _ => {}
        }
        seen
    }

    fn args(&self, calls: &[Step]) -> Args {
        let call = calls.first().map(|step| &step.call);
        match (&self.step, call) {
            (scenario::Step::Socket(socket), _) => Args::Family(socket.family),
            (scenario::Step::Set(set), _) => {
                let names: Vec<&str> = set.options.iter().map(|one| one.name()).collect();
                let values: Vec<String> = set
                    .options
                    .iter()
                    .map(|one| one.value().to_string())
                    .collect();
                Args::Option(names.join(",").into(), values.join(",").into())
            }
            (_, Some(Call::Bind { at, .. })) => Args::At(*at),
            (_, Some(Call::Connect { to, .. })) => Args::To(*to),
            (scenario::Step::Listen(listen), _) => Args::Backlog(listen.backlog),
            (scenario::Step::Accept(accept), _) => accept
                .accepted
                .as_deref()
                .map_or(Args::None, |name| Args::As(name.into())),
            (scenario::Step::Send(transfer) | scenario::Step::Recv(transfer), _) => {
                Args::Len(transfer.len)
            }
            (scenario::Step::Shutdown(shutdown), _) => Args::How(shutdown.how),
            _ => Args::None,
        }
    }
}

/// The peer of a connection to `to`: for the wildcard address that is the socket's own address.
pub(super) fn peer_of(to: SocketAddr, local: Option<SocketAddr>) -> SocketAddr {
    match local {
        Some(local) if to.ip().is_unspecified() => SocketAddr::new(local.ip(), to.port()),
        _ => to,
    }
}

/// The result of an outcome for attempts.
pub(super) fn word(outcome: Outcome) -> AttemptAnswer {
    match outcome {
        Outcome::Ok => AttemptAnswer::Ok,
        Outcome::Waiting => AttemptAnswer::Waiting,
        Outcome::NoSock => AttemptAnswer::Foreign("EBADF".into()),
        Outcome::Errno(errno) => AttemptAnswer::Errno(errno),
    }
}

impl From<bool> for OptionValue {
    fn from(on: bool) -> OptionValue {
        OptionValue::Bool(on)
    }
}
