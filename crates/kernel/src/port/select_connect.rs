//! Ephemeral port selection of connect() without bind() (`__inet_hash_connect`).
//!
//! [`connect_may_use`] states the rule for one port. [`first_usable`] applies it in the kernel's
//! visiting order, a word of ports at a time: sets of ports answer most of the rule, and only the
//! rest is asked port by port.

use super::order::{Order, Passes, Start, draw_width};
use super::{Ports, Verdict, port_range};
use crate::bucket::Owner;
use crate::bucket::held::HeldPorts;
use crate::chooser::{Chooser, PortHashInput};
use crate::conn::established::{Check, check_established, in_use};
use crate::conn::socket::{PortFrom, Sock};
use crate::explain::reason::{PortVerdict, Refusal};
use crate::machine::Machine;
use crate::port::destinations::{Destination, Destinations};
use crate::port::set::{Passed, Run, WORDS, ports_of};
use crate::profile::TrackedBehaviours;
use crate::profile::behaviour::{ConnectScan, Perturb};
use crate::tables::Tables;
use crate::time::{SEC, Time};
use crate::time_wait::reuse::selection_may_replace;

/// connect() without bind(): may it take `port`?  (`__inet_hash_connect`, all kernels)
///
/// 1. Ports of `ip_local_reserved_ports` are skipped (from 2.6.35 on; RHEL 6.5 has it too).
/// 2. A port without a bucket is free.
/// 3. A bucket that bind() or listen() has touched (`fastreuse` or `fastreuseport` at least 0) is
///    skipped *without a look at the 4-tuple*, whatever options its owners have. This is why a
///    connect() fails with `EADDRNOTAVAIL` although its 4-tuple is free. Nothing resets the two
///    values while the bucket lives, except that from 6.18 on they are computed anew when an owner
///    leaves.
/// 4. Otherwise the 4-tuple decides ([`check_established`]).
pub(crate) fn connect_may_use<C: Chooser>(
    t: &Tables<'_>,
    chooser: &mut C,
    sk: u32,
    port: u16,
) -> Verdict {
    if t.ns.values.reserved.contains(port) {
        return Verdict::Skip(PortVerdict::Reserved);
    }
    let Some(bucket) = t.ns.bucket(port) else {
        return Verdict::Use;
    };
    if bucket.fastreuse >= 0 || bucket.fastreuseport >= 0 {
        return Verdict::Skip(PortVerdict::Fastreuse);
    }
    match check_established(t, chooser, sk, port, PortFrom::Selection) {
        Check::Free => Verdict::Use,
        Check::Recycle(tw) => Verdict::Replace(tw),
        Check::InUse => Verdict::Skip(PortVerdict::TupleInUse),
        Check::TimeWait => Verdict::Skip(PortVerdict::TupleTimeWait),
    }
}

/// A port that the search has settled on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    port: u16,
    /// Steps that the search had made in its present pass; they move the start of later searches.
    steps: u32,
    /// The TIME-WAIT socket that is replaced.
    replaces: Option<u32>,
}

/// The first port of an order that [`connect_may_use`] allows, asked port by port.
pub(crate) fn first_usable_literally<C: Chooser>(
    t: &Tables<'_>,
    chooser: &mut C,
    sk: u32,
    order: &Order,
) -> Option<Pick> {
    let pick = |port, steps, replaces| {
        Some(Pick {
            port,
            steps,
            replaces,
        })
    };
    let mut steps = order.steps();
    steps.find_map(|(port, k)| match connect_may_use(t, chooser, sk, port) {
        Verdict::Use => pick(port, k, None),
        Verdict::Replace(tw) => pick(port, k, Some(tw)),
        Verdict::Skip(_) => None,
    })
}

