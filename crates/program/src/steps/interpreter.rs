//! The interpreter of the step form.

use alloc::collections::BTreeMap;
use core::net::SocketAddr;
use core::task::Poll;

use fourtuple_syscall::{Errno, Outcome, Returned, SockOpt, Syscall};

use super::{PortName, SockName, Step, StepPlan};
use crate::{CallId, CallLog, Caller, Clock, HostId, Nanos, NewSocket, SocketApi};

/// The longest time for which one `connect` blocks. Kernels give up after two minutes or less.
const PATIENCE: Nanos = 300_000_000_000;

/// The outcome of a call whose port was to come from a call that failed. It is not made.
const NO_PORT: Outcome = Outcome::Unsupported("NOPORT");

/// The outcome of a call on a socket that was closed or never made.
const NO_SOCKET: Outcome = Outcome::Err(Errno::EBADF);

/// The state after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The step is over.
    Over,
    /// The step is over when this time has passed.
    Sleep(Nanos),
    /// A connect has no answer yet, and waits for it until this time: the present if its socket
    /// does not block.
    Connecting(Nanos),
    /// There are no more steps.
    End,
}

/// Steps that are being made, one after the other.
#[derive(Clone, Debug)]
pub struct StepInterpreter<S> {
    next: usize,
    sockets: BTreeMap<SockName, Open<S>>,
    ports: BTreeMap<PortName, u16>,
    connecting: Option<Connecting<S>>,
}

#[derive(Clone, Copy, Debug)]
struct Open<S> {
    socket: S,
    host: HostId,
    nonblock: bool,
}

/// A connect that was called and not answered.
#[derive(Clone, Copy, Debug)]
struct Connecting<S> {
    open: Open<S>,
    call: CallId,
    port_as: Option<PortName>,
}

impl<S: Copy + Eq> Default for StepInterpreter<S> {
    fn default() -> Self {
        StepInterpreter {
            next: 0,
            sockets: BTreeMap::new(),
            ports: BTreeMap::new(),
            connecting: None,
        }
    }
}

impl<S: Copy + Eq> StepInterpreter<S> {
    /// Before the first step.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The host whose program makes the next step; none if the step makes no call, or its socket is
    /// not there.
    #[must_use]
    pub fn host(&self, plan: &StepPlan) -> Option<HostId> {
        let sock = match plan.steps().get(self.next)? {
            Step::Socket { host, .. } => return Some(*host),
            Step::Set { sock, .. } => sock,
            Step::Call { call, .. } => call.sock(),
            Step::Sleep(_) | Step::Sysctl { .. } => return None,
        };
        self.sockets.get(sock).map(|open| open.host)
    }

    /// Makes the next step.
    pub fn step<A, L>(&mut self, plan: &StepPlan, now: Nanos, api: &mut A, log: &mut L) -> Progress
    where
        A: SocketApi<Socket = S>,
        L: CallLog<A::Reason>,
    {
        let Some(step) = plan.steps().get(self.next) else {
            return Progress::End;
        };
        let caller = Caller::Step(u32::try_from(self.next).unwrap_or(u32::MAX));
        self.next += 1;
        match step {
            Step::Sleep(time) => return Progress::Sleep(*time),
            Step::Sysctl { host, settings } => {
                for (key, value) in settings {
                    api.sysctl(*host, key, value);
                }
            }
            Step::Socket { implicit, .. } => {
                let call = self.socket(step, caller, api);
                if let Some((call, outcome)) = call.filter(|_| !implicit) {
                    let id = log.begin(now, caller, &call);
                    log.end(now, id, &outcome, failure(api, &outcome));
                }
            }
            Step::Set { sock, options } => {
                let Some(first) = options.first() else {
                    return Progress::Over;
                };
                let call = Syscall::Set {
                    sock: (),
                    option: *first,
                };
                let id = log.begin(now, caller, &call);
                let outcome = match self.sockets.get(sock) {
                    None => NO_SOCKET,
                    Some(open) => set(api, open.socket, options),
                };
                log.end(now, id, &outcome, failure(api, &outcome));
            }
            Step::Call {
                call,
                port,
                port_as,
            } => return self.call((*call, *port, *port_as), (now, caller), api, log),
        }
        Progress::Over
    }

