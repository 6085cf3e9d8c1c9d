//! What goes into the established table and out of it, and the check that a 4-tuple is free
//! (`__inet_check_established`).

use crate::bucket::{Owner, Who};
use crate::chooser::Chooser;
use crate::destinations::Destination;
use crate::machine::Machine;
use crate::ns::tuple_of;
use crate::portset::{WORDS, ports_of};
use crate::profile::behaviour::TwAge;
use crate::time::{MS, SEC};
use crate::tuples::{Pair, Tuple};

/// What the check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Free,
    /// Free once this stand-in is taken over.
    Recycle(u32),
    InUse,
    TimeWait,
}

/// How far the clock of a followed kernel may be from the one in a recording.
pub(crate) const SLACK: u64 = 60 * MS;

impl<C: Chooser> Machine<C> {
    pub(crate) fn hash_insert(&mut self, ns: u16, owner: Owner) {
        let tuple = tuple_of(&self.socks, &self.tws, owner);
        self.ns_mut(ns).established.insert(&tuple, owner);
        let mut plain = false;
        if let Who::Sock(i) = owner.who() {
            let sock = &mut self.socks[i];
            sock.hashed = true;
            plain = sock.dev == 0;
        }
        // A socket without a device gives way to nobody, whatever else has the 4-tuple.
        self.note_destination(ns, &tuple, plain.then_some((true, false)));
    }

    pub(crate) fn hash_remove(&mut self, ns: u16, owner: Owner) {
        let tuple = tuple_of(&self.socks, &self.tws, owner);
        self.ns_mut(ns).established.remove(&tuple, owner);
        if let Who::Sock(i) = owner.who() {
            self.socks[i].hashed = false;
        }
        self.note_destination(ns, &tuple, None);
    }

    /// Keeps the index of ports in use towards a destination, if there is one, up to date. `entries`:
    /// what the 4-tuple has now, if the caller knows.
    fn note_destination(&mut self, ns: u16, tuple: &Tuple, entries: Option<(bool, bool)>) {
        if self.ns(ns).destinations.is_empty() {
            return;
        }
        let to = Destination {
            saddr: tuple.local,
            daddr: tuple.remote,
            dport: tuple.rport,
        };
        let Some(place) = self.ns(ns).destinations.place(to) else {
            return;
        };
        let (taken, soft) = entries.unwrap_or_else(|| {
            let pair = self.ns(ns).established.pair(tuple.local, tuple.remote);
            let in_use = |pair| self.in_use(ns, pair, tuple.lport, tuple.rport);
            pair.map_or((false, false), in_use)
        });
        self.ns_mut(ns)
            .destinations
            .put(place, tuple.lport, taken, soft);
    }

    /// Whether a 4-tuple has entries, and whether all of them may give way to another socket.
    fn in_use(&self, ns: u16, pair: Pair, lport: u16, rport: u16) -> (bool, bool) {
        let (mut taken, mut hard) = (false, false);
        self.ns(ns).established.find_of(pair, lport, rport, |o| {
            taken = true;
            hard = matches!(o.who(), Who::Sock(i) if self.socks[i].dev == 0);
            hard
        });
        (taken, taken && !hard)
    }

    /// Starts to index the ports in use towards the destination of a socket.
    pub(crate) fn index_destination(&mut self, sk: u32) -> usize {
        let s = &self.socks[sk];
        let (ns, dport) = (s.ns, s.dport);
        let to = Destination {
            saddr: s.rcv_saddr,
            daddr: s.daddr,
            dport,
        };
        let place = self.ns_mut(ns).destinations.add(to);
        let Some(pair) = self.ns(ns).established.pair(to.saddr, to.daddr) else {
            return place;
        };
        // One port after the other: neighbours are neighbours in the table.
        for word in 0..WORDS {
            for port in ports_of(word, self.ns(ns).used.word(word)) {
                let (taken, soft) = self.in_use(ns, pair, port, dport);
                if taken {
                    self.ns_mut(ns).destinations.put(place, port, taken, soft);
                }
            }
        }
        place
    }

    /// Whether some TIME-WAIT towards this destination could be taken over by a search at all.
    pub(crate) fn search_may_recycle(&self, sk: u32) -> bool {
        let s = &self.socks[sk];
        let loopback = || s.rcv_saddr.is_loopback() || s.daddr.is_loopback() || s.dev == 1;
        self.ns(s.ns).values.reuses_time_waits(&self.b, loopback)
    }