/// The first port of an order that [`connect_may_use`] allows. `index` knows the ports in use
/// towards destinations whose ports were often found taken, and learns others.
pub(crate) fn first_usable<C: Chooser>(
    t: &Tables<'_>,
    index: &mut Destinations,
    chooser: &mut C,
    sk: u32,
    order: &Order,
) -> Option<Pick> {
    let Passes::Runs(passes) = &order.passes else {
        return first_usable_literally(t, chooser, sk, order);
    };
    let to = Destination::of(&t.socks[sk]);
    let mut known = index.place(to);
    let mut taken_4_tuples = 0;
    for pass in passes {
        let mut steps = order.first;
        for run in pass {
            let mut from = 0;
            while let Some((port, place)) = next_candidate(t, index, known, sk, run, from) {
                // The index knows all entries of the destination: a port that it does not have is
                // free.
                let free = match known {
                    Some(k) => !index.get(k).taken.contains(port),
                    None => !t.ns.used.contains(port),
                };
                let verdict = if free {
                    Verdict::Use
                } else {
                    connect_may_use(t, chooser, sk, port)
                };
                let replaces = match verdict {
                    Verdict::Use => None,
                    Verdict::Replace(tw) => Some(tw),
                    Verdict::Skip(_) => {
                        from = place + 1;
                        taken_4_tuples += 1;
                        if known.is_none() && taken_4_tuples == index.enough(t.ns.established.len())
                        {
                            known = Some(learn(t, index, to));
                        }
                        continue;
                    }
                };
                let steps = steps + place * order.step;
                return Some(Pick {
                    port,
                    steps,
                    replaces,
                });
            }
            steps += run.count * order.step;
        }
    }
    None
}

/// The next port of a run that sets of ports do not rule out, with its place in the run.
fn next_candidate(
    t: &Tables<'_>,
    index: &Destinations,
    known: Option<usize>,
    sk: u32,
    run: &Run,
    from: u32,
) -> Option<(u16, u32)> {
    let taken = known.map(|place| index.get(place));
    let passed = Passed {
        sets: [
            &t.ns.blocked,
            &t.ns.values.reserved,
            HeldPorts::nothing(),
            taken.map_or(HeldPorts::nothing(), |to| &to.taken),
        ],
        // Entries that may give way are asked for.
        except: taken
            .and_then(|to| to.soft())
            .filter(|_| t.ns.devices || selection_may_replace(t, sk)),
    };
    run.next(from, &passed)
}

/// Starts to index the ports in use towards a destination.
fn learn(t: &Tables<'_>, index: &mut Destinations, to: Destination) -> usize {
    let place = index.add(to);
    let Some(pair) = t.ns.established.pair(to.saddr, to.daddr) else {
        return place;
    };
    // One port after the other: neighbours are neighbours in the table.
    for word in 0..WORDS {
        for port in ports_of(word, t.ns.used.word(word)) {
            let (taken, soft) = in_use(&t.ns.established, t.socks, pair, port, to.dport);
            if taken {
                index.put(place, port, taken, soft);
            }
        }
    }
    place
}

impl<C: Chooser> Machine<C> {
    /// Selects a port, takes it and enters the 4-tuple. An error is `EADDRNOTAVAIL`, with its
    /// reason if reasons are asked for.
    pub(crate) fn select_connect(&mut self, i: u32) -> Result<(), Option<Box<Refusal>>> {
        let ns = self.socks[i].ns;
        let sock = &self.socks[i];
        let range = port_range(&self.nss[usize::from(ns)], sock, &self.b);
        let (chooser, now) = (&mut self.chooser, self.clock);
        let mut start = self.ports.start(&self.b, chooser, sock, now, range);
        let step_width = self.nss[usize::from(ns)].values.step_width;
        let n = u32::from(range.1 - range.0) + 1;
        start.width = match start.by_one {
            true => draw_width(chooser, step_width, n, 1),
            false => draw_width(chooser, step_width, n / 2, 2),
        };
        let (low, high) = range;
        let order = Order::new(self.b.connect_scan(), low, high, start);
        let mut index = std::mem::take(&mut self.ns_mut(ns).destinations);
        let (t, chooser) = self.tables(ns);
        let pick = first_usable(&t, &mut index, chooser, i, &order);
        self.ns_mut(ns).destinations = index;
        let Some(pick) = pick else {
            return Err(self
                .explaining
                .then(|| self.explain_connect(i, low, high, &order)));
        };
        self.ports
            .advance(&self.b, &mut self.chooser, start, pick.steps);
        let bucket = match self.ns(ns).by_port.get(pick.port) {
            Some(b) => b,
            None => self.ns_mut(ns).create_bucket(pick.port, -1),
        };
        let sock = &mut self.socks[i];
        sock.num = pick.port;
        sock.connect_bind = true;
        self.link(Owner::sock(i), bucket);
        self.count_owner(i, bucket);
        self.enter(i);
        if let Some(tw) = pick.replaces {
            self.kill_tw(tw);
        }
        Ok(())
    }
}

/// The cell of a table of 256: the top of a second hash of the same value.
fn cell_of_256(hash: u64) -> u32 {
    (hash as u32).wrapping_mul(0x61c8_8647) >> 24
}

