//! A chooser that walks through all possible choices, one combination after the other.

use crate::chooser::{Chooser, PortHashInput};
use crate::nat::{ATTEMPTS, HARDER};
use crate::time_wait::reuse::SLACK;
use std::net::SocketAddr;
use std::sync::Arc;

/// Distances of a search with `ip_local_port_step_width` are enumerated up to this factor.
pub(super) const LARGEST_FACTOR: u32 = 32;

/// Starts of a NAT host's search are enumerated up to this number of ports.
const LARGEST_NAT_RANGE: u32 = 64;

/// Enumerates the choices of one call: run the call, read the outcome,
/// [`EnumeratingChooser::another`], run it again on a copy of the old state, until there is nothing
/// left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EnumeratingChooser {
    choices: Vec<Choice>,
    at: usize,
    /// The place in the searched range where the kernel found its port: the start that is tried
    /// first.
    aim: u32,
    /// The answer reports the port that the search found, or that it found none.
    reported: bool,
    /// The only start of a connect() search.
    forced: Option<u32>,
    /// Size of the range of the last connect() search, and whether it starts at even places.
    searched: Option<(u32, bool)>,
    timers: Timers,
    /// `true` once a timer was held back.
    held_back: bool,
    /// Places from which a connect() search that does not report its port is tried, instead of all.
    places: Option<Vec<u32>>,
    /// The one of them that the run so far has started at.
    place: Option<u32>,
    /// Ports that the program mentions, of which NAT hosts may have chosen some.
    mentioned: Option<Arc<[u16]>>,
}

/// The treatment of timers that may have fired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Timers {
    /// Each has fired or not: that is a choice.
    #[default]
    Choose,
    /// None has fired.
    Hold,
    /// All have fired.
    Fire,
}

/// One choice of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Choice {
    answer: u32,
    /// Number of possible answers.
    of: u32,
    /// The choice only decides the start of a search.
    start: bool,
    /// One of its answers explains the call, and all others would leave the same state behind.
    settled: bool,
}

impl EnumeratingChooser {
    /// A chooser that has not chosen anything yet.
    pub(super) fn new() -> Self {
        EnumeratingChooser::default()
    }

    /// A chooser for a call whose answer reports the port: its searches start first at this place
    /// of their range. Two starts that lead to the same port leave the same state behind, so that
    /// one of them is enough.
    pub(super) fn aiming(place: u32) -> Self {
        EnumeratingChooser {
            aim: place,
            reported: true,
            ..EnumeratingChooser::default()
        }
    }

    /// A chooser whose connect() searches start at this place of their range.
    pub(super) fn starting_at(place: u32) -> Self {
        EnumeratingChooser {
            forced: Some(place),
            ..EnumeratingChooser::default()
        }
    }

    /// A chooser whose connect() searches start at these places, or in their neighbourhood.
    pub(super) fn searching_at(places: Vec<u32>) -> Self {
        EnumeratingChooser {
            places: Some(places),
            ..EnumeratingChooser::default()
        }
    }

    /// The same chooser with this treatment of timers.
    pub(super) fn with(self, timers: Timers) -> Self {
        EnumeratingChooser { timers, ..self }
    }

    /// The same chooser for a program that mentions these ports.
    pub(super) fn mentioning(self, mentioned: Arc<[u16]>) -> Self {
        EnumeratingChooser {
            mentioned: Some(mentioned),
            ..self
        }
    }

    /// The same choices once more, with this treatment of timers.
    pub(super) fn again(&self, timers: Timers) -> Self {
        EnumeratingChooser {
            at: 0,
            timers,
            place: None,
            ..self.clone()
        }
    }

    /// The place that the run so far has searched from, if not all are tried.
    pub(super) fn place(&self) -> Option<u32> {
        self.place
    }

    /// Returns `true` if the run so far has held a timer back.
    pub(super) fn held_back(&self) -> bool {
        self.held_back
    }

    /// Size of the range of the last connect() search, and whether it starts at even places.
    pub(super) fn searched(&self) -> Option<(u32, bool)> {
        self.searched
    }

    /// Records that the run so far explains the observed answer.
    pub(super) fn explains(&mut self) {
        if self.reported {
            for choice in &mut self.choices[..self.at] {
                choice.settled = choice.start;
            }
        }
    }

    /// Moves on to the next combination; `false` when all have been seen.
    pub(super) fn another(&mut self) -> bool {
        self.choices.truncate(self.at);
        self.at = 0;
        self.held_back = false;
        self.place = None;
        while let Some(choice) = self.choices.last_mut() {
            choice.answer += 1;
            if choice.answer < choice.of && !choice.settled {
                return true;
            }
            self.choices.pop();
        }
        false
    }

    /// Returns `true` if there are combinations that have not been seen, after
    /// [`EnumeratingChooser::another`].
    pub(super) fn choices_left(&self) -> bool {
        !self.choices.is_empty()
    }

    fn choose(&mut self, of: u32) -> u32 {
        self.next(of, false)
    }

    /// One of `of` starts, which are `step` places apart: first the one that is aimed at, then
    /// downwards.
    fn start(&mut self, of: u32, step: u32) -> u32 {
        let number = self.next(of, true);
        if of == 0 {
            return 0;
        }
        (self.aim / step % of + of - number) % of * step
    }

