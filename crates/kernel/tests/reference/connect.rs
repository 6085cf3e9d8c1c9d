//! connect(): the search, the 4-tuple check, and what a failure leaves.

use super::{A1, Answer, Owner, Reference, State};
use fourtuple_kernel::profile::behaviour::*;
use fourtuple_kernel::{Errno, PortVerdict};

const SEC: u64 = 1_000_000_000;

/// The result of the 4-tuple check.
enum Check {
    Free,
    Recycle(usize),
    Taken,
    /// By a TIME-WAIT that must not be reused.
    Waits,
}

impl Reference {
    pub(crate) fn connect(&mut self, i: usize, dest: u8) -> Answer {
        self.forget_reasons();
        if self.socks[i].state != State::Close {
            return Err(Errno::EISCONN);
        }
        if self.socks[i].addr == 0 {
            self.move_address(i, A1);
        }
        let port = match self.socks[i].num {
            0 => self.scan(i, dest),
            num => match self.check_established(i, num, dest, false) {
                Check::Free => Some((num, None)),
                Check::Recycle(w) => Some((num, Some(w))),
                Check::Taken => {
                    self.because(PortVerdict::TupleInUse);
                    None
                }
                Check::Waits => {
                    self.because(PortVerdict::TupleTimeWait);
                    None
                }
            },
        };
        let Some((port, recycled)) = port else {
            self.set_close(i);
            if self.b.connect_resets_address && !self.socks[i].addr_lock {
                self.move_address(i, 0);
            }
            return Err(Errno::EADDRNOTAVAIL);
        };
        let s = &mut self.socks[i];
        s.sport = port;
        s.state = State::Established;
        s.dest = Some(dest);
        if let Some(w) = recycled {
            self.end_time_wait(w);
        }
        Ok(port)
    }

    fn check_established(&self, i: usize, port: u16, dest: u8, scan: bool) -> Check {
        let addr = self.socks[i].addr;
        let live = self.socks.iter().any(|s| {
            s.alive
                && s.state == State::Established
                && (s.addr, s.num, s.dest) == (addr, port, Some(dest))
        });
        if live {
            return Check::Taken;
        }
        let tw = self
            .tws
            .iter()
            .position(|w| w.alive && (w.addr, w.port, w.dest) == (addr, port, dest));
        match tw {
            None => Check::Free,
            Some(w) if !scan || (self.tw_reuse && self.old_enough(w)) => Check::Recycle(w),
            Some(_) => Check::Waits,
        }
    }

    fn old_enough(&self, w: usize) -> bool {
        let (now, stamp) = (self.now, self.tws[w].entered);
        match self.b.tw_age {
            TwAge::OverOneSecond => now / SEC - stamp / SEC > 1,
            TwAge::NextSecond => now / SEC > stamp / SEC,
            TwAge::Millis => now / 1_000_000 > stamp / 1_000_000 + 1000,
        }
    }

    /// The TIME-WAIT that the search replaces, if it takes the port; `None` if it does not.
    fn usable(&mut self, i: usize, port: u16, dest: u8) -> Option<Option<usize>> {
        let refused = self.refused(i, port, dest);
        if let Err(verdict) = refused
            && !self.visited.contains(&port)
        {
            self.visited.push(port);
            self.because(verdict);
        }
        refused.ok()
    }

    fn refused(&self, i: usize, port: u16, dest: u8) -> Result<Option<usize>, PortVerdict> {
        if self.reserved.contains(&port) {
            return Err(PortVerdict::Reserved);
        }
        let Some(t) = self.find(port) else {
            return Ok(None);
        };
        let b = &self.buckets[t];
        if b.fr >= 0 || (self.b.reuseport && b.frp >= 0) {
            return Err(PortVerdict::Fastreuse);
        }
        match self.check_established(i, port, dest, true) {
            Check::Free => Ok(None),
            Check::Recycle(w) => Ok(Some(w)),
            Check::Taken => Err(PortVerdict::TupleInUse),
            Check::Waits => Err(PortVerdict::TupleTimeWait),
        }
    }

