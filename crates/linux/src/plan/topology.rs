//! The operations that make the hosts of a program: namespaces, links, addresses, routes, sysctls.

use super::Builder;
use super::bytes::{address, socket_address, sysctl, text};
use super::netfilter;
use crate::program::{DETECTION_SLACK_MS, HostSpec};
use crate::wire::*;
use fourtuple_harness::compile;
use fourtuple_kernel::nat::{Hop, Ways};
use fourtuple_syscall::Family;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

impl Builder {
    /// Adds the setup operations of the hosts: namespaces, links, addresses and sysctls. Packets to
    /// `nowhere` leave their host and are lost; to any other address that no host has, there is no
    /// route.
    pub(crate) fn topology(
        &mut self,
        hosts: &[HostSpec],
        nowhere: &[IpAddr],
        begins_with_ns: bool,
    ) -> Result<(), String> {
        check_hosts(hosts)?;
        if hosts.len() < 2 {
            // A program whose first step makes the namespace gets its own answer to that step.
            if !begins_with_ns || !hosts.is_empty() {
                self.setup("a network namespace".into(), OP_NS, 0, &[])?;
            }
            self.quiet_links(hosts)?;
        } else {
            for (i, host) in hosts.iter().enumerate() {
                self.setup(
                    format!("the network namespace of host {}", host.name),
                    OP_HOST,
                    i as u8,
                    &[],
                )?;
            }
            self.quiet_links(hosts)?;
            self.links(hosts)?;
        }
        for (i, host) in hosts.iter().enumerate() {
            let interface = if hosts.len() < 2 { "lo" } else { "eth0" };
            let at_once = |ip: &&IpAddr| ip.is_ipv4() || host.tentative_ms == 0;
            for ip in host.addresses.iter().filter(at_once) {
                self.setup(
                    format!("address {ip} of host {}", host.name),
                    OP_ADDR,
                    i as u8,
                    &address(interface, *ip),
                )?;
            }
        }
        let ways = ways(hosts);
        self.routes_to_nowhere(hosts, nowhere, &ways)?;
        if hosts.len() > 1 {
            self.routes(hosts, &ways)?;
            self.wait_for_links(hosts)?;
            self.forwarding(hosts, &ways)?;
        }
        for (i, host) in hosts.iter().enumerate() {
            for (key, value) in &host.sysctls {
                let what = format!("sysctl {key} of host {}", host.name);
                self.setup(what, OP_SYSCTL, i as u8, &sysctl(key, value)?)?;
            }
        }
        self.tentative(hosts)
    }

    /// Leaves hosts whose address is tentative without the link-local addresses that the kernel
    /// gives to links, which would be their sources meanwhile.
    fn quiet_links(&mut self, hosts: &[HostSpec]) -> Result<(), String> {
        for (i, host) in hosts.iter().enumerate() {
            if host.tentative_ms > 0 {
                let what = format!("links without addresses on host {}", host.name);
                let mode = sysctl("net.ipv6.conf.default.addr_gen_mode", "1")?;
                self.setup(what, OP_SYSCTL, i as u8, &mode)?;
            }
        }
        Ok(())
    }

    /// Adds the addresses that are tentative for a time, as the last of the setup. The kernel
    /// detects duplicates on links with address resolution only: on one of their own.
    fn tentative(&mut self, hosts: &[HostSpec]) -> Result<(), String> {
        for (i, host) in hosts.iter().enumerate() {
            if host.tentative_ms == 0 {
                continue;
            }
            let what = format!("duplicate address detection on host {}", host.name);
            let mut both = vec![NO_PEER];
            text(&mut both, b"dad0");
            text(&mut both, b"dad1");
            both.extend([2, 0x46, 0x54, 1, i as u8, 0]);
            self.setup(what.clone(), OP_LINK, i as u8, &both)?;
            let wait = host.tentative_ms.saturating_sub(DETECTION_SLACK_MS);
            for (key, value) in [
                ("conf.dad0.accept_dad", 1),
                ("conf.dad0.dad_transmits", 1),
                ("conf.dad0.router_solicitation_delay", 0),
                ("neigh.dad0.retrans_time_ms", wait),
            ] {
                let setting = sysctl(&format!("net.ipv6.{key}"), &value.to_string())?;
                self.setup(what.clone(), OP_SYSCTL, i as u8, &setting)?;
            }
            for code in [OP_LINK_UP_ARP, OP_LINK_READY] {
                for name in ["dad0", "dad1"] {
                    let mut o = Vec::new();
                    text(&mut o, name.as_bytes());
                    self.setup(what.clone(), code, i as u8, &o)?;
                }
            }
        }
        for (i, host) in hosts.iter().enumerate() {
            let waits = |ip: &&IpAddr| ip.is_ipv6() && host.tentative_ms > 0;
            for ip in host.addresses.iter().filter(waits) {
                self.setup(
                    format!("tentative address {ip} of host {}", host.name),
                    OP_ADDR_TENTATIVE,
                    i as u8,
                    &address("dad0", *ip),
                )?;
            }
        }
        Ok(())
    }

