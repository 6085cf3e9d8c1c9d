//! The calls of an interpreter as attempts of an outcome.

use std::collections::BTreeMap;
use std::sync::Arc;

use fourtuple_kernel::Refusal;
use fourtuple_program::{CallId, CallLog, Caller, Nanos, Plan};
use fourtuple_scenario::{Case, Op, Step};
use fourtuple_syscall::{Outcome, SockOpt, Syscall};

use crate::attempt::{self, Answer, Args, Name, RecordedProcess, SocketId};
use crate::attempts::Attempts;
use crate::recorder::{Recorder, Slot};

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Recording {
    plan: Arc<Plan>,
    recorder: Recorder,
    processes: Vec<Recorded>,
    steps: Vec<Option<RecordedStep>>,
}

/// The part that the attempts of a process share.
#[derive(Clone, Debug)]
struct Recorded {
    who: RecordedProcess,
    /// The arguments of the calls that set its options.
    options: Vec<(SockOpt, Args)>,
}

/// A step that is an attempt.
#[derive(Clone, Debug)]
struct RecordedStep {
    host: Name,
    process: Name,
    socket: Name,
    op: Op,
    /// Its arguments, but for an address.
    args: Args,
}

impl Recording {
    /// Attempts of the processes of a case, whose plan this is.
    #[must_use]
    pub fn new(case: &Case, plan: &Arc<Plan>) -> Self {
        let mut recorder = Recorder::with_capacity(room(plan));
        let processes = case.program.processes().into_iter().flatten();
        let processes = processes.map(|(name, process)| Recorded {
            who: recorder.who(process.on.as_str(), name.as_str()),
            options: process
                .options
                .iter()
                .map(|option| {
                    let value = option.value().to_string();
                    (option, Args::Option(option.name().into(), value.into()))
                })
                .collect(),
        });
        let processes = processes.collect();
        Recording {
            plan: Arc::clone(plan),
            recorder,
            processes,
            steps: Vec::new(),
        }
    }

    /// Attempts of the steps of a case.
    #[must_use]
    pub fn of_steps(case: &Case) -> Self {
        let steps = case.program.steps().unwrap_or_default();
        // A socket keeps its owner when it is closed, for calls that come too late.
        let mut owners: BTreeMap<&str, (Name, Name)> = BTreeMap::new();
        let mut recorded = Vec::with_capacity(steps.len());
        for step in steps {
            let (Some(socket), Some(op)) = (step.socket(), step.op()) else {
                recorded.push(None);
                continue;
            };
            if let Step::Socket(made) = &step.value {
                let owner = (made.on.as_str().into(), made.by.as_str().into());
                owners.insert(socket, owner);
            }
            let owner = owners.get(socket).cloned().unwrap_or_else(|| {
                let host = case.hosts.keys().next().map_or("", String::as_str);
                (host.into(), "main".into())
            });
            if let Step::Accept(accept) = &step.value
                && let Some(child) = &accept.accepted
            {
                owners.insert(child, owner.clone());
            }
            let (host, process) = owner;
            recorded.push(Some(RecordedStep {
                host,
                process,
                socket: socket.into(),
                op,
                args: args(step),
            }));
        }
        Recording {
            plan: Arc::default(),
            recorder: Recorder::with_capacity(steps.len()),
            processes: Vec::new(),
            steps: recorded,
        }
    }

