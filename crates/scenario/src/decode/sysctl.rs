//! Decoding of sysctls: checks names, normalises values to the kernel's spelling.

use crate::diagnostic::quoted;
use crate::model::Sysctls;
use crate::suggest::nearest;
use crate::value::{PortRange, Word};
use crate::yaml::Node;

use super::Problems;
use super::fields::entries;
use super::values::{text, word};

const RANGE: &str = "net.ipv4.ip_local_port_range";

/// Sysctls that affect ports. Other names under `net.` are accepted, because the set depends on the
/// kernel. A name close to one of these is reported as a typo.
const KNOWN: &[&str] = &[
    RANGE,
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_autobind_reuse",
    "net.ipv4.ip_nonlocal_bind",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_tw_reuse_delay",
    "net.ipv4.tcp_tw_recycle",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_rfc1337",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_syn_retries",
    "net.ipv4.tcp_synack_retries",
    "net.ipv4.tcp_migrate_req",
    "net.ipv4.tcp_l3mdev_accept",
    "net.ipv4.tcp_orphan_retries",
    "net.ipv4.tcp_max_orphans",
    "net.ipv6.bindv6only",
    "net.ipv6.ip_nonlocal_bind",
    "net.ipv4.ip_local_port_step_width",
    "net.ipv4.tcp_rto_max_ms",
    "net.ipv4.tcp_syn_linear_timeouts",
    "net.ipv4.tcp_retries1",
    "net.ipv4.tcp_retries2",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.lo.disable_ipv6",
    "net.ipv6.conf.default.disable_ipv6",
    "net.core.somaxconn",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_loose",
    "net.netfilter.nf_conntrack_tcp_timeout_syn_sent",
    "net.netfilter.nf_conntrack_tcp_timeout_syn_recv",
    "net.netfilter.nf_conntrack_tcp_timeout_established",
    "net.netfilter.nf_conntrack_tcp_timeout_fin_wait",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
    "net.netfilter.nf_conntrack_tcp_timeout_last_ack",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
    "net.netfilter.nf_conntrack_tcp_timeout_close",
    "net.netfilter.nf_conntrack_tcp_timeout_unacknowledged",
];

/// The directories of `/proc/sys` beside `net`. Ports do not depend on them; they are accepted so
/// that an administrator's settings can be pasted unchanged.
const TREES: &[&str] = &[
    "abi", "crypto", "debug", "dev", "fs", "kernel", "sunrpc", "user", "vm",
];

/// Decodes the value of `sysctl`.
pub(crate) fn sysctls(node: &Node, problems: &mut Problems<'_>) -> Option<Sysctls> {
    let mut all = Sysctls::new();
    for (key, value) in entries(node, "a map of sysctls", problems)? {
        // Computing suggestions takes time, and problems beyond the limit are not shown.
        if problems.is_full() {
            break;
        }
        let name = &*key.text;
        if !KNOWN.contains(&name) && !check_name(key, problems) {
            continue;
        }
        let text = if name == RANGE {
            word::<PortRange>(value, problems).map(|range| format!("{} {}", range.low, range.high))
        } else {
            text(value, "the value of the sysctl", problems).map(|text| text.trim().to_owned())
        };
        if let Some(text) = text {
            if text.is_empty() || text.len() > 1024 || text.chars().any(char::is_control) {
                let message = format!("invalid value for {}", quoted(name));
                problems.report(value.span, message, "a short text on one line", None);
                continue;
            }
            all.insert(name.to_owned(), text);
        }
    }
    Some(all)
}

fn check_name(key: &crate::yaml::Key, problems: &mut Problems<'_>) -> bool {
    let name = &*key.text;
    let parts: Vec<&str> = name.split('.').collect();
    let part = |part: &&str| {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        !part.is_empty() && part.chars().all(word)
    };
    let shape = match parts[..] {
        ["net", _, _, ..] | ["net", "nf_conntrack_max"] => parts.iter().all(part),
        [tree, _, ..] => TREES.contains(&tree) && parts.iter().all(part),
        _ => false,
    };
    let near = nearest(name, KNOWN.iter().copied()).or_else(|| {
        KNOWN
            .iter()
            .copied()
            .find(|known| known.ends_with(&format!(".{name}")))
    });
    // Reports a typo only within an edit distance of 2. Anything else may be a sysctl that is not
    // listed here.
    if shape && near.is_none_or(|near| strsim::levenshtein(near, name) > 2) {
        return true;
    }
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write the full name with dots, such as `{RANGE}`"),
    };
    problems.report(
        key.span,
        format!("unknown sysctl {}", quoted(name)),
        "the name of a sysctl, such as `net.core.somaxconn`",
        Some(help),
    );
    false
}

/// Formats a sysctl's value as a scenario writes it.
pub(crate) fn written(name: &str, value: &str) -> String {
    match (name, PortRange::parse(value)) {
        (RANGE, Ok(range)) => range.to_string(),
        _ => value.to_owned(),
    }
}
