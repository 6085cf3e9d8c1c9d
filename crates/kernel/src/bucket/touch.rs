//! The two values of a bind bucket, when a socket takes the port (`inet_csk_update_fastreuse`).

use crate::Family;
use crate::bucket::conflict::{reuseport_match, uid_matches};
use crate::bucket::{Bucket, Fastuid, Snapshot, frp};
use crate::chooser::Chooser;
use crate::conn::socket::Sock;
use crate::profile::TrackedBehaviours;
use crate::profile::behaviour::{ReuseportMatch, Touch};

/// Changes `fastreuse` and `fastreuseport` of a bucket for a socket that takes the port
/// (`inet_csk_update_fastreuse`; inlined before 4.11). `empty`: the bucket has no owner yet.
///
/// * The first owner sets `fastreuse` to 1 if it has `SO_REUSEADDR` and does not listen, else to 0,
///   and `fastreuseport` likewise.
/// * An owner without the option sets the value to 0. Nothing raises it again.
/// * 4.11 to 4.13 took every owner but the first for the first, and from 6.8 on no owner counts as
///   the first, so that `fastreuse` stays 0.
pub(crate) fn update_fastreuse<C: Chooser>(
    rules: &TrackedBehaviours,
    chooser: &mut C,
    sock: &Sock,
    bucket: &mut Bucket,
    empty: bool,
) {
    let reuses = sock.reuses();
    let reuseport = sock.reuseport && rules.reuseport();
    // A binder without either option writes 0 in all generations.
    if !reuses && !reuseport && (empty || bucket.fastreuseport == frp::NO) {
        (bucket.fastreuse, bucket.fastreuseport) = (0, frp::NO);
        return;
    }
    let uid = sock.uid_seen(rules);
    let first = match rules.touch() {
        Touch::Owners => return update_fastreuse_by_owners(rules, chooser, sock, bucket, empty),
        Touch::Every => empty,
        Touch::Inverted => !empty,
        Touch::NeverFirst => false,
    };
    if first {
        bucket.fastreuse = i8::from(reuses);
        bucket.fastreuseport = if reuseport { frp::ANY } else { frp::NO };
    } else {
        if !reuses {
            bucket.fastreuse = 0;
        }
        if !reuseport {
            bucket.fastreuseport = frp::NO;
        } else if !reuseport_match(rules, chooser, sock, bucket) {
            bucket.fastreuseport = frp::STRICT;
        } else {
            return;
        }
    }
    if reuseport {
        bucket.fastuid = Fastuid::Of(uid);
        bucket.snapshot = (rules.reuseport_match() != ReuseportMatch::Uid).then(|| {
            Box::new(Snapshot {
                addr: sock.rcv_saddr,
                inet6: sock.family == Family::Inet6,
                v6only: sock.v6only,
            })
        });
    }
}

/// The same up to 4.10.
fn update_fastreuse_by_owners<C: Chooser>(
    rules: &TrackedBehaviours,
    chooser: &mut C,
    sock: &Sock,
    bucket: &mut Bucket,
    empty: bool,
) {
    let reuses = sock.reuses();
    let reuseport = sock.reuseport && rules.reuseport();
    if empty {
        bucket.fastreuse = i8::from(reuses);
        bucket.fastreuseport = i8::from(reuseport);
        if reuseport {
            bucket.fastuid = Fastuid::Of(sock.uid_seen(rules));
        }
        return;
    }
    if bucket.fastreuse != 0 && !reuses {
        bucket.fastreuse = 0;
    }
    if bucket.fastreuseport != 0
        && rules.reuseport()
        && !(reuseport && uid_matches(rules, chooser, sock, bucket))
    {
        bucket.fastreuseport = frp::NO;
        if rules.fastuid_zeroed() {
            bucket.fastuid = Fastuid::Of(0);
        }
    }
}
