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
pub struct FlagSet(u128);

impl FlagSet {
    /// Every flag there is.
    pub const ALL: FlagSet = FlagSet(u128::MAX);
    /// The number of flags that a set has room for.
    pub(super) const MOST: usize = u128::BITS as usize;

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
    /// One bit a flag, in words that can be written atomically.
    read: [AtomicU64; 2],
}

impl<T> Tracked<T> {
    pub(crate) const fn new(table: T) -> Self {
        Tracked {
            table,
            read: [AtomicU64::new(0), AtomicU64::new(0)],
        }
    }

    /// The whole table; every flag counts as read.
    pub(crate) fn table(&self) -> &T {
        for word in &self.read {
            word.store(u64::MAX, Ordering::Relaxed);
        }
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
        let [low, high] = &self.read;
        let [low, high] = [low, high].map(|word| u128::from(word.load(Ordering::Relaxed)));
        FlagSet(high << 64 | low)
    }

    /// The table, recorded as read for this flag.
    #[inline]
    pub(super) fn read(&self, flag: u32) -> &T {
        // A load is cheaper than an atomic write, and after a few calls every flag is recorded.
        let (word, bit) = (&self.read[flag as usize / 64], 1 << (flag % 64));
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        &self.table
    }
}

impl<T: Clone> Clone for Tracked<T> {
    fn clone(&self) -> Self {
        let copy = |word: &AtomicU64| AtomicU64::new(word.load(Ordering::Relaxed));
        Tracked {
            table: self.table.clone(),
            read: [copy(&self.read[0]), copy(&self.read[1])],
        }
    }
}
