//! The declarative form: the interpreter that all engines share, on the answers of a kernel.
//!
//! A guest interprets the processes itself, because its clock runs on between two calls. It sends
//! the records of its calls in order, and the same interpreter runs on them here.

use super::{Answered, Answers, settable};
use crate::plan::Builder;
use crate::program::{Answer, Call, Step};
use crate::wire::*;
use fourtuple_harness::{EngineError, Recording, compile};
use fourtuple_kernel::Refusal;
use fourtuple_program::{
    Accepted, CallId, CallLog, Caller, Clock, HostId, Interpreter, Nanos, NewSocket, Plan,
    RealClock, Role, SocketApi, codec, run_blocking,
};
use fourtuple_scenario as scenario;
use fourtuple_scenario::Case;
use fourtuple_syscall::{Errno, Outcome, Returned, Syscall};
use indexmap::IndexMap;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

/// Processes to be run.
#[derive(Clone, Debug)]
pub(super) struct Processes {
    case: Case,
    plan: Arc<Plan>,
    standing: Vec<Standing>,
    wait_ms: u32,
}

/// A listener that is there from the start.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) host: usize,
    pub(super) sock: String,
    pub(super) port: u16,
}

impl Processes {
    pub(super) fn of(
        case: &Case,
        processes: &IndexMap<String, scenario::Process>,
        standing: Vec<Standing>,
        wait_ms: u32,
    ) -> Result<Processes, EngineError> {
        let (mut instances, mut connections, mut listeners) = (0u64, 0u64, 0u64);
        for process in processes.values() {
            instances += u64::from(process.count);
            connections += process.total_connections();
            listeners += u64::from(process.count) * process.listen.len() as u64;
            for option in process.options.iter() {
                settable(option, case.hosts.len())?;
            }
        }
        let most = MAX_CONNECTIONS as u64;
        if instances > most || connections > most || listeners > MAX_LISTENERS as u64 {
            return Err(EngineError::new(format!(
                "it has more than {most} connections or {MAX_LISTENERS} listeners"
            )));
        }
        if processes.len() > MAX_PROCESSES {
            return Err(EngineError::new(format!(
                "it has more than {MAX_PROCESSES} processes"
            )));
        }
        Ok(Processes {
            case: case.clone(),
            plan: Arc::new(compile::plan(case)?),
            standing,
            wait_ms,
        })
    }

    /// Adds the operation that runs them.
    pub(super) fn plan(&self, builder: &mut Builder) -> Result<(), String> {
        let mut o = Vec::new();
        let first = builder.slots();
        if first + MAX_LISTENERS + 2 * MAX_CONNECTIONS > MAX_SOCKETS {
            return Err("it has too many listeners".into());
        }
        o.extend((first as u16).to_le_bytes());
        o.extend(self.wait_ms.to_le_bytes());
        o.extend((self.standing.len() as u16).to_le_bytes());
        for standing in &self.standing {
            let host = standing.host as u8;
            o.push(host);
            o.extend(builder.slot(&standing.sock, host)?.to_le_bytes());
            o.extend(standing.port.to_le_bytes());
        }
        for process in self.plan.processes() {
            builder.user(process.uid)?;
        }
        codec::encode(self.plan.processes(), &mut o).map_err(|_| "a list is too long")?;
        builder.op(OP_PLAY, 0, 0, &o).map(|_| ())
    }

