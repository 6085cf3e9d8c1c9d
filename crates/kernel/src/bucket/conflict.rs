//! The question that bind() and listen() ask about every other owner of a port
//! (`inet_csk_bind_conflict`): do the two addresses overlap, and if so, do the options share?

use crate::Family;
use crate::addr::Ip;
use crate::bucket::{Bucket, Fastuid, Owner, OwnerKind, frp};
use crate::chooser::Chooser;
use crate::conn::socket::{Sock, State};
use crate::machine::Machine;
use crate::profile::TrackedBehaviours;
use crate::profile::behaviour::{Bhash2, PairRule, ReuseportMatch, Touch};
use crate::tables::Tables;

/// An owner as the conflict test sees it.
#[derive(Clone, Copy)]
struct Other {
    addr: Ip,
    /// The address that IPv4 code sees.
    shadow: u32,
    family: Family,
    v6only: bool,
    dev: u16,
    reuse: bool,
    reuseport: bool,
    uid: u32,
    state: State,
}

/// The strictness of the test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// The process asked for this port, or listens on the port it has.
    Explicit,
    /// The kernel looks for a port.
    Automatic,
    /// The kernel looks for a port again, because of `ip_autobind_reuse`.
    Autobind,
}

/// An address as it takes part in an overlap test.
#[derive(Clone, Copy)]
struct Side {
    addr: Ip,
    inet6: bool,
    v6only: bool,
    /// The address that IPv4 code sees.
    shadow: u32,
}

/// Returns `true` if two addresses overlap (`inet_rcv_saddr_equal`). A wildcard of `a` or `b`
/// matches everything if the corresponding flag is set.
fn overlap(a: Side, b: Side, a_wild: bool, b_wild: bool) -> bool {
    if !a.inet6 {
        return overlap4(a, b, a_wild, b_wild);
    }
    let b_addr = if b.inet6 { Some(b.addr) } else { None };
    let b_mapped = b_addr.is_none_or(Ip::is_v4);
    if a.addr.is_v4() && b_mapped {
        return overlap4(a, b, a_wild, b_wild);
    }
    let b_any = b_addr == Some(Ip::ANY6);
    if a.addr == Ip::ANY6 && b_any {
        return true;
    }
    if b_any && b_wild && !(b.v6only && a.addr.is_v4()) {
        return true;
    }
    if a.addr == Ip::ANY6 && a_wild && !(a.v6only && b_mapped) {
        return true;
    }
    b_addr == Some(a.addr)
}

fn overlap4(a: Side, b: Side, a_wild: bool, b_wild: bool) -> bool {
    if b.v6only {
        return false;
    }
    let (x, y) = (a.shadow, b.shadow);
    x == y || (a_wild && x == 0) || (b_wild && y == 0)
}

impl Sock {
    fn side(&self) -> Side {
        Side {
            addr: self.rcv_saddr,
            inet6: self.family == Family::Inet6,
            v6only: self.v6only,
            shadow: self.shadow4(),
        }
    }
}

impl Other {
    fn side(&self) -> Side {
        Side {
            addr: self.addr,
            inet6: self.family == Family::Inet6,
            v6only: self.v6only,
            shadow: self.shadow,
        }
    }
}

/// Returns `true` if the addresses of two sockets overlap, where a wildcard overlaps all addresses
/// of its family (`inet_rcv_saddr_equal`).
pub(crate) fn addresses_overlap(a: &Sock, b: &Sock) -> bool {
    overlap(a.side(), b.side(), true, true)
}

/// An owner of a bucket as the conflict test sees it.
fn other(t: &Tables<'_>, owner: Owner) -> Other {
    match owner.kind() {
        OwnerKind::Sock(i) => {
            let s = &t.socks[i];
            Other {
                addr: s.rcv_saddr,
                shadow: s.shadow4(),
                family: s.family,
                v6only: s.v6only,
                dev: s.dev,
                reuse: s.reuse != 0,
                reuseport: s.reuseport,
                uid: t.uid_of(s),
                state: s.state,
            }
        }
        OwnerKind::Tw(i) => {
            let w = &t.tws[i];
            Other {
                addr: w.local,
                shadow: w.local.shadow4(),
                family: w.family,
                v6only: w.v6only,
                dev: w.dev,
                reuse: w.reuse,
                // Undefined memory has been read before a socket with SO_REUSEPORT asks.
                reuseport: w.reuseport.unwrap_or(false),
                uid: 0,
                state: State::TimeWait,
            }
        }
    }
}

