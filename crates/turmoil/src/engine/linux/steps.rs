//! The step form on a simulation's kernels: one call after the other, in the order of the file.

use super::api::{Api, Handle};
use super::pace::Pace;
use crate::engine::processes::HostApi as _;
use fourtuple_harness::{Attempts, EngineError, Recording, compile};
use fourtuple_program::{HostId, Nanos, Progress, SocketApi as _, StepInterpreter, StepPlan};
use fourtuple_scenario::Case;
use fourtuple_syscall::Outcome;
use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

/// See the module's documentation.
pub(super) struct Steps {
    pace: Pace,
    plan: StepPlan,
    /// Time after a step in which its packets arrive, on a network with latency.
    settled: Duration,
    run: RefCell<Run>,
}

/// The mutable state of a run.
struct Run {
    interpreter: StepInterpreter<Handle>,
    api: Api,
    recording: Recording,
    /// Listeners of the scenario itself.
    listeners: Vec<Handle>,
}

impl Steps {
    pub(super) fn new(case: &Case, pace: Pace, api: Api) -> Result<Self, EngineError> {
        let latency = case.network.latency.unwrap_or_default().max;
        Ok(Steps {
            pace,
            plan: compile::steps(case)?,
            settled: latency * 4 + Duration::from_millis(4),
            run: RefCell::new(Run {
                interpreter: StepInterpreter::new(),
                api,
                recording: Recording::of_steps(case),
                listeners: Vec::new(),
            }),
        })
    }

    /// The attempts so far.
    pub(super) fn attempts(&self) -> Attempts {
        self.run.borrow().recording.clone().finish()
    }

    /// Opens a listener of the scenario itself.
    pub(super) fn listen(&self, host: HostId, addr: SocketAddr) -> Result<(), Outcome> {
        let run = &mut *self.run.borrow_mut();
        run.listeners.push(run.api.listen(host, addr)?);
        Ok(())
    }

    /// Accepts every connection that waits at a listener of the scenario itself, and keeps it.
    fn accept_all(&self) {
        let run = &mut *self.run.borrow_mut();
        for &listener in &run.listeners {
            while run.api.accept(listener).is_ok() {}
        }
    }

    fn now(&self) -> Nanos {
        u64::try_from(self.pace.now().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Makes every step.
    pub(super) async fn run_all(&self) {
        loop {
            match self.step() {
                Progress::Over => {}
                Progress::Sleep(time) => self.sleep(Duration::from_nanos(time)).await,
                Progress::Connecting(until) => {
                    let until = Duration::from_nanos(until);
                    if self.pace.is_ideal() {
                        self.answer_by_timers(until).await;
                    } else {
                        self.answer_in_time(until).await;
                    }
                }
                Progress::End => return,
            }
            if self.pace.is_ideal() {
                self.pace.settle().await;
            } else {
                self.sleep(self.settled).await;
            }
            self.accept_all();
        }
    }

    fn step(&self) -> Progress {
        let now = self.now();
        let run = &mut *self.run.borrow_mut();
        run.interpreter
            .step(&self.plan, now, &mut run.api, &mut run.recording)
    }

    fn poll(&self) -> bool {
        let now = self.now();
        let run = &mut *self.run.borrow_mut();
        run.interpreter.poll(now, &mut run.api, &mut run.recording)
    }

    fn give_up(&self) {
        let now = self.now();
        let run = &mut *self.run.borrow_mut();
        run.interpreter.give_up(now, &mut run.recording);
    }

    async fn sleep(&self, time: Duration) {
        let until = self.pace.now() + time;
        if self.pace.is_ideal() {
            self.pace.advance(until).await;
        } else {
            self.pace.clock().sleep_until(Some(until)).await;
        }
    }

    /// Waits for a connect to complete on an ideal network, where only timers take time.
    async fn answer_by_timers(&self, until: Duration) {
        self.pace.settle().await;
        while !self.poll() {
            match self.pace.next_event().filter(|next| *next <= until) {
                Some(next) => self.pace.advance(next).await,
                None => return self.give_up(),
            }
        }
    }

    /// Waits for a connect to complete on a network with latency.
    async fn answer_in_time(&self, until: Duration) {
        let answered = poll_fn(|cx| {
            self.run.borrow_mut().api.waker = Some(cx.waker().clone());
            let over = self.poll();
            self.run.borrow_mut().api.waker = None;
            if over { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::select! {
            biased;
            () = answered => {}
            () = self.pace.clock().sleep_until(Some(until)) => self.give_up(),
        }
    }
}
