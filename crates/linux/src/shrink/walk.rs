//! A random walk among programs that show the same answer: each step goes to a program that is no
//! longer, and occasionally to a shorter one. Leaving out steps one by one never turns a connection
//! between two sockets into a self-connection; a walk does.

use super::edit::Palette;
use super::{Shrunk, length};
use crate::generate::Kind;
use crate::program::Program;
use fourtuple_harness::SeededRng;

/// Length up to which a program counts as short.
const SHORT: usize = 8;
/// Number of long walks.
pub(super) const WAYS: u64 = 4;
/// Number of attempts after which a walk restarts at the best program.
const LEASH: usize = 1_500;

/// The seed of a walk and its end.
#[derive(Clone, Copy)]
pub(super) struct Way {
    seed: u64,
    /// Work after the last improvement until the walk ends, in calls tried on a state of the model:
    /// for a short program, and for a longer one.
    patience: [u64; 2],
}

impl Way {
    /// For interactive use.
    pub(super) const SHORT: Way = Way {
        seed: 0,
        patience: [20_000, 150_000],
    };

    /// For a thorough search.
    pub(super) fn long(seed: u64) -> Way {
        Way {
            seed,
            patience: [20_000, 400_000],
        }
    }
}

/// Walks from `start` and returns the shortest program found. Deterministic. `shows` also returns
/// the cost of its check.
pub(super) fn walk(
    shows: &dyn Fn(&Program) -> (Option<Shrunk>, u64),
    start: Shrunk,
    kind: Kind,
    way: Way,
) -> Shrunk {
    let mut rng = SeededRng::new(way.seed, 0);
    let palette = Palette::of(&start.program, kind);
    let mut best = start;
    let mut here = best.program.clone();
    let (mut work, mut tried) = (0, 0);
    while work < way.patience[usize::from(length(&best.program) > SHORT)] {
        work += 1;
        tried += 1;
        if tried % LEASH == 0 {
            here = best.program.clone();
        }
        let Some(there) = palette.edited(&here, &mut rng) else {
            continue;
        };
        // A detour over one more step may lead to a shorter program.
        let detour = usize::from(rng.percent(10));
        if length(&there) > length(&best.program) + detour {
            continue;
        }
        let (shown, cost) = shows(&there);
        work += cost;
        if let Some(shown) = shown {
            here = shown.program.clone();
            if length(&here) < length(&best.program) {
                (best, work) = (shown, 0);
            }
        }
    }
    best
}
