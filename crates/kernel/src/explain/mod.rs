//! Reasons in full: made after a refusal, from the unchanged state, and only if explaining is on.

pub mod reason;
pub mod source_map;
pub(crate) mod view;

use crate::Errno;
use crate::Family;
use crate::bucket::conflict::Mode;
use crate::bucket::{Owner, OwnerKind};
use crate::chooser::Chooser;
use crate::conn::established::Check;
use crate::conn::socket::State;
use crate::explain::reason::{PortRefusal, PortVerdict, Refusal, Rule};
use crate::machine::Machine;
use crate::port::destinations::Destination;
use crate::port::order::Order;
use crate::port::select_bind::{bind_may_select, certain_conflicts, selection_shares};
use crate::port::select_connect::connect_may_use;
use crate::port::set::{Run, ports_of, runs_by_one};
use crate::port::{Verdict, port_range};
use crate::profile::behaviour::BindScan;
use crate::profile::{Behaviours, TrackedBehaviours};
use std::collections::{BTreeMap, BTreeSet};

/// The kernel functions that a call goes through, outermost first, up to the place where its port
/// is decided.
#[must_use]
pub fn call_path(b: &Behaviours, op: &str, family: Family, bound: bool) -> Vec<&'static str> {
    path_of(&TrackedBehaviours::new(*b), op, family, bound)
}

fn path_of(b: &TrackedBehaviours, op: &str, family: Family, bound: bool) -> Vec<&'static str> {
    let v4 = family == Family::Inet;
    let mut path = Vec::new();
    match op {
        "bind" | "listen" => {
            if op == "bind" {
                path.extend(["sys_bind", if v4 { "inet_bind" } else { "inet6_bind" }]);
            } else {
                path.extend(["sys_listen", "inet_listen", "inet_csk_listen_start"]);
            }
            path.push("inet_csk_get_port");
            if b.bind_scan() == BindScan::Parity && !bound {
                path.push("inet_csk_find_open_port");
            }
            let old_v6 = !v4 && b.bind_scan() != BindScan::Parity;
            path.push(if old_v6 {
                "inet6_csk_bind_conflict"
            } else {
                "inet_csk_bind_conflict"
            });
        }
        "connect" => {
            path.extend(["sys_connect", "inet_stream_connect"]);
            path.extend(if v4 {
                ["tcp_v4_connect", "inet_hash_connect"]
            } else {
                ["tcp_v6_connect", "inet6_hash_connect"]
            });
            path.push("__inet_hash_connect");
            if bound {
                path.push(if v4 {
                    "__inet_check_established"
                } else {
                    "__inet6_check_established"
                });
            }
        }
        _ => {}
    }
    path
}

/// The number of refused ports by reason.
#[derive(Default)]
struct Counts(BTreeMap<PortVerdict, u32>);

impl Counts {
    fn add(&mut self, verdict: PortVerdict, ports: u32) {
        if ports > 0 {
            *self.0.entry(verdict).or_insert(0) += ports;
        }
    }

    /// Ports that the search came to.
    fn looked_at(&self) -> u32 {
        self.0
            .iter()
            .filter(|(v, _)| **v != PortVerdict::NotVisited)
            .map(|(_, n)| n)
            .sum()
    }

    /// The reasons there were.
    fn kinds(&self) -> Vec<PortVerdict> {
        self.0
            .keys()
            .copied()
            .filter(|v| *v != PortVerdict::NotVisited)
            .collect()
    }
}

impl<C: Chooser> Machine<C> {
    fn is_listening(&self, sk: u32) -> bool {
        self.socks[sk].state == State::Listen
    }

