//! The step form on turmoil's own sockets: sequential calls, each by the task of its socket's host.

use super::api::{Api, Handle};
use super::simulation::Simulation;
use crate::engine::processes::HostApi;
use crate::engine::signal::Signal;
use fourtuple_harness::{Attempts, EngineError, Recording, compile};
use fourtuple_program::{HostId, Nanos, Progress, SocketApi, StepInterpreter, StepPlan};
use fourtuple_scenario::Case;
use fourtuple_syscall::Outcome;
use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// The time limit of a step.
const PATIENCE: Duration = Duration::from_millis(20);

/// The time between two steps, in which packets arrive.
const SETTLED: Duration = Duration::from_millis(3);

/// See the module's documentation.
pub(super) struct Steps {
    simulation: Rc<Simulation>,
    plan: StepPlan,
    run: RefCell<Run>,
    /// Signals that the step was made, and that its connect has completed.
    done: Signal,
}

/// The mutable state of a run.
struct Run {
    interpreter: StepInterpreter<Handle>,
    api: Api,
    recording: Recording,
    /// Listeners of the scenario itself, which accept every connection.
    listeners: Vec<(HostId, Handle)>,
    /// The host that makes the next step.
    turn: Option<HostId>,
    /// The host of the pending connect.
    connecting: Option<HostId>,
    progress: Progress,
}

impl Steps {
    pub(super) fn new(case: &Case, simulation: &Rc<Simulation>) -> Result<Self, EngineError> {
        Ok(Steps {
            simulation: Rc::clone(simulation),
            plan: compile::steps(case)?,
            run: RefCell::new(Run {
                interpreter: StepInterpreter::new(),
                api: Api::new(Rc::clone(simulation)),
                recording: Recording::of_steps(case),
                listeners: Vec::new(),
                turn: None,
                connecting: None,
                progress: Progress::Over,
            }),
            done: Signal::default(),
        })
    }

    /// The attempts so far.
    pub(super) fn attempts(&self) -> Attempts {
        self.run.borrow().recording.clone().finish()
    }

    /// Opens a listener of the scenario itself.
    pub(super) fn listen(&self, host: HostId, addr: SocketAddr) -> Result<(), Outcome> {
        let run = &mut *self.run.borrow_mut();
        let listener = run.api.listen(host, addr)?;
        run.listeners.push((host, listener));
        Ok(())
    }

    /// Makes the calls of a host, forever.
    pub(super) async fn work(&self, host: HostId) {
        let _power = Power { steps: self, host };
        poll_fn(|cx| {
            self.serve(host, cx.waker());
            Poll::<()>::Pending
        })
        .await;
    }

    fn serve(&self, host: HostId, waker: &Waker) {
        self.simulation.clock.touch();
        let run = &mut *self.run.borrow_mut();
        run.api.enter(&[host], waker);
        for (_, listener) in run.listeners.iter().filter(|(at, _)| *at == host) {
            while run.api.accept(*listener).is_ok() {}
        }
        if run.turn.take_if(|turn| *turn == host).is_some() {
            self.step(run);
            self.done.notify();
        }
        let now = self.now();
        let (interpreter, api, log) = (&mut run.interpreter, &mut run.api, &mut run.recording);
        if run.connecting == Some(host) && interpreter.poll(now, api, log) {
            run.connecting = None;
            self.done.notify();
        }
    }

    fn now(&self) -> Nanos {
        u64::try_from(self.simulation.now().as_nanos()).unwrap_or(u64::MAX)
    }

    fn step(&self, run: &mut Run) {
        let now = self.now();
        let (api, log) = (&mut run.api, &mut run.recording);
        run.progress = run.interpreter.step(&self.plan, now, api, log);
    }

    /// Makes every step.
    pub(super) async fn run_all(&self) {
        // The scenario's own listeners open in turmoil's first tick.
        self.simulation.pause(Duration::from_millis(1)).await;
        loop {
            match self.next().await {
                Progress::Over => {}
                Progress::Sleep(time) => self.simulation.pause(Duration::from_nanos(time)).await,
                Progress::Connecting(_) => self.answer().await,
                Progress::End => return,
            }
            self.simulation.pause(SETTLED).await;
        }
    }

    /// Makes the next step, on the host of its socket, if it is up.
    async fn next(&self) -> Progress {
        let host = {
            let run = &mut *self.run.borrow_mut();
            run.turn = run.interpreter.host(&self.plan);
            run.turn.inspect(|host| run.api.wake(*host))
        };
        let made = match host {
            Some(_) => self.simulation.within(PATIENCE, self.done.notified()).await,
            None => None,
        };
        let run = &mut *self.run.borrow_mut();
        if made.is_none() {
            run.turn = None;
            run.api.leave();
            self.step(run);
        }
        if matches!(run.progress, Progress::Connecting(_)) {
            run.connecting = host;
        }
        run.progress
    }

    /// Waits for a connect to complete.
    async fn answer(&self) {
        if let Some(host) = self.run.borrow().connecting {
            self.run.borrow().api.wake(host);
        }
        if self
            .simulation
            .within(PATIENCE, self.done.notified())
            .await
            .is_none()
        {
            let note = "turmoil's connect returns only when the server accepts";
            self.simulation.notes.add(note.to_owned());
            let run = &mut *self.run.borrow_mut();
            run.connecting = None;
            let now = self.now();
            run.interpreter.give_up(now, &mut run.recording);
        }
    }
}

/// Drops the sockets of a host when its software ends.
struct Power<'a> {
    steps: &'a Steps,
    host: HostId,
}

impl Drop for Power<'_> {
    fn drop(&mut self) {
        if let Ok(mut run) = self.steps.run.try_borrow_mut() {
            run.listeners.retain(|(host, _)| *host != self.host);
            run.api.crash(&[self.host]);
        }
    }
}
