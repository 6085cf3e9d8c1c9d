//! A chooser that records its answers, so that a run can be replayed or varied.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use fourtuple_kernel::Chooser;
use fourtuple_kernel::chooser::PortHashInput;

use crate::mix::mix;

/// The choices and their results.
#[derive(Clone, Debug, Default)]
struct Answers {
    /// Answers that are given first.
    given: Vec<u32>,
    /// Every answer so far, with the number of possible ones.
    made: Vec<(u32, u32)>,
    /// The source of further answers; without it they are 0, the first possibility.
    random: Option<Split>,
}

/// The random choices of all machines of a world, in the order in which they ask.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordedChoices {
    answers: Arc<Mutex<Answers>>,
    searches: Searches,
    tick_phase: u64,
}

/// The keyed hashes that one machine has used so far: they stay as they are, so that only the first
/// search towards a destination starts anywhere. Destinations have cells of their own; that two
/// share one (1 in 256, or in 65,536) is left out.
#[derive(Clone, Debug, Default)]
struct Searches {
    /// Every search may start anywhere, whatever came before.
    free: bool,
    inputs: Vec<PortHashInput>,
    /// The input that was asked for last, by its place.
    last: usize,
    known: Vec<Known>,
}

/// The part of a hash that decides where searches over one range start.
#[derive(Clone, Copy, Debug)]
struct Known {
    input: usize,
    ports: u32,
    even: bool,
    hash: u32,
}

impl Known {
    /// The number of starts after which they come again.
    fn period(self) -> u32 {
        if self.even && !self.ports.is_multiple_of(2) {
            2 * self.ports
        } else {
            self.ports
        }
    }
}

impl RecordedChoices {
    /// Repeats these answers, and takes the first possibility from then on.
    pub(super) fn of(given: Vec<u32>) -> Self {
        let answers = Answers {
            given,
            ..Answers::default()
        };
        RecordedChoices {
            answers: Arc::new(Mutex::new(answers)),
            ..RecordedChoices::default()
        }
    }

    /// Draws its answers.
    pub(super) fn random(split: Split) -> Self {
        let answers = Answers {
            random: Some(split),
            ..Answers::default()
        };
        RecordedChoices {
            answers: Arc::new(Mutex::new(answers)),
            ..RecordedChoices::default()
        }
    }

    /// Starts at one of these phases of the timer wheel.
    pub(super) fn draw_phase(&mut self, phases: &[u64]) {
        if phases.len() > 1 {
            let place = self.choose(u32::try_from(phases.len()).unwrap_or(u32::MAX));
            self.tick_phase = phases.get(place as usize).copied().unwrap_or(0);
        }
    }

    /// Starts at this phase of the timer wheel.
    pub(super) fn set_phase(&mut self, phase: u64) {
        self.tick_phase = phase;
    }

    /// Lets every search start anywhere, as if kernels did not continue where the last one ended.
    pub(super) fn free_searches(&mut self) {
        self.searches.free = true;
    }

    /// Goes on with the choices of another recording; hashes that were used stay as they are.
    pub(super) fn replay(&mut self, other: &RecordedChoices) {
        self.answers = Arc::clone(&other.answers);
    }

    /// The starts of a machine's next searches; `base` is what the kernel adds to a hash.
    pub(super) fn next_starts(&self, base: impl Fn(u64) -> u32) -> Vec<u64> {
        let starts = self.searches.known.iter().map(|known| {
            let at = base(known.input as u64).wrapping_add(known.hash) % known.period();
            let to = &self.searches.inputs[known.input];
            let (saddr, daddr) = (bits(to.source()), bits(to.destination().ip()));
            mix(&[
                saddr as u64,
                (saddr >> 64) as u64,
                daddr as u64,
                (daddr >> 64) as u64,
                u64::from(to.destination().port()),
                to.epoch(),
                u64::from(known.period()),
                u64::from(at),
            ])
        });
        let mut starts: Vec<u64> = starts.collect();
        starts.sort_unstable();
        starts
    }

    /// Every answer so far, with the number of possible ones.
    pub(super) fn made(&self) -> Vec<(u32, u32)> {
        self.with(|answers| answers.made.clone())
    }

