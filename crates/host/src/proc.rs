//! Tables of `/proc/net`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fourtuple_syscall::proc_address;

use crate::document::{Route, Socket, Timer};

/// A row of `/proc/net/tcp` or `/proc/net/tcp6` with its inode; `None` for the heading and for
/// half-open connections.
pub(crate) fn socket(line: &str) -> Option<(Socket, u64)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, local, peer, state, _, timer, _, uid, _, inode, ..] = words.as_slice() else {
        return None;
    };
    let state = u8::from_str_radix(state, 16).ok().and_then(state_name)?;
    let address = |text| proc_address(text, cfg!(target_endian = "little"));
    let local = address(local)?;
    let peer = address(peer).filter(|peer| peer.port() != 0);
    let mut one = Socket::new(
        state,
        canonical(local),
        peer.map(canonical),
        uid.parse().ok()?,
    );
    one.mapped = canonical(local) != local;
    // Timers count in hundredths of a second.
    if let Some((kind, left)) = timer.split_once(':')
        && let Some(name) = timer_name(u8::from_str_radix(kind, 16).ok()?)
    {
        let left = u32::from_str_radix(left, 16).unwrap_or(0);
        one.timer = Some(Timer {
            name: name.to_owned(),
            ms: left.saturating_mul(10),
        });
    }
    Some((one, inode.parse().unwrap_or(0)))
}

/// The name that ss gives to a state; `None` for half-open connections, which hold no port of
/// their own.
pub(crate) fn state_name(state: u8) -> Option<&'static str> {
    Some(match state {
        1 => "ESTAB",
        2 => "SYN-SENT",
        4 => "FIN-WAIT-1",
        5 => "FIN-WAIT-2",
        6 => "TIME-WAIT",
        7 | 13 => "UNCONN",
        8 => "CLOSE-WAIT",
        9 => "LAST-ACK",
        10 => "LISTEN",
        11 => "CLOSING",
        _ => return None,
    })
}

/// The name that ss gives to a timer.
pub(crate) fn timer_name(timer: u8) -> Option<&'static str> {
    Some(match timer {
        1 => "on",
        2 => "keepalive",
        3 => "timewait",
        4 => "persist",
        _ => return None,
    })
}

/// An IPv4 address in place of a mapped one.
pub(crate) fn canonical(at: SocketAddr) -> SocketAddr {
    match at.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), at.port()),
        IpAddr::V6(_) => at,
    }
}

/// A row of `/proc/net/route`; `None` for the heading and for routes that are not up.
pub(crate) fn route(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [device, network, gateway, flags, _, _, _, mask, ..] = words.as_slice() else {
        return None;
    };
    let ip = |hex: &str| {
        let word = u32::from_str_radix(hex, 16).ok()?;
        Some(Ipv4Addr::from(word.to_ne_bytes()))
    };
    let up = u16::from_str_radix(flags, 16).ok()? & 1 != 0;
    let via = ip(gateway)?;
    up.then_some(Route {
        network: ip(network)?.into(),
        bits: u8::try_from(ip(mask)?.to_bits().leading_ones()).ok()?,
        via: (!via.is_unspecified()).then_some(via.into()),
        device: (*device).to_owned(),
    })
}

/// The local addresses of `/proc/net/fib_trie` and `/proc/net/if_inet6`, apart from loopback and
/// link-local ones.
pub(crate) fn addresses(fib_trie: &str, if_inet6: &str) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = Vec::new();
    let mut last = None;
    for line in fib_trie.lines() {
        let line = line.trim();
        if let Some(ip) = line.strip_prefix("|-- ") {
            last = ip.parse::<Ipv4Addr>().ok();
        } else if line.ends_with("host LOCAL") {
            all.extend(last.map(IpAddr::from));
        }
    }
    for line in if_inet6.lines() {
        let hex = line.split_whitespace().next().unwrap_or_default();
        if let Ok(bits) = u128::from_str_radix(hex, 16) {
            all.push(Ipv6Addr::from(bits).into());
        }
    }
    all.retain(|ip| match ip {
        IpAddr::V4(ip) => !ip.is_loopback(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    });
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn rows_of_the_socket_table_are_read() {
        let row =
            " 1: 0500000A:A028 0900000A:0050 06 00000000:00000000 03:00000F1A 00000000 0 0 0 3 x";
        let (one, inode) = socket(row).expect("a socket");
        assert_eq!((one.state.as_str(), inode), ("TIME-WAIT", 0));
        assert_eq!(one.local.to_string(), "10.0.0.5:41000");
        assert_eq!(one.time_wait_ms(), Some(38_660));
        let row = " 2: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:C350 01 0:0 00:00000000 00000000 33 0 812 1 x";
        let (one, inode) = socket(row).expect("a socket");
        assert_eq!(one.local.to_string(), "127.0.0.1:8080");
        assert!(one.mapped && one.timer.is_none());
        assert_eq!((one.uid, inode), (33, 812));
        let heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode";
        assert_eq!(socket(heading), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn routes_and_addresses_are_read() {
        let row = "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0";
        let found = route(row).expect("a route");
        assert_eq!(
            found.via.map(|ip| ip.to_string()).as_deref(),
            Some("10.0.0.1")
        );
        assert_eq!((found.bits, found.device.as_str()), (0, "eth0"));
        assert_eq!(
            route("Iface Destination Gateway Flags RefCnt Use Metric Mask"),
            None
        );
        let trie = "  |-- 127.0.0.1\n     /32 host LOCAL\n  |-- 10.0.0.5\n     /32 host LOCAL\n  |-- 10.0.0.255\n     /32 link BROADCAST\n";
        let inet6 = "00000000000000000000000000000001 01 80 10 80 lo\n20010db8000000000000000000000007 02 40 00 80 eth0\n";
        let shown: Vec<String> = addresses(trie, inet6)
            .iter()
            .map(IpAddr::to_string)
            .collect();
        assert_eq!(shown, ["10.0.0.5", "2001:db8::7"]);
    }
}
