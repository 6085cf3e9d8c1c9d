//! The declarative form: instances that open listeners and make connections.
//!
//! Everything that happens is a [`Move`]. Moves are made in the order of time and, within one
//! instant, first in, first out; an instance makes its calls until it has to wait. `connect` is
//! such a wait: its port is chosen when it is called, and the instance goes to the back of the
//! queue before it continues, as a task of an async executor does; this is why instances of a
//! process take turns. One move makes at most one call on a socket that other instances can
//! observe; making a socket and setting its options belongs to the call after it.
//!
//! - this file: moves and the order of an instance's stages; [`calls`]: its calls; [`closing`]: the
//!   ends of connections and listeners; [`hosts`]: engines whose hosts act independently;
//!   [`places`]: the state for explorations of all orders; [`state`]: its parts

mod calls;
mod closing;
mod hosts;
mod places;
mod state;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::queue::Queue;
use crate::{CallLog, Caller, HostId, Nanos, Plan, ProcessId, Role, SocketApi};
use state::{Calling, Ending, Instance, Listener, OpenConnection, Opened, Served, Server};

pub use places::{Place, Upcoming};
pub use state::{InstanceState, Move};

/// The state of a plan's processes during a run.
#[derive(Clone, Debug)]
pub struct Interpreter<S> {
    queue: Queue<Move>,
    /// The instance whose turn it is: it continues before all others.
    turn: Option<u32>,
    /// A move that is queued at the end of that turn.
    after_move: Option<Move>,
    instances: Vec<Instance<S>>,
    /// For each process, the number of instances that have attempts to make.
    busy: Vec<u32>,
    /// For each process, the number of processes that it still waits for.
    waits_for: Vec<u32>,
    /// The instance whose connect was made by the last move and is pending.
    called: Option<u32>,
    /// Instances with a pending connect, in the order of the calls.
    calling: Vec<u32>,
    /// Hosts that have crashed.
    down: Vec<HostId>,
    /// Listeners accept when a connection arrives, not when the client's connect returns.
    accepts_on_arrival: bool,
    held: Vec<Option<OpenConnection<S>>>,
    /// Free indices of `held`.
    free: Vec<u32>,
    listeners: BTreeMap<(HostId, u16), Vec<Listener<S>>>,
    opened: Vec<Opened<S>>,
    endings: Vec<Ending>,
    /// For each process, its instances that have not opened all their listeners.
    opening: Vec<u32>,
    /// Accepted sockets that may still be closed, by number.
    accepted: Vec<Option<Served<S>>>,
    /// Accepted sockets that were not matched to a connection yet, by their addresses.
    unclaimed: BTreeMap<(SocketAddr, SocketAddr), u32>,
}

/// The execution of one move, with everything that it modifies.
struct Execution<'a, S, A, L> {
    it: &'a mut Interpreter<S>,
    plan: &'a Plan,
    api: &'a mut A,
    log: &'a mut L,
}