    /// The same for a search of connect(), which takes the first usable port of its walk. If any
    /// start leads to a port, then one of four does: the port itself, its predecessor, and the two
    /// first, of which each leaves out another port of a range of odd size.
    fn connect(&mut self, of: u32, step: u32) -> u32 {
        if let Some(start) = self.forced {
            return start;
        }
        let aims = match (self.reported, &self.places) {
            (true, _) => vec![self.aim],
            (false, Some(places)) => places.clone(),
            (false, None) => return self.start(of, step),
        };
        if of <= 4 {
            return self.start(of, step);
        }
        let mut starts = Vec::new();
        for aim in aims.into_iter().map(|aim| aim / step % of) {
            for start in [aim, (aim + of - 1) % of, 0, 1] {
                if !starts.contains(&start) {
                    starts.push(start);
                }
            }
        }
        let start = starts[self.next(starts.len() as u32, true) as usize] * step;
        self.place = self.places.as_ref().map(|_| start);
        start
    }

    fn next(&mut self, of: u32, start: bool) -> u32 {
        if self.at == self.choices.len() {
            self.choices.push(Choice {
                answer: 0,
                of,
                start,
                settled: false,
            });
        }
        let answer = self.choices[self.at].answer;
        self.at += 1;
        answer
    }
}

impl Chooser for EnumeratingChooser {
    fn bind_start(&mut self, n: u32, parity: bool) -> u32 {
        if parity {
            self.start(n.div_ceil(2), 2)
        } else {
            self.start(n, 1)
        }
    }

    fn rescans(&mut self, _kernel: u32) -> u32 {
        0
    }

    fn port_hash(&mut self, _input: PortHashInput) -> u64 {
        0
    }

    fn connect_start(&mut self, _base: u32, n: u32, even: bool) -> u32 {
        self.searched = Some((n, even));
        if !even {
            return self.connect(n, 1);
        }
        if n.is_multiple_of(2) {
            return self.connect(n / 2, 2);
        }
        // An even number modulo an odd one can be anything.
        let r = self.connect(n, 1);
        if r.is_multiple_of(2) { r } else { r + n }
    }

    fn perturb_cell(&mut self, _index: u32) -> u32 {
        0
    }

    /// The draw that moves the next start least: `starts` adds the others.
    fn perturb_step(&mut self, n: u32) -> u32 {
        u32::from(n == 16)
    }

    fn step_factor(&mut self, most: u32) -> u32 {
        // How far such a search moves the next start depends on the distance, so that its start is
        // not checked.
        self.searched = None;
        match most {
            // The last port of an odd number of ports is never the first candidate: a search comes
            // there from a taken port, by the distance between the two.
            0..=LARGEST_FACTOR => 1 + self.choose(most),
            // In a large range that is rare. All other ports can be the first candidate, so that
            // the distance to the next adds none.
            _ => 1,
        }
    }

    fn garbage_uid_matches(&mut self) -> bool {
        self.choose(2) == 1
    }

    fn garbage_bit(&mut self) -> bool {
        self.choose(2) == 1
    }

    fn timer_fired(&mut self, _nominal: u64, _now: u64) -> bool {
        match self.timers {
            Timers::Choose => self.choose(2) == 1,
            Timers::Hold => {
                self.held_back = true;
                false
            }
            Timers::Fire => true,
        }
    }

    fn uncertain(&mut self, _nominal: bool) -> bool {
        self.choose(2) == 1
    }

    fn hashes_collide(&mut self) -> bool {
        self.choose(2) == 1
    }

    fn slack(&self) -> u64 {
        SLACK
    }

    fn pick_listener(&mut self, n: u32) -> u32 {
        self.choose(n)
    }

    /// A start for each port that the search may take. In a large range, one that the program does
    /// not mention stands for all others.
    fn nat_start(&mut self, low: u16, ports: u32, may_take: &mut dyn FnMut(u16) -> bool) -> u16 {
        let all = (0..ports).map(|at| low + at as u16);
        let taken: Vec<u16> = match ports <= LARGEST_NAT_RANGE {
            true => all.filter(|port| may_take(*port)).collect(),
            false => {
                let mentioned = self.mentioned.as_deref().unwrap_or_default();
                let named = mentioned.iter().copied();
                let named = named.filter(|port| (low..=low + (ports - 1) as u16).contains(port));
                let mut taken: Vec<u16> = named.filter(|port| may_take(*port)).collect();
                let is_other = |port: &u16| mentioned.binary_search(port).is_err();
                taken.extend(all.filter(is_other).find(|port| may_take(*port)));
                taken
            }
        };
        // From the first of these a search takes the port that it begins with, from the second one
        // the last that it tries, which may be that of a closing flow.
        let mut starts: Vec<u32> = Vec::new();
        for port in taken {
            let place = u32::from(port - low);
            let tries = if ports > HARDER {
                ports.min(ATTEMPTS)
            } else {
                1
            };
            starts.extend([place, (place + ports + 1 - tries) % ports]);
        }
        starts.sort_unstable();
        starts.dedup();
        match starts.len() {
            0 => 0,
            n => starts[self.choose(n as u32) as usize] as u16,
        }
    }

    fn nat_hash_start(
        &mut self,
        _: PortHashInput,
        low: u16,
        ports: u32,
        may_take: &mut dyn FnMut(u16) -> bool,
    ) -> u16 {
        self.nat_start(low, ports, may_take)
    }

    /// Numbers of later flows are ahead, by less than a quarter of all within 18 minutes.
    fn nat_sequence(&mut self, _from: SocketAddr, _to: SocketAddr, at: u64) -> u32 {
        (at >> 10) as u32
    }

    /// In one of four quarters after that.
    fn nat_new_sequence(&mut self, from: SocketAddr, to: SocketAddr, at: u64) -> u32 {
        let quarter = self.choose(4) << 30;
        self.nat_sequence(from, to, at).wrapping_add(quarter)
    }

    fn nat_backend(&mut self, n: u32) -> u32 {
        self.choose(n)
    }
}
