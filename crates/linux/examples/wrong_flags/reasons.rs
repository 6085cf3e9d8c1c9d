//! Reasons why some wrong values are not detected.

/// A behaviour, one wrong value of it or `None` for all, and the reason why programs on a current
/// kernel do not show it.
type Reason = (&'static str, Option<&'static str>, &'static str);

const REASONS: &[Reason] = &[
    (
        "bhash2",
        Some("by address; AF_INET also sees :: and ::ffff:0.0.0.0"),
        "it finds the same owners by another path",
    ),
    (
        "bind_checks_device",
        None,
        "no random program binds a socket to another device than `lo`",
    ),
    (
        "bind_shares",
        None,
        "the port selection that uses it is gone since 4.6",
    ),
    (
        "bsockets_check",
        None,
        "the port selection that uses it is gone since 4.6",
    ),
    (
        "child_counted",
        None,
        "the count of owners is gone since 4.11",
    ),
    (
        "delayed_ack_ms",
        None,
        "an acknowledgement may come at any time up to the longest delay: a longer one shows only where the kernel acknowledges at once and \
         a program looks within 30 ms of the end of a timer that this starts",
    ),
    (
        "fastuid_zeroed",
        None,
        "the uid is compared only once it has been written",
    ),
    (
        "hz",
        None,
        "a timer of 3 s fires up to 256 ms late with 250 ticks a second and up to 128 ms late with 500, but what it waits for may be late by \
         44 ms and a busy machine's clock by 60 ms, twice; only timers of 17 s and more tell them apart, for which programs on the running \
         kernel do not wait",
    ),
    (
        "nat_evicts",
        None,
        "no random program sends packets through a NAT host",
    ),
    (
        "nat_search",
        None,
        "no random program sends packets through a NAT host",
    ),
    (
        "pair_rule_v6_strict",
        None,
        "the rule since 5.7 is the same for both families: the model only computes it by another path",
    ),
    (
        "perturb",
        None,
        "the start of a port selection depends on a secret, so that every start is allowed with each value",
    ),
    (
        "rescan_any_uid",
        None,
        "the port selection that uses it is gone since 4.11",
    ),
    (
        "rto_max_setting",
        None,
        "no random program writes tcp_rto_max_ms",
    ),
    (
        "somaxconn",
        None,
        "it takes a listener with a backlog above 4,096 and as many connections that are not accepted",
    ),
    (
        "timer_slack",
        None,
        "only the wheel of kernels up to 4.0 asks for it",
    ),
    (
        "tw_copies_reuseport",
        None,
        "without it the bit is undefined memory, so that both answers are allowed",
    ),
    (
        "tw_recycle_scope",
        Some("machine-wide, first namespace only"),
        "in a namespace of its own such a key is as absent as one that does not exist",
    ),
    (
        "tw_stamp_monotonic",
        None,
        "the stamp is 0 in the first second after boot only, and programs begin later",
    ),
    (
        "udp_reuseport_decides",
        None,
        "the programs of this page have no UDP sockets; `fuzz --protocol udp` checks them",
    ),
    (
        "udp_reuseport_groups",
        None,
        "the programs of this page have no UDP sockets; `fuzz --protocol udp` checks them",
    ),
    (
        "udp_wildcard_misses",
        None,
        "the programs of this page have no UDP sockets; `fuzz --protocol udp` checks them",
    ),
];

/// The reason why a wrong value is not detected, if it is known.
pub(crate) fn reason(name: &str, value: &str) -> Option<&'static str> {
    REASONS
        .iter()
        .find(|(n, v, _)| *n == name && v.is_none_or(|v| v == value))
        .map(|(_, _, why)| *why)
}
