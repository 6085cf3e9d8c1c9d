//! bind() and listen(): the conflict test, and taking a port.

use super::{Answer, Owner, Reference, State};
use fourtuple_kernel::profile::behaviour::*;
use fourtuple_kernel::{Errno, PortVerdict};

/// The arguments of the conflict test in the words of the later pages; earlier kernels have only
/// the first one, or none.
#[derive(Clone, Copy)]
pub(super) struct Mode {
    pub(super) relax: bool,
    pub(super) rpok: bool,
}

const EXPLICIT: Mode = Mode {
    relax: true,
    rpok: true,
};
pub(super) const STRICT: Mode = Mode {
    relax: false,
    rpok: false,
};

impl Reference {
    pub(crate) fn bind(&mut self, i: usize, addr: u32, port: u16) -> Answer {
        self.forget_reasons();
        if self.socks[i].state != State::Close || self.socks[i].num != 0 {
            return Err(Errno::EINVAL);
        }
        self.socks[i].addr = addr;
        let deferred = port == 0 && self.socks[i].no_port;
        if !deferred && !self.get_port(i, port) {
            self.socks[i].addr = 0;
            return Err(Errno::EADDRINUSE);
        }
        let s = &mut self.socks[i];
        if addr != 0 {
            s.addr_lock = true;
        }
        if port != 0 {
            s.port_lock = true;
        }
        s.sport = s.num;
        Ok(s.sport)
    }

    pub(crate) fn listen(&mut self, i: usize) -> Answer {
        self.forget_reasons();
        match self.socks[i].state {
            State::Established => return Err(Errno::EINVAL),
            State::Listen => return Ok(self.socks[i].sport),
            State::Close => {}
        }
        self.socks[i].state = State::Listen;
        if !self.get_port(i, self.socks[i].num) {
            self.socks[i].state = State::Close;
            return Err(Errno::EADDRINUSE);
        }
        self.socks[i].sport = self.socks[i].num;
        Ok(self.socks[i].sport)
    }

    pub(super) fn uid_matches(&self, i: usize, t: usize) -> bool {
        match self.buckets[t].fastuid {
            Some(uid) => uid == self.socks[i].uid,
            None => self.rng.garbage_uid,
        }
    }

    /// Returns `true` if the binder's `SO_REUSEADDR` counts.
    pub(super) fn reuses(&self, i: usize) -> bool {
        self.socks[i].reuse && self.socks[i].state != State::Listen
    }

    pub(super) fn conflict(&self, i: usize, t: usize, mode: Mode) -> bool {
        self.buckets[t]
            .owners
            .iter()
            .any(|o| *o != Owner::Sock(i) && self.pair(i, *o, mode))
    }

    fn pair(&self, i: usize, o: Owner, mode: Mode) -> bool {
        let n = &self.socks[i];
        let (o_addr, o_reuse, o_reuseport, o_uid, o_listens, o_closed, o_tw) = match o {
            Owner::Sock(k) => {
                let s = &self.socks[k];
                let (listens, closed) = (s.state == State::Listen, s.state == State::Close);
                (s.addr, s.reuse, s.reuseport, s.uid, listens, closed, false)
            }
            Owner::Tw(k) => {
                let w = &self.tws[k];
                (w.addr, w.reuse, w.reuseport, 0, false, false, true)
            }
        };
        if n.addr != 0 && o_addr != 0 && n.addr != o_addr {
            return false;
        }
        // The first table by address did not have TIME-WAITs.
        if self.b.bhash2 == Bhash2::SameFamilyNoTw && n.addr != 0 && o_tw {
            return false;
        }
        let uid_ok = o_tw || o_uid == n.uid;
        match self.b.pair_rule {
            PairRule::Single | PairRule::StrictRelaxed => {
                let listening = o_listens || (self.b.close_conflicts && o_closed);
                let ra = n.reuse && o_reuse && !listening;
                let rp = self.b.reuseport && n.reuseport && o_reuseport && uid_ok;
                if !ra && !rp {
                    return true;
                }
                self.b.pair_rule == PairRule::StrictRelaxed
                    && !mode.relax
                    && n.reuse
                    && o_reuse
                    && !o_listens
            }
            PairRule::ReuseportExplicitOnly => {
                let by_reuse = n.reuse && o_reuse && !o_listens;
                let by_reuseport = n.reuseport && mode.rpok && o_reuseport && uid_ok;
                let a = !by_reuse && !by_reuseport;
                let b = !mode.relax && n.reuse && o_reuse && !o_listens;
                a || b
            }
            PairRule::Split => {
                if n.reuse && o_reuse && !o_listens {
                    !mode.relax || (!mode.rpok && n.reuseport && o_reuseport && uid_ok)
                } else {
                    !mode.rpok || !n.reuseport || !o_reuseport || !uid_ok
                }
            }
        }
    }

