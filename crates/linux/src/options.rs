//! Socket options by name.

use crate::program::OptionValue;

/// How a value becomes bytes.
#[derive(Clone, Copy)]
enum Kind {
    /// An int.
    Int,
    /// `struct linger`: a number of seconds, or `false` for none.
    Linger,
    /// Text, as it is.
    Text,
    /// `FIRST-LAST`: two ports in one number.
    Range,
    /// `true`: a BPF program that lets everything pass, whose instructions these are.
    Filter,
}

/// One instruction, `return 0xffffffff`.
const PASS: [u8; 8] = [6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];

const SOCKET: i32 = 1;
const IP: i32 = 0;
const TCP: i32 = 6;
const IPV6: i32 = 41;

/// Name, level, number, kind.
const TABLE: &[(&str, i32, i32, Kind)] = &[
    ("reuseaddr", SOCKET, 2, Kind::Int),
    ("dontroute", SOCKET, 5, Kind::Int),
    ("sndbuf", SOCKET, 7, Kind::Int),
    ("rcvbuf", SOCKET, 8, Kind::Int),
    ("keepalive", SOCKET, 9, Kind::Int),
    ("priority", SOCKET, 12, Kind::Int),
    ("linger", SOCKET, 13, Kind::Linger),
    ("reuseport", SOCKET, 15, Kind::Int),
    ("bindtodevice", SOCKET, 25, Kind::Text),
    ("mark", SOCKET, 36, Kind::Int),
    ("attach_reuseport_cbpf", SOCKET, 51, Kind::Filter),
    ("bindtoifindex", SOCKET, 62, Kind::Int),
    ("ip_tos", IP, 1, Kind::Int),
    ("ip_ttl", IP, 2, Kind::Int),
    ("recverr", IP, 11, Kind::Int),
    ("freebind", IP, 15, Kind::Int),
    ("transparent", IP, 19, Kind::Int),
    ("bind_address_no_port", IP, 24, Kind::Int),
    ("local_port_range", IP, 51, Kind::Range),
    ("v6only", IPV6, 26, Kind::Int),
    ("ipv6_transparent", IPV6, 75, Kind::Int),
    ("ipv6_freebind", IPV6, 78, Kind::Int),
    ("tcp_nodelay", TCP, 1, Kind::Int),
    ("tcp_maxseg", TCP, 2, Kind::Int),
    ("tcp_cork", TCP, 3, Kind::Int),
    ("tcp_keepidle", TCP, 4, Kind::Int),
    ("tcp_keepintvl", TCP, 5, Kind::Int),
    ("tcp_keepcnt", TCP, 6, Kind::Int),
    ("tcp_syncnt", TCP, 7, Kind::Int),
    ("tcp_linger2", TCP, 8, Kind::Int),
    ("tcp_defer_accept", TCP, 9, Kind::Int),
    ("tcp_window_clamp", TCP, 10, Kind::Int),
    ("tcp_quickack", TCP, 12, Kind::Int),
    ("tcp_congestion", TCP, 13, Kind::Text),
    ("tcp_user_timeout", TCP, 18, Kind::Int),
    ("tcp_repair", TCP, 19, Kind::Int),
    ("tcp_fastopen", TCP, 23, Kind::Int),
    ("tcp_timestamp", TCP, 24, Kind::Int),
    ("tcp_fastopen_connect", TCP, 30, Kind::Int),
];

/// All names that a `set` step can have.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.0)
}

/// An option as setsockopt takes it.
pub(crate) struct Encoded {
    pub(crate) level: i32,
    pub(crate) option: i32,
    pub(crate) value: Vec<u8>,
}

/// The option's numbers and the bytes of its value.
pub(crate) fn encode(name: &str, value: &OptionValue) -> Result<Encoded, String> {
    let Some(&(_, level, option, kind)) = TABLE.iter().find(|row| row.0 == name) else {
        let known: Vec<_> = names().collect();
        return Err(format!(
            "`{name}` is not a socket option; expected one of {}",
            known.join(", ")
        ));
    };
    let value = match (kind, value) {
        (Kind::Int, OptionValue::Int(n)) => i32::try_from(*n)
            .map_err(|_| format!("`{name}`: {n} is too large"))?
            .to_ne_bytes()
            .to_vec(),
        (Kind::Int, OptionValue::Bool(b)) => i32::from(*b).to_ne_bytes().to_vec(),
        (Kind::Linger, OptionValue::Bool(false)) => vec![0; 8],
        (Kind::Linger, OptionValue::Int(n)) => {
            let seconds = i32::try_from(*n).map_err(|_| format!("`{name}`: {n} is too large"))?;
            [1i32.to_ne_bytes(), seconds.to_ne_bytes()].concat()
        }
        (Kind::Text, OptionValue::Text(s)) if s.len() < 256 => s.clone().into_bytes(),
        (Kind::Range, OptionValue::Text(s)) => range(name, s)?.to_ne_bytes().to_vec(),
        (Kind::Range, OptionValue::Int(0)) => vec![0; 4],
        (Kind::Filter, OptionValue::Bool(true) | OptionValue::Int(1)) => PASS.to_vec(),
        (kind, value) => {
            let expected = match kind {
                Kind::Int => "a number, true or false",
                Kind::Linger => "a number of seconds, or false",
                Kind::Text => "a text",
                Kind::Filter => "1 or true",
                Kind::Range => "a range of ports such as 40000-40003",
            };
            return Err(format!("`{name}` needs {expected}, not {value:?}"));
        }
    };
    Ok(Encoded {
        level,
        option,
        value,
    })
}

/// `40000-40003` as the kernel wants it: the first port in the low half, the last one in the high half.
fn range(name: &str, text: &str) -> Result<u32, String> {
    let ports = text.split_once(['-', ' ']).and_then(|(low, high)| {
        let low: u16 = low.trim().parse().ok()?;
        let high: u16 = high.trim().parse().ok()?;
        Some(u32::from(low) | u32::from(high) << 16)
    });
    ports.ok_or_else(|| format!("`{name}`: `{text}` is not a range of ports such as 40000-40003"))
}
