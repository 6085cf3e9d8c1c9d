//! The values that behaviours have: a type for each question with more than two answers.

use crate::Errno;
use std::fmt;

/// A value that a behaviour can have.
pub(super) trait Value: Copy + PartialEq + fmt::Debug + 'static {
    /// The value in words.
    fn show(&self) -> String;
    /// Every other value that the behaviour could have, for mutation tests.
    fn alternatives(&self) -> Vec<Self>;
}

impl Value for bool {
    fn show(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }
    fn alternatives(&self) -> Vec<Self> {
        vec![!*self]
    }
}

impl Value for u16 {
    fn show(&self) -> String {
        self.to_string()
    }
    fn alternatives(&self) -> Vec<Self> {
        vec![if *self == 61000 { 60999 } else { 61000 }]
    }
}

impl Value for u32 {
    fn show(&self) -> String {
        self.to_string()
    }
    fn alternatives(&self) -> Vec<Self> {
        vec![self.wrapping_mul(2).max(1)]
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }
        impl Value for $name {
            fn show(&self) -> String {
                match self { $($name::$variant => $text,)* }.to_owned()
            }
            fn alternatives(&self) -> Vec<Self> {
                [$($name::$variant,)*].into_iter().filter(|v| v != self).collect()
            }
        }
    };
}

choice! {
    /// The answer of `bind()` to an address of another family than the socket's.
    BindFamily {
        /// The family is ignored; the bytes are taken as an IPv4 address.
        Ignored = "not checked",
        /// `EINVAL`
        Invalid = "EINVAL",
        /// `EAFNOSUPPORT`
        NoSupport = "EAFNOSUPPORT",
    }
}

choice! {
    /// The ports that a NAT host tries.
    NatSearch {
        /// The whole range, from the port that the search before has found.
        Rover = "the whole range, on from the last port",
        /// The whole range, from a random port.
        Scan = "the whole range, from a random port",
        /// At most 128, 64, 32, 16 and 8 ports, each time from a random one.
        Limited = "at most 248 ports, from five random ones",
    }
}

choice! {
    /// The order in which `bind()` to port 0, or `listen()` without `bind()`, searches a port.
    BindScan {
        /// One pass upwards from a random start over the whole (half) range.
        Sequential = "one pass from a random start",
        /// Odd offsets, then even ones; remembers the shareable bucket with the fewest owners.
        ParityShare = "odd offsets, then even ones; shares a SO_REUSEADDR port when the first pass finds none",
        /// Odd offsets, then even ones; never shares with an overlapping owner.
        Parity = "odd offsets, then even ones",
    }
}

choice! {
    /// The sockets with `SO_REUSEADDR` that search the lower half of the range first.
    HalfRange {
        /// None.
        No = "no",
        /// Any non-zero `sk_reuse`.
        AnyReuse = "yes, also under TCP_REPAIR",
        /// `sk_reuse == 1` only.
        Reuse = "yes",
    }
}

choice! {
    /// The options with which two overlapping owners share a port (`inet_csk_bind_conflict`).
    PairRule {
        /// One mode: `SO_REUSEADDR` on both and not listening shares.
        Single = "SO_REUSEADDR on both and not listening shares, also for ephemeral ports",
        /// A strict mode for ephemeral ports and a relaxed one for explicit ports.
        StrictRelaxed = "strict for ephemeral ports, relaxed for explicit ones",
        /// As above, and `SO_REUSEPORT` does not help ephemeral ports.
        ReuseportExplicitOnly = "as strict/relaxed, and SO_REUSEPORT never helps ephemeral ports",
        /// Decided separately for pairs where both have `SO_REUSEADDR`.
        Split = "split into a SO_REUSEADDR and a SO_REUSEPORT question",
    }
}

choice! {
    /// The binders that change a bucket's `fastreuse` and `fastreuseport` when they join.
    Touch {
        /// Counts owners; a fast-path joiner changes nothing.
        Owners = "by slow-path binders only",
        /// The emptiness test is the wrong way round (fixed later).
        Inverted = "with the emptiness test inverted",
        /// Every binder; the first one sets the values.
        Every = "by every binder",
        /// Every binder, and none counts as the first.
        NeverFirst = "by every binder, none counting as the first",
    }
}

choice! {
    /// The condition under which a `SO_REUSEPORT` binder skips the owners (`sk_reuseport_match`).
    ReuseportMatch {
        /// Same uid is enough.
        Uid = "same uid",
        /// Same uid, and a strict snapshot must equal the address or either be a wildcard.
        SnapshotEitherWild = "same uid; a strict snapshot matches equal or wildcard addresses",
        /// As above, but a wildcard newcomer does not match a specific snapshot.
        SnapshotCovers = "same uid; a strict snapshot must cover the address",
    }
}

