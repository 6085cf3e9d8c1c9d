//! The states of one boot that explain the answers so far, and the limits of their number.

use super::search::{Search, Stop};
use super::starts::Starts;
use super::{Belief, EnumeratingChooser, Mentions, Op};
use crate::profile::{Behaviours, FlagSet};
use crate::time::Time;
use fourtuple_syscall::Outcome;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The error of an observed answer that no state of the model gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disallowed {
    /// The outcomes that the model allows, as far as they are compared ([`Op::compared`]).
    pub allowed: BTreeSet<Outcome>,
}

/// Checks the answers of one boot of a kernel against a profile.
///
/// ```
/// use fourtuple_kernel::conformance::{Checker, Disallowed, Op, SimulatedKernel};
/// use fourtuple_kernel::{Family, Profile, SockOpt};
/// use fourtuple_syscall::{Kind, Syscall};
///
/// let [real, older]: [Profile; 2] = ["linux-3.9".parse()?, "linux-3.8".parse()?];
/// let (family, kind, uid, nonblock) = (Family::Inet, Kind::Stream, 0, false);
/// let program = [
///     Op::Ns,
///     Syscall::Socket { sock: 0, family, kind, uid, nonblock }.into(),
///     Syscall::Set { sock: 0, option: SockOpt::ReusePort(true) }.into(),
/// ];
/// let check = |claimed: &Profile| -> Result<(), Disallowed> {
///     let mut kernel = SimulatedKernel::new(real.behaviours, 1);
///     let mut checker = Checker::new(claimed.behaviours);
///     program.iter().try_for_each(|op| {
///         let seen = kernel.step(op, 0);
///         checker.step(kernel.now(), op, &seen)
///     })
/// };
/// assert!(check(&real).is_ok());
/// assert!(check(&older).is_err(), "Linux 3.8 has no SO_REUSEPORT");
/// # Ok::<(), fourtuple_kernel::profile::UnknownProfile>(())
/// ```
#[derive(Clone)]
pub struct Checker {
    beliefs: Vec<Belief>,
    /// The time at which the last call had returned.
    last: Time,
    most: usize,
    flags: FlagSet,
    tried: u64,
    /// Work on the present program.
    work: u64,
    limit: u64,
    /// More states than this are not kept; the oldest explanations win.
    room: usize,
    /// States have been left out; the kernel's own may be one of them.
    left_out: bool,
    /// The limit that was exceeded: answers are not checked any more.
    lost: Option<GaveUp>,
    /// The starts of searches, if they are checked.
    starts: Option<Starts>,
    /// The ports of the program that is checked, if they are known.
    mentions: Option<Mentions>,
    /// Its ports.
    mentioned: Option<Arc<[u16]>>,
}

/// The most states of a kernel that are kept at a time, unless a caller asks for less.
pub const MAX_STATES: usize = 2_048;
/// The most work on one program, unless a caller asks for less: calls tried on a state, where each
/// [`SOCKETS_PER_UNIT`](super::SOCKETS_PER_UNIT) sockets of the state count as one call more.
pub const MAX_WORK: u64 = 2_000_000;

/// The limit at which a checker gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GaveUp {
    /// More states explained the answers than are kept, and none of those that are kept explains a
    /// later answer.
    States(usize),
    /// Checking the program took more work than this.
    Work(u64),
}

impl std::fmt::Display for GaveUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            GaveUp::States(most) => {
                write!(
                    f,
                    "more than {most} states of the kernel explain the answers"
                )
            }
            GaveUp::Work(most) => write!(f, "it takes more than {most} trials of a call"),
        }
    }
}

impl Checker {
    /// A checker of a kernel that has just booted.
    #[must_use]
    pub fn new(behaviours: Behaviours) -> Self {
        Checker {
            beliefs: vec![Belief::boot(
                behaviours,
                EnumeratingChooser::new(),
                Time::ZERO,
            )],
            last: Time::ZERO,
            most: 1,
            flags: FlagSet::default(),
            tried: 0,
            work: 0,
            limit: MAX_WORK,
            room: MAX_STATES,
            left_out: false,
            lost: None,
            starts: None,
            mentions: None,
            mentioned: None,
        }
    }

