//! The declarative form: every instance of a process is an async task on its host.

use super::conductor::Player;
use super::held;
use super::scene::{BACKLOG, Scene};
use crate::Socket;
use crate::engine::grant::Grant;
use fourtuple_harness::call::{self, Numbering};
use fourtuple_harness::{Args, Caller, Cannot, Seen, SocketId, Who};
use fourtuple_kernel::Endpoint;
use fourtuple_scenario::{Hold, Op, Process};
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// A process of the scenario.
pub(super) struct Program {
    pub(super) process: Process,
    who: Who,
    pub(super) host: usize,
    numbering: Numbering,
    /// Index of the first instance.
    first: usize,
    /// Instances that have attempts to make.
    busy: Cell<u32>,
    /// Processes to wait for.
    waits_for: Cell<usize>,
    /// Processes that wait for this one.
    waited_by: RefCell<Vec<usize>>,
    begun: Cell<bool>,
}

/// One of the instances of a process.
pub(super) struct Instance {
    pub(super) program: usize,
    /// Counted from 0 within the process.
    index: u32,
    begin: RefCell<Rc<Grant>>,
    finished: Cell<bool>,
    /// Connections of the current round that are not closed yet.
    pub(super) open: Cell<u32>,
    /// Given when the last of them is closed, if the instance waits for that.
    pub(super) drained: RefCell<Option<Rc<Grant>>>,
    /// Given when the instance gives back the turn that it was lent for going on.
    pub(super) loan: Rc<Grant>,
}

/// The processes of a scenario.
#[derive(Default)]
pub(super) struct Programs {
    pub(super) list: Vec<Program>,
    pub(super) instances: Vec<Instance>,
}

impl Programs {
    pub(super) fn new(
        processes: &indexmap::IndexMap<String, Process>,
        mut place: impl FnMut(&str, &str) -> Result<(usize, Who), Cannot>,
    ) -> Result<Self, Cannot> {
        let mut programs = Programs::default();
        for (name, process) in processes {
            let first = programs.instances.len();
            let program = programs.list.len();
            programs
                .instances
                .extend((0..process.count).map(|index| Instance {
                    program,
                    index,
                    begin: RefCell::new(Grant::new()),
                    finished: Cell::new(false),
                    open: Cell::new(0),
                    drained: RefCell::new(None),
                    loan: Grant::new(),
                }));
            let (host, who) = place(&process.on, name)?;
            programs.list.push(Program {
                host,
                who,
                numbering: Numbering::of(process),
                first,
                busy: Cell::new(process.count),
                waits_for: Cell::new(process.after.len()),
                waited_by: RefCell::default(),
                begun: Cell::new(false),
                process: process.clone(),
            });
        }
        for (waiter, process) in processes.values().enumerate() {
            for name in &process.after {
                let awaited = processes.get_index_of(name.as_str());
                let awaited =
                    awaited.ok_or_else(|| Cannot::new(format!("no process is called {name}")))?;
                programs.list[awaited].waited_by.borrow_mut().push(waiter);
            }
        }
        Ok(programs)
    }

    /// Starts the processes that wait for no other.
    pub(super) fn start(&self, scene: &Scene) {
        for program in 0..self.list.len() {
            if self.list[program].waits_for.get() == 0 {
                self.begin(
                    scene,
                    program,
                    scene.conductor.now() + self.list[program].process.start,
                );
            }
        }
    }

    fn begin(&self, scene: &Scene, program: usize, at: Duration) {
        let Program {
            first,
            process,
            begun,
            ..
        } = &self.list[program];
        begun.set(true);
        for instance in &self.instances[*first..*first + process.count as usize] {
            scene.conductor.enqueue(at, &instance.begin.borrow());
        }
    }

    /// An instance has made all its attempts, or never will.
    fn finished(&self, scene: &Scene, instance: usize) {
        if self.instances[instance].finished.replace(true) {
            return;
        }
        let program = &self.list[self.instances[instance].program];
        program.busy.set(program.busy.get() - 1);
        if program.busy.get() > 0 {
            return;
        }
        for waiter in program.waited_by.take() {
            let waits_for = &self.list[waiter].waits_for;
            waits_for.set(waits_for.get() - 1);
            if waits_for.get() == 0 {
                self.begin(scene, waiter, scene.conductor.now());
            }
        }
    }
}

/// Starts the tasks of the instances on these hosts. `again`: the machine has been started before.
pub(super) fn start_on(scene: &Rc<Scene>, hosts: &[usize], again: bool) {
    for index in 0..scene.programs.instances.len() {
        let instance = &scene.programs.instances[index];
        let program = &scene.programs.list[instance.program];
        if !hosts.contains(&program.host) {
            continue;
        }
        if again {
            let grant = Grant::new();
            *instance.begin.borrow_mut() = Rc::clone(&grant);
            instance.open.set(0);
            if program.begun.get() {
                scene
                    .conductor
                    .enqueue(scene.conductor.now().max(program.process.start), &grant);
            }
        }
        let task = Task::new(scene, index);
        tokio::task::spawn_local(task.run());
    }
}

/// The task of one instance.
struct Task {
    scene: Rc<Scene>,
    index: usize,
    player: Player,
    /// Sockets that are never closed.
    kept: Vec<Rc<Socket>>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.scene.programs.finished(&self.scene, self.index);
    }
}

