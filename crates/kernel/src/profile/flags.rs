//! The behaviour flags that a machine has read. Two kernels that agree on those give the same
//! answers to the same calls, so that one run stands for both.

use std::sync::atomic::{AtomicU64, Ordering};

/// A set of behaviour flags.
///
/// ```
/// use fourtuple_kernel::{Family, Machine, Profile, Seeded};
///
/// let [old, new]: [Profile; 2] = ["linux-6.11".parse()?, "linux-6.12".parse()?];
/// let mut host = Machine::new(old.behaviours, Seeded::new(1, "host"));
/// let ns = host.add_namespace();
/// let socket = host.socket(ns, Family::Inet, 0);
/// host.close(socket);
///
/// // The kernels differ, but not in anything that these calls depend on.
/// assert!(!old.behaviours.differing(&new.behaviours).is_empty());
/// assert!(old.behaviours.agrees_on(&new.behaviours, host.observed_flags()));
/// # Ok::<(), fourtuple_kernel::profile::UnknownProfile>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlagSet(u64);

impl FlagSet {
    /// Every flag there is.
    pub const ALL: FlagSet = FlagSet(u64::MAX);

    /// The flags of either set.
    #[must_use]
    pub const fn union(self, other: FlagSet) -> FlagSet {
        FlagSet(self.0 | other.0)
    }

    pub(super) const fn contains(self, flag: u32) -> bool {
        self.0 >> flag & 1 == 1
    }
}

/// A table of behaviours, with a record of the flags that have been read.
#[derive(Debug)]
pub(crate) struct Tracked<T> {
    table: T,
    read: AtomicU64,
}

impl<T> Tracked<T> {
    pub(crate) const fn new(table: T) -> Self {
        Tracked {
            table,
            read: AtomicU64::new(0),
        }
    }

    /// The whole table; every flag counts as read.
    pub(crate) fn table(&self) -> &T {
        self.read.store(u64::MAX, Ordering::Relaxed);
        &self.table
    }

    /// The whole table, unrecorded. For values whose effect cannot be observed yet: the place that
    /// makes the effect visible reads the flag.
    #[inline]
    pub(crate) fn peek(&self) -> &T {
        &self.table
    }

    /// The flags read so far.
    pub(crate) fn observed_flags(&self) -> FlagSet {
        FlagSet(self.read.load(Ordering::Relaxed))
    }

    /// The table, recorded as read for this flag.
    #[inline]
    pub(super) fn read(&self, flag: u32) -> &T {
        // A load is cheaper than an atomic write, and after a few calls every flag is recorded.
        if self.read.load(Ordering::Relaxed) >> flag & 1 == 0 {
            self.read.fetch_or(1 << flag, Ordering::Relaxed);
        }
        &self.table
    }
}

impl<T: Clone> Clone for Tracked<T> {
    fn clone(&self) -> Self {
        Tracked {
            table: self.table.clone(),
            read: AtomicU64::new(self.observed_flags().0),
        }
    }
}
