//! The arguments of socket calls: descriptors, addresses, options.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fourtuple_syscall::{OptId, OptValue, PortRange, Shape, ShortName, SockOpt};

use super::constants::{self, Kind, constant};
use crate::value::{Family, SocketType};

/// Parses a file descriptor, which `-y` and `-yy` annotate: `3<TCP:[127.0.0.1:5000]>`.
pub(super) fn fd(text: &str) -> Option<u32> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    (rest.is_empty() || rest.starts_with('<')).then(|| number.parse().ok())?
}

/// The annotation of a descriptor by `-y` and `-yy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoration {
    /// No annotation, or one that does not identify the file.
    None,
    /// A TCP or UDP socket, with its local address and its peer if they are printed.
    Inet(SocketType, Family, Option<SocketAddr>, Option<SocketAddr>),
    /// A file, or a socket of another kind.
    Other,
}

/// Parses the annotation of a descriptor.
pub(super) fn decoration(text: &str) -> Decoration {
    let inside = text
        .split_once('<')
        .and_then(|(_, rest)| rest.strip_suffix('>'));
    let Some(inside) = inside else {
        return Decoration::None;
    };
    let (kind, family, rest) = match inside.split_once(":[") {
        Some(("TCP", rest)) => (SocketType::Stream, Family::Inet, rest),
        Some(("TCPv6", rest)) => (SocketType::Stream, Family::Inet6, rest),
        Some(("UDP", rest)) => (SocketType::Dgram, Family::Inet, rest),
        Some(("UDPv6", rest)) => (SocketType::Dgram, Family::Inet6, rest),
        Some(("socket", _)) => return Decoration::None,
        _ => return Decoration::Other,
    };
    let rest = rest.strip_suffix(']').unwrap_or(rest);
    let (local, peer) = match rest.split_once("->") {
        Some((local, peer)) => (local.parse().ok(), peer.parse().ok()),
        None => (rest.parse().ok(), None),
    };
    Decoration::Inet(kind, family, local, peer)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Inet(SocketAddr),
    /// A link-local address, which needs a scope.
    Scoped,
    /// `AF_UNSPEC`: connect() with it dissolves a connection.
    Unspec,
    /// Another family.
    Other,
}

/// Parses `{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}` in any format
/// of strace and of `perf trace`. Returns `None` for `NULL` and for anything that is not an
/// address, such as the pointer that strace prints for a failed call.
pub(super) fn address(text: &str) -> Option<Address> {
    let family = ["sa_family=", "sin_family=", "sin6_family=", "family: "]
        .iter()
        .find_map(|mark| after(text, mark))?;
    let family = family.split([',', '}']).next()?;
    match constant(Kind::Family, family) {
        "AF_INET" => {
            let ip = printed(text, &["inet_addr(", "addr: "])
                .or_else(|| bytes(text, "sin_addr=").map(|ip: [u8; 4]| Ipv4Addr::from(ip)))?;
            Some(Address::Inet(SocketAddr::new(IpAddr::V4(ip), port(text)?)))
        }
        "AF_INET6" => {
            let ip: Ipv6Addr = printed(text, &["inet_pton(AF_INET6,", "addr: "])
                .or_else(|| bytes(text, "sin6_addr=").map(|ip: [u8; 16]| Ipv6Addr::from(ip)))?;
            if ip.is_unicast_link_local() {
                return Some(Address::Scoped);
            }
            // Packets to a mapped address are IPv4; the socket keeps its own family.
            Some(Address::Inet(SocketAddr::new(IpAddr::V6(ip), port(text)?)))
        }
        "AF_UNSPEC" => Some(Address::Unspec),
        _ => Some(Address::Other),
    }
}

