//! The declarative form on an ideal network: moves are made in the interpreter's order, as on the
//! model. The packets of a move arrive before the next one, and the engine sets the kernels'
//! clocks.

use super::api::Api;
use super::pace::Pace;
use crate::engine::processes::Processes;
use std::time::Duration;

impl Processes<Api> {
    /// Runs the processes to their end.
    pub(super) async fn run_all(&self, pace: &Pace) {
        loop {
            let made = self.make_next();
            pace.settle().await;
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
            // Timers only matter if they fire before the next move, or if a call is waiting.
            let timer = if calling { pace.next_event() } else { None };
            let next = next.map(Duration::from_nanos);
            match (next, timer) {
                (Some(at), timer) if timer.is_none_or(|timer| at <= timer) => {
                    pace.advance(at).await;
                }
                (_, Some(timer)) => pace.advance(timer).await,
                _ => return,
            }
        }
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
}
