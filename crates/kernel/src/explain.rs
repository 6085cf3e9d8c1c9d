//! Reasons in full: made after a refusal, from the unchanged state, and only if somebody asked.

use crate::Errno;
use crate::Family;
use crate::bucket::{Owner, Who};
use crate::chooser::Chooser;
use crate::conflict::Mode;
use crate::connect::Start;
use crate::destinations::Destination;
use crate::established::Check;
use crate::held::Held;
use crate::machine::Machine;
use crate::portset::{PortSet, Run, ports_of, runs_by_one, runs_by_two};
use crate::profile::behaviour::{BindScan, ConnectScan};
use crate::profile::{Behaviours, Watched};
use crate::reason::{PortRefusal, PortVerdict, Refusal, Rule};
use crate::socket::State;
use std::collections::{BTreeMap, BTreeSet};

/// The kernel functions that a call goes through, outermost first, up to the place where its port
/// is decided.
#[must_use]
pub fn call_path(b: &Behaviours, op: &str, family: Family, bound: bool) -> Vec<&'static str> {
    path_of(&Watched::new(*b), op, family, bound)
}

fn path_of(b: &Watched, op: &str, family: Family, bound: bool) -> Vec<&'static str> {
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

/// How many ports were refused for which reason.
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

/// The order in which a connect() search visited ports.
enum Order {
    Runs(Vec<Run>),
    /// From a start so high that the kernel's 32-bit sum wraps inside the search.
    Wrapping {
        low: u16,
        n: u32,
        first: u32,
    },
}

