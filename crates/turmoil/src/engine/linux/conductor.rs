//! Whose turn it is.
//!
//! On an ideal network tasks take turns in the order of (time, sequence number), first in, first
//! out within one instant, as in the model engine: a task has the turn until it asks for another
//! one or waits for a connect. Between turns everything that was sent arrives. On any other network
//! a turn is just a moment in turmoil's time.

use super::scene::Scene;
use crate::engine::drive::aftermath;
use crate::engine::grant::Grant;
use crate::network::Network;
use crate::{Errno, Socket};
use fourtuple_harness::{Seen, Slot};
use fourtuple_scenario::Case;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// A connect that has been called and whose answer nobody has looked at.
struct Calling {
    socket: Rc<Socket>,
    slot: Slot,
    sequence: u64,
    answer: Rc<Cell<Option<Result<(), Errno>>>>,
    grant: Rc<Grant>,
}

#[derive(Default)]
struct Inner {
    queue: BTreeMap<(Duration, u64), Rc<Grant>>,
    sequence: u64,
    /// Somebody has the turn.
    busy: bool,
    calling: Vec<Calling>,
    /// Connects that the network has not answered.
    waiting: Vec<Calling>,
    /// Tasks that have something left to do, on a network that is not ideal.
    tasks: usize,
    waker: Option<Waker>,
}

/// See the module's documentation.
pub(super) struct Conductor {
    network: Arc<Network>,
    ideal: bool,
    /// Until when the scenario's faults may give somebody something to do.
    aftermath: Option<Duration>,
    inner: RefCell<Inner>,
}

impl Conductor {
    pub(super) fn new(network: Arc<Network>, case: &Case) -> Self {
        let ideal = case.network.is_ideal();
        if ideal {
            network.clock.set(Duration::ZERO);
        }
        Conductor {
            network,
            ideal,
            aftermath: aftermath(case),
            inner: RefCell::default(),
        }
    }

    pub(super) fn is_ideal(&self) -> bool {
        self.ideal
    }

    /// The time of the kernels since the start.
    pub(super) fn now(&self) -> Duration {
        self.network.clock.elapsed().unwrap_or_default()
    }

    fn next_sequence(&self) -> u64 {
        let mut inner = self.inner.borrow_mut();
        inner.sequence += 1;
        inner.sequence
    }

    fn wake(&self) {
        if let Some(waker) = self.inner.borrow_mut().waker.take() {
            waker.wake();
        }
    }

    /// Gives `grant` when it is its turn at or after a point in time.
    pub(super) fn enqueue(&self, at: Duration, grant: &Rc<Grant>) {
        let sequence = self.next_sequence();
        self.inner
            .borrow_mut()
            .queue
            .insert((at, sequence), Rc::clone(grant));
        self.wake();
    }

    /// A task gives back its turn.
    fn release(&self) {
        self.inner.borrow_mut().busy = false;
        self.wake();
    }

    /// A task has, or no longer has, something left to do.
    fn count(&self, more: bool) {
        let mut inner = self.inner.borrow_mut();
        inner.tasks = if more {
            inner.tasks + 1
        } else {
            inner.tasks.saturating_sub(1)
        };
        drop(inner);
        self.wake();
    }

    /// Conducts a scenario to its end.
    pub(super) async fn run(scene: &Rc<Scene>) {
        scene.programs.start(scene);
        if scene.conductor.ideal {
            scene.conductor.conduct(scene).await;
        } else {
            scene.conductor.watch().await;
        }
    }

    async fn conduct(&self, scene: &Scene) {
        loop {
            self.quiet().await;
            self.look_at_calls(scene);
            let now = self.now();
            let next = self.inner.borrow().queue.keys().next().map(|(at, _)| *at);
            if next != Some(now) && self.look_at_waiting(scene) {
                continue;
            }
            // Kernel timers only matter ahead of the next turn, or to those who wait for the network.
            let nobody_waits = self.inner.borrow().waiting.is_empty();
            let timer = if nobody_waits {
                None
            } else {
                self.next_event()
            };
            match (next, timer) {
                (Some(at), timer) if timer.is_none_or(|timer| at <= timer) => {
                    self.advance(at).await;
                    let mut inner = self.inner.borrow_mut();
                    if let Some((_, grant)) = inner.queue.pop_first() {
                        inner.busy = true;
                        drop(inner);
                        grant.give();
                    }
                }
                (_, Some(timer)) => self.advance(timer).await,
                _ => return,
            }
        }
    }