    /// Gives up on a program after this much work ([`MAX_WORK`]): from then on every answer is
    /// allowed. Where a kernel chose its ports out of tens of thousands, a few answers may have too
    /// many explanations.
    #[must_use]
    pub fn giving_up_after(self, work: u64) -> Self {
        Checker {
            limit: work,
            ..self
        }
    }

    /// Checks the starts of connect() searches as well. Only for programs that ran one after the
    /// other: what others do at the same time moves the starts.
    #[must_use]
    pub fn checking_starts(self) -> Self {
        Checker {
            starts: Some(Starts::default()),
            ..self
        }
    }

    /// Sets the ports that the next program mentions: of the others, one stands for all.
    pub fn expect(&mut self, mentions: Mentions) {
        self.mentioned = Some(mentions.ports());
        self.mentions = Some(mentions);
    }

    /// Keeps at most so many states, and at least one.
    #[must_use]
    pub fn keeping_at_most(self, states: usize) -> Self {
        Checker {
            room: states.max(1),
            ..self
        }
    }

    /// The limit at which checking ended, if it did: too much work, or too many explanations to
    /// keep, of which none that was kept gives a later answer. Every answer is allowed then, until
    /// new namespaces begin.
    #[must_use]
    pub fn gave_up(&self) -> Option<GaveUp> {
        self.lost
    }

    /// The number of times that a call was tried on a state: a measure of the work.
    #[must_use]
    pub fn tried(&self) -> u64 {
        self.tried
    }

    /// The behaviour flags read in any state that was tried. A kernel that agrees on them allows
    /// the same answers. All flags, if states were left out.
    #[must_use]
    pub fn observed_flags(&self) -> FlagSet {
        if self.left_out {
            FlagSet::ALL
        } else {
            self.flags
        }
    }

    /// The number of states that explain all answers so far.
    #[must_use]
    pub fn states(&self) -> usize {
        self.beliefs.len()
    }

    /// The largest number of states at a time.
    #[must_use]
    pub fn most_states(&self) -> usize {
        self.most
    }

    /// Checks one call that had returned at `at` with the answer `seen`.
    ///
    /// # Errors
    /// If no state of the model allows that answer. The checker is then as before the call.
    pub fn step(&mut self, at: Time, op: &Op, seen: &Outcome) -> Result<(), Disallowed> {
        if matches!(op, Op::Ns | Op::Hosts(_)) {
            self.lost = None;
            self.work = 0;
            if let Some(starts) = &mut self.starts {
                *starts = Starts::default();
            }
        }
        if self.lost.is_some() {
            return Ok(());
        }
        // The call began when the one before it had returned.
        let start = if matches!(op, Op::Sleep | Op::Ns | Op::Hosts(_)) {
            at
        } else {
            self.last
        };
        let seen = &op.compared(seen);
        let mut search = Search::new(op, seen, (start, at));
        search.limit = self.limit.saturating_sub(self.work);
        search.room = self.room;
        search.mentions = self.mentions.as_ref();
        search.mentioned.clone_from(&self.mentioned);
        let stopped = self
            .beliefs
            .iter()
            .try_for_each(|belief| search.belief(belief))
            .err();
        self.work += search.work;
        self.tried += search.tried;
        self.flags = self.flags.union(search.flags);
        if stopped == Some(Stop::Work) {
            // The state that this program leaves behind is unknown.
            self.left_out = true;
            self.lost = Some(GaveUp::Work(self.limit));
            return Ok(());
        }
        if search.next.is_empty() && self.left_out {
            self.lost = Some(GaveUp::States(self.room));
            return Ok(());
        }
        if search.next.is_empty() {
            return Err(Disallowed {
                allowed: search.allowed,
            });
        }
        if let Some(starts) = &mut self.starts {
            let judged = starts.check(&self.beliefs, (start, at), op, seen);
            judged.map_err(|allowed| Disallowed { allowed })?;
        }
        self.left_out |= stopped == Some(Stop::States);
        self.most = self.most.max(search.next.len());
        self.beliefs = search.next;
        self.last = self.last.max(at);
        Ok(())
    }
}
