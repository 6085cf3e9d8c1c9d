//! The processes of a scenario at any moment: at each instant any of the moves that can be made may
//! be the next.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use fourtuple_harness::{Answer, EngineError, Name, Net, Recording, answer, compile};
use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::{MachineId, NsId, Refusal, SockId, WorldSock};
use fourtuple_program::{
    CallId, CallLog, Caller, Clock, HostId, InstanceState, Interpreter, Move, Nanos, Place, Plan,
    Upcoming,
};
use fourtuple_scenario::{Case, Op};
use fourtuple_syscall::{Outcome, Syscall};

use super::recorded::RecordedChoices;
use super::symmetry::Symmetry;
use crate::chooser::ExperimentChooser;
use crate::mix::mix;

/// Counts of answers by process and call.
pub(super) type Counts = BTreeMap<(usize, Op, Answer), u32>;

/// The constants of a run.
pub(super) struct Explored<'a> {
    case: &'a Case,
    plan: Arc<Plan>,
    /// The names of the processes.
    pub(super) names: Vec<Name>,
}

/// A state of the whole scenario.
#[derive(Clone)]
pub(super) struct State {
    net: Net<ExperimentChooser>,
    interpreter: Interpreter<WorldSock>,
    log: Log,
}

/// The calls that were made: how many of each kind and, for those who want to read them, each.
#[derive(Clone, Default)]
struct Log {
    counts: Counts,
    /// Connects that have no answer, with their process and their place in the recording.
    begun: Vec<(CallId, usize, Option<CallId>)>,
    next: u32,
    recording: Option<Recording>,
}

impl Log {
    fn count(&mut self, process: usize, op: Op, answer: Answer) {
        *self.counts.entry((process, op, answer)).or_default() += 1;
    }
}

impl CallLog<Refusal> for Log {
    fn done(
        &mut self,
        at: Nanos,
        caller: Caller,
        call: &Syscall<()>,
        outcome: &Outcome,
        reason: Option<Refusal>,
    ) {
        let op = match call {
            Syscall::Bind { .. } => Some(Op::Bind),
            Syscall::Listen { .. } => Some(Op::Listen),
            Syscall::Set { .. } if !outcome.is_ok() => Some(Op::Set),
            Syscall::Socket { .. } if !outcome.is_ok() => Some(Op::Socket),
            _ => None,
        };
        if let (Some(op), Caller::Instance { process, .. }) = (op, caller) {
            self.count(process.0 as usize, op, answer(outcome));
        }
        if let Some(recording) = &mut self.recording {
            recording.done(at, caller, call, outcome, reason);
        }
    }

    fn begin(&mut self, at: Nanos, caller: Caller, call: &Syscall<()>) -> CallId {
        self.next += 1;
        let id = CallId(self.next);
        let recording = self.recording.as_mut();
        let recorded = recording.map(|recording| recording.begin(at, caller, call));
        if let Caller::Instance { process, .. } = caller {
            self.begun.push((id, process.0 as usize, recorded));
        }
        id
    }

    fn end(&mut self, at: Nanos, id: CallId, outcome: &Outcome, reason: Option<Refusal>) {
        let Some(place) = self.begun.iter().position(|(one, ..)| *one == id) else {
            return;
        };
        let (_, process, recorded) = self.begun.remove(place);
        self.count(process, Op::Connect, answer(outcome));
        if let (Some(recording), Some(recorded)) = (&mut self.recording, recorded) {
            recording.end(at, recorded, outcome, reason);
        }
    }
}