    /// The number of attempts so far.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.recorder.len()
    }

    /// The attempts. What was never answered stays `WAITING`.
    #[must_use]
    pub fn finish(self) -> Attempts {
        self.recorder.finish()
    }

    /// The attempt that a call is; none for calls that outcomes do not show.
    fn slot(&mut self, at: Nanos, caller: Caller, call: &Syscall<()>) -> Option<Slot> {
        let (process, instance, socket) = match caller {
            Caller::Instance {
                process,
                instance,
                socket,
            } => (process, instance, socket),
            Caller::Step(step) => return self.step(at, step, call),
            Caller::Server => return None,
        };
        let recorded = &self.processes[process.0 as usize];
        let (op, args) = match *call {
            Syscall::Socket { family, .. } => (Op::Socket, Args::Family(family)),
            Syscall::Set { option, .. } => {
                let args = recorded.options.iter().find(|(one, _)| *one == option);
                (Op::Set, args?.1.clone())
            }
            Syscall::Bind { addr, .. } => (Op::Bind, Args::At(addr)),
            Syscall::Listen { backlog, .. } => (Op::Listen, Args::Backlog(backlog.unsigned_abs())),
            Syscall::Connect { addr, .. } => (Op::Connect, Args::To(addr)),
            _ => return None,
        };
        let number = self.plan.process(process).number_of(instance, socket);
        let caller = attempt::Caller {
            who: recorded.who,
            instance: instance + 1,
            socket: SocketId::Numbered(number),
        };
        Some(self.recorder.call(at, caller, op, args))
    }

    fn step(&mut self, at: Nanos, step: u32, call: &Syscall<()>) -> Option<Slot> {
        let step = self.steps.get(step as usize)?.as_ref()?;
        let args = match *call {
            Syscall::Bind { addr, .. } => Args::At(addr),
            Syscall::Connect { addr, .. } => Args::To(addr),
            Syscall::SendTo { addr, len, .. } => Args::Sent(addr, len),
            _ => step.args.clone(),
        };
        let (host, process) = (step.host.clone(), step.process.clone());
        let caller = self.recorder.caller(host, process, step.socket.clone());
        Some(self.recorder.call(at, caller, step.op, args))
    }

    fn answer(&mut self, slot: Slot, outcome: &Outcome, reason: Option<Refusal>) {
        match outcome {
            Outcome::Ok(returned) => self.recorder.ok(slot, returned.canonical()),
            failed => self.recorder.failed(slot, answer(failed), reason),
        }
    }
}

impl CallLog<Refusal> for Recording {
    fn done(
        &mut self,
        at: Nanos,
        caller: Caller,
        call: &Syscall<()>,
        outcome: &Outcome,
        reason: Option<Refusal>,
    ) {
        // Making a socket and setting an option only shows where it fails.
        let quiet = matches!(call, Syscall::Socket { .. } | Syscall::Set { .. });
        if quiet && matches!(outcome, Outcome::Ok(_) | Outcome::Unsupported(_)) {
            return;
        }
        if let Some(slot) = self.slot(at, caller, call) {
            self.answer(slot, outcome, reason);
        }
    }

    fn begin(&mut self, at: Nanos, caller: Caller, call: &Syscall<()>) -> CallId {
        let slot = self.slot(at, caller, call);
        CallId(slot.map_or(u32::MAX, |slot| u32::try_from(slot.0).unwrap_or(u32::MAX)))
    }

    fn end(&mut self, at: Nanos, id: CallId, outcome: &Outcome, reason: Option<Refusal>) {
        if id.0 != u32::MAX {
            let slot = Slot(id.0 as usize);
            self.answer(slot, outcome, reason);
            self.recorder.ended(slot, at);
        }
    }
}

/// The arguments of a step, without an address: its port may be a variable.
fn args(step: &Step) -> Args {
    match step {
        Step::Socket(socket) => Args::Family(socket.family),
        Step::Set(set) => {
            let names: Vec<&str> = set.options.iter().map(|one| one.name()).collect();
            let values = set.options.iter().map(|one| one.value().to_string());
            let values: Vec<String> = values.collect();
            Args::Option(names.join(",").into(), values.join(",").into())
        }
        Step::Listen(listen) => Args::Backlog(listen.backlog),
        Step::Accept(accept) => match &accept.accepted {
            Some(name) => Args::As(name.as_str().into()),
            None => Args::None,
        },
        Step::Send(transfer) | Step::Recv(transfer) => Args::Len(transfer.len),
        Step::Recvfrom(transfer) => Args::Len(transfer.len),
        Step::Shutdown(shutdown) => Args::How(shutdown.how),
        _ => Args::None,
    }
}

/// An outcome in the words of attempts.
#[must_use]
pub fn answer(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Ok(_) => Answer::Ok,
        Outcome::Err(errno) => Answer::Errno(*errno),
        Outcome::WouldBlock => Answer::Waiting,
        Outcome::Unsupported(text) => Answer::Foreign((*text).into()),
    }
}

/// The number of calls that the processes make, or the capacity reserved before they are made.
fn room(plan: &Plan) -> usize {
    let of = |one: &fourtuple_program::Process| {
        let calls = 1 + u64::from(!one.bind.is_empty());
        u64::from(one.count) * u64::from(one.connections) * calls
    };
    plan.processes().iter().map(of).sum::<u64>().min(1 << 17) as usize
}
