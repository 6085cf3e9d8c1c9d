//! Taking a UDP port, and ephemeral port selection (`udp_lib_get_port`).

use super::conflict::{Asked, misses_addresses, udp_conflict};
use crate::Family;
use crate::bucket::held::HeldPorts;
use crate::chooser::Chooser;
use crate::explain::reason::PortVerdict;
use crate::machine::Machine;
use crate::port::select_bind::overlapping_owners;
use crate::port::set::{Passed, PortSet, runs_by_one};
use crate::port::{Verdict, port_range};
use crate::tables::Tables;

/// bind() to port 0, and connect() or sendto() without bind(): may selection take `port`?
/// (`udp_lib_get_port`, all kernels)
///
/// 1. Ports of `ip_local_reserved_ports` are skipped (from 2.6.35 on).
/// 2. No socket on the port may conflict ([`udp_conflict`]). Selection shares as readily as a bind
///    to a number does: with `SO_REUSEADDR` or `SO_REUSEPORT` it takes a port that is in use
///    although others are free.
pub(crate) fn udp_may_select(t: &Tables<'_>, sk: u32, port: u16) -> Verdict {
    if t.ns.values.reserved.contains(port) {
        return Verdict::Skip(PortVerdict::Reserved);
    }
    match udp_conflict(t, sk, port, Asked::Selection) {
        Some(_) => Verdict::Skip(PortVerdict::Conflict),
        None => Verdict::Use,
    }
}

/// The first port that [`udp_may_select`] allows, upwards from a start, and round at the end.
///
/// A kernel goes hash chain by hash chain. With a table of 65,536 chains that is port by port; with
/// fewer, the ports of the chain in which it starts come first. Any port can come first on all.
pub(crate) fn udp_first_usable(
    t: &Tables<'_>,
    sk: u32,
    (low, high): (u16, u16),
    start: u32,
) -> Option<u16> {
    let [a, b, c] = certain_conflicts(t, sk);
    let passed = Passed {
        sets: [&t.ns.values.reserved, a, b, c],
        except: None,
    };
    for run in runs_by_one(low, high, start) {
        let mut from = 0;
        while let Some((port, place)) = run.next(from, &passed) {
            if udp_may_select(t, sk, port) == Verdict::Use {
                return Some(port);
            }
            from = place + 1;
        }
    }
    None
}

/// Ports that selection skips for certain: those of overlapping addresses, if the options of the
/// socket share with nothing.
fn certain_conflicts<'a>(t: &Tables<'a>, sk: u32) -> [&'a PortSet; 3] {
    let s = &t.socks[sk];
    if s.reuse != 0 || s.reuseport && t.rules.reuseport() || s.dev != 0 {
        return [HeldPorts::nothing(); 3];
    }
    overlapping_owners(&t.ns.udp.held, s)
}

impl<C: Chooser> Machine<C> {
    /// Takes the wanted port, or selects one if it is 0; `false` is `EADDRINUSE`.
    pub(crate) fn udp_get_port(&mut self, sk: u32, want: u16) -> bool {
        let found = match want {
            0 => self.udp_select(sk),
            port => {
                let (t, chooser) = self.tables(self.socks[sk].ns);
                let owners = t.ns.udp.owners(port).len();
                let misses = misses_addresses(&t, &t.socks[sk], owners);
                let asked = match misses && chooser.hashes_collide() {
                    true => Asked::InOneChain,
                    false => Asked::ByNumber,
                };
                let conflict = udp_conflict(&t, sk, port, asked);
                conflict.is_none().then_some(port)
            }
        };
        match found {
            Some(port) => self.udp_hash(sk, port),
            None if self.explaining => self.explain_udp_bind(sk, want),
            None => {}
        }
        found.is_some()
    }

    /// Selects a port for the socket.
    pub(crate) fn udp_select(&mut self, sk: u32) -> Option<u16> {
        let sock = &self.socks[sk];
        let ns = sock.ns;
        let (low, high) = port_range(self.ns(ns), sock, &self.b);
        let start = self.chooser.bind_start(u32::from(high - low) + 1, false);
        let (t, _) = self.tables(ns);
        udp_first_usable(&t, sk, (low, high), start)
    }

    /// Enters a socket into the table, and into a reuseport group (`udp_lib_get_port`,
    /// `udp_reuseport_add_sock`).
    pub(crate) fn udp_hash(&mut self, sk: u32, port: u16) {
        let sock = &mut self.socks[sk];
        sock.num = port;
        // Only an AF_INET6 socket with SO_REUSEPORT goes to the end of its chain, and only on
        // kernels that have reuseport groups (`sk_add_node_rcu`).
        let at_end =
            sock.reuseport && sock.family == Family::Inet6 && self.b.udp_reuseport_groups();
        sock.group |= sock.reuseport && self.b.udp_reuseport_groups();
        let sock = &self.socks[sk];
        let n = &mut self.nss[usize::from(sock.ns)];
        n.udp.insert(port, sk, sock, at_end);
    }

    /// Gives the port back (`udp_lib_unhash`).
    pub(crate) fn udp_unhash(&mut self, sk: u32) {
        let (ns, port) = (self.socks[sk].ns, self.socks[sk].num);
        if port != 0 {
            let n = &mut self.nss[usize::from(ns)];
            n.udp.remove(port, sk, &self.socks);
        }
        let sock = &mut self.socks[sk];
        sock.num = 0;
        sock.group = false;
    }
}
