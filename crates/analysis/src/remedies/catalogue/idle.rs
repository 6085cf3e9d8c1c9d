//! Reasons why a fix has no effect, by the rule that still refuses.

use fourtuple_kernel::Rule;

/// Settings about TIME-WAIT.
pub(super) fn time_wait(rule: Option<Rule>) -> &'static str {
    match rule {
        Some(Rule::ConnectSkipFastreuse) => {
            "connect() skips every bucket that bind() made before it looks at a 4-tuple, so it never reaches a TIME-WAIT there"
        }
        Some(
            Rule::BindNoFreePort
            | Rule::BindConflict
            | Rule::ListenConflict
            | Rule::ListenNoFreePort,
        ) => "bind() and listen() ignore it: only connect() takes a TIME-WAIT over",
        Some(Rule::ConnectTupleTaken | Rule::ConnectBoundTuple) => {
            "the 4-tuples are held by live connections; none of them is in TIME-WAIT"
        }
        Some(Rule::ConnectTupleTimeWait) => {
            "the TIME-WAITs do not qualify: too young, without timestamps, or not on a loopback address"
        }
        Some(Rule::NatDrop | Rule::NatQuota) => {
            "the port is held by an entry of the NAT host, which outlives the client's TIME-WAIT"
        }
        _ => "no TIME-WAIT causes this refusal",
    }
}

/// SO_REUSEADDR and SO_REUSEPORT of programs that connect.
pub(super) fn sharing(rule: Option<Rule>) -> &'static str {
    match rule {
        Some(Rule::ConnectSkipFastreuse) => {
            "the option lets sockets share that call bind(); a connect() without bind skips the bucket all the same"
        }
        Some(Rule::ConnectTupleTaken | Rule::ConnectTupleTimeWait) => {
            "no bind() here could share a port; connect() decides by the 4-tuple"
        }
        _ => "for ephemeral ports both owners would have to share, and their addresses overlap",
    }
}

/// IP_BIND_ADDRESS_NO_PORT.
pub(super) fn late_choice(_: Option<Rule>) -> &'static str {
    "the option leaves the choice of the port to connect(), which skips the same buckets"
}
