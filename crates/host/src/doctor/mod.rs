//! The number of connections that a captured host can still make, by the port model.
//!
//! A capture does not always show which call chose a port, and a port that bind() chose is closed
//! to connect(). Answers are therefore intervals: from "bind() chose every port whose origin is
//! unknown" to "connect() did".

mod fixes;
mod notes;
mod prometheus;
mod state;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use fourtuple_kernel::profile::Profile;
use fourtuple_kernel::{PortOrigin, PortsLeft};
use schemars::JsonSchema;
use serde::Serialize;

use crate::document::{Document, Socket};
use state::{Change, Host, Restored};

/// The version of the JSON form of a report.
pub const FORMAT: u32 = 1;

/// Choices of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The call that chose ports whose origin the capture does not show.
    pub unknown: Unknown,
    /// Most destinations to report, those with the most sockets.
    pub destinations: usize,
}

/// The call that chose ports of unknown origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Either: answers are intervals.
    Either,
    /// connect() without bind().
    Connect,
    /// bind() to port 0.
    Bind,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            unknown: Unknown::Either,
            destinations: 20,
        }
    }
}

/// A report about a host.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// The version of this format.
    pub format: u32,
    /// The release of the kernel.
    pub kernel: String,
    /// The profile of the kernel, by whose model the answers are computed.
    pub profile: String,
    /// The time of the capture, in seconds since 1970.
    pub time: u64,
    /// The number of TCP sockets.
    pub sockets: usize,
    /// The ephemeral port range.
    pub range: Range,
    /// The origin of the ports of the range that are in use.
    pub origins: Origins,
    /// Ports of the range that connect() skips whatever the destination, because bind() or listen()
    /// touched them.
    pub blocked: Interval,
    /// Ports of the range, reserved ones excepted, without any socket: connect() gets them whatever
    /// the capture does not show.
    pub without_sockets: u32,
    /// `true` if a port stays closed to connect() after its binder has ended, until the last socket
    /// of the port is gone (up to Linux 6.17). A capture does not show such ports: in the worst
    /// case `without_sockets` connect() calls succeed.
    pub stays_closed: bool,
    /// Destinations with the most sockets first, and for each source address a new destination.
    pub destinations: Vec<Destination>,
    /// Destinations that are not listed.
    pub more_destinations: usize,
    /// Programs whose bound sockets block ports of the range, most ports first.
    pub blockers: Vec<Program>,
    /// Listeners on ports of the range that are not reserved.
    pub listeners: Vec<Listener>,
    /// Programs with sockets in CLOSE-WAIT, most sockets first.
    pub close_wait: Vec<Program>,
    /// Settings without effect, and settings that surprise.
    pub settings: Vec<String>,
    /// The destination that the fixes were tried for.
    pub fixes_for: Option<Pair>,
    /// Changes, each tried on this state.
    pub fixes: Vec<Fix>,
}

/// The ephemeral port range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Range {
    /// The first port.
    pub low: u16,
    /// The last port.
    pub high: u16,
    /// The number of ports that are not reserved.
    pub ports: u32,
    /// The number of reserved ports.
    pub reserved: u32,
}

/// Counts of sockets of the range by the call that chose the port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Origins {
    /// bind() or listen().
    pub bind: usize,
    /// connect().
    pub connect: usize,
    /// accept().
    pub accept: usize,
    /// Unknown.
    pub unknown: usize,
}

/// A number that depends on the ports of unknown origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Interval {
    /// The least.
    pub at_least: u32,
    /// The most.
    pub at_most: u32,
}

/// A source address and a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Pair {
    /// The local address.
    pub source: IpAddr,
    /// The destination; none for any that has no sockets yet.
    pub destination: Option<SocketAddr>,
}

/// Connections from an address to a destination.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Destination {
    /// The addresses.
    #[serde(flatten)]
    pub pair: Pair,
    /// Sockets that are not in TIME-WAIT.
    pub held: u32,
    /// Sockets in TIME-WAIT.
    pub time_wait: u32,
    /// The number of connect() calls without bind() that will succeed.
    pub connects_left: Interval,
    /// The number of calls of bind() to port 0 that will succeed, each with a connect().
    pub binds_left: u32,
    /// Ports that connect() does not get, by reason, at the lower end of the interval.
    pub refused: BTreeMap<String, u32>,
    /// Sockets that are added per second, if the host was watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth_per_second: Option<f64>,
    /// Seconds until connect() fails at this rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasts_seconds: Option<u64>,
}

/// A program and a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Program {
    /// The name of the process, or the user where `/proc` does not show it.
    pub program: String,
    /// The number of ports or sockets.
    pub count: u32,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Listener {
    /// Its address.
    pub at: SocketAddr,
    /// The program.
    pub program: String,
}

/// A change that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fix {
    /// The change.
    pub change: String,
    /// The number of connect() calls that then succeed.
    pub connects_left: Interval,
    /// The comparison with the state without the change.
    pub effect: Effect,
}

/// The effect of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// More connect() calls succeed, whatever is unknown.
    Helps,
    /// More connect() calls may succeed: that depends on the ports of unknown origin.
    MayHelp,
    /// No more connect() calls succeed.
    None,
}

