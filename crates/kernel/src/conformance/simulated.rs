//! The model in the place of a recorded kernel: it answers the same calls, in virtual time.

use super::{Belief, Op};
use crate::chooser::{Chooser, Seeded};
use crate::machine::Machine;
use crate::profile::{Behaviours, FlagSet};
use crate::time::Time;
use fourtuple_syscall::{Outcome, Syscall};

/// The length of a call in nanoseconds: about that of a real kernel, so that no two calls are made
/// at the same moment.
const CALL: u64 = 10_000;

/// A kernel that answers the calls of programs as a profile does. Its answers can be checked like a
/// recording: see [`Checker`](super::Checker).
#[derive(Clone)]
pub struct SimulatedKernel {
    kernel: Belief<Seeded>,
    now: Time,
    choice: u32,
}

impl SimulatedKernel {
    /// A kernel that has just booted. The seed decides the choices that real kernels make by
    /// chance.
    #[must_use]
    pub fn new(behaviours: Behaviours, seed: u64) -> Self {
        let now = Machine::<Seeded>::START;
        SimulatedKernel {
            kernel: Belief::boot(behaviours, Seeded::new(seed, "player"), now),
            now,
            choice: 0,
        }
    }

    /// The time at which the last call had returned.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The behaviour flags read so far.
    #[must_use]
    pub fn observed_flags(&self) -> FlagSet {
        self.kernel.machine.observed_flags()
    }

    /// The largest number of ports that a call has chosen from: the range of a bind() to port 0, or
    /// of a listen() or connect() without a port. A checker tries every start of such a search.
    #[must_use]
    pub fn choice(&self) -> u32 {
        self.choice
    }

    /// Makes a call whose caller gives up after `patience` nanoseconds; [`Op::Sleep`] takes exactly
    /// so long.
    pub fn step(&mut self, op: &Op, patience: u64) -> Outcome {
        let start = self.now.after(CALL);
        let deadline = start.after(patience);
        self.choice = self.choice.max(self.kernel.choice(op));
        if *op == Op::Sleep {
            self.now = deadline;
            self.kernel.machine.advance(deadline);
            return Outcome::OK;
        }
        self.kernel.machine.advance(start);
        if patience == 0 {
            self.now = start;
            return self.kernel.answer(op, start);
        }
        // A call that waits returns with the timer that it waited for; a checker needs that moment.
        let before = self.kernel.clone();
        let mut at = start;
        loop {
            let answer = self.kernel.answer(op, at);
            self.now = at;
            let next = self.kernel.machine.next_event();
            if answer != Outcome::WouldBlock || at >= deadline {
                return answer;
            }
            at = next
                .filter(|&t| t > at)
                .map_or(deadline, |t| t.min(deadline));
            self.kernel = before.clone();
        }
    }
}

impl<C: Chooser> Belief<C> {
    /// The number of ports that this call chooses from; 0 if it chooses none.
    fn choice(&self, op: &Op) -> u32 {
        let sock = match op.call() {
            Some(Syscall::Bind { sock, addr }) if addr.port() == 0 => *sock,
            Some(Syscall::Listen { sock, .. } | Syscall::Connect { sock, .. }) => *sock,
            _ => return 0,
        };
        match self.sock(sock) {
            Some(s) if self.machine.local_addr(s).port() == 0 => {
                let (low, high) = self.machine.port_range(s);
                u32::from(high.saturating_sub(low)) + 1
            }
            _ => 0,
        }
    }

    /// The answer of this state.
    fn answer(&mut self, op: &Op, at: Time) -> Outcome {
        self.execute(op, at, &Outcome::OK)
    }
}
