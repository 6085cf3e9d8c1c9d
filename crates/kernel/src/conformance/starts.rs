//! The places where searches of connect() start.
//!
//! A connect() without a port starts its search at a keyed hash of its addresses plus a number that
//! each search moves on (`__inet_hash_connect`). The hash cannot be seen, but it stays the same:
//! once a search towards a destination has reported its port, the next one can only start at a few
//! places. Beliefs leave starts open, so that equal states stay equal; this module checks them.

use super::call::reported;
use super::{Belief, EnumeratingChooser, Op};
use crate::addr::{Endpoint, Ip};
use crate::profile::Behaviours;
use crate::profile::behaviour::Perturb;
use crate::time::{MS, SEC, Time};
use fourtuple_syscall::{Outcome, Syscall};
use std::collections::{BTreeMap, BTreeSet};

/// In smaller ranges, ports that are taken decide more than the start.
const LEAST: u32 = 64;
/// More possible starts than this are as good as any.
const MOST: usize = 64;
/// The time after which a kernel with 65536 cells renews its hash, in nanoseconds.
const RENEWAL: u64 = 10 * SEC;
/// The error of a clock, in nanoseconds.
const SLACK: u64 = 60 * MS;
/// So many searches in a row whose draw out of eight is one of the two smallest come once in 10^10
/// times.
const SMALL_DRAWS: u32 = 18;

/// Source, destination, destination port, lowest port, and size of the range.
type Key = (Ip, Ip, u16, u16, u32);

/// The knowledge of the starts of a boot.
#[derive(Clone, Debug, Default)]
pub(super) struct Starts {
    known: BTreeMap<Key, Known>,
    /// Between these two moments the hash was renewed.
    renewed: Option<(Time, Time)>,
}

/// The knowledge of the searches towards one destination.
#[derive(Clone, Debug)]
struct Known {
    /// Places of the range where the next search may start, with the draw that leads there where
    /// there is one.
    next: BTreeMap<u32, u32>,
    /// The time of the last one.
    at: Time,
    /// The number of searches in a row that had a small draw.
    small: u32,
}

/// A search that found the observed port.
#[derive(Clone, Copy)]
struct Fit {
    start: u32,
    /// The distance by which it moves the next start, except for chance.
    moves: u32,
}

/// One more attempt at the observed call, from a given start.
enum Trial {
    Fits(Fit),
    Other(Outcome),
    /// Too much else is left to chance.
    Unclear,
}

impl Starts {
    /// Checks a call that the beliefs before it explain.
    ///
    /// # Errors
    /// The answers that would have been allowed.
    pub(super) fn check(
        &mut self,
        beliefs: &[Belief],
        (start, at): (Time, Time),
        op: &Op,
        seen: &Outcome,
    ) -> Result<(), BTreeSet<Outcome>> {
        let Some(Syscall::Connect { sock, addr: to }) = op.call() else {
            return Ok(());
        };
        let Some(first) = beliefs.first() else {
            return Ok(());
        };
        let Some(id) = first.sock(*sock) else {
            return Ok(());
        };
        if first.machine.local_addr(id).port() != 0 {
            return Ok(());
        }
        let to = Endpoint::from(*to);
        let (Some(name), false) = (reported(seen), to.ip.is_any()) else {
            // The port that it took, and the length of the search, are unknown.
            self.known.clear();
            return Ok(());
        };
        let trial = |place: u32| try_from(beliefs, place, (start, at), op, seen);
        let (low, _) = first.machine.port_range(id);
        let place = u32::from(name.port().saturating_sub(low));
        let (Some((_, script)), behaviours) = (trial(place), *first.machine.behaviours()) else {
            self.known.clear();
            return Ok(());
        };
        let Some((n, even)) = script.searched().filter(|(n, _)| *n >= LEAST) else {
            self.known.clear();
            return Ok(());
        };
        let key = (name.ip().into(), to.ip, to.port, low, n);
        let unit = if even { 2 } else { 1 };
        let searches = Searches {
            trial: &|place| trial(place).map(|(trial, _)| trial),
            n,
            unit,
            place: place / unit * unit % n,
        };
        self.judge(key, at, &behaviours, &searches)
    }

    fn judge(
        &mut self,
        key: Key,
        at: Time,
        behaviours: &Behaviours,
        searches: &Searches<'_>,
    ) -> Result<(), BTreeSet<Outcome>> {
        let renews = behaviours.perturb == Perturb::Cells65536;
        let known = self.known.remove(&key);
        // Longer ago than the hash lasts, nothing of it is left.
        let known = known.filter(|known| !renews || at.since(known.at) < RENEWAL);
        let mut small = 0;
        let fits = match known {
            None => searches.all(),
            Some(known) => {
                let Some((fits, others)) = searches.among(known.next.keys().copied()) else {
                    self.known.clear();
                    return Ok(());
                };
                if !fits.is_empty() {
                    let draw = fits
                        .iter()
                        .filter_map(|fit| known.next.get(&fit.start))
                        .max();
                    small = match draw {
                        Some(0 | 1) => known.small + 1,
                        _ => 0,
                    };
                    if small >= SMALL_DRAWS {
                        return Err(others);
                    }
                    Some(fits)
                } else if renews && self.may_renew(known.at, at) {
                    searches.all()
                } else {
                    return Err(others);
                }
            }
        };
        self.moved(&key, behaviours, fits.as_deref(), searches);
        if let Some(fits) = fits {
            let mut next = BTreeMap::new();
            for fit in fits {
                for (draw, by) in moves(behaviours, fit.moves, searches.unit) {
                    let place = next.entry((fit.start + by) % searches.n).or_insert(draw);
                    *place = draw.max(*place);
                }
            }
            self.known.insert(key, Known { next, at, small });
        }
        Ok(())
    }