impl Task {
    fn new(scene: &Rc<Scene>, index: usize) -> Self {
        let grant = Rc::clone(&scene.programs.instances[index].begin.borrow());
        let player = Player::new(scene, grant);
        Task {
            scene: Rc::clone(scene),
            index,
            player,
            kept: Vec::new(),
        }
    }

    fn instance(&self) -> &Instance {
        &self.scene.programs.instances[self.index]
    }

    fn program(&self) -> &Program {
        &self.scene.programs.list[self.instance().program]
    }

    async fn run(mut self) {
        self.player.begin().await;
        self.open_listeners();
        self.connect_all().await;
        self.scene.programs.finished(&self.scene, self.index);
        self.player.done();
        // The process lives on with its sockets.
        pending::<()>().await;
    }

    async fn connect_all(&mut self) {
        let (connections, repeat) = (
            self.program().numbering.connections(),
            self.program().process.repeat,
        );
        let (every, hold) = (self.program().process.every, self.program().process.hold);
        if connections == 0 {
            return;
        }
        let mut last = None;
        for round in 0..repeat {
            if round > 0 {
                if self.instance().open.get() > 0 && hold != Hold::Forever {
                    self.drain().await;
                }
                self.instance().open.set(0);
            }
            for connection in 0..connections {
                let now = self.scene.conductor.now();
                let due = last.map_or(now, |last| last + every);
                if due > now {
                    self.player.turn(due).await;
                }
                last = Some(self.scene.conductor.now());
                self.connect_one(round, connection).await;
            }
        }
    }

    /// Waits until every connection of the round is closed.
    async fn drain(&mut self) {
        let (drained, loan) = (Grant::new(), Rc::clone(&self.instance().loan));
        *self.instance().drained.borrow_mut() = Some(Rc::clone(&drained));
        self.player.borrow(&drained, loan).await;
    }

    fn caller(&self, number: u32) -> Caller {
        Caller {
            who: self.program().who,
            instance: self.instance().index + 1,
            socket: SocketId::Numbered(number),
        }
    }

    /// A new socket with the process's options. An option that the kernel refuses is an attempt.
    fn socket(
        &self,
        caller: Caller,
        at: Option<SocketAddr>,
        to: Option<SocketAddr>,
    ) -> io::Result<Rc<Socket>> {
        let Program { process, host, .. } = self.program();
        let socket = self
            .scene
            .socket(*host, call::family(at, to), process.uid)?;
        for option in process.options.iter() {
            if let Err(error) = socket.set(option) {
                let args = Args::Option(option.name().into(), option.value().to_string().into());
                let slot = self.scene.call(caller, Op::Set, args);
                self.scene.result(slot, &socket, Err(error));
            }
        }
        Ok(Rc::new(socket))
    }

    fn bind(&self, caller: Caller, socket: &Socket, at: SocketAddr) -> bool {
        let slot = self
            .scene
            .call(caller, Op::Bind, Args::At(Endpoint::from(at)));
        let result = socket.bind(at).map(|()| Scene::local(socket));
        let bound = result.is_ok();
        self.scene.result(slot, socket, result);
        bound
    }

    fn open_listeners(&mut self) {
        let listen = self.program().process.listen.clone();
        for (n, at) in (0..).zip(listen) {
            let caller = self.caller(self.program().numbering.listener(self.instance().index, n));
            let Ok(socket) = self.socket(caller, Some(at), None) else {
                return;
            };
            if !self.bind(caller, &socket, at) {
                continue;
            }
            let slot = self.scene.call(caller, Op::Listen, Args::Backlog(BACKLOG));
            let result = socket.listen(BACKLOG).map(|()| Scene::local(&socket));
            let listens = result.is_ok();
            self.scene.result(slot, &socket, result);
            if listens {
                held::accept_all(&self.scene, socket);
            }
        }
    }

    async fn connect_one(&mut self, round: u32, connection: u32) {
        let index = self.instance().index;
        let Program {
            process, numbering, ..
        } = self.program();
        let at = process.bind_of(index, connection);
        let to = process.connect_of(index, connection);
        let hold = process.hold;
        let caller = self.caller(numbering.connection(index, round, connection));
        let Ok(socket) = self.socket(caller, at, to) else {
            return;
        };
        if let Some(at) = at
            && !self.bind(caller, &socket, at)
        {
            return;
        }
        let Some(to) = to else {
            self.hold(socket, None, hold);
            return;
        };
        let slot = self
            .scene
            .call(caller, Op::Connect, Args::To(Endpoint::from(to)));
        match socket.start_connect(to) {
            Err(error) if super::scene::errno_of(&error) != Some(crate::Errno::EINPROGRESS) => {
                self.scene.result(slot, &socket, Err::<Seen, _>(error));
                self.player.turn(self.scene.conductor.now()).await;
            }
            _ => {
                if self.player.connected(&socket, slot).await.is_ok() {
                    let (local, peer) = socket.ends();
                    self.hold(socket, peer.map(|peer| (peer, local)), hold);
                }
            }
        }
    }

    /// Keeps a connection, or a bound socket, for as long as the process says.
    fn hold(&mut self, socket: Rc<Socket>, ends: Option<(Endpoint, Endpoint)>, hold: Hold) {
        match hold {
            Hold::Forever => self.kept.push(socket),
            Hold::For(time) => held::hold(&self.scene, self.index, socket, ends, time),
        }
    }
}
