//! Ephemeral port selection of bind() to port 0 and of listen() without bind()
//! (`inet_csk_get_port`; from 4.11 on `inet_csk_find_open_port`).
//!
//! Three generations: one pass from a random start (up to 4.5), parity passes that still remember
//! a shareable port (4.6 to 4.10), and parity passes that never share with an overlapping owner
//! (4.11 and later).
//!
//! [`bind_may_select`] states the rule for one port. [`first_usable`] applies it to the ports of a
//! pass, a word of ports at a time where sets of ports decide.

use super::{Verdict, port_range};
use crate::Family;
use crate::addr::Ip;
use crate::bucket::conflict::{Mode, conflict};
use crate::bucket::held::HeldPorts;
use crate::chooser::Chooser;
use crate::conn::bind::{Taken, joins_unchecked};
use crate::conn::socket::Sock;
use crate::explain::reason::PortVerdict;
use crate::machine::Machine;
use crate::port::set::{Passed, PortSet, Run, runs_by_one, runs_by_two};
use crate::profile::TrackedBehaviours;
use crate::profile::behaviour::{Bhash2, BindScan, HalfRange, PairRule};
use crate::tables::Tables;

/// The number of times that an old kernel starts its selection again after the remembered port
/// was refused.
const RESCANS: u32 = 5;

/// The outcome of one pass over a range.
enum Found {
    Port(u16),
    Nothing,
    /// A remembered bucket is to be judged.
    Best(u16),
}

/// bind() to port 0: may selection take `port`?  (`inet_csk_find_open_port`, all kernels)
///
/// 1. Ports of `ip_local_reserved_ports` are skipped (from 2.6.35 on).
/// 2. A port without a bucket is free.
/// 3. Up to 3.2 every port with a bucket is skipped.
/// 4. Otherwise no owner may conflict ([`conflict`]; from 3.5 on in its strict mode). The values of
///    the bucket do not matter: selection shares a port with connections and binders of other
///    addresses, whatever its `fastreuse` is.
pub(crate) fn bind_may_select(t: &Tables<'_>, sk: u32, port: u16, mode: Mode) -> Verdict {
    if t.ns.values.reserved.contains(port) {
        return Verdict::Skip(PortVerdict::Reserved);
    }
    let Some(bucket) = t.ns.bucket(port) else {
        return Verdict::Use;
    };
    if !selection_shares(t.rules) {
        return Verdict::Skip(PortVerdict::HasBucket);
    }
    match conflict(t, sk, bucket, mode) {
        Some(_) => Verdict::Skip(PortVerdict::Conflict),
        None => Verdict::Use,
    }
}

/// Returns `true` if bind() to port 0 may take a port that has a bucket: from 3.3 on.
pub(crate) fn selection_shares(rules: &TrackedBehaviours) -> bool {
    rules.bind_scan() != BindScan::Sequential || rules.bind_shares()
}

/// The first port of the runs that [`bind_may_select`] allows.
pub(crate) fn first_usable(t: &Tables<'_>, sk: u32, runs: &[Run], mode: Mode) -> Option<u16> {
    let [a, b, c] = certain_conflicts(t, sk, mode);
    let passed = Passed {
        sets: [&t.ns.values.reserved, a, b, c],
        except: None,
    };
    for run in runs {
        let mut from = 0;
        while let Some((port, place)) = run.next(from, &passed) {
            if matches!(bind_may_select(t, sk, port, mode), Verdict::Use) {
                return Some(port);
            }
            from = place + 1;
        }
    }
    None
}

/// Ports that selection skips for certain: all that have a bucket where buckets are never shared,
/// else those where an owner with an overlapping address is enough, because the options of the
/// binder share with nothing.
pub(crate) fn certain_conflicts<'a>(t: &Tables<'a>, sk: u32, mode: Mode) -> [&'a PortSet; 3] {
    let (s, none) = (&t.socks[sk], HeldPorts::nothing());
    if !selection_shares(t.rules) {
        return [&t.ns.used, none, none];
    }
    let strict = || {
        mode == Mode::Automatic
            && t.rules.pair_rule() != PairRule::Single
            && (s.family == Family::Inet || t.rules.pair_rule_v6_strict())
    };
    let options_matter = (s.reuse != 0 && !strict()) || (s.reuseport && t.rules.reuseport());
    // TIME-WAIT sockets that the binder is not compared with hold ports all the same.
    let misses_time_waits = t.ns.tw_count > 0 && t.rules.bhash2() == Bhash2::SameFamilyNoTw;
    if options_matter || s.dev != 0 || misses_time_waits {
        return [none; 3];
    }
    overlapping_owners(&t.ns.held, s)
}

