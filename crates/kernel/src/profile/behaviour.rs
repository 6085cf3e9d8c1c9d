//! The table of behaviours in which kernels differ.
//!
//! Every rule of the model that is not the same on all kernels is one field here, with the kernel
//! function that it stands for. Algorithms look at these fields and never at a version number.

use super::asked::{Asked, Watched};
use crate::Errno;
use std::fmt;

/// A value that a behaviour can have.
pub trait Value: Copy + PartialEq + fmt::Debug + 'static {
    /// How people see it.
    fn show(&self) -> String;
    /// Every other value it could have, used to show that each behaviour matters.
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
    /// What `bind()` does with an address of another family than the socket's.
    BindFamily {
        /// The family is not looked at; the bytes are taken as an IPv4 address.
        Ignored = "not checked",
        /// `EINVAL`
        Invalid = "EINVAL",
        /// `EAFNOSUPPORT`
        NoSupport = "EAFNOSUPPORT",
    }
}

choice! {
    /// How an automatic port (bind to port 0, listen without bind) is searched.
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
    /// Whether a `SO_REUSEADDR` socket searches the lower half of the range first.
    HalfRange {
        /// It does not.
        No = "no",
        /// Any non-zero `sk_reuse`.
        AnyReuse = "yes, also under TCP_REPAIR",
        /// `sk_reuse == 1` only.
        Reuse = "yes",
    }
}

choice! {
    /// The question that two sockets' options decide (`inet_csk_bind_conflict`).
    PairRule {
        /// One mode: `SO_REUSEADDR` on both and not listening shares.
        Single = "SO_REUSEADDR on both and not listening shares, also for automatic ports",
        /// A strict mode for automatic ports and a relaxed one for explicit ports.
        StrictRelaxed = "strict for automatic ports, relaxed for explicit ones",
        /// As above, and `SO_REUSEPORT` does not help automatic ports.
        ReuseportExplicitOnly = "as strict/relaxed, and SO_REUSEPORT never helps automatic ports",
        /// Decided separately for pairs where both have `SO_REUSEADDR`.
        Split = "split into a SO_REUSEADDR and a SO_REUSEPORT question",
    }
}

choice! {
    /// How a bucket's `fastreuse` and `fastreuseport` change when a binder joins.
    Touch {
        /// Counts owners; a fast-path joiner changes nothing.
        Owners = "by slow-path binders only",
        /// The emptiness test is the wrong way round (fixed later).
        Inverted = "with the emptiness test inverted",
        /// Every binder; the first one sets the values.
        Every = "by every binder",
        /// Every binder, but nobody is ever first.
        NeverFirst = "by every binder, none counting as the first",
    }
}

choice! {
    /// When a `SO_REUSEPORT` binder may skip the owners (`sk_reuseport_match`).
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
    /// How connect() walks the range (`__inet_hash_connect`).
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
    /// What moves the start of a connect() search between calls.
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
    /// When tcp_tw_reuse counts as on (`tcp_twsk_unique`).
    TwReuse {
        /// Any non-zero value.
        NonZero = "any non-zero value",
        /// 1, or 2 for loopback connections.
        Loopback = "1, or 2 for loopback connections",
    }
}

choice! {
    /// How old a TIME-WAIT must be for the connect() search to take it over.
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
    /// What ends a TIME-WAIT.
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
    /// Which owners a bind() to a specific address is compared with, and how the families mix.
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
    /// Which options let `bind()` take an IPv6 address that is not local.
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
    /// What connect() from an IPv4 address that the host does not have answers.
    ForeignSource {
        /// `EINVAL`
        Invalid = "EINVAL",
        /// `ENETUNREACH`
        Unreachable = "ENETUNREACH",
    }
}

impl ForeignSource {
    /// The answer.
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            ForeignSource::Invalid => Errno::EINVAL,
            ForeignSource::Unreachable => Errno::ENETUNREACH,
        }
    }
}

choice! {
    /// Where a sysctl lives.
    Scope {
        /// The kernel does not have it.
        Absent = "absent",
        /// One value for the machine, shown in every network namespace.
        Machine = "machine-wide",
        /// One value for the machine, shown in the first network namespace only.
        MachineHidden = "machine-wide, first namespace only",
        /// The first namespace's value, which is written and read in all of them; `bind()` in any other finds the default.
        FirstOnly = "shown per namespace, effective in the first only",
        /// One value for each network namespace.
        Netns = "per namespace",
    }
}

