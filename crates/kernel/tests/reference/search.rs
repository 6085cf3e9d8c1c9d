//! bind() to port 0: the three searches for a port.

use super::Reference;
use super::bind::{Mode, STRICT};
use fourtuple_kernel::profile::behaviour::*;

const AGAIN: Mode = Mode {
    relax: true,
    rpok: false,
};

/// The result of an old search.
enum Scan {
    /// This port: free or shareable.
    Take(u16),
    /// The remembered one.
    Best(u16),
    Nothing,
}

impl Reference {
    // ---- up to 4.10 ---------------------------------------------------------------------------

    pub(super) fn search_old(&mut self, i: usize) -> bool {
        let halves = self.b.half_range != HalfRange::No && self.socks[i].reuse;
        let mut half = if halves { 1 } else { 0 };
        let mut tries = 5;
        loop {
            let (lo, hi) = self.range_of(i);
            let (mut l, mut h) = (lo, hi);
            if self.b.bind_scan == BindScan::Sequential {
                if half == 1 {
                    h = lo + (hi - lo) / 2;
                }
                if half == 2 {
                    l = lo + (hi - lo) / 2;
                }
            } else if u32::from(hi) + 1 - u32::from(lo) < 4 {
                half = 0;
            } else if half != 0 {
                let m = lo + ((((u32::from(hi) + 1 - u32::from(lo)) >> 2) << 1) as u16);
                if half == 1 {
                    h = m - 1;
                } else {
                    l = m;
                }
            }
            let scan = if self.b.bind_scan == BindScan::Sequential {
                self.scan_sequential(i, l, h)
            } else {
                self.scan_parity_share(i, l, h)
            };
            let (port, remembered) = match scan {
                (Scan::Take(p), remembered) => (p, remembered),
                (Scan::Best(p), _) => (p, true),
                (Scan::Nothing, _) if half == 1 => {
                    half = 2;
                    continue;
                }
                (Scan::Nothing, _) => return false,
            };
            let Some(t) = self.find(port) else {
                self.take_new(i, port);
                return true;
            };
            if !remembered && self.fast(i, t) {
                self.hold(i, t);
                return true;
            }
            let relaxed = Mode {
                relax: true,
                rpok: self.b.pair_rule != PairRule::ReuseportExplicitOnly,
            };
            if self.conflict(i, t, relaxed) {
                let again = self.reuses(i) || self.reuseport_match(i, t);
                if again && remembered && tries > 0 {
                    tries -= 1;
                    if self.b.bind_scan == BindScan::ParityShare && halves {
                        half = 1;
                    }
                    continue;
                }
                return false;
            }
            self.touch(i, t, true);
            self.hold(i, t);
            return true;
        }
    }

    /// One port of an old scan. `best` is the smallest owner count so far (-1: none) and its port.
    fn look(&self, i: usize, p: u16, n: i64, best: &mut (i32, u16)) -> Option<u16> {
        if self.is_reserved(p) {
            return None;
        }
        let Some(t) = self.find(p) else {
            return Some(p);
        };
        let strict = self.strict();
        let nown = self.buckets[t].nown;
        if self.fast(i, t) && (nown < best.0 || best.0 == -1) {
            *best = (nown, p);
            if self.b.bind_scan == BindScan::Sequential
                && i64::from(self.bsockets) > n
                && (!self.b.bsockets_check || !self.conflict(i, t, strict))
            {
                return Some(p);
            }
        }
        (self.shares() && !self.conflict(i, t, strict)).then_some(p)
    }

    fn scan_sequential(&mut self, i: usize, l: u16, h: u16) -> (Scan, bool) {
        let n = u32::from(h) - u32::from(l) + 1;
        let mut p = u32::from(l) + self.rng.bind_start(n);
        let mut best = (-1, 0);
        for _ in 0..n {
            self.visited.push(p as u16);
            if let Some(port) = self.look(i, p as u16, i64::from(n), &mut best) {
                return (Scan::Take(port), best.0 != -1);
            }
            p += 1;
            if p > u32::from(h) {
                p = u32::from(l);
            }
        }
        if best.0 == -1 {
            (Scan::Nothing, false)
        } else {
            (Scan::Best(best.1), true)
        }
    }

    fn scan_parity_share(&mut self, i: usize, l: u16, h: u16) -> (Scan, bool) {
        let end = u32::from(h) + 1;
        let mut rem = end - u32::from(l);
        if rem > 1 {
            rem &= !1;
        }
        let off = self.rng.bind_start(rem) | 1;
        let mut best = (-1, 0);
        for o in [off, off - 1] {
            let mut p = u32::from(l) + o;
            let mut k = 0;
            while k < rem {
                if p >= end {
                    p -= rem;
                }
                self.visited.push(p as u16);
                if let Some(port) = self.look(i, p as u16, i64::from(rem), &mut best) {
                    return (Scan::Take(port), best.0 != -1);
                }
                p += 2;
                k += 2;
            }
            if best.0 != -1 {
                return (Scan::Best(best.1), true);
            }
        }
        (Scan::Nothing, false)
    }

    // ---- 4.11 and later -------------------------------------------------------------------------

    pub(super) fn search_new(&mut self, i: usize) -> bool {
        let halves = self.b.half_range != HalfRange::No && self.socks[i].reuse;
        let mut mode = STRICT;
        let mut half = if halves { 1 } else { 0 };
        loop {
            let (lo, hi) = self.range_of(i);
            let (mut l, mut h) = (u32::from(lo), u32::from(hi) + 1);
            if h - l < 4 {
                half = 0;
            }
            if half != 0 {
                let m = l + (((h - l) >> 2) << 1);
                if half == 1 {
                    h = m;
                } else {
                    l = m;
                }
            }
            let mut rem = h - l;
            if rem > 1 {
                rem &= !1;
            }
            let off = self.rng.bind_start(rem) | 1;
            for o in [off, off - 1] {
                let mut p = l + o;
                let mut k = 0;
                while k < rem {
                    if p >= h {
                        p -= rem;
                    }
                    let port = p as u16;
                    self.visited.push(port);
                    if !self.is_reserved(port) {
                        match self.find(port) {
                            None => {
                                self.take_new(i, port);
                                return true;
                            }
                            Some(t) if !self.conflict(i, t, mode) => {
                                self.touch(i, t, true);
                                self.hold(i, t);
                                return true;
                            }
                            Some(_) => {}
                        }
                    }
                    p += 2;
                    k += 2;
                }
            }
            if half == 1 {
                half = 2;
                continue;
            }
            if self.autobind_reuse && !mode.relax {
                mode = AGAIN;
                half = if halves { 1 } else { 0 };
                continue;
            }
            return false;
        }
    }
}
