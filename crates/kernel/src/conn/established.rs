//! Changes of the established table, and the check that a 4-tuple is free
//! (`__inet_check_established`).

use crate::bucket::{Owner, OwnerKind};
use crate::chooser::Chooser;
use crate::conn::socket::{PortFrom, Sock, Tw};
use crate::conn::tuples::{Pair, Tuple, Tuples};
use crate::machine::Machine;
use crate::namespace::tuple_of;
use crate::port::destinations::Destination;
use crate::slab::Slab;
use crate::tables::Tables;
use crate::time_wait::reuse::may_replace;

/// The result of [`check_established`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Free,
    /// Free once this TIME-WAIT socket is replaced.
    Recycle(u32),
    InUse,
    TimeWait,
}

impl<C: Chooser> Machine<C> {
    pub(crate) fn hash_insert(&mut self, ns: u16, owner: Owner) {
        let tuple = tuple_of(&self.socks, &self.tw.socks, owner);
        self.ns_mut(ns).established.insert(&tuple, owner);
        let mut plain = false;
        if let OwnerKind::Sock(i) = owner.kind() {
            let sock = &mut self.socks[i];
            sock.hashed = true;
            plain = sock.dev == 0;
        }
        // A socket without a device never gives way, whatever else has the 4-tuple.
        self.note_destination(ns, &tuple, plain.then_some((true, false)));
    }

    pub(crate) fn hash_remove(&mut self, ns: u16, owner: Owner) {
        let tuple = tuple_of(&self.socks, &self.tw.socks, owner);
        self.ns_mut(ns).established.remove(&tuple, owner);
        if let OwnerKind::Sock(i) = owner.kind() {
            self.socks[i].hashed = false;
        }
        self.note_destination(ns, &tuple, None);
    }

    /// Keeps the index of ports in use towards a destination, if there is one, up to date.
    /// `entries`: what the 4-tuple has now, if the caller knows.
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
            let table = &self.ns(ns).established;
            let in_use = |pair| in_use(table, &self.socks, pair, tuple.lport, tuple.rport);
            pair.map_or((false, false), in_use)
        });
        self.ns_mut(ns)
            .destinations
            .put(place, tuple.lport, taken, soft);
    }
}

/// The device that an owner is bound to, 0 if to none.
pub(crate) fn bound_device(socks: &Slab<Sock>, tws: &Slab<Tw>, owner: Owner) -> u16 {
    match owner.kind() {
        OwnerKind::Sock(i) => socks[i].dev,
        OwnerKind::Tw(i) => tws[i].dev,
    }
}

/// The entries of a 4-tuple: whether there are any, and whether all of them may give way to another
/// socket.
pub(crate) fn in_use(
    table: &Tuples,
    socks: &Slab<Sock>,
    pair: Pair,
    lport: u16,
    rport: u16,
) -> (bool, bool) {
    let (mut taken, mut hard) = (false, false);
    table.find_of(pair, lport, rport, |o| {
        taken = true;
        hard = matches!(o.kind(), OwnerKind::Sock(i) if socks[i].dev == 0);
        hard
    });
    (taken, taken && !hard)
}

/// connect(): is the 4-tuple of this socket, this port and its destination free?
/// (`__inet_check_established`, all kernels)
///
/// 1. Without an entry in the established table it is free.
/// 2. A live socket keeps it.
/// 3. A TIME-WAIT socket may be replaced if both ends used timestamps; a port from ephemeral port
///    selection also needs `tcp_tw_reuse` and some age ([`may_replace`]).
///
/// A device on the newcomer does not make it different from an entry without one, but a device on
/// the entry does.
pub(crate) fn check_established<C: Chooser>(
    t: &Tables<'_>,
    chooser: &mut C,
    sk: u32,
    port: u16,
    from: PortFrom,
) -> Check {
    let s = &t.socks[sk];
    let tuple = Tuple {
        local: s.rcv_saddr,
        remote: s.daddr,
        lport: port,
        rport: s.dport,
    };
    let found = t.ns.established.find(&tuple, |o| {
        let bound = bound_device(t.socks, t.tws, o);
        o != Owner::sock(sk) && (bound == 0 || bound == s.dev)
    });
    match found.map(Owner::kind) {
        None => Check::Free,
        Some(OwnerKind::Sock(_)) => Check::InUse,
        Some(OwnerKind::Tw(tw)) if may_replace(t, chooser, tw, from) => Check::Recycle(tw),
        Some(OwnerKind::Tw(_)) => Check::TimeWait,
    }
}