choice! {
    /// The order in which connect() walks the range (`__inet_hash_connect`).
    ConnectScan {
        /// One by one, from the one after the start.
        FromNext = "one by one from the hint",
        /// One by one, from a start whose offset is even.
        EvenStart = "one by one from an even offset",
        /// Even offsets first, then odd ones.
        Parity = "even offsets, then odd ones",
    }
}

choice! {
    /// The counters that move the start of a connect() search between calls.
    Perturb {
        /// One counter for the whole machine.
        Hint = "one machine-wide hint",
        /// 256 counters chosen by the hash.
        Cells256 = "256 cells",
        /// 65536 counters chosen by the hash, which changes every ten seconds.
        Cells65536 = "65536 cells, hash renewed every 10 s",
    }
}

choice! {
    /// The values of tcp_tw_reuse that count as on (`tcp_twsk_unique`).
    TwReuse {
        /// Any non-zero value.
        NonZero = "any non-zero value",
        /// 1, or 2 for loopback connections.
        Loopback = "1, or 2 for loopback connections",
    }
}

choice! {
    /// The age from which the connect() search may replace a TIME-WAIT socket (`tcp_twsk_unique`).
    TwAge {
        /// More than one whole second of the wall clock.
        OverOneSecond = "more than 1 in whole seconds",
        /// The next whole second has begun.
        NextSecond = "the next whole second",
        /// `tcp_tw_reuse_delay` milliseconds since TIME-WAIT began.
        Millis = "tcp_tw_reuse_delay milliseconds",
    }
}

choice! {
    /// The timers that end TIME-WAIT sockets (`inet_twsk_schedule`).
    TwTimer {
        /// A wheel of eight slots of 7.5 s for the whole machine.
        SlotWheel = "machine-wide wheel of 7.5 s slots",
        /// As above; a slot with more than 202 entries delays the others by 1 s, not 7.5 s.
        SlotWheelQuick = "machine-wide wheel of 7.5 s slots, quick overflow",
        /// One timer each, exact to the jiffy.
        Exact = "one timer each, exact to the jiffy",
        /// One timer each, rounded up to the timer wheel's granularity.
        Grid = "one timer each, on the timer wheel's grid",
    }
}

choice! {
    /// The owners that a bind() to a specific address is compared with (`inet_bhash2_conflict`).
    Bhash2 {
        /// One list of owners per port.
        None = "one owner list per port",
        /// Second table; wildcards of the same family only; TIME-WAIT not in it.
        SameFamilyNoTw = "by address; same-family wildcards; TIME-WAIT not seen",
        /// Second table; wildcards of the same family only.
        SameFamily = "by address; same-family wildcards",
        /// An `AF_INET` binder also sees `::`.
        InetSeesAny6 = "by address; AF_INET also sees ::",
        /// An `AF_INET` binder also sees `::` and `::ffff:0.0.0.0`.
        InetSeesMapped = "by address; AF_INET also sees :: and ::ffff:0.0.0.0",
        /// All wildcards that overlap; ipv6only owners of `::` are not skipped for mapped binders.
        Unified = "by address in one family",
        /// All wildcards that overlap.
        UnifiedV6Only = "by address in one family, IPV6_V6ONLY respected for mapped binders",
        /// As above, but a mapped binder misses a wildcard entry that an `AF_INET6` socket made.
        CreatorFamily = "by address in one family, wildcard entries keep their creator's family",
    }
}

choice! {
    /// The options that let `bind()` take an IPv6 address that is not local (`inet6_bind`).
    V6Foreign {
        /// None.
        None = "none",
        /// `IP_TRANSPARENT`.
        Transparent = "IP_TRANSPARENT",
        /// `IP_TRANSPARENT` and `IP_FREEBIND`.
        Freebind = "IP_TRANSPARENT, IP_FREEBIND",
        /// The sysctl `ip_nonlocal_bind` as well.
        Sysctl = "IP_TRANSPARENT, IP_FREEBIND, ip_nonlocal_bind",
    }
}

choice! {
    /// The error of connect() from an IPv4 address that the host does not have.
    ForeignSource {
        /// `EINVAL`
        Invalid = "EINVAL",
        /// `ENETUNREACH`
        Unreachable = "ENETUNREACH",
    }
}

impl ForeignSource {
    /// The errno that the call returns.
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            ForeignSource::Invalid => Errno::EINVAL,
            ForeignSource::Unreachable => Errno::ENETUNREACH,
        }
    }
}

choice! {
    /// The place where the kernel keeps the value of a sysctl.
    Scope {
        /// The kernel does not have it.
        Absent = "absent",
        /// One value for the machine, shown in every network namespace.
        Machine = "machine-wide",
        /// One value for the machine, shown in the first network namespace only.
        MachineHidden = "machine-wide, first namespace only",
        /// The first namespace's value, which is written and read in all of them; `bind()` in any
        /// other finds the default.
        FirstOnly = "shown per namespace, effective in the first only",
        /// One value for each network namespace.
        Netns = "per namespace",
    }
}
