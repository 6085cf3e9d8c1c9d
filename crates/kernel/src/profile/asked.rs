//! Which behaviours a machine has looked at: two kernels that are alike in those answer the same
//! calls alike, so that one run stands for both.

use super::behaviour::Behaviours;
use std::sync::atomic::{AtomicU64, Ordering};

/// A set of behaviours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Those whose value matters.
    values: u64,
    /// Those of which only matters whether the kernel has the thing at all.
    presence: u64,
}

impl Asked {
    /// Every behaviour there is.
    pub const ALL: Asked = Asked {
        values: u64::MAX,
        presence: u64::MAX,
    };

    /// The behaviours of either set.
    #[must_use]
    pub const fn and(self, other: Asked) -> Asked {
        Asked {
            values: self.values | other.values,
            presence: self.presence | other.presence,
        }
    }

    /// Whether the value of the behaviour at a place of the table matters.
    pub(super) const fn has(self, place: u32) -> bool {
        self.values >> place & 1 == 1
    }

    /// Whether it matters if the kernel has it.
    pub(super) const fn has_presence(self, place: u32) -> bool {
        self.presence >> place & 1 == 1
    }
}

/// The behaviours of a machine, which notes the ones that it is asked for.
#[derive(Debug)]
pub(crate) struct Watched {
    table: Behaviours,
    asked: AtomicU64,
    presence: AtomicU64,
}

impl Watched {
    pub(crate) const fn new(table: Behaviours) -> Self {
        Watched {
            table,
            asked: AtomicU64::new(0),
            presence: AtomicU64::new(0),
        }
    }

    /// The whole table, for those who do not say what they want of it.
    pub(crate) fn table(&self) -> &Behaviours {
        self.asked.store(u64::MAX, Ordering::Relaxed);
        &self.table
    }

    /// What has been asked for until now.
    pub(crate) fn asked(&self) -> Asked {
        Asked {
            values: self.asked.load(Ordering::Relaxed),
            presence: self.presence.load(Ordering::Relaxed),
        }
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

    /// The same where only matters whether the kernel has it.
    #[inline]
    pub(super) fn ask_presence(&self, place: u32) -> &Behaviours {
        self.presence.fetch_or(1 << place, Ordering::Relaxed);
        &self.table
    }
}

impl Clone for Watched {
    fn clone(&self) -> Self {
        Watched {
            table: self.table,
            asked: AtomicU64::new(self.asked().values),
            presence: AtomicU64::new(self.asked().presence),
        }
    }
}
