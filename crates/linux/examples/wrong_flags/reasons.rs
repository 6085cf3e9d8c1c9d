//! Why some wrong values are not found.

/// A behaviour, a wrong value of it or none for all of them, and why programs on a kernel of today do not show it.
type Reason = (&'static str, Option<&'static str>, &'static str);

const REASONS: &[Reason] = &[
    (
        "bhash2",
        Some("one owner list per port"),
        "TIME-WAIT, wildcards and both families are seen in one list as well; only IPV6_V6ONLY next to a mapped address tells them apart",
    ),
    (
        "bhash2",
        Some("by address; AF_INET also sees :: and ::ffff:0.0.0.0"),
        "it finds the same owners in another way",
    ),
    (
        "bind_shares",
        None,
        "the search that asks for it is gone since 4.6",
    ),
    (
        "bsockets_check",
        None,
        "the search that asks for it is gone since 4.6",
    ),
    (
        "child_counted",
        None,
        "the count of owners is gone since 4.11",
    ),
    (
        "delayed_ack_ms",
        None,
        "an acknowledgement may come at any time up to the longest delay, so that a longer one allows all that a shorter one does",
    ),
    (
        "fastuid_zeroed",
        None,
        "the uid is compared only once it has been written",
    ),
    (
        "hz",
        None,
        "steps of the timer wheel of 250 and of 500 ticks differ by less than a busy machine's clock",
    ),
    (
        "pair_rule_v6_strict",
        None,
        "the rule of 5.7 has no strict mode for one family",
    ),
    (
        "perturb",
        None,
        "where a search starts hangs on a secret, so that every start is allowed with each of them",
    ),
    (
        "rescan_any_uid",
        None,
        "the search that asks for it is gone since 4.11",
    ),
    (
        "reuseport_group_term",
        None,
        "the rule that asks for it is gone since 5.14",
    ),
    (
        "somaxconn",
        None,
        "it needs 4,097 connections that nobody accepts",
    ),
    (
        "syn_linear",
        None,
        "the fifth repetition of a SYN comes after 5 s, and programs on the running kernel wait 0.4 s for an answer",
    ),
    (
        "syn_mute",
        None,
        "the other end of a connection that left no stand-in must still be open",
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
        "the age of a stand-in no longer hangs on the stamp since 6.14",
    ),
    (
        "tw_timer",
        None,
        "TIME-WAIT lasts a minute, and programs on the running kernel sleep for a few seconds at most; the virtual machine's measure it to the tick",
    ),
];

/// Why a wrong value is not found, where that is known.
pub(crate) fn reason(name: &str, value: &str) -> Option<&'static str> {
    REASONS
        .iter()
        .find(|(n, v, _)| *n == name && v.is_none_or(|v| v == value))
        .map(|(_, _, why)| *why)
}
