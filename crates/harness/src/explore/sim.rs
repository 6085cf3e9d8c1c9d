//! The declarative form, one call at a time: at each instant any of the calls that can be made may be the next.
//!
//! A call is one step: `bind`, `listen` and `connect` of one socket, and each `close`. Making a socket and setting its
//! options touches nothing that others see, so that it goes with the call after it.

use std::collections::BTreeMap;
use std::task::Poll;

use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::{Endpoint, Errno, SockId, SockOpt, Time, WorldSock};
use fourtuple_scenario::{Case, Close, Hold, Op, Process};

use super::tape::Tape;
use crate::attempt::{Answer, Args, Name};
use crate::call::{self, Numbering};
use crate::engine::Cannot;
use crate::model::net::Net;
use crate::recorder::{Caller, Recorder, Seen, SocketId};

/// How often each process got which answer from which call.
pub(super) type Counts = BTreeMap<(usize, Op, Answer), u32>;

/// Backlog of the listeners of processes.
const BACKLOG: u32 = 4096;

/// What never changes during a run.
pub(super) struct Plan {
    pub(super) programs: Vec<Program>,
    pub(super) hosts: Vec<Name>,
}

pub(super) struct Program {
    pub(super) process: Process,
    pub(super) name: Name,
    host: usize,
    numbering: Numbering,
    /// Programs to wait for.
    after: Vec<usize>,
}

impl Plan {
    pub(super) fn of(case: &Case, net: &Net<Tape>) -> Result<Self, Cannot> {
        let processes = case.program.processes();
        let processes = processes.ok_or_else(|| Cannot::new("the order of steps is fixed"))?;
        let mut programs = Vec::with_capacity(processes.len());
        for (name, process) in processes {
            let after = process
                .after
                .iter()
                .filter_map(|name| processes.get_index_of(name.as_str()));
            programs.push(Program {
                process: process.clone(),
                name: name.as_str().into(),
                host: net.host(&process.on)?,
                numbering: Numbering::of(process),
                after: after.collect(),
            });
        }
        Ok(Plan {
            programs,
            hosts: net.hosts.iter().map(|host| host.name.clone()).collect(),
        })
    }
}

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Stage {
    /// Waits for other processes.
    Held,
    /// Opens its listeners; this is the next one.
    Open(u32),
    /// Calls listen() on a bound socket.
    Listen(u32, WorldSock),
    /// Begins its next connection.
    Next,
    /// Connects a socket that is bound.
    Connect(WorldSock, Option<Endpoint>),
    /// Waits for the answer of a connect.
    Calling(WorldSock, Endpoint),
    /// Waits until its connections are closed, to begin the next round.
    Draining,
    /// Has made all its attempts.
    Done,
}

#[derive(Clone, Debug)]
struct Instance {
    program: usize,
    index: u32,
    stage: Stage,
    /// When it goes on.
    at: Time,
    round: u32,
    connection: u32,
    last: Time,
    open: u32,
}

/// A close that is to come.
#[derive(Clone, Debug)]
struct Closing {
    at: Time,
    instance: usize,
    client: WorldSock,
    ends: Option<(Endpoint, Endpoint)>,
    what: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    Release,
    Client,
    Server,
}

/// A state of the whole scenario.
#[derive(Clone)]
pub(super) struct State {
    net: Net<Tape>,
    instances: Vec<Instance>,
    closings: Vec<Closing>,
    listeners: BTreeMap<(usize, u16), Vec<WorldSock>>,
    accepted: BTreeMap<(Endpoint, Endpoint), WorldSock>,
    pub(super) counts: Counts,
    /// The attempts, when somebody wants to read them.
    pub(super) log: Option<Recorder>,
}

impl State {
    /// The state before the first call.
    pub(super) fn start(case: &Case, profile: &Profile) -> Result<(Plan, State), Cannot> {
        let tape = Tape::default();
        let net = Net::new(case, profile, &mut |_| tape.clone())?;
        let plan = Plan::of(case, &net)?;
        let mut listeners: BTreeMap<(usize, u16), Vec<WorldSock>> = BTreeMap::new();
        for (host, socket, port) in &net.listeners {
            listeners.entry((*host, *port)).or_default().push(*socket);
        }
        let now = net.world.now();
        let mut instances = Vec::new();
        for (program, one) in plan.programs.iter().enumerate() {
            instances.extend((0..one.process.count).map(|index| Instance {
                program,
                index,
                stage: if one.after.is_empty() {
                    Stage::Open(0)
                } else {
                    Stage::Held
                },
                at: now + one.process.start,
                round: 0,
                connection: 0,
                last: now,
                open: 0,
            }));
        }
        let mut state = State {
            net,
            instances,
            closings: Vec::new(),
            listeners,
            accepted: BTreeMap::new(),
            counts: Counts::new(),
            log: None,
        };
        state.net.world.set_explain(false);
        state.settle(&plan);
        Ok((plan, state))
    }