macro_rules! behaviours {
    ($($(#[doc = $doc:literal])* $field:ident : $ty:ty, $func:literal;)*) => {
        /// Everything in which the modelled kernels differ.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct Behaviours {
            $($(#[doc = $doc])* pub $field: $ty,)*
        }

        /// One row of the behaviour table, as people see it.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Row {
            /// Name of the behaviour, the field's name.
            pub name: &'static str,
            /// What it is about.
            pub about: &'static str,
            /// The kernel function that it stands for.
            pub function: &'static str,
            /// Its value.
            pub value: String,
        }

        impl Behaviours {
            /// Names of all behaviours, in the table's order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($field),)*];

            /// The table for people.
            #[must_use]
            pub fn rows(&self) -> Vec<Row> {
                vec![$(Row {
                    name: stringify!($field),
                    about: concat!($($doc,)*).trim_ascii(),
                    function: $func,
                    value: self.$field.show(),
                },)*]
            }

            /// Names of the behaviours in which two kernels differ.
            #[must_use]
            pub fn differing(&self, other: &Behaviours) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$field != other.$field { names.push(stringify!($field)); })*
                names
            }

            /// Whether two kernels are alike in all behaviours of a set.
            #[must_use]
            pub fn alike(&self, other: &Behaviours, in_all_of: Asked) -> bool {
                $((self.$field == other.$field
                    || !in_all_of.has(Place::$field as u32)))&&*
            }

            /// A copy with one behaviour as another kernel has it. An unknown name changes nothing.
            #[must_use]
            pub fn with(&self, name: &str, other: &Behaviours) -> Behaviours {
                match name {
                    $(stringify!($field) => Behaviours { $field: other.$field, ..*self },)*
                    _ => *self,
                }
            }

            /// Copies with one behaviour changed, for each other value it can have. An unknown
            /// name gives none.
            #[must_use]
            pub fn mutants(&self, name: &str) -> Vec<Behaviours> {
                match name {
                    $(stringify!($field) => self.$field.alternatives().into_iter()
                        .map(|v| Behaviours { $field: v, ..*self }).collect(),)*
                    _ => Vec::new(),
                }
            }
        }

        /// Places in the table.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        enum Place { $($field,)* }

        // A set of behaviours is one word.
        const _: () = assert!(Behaviours::NAMES.len() <= 64);

        impl Watched {
            $(
                #[inline]
                pub(crate) fn $field(&self) -> $ty {
                    self.ask(Place::$field as u32).$field
                }
            )*
        }
    };
}

