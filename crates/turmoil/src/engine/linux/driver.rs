//! The declarative form on a simulation's kernels.
//!
//! On an ideal network, moves are made in the interpreter's order, as on the model: everything that one has sent arrives
//! before the next, and the driver sets the kernels' clocks. On any other network, time is turmoil's and each
//! machine makes the moves of its own hosts when they are due.

use super::api::{Api, Handle};
use super::pace::Pace;
use crate::engine::drive::aftermath;
use fourtuple_harness::compile::{self, BACKLOG};
use fourtuple_harness::recording::Recording;
use fourtuple_harness::{Attempts, Cannot};
use fourtuple_program::{HostId, Interpreter, Nanos, Plan, SocketApi};
use fourtuple_scenario::Case;
use fourtuple_syscall::{Family, Kind, Outcome, SockOpt, Syscall};
use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// See the module's documentation.
pub(super) struct Driver {
    pace: Pace,
    plan: Arc<Plan>,
    /// Until when the scenario's faults may give somebody something to do.
    aftermath: Option<Duration>,
    run: RefCell<Run>,
}

/// What changes while the processes run.
struct Run {
    interpreter: Interpreter<Handle>,
    api: Api,
    recording: Recording,
    /// The task that waits for the end, and those of machines, on a network that takes time.
    wakers: Vec<Waker>,
}

impl Run {
    /// Wakes whoever waits for something that others do.
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }

    fn wait(&mut self, waker: &Waker) {
        if !self.wakers.iter().any(|one| one.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }
}

impl Driver {
    pub(super) fn new(case: &Case, pace: Pace, api: Api) -> Result<Self, Cannot> {
        let plan = Arc::new(compile::plan(case)?);
        let mut interpreter = Interpreter::new(&plan);
        if !pace.is_ideal() {
            interpreter.accept_on_arrival();
        }
        Ok(Driver {
            pace,
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

    fn now(&self) -> Nanos {
        u64::try_from(self.pace.now().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Opens a listener of the scenario itself.
    pub(super) fn listen(&self, host: HostId, addr: SocketAddr) -> Result<(), Outcome> {
        let mut run = self.run.borrow_mut();
        let socket = run
            .api
            .socket(host, Family::of(addr.ip()), Kind::Stream, 0)?;
        let calls = [
            Syscall::Set {
                sock: (),
                option: SockOpt::ReuseAddr(true),
            },
            Syscall::Bind { sock: (), addr },
            Syscall::Listen {
                sock: (),
                backlog: BACKLOG as i32,
            },
        ];
        for call in calls {
            match run.api.call(socket, &call) {
                Poll::Ready(Outcome::Ok(_)) | Poll::Pending => {}
                Poll::Ready(failed) => return Err(failed),
            }
        }
        run.interpreter.add_listener(host, addr.port(), socket);
        Ok(())
    }

    /// Runs the programs of these hosts, of a machine that has just booted. `again`: not for the first time.
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
        if self.pace.is_ideal() {
            // The calls are made in one order, by whoever conducts.
            std::future::pending::<()>().await;
        }
        self.drive(hosts).await;
    }

    /// Runs the processes on an ideal network to their end.
    pub(super) async fn conduct(&self) {
        loop {
            let made = self.make_next();
            self.pace.settle().await;
            if made {
                self.with_run(|run, plan| {
                    run.interpreter
                        .settled(plan, &mut run.api, &mut run.recording);
                });
                continue;
            }
            let (answered, next, calling) = self.with_run(|run, plan| {
                let it = &mut run.interpreter;
                let answered = it.is_calling() && it.poll(plan, &mut run.api, &mut run.recording);
                (answered, it.next_due(), it.is_calling())
            });
            if answered {
                continue;
            }
            // Timers only matter ahead of the next move, or to those who wait for an answer.
            let timer = if calling {
                self.pace.next_event()
            } else {
                None
            };
            let next = next.map(Duration::from_nanos);
            match (next, timer) {
                (Some(at), timer) if timer.is_none_or(|timer| at <= timer) => {
                    self.pace.advance(at).await;
                }
                (_, Some(timer)) => self.pace.advance(timer).await,
                _ => return,
            }
        }
    }

    fn with_run<R>(&self, call: impl FnOnce(&mut Run, &Plan) -> R) -> R {
        call(&mut self.run.borrow_mut(), &self.plan)
    }

    /// Makes the next move, if one is due.
    fn make_next(&self) -> bool {
        let now = self.now();
        self.with_run(|run, plan| {
            run.interpreter.set_now(now);
            let Some(next) = run.interpreter.next_move() else {
                return false;
            };
            run.interpreter
                .step(plan, next, &mut run.api, &mut run.recording);
            true
        })
    }

    /// Makes the moves of a machine's hosts when they are due, for ever, on a network that takes time.
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
                () = self.pace.clock().sleep_until(next) => {}
            }
        }
    }

    /// Makes every move of these hosts that is due. Answers with the time of the next.
    fn make_due(&self, hosts: &[HostId], cx: &Context<'_>) -> Option<Nanos> {
        // What is made now is not at work before turmoil's next step.
        self.pace.clock().touch();
        let now = self.now();
        let mut run = self.run.borrow_mut();
        let Run {
            interpreter: it,
            api,
            recording: log,
            ..
        } = &mut *run;
        it.set_now(now);
        api.waker = Some(cx.waker().clone());
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
            // A process of another machine may have waited for this, and so may the end.
            run.wake();
        }
        run.wait(cx.waker());
        next
    }

    /// Waits until nothing is left to do on a network that takes time.
    pub(super) async fn watch(&self) {
        loop {
            self.pace.clock().touch();
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
                () = self.pace.clock().sleep_until(aftermath) => {}
            }
        }
    }
}

/// Tells that the programs of a machine are gone when its software ends.
struct Power<'a> {
    driver: &'a Driver,
    hosts: &'a [HostId],
}

impl Drop for Power<'_> {
    fn drop(&mut self) {
        // Not while a panic unwinds through a move.
        if let Ok(mut run) = self.driver.run.try_borrow_mut() {
            for host in self.hosts {
                run.interpreter.crash(&self.driver.plan, *host);
            }
            run.wake();
        }
    }
}
