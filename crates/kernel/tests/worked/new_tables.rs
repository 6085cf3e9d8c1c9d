//! Eras from 4.2 on: the truth table of options, the values of a bucket after its first bind, and
//! the table of address pairs.

use super::New;
use super::new_bind::bench;
use crate::support::{Bench, S, USE, kernel, ok};
use fourtuple_kernel::{Family, SockOpt};
use rstest::rstest;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Options {
    None,
    Ra,
    Rp,
    RaRp,
}

impl Options {
    const ALL: [Options; 4] = [Options::None, Options::Ra, Options::Rp, Options::RaRp];

    fn reuse(self) -> bool {
        matches!(self, Options::Ra | Options::RaRp)
    }

    fn reuseport(self) -> bool {
        matches!(self, Options::Rp | Options::RaRp)
    }

    fn socket(self, k: &mut Bench, uid: u32) -> S {
        let s = k.tcp_as(uid);
        k.set(s, SockOpt::ReuseAddr(self.reuse()));
        k.set(s, SockOpt::ReusePort(self.reuseport()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Bound,
    Listening,
    Connected,
    TimeWait,
}

/// Rows: the owner's options; columns: the binder's. `l`: shared unless the owner listens.
const SHARED: [[char; 4]; 4] = [
    ['n', 'n', 'n', 'n'],
    ['n', 'l', 'n', 'l'],
    ['n', 'n', 'y', 'y'],
    ['n', 'l', 'y', 'y'],
];

pub(super) fn options_of_two_binders(era: New) {
    for (row, a) in Options::ALL.into_iter().enumerate() {
        for (column, b) in Options::ALL.into_iter().enumerate() {
            for state in [
                Owner::Bound,
                Owner::Listening,
                Owner::Connected,
                Owner::TimeWait,
            ] {
                for (owner_ip, binder_ip) in [
                    ("127.0.0.1", "127.0.0.1"),
                    ("127.0.0.1", "0.0.0.0"),
                    ("0.0.0.0", "127.0.0.1"),
                ] {
                    let mut k = bench(era);
                    let o = a.socket(&mut k, 0);
                    k.bind(o, owner_ip, 40000).unwrap();
                    match state {
                        Owner::Bound => {}
                        Owner::Listening => {
                            k.listen(o).unwrap();
                        }
                        Owner::Connected | Owner::TimeWait => {
                            k.connect(o, k.s1).unwrap();
                        }
                    }
                    if state == Owner::TimeWait {
                        k.close_first(o);
                    }
                    let mut shared = match SHARED[row][column] {
                        'y' => true,
                        'l' => state != Owner::Listening,
                        _ => false,
                    };
                    // Before the bit is copied it is undefined memory, here 0; the bucket's own
                    // value still lets SO_REUSEPORT in where it was set by the same user.
                    let undefined = state == Owner::TimeWait
                        && !kernel(era.kernel()).tw_copies_reuseport
                        && a == Options::Rp;
                    if undefined && b.reuseport() {
                        shared = k.values(40000).is_some_and(|v| v.1 > 0);
                    }
                    // listen() by the fast path of SO_REUSEPORT leaves fastreuse at 1, which
                    // then lets SO_REUSEADDR in.
                    if era < New::E411
                        && (a, b, state) == (Options::RaRp, Options::Ra, Owner::Listening)
                    {
                        shared = true;
                    }
                    let n = b.socket(&mut k, 0);
                    let got = k.bind(n, binder_ip, 40000);
                    assert_eq!(
                        got,
                        if shared { ok(40000) } else { USE },
                        "{a:?} {state:?} on {owner_ip}, {b:?} binds {binder_ip}"
                    );
                }
            }
        }
    }
}

/// Another user's SO_REUSEPORT does not share, unless the owner is in TIME-WAIT.
pub(super) fn options_of_two_users(era: New) {
    let copies = kernel(era.kernel()).tw_copies_reuseport;
    for a in [Options::Rp, Options::RaRp] {
        for (time_wait, want) in [(false, USE), (true, if copies { ok(40000) } else { USE })] {
            let mut k = bench(era);
            let o = a.socket(&mut k, 1000);
            k.bind(o, k.a1, 40000).unwrap();
            k.connect(o, k.s1).unwrap();
            if time_wait {
                k.close_first(o);
            }
            let n = Options::Rp.socket(&mut k, 2000);
            assert_eq!(k.bind(n, k.a1, 40000), want, "{a:?} TIME-WAIT {time_wait}");
        }
    }
}

pub(super) fn values_after_the_first_bind(era: New) {
    let want = |o: Options| match (era, o) {
        (_, Options::None) => (0, 0),
        (New::E42 | New::E46, _) => (i8::from(o.reuse()), i8::from(o.reuseport())),
        (New::E411 | New::E68 | New::E618, _) => (0, if o.reuseport() { 2 } else { 0 }),
        (New::E414 | New::E57 | New::E61, _) => (i8::from(o.reuse()), i8::from(o.reuseport())),
    };
    for o in Options::ALL {
        let mut k = bench(era);
        let s = o.socket(&mut k, 0);
        k.bind(s, k.a1, 40000).unwrap();
        assert_eq!(k.values(40000), Some(want(o)), "{o:?}");
    }
    // A bucket that connect() made, and the binder that joins it.
    for (o, want) in [
        (Options::Ra, if era == New::E411 { (1, 0) } else { (-1, 0) }),
        (
            Options::Rp,
            match era {
                New::E42 | New::E46 => (0, 0),
                New::E411 => (0, 1),
                _ => (0, 2),
            },
        ),
    ] {
        let mut k = bench(era);
        k.range("40000 40000");
        let c = k.tcp();
        k.connect(c, k.s1).unwrap();
        assert_eq!(k.values(40000), Some((-1, -1)));
        let s = o.socket(&mut k, 0);
        k.bind(s, k.a2, 40000).unwrap();
        assert_eq!(k.values(40000), Some(want), "{o:?} joins");
    }
}

/// The addresses of the table: text, and whether the socket is IPv6 only.
const ADDRESSES: [(&str, bool); 8] = [
    ("0.0.0.0", false),
    ("127.0.0.1", false),
    ("127.0.0.2", false),
    ("::", false),
    ("::", true),
    ("::1", false),
    ("::ffff:0.0.0.0", false),
    ("::ffff:127.0.0.1", false),
];

/// Rows: first bind of the port; columns: the second. `U` is EADDRINUSE.
const PAIRS: [&str; 8] = [
    "UUUUooUU", // 0.0.0.0
    "UUoUooUU", // 127.0.0.1
    "UoUUooUo", // 127.0.0.2
    "UUUUUUUU", // ::
    "oooUUUoo", // :: v6only
    "oooUUUoo", // ::1
    "UUUUooUU", // ::ffff:0.0.0.0
    "UUoUooUU", // ::ffff:127.0.0.1
];

fn pairs_of(name: &str, exceptions: &[(usize, usize)]) {
    for (row, line) in PAIRS.iter().enumerate() {
        for (column, cell) in line.chars().enumerate() {
            let mut k = Bench::local(name);
            let mut bind = |at: usize| {
                let (ip, only) = ADDRESSES[at];
                let family = if ip.contains(':') {
                    Family::Inet6
                } else {
                    Family::Inet
                };
                let s = k.w.socket(k.ns, family, 0);
                if only {
                    k.set(s, SockOpt::V6Only(true));
                }
                k.bind(s, ip, 40000)
            };
            bind(row).unwrap();
            let shared = (cell == 'o') != exceptions.contains(&(row, column));
            assert_eq!(
                bind(column),
                if shared { ok(40000) } else { USE },
                "{:?} then {:?}",
                ADDRESSES[row],
                ADDRESSES[column]
            );
        }
    }
}

/// 6.1.192 keeps the family of the first owner with a wildcard entry; 6.8 does not pass over IPv6
/// only owners of `::` for a mapped binder.
#[rstest]
#[case("linux-4.4", &[])]
#[case("linux-4.9", &[])]
#[case("linux-4.14", &[])]
#[case("linux-4.19", &[])]
#[case("debian-11", &[])]
#[case("linux-5.7", &[])]
#[case("debian-12", &[(6, 7)])]
#[case("linux-6.8", &[(4, 7)])]
#[case("debian-13", &[])]
#[case("linux-6.17.13", &[])]
#[case("linux-6.18", &[])]
#[case("linux-7.3", &[])]
fn address_pairs(#[case] name: &str, #[case] exceptions: &[(usize, usize)]) {
    pairs_of(name, exceptions);
}

/// Releases between those that were recorded: the reverse order always conflicts.
#[rstest]
#[case("linux-6.1.0", true)]
#[case("linux-6.2", true)]
#[case("linux-6.3", false)]
#[case("linux-6.6", false)]
fn specific_address_next_to_dual_stack(#[case] name: &str, #[case] shared: bool) {
    let mut k = Bench::local(name);
    let wild = k.tcp6();
    k.bind(wild, "::", 40000).unwrap();
    let s = k.tcp();
    let got = k.bind(s, k.a1, 40000);
    assert_eq!(got, if shared { ok(40000) } else { USE });

    let mut k = Bench::local(name);
    let s = k.tcp();
    k.bind(s, k.a1, 40000).unwrap();
    let wild = k.tcp6();
    assert_eq!(k.bind(wild, "::", 40000), USE);
}

/// A native address cannot overlap with a v4-mapped wildcard, so that entry of the table by
/// address is skipped.
#[rstest]
fn native_address_next_to_mapped_wildcard(
    #[values(
        "linux-6.0",
        "linux-6.1.0",
        "linux-6.2",
        "linux-6.3",
        "linux-6.6",
        "linux-6.8"
    )]
    name: &str,
) {
    let mut k = Bench::local(name);
    let wild = k.tcp6();
    k.bind(wild, "::ffff:0.0.0.0", 40000).unwrap();
    let s = k.tcp6();
    assert_eq!(k.bind(s, "::1", 40000), ok(40000));
}

/// The first releases with the table by address did not have TIME-WAITs in it.
#[rstest]
#[case("linux-6.0", USE)]
#[case("linux-6.1.0", ok(40000))]
#[case("linux-6.2", USE)]
#[case("debian-12", USE)]
fn time_wait_by_address(#[case] name: &str, #[case] want: crate::support::Answer) {
    let mut k = Bench::local(name);
    let a = k.tcp();
    k.bind(a, k.a1, 40000).unwrap();
    k.connect(a, k.s1).unwrap();
    k.close_first(a);
    let b = k.tcp();
    assert_eq!(k.bind(b, k.a1, 40000), want);
}

on_new_eras!(
    options_of_two_binders,
    options_of_two_users,
    values_after_the_first_bind,
);