behaviours! {
    /// bind() with an address of the wrong family
    bind_family: BindFamily, "inet_bind";
    /// automatic ports: order of the search
    bind_scan: BindScan, "inet_csk_get_port / inet_csk_find_open_port";
    /// automatic ports may have a bucket already if no owner conflicts
    bind_shares: bool, "inet_csk_get_port";
    /// automatic ports: SO_REUSEADDR searches the lower half first
    half_range: HalfRange, "inet_csk_get_port / inet_csk_find_open_port";
    /// automatic ports: sharing early because of many sockets also demands no conflict
    bsockets_check: bool, "inet_csk_get_port";
    /// a port search starts again although fastreuseport is 0
    rescan_any_uid: bool, "inet_csk_get_port";
    /// fastuid of a bucket starts as 0 instead of undefined memory
    fastuid_zeroed: bool, "inet_csk_get_port";
    /// when two owners of one port may share it
    pair_rule: PairRule, "inet_csk_bind_conflict";
    /// the strict mode also holds for AF_INET6 binders
    pair_rule_v6_strict: bool, "inet6_csk_bind_conflict";
    /// a SO_REUSEADDR owner in state CLOSE counts like a listener
    close_conflicts: bool, "inet_csk_bind_conflict";
    /// a member of a reuseport group does not share by SO_REUSEPORT when it binds
    reuseport_group_term: bool, "inet_csk_bind_conflict";
    /// SO_REUSEPORT exists
    reuseport: bool, "sock_setsockopt";
    /// TCP_REPAIR's forced reuse skips every check
    force_reuse: bool, "inet_csk_get_port";
    /// how binders change fastreuse and fastreuseport
    touch: Touch, "inet_csk_update_fastreuse";
    /// when SO_REUSEPORT takes the fast path
    reuseport_match: ReuseportMatch, "sk_reuseport_match";
    /// ip_autobind_reuse exists
    autobind_reuse: bool, "inet_csk_find_open_port";
    /// ip_local_reserved_ports is kept out of searches
    reserved_ports: Scope, "inet_is_local_reserved_port";
    /// IP_BIND_ADDRESS_NO_PORT exists
    bind_address_no_port: bool, "inet_bind";
    /// IP_LOCAL_PORT_RANGE exists
    local_port_range_option: bool, "inet_sk_get_local_port_range";
    /// IP_LOCAL_PORT_RANGE makes connect() step by one
    local_port_range_step_one: bool, "__inet_hash_connect";
    /// order of the connect() search
    connect_scan: ConnectScan, "__inet_hash_connect";
    /// what moves the start of the connect() search
    perturb: Perturb, "__inet_hash_connect";
    /// a failed connect() resets the address it had chosen
    connect_resets_address: bool, "inet_bhash2_reset_saddr";
    /// source towards a local address is the route's preferred one
    source_preferred: bool, "ip_route_output_key";
    /// native IPv6 destination from a socket bound to a mapped address is refused at once
    mapped_source_refused: bool, "tcp_v6_connect";
    /// connect() from a bound IPv4 address that is not local, without IP_TRANSPARENT
    foreign_source: ForeignSource, "ip_route_output_key";
    /// owners are kept by address as well
    bhash2: Bhash2, "inet_bhash2_conflict";
    /// a bucket's state is recomputed when an owner leaves
    recompute_on_release: bool, "inet_bind_bucket_destroy";
    /// an accepted child counts as owner in bsockets and num_owners
    child_counted: bool, "__inet_inherit_port";
    /// the uid stays with the socket after close() and before accept()
    uid_kept: bool, "sock_i_uid / sk_uid";
    /// bind() to a native IPv6 address sets IPV6_V6ONLY before the conflict check
    v6only_before_check: bool, "inet6_bind";
    /// TIME-WAIT copies SO_REUSEPORT
    tw_copies_reuseport: bool, "tcp_time_wait";
    /// what tcp_tw_reuse values mean
    tw_reuse: TwReuse, "tcp_twsk_unique";
    /// the connect() search never takes over a FIN_WAIT2 stand-in
    tw_reuse_not_fin_wait2: bool, "tcp_twsk_unique";
    /// age from which the connect() search may take over a TIME-WAIT
    tw_age: TwAge, "tcp_twsk_unique";
    /// the time stamp of the last segment is monotonic, so 0 in the first second after boot
    tw_stamp_monotonic: bool, "tcp_twsk_unique";
    /// the acknowledgement of a FIN counts as the last segment of the TIME-WAIT that it makes
    fin_ack_stamped: bool, "tcp_replace_ts_recent";
    /// what ends a TIME-WAIT
    tw_timer: TwTimer, "inet_twsk_schedule";
    /// a timer of more than 256 ticks may be late by a 256th of its length
    timer_slack: bool, "apply_slack";
    /// timer ticks per second
    hz: u32, "jiffies";
    /// longest delay of the acknowledgement of a lone FIN, in milliseconds
    delayed_ack_ms: u32, "tcp_send_delayed_ack";
    /// first repetition of an unanswered SYN, in milliseconds
    syn_rto_ms: u32, "tcp_retransmit_timer";
    /// how many repetitions of a SYN come before their distance doubles
    syn_linear: u32, "tcp_retransmit_timer";
    /// tcp_rto_max_ms exists: the longest distance between repetitions
    rto_max_setting: bool, "tcp_rto_max";
    /// the first repetition of a challenged SYN comes after two ticks instead of the full timeout
    syn_quick_retry: bool, "tcp_rcv_synsent_state_process";
    /// a SYN that meets the open other end of an old connection is dropped
    syn_mute: bool, "tcp_validate_incoming";
    /// default upper end of ip_local_port_range
    range_high: u16, "sysctl_local_ports";
    /// shutdown() before the connection was there sends its FIN once a SYN that came in has opened it
    shutdown_after_handshake: bool, "tcp_rcv_state_process";
    /// any user may bind a socket to a device, once
    device_for_users: bool, "sock_setbindtodevice";
    /// SO_BINDTOIFINDEX exists
    bind_to_index: bool, "sock_setsockopt";
    /// where ip_local_port_range lives
    range_scope: Scope, "inet_get_local_port_range";
    /// an ip_local_port_range below ip_unprivileged_port_start is refused
    range_above_unprivileged: bool, "ipv4_local_port_range";
    /// where ip_nonlocal_bind lives
    nonlocal_bind_scope: Scope, "inet_bind";
    /// where ip_unprivileged_port_start lives
    unprivileged_port_scope: Scope, "inet_bind";
    /// where tcp_tw_reuse lives
    tw_reuse_scope: Scope, "tcp_twsk_unique";
    /// where tcp_tw_recycle lives
    tw_recycle_scope: Scope, "tcp_time_wait";
    /// where tcp_timestamps lives
    timestamps_scope: Scope, "tcp_syn_options";
    /// where tcp_fin_timeout lives
    fin_timeout_scope: Scope, "tcp_fin_time";
    /// where tcp_max_tw_buckets lives
    max_tw_scope: Scope, "tcp_time_wait";
    /// where tcp_rfc1337 lives
    rfc1337_scope: Scope, "tcp_timewait_state_process";
    /// ip_local_port_step_width exists
    port_step_width: bool, "__inet_hash_connect";
    /// default of net.core.somaxconn, the most that listen()'s backlog can be
    somaxconn: u32, "inet_listen";
    /// which options let bind() take foreign IPv6 addresses
    v6_foreign_bind: V6Foreign, "inet6_bind";
}
