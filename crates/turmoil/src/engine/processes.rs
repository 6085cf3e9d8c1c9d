//! The declarative form on a simulation, with any kind of sockets.
//!
//! Each machine makes the moves of its own hosts when they are due, and time is turmoil's. On an
//! ideal network, the `turmoil` engine makes them in the interpreter's order instead
//! (`linux::ideal`).

use super::drive::aftermath;
use crate::clock::Clock;
use fourtuple_harness::{Attempts, EngineError, Recording, compile};
use fourtuple_kernel::Refusal;
use fourtuple_program::{HostId, Interpreter, Nanos, Plan, SocketApi};
use fourtuple_scenario::Case;
use fourtuple_syscall::Outcome;
use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The sockets of a simulation.
pub(super) trait HostApi: SocketApi<Reason = Refusal> {
    /// Sets the calling task: the following calls are made by the task of these hosts, which is
    /// woken when a connect completes or a connection can be accepted.
    fn enter(&mut self, hosts: &[HostId], waker: &Waker);

    /// Opens a listener of the scenario itself.
    fn listen(&mut self, host: HostId, addr: SocketAddr) -> Result<Self::Socket, Outcome>;

    /// Drops the sockets of these hosts after their software has ended.
    fn crash(&mut self, _hosts: &[HostId]) {}
}

/// See the module's documentation.
pub(super) struct Processes<A: HostApi> {
    clock: Arc<Clock>,
    plan: Arc<Plan>,
    /// The time until which the scenario's faults may cause activity.
    aftermath: Option<Duration>,
    run: RefCell<Run<A>>,
}

/// The mutable state of a run.
pub(super) struct Run<A: HostApi> {
    pub(super) interpreter: Interpreter<A::Socket>,
    pub(super) api: A,
    pub(super) recording: Recording,
    /// Wakers of the task that waits for the end, and of the machines' tasks.
    wakers: Vec<Waker>,
}

impl<A: HostApi> Run<A> {
    /// Wakes all tasks that wait for progress of other tasks.
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }

    fn wait(&mut self, waker: &Waker) {
        if !self.wakers.iter().any(|one| one.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }
}

impl<A: HostApi> Processes<A> {
    pub(super) fn new(case: &Case, clock: Arc<Clock>, api: A) -> Result<Self, EngineError> {
        let plan = Arc::new(compile::plan(case)?);
        let mut interpreter = Interpreter::new(&plan);
        if !clock.is_set() {
            interpreter.accept_on_arrival();
        }
        Ok(Processes {
            clock,
            aftermath: aftermath(case),
            run: RefCell::new(Run {
                interpreter,
                api,
                recording: Recording::new(case, &plan),
                wakers: Vec::new(),
            }),
            plan,
        })
    }

    /// The attempts so far.
    pub(super) fn attempts(&self) -> Attempts {
        self.run.borrow().recording.clone().finish()
    }

    pub(super) fn now(&self) -> Nanos {
        u64::try_from(self.clock.elapsed().unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Opens a listener of the scenario itself.
    pub(super) fn listen(&self, host: HostId, addr: SocketAddr) -> Result<(), Outcome> {
        let mut run = self.run.borrow_mut();
        let socket = run.api.listen(host, addr)?;
        run.interpreter.add_listener(host, addr.port(), socket);
        Ok(())
    }

    /// Runs the programs of these hosts on a machine that has just booted. `again` is `true` after
    /// the first boot.
    pub(super) async fn run_on(&self, hosts: &[HostId], again: bool) {
        let _power = Power {
            driver: self,
            hosts,
        };
        if again {
            let now = self.now();
            self.with_run(|run, plan| {
                run.interpreter.set_now(now);
                for host in hosts {
                    run.interpreter.restart(plan, *host);
                }
            });
        }
        if self.clock.is_set() {
            // The task that runs `run_all` makes the calls, in one order.
            std::future::pending::<()>().await;
        }
        self.drive(hosts).await;
    }

    pub(super) fn with_run<R>(&self, call: impl FnOnce(&mut Run<A>, &Plan) -> R) -> R {
        call(&mut self.run.borrow_mut(), &self.plan)
    }

    /// Makes the moves of a machine's hosts when they are due, forever, on a network with latency.
    async fn drive(&self, hosts: &[HostId]) {
        loop {
            let next = poll_fn(|cx| Poll::Ready(self.make_due(hosts, cx))).await;
            let next = next.map(Duration::from_nanos);
            let mut first = true;
            let woken = poll_fn(|_| {
                if std::mem::take(&mut first) {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            });
            tokio::select! {
                biased;
                () = woken => {}
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// Makes every move of these hosts that is due. Returns the time of the next one.
    fn make_due(&self, hosts: &[HostId], cx: &Context<'_>) -> Option<Nanos> {
        // New calls take effect in turmoil's next step, so they count as activity now.
        self.clock.touch();
        let now = self.now();
        let mut run = self.run.borrow_mut();
        let Run {
            interpreter: it,
            api,
            recording: log,
            ..
        } = &mut *run;
        it.set_now(now);
        api.enter(hosts, cx.waker());
        let mut made = false;
        loop {
            it.accept_on(&self.plan, hosts, api, log);
            if let Some(next) = it.next_move_on(&self.plan, hosts) {
                it.step(&self.plan, next, api, log);
                it.settled(&self.plan, api, log);
            } else if !it.poll_on(&self.plan, hosts, api, log) {
                break;
            }
            made = true;
        }
        let next = it.next_due_on(&self.plan, hosts);
        if made {
            // A process of another machine, or the end of the run, may have waited for this.
            run.wake();
        }
        run.wait(cx.waker());
        next
    }

    /// Waits until no move is left, on a network with latency.
    pub(super) async fn watch(&self) {
        loop {
            self.clock.touch();
            let over = self.with_run(|run, _| {
                !run.interpreter.is_calling() && run.interpreter.next_due().is_none()
            });
            let now = Duration::from_nanos(self.now());
            let aftermath = self.aftermath.filter(|at| *at > now);
            if over && aftermath.is_none() {
                return;
            }
            let mut first = true;
            let woken = poll_fn(|cx| {
                if !std::mem::take(&mut first) {
                    return Poll::Ready(());
                }
                self.run.borrow_mut().wait(cx.waker());
                Poll::Pending
            });
            tokio::select! {
                biased;
                () = woken => {}
                () = self.clock.sleep_until(aftermath) => {}
            }
        }
    }
}

/// Reports the end of a machine's programs when its software is cancelled.
struct Power<'a, A: HostApi> {
    driver: &'a Processes<A>,
    hosts: &'a [HostId],
}

impl<A: HostApi> Drop for Power<'_, A> {
    fn drop(&mut self) {
        // The state is borrowed while a panic unwinds through a move.
        if let Ok(mut run) = self.driver.run.try_borrow_mut() {
            for host in self.hosts {
                run.interpreter.crash(&self.driver.plan, *host);
            }
            run.api.crash(self.hosts);
            run.wake();
        }
    }
}
