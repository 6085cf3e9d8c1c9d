//! The declarative form on the kernel model.
//!
//! Everything that happens is a task in a queue ordered by (time, sequence number): first in, first out within one
//! instant. An instance runs its calls until it has to wait. `connect` is such a wait: its port is chosen when it is
//! called, and the instance goes to the back of the queue before it continues. That is what an async executor does,
//! and why instances of a process take turns.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use fourtuple_kernel::{Call, Chooser, Endpoint, Errno, SockOpt, Time, WorldSock};
use fourtuple_scenario::{Close, Hold, Op, Process};
use indexmap::IndexMap;

use super::net::Net;
use crate::attempt::{Answer, Args, Attempt, Name, SocketName};
use crate::call::{self, Numbering};
use crate::engine::Cannot;
use crate::recorder::{Caller, Recorder, Seen, Slot};

/// Backlog of the listeners of processes; they accept at once.
const BACKLOG: u32 = 4096;

/// Runs the processes of a case to their end.
pub(super) fn run<C: Chooser>(
    net: Net<C>,
    processes: &IndexMap<String, Process>,
) -> Result<(Vec<Attempt>, Vec<String>), Cannot> {
    let mut sim = Sim::new(net, processes)?;
    sim.start();
    sim.run();
    Ok((sim.recorder.finish(), sim.net.notes))
}

/// Something to do at a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    /// An instance starts.
    Begin(u32),
    /// An instance makes its next connection.
    Connect(u32),
    /// A connect has been answered, and its instance goes on.
    Answered(u32),
    /// A connection has been held long enough.
    Release(u32),
    /// The client sees that the server closed.
    CloseClient(u32),
    /// The server sees that the client closed.
    CloseServer(u32),
}

struct Program<'a> {
    process: &'a Process,
    name: Name,
    host: usize,
    numbering: Numbering,
    /// Index of the first instance.
    first: u32,
    /// Instances that have attempts to make.
    busy: u32,
    /// Processes to wait for.
    waits_for: usize,
    /// Processes that wait for this one.
    waited_by: Vec<usize>,
}

struct Instance {
    program: usize,
    /// Counted from 0 within the process.
    index: u32,
    round: u32,
    connection: u32,
    /// When its last connection was started.
    last: Time,
    /// Connections of the current round that are not closed yet.
    open: u32,
    /// Whether it waits for them.
    draining: bool,
    calling: Option<Calling>,
}

/// A connect that has not been answered, or whose answer has not been looked at.
struct Calling {
    socket: WorldSock,
    slot: Slot,
    to: Endpoint,
    answer: Option<Result<(), Errno>>,
}

/// A connection, or a bound socket, that is being held.
struct Held {
    instance: u32,
    client: WorldSock,
    /// Local and remote end as the server sees them, to find its socket.
    ends: Option<(Endpoint, Endpoint)>,
}

struct Sim<'a, C: Chooser> {
    net: Net<C>,
    recorder: Recorder,
    programs: Vec<Program<'a>>,
    instances: Vec<Instance>,
    held: Vec<Held>,
    /// Listeners by host and port.
    listeners: BTreeMap<(usize, u16), Vec<WorldSock>>,
    /// Accepted sockets by (local, peer).
    accepted: BTreeMap<(Endpoint, Endpoint), WorldSock>,
    tasks: BinaryHeap<Reverse<(Time, u64, Task)>>,
    sequence: u64,
    /// Instances whose connect has not been answered by the network.
    waiting: Vec<u32>,
}

impl<'a, C: Chooser> Sim<'a, C> {
    fn new(net: Net<C>, processes: &'a IndexMap<String, Process>) -> Result<Self, Cannot> {
        let mut sim = Sim {
            recorder: Recorder::default(),
            programs: Vec::with_capacity(processes.len()),
            instances: Vec::new(),
            held: Vec::new(),
            listeners: BTreeMap::new(),
            accepted: BTreeMap::new(),
            tasks: BinaryHeap::new(),
            sequence: 0,
            waiting: Vec::new(),
            net,
        };
        for (host, socket, port) in &sim.net.listeners {
            sim.listeners
                .entry((*host, *port))
                .or_default()
                .push(*socket);
        }
        for (name, process) in processes {
            let first = u32::try_from(sim.instances.len()).unwrap_or(u32::MAX);
            let program = sim.programs.len();
            sim.instances
                .extend((0..process.count).map(|index| Instance {
                    program,
                    index,
                    round: 0,
                    connection: 0,
                    last: Time::ZERO,
                    open: 0,
                    draining: false,
                    calling: None,
                }));
            sim.programs.push(Program {
                host: sim.net.host(&process.on)?,
                name: name.as_str().into(),
                numbering: Numbering::of(process),
                first,
                busy: process.count,
                waits_for: process.after.len(),
                waited_by: Vec::new(),
                process,
            });
        }
        for (waiter, process) in processes.values().enumerate() {
            for name in &process.after {
                let awaited = processes.get_index_of(name.as_str());
                let awaited =
                    awaited.ok_or_else(|| Cannot::new(format!("no process is called {name}")))?;
                sim.programs[awaited].waited_by.push(waiter);
            }
        }
        Ok(sim)
    }