/// Parses an IP address after one of some prefixes, quoted or not.
fn printed<T: std::str::FromStr>(text: &str, marks: &[&str]) -> Option<T> {
    let rest = marks.iter().find_map(|mark| after(text, mark))?;
    let word = match constants::string(rest) {
        Some(bytes) => String::from_utf8(bytes).ok()?,
        None => rest.split([',', '}', ' ']).next()?.to_owned(),
    };
    word.parse().ok()
}

/// Parses a field that `-X raw` prints as bytes.
fn bytes<const N: usize>(text: &str, mark: &str) -> Option<[u8; N]> {
    constants::string(after(text, mark)?)?.try_into().ok()
}

fn port(text: &str) -> Option<u16> {
    if let Some(rest) = after(text, "_port=htons(") {
        return rest.split(')').next()?.trim().parse().ok();
    }
    if let Some(rest) = after(text, "_port=") {
        let bytes: [u8; 2] = constants::string(rest)?.try_into().ok()?;
        return Some(u16::from_be_bytes(bytes));
    }
    after(text, "port: ")?
        .split([',', '}', ' '])
        .next()?
        .parse()
        .ok()
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark).map(|(_, rest)| rest)
}

/// The type of a socket, if it is one of those of scenarios: `SOCK_STREAM|SOCK_CLOEXEC`.
pub(super) fn socket_type(text: &str) -> Option<SocketType> {
    text.split('|').find_map(|part| {
        // With `-X raw`, flags are numbers too; none of them is 1 or 2.
        match constant(Kind::Type, part) {
            "SOCK_STREAM" => Some(SocketType::Stream),
            "SOCK_DGRAM" => Some(SocketType::Dgram),
            _ => None,
        }
    })
}

/// Returns `true` if flags contain one, by name or number.
pub(super) fn has_flag(text: &str, name: &str, number: u64) -> bool {
    let same = |part: &str| match constants::integer(part.trim()) {
        Some(bits) => bits & number != 0,
        None => part.contains(name),
    };
    text.split('|').any(same)
}

/// Parses the value in `[1]`.
pub(super) fn number(text: &str) -> Option<i64> {
    // Without brackets it is a pointer whose target strace could not read.
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    match inner.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => inner.parse().ok(),
    }
}

/// A setsockopt call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// An option that affects ports.
    Option(SockOpt),
    /// Any other option, by name.
    Other(String),
    /// An option that affects ports, with an unreadable value.
    Unclear,
}

/// Parses the option of `setsockopt(fd, level, name, value, len)`.
pub(super) fn setting(level: &str, name: &str, value: &str) -> Setting {
    let level = constant(Kind::Level, level);
    let name = constants::options_of(level).map_or(name, |kind| constant(kind, name));
    let (level, name) = of_table(level, name);
    let Some(id) = OptId::from_c_name(level, name).filter(|id| id.info().modelled) else {
        let word = name.chars().take(40);
        let word = word.filter(|c| c.is_ascii_alphanumeric() || *c == '_');
        return Setting::Other(word.collect());
    };
    let value = match id {
        // Its value is a pointer to a BPF program, which strace does not show.
        OptId::AttachReuseportBpf => Some(OptValue::Flag(true)),
        _ => match id.info().shape {
            Shape::Flag => number(value).map(|number| OptValue::Flag(number != 0)),
            Shape::Int { .. } => number(value).map(OptValue::Int),
            Shape::Range => slice(value).map(OptValue::Range),
            Shape::Linger => linger(value).map(OptValue::Linger),
            Shape::Name => device(value).map(OptValue::Name),
        },
    };
    let made = value.and_then(|value| SockOpt::new(id, value));
    made.map_or(Setting::Unclear, Setting::Option)
}

/// The table row of an option: the IPv6 spelling of an IPv4 option sets the same flag.
fn of_table<'a>(level: &'a str, name: &'a str) -> (&'a str, &'a str) {
    match (level, name) {
        ("SOL_IPV6", "IPV6_FREEBIND") => ("SOL_IP", "IP_FREEBIND"),
        ("SOL_IPV6", "IPV6_TRANSPARENT") => ("SOL_IP", "IP_TRANSPARENT"),
        other => other,
    }
}

