//! Changes of a host, each tried on its present state.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::state::{Change, Host, Restored};
use super::{Destination, Effect, Fix, Interval, Range};

/// Tries every change for the connections to one destination.
pub(super) fn tried(
    host: &Host<'_>,
    now: &Restored,
    worst: &Destination,
    range: Range,
) -> Vec<Fix> {
    let (source, Some(to)) = (worst.pair.source, worst.pair.destination) else {
        return Vec::new();
    };
    let before = worst.connects_left;
    let mut fixes = Vec::new();
    let mut add = |change: String, after: Interval| {
        fixes.push(Fix {
            change,
            connects_left: after,
            effect: match (
                after.at_least > before.at_least,
                after.at_most > before.at_most,
            ) {
                (true, true) => Effect::Helps,
                (false, false) => Effect::None,
                _ => Effect::MayHelp,
            },
        });
    };
    for (change, text) in changes(host, range) {
        let (after, _) = host.both(&change).connects_left(source, to);
        add(text, after);
    }
    let mut now = now.clone();
    if let Some(other) = other_port(host, to) {
        let text = format!("a second port or address of the server, such as {other}");
        add(text, now.connects_left(source, other).0);
    }
    if let Some(other) = other_source(host, source) {
        let text = "a second source address, bound with IP_BIND_ADDRESS_NO_PORT".to_owned();
        if host.kernel.behaviours.bind_address_no_port {
            add(text, now.connects_left(other, to).0);
        }
    }
    fixes
}

/// The changes that apply to a host.
fn changes(host: &Host<'_>, range: Range) -> Vec<(Change, String)> {
    let mut all = Vec::new();
    if (range.low, range.high) != (1024, 65535) {
        let sysctl = ("net.ipv4.ip_local_port_range", "1024 65535");
        let change = Change {
            sysctl: Some(sysctl),
            ..Change::default()
        };
        all.push((change, format!("{} = {}", sysctl.0, sysctl.1)));
    }
    if host.sysctl("net.ipv4.tcp_tw_reuse") != Some("1") {
        let sysctl = ("net.ipv4.tcp_tw_reuse", "1");
        let change = Change {
            sysctl: Some(sysctl),
            ..Change::default()
        };
        all.push((change, format!("{} = {}", sysctl.0, sysctl.1)));
    }
    if host.kernel.behaviours.bind_address_no_port {
        let change = Change {
            no_port: true,
            ..Change::default()
        };
        let text = "IP_BIND_ADDRESS_NO_PORT in the programs that bind() before connect(), once their connections are new";
        all.push((change, text.to_owned()));
    }
    for (state, text) in [
        ("CLOSE-WAIT", "closing the sockets in CLOSE-WAIT"),
        ("TIME-WAIT", "waiting for the TIME-WAIT sockets to end"),
    ] {
        let count = host.document.sockets.iter();
        let count = count.filter(|socket| socket.state == state).count();
        if count > 0 {
            let change = Change {
                without: Some(state),
                ..Change::default()
            };
            all.push((change, format!("{text} ({count})")));
        }
    }
    all
}

/// The destination's address with a port that no socket is connected to.
fn other_port(host: &Host<'_>, to: SocketAddr) -> Option<SocketAddr> {
    let used = host.ports_of(to.ip());
    let mut others = (1..=u16::MAX).map(|n| to.port().wrapping_add(n));
    let free = others.find(|port| *port != 0 && !used.contains(port));
    free.map(|port| SocketAddr::new(to.ip(), port))
}

/// An address of the same family that no socket of the host has.
fn other_source(host: &Host<'_>, source: IpAddr) -> Option<IpAddr> {
    let locals = host.document.sockets.iter().map(|socket| socket.local.ip());
    let used: BTreeSet<IpAddr> = locals
        .chain(host.document.addresses.iter().copied())
        .collect();
    let mut others = (1..=u32::from(u16::MAX)).map(|n| match source {
        IpAddr::V4(ip) => IpAddr::from(std::net::Ipv4Addr::from(ip.to_bits().wrapping_add(n))),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits().wrapping_add(u128::from(n));
            std::net::Ipv6Addr::from(bits).into()
        }
    });
    others.find(|ip| !used.contains(ip))
}