impl<C: Chooser> Machine<C> {
    /// The number from which a connect() search with this port hash would start now, before
    /// [`Chooser::connect_start`]. A cell that no search has used yet counts as 0.
    #[must_use]
    pub fn search_base(&self, hash: u64) -> u32 {
        self.ports.base(&self.b, hash)
    }
}

impl Ports {
    /// The start of a search: keyed hash plus hint or cell.
    fn start<C: Chooser>(
        &mut self,
        rules: &TrackedBehaviours,
        chooser: &mut C,
        s: &Sock,
        now: Time,
        (low, high): (u16, u16),
    ) -> Start {
        let by_one = s.range() != (0, 0) && rules.local_port_range_step_one();
        let epoch = if rules.perturb() == Perturb::Cells65536 {
            now.nanos() / (10 * SEC)
        } else {
            0
        };
        let hash = chooser.port_hash(PortHashInput {
            saddr: s.rcv_saddr,
            daddr: s.daddr,
            dport: s.dport,
            epoch,
        });
        let (cell, base) = match rules.perturb() {
            Perturb::Hint => (None, self.hint.wrapping_add(hash as u32)),
            Perturb::Cells256 => {
                let cell = cell_of_256(hash);
                (
                    Some(cell),
                    self.cell(chooser, cell).wrapping_add(hash as u32),
                )
            }
            Perturb::Cells65536 => {
                let cell = (hash & 0xffff) as u32;
                let base = self.cell(chooser, cell).wrapping_add((hash >> 32) as u32);
                (Some(cell), base)
            }
        };
        let n = u32::from(high - low) + 1;
        let (n, even) = match rules.connect_scan() {
            ConnectScan::FromNext => (n, false),
            ConnectScan::EvenStart => (n, true),
            ConnectScan::Parity if by_one => (n, false),
            ConnectScan::Parity => (if n > 1 { n & !1 } else { n }, n > 1),
        };
        Start {
            cell,
            offset: chooser.connect_start(base, n, even),
            by_one,
            width: None,
        }
    }

    /// The distance that searches have moved the starts of later ones, on a machine whose hashes
    /// are all 0.
    pub(crate) fn start_moved(&self, rules: &TrackedBehaviours) -> u32 {
        match rules.perturb() {
            Perturb::Hint => self.hint,
            _ => self.cells.get(&0).copied().unwrap_or(0),
        }
    }

    /// The number that the kernel adds to a hash for the next search with it.
    fn base(&self, rules: &TrackedBehaviours, hash: u64) -> u32 {
        let cell = |index: u32| self.cells.get(&index).copied().unwrap_or(0);
        match rules.perturb() {
            Perturb::Hint => self.hint.wrapping_add(hash as u32),
            Perturb::Cells256 => cell(cell_of_256(hash)).wrapping_add(hash as u32),
            Perturb::Cells65536 => cell((hash & 0xffff) as u32).wrapping_add((hash >> 32) as u32),
        }
    }

    fn cell<C: Chooser>(&mut self, chooser: &mut C, index: u32) -> u32 {
        let cell = self.cells.entry(index);
        *cell.or_insert_with(|| chooser.perturb_cell(index))
    }

    /// Moves the start of later searches after a success.
    fn advance<C: Chooser>(
        &mut self,
        rules: &TrackedBehaviours,
        chooser: &mut C,
        start: Start,
        steps: u32,
    ) {
        match rules.perturb() {
            Perturb::Hint => {
                let add = match rules.connect_scan() {
                    ConnectScan::FromNext => steps,
                    ConnectScan::EvenStart => (steps + 2) & !1,
                    ConnectScan::Parity => steps + 2,
                };
                self.hint = self.hint.wrapping_add(add);
            }
            Perturb::Cells256 => {
                let steps = if steps == 0 && chooser.perturb_step(16) == 0 {
                    2
                } else {
                    steps
                };
                self.move_cell(start.cell, steps + 2);
            }
            Perturb::Cells65536 => {
                let step = if start.by_one { 1 } else { 2 };
                let steps = steps.max(chooser.perturb_step(8) * step);
                self.move_cell(start.cell, steps + step);
            }
        }
    }

    fn move_cell(&mut self, cell: Option<u32>, by: u32) {
        if let Some(v) = cell.and_then(|c| self.cells.get_mut(&c)) {
            *v = v.wrapping_add(by);
        }
    }
}
