//! One observed call, tried on the states that explain everything before it.

use super::enumerate::Timers;
use super::{Belief, EnumeratingChooser, Mentions, Op};
use crate::profile::FlagSet;
use crate::time::Time;
use fourtuple_syscall::Outcome;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most sockets and TIME-WAIT sockets in all states that are kept at a time.
pub const MAX_SOCKETS_KEPT: usize = 200_000;
/// Sockets that are copied in the time of a call.
pub const SOCKETS_PER_UNIT: usize = 16;

/// The reason why a search ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It would be more work than allowed.
    Work,
    /// More states explain the answer than are kept.
    States,
}

/// A search for the states that explain one answer.
pub(super) struct Search<'a> {
    op: &'a Op,
    /// The compared part of the observed outcome.
    seen: &'a Outcome,
    /// The times at which the call began and had returned.
    time: (Time, Time),
    /// The most work.
    pub(super) limit: u64,
    /// The most states.
    pub(super) room: usize,
    /// The ports of the program, if they are known.
    pub(super) mentions: Option<&'a Mentions>,
    /// The same ports in order.
    pub(super) mentioned: Option<Arc<[u16]>>,
    pub(super) work: u64,
    pub(super) tried: u64,
    pub(super) flags: FlagSet,
    /// The states after the call that explain the answer.
    pub(super) next: Vec<Belief>,
    /// Their fingerprints.
    marks: BTreeSet<u64>,
    /// Their sockets.
    sockets: usize,
    /// The answers of those that do not.
    pub(super) allowed: BTreeSet<Outcome>,
}

/// One trial: the state after it, the answer, and the chooser with its choices.
struct Trial {
    after: Belief,
    explains: bool,
    answer: Outcome,
    script: EnumeratingChooser,
}

impl<'a> Search<'a> {
    pub(super) fn new(op: &'a Op, seen: &'a Outcome, time: (Time, Time)) -> Self {
        Search {
            op,
            seen,
            time,
            limit: u64::MAX,
            room: usize::MAX,
            mentions: None,
            mentioned: None,
            work: 0,
            tried: 0,
            flags: FlagSet::default(),
            next: Vec::new(),
            marks: BTreeSet::new(),
            sockets: 0,
            allowed: BTreeSet::new(),
        }
    }

    /// The chooser of a first trial.
    fn script(&self, belief: &Belief) -> EnumeratingChooser {
        let script = belief.aiming(self.op, self.seen, self.mentions);
        match &self.mentioned {
            Some(ports) if belief.machine.ways.is_some() => script.mentioning(Arc::clone(ports)),
            _ => script,
        }
    }

    /// Tries the call on one state with every possible choice.
    pub(super) fn belief(&mut self, belief: &Belief) -> Result<(), Stop> {
        if self.without_timers(belief)? {
            return Ok(());
        }
        let mut script = self.script(belief);
        loop {
            let trial = self.attempt(belief, script)?;
            script = trial.script;
            if trial.explains {
                if !self.is_stood_for(&trial.after, &script) {
                    self.keep(trial.after)?;
                }
                script.explains();
            } else {
                self.allowed.insert(trial.answer);
            }
            if !script.another() {
                return Ok(());
            }
        }
    }

    /// The same with all timers that may have fired held back. That is enough if the call does the
    /// same before and after they fire: they can then fire later as well. Returns `true` if it is.
    fn without_timers(&mut self, belief: &Belief) -> Result<bool, Stop> {
        let (mut held, mut others) = (Vec::new(), BTreeSet::new());
        let mut any = false;
        let mut script = self.script(belief).with(Timers::Hold);
        loop {
            let mut trial = self.attempt(belief, script)?;
            if trial.script.held_back() {
                any = true;
                let fired = self.attempt(belief, trial.script.again(Timers::Fire))?;
                let same = trial.explains == fired.explains
                    && (!trial.explains
                        || trial.after.with_all_fired() == fired.after.with_all_fired());
                if !same {
                    return Ok(false);
                }
            }
            if trial.explains {
                if !self.is_stood_for(&trial.after, &trial.script) {
                    held.push(trial.after);
                }
                trial.script.explains();
            } else {
                others.insert(trial.answer);
            }
            script = trial.script;
            if !script.another() {
                break;
            }
        }
        if held.is_empty() && any {
            return Ok(false);
        }
        self.allowed.extend(others);
        held.into_iter().try_for_each(|after| self.keep(after))?;
        Ok(true)
    }

    fn is_stood_for(&self, after: &Belief, script: &EnumeratingChooser) -> bool {
        self.mentions
            .is_some_and(|mentions| after.is_stood_for(self.op, script, mentions))
    }

    fn attempt(&mut self, belief: &Belief, script: EnumeratingChooser) -> Result<Trial, Stop> {
        self.work += 1 + (belief.machine.sockets_held() / SOCKETS_PER_UNIT) as u64;
        if self.work > self.limit {
            return Err(Stop::Work);
        }
        self.tried += 1;
        let (start, at) = self.time;
        let mut after = belief.clone();
        *after.machine.chooser_mut() = script;
        after.machine.advance(start);
        let answer = after.execute(self.op, at, self.seen);
        let answer = self.op.compared(&answer);
        self.flags = self.flags.union(after.machine.observed_flags());
        let script = std::mem::take(after.machine.chooser_mut());
        Ok(Trial {
            explains: answer == *self.seen,
            after,
            answer,
            script,
        })
    }

    /// Keeps a state, unless there is an equal one.
    fn keep(&mut self, after: Belief) -> Result<(), Stop> {
        // A single state needs no fingerprint.
        if self.next.len() == 1 && self.marks.is_empty() {
            self.marks.insert(self.next[0].fingerprint());
        }
        if !self.next.is_empty() && !self.marks.insert(after.fingerprint()) {
            return Ok(());
        }
        self.sockets += after.machine.sockets_held();
        if self.next.len() == self.room
            || (self.sockets > MAX_SOCKETS_KEPT && !self.next.is_empty())
        {
            return Err(Stop::States);
        }
        self.next.push(after);
        Ok(())
    }
}

impl Belief {
    /// The fingerprint of the state once all timers that may have fired have.
    fn with_all_fired(&self) -> u64 {
        let mut later = self.clone();
        *later.machine.chooser_mut() = EnumeratingChooser::new().with(Timers::Fire);
        let now = later.machine.now();
        later.machine.advance(now);
        later.fingerprint()
    }
}
