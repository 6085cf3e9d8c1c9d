//! The search for a port by bind() to port 0 and by listen() without bind()
//! (`inet_csk_get_port`; from 4.11 on `inet_csk_find_open_port`).
//!
//! Three generations: one pass from a random start (up to 4.5), parity passes that still remember
//! a shareable port (4.6 to 4.10), and parity passes that never share with an overlapping owner
//! (4.11 and later).

use crate::Family;
use crate::addr::Ip;
use crate::bind::Taken;
use crate::chooser::Chooser;
use crate::conflict::Mode;
use crate::held::Held;
use crate::machine::Machine;
use crate::portset::{Passed, PortSet, Run, runs_by_one, runs_by_two};
use crate::profile::behaviour::{Bhash2, BindScan, HalfRange, PairRule};
use crate::socket::Sock;

/// How often an old kernel starts its search again after the remembered port was refused.
const RESCANS: u32 = 5;

/// What one search over a range came to.
enum Found {
    Port(u16),
    Nothing,
    /// A remembered bucket is to be judged.
    Best(u16),
}

impl<C: Chooser> Machine<C> {
    /// Searches and takes a port for the socket; `false` is `EADDRINUSE`.
    pub(crate) fn search_port(&mut self, sk: u32) -> bool {
        let found = match self.b.bind_scan() {
            BindScan::Sequential | BindScan::ParityShare => self.search_sharing(sk),
            BindScan::Parity => self.search_parity(sk),
        };
        if !found && self.explaining {
            self.explain_search(sk);
        }
        found
    }

    /// The range that automatic ports of this socket come from (`inet_sk_get_local_port_range`):
    /// each end of `IP_LOCAL_PORT_RANGE` counts only if it lies inside the namespace's range.
    pub(crate) fn port_range(&self, sk: u32) -> (u16, u16) {
        let sock = &self.socks[sk];
        let (mut low, mut high) = self.ns(sock.ns).values.range;
        let (want_low, want_high) = sock.range();
        if (want_low, want_high) != (0, 0) && self.b.local_port_range_option() {
            let inside = low..=high;
            if want_low != 0 && inside.contains(&want_low) {
                low = want_low;
            }
            if want_high != 0 && inside.contains(&want_high) {
                high = want_high;
            }
        }
        (low, high)
    }

    /// Whether the socket searches the lower half first.
    fn halves(&self, sk: u32) -> bool {
        let reuse = self.socks[sk].reuse;
        reuse != 0
            && match self.b.half_range() {
                HalfRange::No => false,
                HalfRange::AnyReuse => true,
                HalfRange::Reuse => reuse == 1,
            }
    }

    fn is_reserved(&self, ns: u16, port: u16) -> bool {
        let v = &self.ns(ns).values;
        v.any_reserved && v.reserved.contains(port)
    }

    // ---- up to 4.10: searches that may share ------------------------------------------------