impl<S: Copy + Eq> Interpreter<S> {
    /// The state before the processes start.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut instances = Vec::new();
        for (n, process) in (0..).zip(plan.processes()) {
            instances.extend((0..process.count).map(|index| Instance {
                process: ProcessId(n),
                index,
                stage: InstanceState::Held,
                at: process.start,
                round: 0,
                connection: 0,
                last: 0,
                open: 0,
                calling: None,
            }));
        }
        let processes = plan.processes().iter();
        let mut this = Interpreter {
            queue: Queue::default(),
            turn: None,
            after_move: None,
            instances,
            busy: processes.clone().map(|one| one.count).collect(),
            opening: processes.clone().map(|one| one.count).collect(),
            waits_for: processes
                .map(|one| one.after.len() as u32 + u32::from(one.is_forked()))
                .collect(),
            called: None,
            calling: Vec::new(),
            down: Vec::new(),
            accepts_on_arrival: false,
            held: Vec::new(),
            free: Vec::new(),
            listeners: BTreeMap::new(),
            opened: Vec::new(),
            endings: Vec::new(),
            accepted: Vec::new(),
            unclaimed: BTreeMap::new(),
        };
        for n in 0..this.busy.len() {
            if this.waits_for[n] == 0 {
                let process = ProcessId(n as u32);
                this.begin(plan, process, plan.process(process).start);
            }
        }
        this
    }

    /// Adds a listener of a host.
    pub fn add_listener(&mut self, host: HostId, port: u16, socket: S) {
        let listeners = self.listeners.entry((host, port)).or_default();
        listeners.push(Listener { socket, of: None });
    }

    fn begin(&mut self, plan: &Plan, process: ProcessId, at: Nanos) {
        let is_down = self.down.contains(&plan.process(process).host);
        for n in plan.instances(process) {
            if is_down {
                self.finished(plan, n);
                continue;
            }
            let instance = &mut self.instances[n as usize];
            instance.stage = InstanceState::Open(0);
            instance.at = at;
            self.queue.push(at, Move::Go(n));
        }
    }

    /// The time of the last [`set_now`](Self::set_now).
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.queue.now()
    }

    /// Sets the time.
    pub fn set_now(&mut self, now: Nanos) {
        self.queue.advance(now);
    }

    /// The time of the next due move; `None` while all instances wait for connects.
    #[must_use]
    pub fn next_due(&self) -> Option<Nanos> {
        match self.turn {
            Some(_) => Some(self.now()),
            None => self.queue.next(),
        }
    }

    /// `true` while an instance has attempts to make. Closes may be left when none has.
    #[must_use]
    pub fn has_attempts(&self) -> bool {
        self.busy.iter().any(|busy| *busy > 0)
    }

    /// `true` while a connect has no answer.
    #[must_use]
    pub fn is_calling(&self) -> bool {
        self.called.is_some() || !self.calling.is_empty()
    }

    /// True while an instance is in the middle of its turn.
    #[must_use]
    pub fn in_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// Removes the next move in the order of time and arrival, if one is due.
    pub fn next_move(&mut self) -> Option<Move> {
        match self.turn.take() {
            Some(instance) => Some(Move::Go(instance)),
            None => self.queue.pop(),
        }
    }

    /// The moves that can be made now, in no particular order.
    pub fn enabled(&self) -> impl Iterator<Item = Move> {
        let turn = self.turn.map(Move::Go).into_iter();
        turn.chain(self.after_move).chain(self.queue.due().copied())
    }

    /// Removes one of the enabled moves. Returns `false` if it is not enabled.
    pub fn take(&mut self, one: Move) -> bool {
        if self.turn.map(Move::Go) == Some(one) {
            self.turn = None;
            return true;
        }
        if !self.enabled().any(|enabled| enabled == one) {
            return false;
        }
        // The instance that had the turn queues up like all others.
        let turn = self.turn.take().map(Move::Go);
        for one in turn.into_iter().chain(self.after_move.take()) {
            self.queue.push(self.now(), one);
        }
        self.queue.take(&one)
    }

    /// Makes a move that was removed before.
    pub fn step<A, L>(&mut self, plan: &Plan, one: Move, api: &mut A, log: &mut L)
    where
        A: SocketApi<Socket = S>,
        L: CallLog<A::Reason>,
    {
        let mut turn = Execution {
            it: self,
            plan,
            api,
            log,
        };
        turn.keep_called();
        match one {
            Move::Go(instance) => turn.go(instance),
            Move::Answered(instance) => turn.answered(instance),
            Move::Release(held) => turn.release(held),
            Move::CloseClient(held) => turn.close_client(held),
            Move::CloseServer(held) => turn.close_server(held),
            Move::CloseListener(ending) => turn.close_listener(ending),
            Move::CloseAccepted(accepted) => turn.close_accepted(accepted),
        }
        if self.turn.is_none()
            && let Some(next) = self.after_move.take()
        {
            self.queue.push(self.now(), next);
        }
    }

    /// Polls the pending connects. Returns true if one has completed.
    pub fn poll<A, L>(&mut self, plan: &Plan, api: &mut A, log: &mut L) -> bool
    where
        A: SocketApi<Socket = S>,
        L: CallLog<A::Reason>,
    {
        let mut turn = Execution {
            it: self,
            plan,
            api,
            log,
        };
        turn.poll(|_| true)
    }

    /// Polls the connect of the last move, on engines that complete it when the sent packets have
    /// arrived.
    pub fn settled<A, L>(&mut self, plan: &Plan, api: &mut A, log: &mut L)
    where
        A: SocketApi<Socket = S>,
        L: CallLog<A::Reason>,
    {
        let mut turn = Execution {
            it: self,
            plan,
            api,
            log,
        };
        turn.settled();
    }

    /// Ends an instance that has made all its attempts.
    fn finished(&mut self, plan: &Plan, n: u32) {
        let instance = &mut self.instances[n as usize];
        instance.stage = InstanceState::Done;
        let process = instance.process;
        let busy = &mut self.busy[process.index()];
        *busy = busy.saturating_sub(1);
        if *busy > 0 {
            return;
        }
        self.release_waiters(plan, plan.then(process));
    }

    /// One of the processes that these wait for has come so far.
    fn release_waiters(&mut self, plan: &Plan, waiters: &[ProcessId]) {
        for &waiter in waiters {
            let waits_for = &mut self.waits_for[waiter.index()];
            if *waits_for == 0 {
                continue;
            }
            *waits_for -= 1;
            if *waits_for == 0 {
                self.begin(plan, waiter, self.now());
            }
        }
    }

    /// An instance has opened its listeners: processes that are forked start.
    fn listens(&mut self, plan: &Plan, process: ProcessId) {
        let opening = &mut self.opening[process.index()];
        *opening = opening.saturating_sub(1);
        if *opening == 0 {
            self.release_waiters(plan, plan.forks(process));
        }
    }

    /// Selects the next stage of an instance after a call.
    fn go_on(&mut self, plan: &Plan, n: u32) {
        let now = self.now();
        loop {
            let one = &mut self.instances[n as usize];
            let process = plan.process(one.process);
            match one.stage {
                InstanceState::Open(listener) if listener as usize >= process.listen.len() => {
                    one.stage = InstanceState::Next;
                    let process = one.process;
                    self.listens(plan, process);
                }
                InstanceState::Open(_) | InstanceState::Listen(..) | InstanceState::Connect(..) => {
                    self.turn = Some(n);
                    return;
                }
                InstanceState::Next if one.connection < process.per_round() => {
                    let first = one.round == 0 && one.connection == 0;
                    one.at = if first {
                        now
                    } else {
                        one.last.saturating_add(process.every)
                    };
                    if one.at > now {
                        self.queue.push(one.at, Move::Go(n));
                    } else {
                        self.turn = Some(n);
                    }
                    return;
                }
                InstanceState::Next if process.per_round() == 0 && one.open > 0 => {
                    one.stage = InstanceState::Draining;
                    return;
                }
                InstanceState::Next if process.is_last_round(one.round) => {
                    self.finished(plan, n);
                    return;
                }
                InstanceState::Next if one.open > 0 && process.hold.is_some() => {
                    one.stage = InstanceState::Draining;
                    return;
                }
                InstanceState::Next => {
                    one.round += 1;
                    one.connection = 0;
                    one.open = 0;
                }
                InstanceState::Held
                | InstanceState::Calling(_)
                | InstanceState::Draining
                | InstanceState::Done => return,
            }
        }
    }

    /// True for a move without a call that other instances can observe: an exploration need not try
    /// it in all orders.
    #[must_use]
    pub fn is_internal(&self, plan: &Plan, one: Move) -> bool {
        match one {
            Move::Answered(_) => true,
            Move::Go(n) => {
                let instance = &self.instances[n as usize];
                let process = plan.process(instance.process);
                instance.stage == InstanceState::Open(0)
                    && process.listen.is_empty()
                    && process.inherit.is_none()
                    && process.per_round() == 0
            }
            _ => false,
        }
    }

    fn role_of(&self, plan: &Plan, n: u32, connection: u32) -> Role {
        let instance = &self.instances[n as usize];
        let per_round = plan.process(instance.process).per_round();
        let earlier = per_round.saturating_mul(instance.round);
        Role::Connection(earlier.saturating_add(connection))
    }

    fn caller(&self, n: u32, socket: Role) -> Caller {
        let instance = &self.instances[n as usize];
        Caller::Instance {
            process: instance.process,
            instance: instance.index,
            socket,
        }
    }
}
