//! The loop around an interpreter, for engines that answer at once or in virtual time.

use crate::{CallLog, Clock, Interpreter, Plan, SocketApi};

/// Runs a plan to its end: makes due moves in order, and advances time when none is due.
///
/// `turn_over` is called whenever an instance has made all calls of its turn.
pub fn run<A, L>(
    plan: &Plan,
    interpreter: &mut Interpreter<A::Socket>,
    engine: &mut A,
    log: &mut L,
    mut turn_over: impl FnMut(&mut A),
) where
    A: SocketApi + Clock,
    L: CallLog<A::Reason>,
{
    loop {
        let now = engine.now();
        interpreter.set_now(now);
        if let Some(next) = interpreter.next_move() {
            interpreter.step(plan, next, engine, log);
            if !interpreter.in_turn() {
                turn_over(engine);
            }
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