impl Order {
    fn ports(&self) -> impl Iterator<Item = u16> {
        let (runs, wrapping) = match self {
            Order::Runs(runs) => (&runs[..], None),
            Order::Wrapping { low, n, first } => (&[][..], Some((*low, *n, *first))),
        };
        let literally = wrapping.into_iter().flat_map(|(low, n, first)| {
            (0..n).map(move |k| low + (first.wrapping_add(k) % n) as u16)
        });
        runs.iter().flat_map(Run::ports).chain(literally)
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

    /// Why bind() or listen() could not have the port it named.
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

    /// Why the automatic search of bind() or listen() found nothing.
    pub(crate) fn explain_search(&mut self, sk: u32) {
        let rule = if self.is_listening(sk) {
            Rule::ListenNoFreePort
        } else {
            Rule::BindNoFreePort
        };
        let (low, high) = self.port_range(sk);
        let n = self.ns(self.socks[sk].ns);
        let shares = self.b.bind_shares() || self.b.bind_scan() != BindScan::Sequential;
        let certain = if shares {
            (
                self.certain_conflicts(sk, Mode::Automatic),
                PortVerdict::Conflict,
            )
        } else {
            (
                [&n.used, Held::nothing(), Held::nothing()],
                PortVerdict::HasBucket,
            )
        };
        let mut counts = Counts::default();
        let range = runs_by_one(low, high, 0)[0];
        for (i, mask) in range.words() {
            let reserved = mask & n.values.reserved.word(i);
            let open = mask & !reserved;
            let sure = certain.0.iter().fold(0, |bits, set| bits | set.word(i)) & open;
            counts.add(PortVerdict::Reserved, reserved.count_ones());
            counts.add(certain.1, sure.count_ones());
            for port in ports_of(i, open & !sure) {
                counts.add(self.search_verdict(sk, port, certain), 1);
            }
        }
        let first: Vec<_> = (low..=high)
            .take(Refusal::MAX_PORTS)
            .map(|port| (port, self.search_verdict(sk, port, certain)))
            .collect();
        let path = self.bind_path(sk, false);
        let ns = self.socks[sk].ns;
        self.refusal = Some(self.summary(Errno::EADDRINUSE, rule, path, ns, counts, &first));
    }

    /// Why the automatic search did not take a port. `certain`: ports that it does not look at, and why.
    fn search_verdict(
        &self,
        sk: u32,
        port: u16,
        certain: ([&PortSet; 3], PortVerdict),
    ) -> PortVerdict {
        let n = self.ns(self.socks[sk].ns);
        match n.bucket(port) {
            _ if n.values.reserved.contains(port) => PortVerdict::Reserved,
            _ if certain.0.iter().any(|set| set.contains(port)) => certain.1,
            Some(b) if self.conflict(sk, b, Mode::Automatic).is_some() => PortVerdict::Conflict,
            // Free all the same: the walk of an odd-sized range did not come here.
            _ => PortVerdict::NotVisited,
        }
    }

    /// Why a socket with a port of its own could not connect.
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

    /// Why the search of an unbound connect() found nothing.
    pub(crate) fn explain_connect(
        &mut self,
        sk: u32,
        low: u16,
        high: u16,
        start: Start,
    ) -> Box<Refusal> {
        let order = self.visiting_order(low, high, start);
        let mut counts = Counts::default();
        // Where its sum wraps, the search comes to some ports twice and to others not at all.
        let visited: BTreeSet<u16> = match &order {
            Order::Runs(_) => BTreeSet::new(),
            Order::Wrapping { .. } => order.ports().collect(),
        };
        let came_to: u32 = match &order {
            Order::Runs(runs) => {
                for run in runs {
                    self.count_refused(sk, run, &mut counts);
                }
                runs.iter().map(|run| run.count).sum()
            }
            Order::Wrapping { .. } => {
                for &port in &visited {
                    counts.add(self.connect_verdict(sk, port), 1);
                }
                visited.len() as u32
            }
        };
        let mut first: Vec<_> = (order.ports().take(Refusal::MAX_PORTS))
            .map(|port| (port, self.connect_verdict(sk, port)))
            .collect();
        let passed = |port: &u16| match &order {
            Order::Runs(runs) => !runs.iter().any(|run| run.visits(*port)),
            Order::Wrapping { .. } => !visited.contains(port),
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

    /// Counts the reasons of the ports of a run: a word at a time where sets of ports tell them.
    fn count_refused(&mut self, sk: u32, run: &Run, counts: &mut Counts) {
        let s = &self.socks[sk];
        let ns = s.ns;
        let place = self.ns(ns).destinations.place(Destination {
            saddr: s.rcv_saddr,
            daddr: s.daddr,
            dport: s.dport,
        });
        // With sockets that are bound to devices it matters who asks.
        let place = place.filter(|_| !self.ns(ns).devices);
        // Sets of ports tell most reasons; their sums are added up at the end.
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

    /// Why an unbound connect() did not take a port that its search visited.
    fn connect_verdict(&mut self, sk: u32, port: u16) -> PortVerdict {
        let n = self.ns(self.socks[sk].ns);
        if n.values.reserved.contains(port) {
            PortVerdict::Reserved
        } else if n.blocked.contains(port) {
            PortVerdict::Fastreuse
        } else {
            match self.check_established(sk, port, true) {
                Check::TimeWait => PortVerdict::TupleTimeWait,
                _ => PortVerdict::TupleInUse,
            }
        }
    }

    fn visiting_order(&self, low: u16, high: u16, start: Start) -> Order {
        let n = u32::from(high - low) + 1;
        let by_one = |first: u32| {
            if first.checked_add(n).is_none() {
                Order::Wrapping { low, n, first }
            } else {
                Order::Runs(runs_by_one(low, high, first % n).to_vec())
            }
        };
        match self.b.connect_scan() {
            ConnectScan::FromNext => by_one(start.offset.wrapping_add(1)),
            ConnectScan::EvenStart => by_one(start.offset & !1),
            ConnectScan::Parity if start.by_one => by_one(start.offset % n),
            ConnectScan::Parity => {
                let rem = if n > 1 { n & !1 } else { n };
                let even = (start.offset % rem) & !1;
                let passes = if rem > 1 { 2 } else { 1 };
                let runs = (0..passes).flat_map(|p| runs_by_two(low, high, even + p, rem));
                Order::Runs(runs.collect())
            }
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
        match owner.who() {
            Who::Sock(i) => {
                let s = &self.socks[i];
                let local = crate::Endpoint::new(s.rcv_saddr, s.num);
                match s.state {
                    State::Close | State::Listen => format!("{local} {}", s.state),
                    _ => format!("{local} {} {}", s.state, s.remote()),
                }
            }
            Who::Tw(t) => {
                let w = &self.tws[t];
                let (l, r) = (
                    crate::Endpoint::new(w.local, w.lport),
                    crate::Endpoint::new(w.remote, w.rport),
                );
                format!("{l} {} {r}", self.tw_state(t))
            }
        }
    }
}
