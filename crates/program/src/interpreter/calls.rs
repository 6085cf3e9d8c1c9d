//! The calls that an instance makes: listeners, and one connection after the other.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::Poll;

use fourtuple_syscall::{Errno, Family, Kind, Outcome, Returned, Syscall};

use super::{
    Calling, Ending, Execution, Instance, InstanceState, Listener, Move, Opened, Served, Server,
};
use crate::api::at_once;
use crate::{CallLog, Caller, HostId, NewSocket, Process, ProcessId, Role, SocketApi, Target};

impl<S, A, L> Execution<'_, S, A, L>
where
    S: Copy + Eq,
    A: SocketApi<Socket = S>,
    L: CallLog<A::Reason>,
{
    /// Logs a call that has returned.
    fn note(&mut self, caller: Caller, call: &Syscall<()>, outcome: &Outcome) {
        let reason = if outcome.is_ok() {
            None
        } else {
            self.api.reason()
        };
        self.log.done(self.it.now(), caller, call, outcome, reason);
    }

    /// Makes a call that returns at once.
    pub(super) fn call(&mut self, caller: Caller, socket: S, call: &Syscall<()>) -> Outcome {
        let outcome = at_once(self.api.call(socket, call));
        self.note(caller, call, &outcome);
        outcome
    }

    pub(super) fn close(&mut self, caller: Caller, socket: S) {
        self.api.close(socket);
        self.note(caller, &Syscall::Close { sock: () }, &Outcome::OK);
    }

    /// A new socket with the process's options. An option that the kernel refuses does not stop the
    /// program.
    fn socket(&mut self, caller: Caller, process: &Process, family: Family) -> Option<S> {
        let (kind, uid) = (process.kind, process.uid);
        let made = self.api.socket(&NewSocket {
            at: process.host,
            by: caller,
            family,
            kind,
            uid,
            listens: matches!(
                caller,
                Caller::Instance {
                    socket: Role::Listener(_),
                    ..
                }
            ),
        });
        let call = Syscall::Socket {
            sock: (),
            family,
            kind,
            uid,
            nonblock: false,
        };
        let outcome = made.err().unwrap_or(Outcome::OK);
        self.note(caller, &call, &outcome);
        let socket = made.ok()?;
        for &option in &process.options {
            self.call(caller, socket, &Syscall::Set { sock: (), option });
        }
        Some(socket)
    }

    /// The next call of an instance.
    pub(super) fn go(&mut self, n: u32) {
        let stage = self.it.instances[n as usize].stage;
        let process = self.plan.process(self.it.instances[n as usize].process);
        match stage {
            InstanceState::Open(listener) if (listener as usize) < process.listen.len() => {
                self.open(n, process, listener);
            }
            InstanceState::Listen(listener, socket) => self.listen(n, process, listener, socket),
            InstanceState::Connect(socket, to) => self.connect(n, socket, to),
            InstanceState::Open(0) if process.inherit.is_some() => self.inherit(n, process),
            InstanceState::Open(_) if process.per_round() == 0 => self.it.go_on(self.plan, n),
            InstanceState::Open(_) | InstanceState::Next => self.begin_connection(n, process),
            InstanceState::Held
            | InstanceState::Calling(_)
            | InstanceState::Draining
            | InstanceState::Done => {}
        }
    }

    /// Makes and binds a listener.
    fn open(&mut self, n: u32, process: &Process, listener: u32) {
        let addr = process.listen[listener as usize];
        let caller = self.it.caller(n, Role::Listener(listener));
        let mut next = InstanceState::Open(listener + 1);
        if let Some(socket) = self.socket(caller, process, Family::for_ends(Some(addr), None)) {
            let bind = Syscall::Bind { sock: (), addr };
            let outcome = self.call(caller, socket, &bind);
            if outcome.is_ok() {
                next = InstanceState::Listen(listener, socket);
            } else {
                self.close(caller, socket);
                return self.failed(n, &outcome, next);
            }
        }
        self.it.instances[n as usize].stage = next;
        self.it.go_on(self.plan, n);
    }

    fn listen(&mut self, n: u32, process: &Process, listener: u32, socket: S) {
        let caller = self.it.caller(n, Role::Listener(listener));
        let call = Syscall::Listen {
            sock: (),
            backlog: process.backlog,
        };
        let outcome = self.call(caller, socket, &call);
        let next = InstanceState::Open(listener + 1);
        let Outcome::Ok(returned) = outcome else {
            self.close(caller, socket);
            return self.failed(n, &outcome, next);
        };
        let written = process.listen[listener as usize].port();
        let port = returned.local.map_or(written, |local| local.port());
        self.opened(n, process, caller, (port, socket));
        self.it.instances[n as usize].stage = next;
        self.it.go_on(self.plan, n);
    }

    /// A call of an instance has failed, which ends it or is followed by the next stage.
    fn failed(&mut self, n: u32, failure: &Outcome, next: InstanceState<S>) {
        let instance = &mut self.it.instances[n as usize];
        if self.plan.process(instance.process).stop_on_failure || self.api.is_fatal(failure) {
            return self.it.finished(self.plan, n);
        }
        instance.stage = next;
        self.it.go_on(self.plan, n);
    }

    fn opened(&mut self, n: u32, process: &Process, caller: Caller, (port, socket): (u16, S)) {
        let number = u32::try_from(self.it.opened.len()).unwrap_or(u32::MAX);
        let at = (process.host, port);
        let of = Some((caller, number));
        let listeners = self.it.listeners.entry(at).or_default();
        listeners.push(Listener { socket, of });
        self.it.opened.push(Opened {
            instance: n,
            caller,
            socket,
            at,
            accepted: alloc::vec::Vec::new(),
            shared_by: 0,
        });
        self.share(n, process, number);
    }

    /// An instance starts with the listeners of the process that it inherits from, those that are
    /// still open.
    fn inherit(&mut self, n: u32, process: &Process) {
        for number in 0..self.it.opened.len() {
            let opened = &self.it.opened[number];
            let of = self.it.instances[opened.instance as usize].process;
            if process.inherit == Some(of) && opened.shared_by > 0 {
                self.share(n, process, number as u32);
            }
        }
        self.it.go_on(self.plan, n);
    }

    /// An instance has a listener, which it closes when its time is over.
    fn share(&mut self, n: u32, process: &Process, opened: u32) {
        self.it.opened[opened as usize].shared_by += 1;
        let Some(time) = process.listen_for else {
            return;
        };
        if process.per_round() == 0 {
            self.it.instances[n as usize].open += 1;
        }
        let ending = u32::try_from(self.it.endings.len()).unwrap_or(u32::MAX);
        self.it.endings.push(Ending {
            opened,
            instance: n,
        });
        let at = self.it.now().saturating_add(time);
        self.it.queue.push(at, Move::CloseListener(ending));
    }

    /// Begins the next connection of an instance: up to its first call that others may notice.
    fn begin_connection(&mut self, n: u32, process: &Process) {
        let now = self.it.now();
        let instance = &mut self.it.instances[n as usize];
        let (index, connection) = (instance.index, instance.connection);
        instance.connection += 1;
        instance.last = now;
        instance.stage = InstanceState::Next;
        let at = process.bind_of(index, connection);
        let to = process.connect_of(index, connection);
        let family = Family::for_ends(at, to.map(|to| to.addr));
        let at = at.map(|at| family.map(at));
        let to = to.map(|to| Target {
            addr: family.map(to.addr),
            ..to
        });
        let role = self.it.role_of(self.plan, n, connection);
        let caller = self.it.caller(n, role);
        let Some(socket) = self.socket(caller, process, family) else {
            return self.it.go_on(self.plan, n);
        };
        if let Some(addr) = at {
            let bind = Syscall::Bind { sock: (), addr };
            let outcome = self.call(caller, socket, &bind);
            // Without a call that the engine does not have, the program goes on.
            if !matches!(outcome, Outcome::Ok(_) | Outcome::Unsupported(_)) {
                self.close(caller, socket);
                return self.failed(n, &outcome, InstanceState::Next);
            }
        }
        match to {
            None => self.hold(n, role, socket, Server::None),
            Some(to) if at.is_none() => return self.connect(n, socket, to),
            Some(to) => self.it.instances[n as usize].stage = InstanceState::Connect(socket, to),
        }
        self.it.go_on(self.plan, n);
    }

    fn role(&self, n: u32) -> Role {
        let begun = self.it.instances[n as usize].connection;
        self.it.role_of(self.plan, n, begun.saturating_sub(1))
    }

    fn connect(&mut self, n: u32, socket: S, to: Target) {
        let caller = self.it.caller(n, self.role(n));
        let call = Syscall::Connect {
            sock: (),
            addr: to.addr,
        };
        let id = self.log.begin(self.it.now(), caller, &call);
        let outcome = self.api.call(socket, &call);
        let instance = &mut self.it.instances[n as usize];
        instance.stage = InstanceState::Calling(socket);
        instance.calling = Some(Calling {
            call: id,
            to,
            answer: None,
            accepted: None,
        });
        match outcome {
            Poll::Ready(outcome) => self.answer(n, outcome),
            Poll::Pending => self.it.called = Some(n),
        }
    }

    /// The last connect is one of those that wait.
    pub(super) fn keep_called(&mut self) {
        let called = self.it.called.take();
        self.it.calling.extend(called);
    }

    pub(super) fn settled(&mut self) {
        let before = core::mem::take(&mut self.it.calling);
        self.keep_called();
        self.poll(|_| true);
        let waits = core::mem::replace(&mut self.it.calling, before);
        self.it.calling.extend(waits);
    }

    /// Asks for the answers of the instances that pass.
    pub(super) fn poll(&mut self, passes: impl Fn(ProcessId) -> bool) -> bool {
        self.keep_called();
        let calling = core::mem::take(&mut self.it.calling);
        let before = calling.len();
        for n in calling {
            if !passes(self.it.instances[n as usize].process) {
                self.it.calling.push(n);
                continue;
            }
            let InstanceState::Calling(socket) = self.it.instances[n as usize].stage else {
                continue;
            };
            match self.api.poll_connect(socket) {
                Poll::Pending => self.it.calling.push(n),
                Poll::Ready(outcome) => self.answer(n, outcome),
            }
        }
        self.it.calling.len() < before
    }

    /// A connect has been answered: the server accepts, and the instance sees the answer when its
    /// turn comes.
    fn answer(&mut self, n: u32, outcome: Outcome) {
        let Some(Calling { call, to, .. }) = self.it.instances[n as usize].calling else {
            return;
        };
        let reason = if outcome.is_ok() {
            None
        } else {
            self.api.reason()
        };
        self.log.end(self.it.now(), call, &outcome, reason);
        let process = self.plan.process(self.it.instances[n as usize].process);
        let mut accepted = None;
        if let Outcome::Ok(returned) = outcome
            && process.kind == Kind::Stream
            && !self.it.accepts_on_arrival
        {
            accepted = self.accept_one(to, &returned);
        }
        if let Some(calling) = &mut self.it.instances[n as usize].calling {
            calling.answer = Some(outcome);
            calling.accepted = accepted;
        }
        self.it.queue.push(self.it.now(), Move::Answered(n));
    }

    /// The listeners that a connection reaches accept. Answers with its socket there.
    fn accept_one(&mut self, to: Target, returned: &Returned) -> Option<u32> {
        let ends = served_ends(returned);
        if let Some(host) = to.host {
            return self.accept_all((host, to.addr.port()), ends);
        }
        // A NAT host has translated the destination.
        let (reached, _) = ends?;
        let hosts: Vec<HostId> = self
            .it
            .listeners
            .keys()
            .filter(|(_, port)| *port == reached.port())
            .map(|(host, _)| *host)
            .collect();
        let accepted = hosts
            .into_iter()
            .filter_map(|host| self.accept_all((host, reached.port()), ends));
        accepted.last()
    }

    /// Listeners accept everything at once. Answers with the socket that has these ends, if it is
    /// among them.
    pub(super) fn accept_all(
        &mut self,
        at: (HostId, u16),
        ends: Option<(SocketAddr, SocketAddr)>,
    ) -> Option<u32> {
        let listeners = self.it.listeners.get(&at)?.len();
        let mut found = None;
        for place in 0..listeners {
            let Listener { socket, of } = self.it.listeners[&at][place];
            let caller = of.map_or(Caller::Server, |(caller, _)| caller);
            loop {
                let child = match self.api.accept(socket) {
                    Ok(child) => child,
                    // That one has been reset already; others may wait behind it.
                    Err(Outcome::Err(Errno::ECONNABORTED)) => continue,
                    Err(_) => break,
                };
                let call = Syscall::Accept {
                    sock: (),
                    new: (),
                    uid: Some(0),
                };
                self.note(caller, &call, &Outcome::OK);
                if !self.plan.closes() {
                    continue;
                }
                let number = u32::try_from(self.it.accepted.len()).unwrap_or(u32::MAX);
                self.it.accepted.push(Some(Served {
                    socket: child.socket,
                    of: of.map(|(_, opened)| opened),
                }));
                if let Some((_, opened)) = of {
                    self.it.opened[opened as usize].accepted.push(number);
                }
                let Some(peer) = child.peer else { continue };
                if ends == Some((child.local, peer)) {
                    found = Some(number);
                } else {
                    self.it.unclaimed.insert((child.local, peer), number);
                }
            }
        }
        found
    }

    pub(super) fn answered(&mut self, n: u32) {
        let Instance {
            calling: Some(calling),
            stage: InstanceState::Calling(socket),
            ..
        } = self.it.instances[n as usize]
        else {
            return;
        };
        let role = self.role(n);
        let instance = &mut self.it.instances[n as usize];
        instance.calling = None;
        instance.stage = InstanceState::Next;
        match calling.answer {
            Some(Outcome::Ok(returned)) => {
                let process = self.plan.process(self.it.instances[n as usize].process);
                let server = match (calling.accepted, served_ends(&returned)) {
                    _ if process.kind == Kind::Datagram => Server::None,
                    (Some(number), _) => Server::Known(number),
                    (None, Some((peer, local))) => Server::At(peer, local),
                    (None, None) => Server::None,
                };
                self.hold(n, role, socket, server);
            }
            Some(failure) => {
                self.close(self.it.caller(n, role), socket);
                return self.failed(n, &failure, InstanceState::Next);
            }
            None => self.close(self.it.caller(n, role), socket),
        }
        self.it.go_on(self.plan, n);
    }
}

/// The two ends of a connection as the socket that accepted it has them: its own, and the client's.
fn served_ends(returned: &Returned) -> Option<(SocketAddr, SocketAddr)> {
    match returned.translated {
        Some((from, to)) => Some((to, from)),
        None => returned.peer.zip(returned.local),
    }
}
