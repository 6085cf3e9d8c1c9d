//! The established table by itself (`ehash`): owners by 4-tuple.
//!
//! Several owners may have one 4-tuple: one bound to a device leaves it to sockets of other
//! devices. They are visited as in a chain of the kernel's table, which a newcomer enters at the
//! head (`__inet_hash`): the newest first, however many entries the table has room for.
//!
//! An entry has its whole 4-tuple, the two addresses as the number of their pair: neither a lookup
//! nor a growing table has to read a socket. Neighbouring ports of a pair are neighbours in the
//! table, so that a search that goes from port to port stays on the same few pages of memory,
//! however large the table is.

use crate::addr::{Endpoint, Ip, fold};
use crate::bucket::Owner;
use hashbrown::HashTable;
use hashbrown::hash_table;
use std::collections::BTreeMap;

/// A 4-tuple as seen from one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuple {
    pub(crate) local: Ip,
    pub(crate) remote: Ip,
    pub(crate) lport: u16,
    pub(crate) rport: u16,
}

impl Tuple {
    pub(crate) fn new(local: Endpoint, remote: Endpoint) -> Self {
        Tuple {
            local: local.ip,
            remote: remote.ip,
            lport: local.port,
            rport: remote.port,
        }
    }

    fn key(&self, Pair(pair): Pair) -> Key {
        Key {
            pair,
            lport: self.lport,
            rport: self.rport,
        }
    }
}

/// A pair of addresses that the table knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    pair: u32,
    lport: u16,
    rport: u16,
}

/// Ports that are neighbours in the table.
const NEIGHBOURS: u16 = 64;

impl Key {
    /// The table takes the place from the lower bits and distinguishes entries there by the
    /// uppermost seven. Of the ports of one neighbourhood each has a place and a mark of its own.
    fn hash(self) -> u64 {
        let within = u64::from((self.lport ^ self.rport) % NEIGHBOURS);
        let ports = u64::from(self.lport / NEIGHBOURS) << 16 | u64::from(self.rport / NEIGHBOURS);
        let h = fold(u64::from(self.pair) << 32 | ports, 0x9e37_79b9_7f4a_7c15);
        (h & !u64::from(NEIGHBOURS - 1) | within) ^ within << 57
    }
}

/// The newest owner of a 4-tuple.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    owner: Owner,
}

/// Pairs of addresses that have been seen, by number. They are kept: a network has few.
#[derive(Clone, Debug, Default)]
struct Pairs {
    list: Vec<[Ip; 2]>,
    numbers: HashTable<u32>,
    /// The pair that came last in either direction, with its number: bursts are of one
    /// connection's.
    last: [Option<([Ip; 2], u32)>; 2],
}

impl Pairs {
    fn hash(pair: [Ip; 2]) -> u64 {
        let [(a, b), (c, d)] = pair.map(Ip::halves);
        fold(
            b ^ 0x9e37_79b9_7f4a_7c15 ^ c.rotate_left(32),
            d ^ 0xff51_afd7_ed55_8ccd ^ a.rotate_left(32),
        )
    }

    fn direction(pair: [Ip; 2]) -> usize {
        usize::from(pair[0].halves().1 < pair[1].halves().1)
    }

    #[inline]
    fn find(&self, pair: [Ip; 2]) -> Option<u32> {
        if let Some((last, n)) = self.last[Self::direction(pair)]
            && last == pair
        {
            return Some(n);
        }
        self.numbers
            .find(Self::hash(pair), |&n| self.list[n as usize] == pair)
            .copied()
    }

    fn number(&mut self, pair: [Ip; 2]) -> u32 {
        let n = self.find(pair).unwrap_or_else(|| self.add(pair));
        self.last[Self::direction(pair)] = Some((pair, n));
        n
    }

    fn add(&mut self, pair: [Ip; 2]) -> u32 {
        let n = u32::try_from(self.list.len()).expect("fewer pairs of addresses than 2^32");
        self.list.push(pair);
        let list = &self.list;
        self.numbers
            .insert_unique(Self::hash(pair), n, |&n| Self::hash(list[n as usize]));
        n
    }
}

/// Sockets and TIME-WAIT sockets by 4-tuple.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tuples {
    pairs: Pairs,
    table: HashTable<Entry>,
    /// The other owners of 4-tuples that have more than one, the oldest first.
    older: BTreeMap<Key, Vec<Owner>>,
}

impl Tuples {
    /// The number of a pair of addresses, if it has ever been seen.
    #[inline]
    pub(crate) fn pair(&self, local: Ip, remote: Ip) -> Option<Pair> {
        self.pairs.find([local, remote]).map(Pair)
    }

    /// The number of owners.
    pub(crate) fn len(&self) -> usize {
        self.table.len() + self.older.values().map(Vec::len).sum::<usize>()
    }

    /// The newest owner of a 4-tuple that passes the filter.
    #[inline]
    pub(crate) fn find(&self, tuple: &Tuple, pass: impl FnMut(Owner) -> bool) -> Option<Owner> {
        let pair = self.pair(tuple.local, tuple.remote)?;
        self.find_of(pair, tuple.lport, tuple.rport, pass)
    }

