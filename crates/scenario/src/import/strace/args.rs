//! The arguments of socket calls: descriptors, addresses, options.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::model::SocketOption;
use crate::value::{Linger, PortRange};

/// A file descriptor, which `-y` and `-yy` decorate: `3<TCP:[127.0.0.1:5000]>`.
pub(super) fn fd(text: &str) -> Option<u32> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    (rest.is_empty() || rest.starts_with('<')).then(|| number.parse().ok())?
}

/// A socket address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Inet(SocketAddr),
    /// `AF_UNSPEC`: connect() with it dissolves a connection.
    Unspec,
    /// Another family.
    Other,
}

/// `{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}`; none for `NULL` and what is not
/// printed as an address, such as the pointer of a call that failed.
pub(super) fn address(text: &str) -> Option<Address> {
    let family = after(text, "sa_family=")?;
    let family = family.split([',', '}']).next()?.trim();
    match family {
        "AF_INET" => {
            let ip: Ipv4Addr = quoted(after(text, "inet_addr(")?)?.parse().ok()?;
            Some(Address::Inet(SocketAddr::new(IpAddr::V4(ip), port(text)?)))
        }
        "AF_INET6" => {
            let ip: Ipv6Addr = quoted(after(text, "inet_pton(AF_INET6,")?)?.parse().ok()?;
            // On the wire, a mapped address is an IPv4 one; the socket keeps its own family.
            Some(Address::Inet(SocketAddr::new(IpAddr::V6(ip), port(text)?)))
        }
        "AF_UNSPEC" => Some(Address::Unspec),
        _ => Some(Address::Other),
    }
}

fn port(text: &str) -> Option<u16> {
    after(text, "_port=htons(")?
        .split(')')
        .next()?
        .trim()
        .parse()
        .ok()
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark).map(|(_, rest)| rest)
}

fn quoted(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix('"')?.split('"').next()
}

/// The value in `[1]`.
pub(super) fn number(text: &str) -> Option<i64> {
    // Without brackets it is a pointer, whose target strace could not read.
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    match inner.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => inner.parse().ok(),
    }
}

/// A setsockopt call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// It decides about ports.
    Option(SocketOption),
    /// It does not, or is not known to; by its name.
    Other(String),
    /// It ought to decide about ports, but its value cannot be read.
    Unclear,
}

/// The option of `setsockopt(fd, level, name, value, len)`.
pub(super) fn setting(level: &str, name: &str, value: &str) -> Setting {
    let on = || number(value).map(|value| value != 0);
    let int = || number(value).and_then(|value| i32::try_from(value).ok());
    // strace prints the number of an option that it does not know: `0x33 /* IP_??? */`.
    let name = name.split_whitespace().next().unwrap_or_default();
    let made = match (level, name) {
        ("SOL_SOCKET", "SO_REUSEADDR") => on().map(SocketOption::ReuseAddr),
        ("SOL_SOCKET", "SO_REUSEPORT") => on().map(SocketOption::ReusePort),
        ("SOL_SOCKET", "SO_LINGER") => linger(value).map(SocketOption::Linger),
        ("SOL_SOCKET", "SO_BINDTODEVICE") => device(value).map(SocketOption::BindToDevice),
        ("SOL_SOCKET", "SO_ATTACH_REUSEPORT_CBPF") => Some(SocketOption::AttachReuseportCbpf(true)),
        ("SOL_IP", "IP_BIND_ADDRESS_NO_PORT" | "0x18") => on().map(SocketOption::BindAddressNoPort),
        ("SOL_IP", "IP_LOCAL_PORT_RANGE" | "0x33") => {
            slice(value).map(SocketOption::LocalPortRange)
        }
        ("SOL_IP", "IP_FREEBIND") => on().map(SocketOption::FreeBind),
        ("SOL_IP", "IP_TRANSPARENT") => on().map(SocketOption::Transparent),
        ("SOL_IPV6", "IPV6_V6ONLY") => on().map(SocketOption::V6Only),
        ("SOL_IPV6", "IPV6_FREEBIND") => on().map(SocketOption::FreeBind),
        ("SOL_IPV6", "IPV6_TRANSPARENT") => on().map(SocketOption::Transparent),
        ("SOL_TCP", "TCP_LINGER2") => int().map(SocketOption::TcpLinger2),
        ("SOL_TCP", "TCP_REPAIR") => on().map(SocketOption::TcpRepair),
        ("SOL_TCP", "TCP_SYNCNT") => number(value)
            .and_then(|count| u8::try_from(count).ok())
            .map(SocketOption::TcpSyncnt),
        _ => {
            let word: String = name
                .chars()
                .take(40)
                .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            return Setting::Other(word);
        }
    };
    made.map_or(Setting::Unclear, Setting::Option)
}

