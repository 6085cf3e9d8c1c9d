//! The model alone in the place of a followed kernel: it answers the same calls, in virtual time.

use super::{Belief, End, Op, Seen};
use crate::chooser::{Chooser, Seeded};
use crate::machine::Machine;
use crate::profile::{Behaviours, FlagSet};
use crate::time::Time;

/// How long a call takes: about as long as on a real kernel, so that none is made at the same moment as the one before.
const CALL: u64 = 10_000;

/// A kernel that answers calls of programs as a profile does. What it answers can be followed like a recording.
#[derive(Clone)]
pub struct Player {
    kernel: Belief<Seeded>,
    now: Time,
    choice: u32,
}

impl Player {
    /// A kernel that has just booted. The seed decides what real kernels decide by chance.
    #[must_use]
    pub fn new(behaviours: Behaviours, seed: u64) -> Self {
        let now = Machine::<Seeded>::START;
        Player {
            kernel: Belief::boot(behaviours, Seeded::new(seed, "player"), now),
            now,
            choice: 0,
        }
    }

    /// When the last call had returned.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Which behaviours have been looked at.
    #[must_use]
    pub fn observed_flags(&self) -> FlagSet {
        self.kernel.machine.observed_flags()
    }

    /// Out of how many ports a call chose one, the most there have been: the range of a bind() to port 0, or of a listen() or connect()
    /// without a port. Who follows the answers tries every start of such a search.
    #[must_use]
    pub fn choice(&self) -> u32 {
        self.choice
    }

    /// Makes a call whose caller gives up after `patience` nanoseconds; [`Op::Sleep`] takes exactly so long.
    pub fn step(&mut self, op: &Op, patience: u64) -> Seen {
        let start = self.now.after(CALL);
        let deadline = start.after(patience);
        self.choice = self.choice.max(self.kernel.choice(op));
        if *op == Op::Sleep {
            self.now = deadline;
            self.kernel.machine.advance(deadline);
            return Seen::OK;
        }
        self.kernel.machine.advance(start);
        if patience == 0 {
            self.now = start;
            return self.kernel.answer(op, start);
        }
        // A call that waits returns with the timer that it waited for, and who follows must be told when that was.
        let before = self.kernel.clone();
        let mut at = start;
        loop {
            let answer = self.kernel.answer(op, at);
            self.now = at;
            let next = self.kernel.machine.next_event();
            if answer.end != End::Waiting || at >= deadline {
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
    /// Out of how many ports this call chooses one; 0 where it chooses none.
    fn choice(&self, op: &Op) -> u32 {
        let sock = match op {
            Op::Bind { sock, at } if at.end.port == 0 => *sock,
            Op::Listen { sock, .. } | Op::Connect { sock, .. } => *sock,
            _ => return 0,
        };
        match self.sock(sock) {
            Some(s) if self.machine.local_addr(s).port == 0 => {
                let (low, high) = self.machine.port_range(s);
                u32::from(high.saturating_sub(low)) + 1
            }
            _ => 0,
        }
    }

    /// What this state answers, whatever anybody saw.
    fn answer(&mut self, op: &Op, at: Time) -> Seen {
        self.call(op, at, &Seen::OK)
    }
}
