//! Ephemeral port selection: the range, the rules for one port, and the searches.

pub(crate) mod destinations;
pub(crate) mod order;
pub(crate) mod select_bind;
pub(crate) mod select_connect;
pub(crate) mod set;
#[cfg(test)]
mod tests;

use crate::conn::socket::Sock;
use crate::explain::reason::PortVerdict;
use crate::namespace::Namespace;
use crate::profile::TrackedBehaviours;
use std::collections::BTreeMap;

/// The memory of earlier searches, for all namespaces of a machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports {
    /// Moves the start of connect() searches (up to 5.11).
    hint: u32,
    /// The same per cell of a table (5.12 and later), filled when first used.
    cells: BTreeMap<u32, u32>,
    /// Bound sockets of the whole machine; drifts on old kernels.
    pub(crate) bsockets: i32,
}

/// The answer of a rule about one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The port may be taken.
    Use,
    /// The port may be taken, and this TIME-WAIT socket is replaced.
    Replace(u32),
    /// The search goes on to the next port.
    Skip(PortVerdict),
}

/// The range that ephemeral ports of a socket come from (`inet_sk_get_local_port_range`): each end
/// of `IP_LOCAL_PORT_RANGE` counts only if it lies inside the namespace's range.
pub(crate) fn port_range(ns: &Namespace, sock: &Sock, rules: &TrackedBehaviours) -> (u16, u16) {
    let (mut low, mut high) = ns.values.range(rules);
    let (want_low, want_high) = sock.range();
    if (want_low, want_high) != (0, 0) && rules.local_port_range_option() {
        let inside = low..=high;
        if want_low != 0 && inside.contains(&want_low) {
            low = want_low;
        }
        if want_high != 0 && inside.contains(&want_high) {
            high = want_high;
        }
    }
    (low, high)
}
