//! Sets of ports as bits, with the two things that searches need: whole words, and a summary that
//! says which words are full, so that a search over a full range looks at a few words only.

/// Words of a set of all 65,536 ports.
pub(crate) const WORDS: usize = 65536 / 64;
/// Bits of even ports in a word.
pub(crate) const EVEN: u64 = 0x5555_5555_5555_5555;
/// Bits of odd ports in a word.
pub(crate) const ODD: u64 = !EVEN;

/// Words that one bit of the upper summary stands for.
const GROUP: usize = 64;
const GROUPS: usize = WORDS / GROUP;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Bits {
    words: [u64; WORDS],
    /// Of even ports, then of odd ones.
    full: [Full; 2],
}

/// A summary of full words, for the ports of one parity.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Full {
    /// The words that have all of them, as bits, a group of words to a value.
    words: [u64; GROUPS],
    /// The groups that have full words only, as bits.
    groups: u16,
}

/// The bits of an empty set.
static NONE: Bits = Bits::EMPTY;

impl Bits {
    const EMPTY: Bits = {
        const NOTHING: Full = Full {
            words: [0; GROUPS],
            groups: 0,
        };
        Bits {
            words: [0; WORDS],
            full: [NOTHING; 2],
        }
    };

    /// Bit `i` of the answer: word `GROUP * group + i` has all ports of the lanes.
    fn full(&self, group: usize, lanes: u64) -> u64 {
        let [even, odd] = &self.full;
        match lanes {
            EVEN => even.words[group],
            ODD => odd.words[group],
            _ => even.words[group] & odd.words[group],
        }
    }

    /// Bit `i` of the answer: all words of group `i` have all ports of the lanes.
    fn full_groups(&self, lanes: u64) -> u16 {
        let [even, odd] = &self.full;
        match lanes {
            EVEN => even.groups,
            ODD => odd.groups,
            _ => even.groups & odd.groups,
        }
    }
}

/// A set of ports. An empty one takes no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortSet(Option<Box<Bits>>);

impl PortSet {
    pub(crate) const EMPTY: PortSet = PortSet(None);

    pub(crate) fn insert(&mut self, port: u16) {
        let bits = self.0.get_or_insert_with(|| Box::new(Bits::EMPTY));
        let i = usize::from(port) / 64;
        bits.words[i] |= 1 << (port % 64);
        let parity = usize::from(port % 2);
        if bits.words[i] | [ODD, EVEN][parity] == !0 {
            let full = &mut bits.full[parity];
            full.words[i / GROUP] |= 1 << (i % GROUP);
            full.groups |= u16::from(full.words[i / GROUP] == !0) << (i / GROUP);
        }
    }

    pub(crate) fn remove(&mut self, port: u16) {
        if let Some(bits) = &mut self.0 {
            let i = usize::from(port) / 64;
            bits.words[i] &= !(1 << (port % 64));
            let full = &mut bits.full[usize::from(port % 2)];
            full.words[i / GROUP] &= !(1 << (i % GROUP));
            full.groups &= !(1 << (i / GROUP));
        }
    }

    pub(crate) fn put(&mut self, port: u16, inside: bool) {
        if inside {
            self.insert(port);
        } else {
            self.remove(port);
        }
    }

    pub(crate) fn contains(&self, port: u16) -> bool {
        self.word(usize::from(port) / 64) >> (port % 64) & 1 == 1
    }

    /// The bits of ports `64 * index ..`.
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.0.as_ref().map_or(0, |b| b.words[index])
    }

    fn bits(&self) -> &Bits {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

/// Ports that a search passes over without a closer look.
pub(crate) struct Passed<'a> {
    /// Passed over for good.
    pub(crate) sets: [&'a PortSet; 4],
    /// Exceptions from the last set: ports to look at all the same.
    pub(crate) except: Option<&'a PortSet>,
}

/// A run of ports in the order in which a search visits them: `first`, `first + step`, ... `count`
/// of them, where `step` is 1 or 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: u32,
    pub(crate) count: u32,
    pub(crate) step: u32,
}

impl Run {
    /// A run without ports.
    pub(crate) const EMPTY: Run = Run {
        first: 0,
        count: 0,
        step: 1,
    };

    fn last(&self) -> u32 {
        self.first + (self.count - 1) * self.step
    }

    /// Number of the port within the run.
    fn place(&self, port: u32) -> u32 {
        // A step is 1 or 2.
        (port - self.first) >> (self.step - 1)
    }

