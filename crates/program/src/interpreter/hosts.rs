//! Engines in which every host makes its own moves and may crash: simulations of a network with
//! latency.

use super::{Execution, InstanceState, Interpreter, Move};
use crate::{CallLog, HostId, Nanos, Plan, ProcessId, SocketApi};

impl<S: Copy + Eq> Interpreter<S> {
    /// Makes listeners accept in [`accept_on`](Self::accept_on), not when a client's connect
    /// returns.
    pub fn accept_on_arrival(&mut self) {
        self.accepts_on_arrival = true;
    }

    /// Accepts all connections that arrived at the listeners of these hosts.
    pub fn accept_on<A, L>(&mut self, plan: &Plan, hosts: &[HostId], api: &mut A, log: &mut L)
    where
        A: SocketApi<Socket = S>,
        L: CallLog<A::Reason>,
    {
        let at = self.listeners.keys().copied();
        let at: alloc::vec::Vec<_> = at.filter(|(host, _)| hosts.contains(host)).collect();
        let mut turn = Execution {
            it: self,
            plan,
            api,
            log,
        };
        for at in at {
            turn.accept_all(at, None);
        }
    }

    /// Removes the next move of one of these hosts, if one is due.
    pub fn next_move_on(&mut self, plan: &Plan, hosts: &[HostId]) -> Option<Move> {
        let next = self
            .enabled()
            .find(|one| hosts.contains(&self.host_of(plan, *one)))?;
        self.take(next).then_some(next)
    }

    /// The time of the next due move of these hosts, or of the next move of any host if that is
    /// earlier.
    #[must_use]
    pub fn next_due_on(&self, plan: &Plan, hosts: &[HostId]) -> Option<Nanos> {
        let mine = |one: Move| hosts.contains(&self.host_of(plan, one));
        if self.enabled().any(mine) {
            return Some(self.now());
        }
        self.queue.later()
    }

    /// Polls the pending connects on these hosts. Returns true if one has completed.
    pub fn poll_on<A, L>(&mut self, plan: &Plan, hosts: &[HostId], api: &mut A, log: &mut L) -> bool
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
        turn.poll(|process| hosts.contains(&plan.process(process).host))
    }

    fn host_at(&self, plan: &Plan, instance: u32) -> HostId {
        plan.process(self.instances[instance as usize].process).host
    }

    /// The host that makes a move.
    fn host_of(&self, plan: &Plan, one: Move) -> HostId {
        let held = |held: u32| Some(self.held.get(held as usize)?.as_ref()?.instance);
        let opened = |opened: u32| self.opened[opened as usize].instance;
        let instance = match one {
            Move::Go(n) | Move::Answered(n) => Some(n),
            Move::Release(n) | Move::CloseClient(n) | Move::CloseServer(n) => held(n),
            Move::CloseListener(n) => Some(self.endings[n as usize].instance),
            Move::CloseAccepted(n) => {
                let served = self.accepted[n as usize].as_ref();
                served.and_then(|served| served.of).map(opened)
            }
        };
        instance.map_or(HostId(u32::MAX), |n| self.host_at(plan, n))
    }

    /// Crashes a host: its instances and their sockets are gone, and make no call unless the host
    /// is [restarted](Self::restart). Their attempts count as made.
    pub fn crash(&mut self, plan: &Plan, host: HostId) {
        self.down.push(host);
        let gone: alloc::vec::Vec<bool> = (0..self.instances.len())
            .map(|n| self.host_at(plan, n as u32) == host)
            .collect();
        let stays = |n: &u32| !gone[*n as usize];
        self.turn = self.turn.filter(stays);
        let after_move = self.after_move.take();
        after_move
            .into_iter()
            .for_each(|one| self.queue.push(0, one));
        self.called = self.called.filter(stays);
        self.calling.retain(stays);
        self.listeners.retain(|(at, _), _| *at != host);
        self.queue.retain(|one| match one {
            Move::Go(n) | Move::Answered(n) => stays(n),
            Move::Release(n) | Move::CloseClient(n) | Move::CloseServer(n) => {
                let held = self.held.get(*n as usize);
                held.is_some_and(|held| held.as_ref().is_some_and(|one| stays(&one.instance)))
            }
            Move::CloseListener(n) => stays(&self.endings[*n as usize].instance),
            Move::CloseAccepted(_) => true,
        });
        for opened in &mut self.opened {
            if !stays(&opened.instance) {
                opened.shared_by = 0;
            }
        }
        for (place, held) in (0..).zip(&mut self.held) {
            if held.as_ref().is_some_and(|one| !stays(&one.instance)) {
                *held = None;
                self.free.push(place);
            }
        }
        for (n, gone) in (0..).zip(gone) {
            if !gone {
                continue;
            }
            let instance = &mut self.instances[n as usize];
            (instance.calling, instance.open) = (None, 0);
            match instance.stage {
                InstanceState::Done => {}
                InstanceState::Held if self.waits_for[instance.process.0 as usize] > 0 => {}
                _ => self.finished(plan, n),
            }
        }
    }

    /// Restarts a host: its instances start again if their process has started before.
    pub fn restart(&mut self, plan: &Plan, host: HostId) {
        self.down.retain(|one| *one != host);
        for (n, process) in (0..).map(ProcessId).zip(plan.processes()) {
            if process.host != host || self.waits_for[n.index()] > 0 {
                continue;
            }
            for instance in plan.instances(n) {
                let one = &mut self.instances[instance as usize];
                (one.round, one.connection, one.last) = (0, 0, 0);
            }
            self.busy[n.index()] = process.count;
            self.begin(plan, n, self.now().max(process.start));
        }
    }
}