    /// Whether the socket may use a port towards its destination. `scan`: the port comes from a
    /// search (the kernel passes a place for a recycled TIME-WAIT), otherwise the socket is bound.
    pub(crate) fn check_established(&mut self, sk: u32, port: u16, scan: bool) -> Check {
        let s = &self.socks[sk];
        let (ns, dev) = (s.ns, s.dev);
        let tuple = Tuple {
            local: s.rcv_saddr,
            remote: s.daddr,
            lport: port,
            rport: s.dport,
        };
        // A device on the newcomer does not make it different from an entry without one, but a
        // device on the entry does.
        let found = self.ns(ns).established.find(&tuple, |o| {
            let bound = match o.who() {
                Who::Sock(i) => self.socks[i].dev,
                Who::Tw(i) => self.tws[i].dev,
            };
            o != Owner::sock(sk) && (bound == 0 || bound == dev)
        });
        match found.map(Owner::who) {
            None => Check::Free,
            Some(Who::Sock(_)) => Check::InUse,
            Some(Who::Tw(t)) if self.may_recycle(ns, t, scan) => Check::Recycle(t),
            Some(Who::Tw(_)) => Check::TimeWait,
        }
    }

    /// Whether a stand-in may be taken over (`tcp_twsk_unique`).
    fn may_recycle(&mut self, ns: u16, tw: u32, scan: bool) -> bool {
        let t = &self.tws[tw];
        if !t.timestamps {
            return false;
        }
        if scan {
            let loopback = || t.dev == 1 || t.local.is_loopback() || t.remote.is_loopback();
            let values = &self.ns(ns).values;
            if !values.reuses_time_waits(&self.b, loopback)
                || (t.fin_wait2 && self.b.tw_reuse_not_fin_wait2())
            {
                return false;
            }
        }
        !self.stamp_is_zero(tw) && (!scan || self.old_enough(ns, tw))
    }

    /// On kernels with a monotonic stamp, one from the first second after boot reads as "none".
    fn stamp_is_zero(&mut self, tw: u32) -> bool {
        if !self.b.tw_stamp_monotonic() {
            return false;
        }
        let stamp = self.tws[tw].stamp.nanos();
        let nominal = stamp < SEC;
        if stamp.abs_diff(SEC) <= SLACK + 350 * MS {
            self.chooser.uncertain(nominal)
        } else {
            nominal
        }
    }

    /// Whether the connect() search may take a stand-in over now, by age. Where the answer hangs on
    /// the phase of the kernel's seconds or on a tick, the chooser is asked.
    fn old_enough(&mut self, ns: u16, tw: u32) -> bool {
        let now = self.clock.nanos();
        let t = &self.tws[tw];
        let (stamp, entered) = (t.stamp.nanos(), t.entered.nanos());
        let (nominal, certain) = match self.b.tw_age() {
            // Whole seconds of the wall clock, whose phase nobody outside knows.
            TwAge::OverOneSecond => {
                let age = now.saturating_sub(stamp);
                (
                    (now / SEC).saturating_sub(stamp / SEC) > 1,
                    age + SLACK < SEC || age > 2 * SEC + SLACK,
                )
            }
            TwAge::NextSecond => {
                let early = now.saturating_sub(SLACK) / SEC > stamp.saturating_add(SLACK) / SEC;
                let late = now.saturating_add(SLACK) / SEC > stamp.saturating_sub(SLACK) / SEC;
                (now / SEC > stamp / SEC, early == late)
            }
            TwAge::Millis => {
                let delay = u64::from(self.ns(ns).values.tw_reuse_delay_ms) * MS;
                let age = now.saturating_sub(entered);
                (
                    now / MS > entered.saturating_add(delay) / MS,
                    age.abs_diff(delay) > SLACK,
                )
            }
        };
        if certain {
            nominal
        } else {
            self.chooser.uncertain(nominal)
        }
    }

    /// Takes a stand-in over: it leaves the table, its bucket and its timer.
    pub(crate) fn recycle(&mut self, tw: u32) {
        self.kill_tw(tw);
    }
}