    /// The ports in the order of the run.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> + use<> {
        let Run { first, count, step } = *self;
        (0..count).map(move |k| (first + k * step) as u16)
    }

    /// Returns `true` if the run visits a port.
    pub(crate) fn visits(&self, port: u16) -> bool {
        let port = u32::from(port);
        self.count > 0
            && (self.first..=self.last()).contains(&port)
            && (port - self.first).is_multiple_of(self.step)
    }

    /// The ports of the run as bits, word by word: the word's number in a set, and its bits.
    pub(crate) fn words(&self) -> impl Iterator<Item = (usize, u64)> + use<> {
        let (first, last) = (self.first, if self.count > 0 { self.last() } else { 0 });
        let lanes = self.lanes(first);
        let (begin, end) = ((first / 64) as usize, (last / 64) as usize);
        let words = if self.count > 0 { begin..end + 1 } else { 0..0 };
        words.map(move |i| {
            let mut mask = lanes;
            if i == begin {
                mask &= !0 << (first % 64);
            }
            if i == end {
                mask &= !0 >> (63 - last % 64);
            }
            (i, mask)
        })
    }

    /// The bits of a word that a run which comes to `port` may visit.
    fn lanes(&self, port: u32) -> u64 {
        match (self.step, port % 2) {
            (2, 0) => EVEN,
            (2, _) => ODD,
            _ => !0,
        }
    }

    /// The first port at or behind place `from` that is not passed over, with its place.
    pub(crate) fn next(&self, from: u32, passed: &Passed<'_>) -> Option<(u16, u32)> {
        if from >= self.count {
            return None;
        }
        let (start, last) = (self.first + from * self.step, self.last());
        let lanes = self.lanes(start);
        let (begin, end) = ((start / 64) as usize, (last / 64) as usize);
        let [a, b, c, d] = passed.sets.map(PortSet::bits);
        let except = passed.except.map(PortSet::bits);
        let found = |i: usize| {
            let last_set = d.words[i] & !except.map_or(0, |e| e.words[i]);
            let mut left = !(a.words[i] | b.words[i] | c.words[i] | last_set) & lanes;
            if i == begin {
                left &= !0 << (start % 64);
            }
            if i == end {
                left &= !0 >> (63 - last % 64);
            }
            (left != 0).then(|| {
                let port = i as u32 * 64 + left.trailing_zeros();
                (port as u16, self.place(port))
            })
        };
        // Mostly there is one near by.
        if let Some(found) = found(begin) {
            return Some(found);
        }
        if begin == end {
            return None;
        }
        let begin = begin + 1;
        // Groups and words that are full by the summaries are skipped.
        let certain = |of_last: u64| if except.is_none() { of_last } else { 0 };
        let full = a.full_groups(lanes) | b.full_groups(lanes) | c.full_groups(lanes);
        let full = u64::from(full) | certain(u64::from(d.full_groups(lanes)));
        let mut groups = !full & bits_between(begin / GROUP, end / GROUP);
        while groups != 0 {
            let group = groups.trailing_zeros() as usize;
            groups &= groups - 1;
            let full = a.full(group, lanes) | b.full(group, lanes) | c.full(group, lanes);
            let mut open = !(full | certain(d.full(group, lanes)));
            if group == begin / GROUP {
                open &= !0 << (begin % GROUP);
            }
            if group == end / GROUP {
                open &= !0 >> (GROUP - 1 - end % GROUP);
            }
            while open != 0 {
                let i = group * GROUP + open.trailing_zeros() as usize;
                open &= open - 1;
                if let Some(found) = found(i) {
                    return Some(found);
                }
            }
        }
        None
    }
}

/// A word with the bits from the first to the last one set.
fn bits_between(first: usize, last: usize) -> u64 {
    (!0 << first) & (!0 >> (63 - last))
}

/// The ports whose bits are set in the word with this number.
pub(crate) fn ports_of(word: usize, mut bits: u64) -> impl Iterator<Item = u16> {
    std::iter::from_fn(move || {
        (bits != 0).then(|| {
            let port = word as u32 * 64 + bits.trailing_zeros();
            bits &= bits - 1;
            port as u16
        })
    })
}

/// One pass over every second port of a range: the window slides back by `rem` at the end, so in a
/// range of odd size one port is missed. At most two runs.
pub(crate) fn runs_by_two(low: u16, high: u16, offset: u32, rem: u32) -> [Run; 2] {
    let end = u32::from(high) + 1;
    let mut first = u32::from(low) + offset;
    if first >= end {
        first -= rem;
    }
    let total = rem.div_ceil(2);
    let ahead = (end - first).div_ceil(2).min(total);
    let wrapped = first + 2 * ahead;
    let back = Run {
        first: wrapped.saturating_sub(rem),
        count: total - ahead,
        step: 2,
    };
    [
        Run {
            first,
            count: ahead,
            step: 2,
        },
        back,
    ]
}

