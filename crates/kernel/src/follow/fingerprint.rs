//! A digest of everything that later answers can hang on, so that equal states are kept once.
//!
//! Indices, places in lists and serial numbers say nothing about the future; they are replaced by
//! names, ports and moments, so that two histories with the same result give the same digest.

use crate::addr::Endpoint;
use crate::chooser::Chooser;
use crate::conn::socket::{Cold, Sock, Tw};
use crate::machine::{Machine, SockId};
use crate::profile::behaviour::Scope;
use crate::timers::TimerKind;
use siphasher::sip::SipHasher13;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

fn digest(value: impl Hash) -> u64 {
    let mut h = SipHasher13::new();
    value.hash(&mut h);
    h.finish()
}

impl<C: Chooser> Machine<C> {
    /// A digest of everything that later answers can hang on, but for the clock and for where
    /// connect() searches start, for those who walk through all states: equal digests at one time
    /// mean equal futures under a chooser that picks every start itself. `names` are the sockets
    /// that the caller can still name, in an order of its own.
    #[must_use]
    pub fn digest(&self, names: &[Option<SockId>]) -> u64 {
        self.fingerprint(names)
    }

    /// `names`: the sockets that the caller can still name, by its numbers.
    pub(crate) fn fingerprint(&self, names: &[Option<SockId>]) -> u64 {
        let mut due: BTreeMap<(bool, u32), (u64, u64, TimerKind)> = BTreeMap::new();
        let mut machine_timers = Vec::new();
        for t in self.timers.iter().filter(|t| self.timer_valid(t)) {
            let when = (t.earliest.0, t.latest.0, t.kind);
            match t.kind {
                TimerKind::Wheel | TimerKind::Calendar => machine_timers.push(when),
                kind => {
                    due.insert((kind == TimerKind::TimeWait, t.target), when);
                }
            }
        }
        machine_timers.sort_unstable();

        let by_index: BTreeMap<u32, usize> = names
            .iter()
            .enumerate()
            .filter_map(|(n, s)| Some((s.as_ref()?.index, n)))
            .collect();
        let plain = |s: &Sock| Sock {
            timer: 0,
            bucket: 0,
            place: 0,
            generation: 0,
            cold: None,
            ..s.clone()
        };
        let mut parts: Vec<u64> = Vec::new();
        for (i, s) in self.socks.iter() {
            let queue: Vec<(Endpoint, bool)> = s
                .cold
                .iter()
                .flat_map(|c| &c.queue)
                .map(|&c| {
                    let child = &self.socks[c];
                    (child.remote(), child.hashed)
                })
                .collect();
            let cold = s.cold.as_ref().map(|c| Cold {
                queue: Default::default(),
                ..(**c).clone()
            });
            parts.push(digest((
                by_index.get(&i),
                plain(s),
                cold,
                queue,
                due.get(&(false, i)),
            )));
        }
        for (i, t) in self.tw.socks.iter() {
            parts.push(digest((
                Tw {
                    timer: 0,
                    bucket: 0,
                    place: 0,
                    ..t.clone()
                },
                due.get(&(true, i)),
            )));
        }
        for (n, ns) in self.nss.iter().enumerate() {
            for (_, b) in ns.buckets.iter() {
                let mut by_addr: Vec<u64> = b.by_addr.iter().map(digest).collect();
                by_addr.sort_unstable();
                let values = (
                    b.port,
                    b.fastreuse,
                    b.fastreuseport,
                    b.fastuid,
                    &b.snapshot,
                    b.num_owners,
                );
                parts.push(digest((n, values, by_addr)));
            }
        }
        parts.sort_unstable();
        let lives = |e| self.entry_lives(e);
        let identity = |i: u32| {
            digest(Tw {
                timer: 0,
                bucket: 0,
                place: 0,
                ..self.tw.socks[i].clone()
            })
        };
        let wheel = self.tw.wheel.fingerprint(lives, identity);
        digest((
            parts,
            machine_timers,
            wheel,
            self.ports.bsockets,
            self.tw.count,
        ))
    }

    /// Gives back the numbers of namespaces that have ended, all but the machine's first.
    pub(crate) fn forget_removed_namespaces(&mut self) {
        while self.nss.len() > 1 && self.nss.last().is_some_and(|n| !n.alive) {
            self.nss.pop();
        }
    }

    /// Whether a key is machine-wide and shown in the first namespace only.
    pub(crate) fn is_hidden(&self, key: &str) -> bool {
        crate::sysctl::scope_of(&self.b, key) == Some(Scope::MachineHidden)
    }

    /// The remote end of a connection, also of one that has been reset since.
    pub(crate) fn remote_of(&self, s: SockId) -> Endpoint {
        self.socks[s.index].remote()
    }
}
