//! The declarative form on turmoil's own sockets.

use super::calls::{call, inexpressible};
use super::stage::Stage;
use crate::engine::grant::Grant;
use fourtuple_harness::call::Numbering;
use fourtuple_harness::{Args, Caller, Cannot, Seen, SocketId, Who};
use fourtuple_kernel::Endpoint;
use fourtuple_scenario::{Close, Hold, Op, Process};
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;
use turmoil::net::{TcpListener, TcpStream};

/// A process of the scenario.
struct Program {
    process: Process,
    who: Who,
    host: usize,
    numbering: Numbering,
    busy: Cell<u32>,
    waits_for: Cell<usize>,
    waited_by: RefCell<Vec<usize>>,
    /// One for each instance.
    begin: Vec<Rc<Grant>>,
    begun: Cell<bool>,
}

/// The processes of a scenario.
#[derive(Default)]
pub(super) struct Programs(Vec<Program>);

impl Programs {
    pub(super) fn new(
        processes: &indexmap::IndexMap<String, Process>,
        mut place: impl FnMut(&str, &str) -> Result<(usize, Who), Cannot>,
    ) -> Result<Self, Cannot> {
        let mut list = Vec::new();
        for (name, process) in processes {
            let (host, who) = place(&process.on, name)?;
            list.push(Program {
                host,
                who,
                numbering: Numbering::of(process),
                busy: Cell::new(process.count),
                waits_for: Cell::new(process.after.len()),
                waited_by: RefCell::default(),
                begin: (0..process.count).map(|_| Grant::new()).collect(),
                begun: Cell::new(false),
                process: process.clone(),
            });
        }
        for (waiter, process) in processes.values().enumerate() {
            for name in &process.after {
                let awaited = processes.get_index_of(name.as_str());
                let awaited =
                    awaited.ok_or_else(|| Cannot::new(format!("no process is called {name}")))?;
                list[awaited].waited_by.borrow_mut().push(waiter);
            }
        }
        Ok(Programs(list))
    }

    fn begin(&self, program: usize) {
        self.0[program].begun.set(true);
        self.0[program].begin.iter().for_each(|grant| grant.give());
    }

    fn finished(&self, program: usize) {
        let program = &self.0[program];
        program.busy.set(program.busy.get().saturating_sub(1));
        if program.busy.get() > 0 {
            return;
        }
        for waiter in program.waited_by.take() {
            let waits_for = &self.0[waiter].waits_for;
            waits_for.set(waits_for.get() - 1);
            if waits_for.get() == 0 {
                self.begin(waiter);
            }
        }
    }
}

/// Counts a task that has something left to do.
struct Working(Rc<Stage>);

impl Working {
    fn new(stage: &Rc<Stage>) -> Self {
        stage.tasks.set(stage.tasks.get() + 1);
        Working(Rc::clone(stage))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.tasks.set(self.0.tasks.get() - 1);
    }
}

/// Starts the processes and waits until none has anything left to do.
pub(super) async fn run(stage: &Rc<Stage>) {
    for (index, program) in stage.programs.0.iter().enumerate() {
        if program.waits_for.get() == 0 {
            stage.programs.begin(index);
        }
    }
    while stage.tasks.get() > 0 || stage.aftermath.is_some_and(|end| stage.now() < end) {
        sleep(Duration::from_millis(1)).await;
    }
}

/// What runs on a host.
pub(super) async fn host(
    stage: Rc<Stage>,
    name: String,
    listen: Vec<SocketAddr>,
) -> turmoil::Result {
    let Some(here) = stage.host(&name) else {
        return Ok(());
    };
    let mut ports = Vec::new();
    for at in listen {
        let place = stage.listen_at(at);
        // One listener serves all addresses that the scenario listens on with this port.
        if ports.contains(&place) {
            continue;
        }
        match call(TcpListener::bind(place)).await {
            Ok(listener) => accept_all(&stage, here, listener),
            Err(failed) => {
                let cannot = Cannot::new(format!(
                    "host {name} cannot listen on {at}: {}",
                    failed.answer()
                ));
                stage.fail(cannot);
                return Err("no listener".into());
            }
        }
        ports.push(place);
    }
    for (program, p) in stage
        .programs
        .0
        .iter()
        .enumerate()
        .filter(|(_, p)| p.host == here)
    {
        for index in 0..p.process.count {
            let task = Task {
                stage: Rc::clone(&stage),
                program,
                index,
                kept: Vec::new(),
                done: false,
            };
            let working = Working::new(&stage);
            tokio::task::spawn_local(task.run(working));
        }
    }
    stage.work(here).await;
    Ok(())
}

fn accept_all(stage: &Rc<Stage>, host: usize, listener: TcpListener) {
    let stage = Rc::clone(stage);
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = call(listener.accept()).await {
            if let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) {
                stage
                    .accepted
                    .borrow_mut()
                    .insert((local, peer), (host, stream));
            }
        }
    });
}

/// The task of one instance.
struct Task {
    stage: Rc<Stage>,
    program: usize,
    index: u32,
    kept: Vec<TcpStream>,
    done: bool,
}

impl Drop for Task {
    fn drop(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        kept.into_iter().for_each(|stream| self.stage.close(stream));
        self.finished();
    }
}

impl Task {
    fn program(&self) -> &Program {
        &self.stage.programs.0[self.program]
    }

    fn finished(&mut self) {
        if !std::mem::replace(&mut self.done, true) {
            self.stage.programs.finished(self.program);
        }
    }

