//! The question that UDP asks about the other sockets of a port (`udp_lib_lport_inuse`).

use crate::bucket::conflict::addresses_overlap;
use crate::conn::socket::Sock;
use crate::tables::Tables;

/// The number of sockets on a port from which on a bind to it looks at those of its own address
/// and of the wildcard alone (`udp_lib_get_port`).
const MANY: usize = 10;

/// The origin of the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The process named it.
    ByNumber,
    /// The same, where the wildcard's chain has the sockets of single addresses as well.
    InOneChain,
    /// The kernel looks for one.
    Selection,
}

/// The answer about one other socket.
enum Judged {
    Apart,
    Shares,
    Conflicts,
}

/// bind(), and connect() or sendto() without it: the first socket on a port that the socket
/// conflicts with (`udp_lib_lport_inuse`, all kernels).
///
/// 1. Where both have `SO_REUSEADDR` at this moment, they share: whether they had it when the other
///    one was bound does not matter, nor what they are connected to.
/// 2. Sockets bound to different devices, or to addresses that do not overlap, are apart.
/// 3. From 3.9 on two `SO_REUSEPORT` sockets of one user share; from 4.5 on unless the socket is in
///    a reuseport group before it binds.
/// 4. Everything else conflicts.
///
/// From 4.11 on the first socket that shares by 3 ends a bind to a port by number: those behind it
/// in the hash chain are not compared.
pub(crate) fn udp_conflict(t: &Tables<'_>, sk: u32, port: u16, asked: Asked) -> Option<u32> {
    let sock = &t.socks[sk];
    let owners = t.ns.udp.owners(port);
    let by_address = asked == Asked::ByNumber && misses_addresses(t, sock, owners.len());
    for &owner in owners.iter().filter(|owner| **owner != sk) {
        let other = &t.socks[owner];
        if by_address && !other.rcv_saddr.is_any() {
            continue;
        }
        match judge(t, sock, other) {
            Judged::Apart => {}
            Judged::Conflicts => return Some(owner),
            Judged::Shares if asked != Asked::Selection && t.rules.udp_reuseport_decides() => {
                return None;
            }
            Judged::Shares => {}
        }
    }
    None
}

/// Returns `true` if a wildcard binder does not see the sockets that are bound to single addresses,
/// because there are many on the port (`udp_lib_lport_inuse2`).
pub(crate) fn misses_addresses(t: &Tables<'_>, sock: &Sock, owners: usize) -> bool {
    owners > MANY && sock.rcv_saddr.is_any() && t.rules.udp_wildcard_misses()
}

fn judge(t: &Tables<'_>, sock: &Sock, other: &Sock) -> Judged {
    let devices = sock.dev != 0 && other.dev != 0 && sock.dev != other.dev;
    if sock.reuse != 0 && other.reuse != 0 || devices || !addresses_overlap(sock, other) {
        return Judged::Apart;
    }
    let both = sock.reuseport && other.reuseport && t.rules.reuseport();
    let member = both && sock.group && t.rules.udp_reuseport_groups();
    match both && !member && t.uid_of(sock) == t.uid_of(other) {
        true => Judged::Shares,
        false => Judged::Conflicts,
    }
}
