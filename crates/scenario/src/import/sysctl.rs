//! The sysctls of `sysctl -a` that affect ports.

use crate::model::Sysctls;
use crate::value::PortRange;

use super::ImportError;
use super::notes::Notes;

/// The name of the sysctl of the ephemeral port range.
pub(crate) const RANGE: &str = "net.ipv4.ip_local_port_range";

/// The sysctls that affect ports. `sysctl -a` prints a thousand others, which are ignored.
const WANTED: &[&str] = &[
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
    "net.ipv4.tcp_syn_retries",
    "net.ipv6.bindv6only",
    "net.ipv6.ip_nonlocal_bind",
    "net.core.somaxconn",
];

/// Defaults that are equal on all kernels and can be omitted. Other defaults differ between
/// kernels.
const USUAL: &[(&str, &str)] = &[
    ("net.ipv4.ip_local_reserved_ports", ""),
    ("net.ipv4.ip_autobind_reuse", "0"),
    ("net.ipv4.ip_nonlocal_bind", "0"),
    ("net.ipv4.ip_unprivileged_port_start", "1024"),
    ("net.ipv4.tcp_tw_recycle", "0"),
    ("net.ipv4.tcp_tw_reuse_delay", "1000"),
    ("net.ipv4.tcp_timestamps", "1"),
    ("net.ipv4.tcp_fin_timeout", "60"),
    ("net.ipv4.tcp_rfc1337", "0"),
    ("net.ipv6.bindv6only", "0"),
    ("net.ipv6.ip_nonlocal_bind", "0"),
];

/// Parses lines of `name = value`, `name: value` or `name value`.
pub(crate) fn read(text: &str, notes: &mut Notes) -> Result<Sysctls, ImportError> {
    super::check_size(text)?;
    let mut found = Sysctls::new();
    let mut any = false;
    for (n, line) in super::lines(text, notes) {
        let line = line.trim();
        let cut = line.find(|c: char| c == '=' || c == ':' || c.is_whitespace());
        let Some((name, value)) = cut.and_then(|at| line.split_at_checked(at)) else {
            continue;
        };
        let name = name.replace('/', ".");
        let value = value.trim_start_matches(|c: char| c == '=' || c == ':' || c.is_whitespace());
        let Some(wanted) = WANTED.iter().find(|wanted| **wanted == name) else {
            continue;
        };
        any = true;
        match clean(wanted, value) {
            Cleaned::Value(value) => {
                found.insert((*wanted).to_owned(), value);
            }
            Cleaned::Default => {}
            Cleaned::Invalid => notes.odd_sysctl(n, line),
        }
    }
    if !any {
        return Err(ImportError::new(
            "no sysctl that affects ports in this text",
            "capture it with `sysctl -a 2>/dev/null | grep '^net\\.'`, in the network namespace that was captured",
        ));
    }
    Ok(found)
}

/// The value of a sysctl, as far as a scenario needs it.
enum Cleaned {
    Value(String),
    /// A default, which can be omitted.
    Default,
    /// A value that a scenario cannot contain.
    Invalid,
}

/// Normalises a value to the kernel's spelling.
fn clean(name: &str, value: &str) -> Cleaned {
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    if value.is_empty() || USUAL.contains(&(name, value.as_str())) {
        return Cleaned::Default;
    }
    if name == RANGE {
        return match range(&value) {
            Some(range) => Cleaned::Value(format!("{} {}", range.low, range.high)),
            None => Cleaned::Invalid,
        };
    }
    // Accepts numbers, and lists and ranges of them. Anything else, such as `${`, could be scenario
    // syntax.
    let numbers = |c: char| c.is_ascii_digit() || " ,-".contains(c);
    if value.len() > 1024 || !value.chars().all(numbers) {
        return Cleaned::Invalid;
    }
    Cleaned::Value(value)
}

fn range(value: &str) -> Option<PortRange> {
    let mut parts = value.split(|c: char| c.is_whitespace() || c == '-');
    let low: u16 = parts.next()?.parse().ok()?;
    let high: u16 = parts.next()?.parse().ok()?;
    (low > 0 && low <= high).then(|| PortRange::new(low, high))
}

/// The ephemeral port range that some sysctls set.
pub(crate) fn range_of(sysctls: &Sysctls) -> Option<PortRange> {
    sysctls.get(RANGE).and_then(|value| range(value))
}

/// Returns `true` for a reserved port: connect() and bind(0) never choose it.
pub(crate) fn reserves(sysctls: &Sysctls, port: u16) -> bool {
    let Some(value) = sysctls.get("net.ipv4.ip_local_reserved_ports") else {
        return false;
    };
    value.split(',').any(|part| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        match (low.trim().parse::<u16>(), high.trim().parse::<u16>()) {
            (Ok(low), Ok(high)) => (low..=high).contains(&port),
            _ => false,
        }
    })
}