    fn with<T>(&self, read: impl FnOnce(&mut Answers) -> T) -> T {
        read(&mut self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Any start of a search over `n` ports.
    fn any_start(&self, n: u32, even: bool) -> u32 {
        if !even {
            return self.choose(n);
        }
        if n.is_multiple_of(2) {
            return self.choose(n / 2) * 2;
        }
        // An even number modulo an odd one can be anything.
        let start = self.choose(n);
        if start.is_multiple_of(2) {
            start
        } else {
            start + n
        }
    }

    fn choose(&self, of: u32) -> u32 {
        self.with(|answers| {
            let at = answers.made.len();
            let answer = match (answers.given.get(at), &mut answers.random) {
                (Some(given), _) => *given,
                (None, Some(split)) => split.below(of),
                (None, None) => 0,
            };
            answers.made.push((answer, of));
            answer
        })
    }
}

/// The answers to give next, after these were given: the last one that has another possibility
/// moves on. Nothing when all have been seen.
pub(super) fn following(made: &[(u32, u32)]) -> Option<Vec<u32>> {
    let last = made.iter().rposition(|(answer, of)| answer + 1 < *of)?;
    let mut next: Vec<u32> = made[..=last].iter().map(|(answer, _)| *answer).collect();
    next[last] += 1;
    Some(next)
}

/// Returns the probability of these answers if all possibilities are equally likely.
pub(super) fn likelihood(made: &[(u32, u32)]) -> f64 {
    made.iter()
        .map(|(_, of)| 1.0 / f64::from((*of).max(1)))
        .product()
}

/// Numbers that look random and are the same everywhere (splitmix64).
#[derive(Clone, Copy, Debug)]
pub(super) struct Split(u64);

impl Split {
    /// A stream of its own for each run of a seed.
    pub(super) fn new(seed: u64, run: u64) -> Self {
        let mut made = Split(seed ^ run.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        made.next();
        made
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `of`.
    pub(super) fn below(&mut self, of: u32) -> u32 {
        let high = self.next() >> 32;
        u32::try_from((high * u64::from(of.max(1))) >> 32).unwrap_or(0)
    }
}

/// Every hash is possible, so that a first search may start anywhere, and every phase of the timer
/// wheel; other times are exact, as in `run`.
impl Chooser for RecordedChoices {
    fn bind_start(&mut self, n: u32, parity: bool) -> u32 {
        if parity {
            self.choose(n.div_ceil(2)) * 2
        } else {
            self.choose(n)
        }
    }

    fn rescans(&mut self, _kernel: u32) -> u32 {
        // A second search from another start gives nothing that the first could not have given.
        0
    }

    fn port_hash(&mut self, input: PortHashInput) -> u64 {
        let searches = &mut self.searches;
        if searches.free {
            return 0;
        }
        // Hashes that take the time in are not used again.
        if searches
            .inputs
            .first()
            .is_some_and(|one| one.epoch() != input.epoch())
        {
            searches.inputs.clear();
            searches.known.clear();
        }
        let place = searches.inputs.iter().position(|one| *one == input);
        searches.last = place.unwrap_or_else(|| {
            searches.inputs.push(input);
            searches.inputs.len() - 1
        });
        searches.last as u64
    }

    fn connect_start(&mut self, base: u32, n: u32, even: bool) -> u32 {
        if self.searches.free {
            return self.any_start(n, even);
        }
        let input = self.searches.last;
        let of_search = |known: &&Known| (known.input, known.ports, known.even) == (input, n, even);
        if let Some(known) = self.searches.known.iter().find(of_search) {
            return base.wrapping_add(known.hash);
        }
        let start = self.any_start(n, even);
        self.searches.known.push(Known {
            input,
            ports: n,
            even,
            hash: start.wrapping_sub(base),
        });
        start
    }

    fn perturb_cell(&mut self, _index: u32) -> u32 {
        0
    }

    fn perturb_step(&mut self, n: u32) -> u32 {
        // One or two ports are tried from the same start whatever the step.
        let moves = |known: &Known| known.input == self.searches.last && known.ports > 2;
        if self.searches.known.iter().any(moves) {
            self.choose(n)
        } else {
            0
        }
    }

    fn step_factor(&mut self, _most: u32) -> u32 {
        // Every port can be the first candidate; the distance to the next adds none.
        1
    }

    fn garbage_uid_matches(&mut self) -> bool {
        self.choose(2) == 1
    }

    fn garbage_bit(&mut self) -> bool {
        self.choose(2) == 1
    }

    fn tick_phase(&self) -> u64 {
        self.tick_phase
    }

    fn pick_listener(&mut self, n: u32) -> u32 {
        self.choose(n)
    }

    fn nat_start(&mut self, _: u16, ports: u32, _: &mut dyn FnMut(u16) -> bool) -> u16 {
        self.choose(ports) as u16
    }

    /// Two numbers are enough for either order of two connections.
    fn nat_sequence(&mut self, _from: SocketAddr, _to: SocketAddr, _at: u64) -> u32 {
        self.choose(2) << 30
    }

    fn nat_backend(&mut self, n: u32) -> u32 {
        self.choose(n)
    }

    fn nat_race(&mut self) -> bool {
        self.choose(2) == 1
    }
}

/// An address as a number; the numbers of IPv4 and IPv6 addresses are apart.
fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_combinations_come_once() {
        let mut seen = Vec::new();
        let mut given = Some(Vec::new());
        while let Some(now) = given {
            let choices = RecordedChoices::of(now);
            let first = choices.choose(2);
            let second = if first == 1 { choices.choose(3) } else { 0 };
            seen.push((first, second));
            given = following(&choices.made());
        }
        assert_eq!(seen, [(0, 0), (1, 0), (1, 1), (1, 2)]);
    }
}