    /// Gives turns when they are due, and waits until nobody has anything left to do.
    async fn watch(&self) {
        loop {
            // Whoever gets a turn now is not at work before turmoil's next step.
            self.network.clock.touch();
            let due = {
                let mut inner = self.inner.borrow_mut();
                let due = inner
                    .queue
                    .first_key_value()
                    .is_some_and(|((at, _), _)| *at <= self.now());
                if due { inner.queue.pop_first() } else { None }
            };
            if let Some((_, grant)) = due {
                grant.give();
                continue;
            }
            let (next, tasks) = {
                let inner = self.inner.borrow();
                (inner.queue.keys().next().map(|(at, _)| *at), inner.tasks)
            };
            let aftermath = self.aftermath.filter(|at| *at > self.now());
            if next.is_none() && tasks == 0 && aftermath.is_none() {
                return;
            }
            tokio::select! {
                biased;
                () = self.woken() => {}
                () = self.network.clock.sleep_until(next.into_iter().chain(aftermath).min()) => {}
            }
        }
    }

    async fn woken(&self) {
        let mut first = true;
        poll_fn(|cx| {
            if !std::mem::take(&mut first) {
                return Poll::Ready(());
            }
            self.inner.borrow_mut().waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Waits until nobody has the turn and nothing is under way.
    pub(super) async fn quiet(&self) {
        loop {
            self.network.idle().await;
            if !self.inner.borrow().busy {
                return;
            }
            self.woken().await;
        }
    }

    /// Looks at the connects of the last turn: answered at once, or waiting for the network.
    fn look_at_calls(&self, scene: &Scene) {
        let calling = std::mem::take(&mut self.inner.borrow_mut().calling);
        for call in calling {
            match call.socket.connect_result() {
                Some(answer) => {
                    let at = (self.now(), call.sequence);
                    self.answered(scene, call, answer, Some(at));
                }
                None => self.inner.borrow_mut().waiting.push(call),
            }
        }
    }

    /// Asks for answers that the network has brought; `true` if there was one.
    fn look_at_waiting(&self, scene: &Scene) -> bool {
        let waiting = std::mem::take(&mut self.inner.borrow_mut().waiting);
        let mut any = false;
        for call in waiting {
            match call.socket.connect_result() {
                Some(answer) => {
                    any = true;
                    self.answered(scene, call, answer, None);
                }
                None => self.inner.borrow_mut().waiting.push(call),
            }
        }
        any
    }

    fn answered(
        &self,
        scene: &Scene,
        call: Calling,
        answer: Result<(), Errno>,
        at: Option<(Duration, u64)>,
    ) {
        let seen: Result<Seen, Errno> = answer.map(|()| Scene::ends(&call.socket));
        let refusal = answer
            .is_err()
            .then(|| call.socket.take_refusal())
            .flatten();
        scene.answer(call.slot, seen, refusal);
        call.answer.set(Some(answer));
        let at = at.unwrap_or_else(|| (self.now(), self.next_sequence()));
        self.inner.borrow_mut().queue.insert(at, call.grant);
    }

    /// When the next timer of any kernel fires.
    pub(super) fn next_event(&self) -> Option<Duration> {
        let kernels = self.network.kernels();
        let next = kernels
            .iter()
            .filter_map(|k| k.enter(|s| s.machine.next_event()))
            .min();
        next.map(|at| at - crate::host::START)
    }

    /// Lets time pass on all kernels, one timer after the other.
    pub(super) async fn advance(&self, to: Duration) {
        // Timers of the present moment have fired already.
        while to > self.now() {
            match self.next_event().filter(|&timer| timer < to) {
                Some(timer) => self.jump(timer.max(self.now())).await,
                None => break,
            }
        }
        self.jump(to.max(self.now())).await;
    }

    /// Sets the kernels' clocks. turmoil's clock stands still meanwhile: it counts the ticks that
    /// packets need, and a minute of TIME-WAIT would be sixty thousand ticks in which nothing happens.
    async fn jump(&self, to: Duration) {
        self.network.clock.set(to);
        for kernel in self.network.kernels() {
            kernel.enter(|_| ());
        }
        self.network.idle().await;
    }
}

/// A task that takes turns.
pub(super) struct Player {
    scene: Rc<Scene>,
    grant: Rc<Grant>,
    has_turn: bool,
    /// Given back instead of the turn, which is somebody else's.
    loan: Option<Rc<Grant>>,
    working: bool,
}

impl Player {
    /// A task whose first turn is `grant`'s.
    pub(super) fn new(scene: &Rc<Scene>, grant: Rc<Grant>) -> Self {
        scene.conductor.count(true);
        Player {
            scene: Rc::clone(scene),
            grant,
            has_turn: false,
            loan: None,
            working: true,
        }
    }

    fn conductor(&self) -> &Conductor {
        &self.scene.conductor
    }

    /// Waits for the first turn.
    pub(super) async fn begin(&mut self) {
        self.grant.taken().await;
        self.has_turn = self.conductor().ideal;
    }

    /// Gives back the turn and waits for another one, not before `at`.
    pub(super) async fn turn(&mut self, at: Duration) {
        if !self.conductor().ideal {
            if at <= self.conductor().now() {
                tokio::task::yield_now().await;
            } else {
                self.scene.network.clock.sleep_until(Some(at)).await;
            }
            return;
        }
        self.conductor().enqueue(at, &self.grant);
        self.give_back();
        self.begin().await;
    }

    /// Waits for the answer of a connect that has been started, and for the turn to look at it.
    pub(super) async fn connected(&mut self, socket: &Rc<Socket>, slot: Slot) -> Result<(), Errno> {
        if !self.conductor().ideal {
            let result = poll_fn(|cx| socket.poll_connect(cx)).await;
            let answer = match &result {
                Ok(()) => Ok(()),
                Err(error) => Err(super::scene::errno_of(error).unwrap_or(Errno::EINVAL)),
            };
            self.scene
                .result(slot, socket, result.map(|()| Scene::ends(socket)));
            return answer;
        }
        let answer = Rc::new(Cell::new(None));
        let call = Calling {
            socket: Rc::clone(socket),
            slot,
            sequence: self.conductor().next_sequence(),
            answer: Rc::clone(&answer),
            grant: Rc::clone(&self.grant),
        };
        self.conductor().inner.borrow_mut().calling.push(call);
        self.give_back();
        self.begin().await;
        answer.take().unwrap_or(Err(Errno::ECONNABORTED))
    }

    /// Lets another task have this one's turn until that gives it back.
    pub(super) async fn lend(&self, to: &Rc<Grant>, loan: &Rc<Grant>) {
        to.give();
        if self.conductor().ideal {
            loan.taken().await;
        }
    }

    /// Waits for a turn that another task lends.
    pub(super) async fn borrow(&mut self, from: &Rc<Grant>, loan: Rc<Grant>) {
        self.give_back();
        from.taken().await;
        if self.conductor().ideal {
            self.has_turn = true;
            self.loan = Some(loan);
        }
    }

    /// There is nothing left to do.
    pub(super) fn done(&mut self) {
        self.give_back();
        if std::mem::take(&mut self.working) {
            self.conductor().count(false);
        }
    }

    fn give_back(&mut self) {
        if std::mem::take(&mut self.has_turn) {
            match self.loan.take() {
                Some(loan) => loan.give(),
                None => self.conductor().release(),
            }
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.done();
    }
}