/// bind() and listen(): the first owner of the bucket that the socket conflicts with
/// (`inet_csk_bind_conflict`, all kernels; also `inet6_csk_bind_conflict` up to 4.10, and
/// `inet_bhash2_conflict` and `inet_bhash2_addr_any_conflict` from 6.1 on).
///
/// Two sockets conflict if they are not bound to different devices, their addresses overlap
/// ([`meets`]), and their options do not let them share ([`options_conflict`]).
pub(crate) fn conflict(t: &Tables<'_>, sk: u32, bucket: &Bucket, mode: Mode) -> Option<Owner> {
    let n = &t.socks[sk];
    bucket.owners.iter().copied().find(|&owner| {
        if owner == Owner::sock(sk) {
            return false;
        }
        let o = other(t, owner);
        if n.dev != 0 && o.dev != 0 && n.dev != o.dev {
            return false;
        }
        meets(t.rules, n, &o, bucket) && options_conflict(t, n, &o, mode)
    })
}

/// The question that the options of two overlapping sockets decide: do they forbid sharing?
///
/// * Up to 3.4 there is one mode: `SO_REUSEADDR` on both shares unless the owner listens.
/// * From 3.5 on ephemeral port selection is strict: it never shares with an overlapping owner that
///   does not listen, although both have `SO_REUSEADDR`. From 3.9 on `SO_REUSEPORT` on both shares
///   as well, for sockets of one user.
/// * From 4.10 on `SO_REUSEPORT` helps explicit ports only.
/// * From 5.7 on the two options are two questions: where both sockets have `SO_REUSEADDR`, that
///   alone decides.
fn options_conflict(t: &Tables<'_>, n: &Sock, o: &Other, mode: Mode) -> bool {
    // Without an option that both have, no kernel lets them share.
    if !(n.reuse != 0 && o.reuse || n.reuseport && o.reuseport) {
        return true;
    }
    let relax = mode != Mode::Automatic;
    let rpok = match t.rules.pair_rule() {
        PairRule::Single | PairRule::StrictRelaxed => true,
        PairRule::ReuseportExplicitOnly | PairRule::Split => mode == Mode::Explicit,
    };
    let member = n.group && t.rules.reuseport_group_term();
    let same_uid = || o.state == State::TimeWait || o.uid == t.uid_of(n);
    let both_reuseport = n.reuseport && o.reuseport && t.rules.reuseport() && !member && same_uid();
    let listening =
        o.state == State::Listen || (t.rules.close_conflicts() && o.state == State::Close);
    let both_reuse = n.reuse != 0 && o.reuse && !listening;
    match t.rules.pair_rule() {
        PairRule::Single => !both_reuse && !both_reuseport,
        PairRule::StrictRelaxed | PairRule::ReuseportExplicitOnly => {
            let shares = both_reuse || (rpok && both_reuseport);
            // The strict clause looks at LISTEN only and wins even where SO_REUSEPORT shares.
            let strict = !relax
                && (n.family == Family::Inet || t.rules.pair_rule_v6_strict())
                && n.reuse != 0
                && o.reuse
                && o.state != State::Listen;
            !shares || strict
        }
        PairRule::Split => {
            if both_reuse {
                !relax || (!rpok && both_reuseport)
            } else {
                !(rpok && both_reuseport)
            }
        }
    }
}