/// Parses `{l_onoff=1, l_linger=0}`.
fn linger(value: &str) -> Option<Option<u32>> {
    let field = |mark: &str| {
        let text = after(value, mark)?.split([',', '}']).next()?;
        text.trim().parse::<i64>().ok()
    };
    match (field("l_onoff=")?, field("l_linger=")?) {
        (0, _) => Some(None),
        (_, seconds) => u32::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds <= 86_400)
            .map(Some),
    }
}

/// Parses `"lo"` or `"lo\0"`.
fn device(value: &str) -> Option<ShortName> {
    let bytes = constants::string(value)?;
    let name = bytes.split(|b| *b == 0).next()?;
    let fits = name.iter().all(|b| b.is_ascii_graphic() && *b != b'$');
    ShortName::new(std::str::from_utf8(name).ok()?).filter(|_| fits)
}

/// Parses `IP_LOCAL_PORT_RANGE`: the high port in the upper half of the word, the low one in the
/// lower.
fn slice(value: &str) -> Option<PortRange> {
    // As an int it may be printed as a negative number.
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
        let scoped = r#"{sa_family=AF_INET6, sin6_port=htons(80), inet_pton(AF_INET6, "fe80::1", &sin6_addr), sin6_scope_id=2}"#;
        assert_eq!(address(scoped), Some(Address::Scoped));
    }

    #[test]
    fn addresses_in_every_writing() {
        for text in [
            r#"{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("\x31\x30\x2e\x39\x2e\x30\x2e\x32")}"#,
            r#"{sa_family=0x2, sin_port="\x00\x50", sin_addr="\x0a\x09\x00\x02"}"#,
            r#"{sa_family=0x2 /* AF_INET */, sin_port="\x00\x50" /* htons(80) */, sin_addr="\x0a\x09\x00\x02" /* inet_addr("10.9.0.2") */}"#,
            r#"{sin_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.9.0.2")}}"#,
            "{ .family: INET, port: 80, addr: 10.9.0.2 }",
        ] {
            let read = address(text);
            assert_eq!(
                read,
                Some(Address::Inet("10.9.0.2:80".parse().unwrap())),
                "{text}"
            );
        }
    }

    #[test]
    fn decorations_say_what_a_descriptor_is() {
        let local = "10.1.1.5:40010".parse().ok();
        let peer = "192.0.2.80:80".parse().ok();
        assert_eq!(
            decoration("6<TCP:[10.1.1.5:40010->192.0.2.80:80]>"),
            Decoration::Inet(SocketType::Stream, Family::Inet, local, peer)
        );
        assert_eq!(
            decoration("6<TCP:[124]>"),
            Decoration::Inet(SocketType::Stream, Family::Inet, None, None)
        );
        let local = "[::1]:5353".parse().ok();
        assert_eq!(
            decoration("5<UDPv6:[[::1]:5353]>"),
            Decoration::Inet(SocketType::Dgram, Family::Inet6, local, None)
        );
        assert_eq!(decoration("5<RAW:[123]>"), Decoration::Other);
        assert_eq!(decoration("3</etc/passwd>"), Decoration::Other);
        assert_eq!(decoration("3<socket:[12345]>"), Decoration::None);
        assert_eq!(decoration("3"), Decoration::None);
    }

    #[test]
    fn options_are_read() {
        let range = Setting::Option(SockOpt::LocalPortRange(PortRange::new(40000, 40003)));
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
            Setting::Option(SockOpt::ReuseAddr(true))
        );
        assert_eq!(
            setting("SOL_SOCKET", "SO_REUSEADDR", "0x7ff"),
            Setting::Unclear
        );
        assert_eq!(
            setting("SOL_SOCKET", "SO_LINGER", "{l_onoff=1, l_linger=0}"),
            Setting::Option(SockOpt::RESET)
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
