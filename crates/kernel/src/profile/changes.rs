//! The date of every change of behaviour after 2.6.32, in mainline and in stable branches.

use super::behaviour::*;
use super::change::Change;
use super::release::release;

/// All changes but UDP's own, oldest first. A mainline kernel has every change up to its release.
///
/// ```
/// use fourtuple_kernel::profile::CHANGES;
///
/// let what = "tcp: avoid reusing FIN_WAIT2 when trying to find port in connect() process";
/// let change = CHANGES.iter().find(|change| change.what == what).ok_or("unknown")?;
/// assert_eq!(change.since.to_string(), "6.12");
/// assert_eq!(change.backports[0].to_string(), "5.10.262");
/// # Ok::<(), &str>(())
/// ```
pub const CHANGES: &[Change] = &[
    Change {
        since: release(2, 635, 0),
        backports: &[],
        what: "ip_local_reserved_ports",
        apply: |b| b.reserved_ports = Scope::Machine,
    },
    Change {
        since: release(2, 635, 0),
        backports: &[],
        what: "timers: Introduce the concept of timer slack for legacy timers",
        apply: |b| b.timer_slack = true,
    },
    Change {
        since: release(2, 637, 0),
        backports: &[],
        what: "accepted children are counted; the local route's source is preferred",
        apply: |b| {
            b.child_counted = true;
            b.source_preferred = true;
        },
    },
    Change {
        since: release(2, 638, 0),
        backports: &[],
        what: "tcp: disallow bind() to reuse addr/port",
        apply: |b| {
            b.close_conflicts = true;
            b.bsockets_check = true;
            b.v6_foreign_bind = V6Foreign::Transparent;
        },
    },
    Change {
        since: release(2, 639, 0),
        backports: &[],
        what: "the change of 2.6.38 undone; bind() of a wrong family is EINVAL",
        apply: |b| {
            b.close_conflicts = false;
            b.bsockets_check = false;
            b.bind_family = BindFamily::Invalid;
        },
    },
    Change {
        since: release(3, 0, 0),
        backports: &[],
        what: "bind() of a wrong family is EAFNOSUPPORT",
        apply: |b| b.bind_family = BindFamily::NoSupport,
    },
    Change {
        since: release(3, 1, 0),
        backports: &[],
        what: "initial retransmission timeout 1 s",
        apply: |b| b.syn_rto_ms = 1000,
    },
    Change {
        since: release(3, 3, 0),
        backports: &[],
        what: "tcp: bind() fix autoselection to share ports",
        apply: |b| b.bind_shares = true,
    },
    Change {
        since: release(3, 4, 0),
        backports: &[],
        what: "ipv6: IP_FREEBIND counts for IPv6 addresses",
        apply: |b| b.v6_foreign_bind = V6Foreign::Freebind,
    },
    Change {
        since: release(3, 5, 0),
        backports: &[],
        what: "tcp: bind() use stronger condition for bind_conflict; TCP_REPAIR",
        apply: |b| {
            b.pair_rule = PairRule::StrictRelaxed;
            b.bsockets_check = true;
            b.force_reuse = true;
        },
    },
    Change {
        since: release(3, 8, 0),
        backports: &[],
        what: "a SYN in an open connection is dropped",
        apply: |b| b.syn_mute = true,
    },
    Change {
        since: release(3, 8, 0),
        backports: &[],
        what: "tcp: tcp_replace_ts_recent() should not be called from tcp_validate_incoming()",
        apply: |b| b.fin_ack_stamped = false,
    },
    Change {
        since: release(3, 9, 0),
        backports: &[],
        what: "tcp: call tcp_replace_ts_recent() from tcp_ack()",
        apply: |b| b.fin_ack_stamped = true,
    },
    Change {
        since: release(3, 9, 0),
        backports: &[],
        what: "soreuseport: TCP/IPv4 implementation",
        apply: |b| b.reuseport = true,
    },
    Change {
        since: release(3, 10, 0),
        backports: &[],
        what: "ipv6: bind() use stronger condition for bind_conflict; machine-wide sysctls hidden in other namespaces",
        apply: |b| {
            b.pair_rule_v6_strict = true;
            b.reserved_ports = Scope::MachineHidden;
            b.nonlocal_bind_scope = Scope::MachineHidden;
            b.tw_reuse_scope = Scope::MachineHidden;
            b.tw_recycle_scope = Scope::MachineHidden;
            b.timestamps_scope = Scope::MachineHidden;
            b.fin_timeout_scope = Scope::MachineHidden;
            b.max_tw_scope = Scope::MachineHidden;
            b.rfc1337_scope = Scope::MachineHidden;
        },
    },
    Change {
        since: release(3, 13, 0),
        backports: &[],
        what: "ip_local_port_range per namespace",
        apply: |b| b.range_scope = Scope::Netns,
    },
    Change {
        since: release(3, 18, 0),
        backports: &[],
        what: "reserved ports and nonlocal_bind per namespace; SYN in an open connection is challenged",
        apply: |b| {
            b.reserved_ports = Scope::Netns;
            b.nonlocal_bind_scope = Scope::Netns;
            b.syn_mute = false;
        },
    },
    Change {
        since: release(4, 1, 0),
        backports: &[],
        what: "tcp/dccp: get rid of central timewait timer",
        apply: |b| {
            b.tw_timer = TwTimer::Exact;
            // The timers of single sockets are not late by as much as that can be seen.
            b.timer_slack = false;
        },
    },
    Change {
        since: release(4, 2, 0),
        backports: &[],
        what: "tcp/dccp: try to not exhaust ip_local_port_range in connect(); IP_BIND_ADDRESS_NO_PORT",
        apply: |b| {
            b.half_range = HalfRange::Reuse;
            b.connect_scan = ConnectScan::EvenStart;
            b.range_high = 60999;
            b.bind_address_no_port = true;
            b.delayed_ack_ms = 44;
        },
    },
    Change {
        since: release(4, 3, 0),
        backports: &[],
        what: "ipv6: Nonlocal bind",
        apply: |b| b.v6_foreign_bind = V6Foreign::Sysctl,
    },
    Change {
        since: release(4, 6, 0),
        backports: &[],
        what: "parity passes in bind(0) and connect(); reuseport groups for TCP",
        apply: |b| {
            b.bind_scan = BindScan::ParityShare;
            b.connect_scan = ConnectScan::Parity;
            b.reuseport_group_term = true;
        },
    },
    Change {
        since: release(4, 8, 0),
        backports: &[],
        what: "timers: switch to a non-cascading wheel",
        apply: |b| b.tw_timer = TwTimer::Grid,
    },
    Change {
        since: release(4, 9, 0),
        backports: &[],
        what: "tcp_fin_timeout per namespace",
        apply: |b| b.fin_timeout_scope = Scope::Netns,
    },
    Change {
        since: release(4, 10, 0),
        backports: &[],
        what: "bind(0): SO_REUSEPORT no longer joins; tcp_tw_reuse per namespace",
        apply: |b| {
            b.pair_rule = PairRule::ReuseportExplicitOnly;
            b.tw_reuse_scope = Scope::Netns;
            b.tw_recycle_scope = Scope::Netns;
        },
    },
    Change {
        since: release(4, 10, 0),
        backports: &[
            release(3, 18, 140),
            release(4, 1, 52),
            release(4, 4, 155),
            release(4, 9, 115),
        ],
        what: "ipv6: Inhibit IPv4-mapped src address on the wire",
        apply: |b| b.mapped_source_refused = true,
    },
    Change {
        since: release(4, 11, 0),
        backports: &[],
        what: "inet: kill smallest_size and smallest_port; reset fastreuseport; ip_unprivileged_port_start",
        apply: |b| {
            b.bind_scan = BindScan::Parity;
            b.touch = Touch::Inverted;
            b.reuseport_match = ReuseportMatch::SnapshotEitherWild;
            b.unprivileged_port_scope = Scope::Netns;
            b.range_above_unprivileged = true;
            b.max_tw_scope = Scope::Netns;
        },
    },
    Change {
        since: release(4, 12, 0),
        backports: &[],
        what: "tcp: remove tcp_tw_recycle",
        apply: |b| b.tw_recycle_scope = Scope::Absent,
    },
    Change {
        since: release(4, 14, 0),
        backports: &[],
        what: "tcp: fix the inverted test; tcp_timestamps per namespace; NAT searches from a random port",
        apply: |b| {
            b.nat_search = NatSearch::Scan;
            b.touch = Touch::Every;
            b.timestamps_scope = Scope::Netns;
        },
    },
    Change {
        since: release(4, 14, 0),
        backports: &[],
        what: "net: ipv4: set orig_oif based on fib result for local traffic",
        apply: |b| b.arrives_by_owner = true,
    },
    Change {
        since: release(4, 15, 0),
        backports: &[release(4, 9, 115), release(4, 14, 177)],
        what: "ipv6: set ipv6only before the conflict check; tcp_rfc1337 per namespace",
        apply: |b| b.v6only_before_check = true,
    },
    Change {
        since: release(4, 15, 0),
        backports: &[],
        what: "tcp_rfc1337 per namespace",
        apply: |b| b.rfc1337_scope = Scope::Netns,
    },
    Change {
        since: release(4, 18, 0),
        backports: &[release(4, 4, 155), release(4, 9, 115), release(4, 14, 177)],
        what: "TIME-WAIT copies SO_REUSEPORT",
        apply: |b| b.tw_copies_reuseport = true,
    },
    Change {
        since: release(4, 19, 0),
        backports: &[],
        what: "tcp_tw_reuse=2 for loopback, the default; age by the monotonic second",
        apply: |b| {
            b.tw_reuse = TwReuse::Loopback;
            b.tw_age = TwAge::NextSecond;
            b.tw_stamp_monotonic = true;
        },
    },
    Change {
        since: release(5, 0, 0),
        backports: &[],
        what: "netfilter: nat: limit port clash resolution attempts",
        apply: |b| b.nat_search = NatSearch::Limited,
    },
    Change {
        since: release(5, 0, 0),
        backports: &[
            release(4, 9, 152),
            release(4, 14, 95),
            release(4, 19, 17),
            release(4, 20, 4),
        ],
        what: "ipv6: Consider sk_bound_dev_if when binding a socket to an address",
        apply: |b| b.bind_checks_device = true,
    },
    Change {
        since: release(5, 0, 0),
        backports: &[],
        what: "HZ 250 as distributed",
        apply: |b| b.hz = 250,
    },
    Change {
        since: release(5, 1, 0),
        backports: &[],
        what: "net: introduce SO_BINDTOIFINDEX sockopt",
        apply: |b| b.bind_to_index = true,
    },
    Change {
        since: release(5, 4, 0),
        backports: &[],
        what: "net.core.somaxconn is 4096",
        apply: |b| b.somaxconn = 4096,
    },
    Change {
        since: release(5, 4, 0),
        backports: &[],
        what: "ipv4: Return -ENETUNREACH if we can't create route but saddr is valid",
        apply: |b| b.foreign_source = ForeignSource::Unreachable,
    },
    Change {
        since: release(5, 6, 0),
        backports: &[],
        what: "tcp: Reduce SYN resend delay if a suspicous ACK is received",
        apply: |b| b.syn_quick_retry = true,
    },
    Change {
        since: release(5, 7, 0),
        backports: &[],
        what: "tcp: bind(0) remove the SO_REUSEADDR restriction when ephemeral ports are exhausted",
        apply: |b| {
            b.pair_rule = PairRule::Split;
            b.autobind_reuse = true;
        },
    },
    Change {
        since: release(5, 7, 0),
        backports: &[release(5, 4, 214)],
        what: "reuseport snapshot: a wildcard newcomer does not match a specific address",
        apply: |b| b.reuseport_match = ReuseportMatch::SnapshotCovers,
    },
    Change {
        since: release(5, 7, 0),
        backports: &[],
        what: "net: core: enable SO_BINDTODEVICE for non-root users",
        apply: |b| b.device_for_users = true,
    },
    Change {
        since: release(5, 12, 0),
        backports: &[],
        what: "tcp: change source port randomization at connect() time",
        apply: |b| b.perturb = Perturb::Cells256,
    },
    Change {
        since: release(5, 18, 0),
        backports: &[
            release(5, 4, 214),
            release(5, 10, 223),
            release(5, 15, 100),
            release(4, 19, 250),
        ],
        what: "64-bit port hash, 65536 cells",
        apply: |b| b.perturb = Perturb::Cells65536,
    },
    Change {
        since: release(6, 1, 0),
        backports: &[],
        what: "net: Add a bhash2 table hashed by port and address",
        apply: |b| b.bhash2 = Bhash2::SameFamilyNoTw,
    },
    Change {
        since: release(6, 2, 0),
        backports: &[
            release(5, 10, 223),
            release(5, 15, 100),
            release(6, 0, 19),
            release(6, 1, 192),
        ],
        what: "dccp/tcp: reset saddr on failure after inet6?_hash_connect()",
        apply: |b| b.connect_resets_address = true,
    },
    Change {
        since: release(6, 2, 0),
        backports: &[],
        what: "tcp: Add TIME_WAIT sockets in bhash2",
        apply: |b| b.bhash2 = Bhash2::SameFamily,
    },
    Change {
        since: release(6, 3, 0),
        backports: &[release(6, 1, 192)],
        what: "inet: Add IP_LOCAL_PORT_RANGE socket option",
        apply: |b| b.local_port_range_option = true,
    },
    Change {
        since: release(6, 3, 0),
        backports: &[],
        what: "tcp: AF_INET binders see :: in bhash2",
        apply: |b| b.bhash2 = Bhash2::InetSeesAny6,
    },
    Change {
        since: release(6, 5, 0),
        backports: &[],
        what: "tcp: make the first N SYN RTO backoffs linear; NAT evicts closing TCP flows",
        apply: |b| {
            b.syn_linear = 4;
            b.nat_evicts = true;
        },
    },
    Change {
        since: release(6, 6, 0),
        backports: &[],
        what: "tcp: AF_INET binders see ::ffff:0.0.0.0 in bhash2",
        apply: |b| b.bhash2 = Bhash2::InetSeesMapped,
    },
    Change {
        since: release(6, 8, 0),
        backports: &[],
        what: "tcp: owners live in bhash2 only; connect() steps by one with IP_LOCAL_PORT_RANGE",
        apply: |b| {
            b.bhash2 = Bhash2::Unified;
            b.touch = Touch::NeverFirst;
            b.local_port_range_step_one = true;
        },
    },
    Change {
        since: release(6, 9, 0),
        backports: &[
            release(4, 19, 314),
            release(5, 4, 276),
            release(5, 10, 217),
            release(5, 15, 159),
            release(6, 1, 91),
            release(6, 6, 31),
        ],
        what: "tcp: defer shutdown(SEND_SHUTDOWN) for TCP_SYN_RECV sockets",
        apply: |b| b.shutdown_after_handshake = true,
    },
    Change {
        since: release(6, 12, 0),
        // The release of 6.6 that took it was not read; those before and after it have it.
        backports: &[
            release(5, 10, 262),
            release(5, 15, 224),
            release(6, 1, 176),
            release(6, 6, u16::MAX),
        ],
        what: "tcp: avoid reusing FIN_WAIT2 when trying to find port in connect() process",
        apply: |b| b.tw_reuse_not_fin_wait2 = true,
    },
    Change {
        since: release(6, 12, 0),
        backports: &[],
        what: "tcp: mapped binders skip ipv6only owners in bhash2",
        apply: |b| b.bhash2 = Bhash2::UnifiedV6Only,
    },
    Change {
        since: release(6, 14, 0),
        backports: &[],
        what: "tcp: Add sysctl to configure TIME-WAIT reuse delay",
        apply: |b| b.tw_age = TwAge::Millis,
    },
    Change {
        since: release(6, 15, 0),
        backports: &[],
        what: "tcp: add tcp_rto_max_ms sysctl",
        apply: |b| b.rto_max_setting = true,
    },
    Change {
        since: release(6, 17, 0),
        backports: &[release(6, 16, 1)],
        what: "net: the uid stays with the socket",
        apply: |b| b.uid_kept = true,
    },
    Change {
        since: release(6, 18, 0),
        backports: &[release(6, 17, 8)],
        what: "tcp: Update bind bucket state on port release",
        apply: |b| b.recompute_on_release = true,
    },
    Change {
        since: release(7, 1, 0),
        backports: &[],
        what: "ip_local_port_step_width",
        apply: |b| b.port_step_width = true,
    },
    // The 6.1 long-term branch took the whole address table of 6.2 and later in one go, with a
    // family of its own for entries that AF_INET6 sockets make. It has no mainline release.
    Change {
        since: release(u16::MAX, 0, 0),
        backports: &[release(6, 1, 192)],
        what: "bhash2 as the 6.1 branch has it",
        apply: |b| b.bhash2 = Bhash2::CreatorFamily,
    },
];