/// `{l_onoff=1, l_linger=0}`
fn linger(value: &str) -> Option<Linger> {
    let field = |mark: &str| {
        let text = after(value, mark)?.split([',', '}']).next()?;
        text.trim().parse::<i64>().ok()
    };
    match (field("l_onoff=")?, field("l_linger=")?) {
        (0, _) => Some(Linger::Off),
        (_, 0) => Some(Linger::Reset),
        (_, seconds) => u32::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds <= 86_400)
            .map(Linger::Seconds),
    }
}

/// `"lo"` or `"lo\0"`
fn device(value: &str) -> Option<String> {
    let name = quoted(value)?.split('\\').next()?;
    let fits = name.len() < 16 && name.bytes().all(|b| b.is_ascii_graphic() && b != b'$');
    fits.then(|| name.to_owned())
}

/// The high port in the upper half of the word, the low one in the lower.
fn slice(value: &str) -> Option<PortRange> {
    // As int it may be printed as a negative number.
    let word = number(value)? as u64 & 0xffff_ffff;
    let (high, low) = (
        u16::try_from(word >> 16).ok()?,
        u16::try_from(word & 0xffff).ok()?,
    );
    (high == 0 || low <= high).then(|| PortRange::new(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families() {
        let v4 = r#"{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}"#;
        assert_eq!(
            address(v4),
            Some(Address::Inet("127.0.0.1:80".parse().unwrap()))
        );
        let v6 = r#"{sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}"#;
        assert_eq!(
            address(v6),
            Some(Address::Inet("[::1]:80".parse().unwrap()))
        );
        assert_eq!(
            address("{sa_family=AF_UNIX, sun_path=\"/x\"}"),
            Some(Address::Other)
        );
        assert_eq!(address("NULL"), None);
    }

    #[test]
    fn options_are_read() {
        let range = Setting::Option(SocketOption::LocalPortRange(PortRange::new(40000, 40003)));
        let word = (i64::from(40003) << 16) | 40000;
        assert_eq!(
            setting("SOL_IP", "0x33 /* IP_??? */", &format!("[{word}]")),
            range
        );
        assert_eq!(
            setting(
                "SOL_IP",
                "IP_LOCAL_PORT_RANGE",
                &format!("[{}]", word as i32)
            ),
            range
        );
        assert_eq!(
            setting("SOL_TCP", "TCP_NODELAY", "[1]"),
            Setting::Other("TCP_NODELAY".to_owned())
        );
        assert_eq!(
            setting("SOL_SOCKET", "SO_REUSEADDR", "[1]"),
            Setting::Option(SocketOption::ReuseAddr(true))
        );
        assert_eq!(
            setting("SOL_SOCKET", "SO_REUSEADDR", "0x7ff"),
            Setting::Unclear
        );
        assert_eq!(
            setting("SOL_SOCKET", "SO_LINGER", "{l_onoff=1, l_linger=0}"),
            Setting::Option(SocketOption::Linger(Linger::Reset))
        );
    }

    #[test]
    fn descriptors_may_be_decorated() {
        assert_eq!(fd("3"), Some(3));
        assert_eq!(fd("3<TCP:[1->2]>"), Some(3));
        assert_eq!(fd("-1"), None);
        assert_eq!(fd("3x"), None);
    }
}