/// Returns `true` if the binder is compared with this owner at all, and their addresses overlap.
fn meets(rules: &TrackedBehaviours, n: &Sock, o: &Other, bucket: &Bucket) -> bool {
    if n.rcv_saddr.is_any() {
        return overlap(n.side(), o.side(), true, true);
    }
    let inet = n.family == Family::Inet;
    // All kernels compare IPv4 sockets in the same way, except TIME-WAIT sockets in 6.1.
    if inet && o.family == Family::Inet && o.state != State::TimeWait {
        return o.addr == Ip::ANY4 || o.addr == n.rcv_saddr;
    }
    let mapped = n.is_mapped();
    let full_scan = match rules.bhash2() {
        Bhash2::None => true,
        // The address table takes over only for specific addresses, and before 6.8 not for
        // v4-mapped ones.
        Bhash2::SameFamilyNoTw
        | Bhash2::SameFamily
        | Bhash2::InetSeesAny6
        | Bhash2::InetSeesMapped => mapped,
        Bhash2::Unified | Bhash2::UnifiedV6Only | Bhash2::CreatorFamily => false,
    };
    if full_scan {
        return overlap(n.side(), o.side(), true, true);
    }
    if rules.bhash2() == Bhash2::SameFamilyNoTw && o.state == State::TimeWait {
        return false;
    }
    let same_family = n.family == o.family;
    let any6 = o.addr == Ip::ANY6;
    let any4 = o.addr == Ip::ANY4;
    // A native address never overlaps with ::ffff:0.0.0.0, whose entry is skipped.
    let own_any = same_family && (any6 || (any4 && inet));
    // The wildcard entries of the port that are compared, the binders that skip ipv6only owners
    // in them, and the owners of the very address.
    let (wildcard, skip_v6only, exact) = match rules.bhash2() {
        Bhash2::None | Bhash2::SameFamilyNoTw | Bhash2::SameFamily => (own_any, inet, same_family),
        Bhash2::InetSeesAny6 => (own_any || (inet && any6), inet, same_family),
        Bhash2::InetSeesMapped => (any6 || (any4 && inet), inet, true),
        Bhash2::Unified => (any6 || (any4 && (inet || mapped)), inet, true),
        Bhash2::UnifiedV6Only => (any6 || (any4 && (inet || mapped)), inet || mapped, true),
        Bhash2::CreatorFamily => {
            let made_by_inet6 = bucket.by_addr.iter().any(|a| a.addr == o.addr && a.inet6);
            (
                any6 || (any4 && (inet || (mapped && !made_by_inet6))),
                inet || mapped,
                true,
            )
        }
    };
    if wildcard {
        return !(skip_v6only && o.v6only);
    }
    exact && n.rcv_saddr == o.addr
}

/// bind() and listen(): may a `SO_REUSEPORT` socket join the bucket without a look at its owners?
/// (`sk_reuseport_match`, and the inlined test before 4.11)
pub(crate) fn reuseport_match<C: Chooser>(
    rules: &TrackedBehaviours,
    chooser: &mut C,
    n: &Sock,
    bucket: &Bucket,
) -> bool {
    if !n.reuseport || bucket.fastreuseport <= 0 || !rules.reuseport() {
        return false;
    }
    if n.group && rules.reuseport_group_term() {
        return false;
    }
    if !uid_matches(rules, chooser, n, bucket) {
        return false;
    }
    let covers = |b_wild: bool| {
        let Some(snap) = &bucket.snapshot else {
            return true;
        };
        // While the emptiness test was inverted the snapshot's family was not written either.
        let inet6 = snap.inet6 && rules.touch() != Touch::Inverted;
        overlap(
            Side {
                addr: snap.addr,
                inet6,
                v6only: snap.v6only,
                shadow: snap.addr.shadow4(),
            },
            n.side(),
            true,
            b_wild,
        )
    };
    match rules.reuseport_match() {
        ReuseportMatch::Uid => true,
        _ if bucket.fastreuseport == frp::ANY => true,
        ReuseportMatch::SnapshotEitherWild => covers(true),
        ReuseportMatch::SnapshotCovers => covers(false),
    }
}

/// Compares the bucket's uid with the socket's; undefined memory may match by accident.
pub(crate) fn uid_matches<C: Chooser>(
    rules: &TrackedBehaviours,
    chooser: &mut C,
    n: &Sock,
    bucket: &Bucket,
) -> bool {
    rules.fastuid_zeroed();
    match bucket.fastuid {
        Fastuid::Of(uid) => uid == n.uid_seen(rules),
        Fastuid::Undefined => chooser.garbage_uid_matches(),
    }
}

impl<C: Chooser> Machine<C> {
    /// Reads what undefined memory says, before a `SO_REUSEPORT` socket looks at the owners.
    ///
    /// Kernels that do not copy `SO_REUSEPORT` into a TIME-WAIT socket leave the bit as they found
    /// it.
    pub(crate) fn read_undefined(&mut self, sk: u32, port: u16) {
        let sock = &self.socks[sk];
        if !sock.reuseport {
            return;
        }
        let Some(bucket) = self.nss[usize::from(sock.ns)].bucket(port) else {
            return;
        };
        for owner in &bucket.owners {
            let OwnerKind::Tw(t) = owner.kind() else {
                continue;
            };
            self.b.tw_copies_reuseport();
            if self.tw.socks[t].reuseport.is_none() {
                self.tw.socks[t].reuseport = Some(self.chooser.garbage_bit());
            }
        }
    }
}