    /// Runs the processes on the answers to their calls.
    pub(super) fn answered<A: Answers>(
        &self,
        by: &mut A,
        to: &mut Answered,
    ) -> Result<(), A::Error> {
        let made = RefCell::default();
        let mut kernel = Kernel {
            of: self,
            by,
            failed: None,
            sockets: Vec::new(),
            accepted: 0,
            clock: RealClock::default(),
            made: &made,
        };
        let mut log = Log {
            recording: Recording::new(&self.case, &self.plan),
            made: &made,
        };
        let mut interpreter = Interpreter::new(&self.plan);
        for Standing { host, sock, port } in &self.standing {
            let listener = kernel.named(*host, sock.clone());
            interpreter.add_listener(HostId(*host as u32), *port, listener);
        }
        run_blocking(&self.plan, &mut interpreter, &mut kernel, &mut log);
        if let Some(failed) = kernel.failed {
            return Err(failed);
        }
        to.attempts = log.recording.finish();
        for Made { step, owner } in made.into_inner() {
            to.keep(step, owner);
        }
        Ok(())
    }
}

/// A call that was made.
struct Made {
    step: Step,
    /// The attempt that it is, counted from 1; 0 for none.
    owner: u32,
}

/// A socket, by its place among all.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Socket(usize);

/// A kernel whose answers come from elsewhere.
struct Kernel<'a, A: Answers> {
    of: &'a Processes,
    by: &'a mut A,
    /// The reason why there are no more answers.
    failed: Option<A::Error>,
    /// The host and the name of each socket.
    sockets: Vec<(usize, String)>,
    accepted: usize,
    clock: RealClock,
    made: &'a RefCell<Vec<Made>>,
}

impl<A: Answers> Kernel<'_, A> {
    fn named(&mut self, host: usize, name: String) -> Socket {
        self.sockets.push((host, name));
        Socket(self.sockets.len() - 1)
    }

    /// Makes a call on a host. Without an answer nothing that follows shows.
    fn ask(&mut self, host: usize, call: impl Into<Call>) -> (Step, Outcome) {
        let name = self.of.case.hosts.get_index(host);
        let mut step = Step {
            host: name.map(|(name, _)| name.clone()),
            ..Step::new(call)
        };
        let connects = matches!(step.call, Call::Sys(Syscall::Connect { .. }));
        step.wait_ms = connects.then_some(self.of.wait_ms);
        let answer = match self.failed {
            Some(_) => None,
            None => match self.by.answer(&step) {
                Ok(answer) => Some(answer),
                Err(failed) => {
                    self.failed = Some(failed);
                    None
                }
            },
        };
        let answer = answer.unwrap_or(Answer {
            at_us: 0,
            outcome: Outcome::Err(Errno::EIO),
        });
        match connects {
            true => self.clock.connected(answer.at_us),
            false => self.clock.returned(answer.at_us),
        }
        step.answer = Some(answer);
        let outcome = match answer.outcome {
            Outcome::Ok(returned) => Outcome::Ok(returned.canonical()),
            failed => failed,
        };
        (step, outcome)
    }

    /// Makes a call of the scenario.
    fn make(&mut self, host: usize, call: impl Into<Call>) -> Outcome {
        let (step, outcome) = self.ask(host, call);
        self.keep(step);
        outcome
    }

    fn keep(&self, step: Step) {
        self.made.borrow_mut().push(Made { step, owner: 0 });
    }

    fn connect(&mut self, socket: Socket, to: SocketAddr) -> Outcome {
        let (host, sock) = self.sockets[socket.0].clone();
        let call = Syscall::Connect {
            sock: sock.clone(),
            addr: to,
        };
        let outcome = self.make(host, call);
        let Outcome::Ok(returned) = outcome else {
            return outcome;
        };
        let peer = match self.ask(host, Syscall::Getpeername { sock }).1 {
            Outcome::Ok(returned) => returned.peer,
            _ => None,
        };
        Outcome::Ok(Returned { peer, ..returned })
    }
}