    /// Notes attempts from now on.
    pub(super) fn with_log(mut self) -> Self {
        self.log = Some(Recorder::default());
        self.net.world.set_explain(true);
        self
    }

    /// Where chance comes from now on.
    pub(super) fn listen_to(&mut self, tape: &Tape) {
        for host in 0..self.net.hosts.len() {
            let machine = self.net.hosts[host].ns.machine;
            *self.net.world.machine_mut(machine).chooser_mut() = tape.clone();
        }
    }

    /// What can be done next: instances first, then closes, each by its number. Empty at the end.
    pub(super) fn enabled(&self) -> Vec<usize> {
        let now = self.net.world.now();
        let ready = |one: &Instance| {
            let waits = matches!(
                one.stage,
                Stage::Held | Stage::Calling(..) | Stage::Draining | Stage::Done
            );
            !waits && one.at <= now
        };
        let instances = self
            .instances
            .iter()
            .enumerate()
            .filter(|(_, one)| ready(one))
            .map(|(n, _)| n);
        let first = self.instances.len();
        let closings = self
            .closings
            .iter()
            .enumerate()
            .filter(|(_, one)| one.at <= now);
        instances.chain(closings.map(|(n, _)| first + n)).collect()
    }

    /// Does one of the things that can be done, and lets time pass until there is another.
    pub(super) fn perform(&mut self, plan: &Plan, action: usize) {
        if action < self.instances.len() {
            self.go_on(plan, action);
        } else {
            let closing = self.closings.remove(action - self.instances.len());
            self.close(plan, closing);
        }
        self.settle(plan);
    }

    /// Wakes whoever may go on; if nobody may, time passes.
    fn settle(&mut self, plan: &Plan) {
        loop {
            self.poll(plan);
            self.wake(plan);
            if !self.enabled().is_empty() {
                return;
            }
            let instances = self.instances.iter().filter(|one| {
                !matches!(
                    one.stage,
                    Stage::Held | Stage::Calling(..) | Stage::Draining | Stage::Done
                )
            });
            let next = instances
                .map(|one| one.at)
                .chain(self.closings.iter().map(|one| one.at))
                .min();
            let waiting = self
                .instances
                .iter()
                .any(|one| matches!(one.stage, Stage::Calling(..)));
            let timer = if waiting {
                self.net.world.next_event()
            } else {
                None
            };
            match (next, timer) {
                (Some(next), timer) => self
                    .net
                    .world
                    .advance(timer.map_or(next, |timer| timer.min(next))),
                (None, Some(timer)) => self.net.world.advance(timer),
                (None, None) => return,
            }
        }
    }

    /// Lets processes start whose predecessors are done, and rounds whose connections are closed.
    fn wake(&mut self, plan: &Plan) {
        let now = self.net.world.now();
        for n in 0..self.instances.len() {
            let one = &self.instances[n];
            match one.stage {
                Stage::Held => {
                    let waits = |other: &Instance| {
                        plan.programs[one.program].after.contains(&other.program)
                            && other.stage != Stage::Done
                    };
                    if !self.instances.iter().any(waits) {
                        self.instances[n].stage = Stage::Open(0);
                        self.instances[n].at = now;
                        self.skip(plan, n);
                    }
                }
                Stage::Draining if one.open == 0 => {
                    let one = &mut self.instances[n];
                    one.round += 1;
                    one.connection = 0;
                    one.stage = Stage::Next;
                    self.skip(plan, n);
                }
                Stage::Open(_) | Stage::Next => self.skip(plan, n),
                _ => {}
            }
        }
    }

    /// Goes past stages in which nothing is left to do.
    fn skip(&mut self, plan: &Plan, n: usize) {
        loop {
            let one = &mut self.instances[n];
            let Program {
                process, numbering, ..
            } = &plan.programs[one.program];
            match one.stage {
                Stage::Open(listener) if listener as usize >= process.listen.len() => {
                    one.stage = Stage::Next
                }
                Stage::Next if one.connection < numbering.connections() => {
                    if one.round > 0 || one.connection > 0 {
                        one.at = one.last + process.every;
                    }
                    return;
                }
                Stage::Next => {
                    if numbering.connections() == 0 || one.round + 1 >= process.repeat {
                        one.stage = Stage::Done;
                        // Somebody may have waited for this.
                        self.wake(plan);
                        return;
                    }
                    if one.open > 0 && process.hold != Hold::Forever {
                        one.stage = Stage::Draining;
                        return;
                    }
                    one.round += 1;
                    one.connection = 0;
                    one.open = 0;
                }
                _ => return,
            }
        }
    }