    fn start(&mut self) {
        for program in 0..self.programs.len() {
            let Program {
                process, waits_for, ..
            } = &self.programs[program];
            if *waits_for == 0 {
                let at = self.net.world.now() + process.start;
                self.begin(program, at);
            }
        }
    }

    fn begin(&mut self, program: usize, at: Time) {
        let Program { first, process, .. } = &self.programs[program];
        for instance in *first..first + process.count {
            self.push(at, Task::Begin(instance));
        }
    }

    fn push(&mut self, at: Time, task: Task) {
        self.sequence += 1;
        self.tasks.push(Reverse((at, self.sequence, task)));
    }

    fn soon(&mut self, task: Task) {
        self.push(self.net.world.now(), task);
    }

    fn run(&mut self) {
        loop {
            let now = self.net.world.now();
            let next = self.tasks.peek().map(|Reverse((at, _, _))| *at);
            if next != Some(now) && self.poll() {
                continue;
            }
            // Kernel timers only matter ahead of the next task, or to those who wait for the network.
            let timer = if self.waiting.is_empty() {
                None
            } else {
                self.net.world.next_event()
            };
            match (next, timer) {
                (Some(at), timer) if timer.is_none_or(|timer| at <= timer) => {
                    self.net.world.advance(at);
                    if let Some(Reverse((_, _, task))) = self.tasks.pop() {
                        self.perform(task);
                    }
                }
                (_, Some(timer)) => self.net.world.advance(timer),
                _ => break,
            }
        }
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Begin(instance) => {
                self.open_listeners(instance);
                self.next(instance);
            }
            Task::Connect(instance) => {
                if !self.connect_waits(instance) {
                    self.next(instance);
                }
            }
            Task::Answered(instance) => self.answered(instance),
            Task::Release(held) => self.release(held),
            Task::CloseClient(held) => self.close_client(held),
            Task::CloseServer(held) => self.close_server(held),
        }
    }

    /// Asks for answers that the network has brought; `true` if there was one.
    fn poll(&mut self) -> bool {
        let waiting = std::mem::take(&mut self.waiting);
        let before = waiting.len();
        for instance in waiting {
            let Some(calling) = self.instances[instance as usize].calling.as_mut() else {
                continue;
            };
            match self.net.world.connect_result(calling.socket) {
                Call::Waiting => self.waiting.push(instance),
                Call::Done(answer) => {
                    calling.answer = Some(answer);
                    self.note_answer(instance);
                    self.soon(Task::Answered(instance));
                }
            }
        }
        self.waiting.len() < before
    }

    fn caller(&self, instance: u32, number: u32) -> Caller {
        let Instance { program, index, .. } = self.instances[instance as usize];
        let Program { name, host, .. } = &self.programs[program];
        Caller {
            host: self.net.hosts[*host].name.clone(),
            process: name.clone(),
            instance: index + 1,
            socket: SocketName::Numbered(name.clone(), number),
        }
    }

    /// Notes a call that has returned at once.
    fn note(&mut self, slot: Slot, result: Result<Seen, Errno>) {
        match result {
            Ok(seen) => self.recorder.ok(slot, seen),
            Err(errno) => {
                let refusal = self.net.world.take_refusal();
                self.recorder.failed(slot, Answer::Errno(errno), refusal);
            }
        }
    }

    /// A new socket with the process's options. An option that the kernel refuses is an attempt; the program goes on.
    fn socket(
        &mut self,
        instance: u32,
        caller: &Caller,
        at: Option<Endpoint>,
        to: Option<Endpoint>,
    ) -> WorldSock {
        let Program { process, host, .. } =
            &self.programs[self.instances[instance as usize].program];
        let (process, ns) = (*process, self.net.hosts[*host].ns);
        let family = call::family(at.map(Into::into), to.map(Into::into));
        let socket = self.net.world.socket(ns, family, process.uid);
        for option in process.options.iter() {
            let set = call::sock_opt(&option).and_then(|option| self.net.world.set(socket, option));
            if let Err(errno) = set {
                let args = Args::Option(option.name().into(), option.value().into());
                let slot = self
                    .recorder
                    .call(self.net.elapsed(), caller, Op::Set, args);
                self.note(slot, Err(errno));
            }
        }
        socket
    }

    fn bind(&mut self, caller: &Caller, socket: WorldSock, at: Endpoint) -> bool {
        let slot = self
            .recorder
            .call(self.net.elapsed(), caller, Op::Bind, Args::At(at));
        let result = self.net.world.bind(socket, at);
        let seen = |net: &Net<C>| Seen {
            local: Some(net.world.local(socket)),
            ..Seen::default()
        };
        let result = result.map(|()| seen(&self.net));
        let bound = result.is_ok();
        self.note(slot, result);
        bound
    }

    fn open_listeners(&mut self, instance: u32) {
        let Instance { program, index, .. } = self.instances[instance as usize];
        let Program {
            process,
            numbering,
            host,
            ..
        } = &self.programs[program];
        let (process, numbering, host) = (*process, *numbering, *host);
        for (n, at) in (0..).zip(&process.listen) {
            let at = Endpoint::from(*at);
            let caller = self.caller(instance, numbering.listener(index, n));
            let socket = self.socket(instance, &caller, Some(at), None);
            if !self.bind(&caller, socket, at) {
                self.net.world.close(socket);
                continue;
            }
            let slot = self.recorder.call(
                self.net.elapsed(),
                &caller,
                Op::Listen,
                Args::Backlog(BACKLOG),
            );
            let result = self.net.world.listen(socket, BACKLOG);
            let local = self.net.world.local(socket);
            let listens = result.is_ok();
            self.note(
                slot,
                result.map(|()| Seen {
                    local: Some(local),
                    ..Seen::default()
                }),
            );
            if listens {
                self.listeners
                    .entry((host, local.port))
                    .or_default()
                    .push(socket);
            } else {
                self.net.world.close(socket);
            }
        }
    }

    /// Lets an instance run until it has to wait, or has made all its attempts.
    fn next(&mut self, instance: u32) {
        loop {
            let now = self.net.world.now();
            let state = &self.instances[instance as usize];
            let Program {
                process, numbering, ..
            } = &self.programs[state.program];
            if state.connection < numbering.connections() {
                let first = state.round == 0 && state.connection == 0;
                let due = if first {
                    now
                } else {
                    state.last + process.every
                };
                if due > now {
                    self.push(due, Task::Connect(instance));
                    return;
                }
                if self.connect_waits(instance) {
                    return;
                }
            } else if numbering.connections() == 0 || state.round + 1 >= process.repeat {
                self.finished(instance);
                return;
            } else if state.open > 0 && process.hold != Hold::Forever {
                self.instances[instance as usize].draining = true;
                return;
            } else {
                let state = &mut self.instances[instance as usize];
                state.round += 1;
                state.connection = 0;
                state.open = 0;
            }
        }
    }

    /// An instance has made all its attempts.
    fn finished(&mut self, instance: u32) {
        let program = self.instances[instance as usize].program;
        self.programs[program].busy -= 1;
        if self.programs[program].busy > 0 {
            return;
        }
        for waiter in std::mem::take(&mut self.programs[program].waited_by) {
            self.programs[waiter].waits_for -= 1;
            if self.programs[waiter].waits_for == 0 {
                self.begin(waiter, self.net.world.now());
            }
        }
    }

    /// Makes the next connection of an instance. `false` if the instance need not wait for an answer.
    fn connect_waits(&mut self, instance: u32) -> bool {
        let now = self.net.world.now();
        let state = &mut self.instances[instance as usize];
        let (index, round, connection) = (state.index, state.round, state.connection);
        state.connection += 1;
        state.last = now;
        let Program {
            process, numbering, ..
        } = &self.programs[state.program];
        let at = process.bind_of(index, connection).map(Endpoint::from);
        let to = process.connect_of(index, connection).map(Endpoint::from);
        let number = numbering.connection(index, round, connection);
        let caller = self.caller(instance, number);
        let socket = self.socket(instance, &caller, at, to);
        if let Some(at) = at
            && !self.bind(&caller, socket, at)
        {
            self.net.world.close(socket);
            return false;
        }
        let Some(to) = to else {
            self.hold(instance, socket, None);
            return false;
        };
        let slot = self
            .recorder
            .call(self.net.elapsed(), &caller, Op::Connect, Args::To(to));
        let called = self.net.world.connect(socket, to);
        let answer = match called {
            Call::Done(answer) => Some(answer),
            Call::Waiting => None,
        };
        let answered = answer.is_some();
        self.instances[instance as usize].calling = Some(Calling {
            socket,
            slot,
            to,
            answer,
        });
        if answered {
            self.note_answer(instance);
            self.soon(Task::Answered(instance));
        } else {
            self.waiting.push(instance);
        }
        true
    }

    /// Notes what a connect returned, and lets the server accept.
    fn note_answer(&mut self, instance: u32) {
        let Instance {
            program,
            calling: Some(calling),
            ..
        } = &self.instances[instance as usize]
        else {
            return;
        };
        let (socket, slot, to, host) = (
            calling.socket,
            calling.slot,
            calling.to,
            self.programs[*program].host,
        );
        let Some(answer) = calling.answer else { return };
        let seen = answer.map(|()| Seen {
            local: Some(self.net.world.local(socket)),
            peer: self.net.world.peer(socket).ok(),
            bytes: None,
        });
        self.note(slot, seen);
        if answer.is_ok() {
            self.accept_all(host, to);
        }
    }

    /// Listeners accept everything at once and keep it.
    fn accept_all(&mut self, from: usize, to: Endpoint) {
        let Some(host) = self.net.reached(from, to.ip) else {
            return;
        };
        let Some(listeners) = self.listeners.get(&(host, to.port)) else {
            return;
        };
        for listener in listeners {
            while let Call::Done(Ok(child)) = self.net.world.accept(*listener, 0) {
                if let Ok(peer) = self.net.world.peer(child) {
                    self.accepted
                        .insert((self.net.world.local(child), peer), child);
                }
            }
        }
    }

    fn answered(&mut self, instance: u32) {
        let Some(calling) = self.instances[instance as usize].calling.take() else {
            return;
        };
        if calling.answer == Some(Ok(())) {
            let socket = calling.socket;
            let ends = self
                .net
                .world
                .peer(socket)
                .ok()
                .map(|peer| (peer, self.net.world.local(socket)));
            self.hold(instance, socket, ends);
        } else {
            self.net.world.close(calling.socket);
        }
        self.next(instance);
    }

    fn hold(&mut self, instance: u32, client: WorldSock, ends: Option<(Endpoint, Endpoint)>) {
        let state = &mut self.instances[instance as usize];
        let Hold::For(time) = self.programs[state.program].process.hold else {
            return;
        };
        state.open += 1;
        let held = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        self.held.push(Held {
            instance,
            client,
            ends,
        });
        self.push(self.net.world.now() + time, Task::Release(held));
    }

    fn release(&mut self, held: u32) {
        let Held {
            instance,
            client,
            ends,
        } = self.held[held as usize];
        let close = self.programs[self.instances[instance as usize].program]
            .process
            .close;
        let server = ends.and_then(|ends| self.accepted.get(&ends).copied());
        match (close, server) {
            (Close::Server, Some(server)) => {
                self.forget(ends);
                self.net.world.close(server);
                self.soon(Task::CloseClient(held));
                return;
            }
            (Close::Both, Some(server)) => {
                self.forget(ends);
                self.net.close_both(client, server);
                self.closed(instance);
                return;
            }
            (Close::Reset, _) => {
                // The option cannot fail: every kernel has it.
                let _ = self.net.world.set(client, SockOpt::Linger(Some(0)));
            }
            _ => {}
        }
        self.close_client(held);
        self.soon(Task::CloseServer(held));
    }

    fn close_client(&mut self, held: u32) {
        let Held {
            instance, client, ..
        } = self.held[held as usize];
        self.net.world.close(client);
        self.closed(instance);
    }

    fn close_server(&mut self, held: u32) {
        if let Some(server) = self.forget(self.held[held as usize].ends) {
            self.net.world.close(server);
        }
    }

    /// The server's socket of a connection, which from now on is nobody's.
    fn forget(&mut self, ends: Option<(Endpoint, Endpoint)>) -> Option<WorldSock> {
        self.accepted.remove(&ends?)
    }

    /// One connection of an instance is closed.
    fn closed(&mut self, instance: u32) {
        let state = &mut self.instances[instance as usize];
        state.open = state.open.saturating_sub(1);
        if state.draining && state.open == 0 {
            state.draining = false;
            self.next(instance);
        }
    }
}