    async fn run(mut self, working: Working) {
        if !self.program().begun.get() {
            self.program().begin[self.index as usize].taken().await;
        }
        let start = self.program().process.start;
        self.stage.clock.sleep_until(Some(start)).await;
        let panicked = self.listen().await || self.connect_all().await;
        self.finished();
        drop(working);
        if !panicked {
            pending::<()>().await;
        }
    }

    fn caller(&self, number: u32) -> Caller {
        Caller {
            who: self.program().who,
            instance: self.index + 1,
            socket: SocketId::Numbered(number),
        }
    }

    /// Opens the listeners; `true` if that ended the task.
    async fn listen(&mut self) -> bool {
        let listen = self.program().process.listen.clone();
        for (n, at) in (0..).zip(listen) {
            let caller = self.caller(self.program().numbering.listener(self.index, n));
            let slot = self
                .stage
                .call(caller, Op::Bind, Args::At(Endpoint::from(at)));
            match call(TcpListener::bind(self.stage.listen_at(at))).await {
                Ok(listener) => {
                    let port = listener.local_addr().map_or(at.port(), |at| at.port());
                    let local = Some(Endpoint::new(at.ip().into(), port));
                    self.stage.ok(
                        slot,
                        Seen {
                            local,
                            ..Seen::default()
                        },
                    );
                    let slot = self.stage.call(caller, Op::Listen, Args::Backlog(4096));
                    self.stage.ok(
                        slot,
                        Seen {
                            local,
                            ..Seen::default()
                        },
                    );
                    accept_all(&self.stage, self.program().host, listener);
                }
                Err(failed) => {
                    self.stage.refused(slot, &failed);
                    if matches!(failed, super::calls::Failed::Panic(_)) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Makes the connections; `true` if that ended the task.
    async fn connect_all(&mut self) -> bool {
        let (connections, repeat) = (
            self.program().numbering.connections(),
            self.program().process.repeat,
        );
        let (every, options) = (
            self.program().process.every,
            self.program().process.options.clone(),
        );
        if connections > 0 {
            for option in options.iter() {
                self.stage.note(format!(
                    "turmoil's sockets have no options: {} is left out",
                    option.name()
                ));
            }
        }
        let mut due = self.stage.now();
        for round in 0..repeat {
            let mut open = Vec::new();
            for connection in 0..connections {
                self.stage.clock.sleep_until(Some(due)).await;
                due = self.stage.now() + every;
                match self.connect_one(round, connection).await {
                    Ok(Some(held)) => open.push(held),
                    Ok(None) => {}
                    Err(()) => return true,
                }
            }
            if round + 1 < repeat {
                for held in open {
                    held.taken().await;
                }
            }
        }
        false
    }

    /// Makes one connection. Returns what is given when it is closed; an error ends the task.
    async fn connect_one(&mut self, round: u32, connection: u32) -> Result<Option<Rc<Grant>>, ()> {
        let Program {
            process, numbering, ..
        } = self.program();
        let caller = self.caller(numbering.connection(self.index, round, connection));
        if let Some(at) = process.bind_of(self.index, connection) {
            let slot = self
                .stage
                .call(caller, Op::Bind, Args::At(Endpoint::from(at)));
            self.stage.note(
                "turmoil cannot bind before connect: the connections are made without".to_owned(),
            );
            self.stage.failed_with(slot, inexpressible());
        }
        let Some(to) = process.connect_of(self.index, connection) else {
            return Ok(None);
        };
        let (hold, close) = (process.hold, process.close);
        let slot = self
            .stage
            .call(caller, Op::Connect, Args::To(Endpoint::from(to)));
        match self.stage.connect(self.program().host, to).await {
            Ok(stream) => {
                let seen = Seen {
                    peer: Some(Endpoint::from(to)),
                    ..self.stage.ends(&stream)
                };
                self.stage.ok(slot, seen);
                match hold {
                    Hold::Forever => self.kept.push(stream),
                    Hold::For(time) => {
                        let closed = Grant::new();
                        hold_for(&self.stage, stream, time, close, &closed);
                        return Ok(Some(closed));
                    }
                }
            }
            Err(failed) => {
                self.stage.refused(slot, &failed);
                if matches!(failed, super::calls::Failed::Panic(_)) {
                    return Err(());
                }
            }
        }
        Ok(None)
    }
}

/// Keeps a connection for a time, then closes it.
fn hold_for(
    stage: &Rc<Stage>,
    client: TcpStream,
    time: Duration,
    close: Close,
    closed: &Rc<Grant>,
) {
    let working = Working::new(stage);
    let (stage, closed) = (Rc::clone(stage), Rc::clone(closed));
    tokio::task::spawn_local(async move {
        stage.pause(time).await;
        let ends = client.peer_addr().ok().zip(client.local_addr().ok());
        match close {
            Close::Server => {
                stage.close_server(ends);
                stage.pause(Duration::from_millis(1)).await;
                stage.close(client);
            }
            Close::Both => {
                stage.close(client);
                stage.close_server(ends);
            }
            Close::Client | Close::Reset => {
                if close == Close::Reset {
                    stage.note(
                        "turmoil's sockets have no SO_LINGER: they close instead of resetting"
                            .to_owned(),
                    );
                }
                stage.close(client);
                stage.pause(Duration::from_millis(1)).await;
                stage.close_server(ends);
            }
        }
        closed.give();
        drop(working);
    });
}
