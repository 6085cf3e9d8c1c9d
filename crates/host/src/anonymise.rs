//! Replaces what identifies a host by other values, the same value by the same one everywhere.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::document::{Document, Process};

impl Document {
    /// Replaces addresses, users, processes and cgroups. Ports, loopback addresses, wildcards and
    /// the superuser stay, so that 4-tuples keep their shape.
    pub fn anonymise(&mut self) {
        let mut masks = Masks::default();
        for ip in &mut self.addresses {
            *ip = masks.ip(*ip);
        }
        for route in &mut self.routes {
            if !route.network.is_unspecified() {
                route.network = masks.ip(route.network);
            }
            route.via = route.via.map(|via| masks.ip(via));
            let n = number(&mut masks.devices, route.device.clone());
            route.device = format!("dev{n}");
        }
        for one in &mut self.sockets {
            one.local.set_ip(masks.ip(one.local.ip()));
            if let Some(peer) = &mut one.peer {
                peer.set_ip(masks.ip(peer.ip()));
            }
            if one.uid != 0 {
                one.uid = 1000 + number(&mut masks.users, one.uid) - 1;
            }
            one.cgroup = one
                .cgroup
                .map(|id| u64::from(number(&mut masks.cgroups, id)));
            one.process = one.process.take().map(|process| Process {
                pid: number(&mut masks.pids, process.pid),
                name: format!("program{}", number(&mut masks.names, process.name)),
            });
        }
    }
}

/// Replacements, numbered in the order in which their originals appear.
#[derive(Default)]
struct Masks {
    ips: BTreeMap<IpAddr, u32>,
    users: BTreeMap<u32, u32>,
    pids: BTreeMap<u32, u32>,
    names: BTreeMap<String, u32>,
    cgroups: BTreeMap<u64, u32>,
    devices: BTreeMap<String, u32>,
}

/// The number of a value, counted from 1.
fn number<T: Ord>(known: &mut BTreeMap<T, u32>, value: T) -> u32 {
    let next = u32::try_from(known.len() + 1).unwrap_or(u32::MAX);
    *known.entry(value).or_insert(next)
}

impl Masks {
    fn ip(&mut self, ip: IpAddr) -> IpAddr {
        let plain = ip.to_canonical();
        if plain.is_loopback() || plain.is_unspecified() {
            return ip;
        }
        let n = number(&mut self.ips, plain);
        match plain {
            IpAddr::V4(_) => {
                let masked = Ipv4Addr::from(0x0a00_0000 | (n & 0x00ff_ffff));
                match ip {
                    IpAddr::V4(_) => masked.into(),
                    IpAddr::V6(_) => masked.to_ipv6_mapped().into(),
                }
            }
            IpAddr::V6(v6) => {
                let network = if v6.is_unicast_link_local() {
                    0xfe80 << 112
                } else {
                    0x2001_0db8 << 96
                };
                Ipv6Addr::from(network | u128::from(n)).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::document::{Document, Process, Route, Socket};

    #[test]
    fn the_same_value_has_the_same_mask_everywhere() {
        let text = r#"{"fourtuple_capture":1,"kernel":"6.18.0","time":0,"source":"proc",
            "sysctl":{},"addresses":["203.0.113.7","2001:db8:9::7"],"sockets":[]}"#;
        let mut host = Document::parse(text).expect("a capture");
        host.routes.push(Route {
            network: "0.0.0.0".parse().expect("an address"),
            bits: 0,
            via: "203.0.113.1".parse().ok(),
            device: "secret0".to_owned(),
        });
        for (local, peer) in [
            ("203.0.113.7:40000", "198.51.100.9:80"),
            ("[::ffff:203.0.113.7]:40001", "[::ffff:198.51.100.9]:80"),
            ("[2001:db8:9::7]:40002", "[fe80::9]:80"),
            ("127.0.0.1:80", "127.0.0.1:40003"),
        ] {
            let local = local.parse().expect("an address");
            let mut one = Socket::new("ESTAB", local, peer.parse().ok(), 4711);
            one.process = Some(Process {
                pid: 77,
                name: "secretd".to_owned(),
            });
            host.sockets.push(one);
        }
        host.anonymise();
        let text = serde_json::to_string(&host).expect("JSON");
        for secret in ["203.0.113", "198.51.100", "db8:9", "secret", "4711", "77"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        let shown: Vec<String> = (host.sockets.iter())
            .map(|one| format!("{} {}", one.local, one.peer.expect("a peer")))
            .collect();
        assert_eq!(
            shown,
            [
                "10.0.0.1:40000 10.0.0.4:80",
                "[::ffff:10.0.0.1]:40001 [::ffff:10.0.0.4]:80",
                "[2001:db8::2]:40002 [fe80::5]:80",
                "127.0.0.1:80 127.0.0.1:40003",
            ]
        );
        assert_eq!(host.addresses[0].to_string(), "10.0.0.1");
    }
}
