//! A chooser that walks through all possible answers, one combination after the other.

use crate::chooser::{Chooser, PortHashInput};
use crate::established::SLACK;

/// Enumerates the choices of one call: run the call, read the outcome, [`Script::another`], run it
/// again on a copy of the old state, until there is nothing left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// What to answer, and of how many possibilities.
    answers: Vec<(u32, u32)>,
    at: usize,
    /// The port that the followed kernel gave, with the range it is searched in: for large ranges
    /// only starts that can lead to it are tried.
    target: Option<u16>,
}

impl Script {
    /// A script that has not chosen anything yet.
    #[must_use]
    pub fn new() -> Self {
        Script::default()
    }

    /// Starts the first run.
    pub fn rewind(&mut self, target: Option<u16>) {
        self.answers.clear();
        self.at = 0;
        self.target = target;
    }

    /// Moves on to the next combination; `false` when all have been seen.
    pub fn another(&mut self) -> bool {
        self.answers.truncate(self.at);
        self.at = 0;
        while let Some((answer, of)) = self.answers.last_mut() {
            *answer += 1;
            if answer < of {
                return true;
            }
            self.answers.pop();
        }
        false
    }

    /// How many choices the run so far has made.
    #[must_use]
    pub fn choices(&self) -> usize {
        self.at
    }

    fn choose(&mut self, of: u32) -> u32 {
        if self.at == self.answers.len() {
            self.answers.push((0, of));
        }
        let (answer, _) = self.answers[self.at];
        self.at += 1;
        answer
    }
}

impl Chooser for Script {
    fn bind_start(&mut self, n: u32, parity: bool) -> u32 {
        if parity {
            self.choose(n.div_ceil(2)) * 2
        } else {
            self.choose(n)
        }
    }

    fn rescans(&mut self, _kernel: u32) -> u32 {
        0
    }

    fn port_hash(&mut self, _input: PortHashInput) -> u64 {
        0
    }

    fn connect_start(&mut self, _base: u32, n: u32, even: bool) -> u32 {
        if !even {
            return self.choose(n);
        }
        if n.is_multiple_of(2) {
            return self.choose(n / 2) * 2;
        }
        // An even number modulo an odd one can be anything.
        let r = self.choose(n);
        if r.is_multiple_of(2) { r } else { r + n }
    }

    fn perturb_cell(&mut self, _index: u32) -> u32 {
        0
    }

    fn perturb_step(&mut self, _n: u32) -> u32 {
        0
    }

    fn garbage_uid_matches(&mut self) -> bool {
        self.choose(2) == 1
    }

    fn garbage_bit(&mut self) -> bool {
        self.choose(2) == 1
    }

    fn timer_fired(&mut self, _nominal: u64, _now: u64) -> bool {
        self.choose(2) == 1
    }

    fn uncertain(&mut self, _nominal: bool) -> bool {
        self.choose(2) == 1
    }

    fn slack(&self) -> u64 {
        SLACK
    }

    fn pick_listener(&mut self, n: u32) -> u32 {
        self.choose(n)
    }
}
