//! Names of constants, and strings, as printed by strace and `perf trace`.

/// The name of a constant that is printed as a number (`-X raw`), a name, or both (`-X verbose`).
///
/// Numbers that are not in the table stay numbers.
pub(super) fn constant(kind: Kind, text: &str) -> &str {
    let text = text.trim();
    if let Some((number, rest)) = text.split_once("/*") {
        let name = rest.trim_end().trim_end_matches("*/").trim();
        // strace prints `?` for a number that it does not know.
        if !name.contains('?') {
            return name;
        }
        return named(kind, number.trim());
    }
    named(kind, text)
}

/// The group of a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Family,
    Type,
    Protocol,
    Level,
    SocketOption,
    IpOption,
    Ipv6Option,
    TcpOption,
}

const NAMES: &[(Kind, u64, &str)] = &[
    (Kind::Family, 0, "AF_UNSPEC"),
    (Kind::Family, 1, "AF_UNIX"),
    (Kind::Family, 2, "AF_INET"),
    (Kind::Family, 10, "AF_INET6"),
    (Kind::Type, 1, "SOCK_STREAM"),
    (Kind::Type, 2, "SOCK_DGRAM"),
    (Kind::Protocol, 0, "IPPROTO_IP"),
    (Kind::Protocol, 6, "IPPROTO_TCP"),
    (Kind::Level, 0, "SOL_IP"),
    (Kind::Level, 1, "SOL_SOCKET"),
    (Kind::Level, 6, "SOL_TCP"),
    (Kind::Level, 41, "SOL_IPV6"),
    (Kind::SocketOption, 2, "SO_REUSEADDR"),
    (Kind::SocketOption, 4, "SO_ERROR"),
    (Kind::SocketOption, 13, "SO_LINGER"),
    (Kind::SocketOption, 15, "SO_REUSEPORT"),
    (Kind::SocketOption, 25, "SO_BINDTODEVICE"),
    (Kind::SocketOption, 51, "SO_ATTACH_REUSEPORT_CBPF"),
    (Kind::IpOption, 15, "IP_FREEBIND"),
    (Kind::IpOption, 19, "IP_TRANSPARENT"),
    (Kind::IpOption, 24, "IP_BIND_ADDRESS_NO_PORT"),
    (Kind::IpOption, 51, "IP_LOCAL_PORT_RANGE"),
    (Kind::Ipv6Option, 26, "IPV6_V6ONLY"),
    (Kind::Ipv6Option, 75, "IPV6_TRANSPARENT"),
    (Kind::Ipv6Option, 78, "IPV6_FREEBIND"),
    (Kind::TcpOption, 7, "TCP_SYNCNT"),
    (Kind::TcpOption, 8, "TCP_LINGER2"),
    (Kind::TcpOption, 19, "TCP_REPAIR"),
];

/// Names without their prefix, as `perf trace` prints them.
const BARE: &[(&str, &str)] = &[
    ("INET", "AF_INET"),
    ("INET6", "AF_INET6"),
    ("UNSPEC", "AF_UNSPEC"),
    ("LOCAL", "AF_UNIX"),
    ("UNIX", "AF_UNIX"),
    ("STREAM", "SOCK_STREAM"),
    ("DGRAM", "SOCK_DGRAM"),
    ("IP", "IPPROTO_IP"),
    ("TCP", "IPPROTO_TCP"),
    ("SOCKET", "SOL_SOCKET"),
    ("REUSEADDR", "SO_REUSEADDR"),
    ("REUSEPORT", "SO_REUSEPORT"),
    ("PF_INET", "AF_INET"),
    ("PF_INET6", "AF_INET6"),
];

fn named(kind: Kind, text: &str) -> &str {
    if let Some(number) = integer(text) {
        let same = |(of, value, _): &&(Kind, u64, &str)| *of == kind && *value == number;
        return NAMES.iter().find(same).map_or(text, |(_, _, name)| name);
    }
    let bare = BARE.iter().find(|(bare, _)| *bare == text);
    bare.map_or(text, |(_, name)| name)
}

/// The kind of the options of a level.
pub(super) fn options_of(level: &str) -> Option<Kind> {
    match level {
        "SOL_SOCKET" => Some(Kind::SocketOption),
        "SOL_IP" => Some(Kind::IpOption),
        "SOL_IPV6" => Some(Kind::Ipv6Option),
        "SOL_TCP" => Some(Kind::TcpOption),
        _ => None,
    }
}

/// Parses a number, decimal or hexadecimal.
pub(super) fn integer(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Parses the bytes of a quoted string with its escapes (`-xx` escapes every byte).
pub(super) fn string(text: &str) -> Option<Vec<u8>> {
    let mut chars = text.trim_start().strip_prefix('"')?.chars().peekable();
    let mut bytes = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Some(bytes),
            '\\' => match chars.next()? {
                'x' => {
                    let high = chars.next()?.to_digit(16)?;
                    let low = chars.next()?.to_digit(16)?;
                    bytes.push(u8::try_from(high * 16 + low).ok()?);
                }
                digit @ '0'..='7' => {
                    let mut value = digit.to_digit(8)?;
                    for _ in 0..2 {
                        let Some(next) = chars.peek().and_then(|c| c.to_digit(8)) else {
                            break;
                        };
                        value = value * 8 + next;
                        chars.next();
                    }
                    bytes.push(u8::try_from(value).ok()?);
                }
                other => bytes.push(match other {
                    'n' => b'\n',
                    't' => b'\t',
                    'r' => b'\r',
                    'v' => 11,
                    'f' => 12,
                    other => u8::try_from(other).ok()?,
                }),
            },
            other => bytes.extend(other.to_string().bytes()),
        }
    }
    None
}

/// The name of an errno that is printed as a number, for the results of connect().
pub(super) fn errno(text: &str) -> &str {
    match text {
        "98" => "EADDRINUSE",
        "99" => "EADDRNOTAVAIL",
        "101" => "ENETUNREACH",
        "104" => "ECONNRESET",
        "110" => "ETIMEDOUT",
        "111" => "ECONNREFUSED",
        "113" => "EHOSTUNREACH",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_have_one_name() {
        for text in ["AF_INET", "PF_INET", "0x2", "0x2 /* AF_INET */", "INET"] {
            assert_eq!(constant(Kind::Family, text), "AF_INET", "{text}");
        }
        let unknown = "0x33 /* IP_??? */";
        assert_eq!(constant(Kind::IpOption, unknown), "IP_LOCAL_PORT_RANGE");
        assert_eq!(constant(Kind::TcpOption, "0x1"), "0x1");
    }

    #[test]
    fn strings_have_escapes() {
        assert_eq!(string(r#""\x31\x32" rest"#).as_deref(), Some(&b"12"[..]));
        assert_eq!(
            string(r#""\177\0\0\1""#).as_deref(),
            Some(&[127, 0, 0, 1][..])
        );
        assert_eq!(string(r#""lo\0""#).as_deref(), Some(&b"lo\0"[..]));
        assert_eq!(string("\"open"), None);
    }
}