/// One pass over every port of a range from `offset` on, round the end. Two runs.
pub(crate) fn runs_by_one(low: u16, high: u16, offset: u32) -> [Run; 2] {
    let n = u32::from(high - low) + 1;
    let first = u32::from(low) + offset;
    [
        Run {
            first,
            count: n - offset,
            step: 1,
        },
        Run {
            first: u32::from(low),
            count: offset,
            step: 1,
        },
    ]
}

const SLOTS: usize = 256;

/// An index per port, [`crate::conn::socket::NONE`] where there is none.
#[derive(Clone, Debug)]
pub(crate) struct PortMap {
    pages: Vec<Option<Box<[u32; SLOTS]>>>,
}

impl Default for PortMap {
    fn default() -> Self {
        PortMap {
            pages: vec![None; 65536 / SLOTS],
        }
    }
}

impl PortMap {
    pub(crate) fn get(&self, port: u16) -> Option<u32> {
        let page = self.pages[usize::from(port) / SLOTS].as_ref()?;
        let i = page[usize::from(port) % SLOTS];
        (i != crate::conn::socket::NONE).then_some(i)
    }

    pub(crate) fn set(&mut self, port: u16, index: u32) {
        let page = self.pages[usize::from(port) / SLOTS]
            .get_or_insert_with(|| Box::new([crate::conn::socket::NONE; SLOTS]));
        page[usize::from(port) % SLOTS] = index;
    }

    pub(crate) fn clear(&mut self, port: u16) {
        if let Some(page) = &mut self.pages[usize::from(port) / SLOTS] {
            page[usize::from(port) % SLOTS] = crate::conn::socket::NONE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The walk that the runs stand for, port by port, as the kernel makes it.
    fn walk(low: u16, high: u16, offset: u32, rem: u32) -> Vec<u16> {
        let end = u32::from(high) + 1;
        let mut port = u32::from(low) + offset;
        let mut ports = Vec::new();
        for _ in (0..rem).step_by(2) {
            if port >= end {
                port -= rem;
            }
            ports.push(port as u16);
            port += 2;
        }
        ports
    }

    #[test]
    fn runs_visit_what_the_walk_visits() {
        for n in 1u32..70 {
            let (low, high) = (40000u16, 40000 + (n - 1) as u16);
            let rem = if n > 1 { n & !1 } else { n };
            for offset in 0..=rem {
                let runs = runs_by_two(low, high, offset, rem);
                let ports: Vec<u16> = runs
                    .iter()
                    .flat_map(|r| (0..r.count).map(|k| (r.first + k * r.step) as u16))
                    .collect();
                assert_eq!(
                    ports,
                    walk(low, high, offset, rem),
                    "{n} ports from {offset}"
                );
            }
        }
    }

    #[test]
    fn the_words_of_a_run_have_its_ports() {
        for first in 990..1100u32 {
            for (step, count) in [(1, 0), (2, 0), (1, 1), (2, 1), (1, 33), (2, 900), (1, 900)] {
                let run = Run { first, count, step };
                let mut walked: Vec<u16> = run.ports().collect();
                let by_words: Vec<u16> = run.words().flat_map(|(i, w)| ports_of(i, w)).collect();
                walked.sort_unstable();
                assert_eq!(by_words, walked, "{run:?}");
                let visited: Vec<u16> = (0..4000).filter(|port| run.visits(*port)).collect();
                assert_eq!(visited, walked, "{run:?}");
            }
        }
    }

    #[test]
    fn the_next_port_is_the_first_that_is_not_passed_over() {
        let mut set = PortSet::default();
        let mut other = PortSet::default();
        for port in 1000..3000 {
            set.put(port, port % 7 != 0);
            other.put(port, port % 3 == 0);
        }
        let empty = PortSet::default();
        let passed = Passed {
            sets: [&set, &empty, &empty, &other],
            except: None,
        };
        for first in 990..1100u32 {
            for step in [1, 2] {
                let run = Run {
                    first,
                    count: 900,
                    step,
                };
                for from in [0, 1, 5, 899, 900] {
                    let slow = (from..run.count)
                        .map(|k| (run.first + k * step, k))
                        .find(|&(p, _)| !set.contains(p as u16) && !other.contains(p as u16))
                        .map(|(p, k)| (p as u16, k));
                    assert_eq!(run.next(from, &passed), slow, "{run:?} from {from}");
                }
            }
        }
    }
}
