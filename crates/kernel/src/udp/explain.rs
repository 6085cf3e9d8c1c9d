//! Reasons of refused UDP ports.

use super::select::udp_may_select;
use crate::Errno;
use crate::Family;
use crate::bucket::Owner;
use crate::chooser::Chooser;
use crate::explain::reason::{PortRefusal, PortVerdict, Refusal, Rule};
use crate::machine::Machine;
use crate::port::{Verdict, port_range};
use std::collections::BTreeMap;

/// The kernel functions that a call on a datagram socket goes through, outermost first, up to the
/// place where its port is decided, or for one that has a port its source address.
#[must_use]
pub fn datagram_call_path(op: &str, family: Family, bound: bool) -> Vec<&'static str> {
    let v4 = family == Family::Inet;
    match op {
        "connect" if bound => vec![
            "sys_connect",
            "inet_dgram_connect",
            if v4 {
                "__ip4_datagram_connect"
            } else {
                "__ip6_datagram_connect"
            },
        ],
        "sendto" | "send" if bound => vec![
            "sys_sendto",
            "inet_sendmsg",
            if v4 { "udp_sendmsg" } else { "udpv6_sendmsg" },
        ],
        _ => path(op, family),
    }
}

/// The kernel functions between a call and the comparison of owners.
fn path(op: &str, family: Family) -> Vec<&'static str> {
    let v4 = family == Family::Inet;
    let mut path = match op {
        "bind" => vec!["sys_bind", if v4 { "inet_bind" } else { "inet6_bind" }],
        "connect" => vec!["sys_connect", "inet_dgram_connect", "inet_autobind"],
        _ => vec!["sys_sendto", "inet_sendmsg", "inet_autobind"],
    };
    path.push(if v4 {
        "udp_v4_get_port"
    } else {
        "udp_v6_get_port"
    });
    path.extend(["udp_lib_get_port", "udp_lib_lport_inuse"]);
    path
}

impl<C: Chooser> Machine<C> {
    /// Explains why bind() could not take the port it named, or found none.
    pub(super) fn explain_udp_bind(&mut self, sk: u32, want: u16) {
        let path = path("bind", self.socks[sk].family);
        if want == 0 {
            self.explain_udp_selection(sk, Errno::EADDRINUSE, Rule::BindNoFreePort, path);
            return;
        }
        let mut refusal = Refusal::plain(Errno::EADDRINUSE, Rule::BindConflict, path);
        refusal.tried = 1;
        refusal.counts.insert(PortVerdict::Conflict, 1);
        refusal
            .ports
            .push(self.udp_refusal(sk, want, PortVerdict::Conflict));
        self.refusal = Some(Box::new(refusal));
    }

    /// Explains why connect() or sendto() found no port for a socket without one.
    pub(super) fn explain_udp_autobind(&mut self, sk: u32, op: &str) {
        let path = path(op, self.socks[sk].family);
        self.explain_udp_selection(sk, Errno::EAGAIN, Rule::AutobindNoFreePort, path);
    }

    fn explain_udp_selection(
        &mut self,
        sk: u32,
        errno: Errno,
        rule: Rule,
        path: Vec<&'static str>,
    ) {
        let (t, _) = self.tables(self.socks[sk].ns);
        let (low, high) = port_range(t.ns, &t.socks[sk], t.rules);
        let mut counts = BTreeMap::new();
        let mut first = Vec::new();
        for port in low..=high {
            let verdict = match udp_may_select(&t, sk, port) {
                Verdict::Skip(verdict) => verdict,
                Verdict::Use | Verdict::Replace(_) => PortVerdict::NotVisited,
            };
            *counts.entry(verdict).or_insert(0) += 1;
            if first.len() < Refusal::MAX_PORTS {
                first.push((port, verdict));
            }
        }
        let ports = first.iter().map(|&(p, v)| self.udp_refusal(sk, p, v));
        self.refusal = Some(Box::new(Refusal {
            errno,
            rule,
            path,
            tried: counts.values().sum(),
            ports: ports.collect(),
            counts,
        }));
    }

    fn udp_refusal(&self, sk: u32, port: u16, verdict: PortVerdict) -> PortRefusal {
        let owners = self.ns(self.socks[sk].ns).udp.owners(port).iter();
        PortRefusal {
            port,
            verdict,
            bucket: None,
            owners: owners
                .take(4)
                .map(|&i| self.describe(Owner::sock(i)))
                .collect(),
        }
    }
}