    fn search_sharing(&mut self, sk: u32) -> bool {
        // A follower sees the same set of results without rescans: nothing changes in between.
        let mut rescans = self.chooser.rescans(RESCANS);
        let mut upper = false;
        loop {
            let mut best = None;
            let (port, judged) = match self.scan_sharing(sk, &mut best, &mut upper) {
                Found::Nothing => return false,
                Found::Port(p) => (p, self.take_port(sk, p, Mode::Autobind, best)),
                Found::Best(p) => (p, self.take_port(sk, p, Mode::Autobind, best)),
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
        let (low, high) = self.port_range(sk);
        let parity = self.b.bind_scan() == BindScan::ParityShare;
        let split = self.halves(sk) && (!parity || high - low >= 3);
        if !split {
            return self.scan_part(sk, low, high, best);
        }
        let (lower_half, upper_half) = if parity {
            let m = low + (((u32::from(high) + 1 - u32::from(low)) >> 2) << 1) as u16;
            ((low, m - 1), (m, high))
        } else {
            // The middle port belongs to both halves.
            let m = low + (high - low) / 2;
            ((low, m), (m, high))
        };
        if parity || !*upper {
            match self.scan_part(sk, lower_half.0, lower_half.1, best) {
                Found::Nothing => *upper = true,
                found => return found,
            }
        }
        self.scan_part(sk, upper_half.0, upper_half.1, best)
    }

    fn scan_part(&mut self, sk: u32, low: u16, high: u16, best: &mut Option<u16>) -> Found {
        *best = None;
        let mut fewest = -1;
        let n = u32::from(high - low) + 1;
        if self.socks[sk].reuse == 0 && !self.socks[sk].reuseport {
            return self.scan_plain(sk, low, high);
        }
        if self.b.bind_scan() == BindScan::Sequential {
            let start = self.chooser.bind_start(n, false);
            for i in 0..n {
                let port = low + ((start + i) % n) as u16;
                if let Some(found) = self.look(sk, port, n, &mut fewest, best) {
                    return found;
                }
            }
            return best.map_or(Found::Nothing, Found::Best);
        }
        let rem = if n > 1 { n & !1 } else { n };
        let odd = self.chooser.bind_start(rem, true) | 1;
        for offset in [odd, odd - 1] {
            for port in walk_by_two(low, high, offset, rem) {
                if let Some(found) = self.look(sk, port, n, &mut fewest, best) {
                    return found;
                }
            }
            // A remembered port is taken before the other parity is tried.
            if let Some(port) = *best {
                return Found::Best(port);
            }
        }
        Found::Nothing
    }

    /// Looks at one port of a search that may share; `None` goes on to the next.
    fn look(
        &mut self,
        sk: u32,
        port: u16,
        n: u32,
        fewest: &mut i32,
        best: &mut Option<u16>,
    ) -> Option<Found> {
        let ns = self.socks[sk].ns;
        if self.is_reserved(ns, port) {
            return None;
        }
        let Some(index) = self.ns(ns).by_port.get(port) else {
            return Some(Found::Port(port));
        };
        let bucket = std::mem::replace(
            &mut self.ns_mut(ns).buckets[index],
            crate::bucket::Bucket::new(port, 0),
        );
        self.settle_garbage(sk, &bucket);
        let fast =
            (self.socks[sk].reuses() && bucket.fastreuse > 0) || self.reuseport_match(sk, &bucket);
        let mut found = None;
        let num_owners = || self.with_children(bucket.num_owners, bucket.children);
        if fast && (*fewest == -1 || num_owners() < *fewest) {
            *fewest = num_owners();
            // An owner count of -1 reads as "nothing remembered", as in the kernel.
            *best = (*fewest != -1).then_some(port);
            if self.b.bind_scan() == BindScan::Sequential
                && i64::from(self.with_children(self.bsockets, self.children)) > i64::from(n)
                && (!self.b.bsockets_check()
                    || self.conflict(sk, &bucket, Mode::Automatic).is_none())
            {
                found = Some(Found::Port(port));
            }
        }
        let shares = self.b.bind_shares() || self.b.bind_scan() == BindScan::ParityShare;
        if found.is_none() && shares && self.conflict(sk, &bucket, Mode::Automatic).is_none() {
            found = Some(Found::Port(port));
        }
        self.ns_mut(ns).buckets[index] = bucket;
        found
    }

    /// A count of sockets as the kernel has it: with children or without.
    fn with_children(&self, count: i32, children: i32) -> i32 {
        if children != 0 && self.b.child_counted() {
            count + children
        } else {
            count
        }
    }

    // ---- 4.11 and later -----------------------------------------------------------------------

    fn search_parity(&mut self, sk: u32) -> bool {
        let (low, high) = self.port_range(sk);
        let mut mode = Mode::Automatic;
        loop {
            for (l, h) in self.parts(sk, low, high) {
                if let Some(port) = self.scan_parity(sk, l, h, mode) {
                    self.take_found(sk, port);
                    return true;
                }
            }
            let ns = self.socks[sk].ns;
            if mode == Mode::Automatic
                && self.ns(ns).values.autobind_reuse
                && self.b.autobind_reuse()
            {
                mode = Mode::Autobind;
            } else {
                return false;
            }
        }
    }

    /// The parts of the range in the order in which they are searched.
    fn parts(&self, sk: u32, low: u16, high: u16) -> Vec<(u16, u16)> {
        if self.halves(sk) && high - low >= 3 {
            let m = low + (((u32::from(high) + 1 - u32::from(low)) >> 2) << 1) as u16;
            vec![(low, m - 1), (m, high)]
        } else {
            vec![(low, high)]
        }
    }

    fn scan_parity(&mut self, sk: u32, low: u16, high: u16, mode: Mode) -> Option<u16> {
        let n = u32::from(high - low) + 1;
        let rem = if n > 1 { n & !1 } else { n };
        let odd = self.chooser.bind_start(rem, true) | 1;
        let (a, b) = (
            runs_by_two(low, high, odd, rem),
            runs_by_two(low, high, odd - 1, rem),
        );
        self.first_without_conflict(sk, &[a[0], a[1], b[0], b[1]], mode)
    }

    /// A search of the older generations by a socket without `SO_REUSEADDR` and `SO_REUSEPORT`, for
    /// which no bucket is worth remembering.
    fn scan_plain(&mut self, sk: u32, low: u16, high: u16) -> Found {
        let n = u32::from(high - low) + 1;
        let found = if self.b.bind_scan() == BindScan::Sequential {
            let start = self.chooser.bind_start(n, false);
            let [a, b] = runs_by_one(low, high, start);
            self.first_without_conflict(sk, &[a, b], Mode::Automatic)
        } else {
            let rem = if n > 1 { n & !1 } else { n };
            let odd = self.chooser.bind_start(rem, true) | 1;
            let (a, b) = (
                runs_by_two(low, high, odd, rem),
                runs_by_two(low, high, odd - 1, rem),
            );
            self.first_without_conflict(sk, &[a[0], a[1], b[0], b[1]], Mode::Automatic)
        };
        found.map_or(Found::Nothing, Found::Port)
    }

    /// The first port of the runs that is free or has no owner in conflict.
    fn first_without_conflict(&mut self, sk: u32, runs: &[Run], mode: Mode) -> Option<u16> {
        if self.socks[sk].reuseport
            && self.ns(self.socks[sk].ns).tw_count > 0
            && !self.b.tw_copies_reuseport()
        {
            self.settle_garbage_of(sk, runs);
        }
        let n = self.ns(self.socks[sk].ns);
        let shares = self.b.bind_scan() != BindScan::Sequential || self.b.bind_shares();
        let certain = if shares {
            self.certain_conflicts(sk, mode)
        } else {
            [&n.used, Held::nothing(), Held::nothing()]
        };
        let passed = Passed {
            sets: [&n.values.reserved, certain[0], certain[1], certain[2]],
            except: None,
        };
        for run in runs {
            let mut from = 0;
            while let Some((port, place)) = run.next(from, &passed) {
                if n.bucket(port)
                    .is_none_or(|b| self.conflict(sk, b, mode).is_none())
                {
                    return Some(port);
                }
                from = place + 1;
            }
        }
        None
    }

    /// Settles undefined memory of all buckets that a search will look at.
    fn settle_garbage_of(&mut self, sk: u32, runs: &[Run]) {
        let ns = self.socks[sk].ns;
        for run in runs {
            for k in 0..run.count {
                let port = (run.first + k * run.step) as u16;
                if let Some(bucket) = self.ns(ns).bucket(port).cloned() {
                    self.settle_garbage(sk, &bucket);
                }
            }
        }
    }

    /// Whether there are TIME-WAITs that the binder is not compared with, although they hold ports.
    fn misses_time_waits(&self, s: &Sock) -> bool {
        self.ns(s.ns).tw_count > 0 && self.b.bhash2() == Bhash2::SameFamilyNoTw
    }

    /// Ports whose owners conflict with this binder for sure, whatever their options: an owner with
    /// an overlapping address is enough wherever the options cannot share.
    pub(crate) fn certain_conflicts(&self, sk: u32, mode: Mode) -> [&PortSet; 3] {
        let (s, none) = (&self.socks[sk], Held::nothing());
        let strict = || {
            mode == Mode::Automatic
                && self.b.pair_rule() != PairRule::Single
                && (s.family == Family::Inet || self.b.pair_rule_v6_strict())
        };
        let options_matter = (s.reuse != 0 && !strict()) || (s.reuseport && self.b.reuseport());
        if options_matter || s.dev != 0 || self.misses_time_waits(s) {
            return [none; 3];
        }
        let held = &self.ns(s.ns).held;
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
            (Family::Inet6, addr) if addr.is_v4() => {
                [held.address(Family::Inet6, addr), none, none]
            }
            (Family::Inet6, addr) => [
                held.address(Family::Inet6, addr),
                held.address(Family::Inet6, Ip::ANY6),
                none,
            ],
        }
    }

    /// Takes a port that the search has approved; nothing is checked again.
    fn take_found(&mut self, sk: u32, port: u16) {
        let ns = self.socks[sk].ns;
        match self.ns(ns).by_port.get(port) {
            None => self.take_free(sk, port),
            Some(index) => self.join(sk, port, index),
        }
    }
}

/// Ports of one parity pass: `rem / 2` of them (at least one), two apart, from `offset` on. Past the
/// end the walk steps back by `rem`, not by the size of the range, so that in a range of odd size
/// the window slides and one port is missed.
fn walk_by_two(low: u16, high: u16, offset: u32, rem: u32) -> impl Iterator<Item = u16> {
    let end = u32::from(high) + 1;
    let mut port = u32::from(low) + offset;
    (0..rem.div_ceil(2)).map(move |_| {
        if port >= end {
            port -= rem;
        }
        let this = port as u16;
        port += 2;
        this
    })
}