impl State {
    /// The state before the first call.
    pub(super) fn start<'a>(
        case: &'a Case,
        profile: &Profile,
        phase: u64,
    ) -> Result<(Explored<'a>, State), EngineError> {
        let mut choices = RecordedChoices::default();
        choices.set_phase(phase);
        let net = Net::new(case, profile, &mut |_| choices.clone().into())?;
        let plan = Arc::new(compile::plan(case)?);
        let mut interpreter = Interpreter::new(&plan);
        for (host, socket, port) in &net.listeners {
            interpreter.add_listener(HostId(*host as u32), *port, *socket);
        }
        let names = case.program.processes().into_iter().flatten();
        let explored = Explored {
            case,
            names: names.map(|(name, _)| name.as_str().into()).collect(),
            plan,
        };
        let mut state = State {
            net,
            interpreter,
            log: Log::default(),
        };
        state.net.world.set_explain(false);
        state.settle(&explored);
        Ok((explored, state))
    }

    /// Notes attempts from now on.
    pub(super) fn with_recording(mut self, explored: &Explored<'_>) -> Self {
        self.log.recording = Some(Recording::new(explored.case, &explored.plan));
        self.net.world.set_explain(true);
        self
    }

    /// The attempts, if they were noted.
    pub(super) fn recorded(self) -> Option<Recording> {
        self.log.recording
    }

    /// Counts of answers by process and call. A connect without an answer is one that waits.
    pub(super) fn counts(&self) -> Counts {
        let mut log = self.log.clone();
        for (_, process, _) in std::mem::take(&mut log.begun) {
            log.count(process, Op::Connect, Answer::Waiting);
        }
        log.counts
    }

    /// The source of choices from now on.
    pub(super) fn replay(&mut self, choices: &RecordedChoices) {
        for host in 0..self.net.hosts.len() {
            let machine = self.net.hosts[host].ns.machine;
            let chooser = self.net.world.machine_mut(machine).chooser_mut();
            if let Some(own) = chooser.recorded_mut() {
                own.replay(choices);
            }
        }
    }

    /// Lets every connect() search start anywhere from now on, whatever came before.
    pub(super) fn free_searches(&mut self) {
        for machine in self.machines() {
            let chooser = self.net.world.machine_mut(machine).chooser_mut();
            if let Some(own) = chooser.recorded_mut() {
                own.free_searches();
            }
        }
    }

    /// The number of instances.
    pub(super) fn instances(&self) -> u64 {
        self.interpreter.places().count() as u64
    }

    /// The moves that can be made next: instances first, each by its number, then closes as they
    /// came. Empty at the end.
    pub(super) fn enabled(&self) -> Vec<Move> {
        let mut moves: Vec<Move> = self.interpreter.enabled().collect();
        moves.sort_by_key(|one| match one {
            Move::Go(n) => *n,
            _ => u32::MAX,
        });
        moves
    }

    /// Makes one of the moves that can be made, and lets time pass until there is another.
    pub(super) fn perform(&mut self, explored: &Explored<'_>, one: Move) {
        self.make(explored, one);
        self.settle(explored);
    }

    fn make(&mut self, explored: &Explored<'_>, one: Move) {
        if self.interpreter.take(one) {
            let (plan, net, log) = (&explored.plan, &mut self.net, &mut self.log);
            self.interpreter.step(plan, one, net, log);
        }
    }

    /// Makes the moves that no other process notices; if there is nothing to choose from, time
    /// passes.
    fn settle(&mut self, explored: &Explored<'_>) {
        let plan = &explored.plan;
        loop {
            self.interpreter.set_now(self.net.now());
            if self.interpreter.is_calling() {
                let (net, log) = (&mut self.net, &mut self.log);
                self.interpreter.poll(plan, net, log);
            }
            let mut enabled = self.interpreter.enabled();
            let internal = enabled.find(|one| self.interpreter.is_internal(plan, *one));
            drop(enabled);
            if let Some(internal) = internal {
                self.make(explored, internal);
                continue;
            }
            if self.interpreter.enabled().next().is_some() {
                return;
            }
            let timer = if self.interpreter.is_calling() {
                self.net.next_event()
            } else {
                None
            };
            let next = self.interpreter.next_due().into_iter().chain(timer).min();
            match next {
                Some(next) => self.net.advance(next),
                None => return,
            }
        }
    }

    /// A digest that is equal for states from which the same can come. Instances of one process
    /// that stand at the same place are interchangeable, and so are their sockets.
    pub(super) fn digest(&self, explored: &Explored<'_>) -> u64 {
        let upcoming: Vec<_> = self.interpreter.upcoming().collect();
        let places = self.places(explored, &upcoming);
        let labels = self.labels(&places, &upcoming);
        let mut named: Vec<Named> = labels
            .into_iter()
            .map(|(label, socket)| self.name(label, socket))
            .collect();
        named.sort_unstable_by_key(|one| (one.label, one.local, one.peer));
        let mut parts = places;
        parts.sort_unstable();
        parts.push(self.net.now());
        parts.extend(named.iter().map(|one| one.label));
        for machine in self.machines() {
            let ours = named
                .iter()
                .map(|one| (one.socket.machine == machine).then_some(one.socket.sock));
            let ours: Vec<Option<SockId>> = ours.collect();
            let machine = self.net.world.machine(machine);
            parts.push(machine.digest(&ours));
            let choices = machine.chooser().recorded();
            let starts = choices.map(|own| own.next_starts(|hash| machine.search_base(hash)));
            parts.extend(starts.into_iter().flatten());
        }
        self.add_counts(&mut parts);
        mix(&parts)
    }

    /// A digest as [`State::digest`] that is equal as well for states which differ only in
    /// interchangeable ports, and the classes of equivalent moves: the first move of each, and how
    /// many there are.
    pub(super) fn symmetric(
        &self,
        explored: &Explored<'_>,
        symmetry: &Symmetry,
    ) -> (u64, Vec<(Move, u32)>) {
        let upcoming: Vec<_> = self.interpreter.upcoming().collect();
        let places = self.places(explored, &upcoming);
        let mut labels: BTreeMap<WorldSock, u64> = BTreeMap::new();
        for (label, socket) in self.labels(&places, &upcoming) {
            // A listener that will be closed has two labels, in no order.
            let known = labels.entry(socket).or_default();
            *known = known.wrapping_add(label);
        }
        let mut by_port: BTreeMap<(usize, u16), Vec<u64>> = BTreeMap::new();
        let mut parts = Vec::new();
        for machine in self.machines() {
            let host_of = |ns: NsId| {
                let mut hosts = self.net.hosts.iter();
                hosts.position(|host| host.ns.machine == machine && host.ns.ns == ns)
            };
            let label = |sock: SockId| labels.get(&WorldSock { machine, sock }).copied();
            let class = |ns, ip, port| symmetry.class_at(&host_of, ns, ip, port);
            let digests = self.net.world.machine(machine);
            for (at, part) in digests.digest_by_port(&label, &class) {
                match at {
                    Some(at) => by_port.entry(at).or_default().push(part),
                    None => parts.push(part),
                }
            }
        }
        parts.sort_unstable();
        let mut ports: Vec<u64> = Vec::with_capacity(by_port.len());
        let mut signatures: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
        for ((_, port), mut items) in by_port {
            items.sort_unstable();
            let signature = mix(&items);
            ports.push(signature);
            signatures.entry(port).or_default().push(signature);
        }
        ports.sort_unstable();
        parts.extend(ports);
        let moves = self.classes_of_moves(&places, &upcoming, &signatures);
        let mut sorted = places;
        sorted.sort_unstable();
        parts.extend(sorted);
        parts.push(self.net.now());
        let mut known: Vec<u64> = labels.into_values().collect();
        known.sort_unstable();
        parts.extend(known);
        self.add_counts(&mut parts);
        (mix(&parts), moves)
    }

    /// The moves that can be made next, equivalent ones together: the first one, and how many there
    /// are.
    fn classes_of_moves(
        &self,
        places: &[u64],
        upcoming: &[Upcoming<WorldSock>],
        signatures: &BTreeMap<u16, Vec<u64>>,
    ) -> Vec<(Move, u32)> {
        // Ports that are not interchangeable stand for themselves.
        let sign = |port: u16| {
            let found = signatures.get(&port);
            found.map_or(u64::from(port), |signatures| mix(signatures))
        };
        let world = &self.net.world;
        let local = |socket| sign(world.local_addr(socket).port());
        let peer = |socket| world.peer_addr(socket).map_or(0, |peer| sign(peer.port()));
        let stages: Vec<_> = self.interpreter.places().map(|one| one.stage).collect();
        let mut classes: Vec<(u64, Move, u32)> = Vec::new();
        for one in self.enabled() {
            let key = match one {
                Move::Go(n) | Move::Answered(n) => {
                    let own = stages[n as usize].socket().map_or(0, local);
                    mix(&[kind(one), places[n as usize], own])
                }
                _ => match upcoming.iter().find(|close| close.what == one) {
                    Some(close) => {
                        let place = close.instance.map_or(0, |n| places[n as usize]);
                        let client = close.client.map(local);
                        let port = client.or(close.server.map(peer)).unwrap_or(0);
                        mix(&[kind(one), place, close.at, port])
                    }
                    // Nothing is left to close; such moves change nothing.
                    None => mix(&[kind(one)]),
                },
            };
            match classes.iter_mut().find(|(known, ..)| *known == key) {
                Some((.., count)) => *count += 1,
                None => classes.push((key, one, 1)),
            }
        }
        classes
            .into_iter()
            .map(|(_, one, count)| (one, count))
            .collect()
    }

    fn machines(&self) -> Vec<MachineId> {
        let mut machines: Vec<_> = self.net.hosts.iter().map(|host| host.ns.machine).collect();
        machines.sort_unstable();
        machines.dedup();
        machines
    }

    fn add_counts(&self, parts: &mut Vec<u64>) {
        for ((process, op, answer), count) in &self.log.counts {
            let word = answer.word().bytes().map(u64::from);
            parts.extend([*process as u64, *op as u64, u64::from(*count)]);
            parts.extend(word);
        }
    }

    /// The places of the instances, each as one number.
    fn places(&self, explored: &Explored<'_>, upcoming: &[Upcoming<WorldSock>]) -> Vec<u64> {
        let mut holds: BTreeMap<u32, usize> = BTreeMap::new();
        for close in upcoming.iter().filter(|one| one.client.is_some()) {
            if let Some(instance) = close.instance {
                *holds.entry(instance).or_default() += 1;
            }
        }
        let place = |(n, one): (u32, Place<WorldSock>)| {
            // An instance with several sockets of its own is distinguished from equal ones, because
            // they belong together.
            let several = holds.get(&n).is_some_and(|count| *count > 1);
            let several = if several { u64::from(n) + 1 } else { 0 };
            mix(&[explored.place(&one, self.net.now()), several])
        };
        (0..).zip(self.interpreter.places()).map(place).collect()
    }

    /// The sockets that the processes can still name, each with what it is to them.
    fn labels(&self, places: &[u64], upcoming: &[Upcoming<WorldSock>]) -> Vec<(u64, WorldSock)> {
        let mut labels = Vec::new();
        for (one, place) in self.interpreter.places().zip(places) {
            if let Some(socket) = one.stage.socket() {
                labels.push((mix(&[*place, 1]), socket));
            }
        }
        for close in upcoming {
            let place = close.instance.map_or(0, |n| places[n as usize]);
            let label = mix(&[place, 2, close.at, kind(close.what)]);
            if let Some(client) = close.client {
                labels.push((label, client));
            }
            if let Some(server) = close.server {
                labels.push((mix(&[label, 3]), server));
            }
        }
        for (HostId(host), port, socket) in self.interpreter.listeners() {
            let label = mix(&[4, u64::from(host), u64::from(port)]);
            labels.push((label, socket));
        }
        labels
    }

    fn name(&self, label: u64, socket: WorldSock) -> Named {
        Named {
            label,
            local: self.net.world.local_addr(socket),
            peer: self.net.world.peer_addr(socket).ok(),
            socket,
        }
    }
}

