//! The question that bind() and listen() ask about every other owner of a port
//! (`inet_csk_bind_conflict`): do the two addresses overlap, and if so, do the options share?

use crate::Family;
use crate::addr::Ip;
use crate::bucket::{Bucket, Fastuid, Owner, Who, frp};
use crate::chooser::Chooser;
use crate::machine::Machine;
use crate::profile::behaviour::{Bhash2, PairRule, ReuseportMatch, Touch};
use crate::socket::{Sock, State};

/// An owner as the conflict test sees it.
#[derive(Clone, Copy)]
struct Other {
    addr: Ip,
    family: Family,
    v6only: bool,
    dev: u16,
    reuse: bool,
    reuseport: bool,
    uid: u32,
    state: State,
}

/// How strict the test is.
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
}

/// Whether two addresses overlap (`inet_rcv_saddr_equal`). A wildcard of `a` or `b` matches
/// everything if the corresponding flag is set.
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
    let (x, y) = (a.addr.shadow4(), b.addr.shadow4());
    x == y || (a_wild && x == 0) || (b_wild && y == 0)
}

impl Sock {
    fn side(&self) -> Side {
        Side {
            addr: self.rcv_saddr,
            inet6: self.family == Family::Inet6,
            v6only: self.v6only,
        }
    }
}

impl Other {
    fn side(&self) -> Side {
        Side {
            addr: self.addr,
            inet6: self.family == Family::Inet6,
            v6only: self.v6only,
        }
    }
}

impl<C: Chooser> Machine<C> {
    /// `reuseport`: whether it matters if the owner has `SO_REUSEPORT`.
    fn other(&self, owner: Owner, reuseport: bool) -> Other {
        match owner.who() {
            Who::Sock(i) => {
                let s = &self.socks[i];
                Other {
                    addr: s.rcv_saddr,
                    family: s.family,
                    v6only: s.v6only,
                    dev: s.dev,
                    reuse: s.reuse != 0,
                    reuseport: s.reuseport,
                    uid: self.uid_of(s),
                    state: s.state,
                }
            }
            Who::Tw(i) => {
                let t = &self.tws[i];
                Other {
                    addr: t.local,
                    family: t.family,
                    v6only: t.v6only,
                    dev: t.dev,
                    reuse: t.reuse,
                    reuseport: reuseport
                        && t.reuseport
                            .unwrap_or_else(|| t.socket_reuseport && self.b.tw_copies_reuseport()),
                    uid: 0,
                    state: State::TimeWait,
                }
            }
        }
    }

    /// Settles what undefined memory says, before a `SO_REUSEPORT` socket looks at the owners.
    ///
    /// Kernels that do not copy `SO_REUSEPORT` into a TIME-WAIT leave the bit as they found it.
    pub(crate) fn settle_garbage(&mut self, sk: u32, bucket: &Bucket) {
        if !self.socks[sk].reuseport {
            return;
        }
        for owner in &bucket.owners {
            if let Who::Tw(t) = owner.who()
                && self.tws[t].reuseport.is_none()
            {
                if self.b.tw_copies_reuseport() || !self.b.reuseport() {
                    return;
                }
                self.tws[t].reuseport = Some(self.chooser.garbage_bit());
            }
        }
    }

    /// The first owner of the bucket that the socket conflicts with.
    ///
    /// Stands for `inet_csk_bind_conflict` and `inet6_csk_bind_conflict`; from 6.1 on also for
    /// `inet_bhash2_conflict` and `inet_bhash2_addr_any_conflict`.
    pub(crate) fn conflict(&self, sk: u32, bucket: &Bucket, mode: Mode) -> Option<Owner> {
        let n = &self.socks[sk];
        bucket.owners.iter().copied().find(|&owner| {
            if owner == Owner::sock(sk) {
                return false;
            }
            let o = self.other(owner, n.reuseport);
            if n.dev != 0 && o.dev != 0 && n.dev != o.dev {
                return false;
            }
            self.meets(n, &o, bucket) && self.pair_conflicts(n, &o, mode)
        })
    }

