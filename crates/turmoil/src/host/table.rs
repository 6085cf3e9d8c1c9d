//! Tables that every call and every segment looks something up in.

use indexmap::IndexMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map in order of insertion, as long as nothing is removed. Keys are the simulation's own, so
/// that its hash function need not resist an attacker.
pub(crate) type Table<K, V> = IndexMap<K, V, BuildHasherDefault<Mix>>;

/// A hash function of few words: a multiplication for each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mix(u64);

/// 2^64 divided by the golden ratio, as in Fibonacci hashing.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(GOLDEN);
    }

    fn finish(&self) -> u64 {
        // The table takes the low bits, which depend on the low bits of the words alone.
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::hash::BuildHasher;

    #[test]
    fn neighbours_fall_into_different_places() {
        let build = BuildHasherDefault::<Mix>::default();
        let of = |n: u32| build.hash_one((n, n / 7)) % 4096;
        let places: BTreeSet<u64> = (0..2048).map(of).collect();
        // As many as a random function leaves: 4096 * (1 - e^-0.5) = 1612.
        assert!(places.len() > 1500, "{}", places.len());
    }
}