/// A socket of a program, with what distinguishes it from others.
struct Named {
    label: u64,
    local: SocketAddr,
    peer: Option<SocketAddr>,
    socket: WorldSock,
}

impl Explored<'_> {
    /// One number for everything that an instance will do.
    fn place(&self, one: &Place<WorldSock>, now: Nanos) -> u64 {
        let process = self.plan.process(one.process);
        let turn = u64::from(one.index) * u64::from(process.connections);
        // Which of the addresses in turn come next.
        let in_turn = |list: usize| if list == 0 { 0 } else { turn % list as u64 };
        let stage = match one.stage {
            InstanceState::Held => 0,
            InstanceState::Open(listener) => 10 + u64::from(listener),
            InstanceState::Listen(listener, _) => 100_000 + u64::from(listener),
            InstanceState::Next => 1,
            InstanceState::Connect(..) => 2,
            InstanceState::Calling(_) => 3,
            InstanceState::Draining => 4,
            InstanceState::Done => 5,
        };
        let waits = matches!(one.stage, InstanceState::Open(_) | InstanceState::Next);
        let paced = matches!(one.stage, InstanceState::Done) || process.every == 0;
        mix(&[
            u64::from(one.process.0),
            stage,
            if waits { one.at.max(now) } else { 0 },
            u64::from(one.round),
            u64::from(one.connection),
            if paced { 0 } else { one.last },
            u64::from(one.open),
            in_turn(process.bind.len()),
            in_turn(process.connect.len()),
        ])
    }
}

/// The kind of a close, without its number.
fn kind(what: Move) -> u64 {
    match what {
        Move::Go(_) | Move::Answered(_) => 0,
        Move::Release(_) => 1,
        Move::CloseClient(_) => 2,
        Move::CloseServer(_) => 3,
        Move::CloseListener(_) => 4,
        Move::CloseAccepted(_) => 5,
    }
}