    /// Adds a link between every two hosts, up at both ends.
    fn links(&mut self, hosts: &[HostSpec]) -> Result<(), String> {
        for (a, b) in pairs(hosts.len()) {
            let (name, peer_name) = (interface(a, b), interface(b, a));
            let what = format!(
                "a veth link between {} and {}",
                hosts[a].name, hosts[b].name
            );
            let mut o = vec![b as u8];
            text(&mut o, name.as_bytes());
            text(&mut o, peer_name.as_bytes());
            // A locally administered address, the same at both ends.
            o.extend([2, 0x46, 0x54, 0, a as u8, b as u8]);
            self.setup(what.clone(), OP_LINK, a as u8, &o)?;
            for (host, name) in [(a, name), (b, peer_name)] {
                let mut o = Vec::new();
                text(&mut o, name.as_bytes());
                self.setup(what.clone(), OP_LINK_UP, host as u8, &o)?;
            }
        }
        Ok(())
    }

    /// Adds routes to addresses that no host has: over any link, whose other end does not forward,
    /// or into the loopback interface, which drops packets that are not local.
    fn routes_to_nowhere(
        &mut self,
        hosts: &[HostSpec],
        nowhere: &[IpAddr],
        ways: &Ways<usize>,
    ) -> Result<(), String> {
        for (place, host) in hosts.iter().enumerate() {
            let next = ways
                .router(place)
                .or_else(|| outside(hosts, ways, place).next());
            let interface = match (hosts.len(), next) {
                (0 | 1, _) => "lo".to_owned(),
                (_, Some(next)) => interface(place, next),
                (_, None) => "eth0".to_owned(),
            };
            for to in nowhere {
                let same = |source: &&IpAddr| source.is_ipv4() == to.is_ipv4();
                let Some(source) = host.addresses.iter().find(same) else {
                    continue;
                };
                let mut o = Vec::new();
                text(&mut o, interface.as_bytes());
                socket_address(&mut o, &SocketAddr::new(*to, 0));
                preferred(&mut o, host, *source);
                let what = format!("the route from {} to {to}", host.name);
                self.setup(what, OP_ROUTE, place as u8, &o)?;
            }
        }
        Ok(())
    }

    /// Adds waits for the links: a link drops packets until the kernel has noticed, a little later,
    /// that its other end is up.
    fn wait_for_links(&mut self, hosts: &[HostSpec]) -> Result<(), String> {
        for (a, b) in pairs(hosts.len()).flat_map(|(a, b)| [(a, b), (b, a)]) {
            let mut o = Vec::new();
            text(&mut o, interface(a, b).as_bytes());
            let what = format!(
                "a link from {} to {} that is ready",
                hosts[a].name, hosts[b].name
            );
            self.setup(what, OP_LINK_READY, a as u8, &o)?;
        }
        Ok(())
    }

    /// Adds the addresses that are a NAT host's own by its rules.
    fn virtual_addresses(&mut self, hosts: &[HostSpec]) -> Result<(), String> {
        for (place, host) in hosts.iter().enumerate() {
            for ip in virtual_addresses(hosts, place) {
                let what = format!("address {ip} of the NAT host {}", host.name);
                self.setup(what, OP_ADDR, place as u8, &address("eth0", ip))?;
            }
        }
        Ok(())
    }

    /// Lets hosts forward the packets of others, and translate them.
    fn forwarding(&mut self, hosts: &[HostSpec], ways: &Ways<usize>) -> Result<(), String> {
        let families = [Family::Inet, Family::Inet6];
        let has = |family: &Family| {
            let mut all = hosts.iter().flat_map(|host| &host.addresses);
            all.any(|ip| Family::of(*ip) == *family)
        };
        let families: Vec<Family> = families.into_iter().filter(has).collect();
        for (place, host) in hosts.iter().enumerate() {
            if !(0..hosts.len()).any(|other| ways.router(other) == Some(place)) {
                continue;
            }
            for family in &families {
                let key = match family {
                    Family::Inet => "net.ipv4.ip_forward",
                    Family::Inet6 => "net.ipv6.conf.all.forwarding",
                };
                let what = format!("sysctl {key} of host {}", host.name);
                self.setup(what, OP_SYSCTL, place as u8, &sysctl(key, "1")?)?;
            }
            if let Some(nat) = &host.nat {
                let outside = outside(hosts, ways, place);
                let outside: Vec<String> = outside.map(|to| interface(place, to)).collect();
                let rules = netfilter::rules(&compile::nat_rules(nat), &outside, &families);
                let what = format!(
                    "the rules of the NAT host {}, for which the kernel needs the modules \
                     nf_tables, nft_chain_nat, nft_nat, nft_masq and nft_numgen",
                    host.name
                );
                self.has_nat = true;
                self.setup(what, OP_NETFILTER, place as u8, &rules)?;
            }
        }
        Ok(())
    }

