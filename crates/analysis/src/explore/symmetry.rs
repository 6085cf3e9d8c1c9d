//! Ports and instances that stand for one another.
//!
//! A search looks at every usable port; which of several equally usable ones it takes changes
//! nothing but the number. States that differ only in such numbers are explored once, and so are
//! calls of instances in equal states.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fourtuple_kernel::NsId;
use fourtuple_kernel::conformance::PortClass;
use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::profile::behaviour::{BindScan, ConnectScan, TwTimer};
use fourtuple_scenario::{Case, Hold, OptId, PortRange, Process, SockOpt};

use crate::edit;

/// The interchangeable ports of a case.
pub(super) struct Symmetry {
    ranges: Vec<PortRange>,
    /// Ports that the scenario names, or that searches treat in another way.
    special: BTreeSet<u16>,
    /// Searches try the lower half of the range first.
    halves: bool,
    by_address: BTreeMap<IpAddr, usize>,
}

impl Symmetry {
    /// The symmetry of a case; none where a port's neighbours decide whether it can be chosen, or
    /// where the state cannot be taken apart by port.
    pub(super) fn of(case: &Case, profile: &Profile) -> Option<Self> {
        let processes = case.program.processes()?;
        let b = &profile.behaviours;
        let closes = |one: &Process| one.hold != Hold::Forever;
        let wheel = matches!(b.tw_timer, TwTimer::SlotWheel | TwTimer::SlotWheelQuick);
        // The ports that a NAT host has chosen are not taken apart.
        let translated = case.hosts.values().any(|host| host.nat.is_some());
        let own_kernel = case.hosts.values().any(|host| host.kernel.is_some());
        let slices = processes
            .values()
            .any(|one| one.options.local_port_range().is_some());
        if b.connect_scan == ConnectScan::EvenStart
            || wheel && processes.values().any(closes)
            || own_kernel
            || translated
            || slices
        {
            return None;
        }
        let named = processes
            .values()
            .flat_map(|one| one.bind.iter().chain(&one.listen).chain(&one.connect))
            .chain(case.hosts.values().flat_map(|host| &host.listen));
        let loopback = |at: &SocketAddr| at.ip().is_loopback() || at.ip().is_unspecified();
        if case.hosts.len() > 1 && named.clone().any(loopback) {
            return None;
        }
        let mut special: BTreeSet<u16> = named.clone().map(SocketAddr::port).collect();
        let ranges: Vec<PortRange> = case
            .hosts
            .keys()
            .map(|host| edit::range_of(case, host, b.range_high))
            .collect();
        for (host, range) in case.hosts.values().zip(&ranges) {
            let reserved = host.sysctl.get("net.ipv4.ip_local_reserved_ports");
            for range in edit::port_list(reserved.map_or("", String::as_str)) {
                special.extend(range.low..=range.high);
            }
            let by_two =
                b.bind_scan != BindScan::Sequential || b.connect_scan == ConnectScan::Parity;
            if by_two && !range.size().is_multiple_of(2) {
                special.insert(range.high);
            }
        }
        let mut by_address: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (n, host) in case.hosts.values().enumerate() {
            by_address.extend(host.addresses.iter().map(|ip| (ip.to_canonical(), n)));
        }
        if case.hosts.len() == 1 {
            by_address.extend([
                (Ipv4Addr::LOCALHOST.into(), 0),
                (Ipv6Addr::LOCALHOST.into(), 0),
            ]);
        }
        // Searches that may start anywhere reach a named port more often than those of a kernel,
        // which continue after the last.
        let in_range = |at: &SocketAddr| match by_address.get(&at.ip().to_canonical()) {
            Some(host) => ranges[*host].contains(at.port()),
            None => ranges.iter().any(|range| range.contains(at.port())),
        };
        if named.clone().any(in_range) && connects_again(processes.values()) {
            return None;
        }
        let halves = processes
            .values()
            .any(|one| one.options.get(OptId::ReuseAddr) == Some(SockOpt::ReuseAddr(true)));
        Some(Symmetry {
            ranges,
            special,
            halves,
            by_address,
        })
    }

    /// The class of a host's port; none if the port is not interchangeable.
    pub(super) fn class(&self, host: usize, port: u16) -> Option<PortClass> {
        let range = self.ranges.get(host)?;
        if !range.contains(port) || self.special.contains(&port) {
            return None;
        }
        let offset = port - range.low;
        let upper = self.halves && u32::from(offset) >= range.size() / 2;
        Some(PortClass {
            host,
            class: offset % 2 + 2 * u16::from(upper),
        })
    }

    /// The class of a port by its address, or by the host of its namespace.
    pub(super) fn class_at(
        &self,
        host_of: &dyn Fn(NsId) -> Option<usize>,
        ns: Option<NsId>,
        ip: IpAddr,
        port: u16,
    ) -> Option<PortClass> {
        let host = match ns {
            Some(ns) => host_of(ns)?,
            None => *self.by_address.get(&ip)?,
        };
        self.class(host, port)
    }
}

/// Returns `true` if more than one connect() without bind() goes to one destination.
fn connects_again<'a>(processes: impl Iterator<Item = &'a Process>) -> bool {
    let mut times: BTreeMap<SocketAddr, u64> = BTreeMap::new();
    for process in processes.filter(|one| one.bind.is_empty()) {
        for to in &process.connect {
            *times.entry(*to).or_default() += process.total_connections();
        }
    }
    times.values().any(|times| *times > 1)
}