    /// Returns `true` if the hash may have been renewed between two moments: once every ten
    /// seconds, at a moment that is not known at first.
    fn may_renew(&mut self, from: Time, to: Time) -> bool {
        let Some((low, high)) = self.renewed else {
            self.renewed = Some((from, to));
            return true;
        };
        let rounds = (from.since(high).saturating_sub(SLACK) / RENEWAL)
            ..=(to.since(low).saturating_add(SLACK) / RENEWAL);
        for round in rounds {
            let low = Time(low.0.saturating_add(round * RENEWAL).saturating_sub(SLACK));
            let high = high.after(round * RENEWAL + SLACK);
            if low <= to && from <= high {
                self.renewed = Some((low.max(from), high.min(to)));
                return true;
            }
        }
        false
    }

    /// A search towards one destination moves the starts towards others as well: all of them where
    /// there is one hint, those of the same cell where there are many.
    fn moved(
        &mut self,
        key: &Key,
        behaviours: &Behaviours,
        fits: Option<&[Fit]>,
        searches: &Searches<'_>,
    ) {
        let Some(fits) = fits else {
            self.known.retain(|other, _| other == key);
            return;
        };
        self.known.retain(|other, known| {
            let n = other.4;
            let before = std::mem::take(&mut known.next);
            if behaviours.perturb != Perturb::Hint {
                known.next.clone_from(&before);
            }
            for place in before.keys() {
                for fit in fits {
                    for (_, by) in moves(behaviours, fit.moves, searches.unit) {
                        // The draw cannot be inferred any more.
                        known.next.insert((place + by) % n, u32::MAX);
                    }
                }
            }
            known.next.len() <= MOST
        });
    }
}

/// The distances by which a search may move the next start, each with its draw.
fn moves(behaviours: &Behaviours, least: u32, unit: u32) -> Vec<(u32, u32)> {
    match behaviours.perturb {
        Perturb::Hint => vec![(u32::MAX, least)],
        // One search in sixteen that finds its first port moves on by one more.
        Perturb::Cells256 if least == 2 => vec![(u32::MAX, 2), (u32::MAX, 4)],
        Perturb::Cells256 => vec![(u32::MAX, least)],
        Perturb::Cells65536 => {
            let steps = least - unit;
            let draws = (0..8).map(|draw| {
                let known = if steps > unit { u32::MAX } else { draw };
                (known, steps.max(draw * unit) + unit)
            });
            draws.collect()
        }
    }
}

/// The searches that one connect() could have made.
struct Searches<'a> {
    trial: &'a dyn Fn(u32) -> Option<Trial>,
    n: u32,
    /// Distance between two possible starts.
    unit: u32,
    /// The place of the port.
    place: u32,
}

impl Searches<'_> {
    /// Those among some starts that lead to the observed port, and the answers to which the others
    /// lead.
    fn among(&self, starts: impl Iterator<Item = u32>) -> Option<(Vec<Fit>, BTreeSet<Outcome>)> {
        let (mut fits, mut others) = (Vec::new(), BTreeSet::new());
        let starts: BTreeSet<u32> = starts.map(|start| start / self.unit * self.unit).collect();
        for start in starts {
            match (self.trial)(start) {
                Some(Trial::Fits(fit)) => fits.push(fit),
                Some(Trial::Other(seen)) => drop(others.insert(seen)),
                Some(Trial::Unclear) | None => return None,
            }
        }
        Some((fits, others))
    }

    /// Every start that leads to the observed port: the port's own place, and those before it from
    /// which all ports are taken. Nothing if they are too many, or if the port came in a later pass
    /// of the search.
    fn all(&self) -> Option<Vec<Fit>> {
        let mut fits = Vec::new();
        let mut start = self.place;
        while fits.len() <= MOST {
            match (self.trial)(start) {
                Some(Trial::Fits(fit)) => fits.push(fit),
                _ if fits.is_empty() && start == self.place => {
                    // The first port that the search visits may be the next one.
                }
                _ => break,
            }
            start = (start + self.n - self.unit) % self.n;
        }
        (!fits.is_empty() && fits.len() <= MOST).then_some(fits)
    }
}

/// Tries the call on the beliefs from one start, with all that is left to chance otherwise, until
/// one of them gives the observed answer.
fn try_from(
    beliefs: &[Belief],
    place: u32,
    (start, at): (Time, Time),
    op: &Op,
    seen: &Outcome,
) -> Option<(Trial, EnumeratingChooser)> {
    let mut other = None;
    for belief in beliefs.iter().take(MOST) {
        let mut script = EnumeratingChooser::starting_at(place);
        for _ in 0..MOST {
            let mut b = belief.clone();
            *b.machine.chooser_mut() = script;
            b.machine.advance(start);
            let before = b.start_moved();
            let answer = op.compared(&b.execute(op, at, seen));
            let moves = b.start_moved().wrapping_sub(before);
            script = std::mem::take(b.machine.chooser_mut());
            if answer == *seen {
                let fit = Fit {
                    start: place,
                    moves,
                };
                return Some((Trial::Fits(fit), script));
            }
            other.get_or_insert((Trial::Other(answer), script.clone()));
            if !script.another() {
                break;
            }
        }
        if script.choices_left() {
            return Some((Trial::Unclear, script));
        }
    }
    match beliefs.len() > MOST {
        true => other.map(|(_, script)| (Trial::Unclear, script)),
        false => other,
    }
}

impl Belief {
    fn start_moved(&self) -> u32 {
        self.machine.ports.start_moved(&self.machine.b)
    }
}
