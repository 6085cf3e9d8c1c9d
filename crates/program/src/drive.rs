//! The loop around an interpreter, for engines that answer at once or in virtual time.

use crate::{CallLog, Clock, Interpreter, Nanos, Plan, SocketApi};

/// Runs a plan to its end: makes due moves in order, and advances time when none is due.
///
/// `moved` is called after each move, with the log and with `true` if an instance has made all
/// calls of its turn.
pub fn run<A, L>(
    plan: &Plan,
    interpreter: &mut Interpreter<A::Socket>,
    engine: &mut A,
    log: &mut L,
    mut moved: impl FnMut(&mut A, &L, bool),
) where
    A: SocketApi + Clock,
    L: CallLog<A::Reason>,
{
    loop {
        let now = engine.now();
        interpreter.set_now(now);
        if let Some(next) = interpreter.next_move() {
            interpreter.step(plan, next, engine, log);
            moved(engine, log, !interpreter.in_turn());
            continue;
        }
        if interpreter.is_calling() && interpreter.poll(plan, engine, log) {
            continue;
        }
        // Timers only matter before the next move, or to pending connects.
        let timer = if interpreter.is_calling() {
            engine.next_event()
        } else {
            None
        };
        match (interpreter.next_due(), timer) {
            (Some(at), timer) if timer.is_none_or(|timer| at <= timer) => engine.advance(at),
            (_, Some(timer)) => engine.advance(timer),
            _ => return,
        }
    }
}

/// Runs a plan on an engine whose calls block, until all instances have made their attempts:
/// nothing that a program does afterwards shows.
pub fn run_blocking<A, L>(
    plan: &Plan,
    interpreter: &mut Interpreter<A::Socket>,
    engine: &mut A,
    log: &mut L,
) where
    A: SocketApi + Clock,
    L: CallLog<A::Reason>,
{
    while interpreter.has_attempts() {
        interpreter.set_now(engine.now());
        if let Some(next) = interpreter.next_move() {
            interpreter.step(plan, next, engine, log);
        } else if let Some(at) = interpreter.next_due() {
            engine.advance(at);
        } else {
            return;
        }
    }
}

/// A connect that takes longer than this has waited for an answer.
const WAITED: Nanos = 10_000_000;

/// Virtual time on an engine with a real clock: calls take none, but for a connect that waits.
///
/// It depends on the times at which calls have returned and on nothing else, so that a second run
/// on recorded answers has the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealClock {
    now: Nanos,
    /// The times, in microseconds, at which the first and the last call returned.
    returned: Option<(u64, u64)>,
}

impl RealClock {
    /// Virtual time.
    #[must_use]
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// The real time since the first call.
    #[must_use]
    pub fn elapsed(&self, now_us: u64) -> Nanos {
        let start = self.returned.map_or(now_us, |(start, _)| start);
        now_us.saturating_sub(start).saturating_mul(1_000)
    }

    /// Notes that a call has returned.
    pub fn returned(&mut self, at_us: u64) {
        let start = self.returned.map_or(at_us, |(start, _)| start);
        self.returned = Some((start, at_us));
    }

    /// Notes that a connect has returned: if it waited, virtual time has passed as well.
    pub fn connected(&mut self, at_us: u64) {
        let last = self.returned.map_or(at_us, |(_, last)| last);
        self.returned(at_us);
        if at_us.saturating_sub(last).saturating_mul(1_000) > WAITED {
            self.now = self.now.max(self.elapsed(at_us));
        }
    }

    /// Lets virtual time pass.
    pub fn advance(&mut self, to: Nanos) {
        self.now = self.now.max(to);
    }
}