    /// Answers that time has brought.
    fn poll(&mut self, plan: &Plan) {
        for n in 0..self.instances.len() {
            let Stage::Calling(socket, to) = self.instances[n].stage else {
                continue;
            };
            if let Poll::Ready(answer) = self.net.world.connect_result(socket) {
                self.answered(plan, n, socket, to, answer);
            }
        }
    }

    fn go_on(&mut self, plan: &Plan, n: usize) {
        let Instance {
            program,
            index,
            stage,
            round,
            connection,
            ..
        } = self.instances[n].clone();
        let Program {
            process,
            numbering,
            host,
            ..
        } = &plan.programs[program];
        let now = self.net.world.now();
        match stage {
            Stage::Open(listener) => {
                let at = Endpoint::from(process.listen[listener as usize]);
                let number = numbering.listener(index, listener);
                let socket = self.socket(plan, n, number, Some(at), None);
                self.instances[n].stage = match self.bind(plan, n, number, socket, at) {
                    Ok(()) => Stage::Listen(listener, socket),
                    Err(_) => Stage::Open(listener + 1),
                };
            }
            Stage::Listen(listener, socket) => {
                let number = numbering.listener(index, listener);
                let result = self.net.world.listen(socket, BACKLOG);
                let local = self.net.world.local_addr(socket);
                let seen = result.map(|()| Seen {
                    local: Some(local),
                    ..Seen::default()
                });
                self.note(plan, n, number, Op::Listen, Args::Backlog(BACKLOG), seen);
                match result {
                    Ok(()) => self
                        .listeners
                        .entry((*host, local.port))
                        .or_default()
                        .push(socket),
                    Err(_) => self.net.world.close(socket),
                }
                self.instances[n].stage = Stage::Open(listener + 1);
            }
            Stage::Next => {
                let at = process.bind_of(index, connection).map(Endpoint::from);
                let to = process.connect_of(index, connection).map(Endpoint::from);
                let number = numbering.connection(index, round, connection);
                self.instances[n].connection += 1;
                self.instances[n].last = now;
                let socket = self.socket(plan, n, number, at, to);
                match at {
                    None => self.connect(plan, n, socket, to),
                    Some(at) => match (self.bind(plan, n, number, socket, at), to) {
                        (Ok(()), Some(_)) => self.instances[n].stage = Stage::Connect(socket, to),
                        (Ok(()), None) => self.connect(plan, n, socket, None),
                        (Err(_), _) => self.instances[n].stage = Stage::Next,
                    },
                }
            }
            Stage::Connect(socket, to) => self.connect(plan, n, socket, to),
            Stage::Held | Stage::Calling(..) | Stage::Draining | Stage::Done => {}
        }
        self.skip(plan, n);
    }

    /// The number of the connection that an instance is about.
    fn number(&self, plan: &Plan, n: usize) -> u32 {
        let one = &self.instances[n];
        let connection = one.connection.saturating_sub(1);
        plan.programs[one.program]
            .numbering
            .connection(one.index, one.round, connection)
    }

    fn connect(&mut self, plan: &Plan, n: usize, socket: WorldSock, to: Option<Endpoint>) {
        let Some(to) = to else {
            self.hold(plan, n, socket, None);
            self.instances[n].stage = Stage::Next;
            return;
        };
        match self.net.world.connect(socket, to) {
            Poll::Pending => self.instances[n].stage = Stage::Calling(socket, to),
            Poll::Ready(answer) => self.answered(plan, n, socket, to, answer),
        }
    }