    /// The same where the pair of addresses is known.
    #[inline]
    pub(crate) fn find_of(
        &self,
        Pair(pair): Pair,
        lport: u16,
        rport: u16,
        mut pass: impl FnMut(Owner) -> bool,
    ) -> Option<Owner> {
        let key = Key { pair, lport, rport };
        let newest = self.table.find(key.hash(), |e| e.key == key)?.owner;
        if pass(newest) {
            return Some(newest);
        }
        if self.older.is_empty() {
            return None;
        }
        let older = self.older.get(&key)?;
        older.iter().rev().copied().find(|&owner| pass(owner))
    }

    pub(crate) fn insert(&mut self, tuple: &Tuple, owner: Owner) {
        let key = tuple.key(Pair(self.pairs.number([tuple.local, tuple.remote])));
        let place = self
            .table
            .entry(key.hash(), |e| e.key == key, |e| e.key.hash());
        match place {
            hash_table::Entry::Vacant(place) => {
                place.insert(Entry { key, owner });
            }
            hash_table::Entry::Occupied(mut place) => {
                let older = std::mem::replace(&mut place.get_mut().owner, owner);
                self.older.entry(key).or_default().push(older);
            }
        }
    }

    pub(crate) fn remove(&mut self, tuple: &Tuple, owner: Owner) {
        let Some(pair) = self.pair(tuple.local, tuple.remote) else {
            return;
        };
        let key = tuple.key(pair);
        let Ok(mut newest) = self.table.find_entry(key.hash(), |e| e.key == key) else {
            return;
        };
        let is_newest = newest.get().owner == owner;
        let Some(older) = self.older.get_mut(&key) else {
            if is_newest {
                newest.remove();
            }
            return;
        };
        if !is_newest {
            older.retain(|one| *one != owner);
        } else if let Some(next) = older.pop() {
            newest.get_mut().owner = next;
        }
        if older.is_empty() {
            self.older.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn tuple(remote: u32, lport: u16, rport: u16) -> Tuple {
        Tuple {
            local: Ip::LOOPBACK4,
            remote: Ipv4Addr::from(0x0a00_0000 + remote).into(),
            lport,
            rport,
        }
    }

    #[test]
    fn entries_are_found_until_they_are_removed() {
        let mut tuples = Tuples::default();
        let all = |n: u32| tuple(n % 7, 40_000 + (n / 7) as u16, 80 + (n % 3) as u16);
        for n in 0..20_000 {
            tuples.insert(&all(n), Owner::sock(n));
        }
        for n in (0..20_000).step_by(2) {
            tuples.remove(&all(n), Owner::sock(n));
        }
        for n in 0..20_000 {
            let found = tuples.find(&all(n), |o| o == Owner::sock(n));
            assert_eq!(found, (n % 2 == 1).then_some(Owner::sock(n)));
        }
        assert_eq!(tuples.find(&tuple(8, 40_000, 80), |_| true), None);
    }

    /// A lookup sees the owners of a 4-tuple in the kernel's order, however much room the table has
    /// had before.
    #[test]
    fn the_newest_owner_comes_first_whatever_the_capacity() {
        let at = tuple(1, 40_000, 80);
        for others in [0, 1, 10, 5_000] {
            let mut tuples = Tuples::default();
            for n in 0..others {
                tuples.insert(
                    &tuple(2 + n % 5, 40_000 + (n / 5) as u16, 80),
                    Owner::sock(10 + n),
                );
            }
            for n in 0..4 {
                tuples.insert(&at, Owner::sock(n));
            }
            let seen = |tuples: &Tuples| {
                let mut seen = Vec::new();
                tuples.find(&at, |owner| {
                    seen.push(owner);
                    false
                });
                seen
            };
            assert_eq!(seen(&tuples), [3, 2, 1, 0].map(Owner::sock));
            tuples.remove(&at, Owner::sock(1));
            tuples.remove(&at, Owner::sock(3));
            tuples.insert(&at, Owner::sock(4));
            assert_eq!(seen(&tuples), [4, 2, 0].map(Owner::sock));
            assert_eq!(tuples.len(), others as usize + 3);
            for n in [2, 4, 0] {
                tuples.remove(&at, Owner::sock(n));
            }
            assert_eq!((seen(&tuples), tuples.len()), (vec![], others as usize));
        }
    }

    #[test]
    fn the_ports_of_a_neighbourhood_differ_in_place_and_mark() {
        let hashes = (40_000..40_064).map(|lport| {
            let key = Key {
                pair: 3,
                lport,
                rport: 80,
            };
            key.hash()
        });
        let mut places: Vec<u64> = hashes.clone().map(|h| h % 1024).collect();
        let mut marks: Vec<u64> = hashes.map(|h| h >> 57).collect();
        for list in [&mut places, &mut marks] {
            list.sort_unstable();
            list.dedup();
            assert_eq!(list.len(), 64);
        }
        assert_eq!(places[63] - places[0], 63);
    }
}
