//! The declarative form on the kernel model.
//!
//! Everything that happens is a task in a queue ordered by (time, sequence number): first in, first out within one
//! instant. An instance runs its calls until it has to wait. `connect` is such a wait: its port is chosen when it is
//! called, and the instance goes to the back of the queue before it continues. That is what an async executor does,
//! and why instances of a process take turns.
//!
//! - this file: the queue, and how instances go on; [`calls`]: the calls they make; [`closing`]: how connections end

mod calls;
mod closing;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::Poll;

use crate::model::agenda::Agenda;
use foldhash::fast::FixedState;
use fourtuple_kernel::{Chooser, Endpoint, Errno, Time, WorldSock};
use fourtuple_scenario::{Hold, Process, SockOpt};
use indexmap::IndexMap;

use super::Played;
use super::net::Net;
use crate::attempt::Args;
use crate::call::Numbering;
use crate::engine::Cannot;
use crate::recorder::{Recorder, Slot, Who};

/// Backlog of the listeners of processes; they accept at once.
const BACKLOG: u32 = 4096;

/// Runs the processes of a case to their end.
pub(super) fn run<C: Chooser>(
    net: Net<C>,
    processes: &IndexMap<String, Process>,
) -> Result<Played<C>, Cannot> {
    let mut sim = Sim::begun(net, processes)?;
    sim.run();
    Ok(sim.finish())
}

fn with_args(option: SockOpt) -> (SockOpt, Args) {
    let args = Args::Option(option.name().into(), option.value().to_string().into());
    (option, args)
}

/// How many calls the processes make, or as many as are made room for before they are made.
fn attempts(processes: &IndexMap<String, Process>) -> usize {
    let of = |one: &Process| {
        let calls = 1 + u64::from(!one.bind.is_empty());
        u64::from(one.count) * u64::from(one.connections) * calls
    };
    processes.values().map(of).sum::<u64>().min(1 << 17) as usize
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

#[derive(Clone)]
struct Program<'a> {
    process: &'a Process,
    who: Who,
    host: usize,
    numbering: Numbering,
    /// The options of its sockets, in the order in which they are set, with the arguments of the calls that set them.
    options: Rc<[(SockOpt, Args)]>,
    /// Index of the first instance.
    first: u32,
    /// Instances that have attempts to make.
    busy: u32,
    /// Processes to wait for.
    waits_for: usize,
    /// Processes that wait for this one.
    waited_by: Vec<usize>,
}

#[derive(Clone)]
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
#[derive(Clone)]
struct Calling {
    socket: WorldSock,
    slot: Slot,
    to: Endpoint,
    answer: Option<Result<(), Errno>>,
    /// The server's socket, if it was accepted when the answer came.
    accepted: Option<WorldSock>,
}

/// A connection, or a bound socket, that is being held.
#[derive(Clone)]
struct Held {
    instance: u32,
    client: WorldSock,
    server: Server,
}

/// The server's socket of a connection.
#[derive(Clone, Copy)]
enum Server {
    /// There is none, or it is nobody's any more.
    None,
    /// This one.
    Known(WorldSock),
    /// One that is accepted sooner or later: local and remote end as the server sees them.
    At(Endpoint, Endpoint),
}

/// The processes of a case at a moment of their run.
#[derive(Clone)]
pub(super) struct Sim<'a, C: Chooser> {
    pub(super) net: Net<C>,
    recorder: Recorder,
    programs: Vec<Program<'a>>,
    instances: Vec<Instance>,
    held: Vec<Held>,
    /// Listeners by host and port.
    listeners: BTreeMap<(usize, u16), Vec<WorldSock>>,
    /// Whether connections are closed at all.
    closes: bool,
    /// Accepted sockets by (local, peer), where connections are closed; without those whose client waited for just them.
    accepted: IndexMap<(Endpoint, Endpoint), WorldSock, FixedState>,
    tasks: Agenda<(Time, u64, Task)>,
    sequence: u64,
    /// Instances whose connect has not been answered by the network.
    waiting: Vec<u32>,
}

impl<'a, C: Chooser> Sim<'a, C> {
    /// The processes at their start.
    fn begun(net: Net<C>, processes: &'a IndexMap<String, Process>) -> Result<Self, Cannot> {
        let mut sim = Sim::new(net, processes)?;
        sim.net.happened(false);
        sim.start();
        Ok(sim)
    }

    /// What came of them.
    fn finish(self) -> Played<C> {
        (self.recorder.finish(), self.net)
    }

    fn new(net: Net<C>, processes: &'a IndexMap<String, Process>) -> Result<Self, Cannot> {
        let mut sim = Sim {
            recorder: Recorder::with_capacity(attempts(processes)),
            programs: Vec::with_capacity(processes.len()),
            instances: Vec::new(),
            held: Vec::new(),
            listeners: BTreeMap::new(),
            closes: processes.values().any(|one| one.hold != Hold::Forever),
            accepted: IndexMap::default(),
            tasks: Agenda::default(),
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
            let host = sim.net.host(&process.on)?;
            let on = sim.net.hosts[host].name.clone();
            sim.programs.push(Program {
                host,
                who: sim.recorder.who(on, name.as_str()),
                numbering: Numbering::of(process),
                options: process.options.iter().map(with_args).collect(),
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
        self.tasks.push((at, self.sequence, task));
    }

    fn soon(&mut self, task: Task) {
        self.push(self.net.world.now(), task);
    }

    /// Runs them to their end.
    fn run(&mut self) {
        loop {
            let now = self.net.world.now();
            let next = self.tasks.first().map(|(at, _, _)| *at);
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
                    if let Some((_, _, task)) = self.tasks.pop() {
                        self.perform(task);
                        self.net.happened(false);
                    }
                }
                (_, Some(timer)) => self.net.world.advance(timer),
                _ => break,
            }
        }
        self.net.happened(true);
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
                Poll::Pending => self.waiting.push(instance),
                Poll::Ready(answer) => {
                    calling.answer = Some(answer);
                    self.note_answer(instance);
                    self.soon(Task::Answered(instance));
                }
            }
        }
        self.waiting.len() < before
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
}
