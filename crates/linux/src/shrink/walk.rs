//! A walk at random among programs that show the same: from one to another that is no longer, and now and then to one that is
//! shorter. Steps left out one by one never get from a connection between two sockets to one of a socket with itself; a walk does.

use super::edit::Palette;
use super::{Shrunk, length};
use crate::generate::Kind;
use crate::generate::dice::Dice;
use crate::program::Program;

/// What counts as short.
const SHORT: usize = 8;
/// So many long walks are taken.
pub(super) const WAYS: u64 = 4;
/// A walk that has come so far from the best program begins there again.
const LEASH: usize = 1_500;

/// Which way a walk takes, and when it ends.
#[derive(Clone, Copy)]
pub(super) struct Way {
    seed: u64,
    /// So much work is done after the last program that was shorter, in calls that are tried on a state of the model: with one that is
    /// short already, and with one that is not.
    patience: [u64; 2],
}

impl Way {
    /// For somebody who waits.
    pub(super) const SHORT: Way = Way {
        seed: 0,
        patience: [20_000, 150_000],
    };

    /// For somebody who wants to be sure.
    pub(super) fn long(seed: u64) -> Way {
        Way {
            seed,
            patience: [20_000, 400_000],
        }
    }
}

/// The shortest program that a walk from `start` comes to. It takes the same way each time. `shows` tells as well how much work it was.
pub(super) fn walk(
    shows: &dyn Fn(&Program) -> (Option<Shrunk>, u64),
    start: Shrunk,
    kind: Kind,
    way: Way,
) -> Shrunk {
    let mut dice = Dice::new(way.seed, 0);
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
        let Some(there) = palette.edited(&here, &mut dice) else {
            continue;
        };
        // A step more may be what it takes to get to two less.
        let detour = usize::from(dice.percent(10));
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
