//! The conflict test up to 4.1 as a table: what the binder's and the owner's options decide, for
//! an explicit port and for an automatic one.

use super::Old;
use crate::support::{Bench, S, USE, ok};
use fourtuple_kernel::{ShortName, SockOpt};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Closed,
    Listening,
    Connected,
    TimeWait,
}

/// A row of the table: `None` is "any". The last two columns say whether an explicit port and an
/// automatic one can be shared.
struct Row {
    binder_reuse: Option<bool>,
    owner_reuse: Option<bool>,
    listening: Option<bool>,
    reuseport: bool,
    explicit: bool,
    automatic: bool,
}

const fn row(
    binder_reuse: Option<bool>,
    owner_reuse: Option<bool>,
    listening: Option<bool>,
    reuseport: bool,
    explicit: bool,
    automatic: bool,
) -> Row {
    Row {
        binder_reuse,
        owner_reuse,
        listening,
        reuseport,
        explicit,
        automatic,
    }
}

const YES: Option<bool> = Some(true);
const NO: Option<bool> = Some(false);

/// The first row that fits counts.
const TABLE: &[Row] = &[
    row(NO, None, None, false, false, false),
    row(None, NO, None, false, false, false),
    row(YES, YES, NO, false, true, false),
    row(YES, YES, YES, false, false, false),
    row(NO, None, None, true, true, true),
    row(YES, NO, None, true, true, true),
    row(YES, YES, NO, true, true, false),
    row(YES, YES, YES, true, true, true),
];

/// An owner of 127.0.0.1:40000 that got its options after it got the port, so that the bucket's
/// own values stay 0 and no fast path is taken.
fn owner(k: &mut Bench, state: Owner, reuse: bool, reuseport: bool) -> S {
    let s = k.tcp();
    assert_eq!(k.bind(s, k.a1, 40000), ok(40000));
    match state {
        Owner::Closed => {}
        Owner::Listening => {
            k.listen(s).unwrap();
        }
        Owner::Connected | Owner::TimeWait => {
            k.connect(s, k.s1).unwrap();
        }
    }
    k.set(s, SockOpt::ReuseAddr(reuse));
    if reuseport {
        k.set(s, SockOpt::ReusePort(true));
    }
    if state == Owner::TimeWait {
        k.close_first(s);
    }
    assert_eq!(k.values(40000).unwrap().0, 0);
    s
}

pub(super) fn conflict_table(era: Old) {
    let both = [false, true];
    let mut rows_met = [false; TABLE.len()];
    for state in [
        Owner::Closed,
        Owner::Listening,
        Owner::Connected,
        Owner::TimeWait,
    ] {
        for (owner_reuse, binder_reuse) in both.iter().flat_map(|&o| both.map(|b| (o, b))) {
            for (owner_rp, binder_rp) in both.iter().flat_map(|&o| both.map(|b| (o, b))) {
                if (owner_rp || binder_rp) && !era.has_reuseport() {
                    continue;
                }
                let mut k = Bench::far(era.kernel());
                k.range("40000 40000");
                owner(&mut k, state, owner_reuse, owner_rp);
                let mut binder = || {
                    let n = k.tcp();
                    k.set(n, SockOpt::ReuseAddr(binder_reuse));
                    if binder_rp {
                        k.set(n, SockOpt::ReusePort(true));
                    }
                    n
                };
                let (explicit, automatic) = (binder(), binder());
                // The bit of a TIME-WAIT is undefined memory in these eras: 0 here.
                let reuseport = owner_rp && binder_rp && state != Owner::TimeWait;
                let (at, row) = TABLE
                    .iter()
                    .enumerate()
                    .find(|(_, r)| {
                        r.binder_reuse.is_none_or(|v| v == binder_reuse)
                            && r.owner_reuse.is_none_or(|v| v == owner_reuse)
                            && r.listening.is_none_or(|v| v == (state == Owner::Listening))
                            && r.reuseport == reuseport
                    })
                    .expect("the table is complete");
                rows_met[at] = true;
                let closed_conflicts = era == Old::D
                    && state == Owner::Closed
                    && binder_reuse
                    && owner_reuse
                    && !reuseport;
                let shares = match era {
                    // The search takes no port that has a bucket, but for one with fastreuse 1.
                    e if e < Old::F => false,
                    // One mode only: as an explicit port.
                    Old::F => row.explicit,
                    _ => row.automatic,
                };
                let case = format!(
                    "{state:?} owner {owner_reuse} {owner_rp}, binder {binder_reuse} {binder_rp}"
                );
                // The automatic one first: a failed bind() changes nothing.
                let got = k.bind(automatic, k.a1, 0);
                assert_eq!(got, if shares { ok(40000) } else { USE }, "port 0: {case}");
                k.close(automatic);
                let got = k.bind(explicit, k.a1, 40000);
                let may = row.explicit && !closed_conflicts;
                assert_eq!(got, if may { ok(40000) } else { USE }, "explicit: {case}");
            }
        }
    }
    let rows = if era.has_reuseport() { TABLE.len() } else { 4 };
    assert_eq!(rows_met.iter().filter(|m| **m).count(), rows);
}

/// Other addresses, other devices and other users.
pub(super) fn conflict_needs_overlap(era: Old) {
    let mut k = Bench::far(era.kernel());
    owner(&mut k, Owner::Closed, false, false);
    for (ip, want) in [(k.a2, ok(40000)), ("0.0.0.0", USE), (k.a1, USE)] {
        let n = k.tcp();
        assert_eq!(k.bind(n, ip, 40000), want, "{ip}");
        k.close(n);
    }
    let device = |name| SockOpt::BindToDevice(ShortName::new(name).unwrap());
    // Sockets on different devices do not meet; one without a device meets both.
    let mut k = Bench::far(era.kernel());
    let o = k.tcp();
    k.set(o, device("eth0"));
    k.bind(o, k.a1, 40000).unwrap();
    for (dev, want) in [("lo", ok(40000)), ("eth0", USE), ("", USE)] {
        let n = k.tcp();
        k.set(n, device(dev));
        assert_eq!(k.bind(n, k.a1, 40000), want, "device `{dev}`");
        k.close(n);
    }
    if era.has_reuseport() {
        // The uid of an orphan is 0: another user's option does not help, root's does.
        for (uid, want) in [(1000, USE), (0, ok(40000))] {
            let mut k = Bench::far(era.kernel());
            let o = k.rp_as(1000);
            k.bind(o, k.a1, 40000).unwrap();
            k.connect(o, k.s1).unwrap();
            k.set(o, SockOpt::ReusePort(false));
            let other = k.rp_as(0);
            // Spoil the fast path, so that the owners are compared.
            k.bind(other, k.a2, 40000).unwrap();
            k.close(other);
            k.set(o, SockOpt::ReusePort(true));
            k.close(o);
            let n = k.rp_as(uid);
            assert_eq!(k.bind(n, k.a1, 40000), want, "orphan, binder of uid {uid}");
        }
    }
}

on_old_eras!(conflict_table, conflict_needs_overlap);