/// Ports that have an owner whose address overlaps with the socket's for certain.
pub(crate) fn overlapping_owners<'a>(held: &'a HeldPorts, s: &Sock) -> [&'a PortSet; 3] {
    let none = HeldPorts::nothing();
    match (s.family, s.rcv_saddr) {
        (_, Ip::ANY4) => [held.family(Family::Inet), none, none],
        (Family::Inet, addr) => [
            held.address(Family::Inet, addr),
            held.address(Family::Inet, Ip::ANY4),
            none,
        ],
        (Family::Inet6, Ip::ANY6) if !s.v6only => {
            [held.family(Family::Inet), held.family(Family::Inet6), none]
        }
        (Family::Inet6, addr) if addr.is_v4() => [held.address(Family::Inet6, addr), none, none],
        (Family::Inet6, addr) => [
            held.address(Family::Inet6, addr),
            held.address(Family::Inet6, Ip::ANY6),
            none,
        ],
    }
}

/// Returns `true` if a `SO_REUSEADDR` binder searches the lower half of the range first.
fn searches_halves(rules: &TrackedBehaviours, sock: &Sock) -> bool {
    sock.reuse != 0
        && match rules.half_range() {
            HalfRange::No => false,
            HalfRange::AnyReuse => true,
            HalfRange::Reuse => sock.reuse == 1,
        }
}

/// The parts of a range in the order in which parity passes search them.
fn parts(low: u16, high: u16, halves: bool) -> Vec<(u16, u16)> {
    if halves && high - low >= 3 {
        let m = low + (((u32::from(high) + 1 - u32::from(low)) >> 2) << 1) as u16;
        vec![(low, m - 1), (m, high)]
    } else {
        vec![(low, high)]
    }
}

/// The two parity passes over a range, the one that begins at offset `odd` first.
fn parity_passes(low: u16, high: u16, odd: u32) -> [Run; 4] {
    let rem = even_size(low, high);
    let [a, b] = runs_by_two(low, high, odd, rem);
    let [c, d] = runs_by_two(low, high, odd - 1, rem);
    [a, b, c, d]
}

/// The size of a range as parity passes count it: even, unless the range is a single port.
fn even_size(low: u16, high: u16) -> u32 {
    let n = u32::from(high - low) + 1;
    if n > 1 { n & !1 } else { n }
}

impl<C: Chooser> Machine<C> {
    /// Selects and takes a port for the socket; `false` is `EADDRINUSE`.
    pub(crate) fn select_bind(&mut self, sk: u32) -> bool {
        let found = match self.b.bind_scan() {
            BindScan::Sequential | BindScan::ParityShare => self.select_sharing(sk),
            BindScan::Parity => self.select_open(sk),
        };
        if !found && self.explaining {
            self.explain_selection(sk);
        }
        found
    }

    // ---- up to 4.10: selection that may share -----------------------------------------------

    fn select_sharing(&mut self, sk: u32) -> bool {
        // The conformance checker sees the same set of results without rescans: nothing changes in
        // between.
        let mut rescans = self.chooser.rescans(RESCANS);
        let mut upper = false;
        loop {
            let mut best = None;
            let (port, judged) = match self.scan_sharing(sk, &mut best, &mut upper) {
                Found::Nothing => return false,
                Found::Port(p) | Found::Best(p) => (p, self.take_port(sk, p, Mode::Autobind, best)),
            };
            debug_assert_ne!(port, 0);
            match judged {
                Taken::Yes => return true,
                Taken::Again if rescans > 0 => rescans -= 1,
                Taken::Again | Taken::Conflict => return false,
            }
        }
    }

    /// One scan. `upper` remembers, over rescans, that the lower half is done with; only the
    /// one-pass generation keeps that in mind.
    fn scan_sharing(&mut self, sk: u32, best: &mut Option<u16>, upper: &mut bool) -> Found {
        let sock = &self.socks[sk];
        let (low, high) = port_range(self.ns(sock.ns), sock, &self.b);
        let halves = searches_halves(&self.b, sock);
        let parts = match self.b.bind_scan() {
            // The middle port belongs to both halves.
            BindScan::Sequential if halves => {
                let m = low + (high - low) / 2;
                vec![(low, m), (m, high)]
            }
            BindScan::Sequential => vec![(low, high)],
            _ => parts(low, high, halves),
        };
        if let [lower, _] = parts[..] {
            let parity = self.b.bind_scan() != BindScan::Sequential;
            if parity || !*upper {
                match self.scan_part(sk, lower, best) {
                    Found::Nothing => *upper = true,
                    found => return found,
                }
            }
        }
        self.scan_part(sk, parts[parts.len() - 1], best)
    }

