//! The attempts of a run, packed.
//!
//! A full-size scenario has tens of thousands of attempts that are very similar: a few processes
//! make a few kinds of calls and get a few kinds of answers. What repeats is kept once, in pools,
//! and an attempt is a row of indices into them, next to what is its own: the time, the instance,
//! the socket and the ports. Readers see an [`Attempt`] for each row.
//!
//! - this file: adding and reading attempts; `row`: one of them; `pools`: their shared parts;
//!   `attempt`: a row with its parts

mod attempt;
mod pools;
mod row;

use std::fmt;

use fourtuple_scenario::Op;
use serde::{Serialize, Serializer};

use crate::attempt::{Answer, Args, Caller, Name, RecordedProcess, Seen, SocketId};
use crate::why::Why;

pub use attempt::Attempt;
use pools::Pools;
pub(crate) use row::Mark;
use row::Row;

/// The attempts of a run, in the order in which the calls were made.
#[derive(Clone, Default)]
pub struct Attempts {
    rows: Vec<Row>,
    pools: Pools,
}

impl Attempts {
    /// With room for a number of attempts.
    pub(crate) fn with_capacity(attempts: usize) -> Self {
        Attempts {
            rows: Vec::with_capacity(attempts),
            pools: Pools::default(),
        }
    }

    /// The number of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The attempt at a place, counted from 0.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<Attempt<'_>> {
        let row = self.rows.get(at)?;
        Some(Attempt::new(&self.pools, row, at))
    }

    /// The attempts in the order of the calls.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            pools: &self.pools,
            rows: self.rows.iter(),
            first: 0,
        }
    }

    /// The attempts of each instant, with its time in nanoseconds.
    pub(crate) fn instants(&self) -> impl Iterator<Item = (u64, Iter<'_>)> {
        let mut first = 0;
        let instants = self.rows.chunk_by(|a, b| a.at_ns() == b.at_ns());
        instants.map(move |rows| {
            let pools = &self.pools;
            let instant = Iter {
                pools,
                rows: rows.iter(),
                first,
            };
            first += rows.len();
            (rows[0].at_ns(), instant)
        })
    }

    pub(crate) fn who(&mut self, host: Name, process: Name) -> RecordedProcess {
        self.pools.who(host, process)
    }

    pub(crate) fn socket(&mut self, name: Name) -> SocketId {
        self.pools.socket(name)
    }

    /// Adds a call that has not returned, and answers its place.
    pub(crate) fn push(&mut self, at_ns: u64, caller: Caller, op: Op, args: Args) -> usize {
        let call = self.pools.add_call(&self.rows, (op, args));
        let waiting = self.pools.waiting();
        self.rows.push(Row::new(at_ns, caller, call, waiting));
        self.rows.len() - 1
    }

    /// Answers the call at a place.
    pub(crate) fn answer(&mut self, at: usize, result: Answer, seen: Seen, why: Option<Why>) {
        let (before, rest) = self.rows.split_at_mut(at);
        let row = &mut rest[0];
        let answer = self.pools.add_answer(before, row, result, seen, why);
        row.answered(answer, seen);
    }

    /// Gives back the room that no attempt came for.
    pub(crate) fn finished(mut self) -> Self {
        self.rows.shrink_to_fit();
        self
    }
}

/// Equal attempts, in whatever order the pools came to be filled.
impl PartialEq for Attempts {
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() {
            return false;
        }
        let calls = self.pools.same_calls(&other.pools);
        let answers = self.pools.same_answers(&other.pools);
        // Of each answer, the other's that was found to be equal for equal calls. Mostly it is the
        // same one every time.
        let mut known: Vec<Option<u32>> = match answers {
            true => Vec::new(),
            false => vec![None; self.pools.answers()],
        };
        let mut same_answer = |one: Attempt<'_>, another: Attempt<'_>| {
            let (ours, theirs) = (one.row().answer(), another.row().answer());
            if answers {
                return ours == theirs;
            }
            let known = &mut known[ours as usize];
            if *known != Some(theirs) {
                if !one.same_answer(another) || one.why() != another.why() {
                    return false;
                }
                *known = Some(theirs);
            }
            true
        };
        self.iter().zip(other).all(|(one, another)| {
            let same_call = || match calls {
                true => one.row().same_call(another.row()),
                false => one.same_call(another),
            };
            one.row().same_own(another.row()) && same_call() && same_answer(one, another)
        })
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl Serialize for Attempts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self)
    }
}

impl<'a> IntoIterator for &'a Attempts {
    type Item = Attempt<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Goes through attempts.
#[derive(Clone)]
pub struct Iter<'a> {
    pools: &'a Pools,
    rows: std::slice::Iter<'a, Row>,
    /// The place of the next one.
    first: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Attempt<'a>;

    fn next(&mut self) -> Option<Attempt<'a>> {
        let row = self.rows.next()?;
        self.first += 1;
        Some(Attempt::new(self.pools, row, self.first - 1))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let row = self.rows.next_back()?;
        Some(Attempt::new(self.pools, row, self.first + self.rows.len()))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