    /// Makes a socket. Answers with the call and its outcome.
    fn socket<A: SocketApi<Socket = S>>(
        &mut self,
        step: &Step,
        by: Caller,
        api: &mut A,
    ) -> Option<(Syscall<()>, Outcome)> {
        let Step::Socket {
            sock,
            host,
            family,
            kind,
            uid,
            nonblock,
            listens,
            options,
            ..
        } = step
        else {
            return None;
        };
        self.sockets.remove(sock);
        let new = NewSocket {
            at: *host,
            by,
            family: *family,
            kind: *kind,
            uid: *uid,
            listens: *listens,
        };
        let outcome = match api.socket(&new) {
            Err(outcome) => outcome,
            Ok(socket) => {
                let open = Open {
                    socket,
                    host: *host,
                    nonblock: *nonblock,
                };
                self.sockets.insert(*sock, open);
                match set(api, socket, options) {
                    // The socket is there: an engine without the option says so itself.
                    Outcome::Unsupported(_) => Outcome::OK,
                    outcome => outcome,
                }
            }
        };
        let call = Syscall::Socket {
            sock: (),
            family: *family,
            kind: *kind,
            uid: *uid,
            nonblock: *nonblock,
        };
        Some((call, outcome))
    }

    fn call<A, L>(
        &mut self,
        (call, port, port_as): (Syscall<SockName>, Option<PortName>, Option<PortName>),
        (now, caller): (Nanos, Caller),
        api: &mut A,
        log: &mut L,
    ) -> Progress
    where
        A: SocketApi<Socket = S>,
        L: CallLog<A::Reason>,
    {
        let known = port.map(|name| self.ports.get(&name).copied());
        let passed = at_port(call.map(|_| ()), known.map(Option::unwrap_or_default));
        let id = log.begin(now, caller, &passed);
        let name = *call.sock();
        let open = self.sockets.get(&name).copied();
        let outcome = match (known, open) {
            (Some(None), _) => NO_PORT,
            (_, None) => NO_SOCKET,
            (_, Some(open)) => match self.perform(&call, &passed, open, api) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => {
                    self.connecting = Some(Connecting {
                        open,
                        call: id,
                        port_as,
                    });
                    let waits = if open.nonblock { 0 } else { PATIENCE };
                    return Progress::Connecting(now.saturating_add(waits));
                }
            },
        };
        if let Outcome::Ok(returned) = outcome {
            let own = !matches!(call, Syscall::Getpeername { .. } | Syscall::RecvFrom { .. });
            self.keep_port(port_as, if own { returned.local } else { returned.peer });
        }
        log.end(now, id, &outcome, failure(api, &outcome));
        Progress::Over
    }

    fn perform<A: SocketApi<Socket = S>>(
        &mut self,
        call: &Syscall<SockName>,
        passed: &Syscall<()>,
        open: Open<S>,
        api: &mut A,
    ) -> Poll<Outcome> {
        let outcome = match call {
            Syscall::Accept { new, .. } => match api.accept(open.socket) {
                Err(outcome) => outcome,
                Ok(accepted) => {
                    let child = Open {
                        socket: accepted.socket,
                        host: open.host,
                        nonblock: false,
                    };
                    self.sockets.insert(*new, child);
                    Outcome::Ok(Returned {
                        local: Some(accepted.local),
                        peer: accepted.peer,
                        ..Returned::default()
                    })
                }
            },
            Syscall::Close { sock } => {
                self.sockets.remove(sock);
                core::task::ready!(api.call(open.socket, passed))
            }
            _ => core::task::ready!(api.call(open.socket, passed)),
        };
        Poll::Ready(match outcome {
            Outcome::WouldBlock if open.nonblock => Outcome::Err(Errno::EAGAIN),
            outcome => outcome,
        })
    }

    fn keep_port(&mut self, name: Option<PortName>, address: Option<SocketAddr>) {
        if let Some((name, address)) = name.zip(address) {
            self.ports.insert(name, address.port());
        }
    }

    /// Asks for the answer of the connect that waits. `true` if it is over.
    pub fn poll<A, L>(&mut self, now: Nanos, api: &mut A, log: &mut L) -> bool
    where
        A: SocketApi<Socket = S>,
        L: CallLog<A::Reason>,
    {
        let Some(connecting) = self.connecting else {
            return true;
        };
        let Poll::Ready(outcome) = api.poll_connect(connecting.open.socket) else {
            return false;
        };
        self.connecting = None;
        if let Outcome::Ok(returned) = outcome {
            self.keep_port(connecting.port_as, returned.local);
        }
        log.end(now, connecting.call, &outcome, failure(api, &outcome));
        true
    }

    /// The time of the connect that waits is up: its outcome is that it would have to wait longer.
    pub fn give_up<R>(&mut self, now: Nanos, log: &mut impl CallLog<R>) {
        let Some(connecting) = self.connecting.take() else {
            return;
        };
        let outcome = if connecting.open.nonblock {
            Outcome::Err(Errno::EINPROGRESS)
        } else {
            Outcome::WouldBlock
        };
        log.end(now, connecting.call, &outcome, None);
    }
}