    /// The search; on success the socket holds the port. Gives the port and a recycled TIME-WAIT.
    fn scan(&mut self, i: usize, dest: u8) -> Option<(u16, Option<usize>)> {
        let addr = self.socks[i].addr;
        let epoch = match self.b.perturb {
            Perturb::Cells65536 => self.now / (10 * SEC),
            _ => 0,
        };
        let hash = self.rng.port_hash(addr, dest, epoch);
        let (cell, start) = match self.b.perturb {
            Perturb::Hint => (None, self.hint.wrapping_add(hash as u32)),
            Perturb::Cells256 => {
                let c = (hash as u32).wrapping_mul(0x61c8_8647) >> 24;
                (Some(c), self.cell(c).wrapping_add(hash as u32))
            }
            Perturb::Cells65536 => {
                let c = (hash & 0xffff) as u32;
                (Some(c), self.cell(c).wrapping_add((hash >> 32) as u32))
            }
        };
        let (lo, hi) = self.range_of(i);
        let by_one = self.b.local_port_range_step_one && self.socks[i].range != (0, 0);
        let found = match self.b.connect_scan {
            ConnectScan::FromNext | ConnectScan::EvenStart => {
                let even = self.b.connect_scan == ConnectScan::EvenStart;
                let base = if even { start & !1 } else { start };
                let n = u32::from(hi - lo) + 1;
                let mut found = None;
                let mut k = if even { 0 } else { 1 };
                while k < n + u32::from(!even) {
                    let p = lo + (base.wrapping_add(k) % n) as u16;
                    if let Some(w) = self.usable(i, p, dest) {
                        found = Some((p, w, k));
                        break;
                    }
                    k += 1;
                }
                found
            }
            ConnectScan::Parity => self.scan_parity(i, dest, (lo, hi), start, by_one),
        };
        let Some((port, recycled, k)) = found else {
            self.passed_by((lo, hi));
            return None;
        };
        self.advance(cell, k, by_one);
        let t = match self.find(port) {
            Some(t) => t,
            None => self.create(port, -1),
        };
        self.socks[i].num = port;
        self.socks[i].connect_bind = true;
        self.link(t, Owner::Sock(i));
        self.buckets[t].nown += 1;
        self.bsockets += 1;
        Some((port, recycled))
    }

    fn scan_parity(
        &mut self,
        i: usize,
        dest: u8,
        (lo, hi): (u16, u16),
        start: u32,
        by_one: bool,
    ) -> Option<(u16, Option<usize>, u32)> {
        let end = u32::from(hi) + 1;
        let mut rem = end - u32::from(lo);
        let step = if by_one { 1 } else { 2 };
        if !by_one && rem > 1 {
            rem &= !1;
        }
        let mut off = start % rem;
        if !by_one {
            off &= !1;
        }
        let mut passes = vec![off];
        if !by_one && rem > 1 {
            passes.push(off + 1);
        }
        for o in passes {
            let mut p = u32::from(lo) + o;
            let mut k = 0;
            while k < rem {
                if p >= end {
                    p -= rem;
                }
                if let Some(w) = self.usable(i, p as u16, dest) {
                    return Some((p as u16, w, k));
                }
                p += step;
                k += step;
            }
        }
        None
    }

    fn cell(&mut self, index: u32) -> u32 {
        if let Some((_, v)) = self.cells.iter().find(|(c, _)| *c == index) {
            return *v;
        }
        let v = self.rng.cell(index);
        self.cells.push((index, v));
        v
    }

    /// Moves later starts after a success.
    fn advance(&mut self, cell: Option<u32>, k: u32, by_one: bool) {
        let add = match self.b.perturb {
            Perturb::Hint => match self.b.connect_scan {
                ConnectScan::FromNext => k,
                ConnectScan::EvenStart => (k + 2) & !1,
                ConnectScan::Parity => k + 2,
            },
            Perturb::Cells256 => {
                let k = if k == 0 && self.rng.perturb_step(16) == 0 {
                    2
                } else {
                    k
                };
                k + 2
            }
            Perturb::Cells65536 => {
                let step = if by_one { 1 } else { 2 };
                k.max(self.rng.perturb_step(8) * step) + step
            }
        };
        match cell {
            None => self.hint = self.hint.wrapping_add(add),
            Some(c) => {
                for (_, v) in self.cells.iter_mut().filter(|(x, _)| *x == c) {
                    *v = v.wrapping_add(add);
                }
            }
        }
    }
}
