//! Reasons in full: made after a refusal, from the unchanged state, and only if somebody asked.

use crate::Errno;
use crate::addr::Family;
use crate::autoport::walk_by_two;
use crate::bucket::{Owner, Who};
use crate::chooser::Chooser;
use crate::conflict::Mode;
use crate::connect::Start;
use crate::established::Check;
use crate::machine::Machine;
use crate::profile::Behaviours;
use crate::profile::behaviour::{BindScan, ConnectScan};
use crate::reason::{PortRefusal, PortVerdict, Refusal, Rule};
use crate::socket::State;
use std::collections::{BTreeMap, BTreeSet};

/// The kernel functions that a call goes through, outermost first, up to the place where its port
/// is decided.
#[must_use]
pub fn call_path(b: &Behaviours, op: &str, family: Family, bound: bool) -> Vec<&'static str> {
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
            if b.bind_scan == BindScan::Parity && !bound {
                path.push("inet_csk_find_open_port");
            }
            let old_v6 = !v4 && b.bind_scan != BindScan::Parity;
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
        call_path(&self.b, op, self.socks[sk].family, bound)
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
        let ns = self.socks[sk].ns;
        let shares = self.b.bind_shares || self.b.bind_scan != BindScan::Sequential;
        let verdicts = (low..=high).map(|port| {
            let n = self.ns(ns);
            let verdict = match n.bucket(port) {
                _ if n.values.any_reserved && n.values.reserved.contains(port) => {
                    PortVerdict::Reserved
                }
                Some(_) if !shares => PortVerdict::HasBucket,
                Some(b) if self.conflict(sk, b, Mode::Automatic).is_some() => PortVerdict::Conflict,
                // Free all the same: the walk of an odd-sized range did not come here.
                _ => PortVerdict::NotVisited,
            };
            (port, verdict)
        });
        let verdicts: Vec<_> = verdicts.collect();
        let refusal = self.summary(
            Errno::EADDRINUSE,
            rule,
            self.bind_path(sk, false),
            ns,
            &verdicts,
        );
        self.refusal = Some(refusal);
    }

    /// Why a socket with a port of its own could not connect.
    pub(crate) fn explain_bound_connect(&mut self, sk: u32, found: Check) -> Box<Refusal> {
        let s = &self.socks[sk];
        let (rule, verdict) = match found {
            Check::TimeWait => (Rule::ConnectBoundTimeWait, PortVerdict::TupleTimeWait),
            _ => (Rule::ConnectBoundTuple, PortVerdict::TupleInUse),
        };
        let path = call_path(&self.b, "connect", s.family, true);
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
        let order = self.visiting_order(low, high, start, sk);
        let ns = self.socks[sk].ns;
        let mut verdicts = Vec::with_capacity(order.len());
        for &port in &order {
            let n = self.ns(ns);
            let verdict = if n.values.any_reserved && n.values.reserved.contains(port) {
                PortVerdict::Reserved
            } else if n.blocked.contains(port) {
                PortVerdict::Fastreuse
            } else {
                match self.check_established(sk, port, true) {
                    Check::TimeWait => PortVerdict::TupleTimeWait,
                    _ => PortVerdict::TupleInUse,
                }
            };
            verdicts.push((port, verdict));
        }
        if order.len() < usize::from(high - low) + 1 {
            let seen: BTreeSet<u16> = order.iter().copied().collect();
            verdicts.extend(
                (low..=high)
                    .filter(|p| !seen.contains(p))
                    .map(|p| (p, PortVerdict::NotVisited)),
            );
        }
        let path = call_path(&self.b, "connect", self.socks[sk].family, false);
        let mut refusal = self.summary(
            Errno::EADDRNOTAVAIL,
            Rule::ConnectNoPort,
            path,
            ns,
            &verdicts,
        );
        let kinds: Vec<PortVerdict> = refusal
            .counts
            .keys()
            .copied()
            .filter(|v| *v != PortVerdict::NotVisited)
            .collect();
        refusal.rule = match kinds[..] {
            [PortVerdict::Fastreuse] => Rule::ConnectSkipFastreuse,
            [PortVerdict::TupleInUse] => Rule::ConnectTupleTaken,
            [PortVerdict::TupleTimeWait] => Rule::ConnectTupleTimeWait,
            [PortVerdict::Reserved] => Rule::ConnectReserved,
            _ => Rule::ConnectNoPort,
        };
        refusal
    }

    fn visiting_order(&self, low: u16, high: u16, start: Start, sk: u32) -> Vec<u16> {
        let n = u32::from(high - low) + 1;
        let from = |first: u32| (0..n).map(move |k| low + (first.wrapping_add(k) % n) as u16);
        let by_one = self.b.local_port_range_step_one && self.socks[sk].range() != (0, 0);
        match self.b.connect_scan {
            ConnectScan::FromNext => from(start.offset.wrapping_add(1)).collect(),
            ConnectScan::EvenStart => from(start.offset & !1).collect(),
            ConnectScan::Parity if by_one => from(start.offset % n).collect(),
            ConnectScan::Parity => {
                let rem = if n > 1 { n & !1 } else { n };
                let even = (start.offset % rem) & !1;
                let passes = if rem > 1 { 2 } else { 1 };
                (0..passes)
                    .flat_map(|p| walk_by_two(low, high, even + p, rem))
                    .collect()
            }
        }
    }

    fn summary(
        &self,
        errno: Errno,
        rule: Rule,
        path: Vec<&'static str>,
        ns: u16,
        verdicts: &[(u16, PortVerdict)],
    ) -> Box<Refusal> {
        let mut counts = BTreeMap::new();
        for (_, v) in verdicts {
            *counts.entry(*v).or_insert(0) += 1;
        }
        let skipped = counts.get(&PortVerdict::NotVisited).copied().unwrap_or(0);
        let ports = verdicts
            .iter()
            .take(Refusal::MAX_PORTS)
            .map(|&(p, v)| self.port_refusal(ns, p, v))
            .collect();
        Box::new(Refusal {
            errno,
            rule,
            path,
            tried: verdicts.len() as u32 - skipped,
            counts,
            ports,
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