impl<A: Answers> SocketApi for Kernel<'_, A> {
    type Socket = Socket;
    type Reason = Refusal;

    fn socket(&mut self, new: &NewSocket) -> Result<Socket, Outcome> {
        let Caller::Instance {
            process,
            instance,
            socket,
        } = new.by
        else {
            return Err(Outcome::Unsupported("only processes make sockets"));
        };
        let number = self.of.plan.process(process).number_of(instance, socket);
        let all = self.of.case.program.processes();
        let name = all.and_then(|all| all.get_index(process.0 as usize));
        let sock = format!("{}.{number}", name.map_or("", |(name, _)| name.as_str()));
        let host = new.at.0 as usize;
        let call = Syscall::Socket {
            sock: sock.clone(),
            family: new.family,
            kind: new.kind,
            uid: new.uid,
            nonblock: matches!(socket, Role::Listener(_)),
        };
        match self.make(host, call) {
            Outcome::Ok(_) => Ok(self.named(host, sock)),
            failed => Err(failed),
        }
    }

    fn call(&mut self, socket: Socket, call: &Syscall<()>) -> Poll<Outcome> {
        let (host, sock) = self.sockets[socket.0].clone();
        Poll::Ready(match *call {
            Syscall::Connect { addr, .. } => self.connect(socket, addr),
            call => self.make(host, call.map(|()| sock.clone())),
        })
    }

    fn poll_connect(&mut self, _: Socket) -> Poll<Outcome> {
        // A connect blocks until it is answered, or its time is up.
        Poll::Pending
    }

    fn accept(&mut self, listener: Socket) -> Result<Accepted<Socket>, Outcome> {
        let (host, sock) = self.sockets[listener.0].clone();
        let new = format!("accepted.{}", self.accepted + 1);
        let call = Syscall::Accept {
            sock,
            new: new.clone(),
            uid: None,
        };
        let (step, outcome) = self.ask(host, call);
        let Outcome::Ok(accepted) = outcome else {
            return Err(outcome);
        };
        self.accepted += 1;
        self.keep(step);
        let socket = self.named(host, new.clone());
        let local = match self.ask(host, Syscall::Getsockname { sock: new }).1 {
            Outcome::Ok(returned) => returned.local,
            _ => None,
        };
        Ok(Accepted {
            socket,
            local: local.unwrap_or(SocketAddr::from(([0; 4], 0))),
            peer: accepted.peer,
        })
    }

    fn sysctl(&mut self, _: HostId, _: &str, _: &str) {}
}

impl<A: Answers> Clock for Kernel<'_, A> {
    fn now(&self) -> Nanos {
        self.clock.now()
    }

    fn next_event(&mut self) -> Option<Nanos> {
        None
    }

    fn advance(&mut self, to: Nanos) {
        let passes = to.saturating_sub(self.clock.now()).div_ceil(1_000_000);
        self.clock.advance(to);
        let ms = u32::try_from(passes).unwrap_or(u32::MAX);
        self.make(0, Call::Sleep { ms });
    }
}

/// The attempts, which are the owners of calls.
struct Log<'a> {
    recording: Recording,
    made: &'a RefCell<Vec<Made>>,
}

impl Log<'_> {
    /// The last call is this attempt.
    fn own(&self, attempt: usize) {
        if let Some(last) = self.made.borrow_mut().last_mut() {
            last.owner = u32::try_from(attempt).unwrap_or(u32::MAX);
        }
    }
}

impl CallLog<Refusal> for Log<'_> {
    fn done(
        &mut self,
        at: Nanos,
        caller: Caller,
        call: &Syscall<()>,
        outcome: &Outcome,
        reason: Option<Refusal>,
    ) {
        let before = self.recording.attempts();
        self.recording.done(at, caller, call, outcome, reason);
        if self.recording.attempts() > before {
            self.own(self.recording.attempts());
        }
    }

    fn begin(&mut self, at: Nanos, caller: Caller, call: &Syscall<()>) -> CallId {
        self.recording.begin(at, caller, call)
    }

    /// Connects block, so that the last attempt is the one that ends.
    fn end(&mut self, at: Nanos, id: CallId, outcome: &Outcome, reason: Option<Refusal>) {
        self.recording.end(at, id, outcome, reason);
        self.own(self.recording.attempts());
    }
}
