//! A chooser that walks through all possible answers, one combination after the other.

use crate::chooser::{Chooser, PortHashInput};
use crate::time_wait::reuse::SLACK;

/// Enumerates the choices of one call: run the call, read the outcome, [`Script::another`], run it
/// again on a copy of the old state, until there is nothing left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// What to answer, and of how many possibilities.
    answers: Vec<(u32, u32)>,
    at: usize,
    /// Where in the searched range the followed kernel found its port: the start that is tried first.
    aim: u32,
    /// Whether the run so far has chosen anything but the starts of searches.
    others: bool,
}

impl Script {
    /// A script that has not chosen anything yet.
    #[must_use]
    pub fn new() -> Self {
        Script::default()
    }

    /// A script whose searches start first at this place of their range: with a range of tens of
    /// thousands of ports the others then need not be tried.
    #[must_use]
    pub fn aiming(place: u32) -> Self {
        Script {
            aim: place,
            ..Script::default()
        }
    }

    /// Whether the run has only chosen where searches start. The same answer then leaves the same
    /// state behind, wherever the search came from.
    #[must_use]
    pub fn only_starts(&self) -> bool {
        !self.others
    }

    /// Moves on to the next combination; `false` when all have been seen.
    pub fn another(&mut self) -> bool {
        self.answers.truncate(self.at);
        self.at = 0;
        self.others = false;
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
        self.others = true;
        self.next(of)
    }

    /// One of `of` starts, which are `step` places apart: first the one that is aimed at, then downwards.
    fn start(&mut self, of: u32, step: u32) -> u32 {
        let number = self.next(of);
        if of == 0 {
            return 0;
        }
        (self.aim / step % of + of - number) % of * step
    }

    fn next(&mut self, of: u32) -> u32 {
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
            self.start(n.div_ceil(2), 2)
        } else {
            self.start(n, 1)
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
            return self.start(n, 1);
        }
        if n.is_multiple_of(2) {
            return self.start(n / 2, 2);
        }
        // An even number modulo an odd one can be anything.
        let r = self.start(n, 1);
        if r.is_multiple_of(2) { r } else { r + n }
    }

    fn perturb_cell(&mut self, _index: u32) -> u32 {
        0
    }

    fn perturb_step(&mut self, _n: u32) -> u32 {
        0
    }

    fn step_factor(&mut self, _most: u32) -> u32 {
        // Every port can be the first candidate; the distance to the next adds none.
        1
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