    /// Adds a route from every host to each address of every other one.
    fn routes(&mut self, hosts: &[HostSpec], ways: &Ways<usize>) -> Result<(), String> {
        self.virtual_addresses(hosts)?;
        for (a, b) in pairs(hosts.len()).flat_map(|(a, b)| [(a, b), (b, a)]) {
            for to in hosts[b]
                .addresses
                .iter()
                .copied()
                .chain(virtual_addresses(hosts, b))
            {
                let Hop::To(next) = ways.hop(a, to) else {
                    continue;
                };
                let source = hosts[a]
                    .addresses
                    .iter()
                    .find(|s| s.is_ipv4() == to.is_ipv4());
                let mut o = Vec::new();
                text(&mut o, interface(a, next).as_bytes());
                socket_address(&mut o, &SocketAddr::new(to, 0));
                match source {
                    Some(source) => preferred(&mut o, &hosts[a], *source),
                    // A host without addresses of this family cannot talk to one that has some.
                    None => continue,
                }
                self.setup(
                    format!("the route from {} to {to}", hosts[a].name),
                    OP_ROUTE,
                    a as u8,
                    &o,
                )?;
            }
        }
        Ok(())
    }

    fn setup(&mut self, what: String, code: u8, host: u8, operands: &[u8]) -> Result<(), String> {
        self.setup.push(what);
        self.op(code, host, 0, operands).map(|_| ())
    }
}

/// The way of packets between hosts.
fn ways(hosts: &[HostSpec]) -> Ways<usize> {
    let mut ways = Ways::default();
    for (place, host) in hosts.iter().enumerate() {
        host.addresses
            .iter()
            .for_each(|ip| ways.add_address(place, *ip));
    }
    for (place, host) in hosts.iter().enumerate() {
        virtual_addresses(hosts, place)
            .into_iter()
            .for_each(|ip| ways.add_address(place, ip));
        let router = hosts
            .iter()
            .position(|one| host.via.as_ref() == Some(&one.name));
        if let Some(router) = router {
            ways.set_router(place, router);
        }
    }
    ways
}

/// The hosts that are not behind another.
fn outside<'a>(
    hosts: &'a [HostSpec],
    ways: &'a Ways<usize>,
    router: usize,
) -> impl Iterator<Item = usize> + 'a {
    (0..hosts.len()).filter(move |to| *to != router && ways.router(*to) != Some(router))
}

/// The addresses that are a host's own by its rules of NAT: no host is given them.
fn virtual_addresses(hosts: &[HostSpec], place: usize) -> Vec<IpAddr> {
    let Some(nat) = &hosts[place].nat else {
        return Vec::new();
    };
    let rules = compile::nat_rules(nat);
    let mut own: Vec<IpAddr> = rules.addresses().collect();
    own.retain(|ip| hosts.iter().all(|one| !one.addresses.contains(ip)));
    own.sort_unstable();
    own.dedup();
    own
}

fn check_hosts(hosts: &[HostSpec]) -> Result<(), String> {
    if hosts.len() > MAX_HOSTS {
        return Err(format!("more than {MAX_HOSTS} hosts"));
    }
    let mut names = BTreeSet::new();
    let mut addresses = BTreeSet::new();
    for host in hosts {
        if !names.insert(&host.name) {
            return Err(format!("duplicate host name `{}`", host.name));
        }
        if let Some(ip) = host.addresses.iter().find(|ip| !addresses.insert(**ip)) {
            return Err(format!("duplicate address {ip}"));
        }
        // All of 127.0.0.0/8 and ::1 are local on every host.
        if let Some(ip) = host
            .addresses
            .iter()
            .find(|ip| ip.is_loopback() || ip.is_unspecified())
        {
            return Err(format!("invalid address {ip} of host `{}`", host.name));
        }
    }
    Ok(())
}

fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |a| (a + 1..n).map(move |b| (a, b)))
}

/// The name on host `on` of its link to host `to`: eth0, eth1 ... in the order of the other hosts.
fn interface(on: usize, to: usize) -> String {
    format!("eth{}", if to > on { to - 1 } else { to })
}

/// The source that a route prefers. None (family 0) for an address that is not there yet: the
/// kernel chooses it once it is.
fn preferred(o: &mut Vec<u8>, host: &HostSpec, source: IpAddr) {
    let at = o.len();
    socket_address(o, &SocketAddr::new(source, 0));
    if host.tentative_ms > 0 && source.is_ipv6() {
        o[at] = 0;
    }
}
