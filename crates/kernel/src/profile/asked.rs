//! Which behaviours a machine has looked at: two kernels that are alike in those answer the same
//! calls alike, so that one run stands for both.

use super::behaviour::Behaviours;
use std::sync::atomic::{AtomicU64, Ordering};

/// A set of behaviours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked(u64);

impl Asked {
    /// Every behaviour there is.
    pub const ALL: Asked = Asked(u64::MAX);

    /// The behaviours of either set.
    #[must_use]
    pub const fn and(self, other: Asked) -> Asked {
        Asked(self.0 | other.0)
    }

    /// Whether the value of the behaviour at a place of the table matters.
    pub(super) const fn has(self, place: u32) -> bool {
        self.0 >> place & 1 == 1
    }
}

/// The behaviours of a machine, which notes the ones that it is asked for.
#[derive(Debug)]
pub(crate) struct Watched {
    table: Behaviours,
    asked: AtomicU64,
}

impl Watched {
    pub(crate) const fn new(table: Behaviours) -> Self {
        Watched {
            table,
            asked: AtomicU64::new(0),
        }
    }

    /// The whole table, for those who do not say what they want of it.
    pub(crate) fn table(&self) -> &Behaviours {
        self.asked.store(u64::MAX, Ordering::Relaxed);
        &self.table
    }

    /// The whole table, without a note. For values whose effect cannot be observed yet: the place
    /// that makes the effect visible asks for the behaviour.
    #[inline]
    pub(crate) fn peek(&self) -> &Behaviours {
        &self.table
    }

    /// What has been asked for until now.
    pub(crate) fn asked(&self) -> Asked {
        Asked(self.asked.load(Ordering::Relaxed))
    }

    /// The table, whose behaviour at this place is looked at now.
    #[inline]
    pub(super) fn ask(&self, place: u32) -> &Behaviours {
        // Mostly it is known already, and reading costs nothing.
        if self.asked.load(Ordering::Relaxed) >> place & 1 == 0 {
            self.asked.fetch_or(1 << place, Ordering::Relaxed);
        }
        &self.table
    }
}

impl Clone for Watched {
    fn clone(&self) -> Self {
        Watched {
            table: self.table,
            asked: AtomicU64::new(self.asked().0),
        }
    }
}