/// Makes every step, on an engine that answers at once or in virtual time. `over` is called after
/// each of them.
pub fn run_steps<A, L>(
    plan: &StepPlan,
    engine: &mut A,
    log: &mut L,
    mut over: impl FnMut(&mut A, &L),
) where
    A: SocketApi + Clock,
    L: CallLog<A::Reason>,
{
    let mut interpreter = StepInterpreter::new();
    loop {
        match interpreter.step(plan, engine.now(), engine, log) {
            Progress::Over => {}
            Progress::Sleep(time) => {
                let until = engine.now().saturating_add(time);
                engine.advance(until);
            }
            Progress::Connecting(until) => {
                while !interpreter.poll(engine.now(), engine, log) {
                    match engine.next_event().filter(|next| *next <= until) {
                        Some(next) => engine.advance(next),
                        None => interpreter.give_up(engine.now(), log),
                    }
                }
            }
            Progress::End => return,
        }
        over(engine, log);
    }
}

/// Sets every option. The first failure is the outcome.
fn set<A: SocketApi>(api: &mut A, socket: A::Socket, options: &[SockOpt]) -> Outcome {
    let mut outcome = Outcome::OK;
    for &option in options {
        let set = crate::api::at_once(api.call(socket, &Syscall::Set { sock: (), option }));
        if outcome.is_ok() {
            outcome = set;
        }
    }
    outcome
}

/// The reason of a failure.
fn failure<A: SocketApi>(api: &mut A, outcome: &Outcome) -> Option<A::Reason> {
    matches!(outcome, Outcome::Err(_)).then(|| api.reason())?
}

/// The call with another port in its address.
fn at_port(call: Syscall<()>, port: Option<u16>) -> Syscall<()> {
    let with = |mut addr: SocketAddr| {
        addr.set_port(port.unwrap_or(addr.port()));
        addr
    };
    match call {
        Syscall::Bind { sock, addr } => Syscall::Bind {
            sock,
            addr: with(addr),
        },
        Syscall::Connect { sock, addr } => Syscall::Connect {
            sock,
            addr: with(addr),
        },
        Syscall::SendTo { sock, addr, len } => Syscall::SendTo {
            sock,
            addr: with(addr),
            len,
        },
        other => other,
    }
}