    /// Whether the options of the two forbid sharing, given that they overlap.
    fn pair_conflicts(&self, n: &Sock, o: &Other, mode: Mode) -> bool {
        // Without an option that both have, no kernel lets them share.
        if !(n.reuse != 0 && o.reuse || n.reuseport && o.reuseport) {
            return true;
        }
        let relax = mode != Mode::Automatic;
        let rpok = match self.b.pair_rule() {
            PairRule::Single | PairRule::StrictRelaxed => true,
            PairRule::ReuseportExplicitOnly | PairRule::Split => mode == Mode::Explicit,
        };
        let member = n.group && self.b.reuseport_group_term();
        let same_uid = || o.state == State::TimeWait || o.uid == self.uid_of(n);
        let both_reuseport =
            n.reuseport && o.reuseport && self.b.reuseport() && !member && same_uid();
        let listening =
            o.state == State::Listen || (self.b.close_conflicts() && o.state == State::Close);
        let both_reuse = n.reuse != 0 && o.reuse && !listening;
        match self.b.pair_rule() {
            PairRule::Single => !both_reuse && !both_reuseport,
            PairRule::StrictRelaxed | PairRule::ReuseportExplicitOnly => {
                let shares = both_reuse || (rpok && both_reuseport);
                // The strict clause looks at LISTEN only and wins even where SO_REUSEPORT shares.
                let strict = !relax
                    && (n.family == Family::Inet || self.b.pair_rule_v6_strict())
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

    /// Whether the binder is compared with this owner at all, and their addresses overlap.
    fn meets(&self, n: &Sock, o: &Other, bucket: &Bucket) -> bool {
        let inet = n.family == Family::Inet;
        let mapped = n.is_mapped();
        let full_scan = match self.b.bhash2() {
            Bhash2::None => true,
            // The address table takes over only for specific addresses, and before 6.8 not for
            // v4-mapped ones.
            Bhash2::SameFamilyNoTw
            | Bhash2::SameFamily
            | Bhash2::InetSeesAny6
            | Bhash2::InetSeesMapped => mapped,
            Bhash2::Unified | Bhash2::UnifiedV6Only | Bhash2::CreatorFamily => false,
        };
        if full_scan || n.rcv_saddr.is_any() {
            return overlap(n.side(), o.side(), true, true);
        }
        if self.b.bhash2() == Bhash2::SameFamilyNoTw && o.state == State::TimeWait {
            return false;
        }
        let same_family = n.family == o.family;
        let any6 = o.addr == Ip::ANY6;
        let any4 = o.addr == Ip::ANY4;
        // A native address never overlaps with ::ffff:0.0.0.0, whose entry is not looked at.
        let own_any = same_family && (any6 || (any4 && inet));
        // Which wildcard entries of the port are looked at, and whether ipv6only owners in them
        // are passed over.
        let (wildcard, skip_v6only, exact) = match self.b.bhash2() {
            Bhash2::None | Bhash2::SameFamilyNoTw | Bhash2::SameFamily => {
                (own_any, inet, same_family)
            }
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

    /// Whether a `SO_REUSEPORT` socket may join without looking at the owners
    /// (`sk_reuseport_match`, and the inlined test before 4.11).
    pub(crate) fn reuseport_match(&mut self, sk: u32, bucket: &Bucket) -> bool {
        let n = &self.socks[sk];
        if !n.reuseport || bucket.fastreuseport <= 0 || !self.b.reuseport() {
            return false;
        }
        if n.group && self.b.reuseport_group_term() {
            return false;
        }
        if !self.uid_matches(bucket, sk) {
            return false;
        }
        let n = &self.socks[sk];
        let covers = |b_wild: bool| {
            let Some(snap) = &bucket.snapshot else {
                return true;
            };
            // While the emptiness test was inverted the snapshot's family was not written either.
            let inet6 = snap.inet6 && self.b.touch() != Touch::Inverted;
            overlap(
                Side {
                    addr: snap.addr,
                    inet6,
                    v6only: snap.v6only,
                },
                n.side(),
                true,
                b_wild,
            )
        };
        match self.b.reuseport_match() {
            ReuseportMatch::Uid => true,
            _ if bucket.fastreuseport == frp::ANY => true,
            ReuseportMatch::SnapshotEitherWild => covers(true),
            ReuseportMatch::SnapshotCovers => covers(false),
        }
    }

    /// Compares the bucket's uid with the socket's; undefined memory may match by accident.
    pub(crate) fn uid_matches(&mut self, bucket: &Bucket, sk: u32) -> bool {
        let uid = match bucket.fastuid {
            Fastuid::Of(uid) => uid,
            Fastuid::OfNew if self.b.fastuid_zeroed() => 0,
            Fastuid::OfNew | Fastuid::Undefined => return self.chooser.garbage_uid_matches(),
        };
        uid == self.uid_of(&self.socks[sk])
    }
}