    fn bind_path(&self, sk: u32, bound: bool) -> Vec<&'static str> {
        let op = if self.is_listening(sk) {
            "listen"
        } else {
            "bind"
        };
        path_of(&self.b, op, self.socks[sk].family, bound)
    }

    /// Explains why bind() or listen() could not take the port it named.
    pub(crate) fn explain_explicit(&mut self, sk: u32, port: u16) {
        let rule = if self.is_listening(sk) {
            Rule::ListenConflict
        } else {
            Rule::BindConflict
        };
        let mut refusal = Refusal::plain(Errno::EADDRINUSE, rule, self.bind_path(sk, true));
        refusal.tried = 1;
        refusal.counts.insert(PortVerdict::Conflict, 1);
        refusal
            .ports
            .push(self.port_refusal(self.socks[sk].ns, port, PortVerdict::Conflict));
        self.refusal = Some(Box::new(refusal));
    }

    /// Explains why ephemeral port selection of bind() or listen() found nothing.
    pub(crate) fn explain_selection(&mut self, sk: u32) {
        let rule = if self.is_listening(sk) {
            Rule::ListenNoFreePort
        } else {
            Rule::BindNoFreePort
        };
        let ns = self.socks[sk].ns;
        let (t, _) = self.tables(ns);
        let (low, high) = port_range(t.ns, &t.socks[sk], t.rules);
        let certain = certain_conflicts(&t, sk, Mode::Automatic);
        let certain_verdict = if selection_shares(t.rules) {
            PortVerdict::Conflict
        } else {
            PortVerdict::HasBucket
        };
        let verdict = |port| match bind_may_select(&t, sk, port, Mode::Automatic) {
            Verdict::Skip(verdict) => verdict,
            // Usable all the same: the walk over an odd-sized range did not come here.
            Verdict::Use | Verdict::Replace(_) => PortVerdict::NotVisited,
        };
        let mut counts = Counts::default();
        let range = runs_by_one(low, high, 0)[0];
        for (i, mask) in range.words() {
            let reserved = mask & t.ns.values.reserved.word(i);
            let open = mask & !reserved;
            let sure = certain.iter().fold(0, |bits, set| bits | set.word(i)) & open;
            counts.add(PortVerdict::Reserved, reserved.count_ones());
            counts.add(certain_verdict, sure.count_ones());
            for port in ports_of(i, open & !sure) {
                counts.add(verdict(port), 1);
            }
        }
        let first: Vec<_> = (low..=high)
            .take(Refusal::MAX_PORTS)
            .map(|port| (port, verdict(port)))
            .collect();
        let path = self.bind_path(sk, false);
        self.refusal = Some(self.summary(Errno::EADDRINUSE, rule, path, ns, counts, &first));
    }

    /// Explains why a socket with a port of its own could not connect.
    pub(crate) fn explain_bound_connect(&mut self, sk: u32, found: Check) -> Box<Refusal> {
        let s = &self.socks[sk];
        let (rule, verdict) = match found {
            Check::TimeWait => (Rule::ConnectBoundTimeWait, PortVerdict::TupleTimeWait),
            _ => (Rule::ConnectBoundTuple, PortVerdict::TupleInUse),
        };
        let path = path_of(&self.b, "connect", s.family, true);
        let mut refusal = Refusal::plain(Errno::EADDRNOTAVAIL, rule, path);
        refusal.tried = 1;
        refusal.counts.insert(verdict, 1);
        refusal.ports.push(self.port_refusal(s.ns, s.num, verdict));
        Box::new(refusal)
    }

    /// Explains why the ephemeral port selection of connect() found nothing.
    pub(crate) fn explain_connect(
        &mut self,
        sk: u32,
        low: u16,
        high: u16,
        order: &Order,
    ) -> Box<Refusal> {
        let mut counts = Counts::default();
        // Where its sum wraps, the search comes to some ports twice and to others not at all.
        let visited: BTreeSet<u16> = match order.runs() {
            Some(_) => BTreeSet::new(),
            None => order.ports().collect(),
        };
        let came_to: u32 = match order.runs() {
            Some(runs) => {
                for run in runs {
                    self.count_refused(sk, run, &mut counts);
                }
                runs.iter().map(|run| run.count).sum()
            }
            None => {
                for &port in &visited {
                    counts.add(self.connect_verdict(sk, port), 1);
                }
                visited.len() as u32
            }
        };
        let mut first: Vec<_> = (order.ports().take(Refusal::MAX_PORTS))
            .map(|port| (port, self.connect_verdict(sk, port)))
            .collect();
        let passed = |port: &u16| match order.runs() {
            Some(runs) => !runs.iter().any(|run| run.visits(*port)),
            None => !visited.contains(port),
        };
        let missed = u32::from(high - low) + 1 - came_to;
        counts.add(PortVerdict::NotVisited, missed);
        // They come last, so that they show in small ranges only.
        let room = (Refusal::MAX_PORTS - first.len()).min(missed as usize);
        let missed = (low..=high).filter(passed).take(room);
        first.extend(missed.map(|port| (port, PortVerdict::NotVisited)));
        let rule = match counts.kinds()[..] {
            [PortVerdict::Fastreuse] => Rule::ConnectSkipFastreuse,
            [PortVerdict::TupleInUse] => Rule::ConnectTupleTaken,
            [PortVerdict::TupleTimeWait] => Rule::ConnectTupleTimeWait,
            [PortVerdict::Reserved] => Rule::ConnectReserved,
            _ => Rule::ConnectNoPort,
        };
        let path = path_of(&self.b, "connect", self.socks[sk].family, false);
        let ns = self.socks[sk].ns;
        self.summary(Errno::EADDRNOTAVAIL, rule, path, ns, counts, &first)
    }

    /// Counts the reasons of the ports of a run: a word at a time where sets of ports give them.
    fn count_refused(&mut self, sk: u32, run: &Run, counts: &mut Counts) {
        let s = &self.socks[sk];
        let ns = s.ns;
        let place = self.ns(ns).destinations.place(Destination::of(s));
        // With sockets that are bound to devices, the answer depends on the connecting socket.
        let place = place.filter(|_| !self.ns(ns).devices);
        // Sets of ports give most reasons; their sums are added up at the end.
        let [mut reserved, mut fastreuse, mut in_use, mut time_wait] = [0; 4];
        for (i, mask) in run.words() {
            let n = self.ns(ns);
            let kept = mask & n.values.reserved.word(i);
            let skipped = mask & !kept & n.blocked.word(i);
            let open = mask & !kept & !skipped;
            let (taken, soft) = place.map_or((0, 0), |p| {
                let to = n.destinations.get(p);
                (to.taken.word(i), to.soft().map_or(0, |set| set.word(i)))
            });
            reserved += kept.count_ones();
            fastreuse += skipped.count_ones();
            in_use += (open & taken & !soft).count_ones();
            time_wait += (open & taken & soft).count_ones();
            for port in ports_of(i, open & !taken) {
                counts.add(self.connect_verdict(sk, port), 1);
            }
        }
        counts.add(PortVerdict::Reserved, reserved);
        counts.add(PortVerdict::Fastreuse, fastreuse);
        counts.add(PortVerdict::TupleInUse, in_use);
        counts.add(PortVerdict::TupleTimeWait, time_wait);
    }

    /// The reason why connect() did not take a port that its search visited.
    fn connect_verdict(&mut self, sk: u32, port: u16) -> PortVerdict {
        let (t, chooser) = self.tables(self.socks[sk].ns);
        match connect_may_use(&t, chooser, sk, port) {
            Verdict::Skip(verdict) => verdict,
            Verdict::Use | Verdict::Replace(_) => PortVerdict::TupleInUse,
        }
    }

    fn summary(
        &self,
        errno: Errno,
        rule: Rule,
        path: Vec<&'static str>,
        ns: u16,
        counts: Counts,
        first: &[(u16, PortVerdict)],
    ) -> Box<Refusal> {
        let ports = first.iter().map(|&(p, v)| self.port_refusal(ns, p, v));
        Box::new(Refusal {
            errno,
            rule,
            path,
            tried: counts.looked_at(),
            ports: ports.collect(),
            counts: counts.0,
        })
    }

    fn port_refusal(&self, ns: u16, port: u16, verdict: PortVerdict) -> PortRefusal {
        let bucket = self.ns(ns).bucket(port);
        PortRefusal {
            port,
            verdict,
            bucket: bucket.map(|b| (b.fastreuse, b.fastreuseport)),
            owners: bucket.map_or_else(Vec::new, |b| {
                b.owners.iter().take(4).map(|&o| self.describe(o)).collect()
            }),
        }
    }

    /// An owner in words, as `ss` would print it.
    pub(crate) fn describe(&self, owner: Owner) -> String {
        match owner.kind() {
            OwnerKind::Sock(i) => {
                let s = &self.socks[i];
                let local = crate::addr::Endpoint::new(s.rcv_saddr, s.num);
                match s.state {
                    State::Close | State::Listen => format!("{local} {}", s.state),
                    _ => format!("{local} {} {}", s.state, s.remote()),
                }
            }
            OwnerKind::Tw(t) => {
                let w = &self.tw.socks[t];
                let (l, r) = (
                    crate::addr::Endpoint::new(w.local, w.lport),
                    crate::addr::Endpoint::new(w.remote, w.rport),
                );
                format!("{l} {} {r}", self.tw_state(t))
            }
        }
    }
}