    fn answered(
        &mut self,
        plan: &Plan,
        n: usize,
        socket: WorldSock,
        to: Endpoint,
        answer: Result<(), Errno>,
    ) {
        let seen = answer.map(|()| Seen {
            local: Some(self.net.world.local_addr(socket)),
            peer: self.net.world.peer_addr(socket).ok(),
            bytes: None,
        });
        let number = self.number(plan, n);
        self.note(plan, n, number, Op::Connect, Args::To(to), seen);
        self.instances[n].stage = Stage::Next;
        if answer.is_err() {
            self.net.world.close(socket);
            return;
        }
        let host = plan.programs[self.instances[n].program].host;
        self.accept_all(host, to);
        let ends = self
            .net
            .world
            .peer_addr(socket)
            .ok()
            .map(|peer| (peer, self.net.world.local_addr(socket)));
        self.hold(plan, n, socket, ends);
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
            while let Poll::Ready(Ok(child)) = self.net.world.accept(*listener, 0) {
                if let Ok(peer) = self.net.world.peer_addr(child) {
                    self.accepted
                        .insert((self.net.world.local_addr(child), peer), child);
                }
            }
        }
    }

    fn hold(
        &mut self,
        plan: &Plan,
        n: usize,
        client: WorldSock,
        ends: Option<(Endpoint, Endpoint)>,
    ) {
        let Hold::For(time) = plan.programs[self.instances[n].program].process.hold else {
            return;
        };
        self.instances[n].open += 1;
        let at = self.net.world.now() + time;
        self.closings.push(Closing {
            at,
            instance: n,
            client,
            ends,
            what: Part::Release,
        });
    }

    fn close(&mut self, plan: &Plan, closing: Closing) {
        let now = self.net.world.now();
        let Closing {
            instance,
            client,
            ends,
            what,
            ..
        } = closing;
        let later = |what| Closing {
            at: now,
            instance,
            client,
            ends,
            what,
        };
        let how = plan.programs[self.instances[instance].program]
            .process
            .close;
        let server = ends.and_then(|ends| self.accepted.get(&ends).copied());
        match (what, how, server) {
            (Part::Release, Close::Server, Some(server)) => {
                self.forget(ends);
                self.net.world.close(server);
                self.closings.push(later(Part::Client));
            }
            (Part::Release, Close::Both, Some(server)) => {
                self.forget(ends);
                self.net.close_both(client, server);
                self.closed(instance);
            }
            (Part::Release, _, _) => {
                if how == Close::Reset {
                    // The option cannot fail: every kernel has it.
                    let _ = self.net.world.set_option(client, SockOpt::RESET);
                }
                self.net.world.close(client);
                self.closed(instance);
                if server.is_some() {
                    self.closings.push(later(Part::Server));
                }
            }
            (Part::Client, _, _) => {
                self.net.world.close(client);
                self.closed(instance);
            }
            (Part::Server, _, _) => {
                self.forget(ends);
                if let Some(server) = server {
                    self.net.world.close(server);
                }
            }
        }
    }

    fn forget(&mut self, ends: Option<(Endpoint, Endpoint)>) {
        if let Some(ends) = ends {
            self.accepted.remove(&ends);
        }
    }

    fn closed(&mut self, n: usize) {
        self.instances[n].open = self.instances[n].open.saturating_sub(1);
    }

    /// A new socket with the process's options. An option that the kernel refuses is an attempt; the program goes on.
    fn socket(
        &mut self,
        plan: &Plan,
        n: usize,
        number: u32,
        at: Option<Endpoint>,
        to: Option<Endpoint>,
    ) -> WorldSock {
        let Program { process, host, .. } = &plan.programs[self.instances[n].program];
        let family = call::family(at.map(Into::into), to.map(Into::into));
        let socket = self
            .net
            .world
            .socket(self.net.hosts[*host].ns, family, process.uid);
        for option in process.options.iter() {
            let set = self.net.world.set_option(socket, option);
            if let Err(errno) = set {
                let args = Args::Option(option.name().into(), option.value().to_string().into());
                self.note(plan, n, number, Op::Set, args, Err(errno));
            }
        }
        socket
    }

    fn bind(
        &mut self,
        plan: &Plan,
        n: usize,
        number: u32,
        socket: WorldSock,
        at: Endpoint,
    ) -> Result<(), Errno> {
        let result = self.net.world.bind(socket, at);
        let seen = result.map(|()| Seen {
            local: Some(self.net.world.local_addr(socket)),
            ..Seen::default()
        });
        self.note(plan, n, number, Op::Bind, Args::At(at), seen);
        if result.is_err() {
            self.net.world.close(socket);
        }
        result
    }

    fn note(
        &mut self,
        plan: &Plan,
        n: usize,
        number: u32,
        op: Op,
        args: Args,
        result: Result<Seen, Errno>,
    ) {
        let Instance { program, index, .. } = self.instances[n];
        let answer = Answer::from(result.as_ref().map(|_| ()).map_err(|errno| *errno));
        *self
            .counts
            .entry((program, op, answer.clone()))
            .or_default() += 1;
        let Some(log) = &mut self.log else { return };
        let Program { name, host, .. } = &plan.programs[program];
        let caller = Caller {
            who: log.who(plan.hosts[*host].clone(), name.clone()),
            instance: index + 1,
            socket: SocketId::Numbered(number),
        };
        let slot = log.call(self.net.elapsed(), caller, op, args);
        match result {
            Ok(seen) => log.ok(slot, seen),
            Err(_) => log.failed(slot, answer, self.net.world.take_refusal()),
        }
    }

    /// Notes the calls that never returned; for the end of a run.
    pub(super) fn finish(&mut self) {
        for n in 0..self.instances.len() {
            if matches!(self.instances[n].stage, Stage::Calling(..)) {
                let key = (self.instances[n].program, Op::Connect, Answer::Waiting);
                *self.counts.entry(key).or_default() += 1;
            }
        }
    }

    /// A digest that is equal for states from which the same can come. Instances of one process that stand at the same
    /// place are interchangeable, and so are their sockets.
    pub(super) fn digest(&self, plan: &Plan) -> u64 {
        let mut named: Vec<(u64, Endpoint, Option<Endpoint>, WorldSock)> = Vec::new();
        let mut places: Vec<u64> = Vec::with_capacity(self.instances.len());
        let holds = |n: usize| self.closings.iter().filter(|one| one.instance == n).count();
        for (n, one) in self.instances.iter().enumerate() {
            let process = &plan.programs[one.program].process;
            let turn = u64::from(one.index) * u64::from(process.connections);
            // Which of the addresses in turn come next.
            let in_turn = |list: usize| if list == 0 { 0 } else { turn % list as u64 };
            // An instance with several sockets of its own is told from its like, because they belong together.
            let several = if holds(n) > 1 { n + 1 } else { 0 };
            let (stage, socket) = match one.stage {
                Stage::Held => (0, None),
                Stage::Open(listener) => (10 + u64::from(listener), None),
                Stage::Listen(listener, socket) => (100_000 + u64::from(listener), Some(socket)),
                Stage::Next => (1, None),
                Stage::Connect(socket, _) => (2, Some(socket)),
                Stage::Calling(socket, _) => (3, Some(socket)),
                Stage::Draining => (4, None),
                Stage::Done => (5, None),
            };
            let paced = matches!(one.stage, Stage::Done) || process.every.is_zero();
            let place = mix(&[
                one.program as u64,
                stage,
                one.at.nanos(),
                u64::from(one.round),
                u64::from(one.connection),
                if paced { 0 } else { one.last.nanos() },
                u64::from(one.open),
                in_turn(process.bind.len()),
                in_turn(process.connect.len()),
                several as u64,
            ]);
            places.push(place);
            if let Some(socket) = socket {
                named.push(self.name(mix(&[place, 1]), socket));
            }
        }
        for closing in &self.closings {
            let place = places[closing.instance];
            let label = mix(&[place, 2, closing.at.nanos(), closing.what as u64]);
            if closing.what != Part::Server {
                named.push(self.name(label, closing.client));
            }
            if let Some(server) = closing.ends.and_then(|ends| self.accepted.get(&ends)) {
                named.push(self.name(mix(&[label, 3]), *server));
            }
        }
        for ((host, port), sockets) in &self.listeners {
            for socket in sockets {
                named.push(self.name(mix(&[4, *host as u64, u64::from(*port)]), *socket));
            }
        }
        named.sort_unstable_by_key(|a| (a.0, a.1, a.2));
        places.sort_unstable();
        let mut parts = places;
        parts.push(self.net.world.now().nanos());
        parts.extend(named.iter().map(|(label, ..)| *label));
        let mut machines: Vec<_> = self.net.hosts.iter().map(|host| host.ns.machine).collect();
        machines.sort_unstable();
        machines.dedup();
        for machine in machines {
            let ours: Vec<Option<SockId>> = named
                .iter()
                .map(|(.., socket)| (socket.machine == machine).then_some(socket.sock))
                .collect();
            parts.push(self.net.world.machine(machine).digest(&ours));
        }
        for ((program, op, answer), count) in &self.counts {
            let word = answer.word().bytes().map(u64::from);
            parts.extend([*program as u64, *op as u64, u64::from(*count)]);
            parts.extend(word);
        }
        mix(&parts)
    }

    fn name(&self, label: u64, socket: WorldSock) -> (u64, Endpoint, Option<Endpoint>, WorldSock) {
        (
            label,
            self.net.world.local_addr(socket),
            self.net.world.peer_addr(socket).ok(),
            socket,
        )
    }
}

/// One number out of many; equal lists give equal numbers on every machine.
fn mix(parts: &[u64]) -> u64 {
    let mut h = 0x9e37_79b9_7f4a_7c15_u64 ^ parts.len() as u64;
    for part in parts {
        h = (h ^ part).wrapping_mul(0xff51_afd7_ed55_8ccd);
        h ^= h >> 32;
        h = h.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        h ^= h >> 29;
    }
    h
}