    fn scan_part(&mut self, sk: u32, (low, high): (u16, u16), best: &mut Option<u16>) -> Found {
        *best = None;
        let n = u32::from(high - low) + 1;
        let sequential = self.b.bind_scan() == BindScan::Sequential;
        let start = if sequential {
            self.chooser.bind_start(n, false)
        } else {
            self.chooser.bind_start(even_size(low, high), true) | 1
        };
        let sock = &self.socks[sk];
        if sock.reuse == 0 && !sock.reuseport {
            // No bucket is worth remembering.
            let found = if sequential {
                self.first_usable(sk, &runs_by_one(low, high, start), Mode::Automatic)
            } else {
                self.first_usable(sk, &parity_passes(low, high, start), Mode::Automatic)
            };
            return found.map_or(Found::Nothing, Found::Port);
        }
        let mut fewest = -1;
        let passes = if sequential {
            vec![runs_by_one(low, high, start)]
        } else {
            let [a, b, c, d] = parity_passes(low, high, start);
            vec![[a, b], [c, d]]
        };
        for pass in passes {
            for port in pass.iter().flat_map(Run::ports) {
                if self.look(sk, port, n, &mut fewest, best) {
                    return Found::Port(port);
                }
            }
            // A remembered port is taken before the other parity is tried.
            if let Some(port) = *best {
                return Found::Best(port);
            }
        }
        Found::Nothing
    }

    /// Looks at one port of a selection that may share: `true` takes it. A bucket that may be
    /// joined unchecked is remembered if it has the fewest owners so far.
    fn look(
        &mut self,
        sk: u32,
        port: u16,
        n: u32,
        fewest: &mut i32,
        best: &mut Option<u16>,
    ) -> bool {
        self.read_undefined(sk, port);
        // Both counts of sockets may include children.
        self.b.child_counted();
        let many = i64::from(self.ports.bsockets) > i64::from(n);
        let (t, chooser) = self.tables(self.socks[sk].ns);
        let verdict = bind_may_select(&t, sk, port, Mode::Automatic);
        if let Some(bucket) = t.ns.bucket(port)
            && verdict != Verdict::Skip(PortVerdict::Reserved)
            && joins_unchecked(t.rules, chooser, &t.socks[sk], bucket)
            && (*fewest == -1 || bucket.num_owners < *fewest)
        {
            *fewest = bucket.num_owners;
            // An owner count of -1 reads as "nothing remembered", as in the kernel.
            *best = (*fewest != -1).then_some(port);
            // With more sockets than ports the first such bucket is taken at once.
            if many
                && t.rules.bind_scan() == BindScan::Sequential
                && (!t.rules.bsockets_check()
                    || conflict(&t, sk, bucket, Mode::Automatic).is_none())
            {
                return true;
            }
        }
        verdict == Verdict::Use
    }

    // ---- 4.11 and later -----------------------------------------------------------------------

    fn select_open(&mut self, sk: u32) -> bool {
        let sock = &self.socks[sk];
        let ns = sock.ns;
        let (low, high) = port_range(self.ns(ns), sock, &self.b);
        let parts = parts(low, high, searches_halves(&self.b, sock));
        let again = self.ns(ns).values.autobind_reuse && self.b.autobind_reuse();
        for mode in [Mode::Automatic, Mode::Autobind] {
            if mode == Mode::Autobind && !again {
                break;
            }
            for &(low, high) in &parts {
                let odd = self.chooser.bind_start(even_size(low, high), true) | 1;
                let runs = parity_passes(low, high, odd);
                if let Some(port) = self.first_usable(sk, &runs, mode) {
                    self.take_selected(sk, port);
                    return true;
                }
            }
        }
        false
    }

    /// Takes a port that selection has approved; nothing is checked again.
    fn take_selected(&mut self, sk: u32, port: u16) {
        match self.ns(self.socks[sk].ns).by_port.get(port) {
            None => self.take_free(sk, port),
            Some(_) => self.join(sk, port),
        }
    }

    /// [`first_usable`], once all undefined memory that it looks at has been read.
    fn first_usable(&mut self, sk: u32, runs: &[Run], mode: Mode) -> Option<u16> {
        let sock = &self.socks[sk];
        let ns = sock.ns;
        if sock.reuseport && self.ns(ns).tw_count > 0 && !self.b.tw_copies_reuseport() {
            for port in runs.iter().flat_map(Run::ports) {
                self.read_undefined(sk, port);
            }
        }
        let (t, _) = self.tables(ns);
        first_usable(&t, sk, runs, mode)
    }
}