    pub(super) fn reuseport_match(&self, i: usize, t: usize) -> bool {
        let (n, b) = (&self.socks[i], &self.buckets[t]);
        if !self.b.reuseport || b.frp <= 0 || !n.reuseport || !self.uid_matches(i, t) {
            return false;
        }
        match self.b.reuseport_match {
            ReuseportMatch::Uid => true,
            _ if b.frp == 1 => true,
            ReuseportMatch::SnapshotEitherWild => {
                b.snapshot == n.addr || b.snapshot == 0 || n.addr == 0
            }
            ReuseportMatch::SnapshotCovers => b.snapshot == n.addr || b.snapshot == 0,
        }
    }

    pub(super) fn fast(&self, i: usize, t: usize) -> bool {
        (self.buckets[t].fr > 0 && self.reuses(i)) || self.reuseport_match(i, t)
    }

    /// Changes the bucket's values for a socket that takes the port. `owned`: it had owners.
    pub(super) fn touch(&mut self, i: usize, t: usize, owned: bool) {
        let (reuse, uid, addr) = (self.reuses(i), self.socks[i].uid, self.socks[i].addr);
        let reuseport = self.b.reuseport && self.socks[i].reuseport;
        let matches = self.reuseport_match(i, t);
        let same_uid = self.uid_matches(i, t);
        let has_reuseport = self.b.reuseport;
        let b = &mut self.buckets[t];
        let empty = match self.b.touch {
            Touch::Owners => {
                if !owned {
                    b.fr = i8::from(reuse);
                    b.frp = i8::from(reuseport);
                    if reuseport {
                        b.fastuid = Some(uid);
                    }
                    return;
                }
                if b.fr != 0 && !reuse {
                    b.fr = 0;
                }
                if has_reuseport && b.frp != 0 && (!reuseport || !same_uid) {
                    b.frp = 0;
                }
                return;
            }
            Touch::Inverted => owned,
            Touch::Every => !owned,
            Touch::NeverFirst => false,
        };
        if empty {
            b.fr = i8::from(reuse);
            b.frp = i8::from(reuseport);
            if reuseport {
                (b.fastuid, b.snapshot) = (Some(uid), addr);
            }
            return;
        }
        if !reuse {
            b.fr = 0;
        }
        if !reuseport {
            b.frp = 0;
        } else if !matches {
            b.frp = 2;
            (b.fastuid, b.snapshot) = (Some(uid), addr);
        }
    }

    /// Links a socket that has no port yet, and copies the values to the entry of its address.
    pub(super) fn hold(&mut self, i: usize, t: usize) {
        if self.socks[i].num == 0 {
            self.socks[i].num = self.buckets[t].port;
            self.link(t, Owner::Sock(i));
            self.buckets[t].nown += 1;
            self.bsockets += 1;
        }
        if self.b.recompute_on_release {
            let addr = self.socks[i].addr;
            let b = &mut self.buckets[t];
            let values = (b.fr, b.frp);
            for entry in b.tb2.iter_mut().filter(|a| a.addr == addr) {
                (entry.fr, entry.frp) = values;
            }
        }
    }

    fn get_port(&mut self, i: usize, want: u16) -> bool {
        if want == 0 {
            let found = match self.b.bind_scan {
                BindScan::Sequential | BindScan::ParityShare => self.search_old(i),
                BindScan::Parity => self.search_new(i),
            };
            if !found {
                self.none_to_bind(i);
            }
            return found;
        }
        let Some(t) = self.find(want) else {
            self.take_new(i, want);
            return true;
        };
        let fast = self.fast(i, t);
        if !fast && self.conflict(i, t, EXPLICIT) {
            self.because(PortVerdict::Conflict);
            return false;
        }
        if !(fast && self.b.touch == Touch::Owners) {
            self.touch(i, t, true);
        }
        self.hold(i, t);
        true
    }

    pub(super) fn take_new(&mut self, i: usize, port: u16) {
        let t = self.create(port, 0);
        self.touch(i, t, false);
        self.hold(i, t);
    }

    /// The mode in which the first port selection compares.
    pub(super) fn strict(&self) -> Mode {
        match self.b.bind_scan {
            BindScan::Parity => STRICT,
            _ => Mode {
                relax: false,
                rpok: self.b.pair_rule != PairRule::ReuseportExplicitOnly,
            },
        }
    }

    /// Returns `true` if a search takes ports that have a bucket.
    pub(super) fn shares(&self) -> bool {
        self.b.bind_shares || self.b.bind_scan != BindScan::Sequential
    }

    pub(super) fn is_reserved(&self, port: u16) -> bool {
        self.reserved.contains(&port)
    }

    /// The range of a socket: each end of its own range counts if it lies inside the other.
    pub(super) fn range_of(&self, i: usize) -> (u16, u16) {
        let (lo, hi) = self.range;
        let (mut l, mut h) = (lo, hi);
        let own = self.socks[i].range;
        if own.0 != 0 && lo <= own.0 && own.0 <= hi {
            l = own.0;
        }
        if own.1 != 0 && lo <= own.1 && own.1 <= hi {
            h = own.1;
        }
        (l, h)
    }
}