/// Computes a report by the model of a kernel.
#[must_use]
pub fn report(document: &Document, kernel: &Profile, settings: &Settings) -> Report {
    let host = Host::new(document, kernel, settings.unknown);
    let mut now = host.both(&Change::default());
    let (low, high) = now.range();
    let reserved = (low..=high).filter(|port| now.is_reserved(*port)).count() as u32;
    let range = Range {
        low,
        high,
        ports: u32::from(high - low) + 1 - reserved,
        reserved,
    };
    let (destinations, more_destinations) = destinations(&host, &mut now, settings, low..=high);
    // The destination that runs out first.
    let worst = destinations
        .iter()
        .filter(|one| one.pair.destination.is_some())
        .min_by_key(|one| one.connects_left.at_least);
    let fixes = worst.map_or_else(Vec::new, |worst| fixes::tried(&host, &now, worst, range));
    Report {
        format: FORMAT,
        kernel: document.kernel.clone(),
        profile: kernel.name.clone(),
        time: document.time,
        sockets: document.sockets.len(),
        range,
        origins: host.origins(low..=high),
        blocked: now.blocked(),
        without_sockets: without_sockets(document, &now, low..=high),
        stays_closed: !kernel.behaviours.recompute_on_release,
        fixes_for: worst.map(|one| one.pair),
        fixes,
        destinations,
        more_destinations,
        blockers: notes::blockers(&host, low..=high),
        listeners: notes::listeners(document, &now, low..=high),
        close_wait: notes::close_wait(document),
        settings: notes::settings(&host, range),
    }
}

/// The number of ports of a range that no socket has and that are not reserved.
fn without_sockets(
    document: &Document,
    now: &Restored,
    range: std::ops::RangeInclusive<u16>,
) -> u32 {
    let taken: BTreeSet<u16> = (document.sockets.iter())
        .map(|socket| socket.local.port())
        .collect();
    let free = |port: &u16| !taken.contains(port) && !now.is_reserved(*port);
    range.filter(free).count() as u32
}

/// The sockets towards each destination from ports of the range: those that are held, and those in
/// TIME-WAIT.
fn towards(
    host: &Host<'_>,
    range: &std::ops::RangeInclusive<u16>,
) -> BTreeMap<(IpAddr, SocketAddr), (u32, u32)> {
    let mut all: BTreeMap<_, (u32, u32)> = BTreeMap::new();
    for (socket, origin) in host.sockets() {
        let (Some(peer), local) = (socket.peer, socket.local) else {
            continue;
        };
        if origin == Some(PortOrigin::Accept) || !range.contains(&local.port()) {
            continue;
        }
        let counts = all.entry((local.ip(), peer)).or_default();
        if socket.state == "TIME-WAIT" {
            counts.1 += 1;
        } else {
            counts.0 += 1;
        }
    }
    all
}

fn destinations(
    host: &Host<'_>,
    now: &mut Restored,
    settings: &Settings,
    range: std::ops::RangeInclusive<u16>,
) -> (Vec<Destination>, usize) {
    let mut all: Vec<_> = towards(host, &range).into_iter().collect();
    // The order of addresses decides between equal numbers.
    all.sort_by_key(|(_, (held, time_wait))| std::cmp::Reverse(held + time_wait));
    let more = all.len().saturating_sub(settings.destinations);
    let mut sources: Vec<IpAddr> = all.iter().map(|((source, _), _)| *source).collect();
    sources.sort_unstable();
    sources.dedup();
    sources.truncate(settings.destinations);
    all.truncate(settings.destinations);
    let known = all.into_iter().map(|((source, to), counts)| {
        let pair = Pair {
            source,
            destination: Some(to),
        };
        (pair, counts)
    });
    let new = sources.into_iter().map(|source| {
        let pair = Pair {
            source,
            destination: None,
        };
        (pair, (0, 0))
    });
    let rows = known
        .chain(new)
        .map(|(pair, (held, time_wait))| {
            let to = pair
                .destination
                .unwrap_or_else(|| host.new_destination(pair.source));
            let (connects_left, least) = now.connects_left(pair.source, to);
            Destination {
                pair,
                held,
                time_wait,
                connects_left,
                binds_left: now.binds_left(pair.source),
                refused: reasons(&least),
                growth_per_second: None,
                lasts_seconds: None,
            }
        })
        .collect();
    (rows, more)
}

fn reasons(left: &PortsLeft) -> BTreeMap<String, u32> {
    let named = left.refused.iter();
    named
        .map(|(why, ports)| (why.name().to_owned(), *ports))
        .collect()
}

/// The program of a socket: its process, or its user.
fn program(socket: &Socket) -> String {
    match &socket.process {
        Some(process) => process.name.clone(),
        None if socket.state == "TIME-WAIT" => "(ended)".to_owned(),
        None => format!("uid {}", socket.uid),
    }
}

impl Report {
    /// Adds the rate at which sockets came since an earlier capture of the same host, and how long
    /// the ports last at this rate.
    pub fn watch(&mut self, earlier: &Document, kernel: &Profile, seconds: f64) {
        let host = Host::new(earlier, kernel, Unknown::Either);
        let before = towards(&host, &(self.range.low..=self.range.high));
        for one in &mut self.destinations {
            let Some(to) = one.pair.destination else {
                continue;
            };
            let total = |(held, time_wait): (u32, u32)| f64::from(held + time_wait);
            let earlier = before.get(&(one.pair.source, to)).copied();
            let growth =
                (total((one.held, one.time_wait)) - total(earlier.unwrap_or_default())) / seconds;
            one.growth_per_second = Some((growth * 100.0).round() / 100.0);
            if growth > 0.0 {
                let lasts = f64::from(one.connects_left.at_least) / growth;
                one.lasts_seconds = Some(lasts as u64);
            }
        }
    }

    /// The used part of the range towards the destination that runs out first, in percent.
    #[must_use]
    pub fn used_percent(&self) -> u32 {
        let left = self.destinations.iter().map(|one| one.connects_left);
        let least = left
            .map(|one| one.at_least)
            .min()
            .unwrap_or(self.range.ports);
        match self.range.ports {
            0 => 100,
            ports => 100 - 100 * least.min(ports) / ports,
        }
    }
}
