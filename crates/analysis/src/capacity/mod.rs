//! The connections that a host can make: at once, per second, and at which cost.
//!
//! The numbers are counted on the model, connection by connection, in the way in which the
//! scenario's own programs connect. The formula stands beside them, so that a difference is
//! visible: a listener inside the range, an odd number of ports, a bind() that closes ports to all
//! others. UDP sockets are counted in the same way: each needs a port, whatever its destination is.

mod measure;
pub mod nat;
pub mod need;
pub mod recording;
mod style;

use std::net::SocketAddr;

use fourtuple_harness::EngineError;
use fourtuple_kernel::profile::{self, Profile};
use fourtuple_scenario::{Case, Close, PortRange, Protocol};
use fourtuple_syscall::canonical;
use schemars::JsonSchema;
use serde::Serialize;

use crate::edit;
use measure::Bench;
use nat::ThroughNat;
use style::{Style, styles};

/// Fill levels at which the range is measured, in percent of its ports in use.
pub const FILLS: [u32; 5] = [0, 50, 90, 99, 100];

/// Connections to all destinations that are counted at most; with more destinations, some of them
/// are left out.
const COUNTED: u64 = 120_000;
/// The error of a scenario without anything to count.
const NO_PROGRAM: &str = "no program of this scenario connects";
/// Connections of one kind that are counted at most.
const MOST_COUNTED: u32 = 4_000_000;

/// The capacity of one program's way of connecting.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Capacity {
    /// The program.
    pub program: String,
    /// Its host.
    pub host: String,
    /// The protocol of its sockets: `tcp` or `udp`.
    pub protocol: String,
    /// The way it connects, in words.
    pub how: String,
    /// The range of local ports.
    pub range: String,
    /// Ports of the range that searches may use.
    pub ports: u32,
    /// Connections at once to its first destination; UDP sockets at once if it has none.
    pub to_one: MaxConnections,
    /// Connections at once to all destinations of its protocol in the scenario.
    pub to_all: MaxConnections,
    /// The number of destinations behind `to_all`; 0 for UDP sockets that are only bound.
    pub destinations: u32,
    /// Connections one after the other to the first destination, each closed at once.
    pub rate: Rate,
    /// Ports that a connect() looks at as the range fills with connections to the same destination.
    pub cost: Vec<Cost>,
    /// The first NAT host on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<ThroughNat>,
}

/// A number of connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MaxConnections {
    /// Counted on the model. Where ports set no limit, the number at which counting ended.
    pub counted: u32,
    /// The result of the formula; none if ports set no limit.
    pub formula: Option<u64>,
    /// The formula.
    pub by: String,
    /// The answer of the first call that got no port; none if ports set no limit.
    pub then: Option<String>,
}

/// Connections that are closed as soon as they are made.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Rate {
    /// The side that closes.
    pub close: String,
    /// Connections that go through before the first is refused; none if none ever is.
    pub runs_out_after: Option<u32>,
    /// Seconds from there until the next one goes through.
    pub recovers_after: Option<f64>,
    /// Connections per second that can be kept up; none if ports set no limit.
    pub per_second: Option<f64>,
    /// The result of the formula.
    pub formula: Option<f64>,
    /// The formula.
    pub by: String,
}

/// The work of a connect() when a part of the range is in use.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Cost {
    /// Percent of the ports in use.
    pub fill: u32,
    /// Ports looked at, on average.
    pub expected: f64,
    /// Most ports looked at.
    pub most: u32,
    /// The number of connects that were counted.
    pub probes: u32,
}

/// The capacities of a case.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Capacities {
    /// The scenario.
    pub scenario: String,
    /// Its question.
    pub about: String,
    /// The kernel.
    pub kernel: String,
    /// The point of the matrix, `name=value`.
    pub point: Vec<String>,
    /// The length of TIME-WAIT, in seconds.
    pub time_wait: f64,
    /// One entry for each way of connecting.
    pub programs: Vec<Capacity>,
}

/// Measured programs, so that cases that differ in nothing relevant are measured once.
#[derive(Debug, Default)]
pub struct Measured(Vec<Known>);

#[derive(Debug)]
struct Known {
    case: Case,
    style: Style,
    everywhere: Vec<(Protocol, SocketAddr)>,
    capacity: Capacity,
}

impl Measured {
    fn find(
        &self,
        case: &Case,
        style: &Style,
        everywhere: &[(Protocol, SocketAddr)],
    ) -> Option<&Capacity> {
        let same = |one: &&Known| {
            one.case.kernel == case.kernel
                && one.case.seed == case.seed
                && one.case.time_wait == case.time_wait
                && one.case.hosts == case.hosts
                && one.everywhere == everywhere
                && one.style.is_like(style)
        };
        self.0.iter().find(same).map(|one| &one.capacity)
    }
}

/// Measures every way of connecting that a case has. `progress` hears what is being done.
///
/// # Errors
/// When the case cannot be set up, or no process in it takes a port.
pub fn measure(
    case: &Case,
    profile: &Profile,
    measured: &mut Measured,
    progress: &mut dyn FnMut(&str),
) -> Result<Capacities, EngineError> {
    let styles = styles(case);
    if styles.is_empty() {
        return Err(EngineError::new(NO_PROGRAM));
    }
    let mut everywhere: Vec<(Protocol, SocketAddr)> = Vec::new();
    for style in &styles {
        for to in style.connect.iter().map(|to| (style.protocol, *to)) {
            if !everywhere.contains(&to) {
                everywhere.push(to);
            }
        }
    }
    let mut programs = Vec::new();
    for style in &styles {
        let capacity = match measured.find(case, style, &everywhere) {
            Some(known) => Capacity {
                program: style.program.clone(),
                ..known.clone()
            },
            None => of_style(case, profile, style, &everywhere, progress)?,
        };
        measured.0.push(Known {
            case: case.clone(),
            style: style.clone(),
            everywhere: everywhere.clone(),
            capacity: capacity.clone(),
        });
        programs.push(capacity);
    }
    Ok(Capacities {
        scenario: case.scenario.clone(),
        about: case.about.clone(),
        kernel: case.kernel.clone(),
        point: case.point(),
        time_wait: time_wait(case),
        programs,
    })
}

fn time_wait(case: &Case) -> f64 {
    case.time_wait.map_or(60.0, |time| time.as_secs_f64())
}

fn of_style(
    case: &Case,
    profile: &Profile,
    style: &Style,
    everywhere: &[(Protocol, SocketAddr)],
    progress: &mut dyn FnMut(&str),
) -> Result<Capacity, EngineError> {
    let first = style.connect.first().copied();
    // A program reaches destinations of its own family, by its own protocol.
    let all: Vec<SocketAddr> = everywhere
        .iter()
        .filter(|(protocol, to)| {
            let family = first.map(|first| first.is_ipv6());
            *protocol == style.protocol && Some(to.is_ipv6()) == family
        })
        .map(|(_, to)| canonical(*to))
        .collect();
    let first = first.map(canonical);
    let bench = || Bench::new(case, profile, style, &all);
    // The host may have a kernel of its own.
    let own = case
        .hosts
        .get(&style.host)
        .and_then(|host| host.kernel.as_ref());
    let own = own.and_then(|kernel| profile::find(&kernel.value));
    let (case_profile, profile) = (profile, own.as_ref().unwrap_or(profile));
    let of_host = edit::range_of(case, &style.host, profile.behaviours.range_high);
    let range = match style.options.local_port_range() {
        Some(own) if profile.behaviours.local_port_range_option => of_host.narrowed_to(own),
        _ => of_host,
    };
    let ports = usable(case, style, range);

    let most = (COUNTED / u64::from(ports).max(1)).max(1);
    let all = &all[..all.len().min(usize::try_from(most).unwrap_or(usize::MAX))];
    let destinations: Vec<Option<SocketAddr>> = match all {
        [] => vec![None],
        all => all.iter().copied().map(Some).collect(),
    };
    let formulas = Formulas::of(style, profile, ports);
    progress("connections at once to one destination");
    let (one, then_one) = bench()?.fill(&[first], formulas.enough(1))?;
    progress("connections at once to all destinations");
    let enough = formulas.enough(destinations.len() as u64);
    let (many, then_many) = match destinations.len() {
        1 => (one, then_one.clone()),
        _ => bench()?.fill(&destinations, enough)?,
    };
    progress("connections one after the other");
    let rate = bench()?.rate(first, ports)?;
    progress("the work of a connect() as the range fills");
    let cost = match (style.protocol, first) {
        (Protocol::Tcp, Some(first)) => bench()?.cost(first, range, one)?,
        _ => Vec::new(),
    };
    let held = |counted, destinations, then| {
        let (formula, by) = formulas.at_once(destinations);
        MaxConnections {
            counted,
            formula,
            by,
            then,
        }
    };
    let (formula, by) = formulas.per_second(style, time_wait(case));
    Ok(Capacity {
        program: style.program.clone(),
        host: style.host.clone(),
        protocol: style.protocol.to_string(),
        how: style.how(),
        range: range.to_string(),
        ports,
        to_one: held(one, 1, then_one),
        to_all: held(many, all.len() as u64, then_many),
        destinations: u32::try_from(all.len()).unwrap_or(u32::MAX),
        rate: Rate {
            formula,
            by,
            ..rate
        },
        cost,
        through: nat::through(case, &style.host, style.protocol, case_profile),
    })
}

/// The formulas beside the counts of one way of connecting.
struct Formulas {
    protocol: Protocol,
    ports: u32,
    /// Source addresses, each with all ports.
    addresses: u64,
    /// The port belongs to one socket, whatever its destination is.
    one_each: bool,
    /// UDP sockets share ports, so that these set no limit.
    shares: bool,
}

impl Formulas {
    fn of(style: &Style, profile: &Profile, ports: u32) -> Self {
        let kernel = &profile.behaviours;
        let udp = style.protocol == Protocol::Udp;
        let no_port = style.is_late(kernel);
        let addresses = match udp || kernel.bind_shares || no_port {
            true => style.addresses().max(1),
            false => 1,
        };
        Formulas {
            protocol: style.protocol,
            ports,
            addresses,
            one_each: udp || !style.bind.is_empty() && !no_port,
            shares: style.shares(kernel),
        }
    }

    /// Connections at once to so many destinations, and the formula.
    fn at_once(&self, destinations: u64) -> (Option<u64>, String) {
        if self.shares {
            let by = "sockets with SO_REUSEADDR or SO_REUSEPORT share ports; of those on one port one alone is answered";
            return (None, by.to_owned());
        }
        let (ports, addresses) = (self.ports, self.addresses);
        let by_address = match addresses {
            1 => String::new(),
            addresses => format!(" x {addresses} addresses"),
        };
        let per_address = u64::from(ports) * addresses;
        let s = if destinations == 1 { "" } else { "s" };
        let (count, why) = match (self.one_each, self.protocol) {
            (true, Protocol::Tcp) => (
                per_address,
                "; a bound port serves one connection".to_owned(),
            ),
            (true, Protocol::Udp) => (per_address, "; a port serves one UDP socket".to_owned()),
            (false, _) => (
                per_address * destinations,
                format!(" x {destinations} destination{s}"),
            ),
        };
        (Some(count), format!("{ports} ports{by_address}{why}"))
    }

    /// Sockets after which counting ends, although none was refused.
    fn enough(&self, destinations: u64) -> u32 {
        match self.at_once(destinations).0 {
            Some(_) => MOST_COUNTED,
            None => self.ports.saturating_mul(2).min(MOST_COUNTED),
        }
    }

    /// Connections per second if each is closed at once, and the formula.
    fn per_second(&self, style: &Style, time_wait: f64) -> (Option<f64>, String) {
        let unlimited = matches!(style.close, Close::Server | Close::Reset);
        match (self.protocol, self.at_once(1).0) {
            (Protocol::Udp, _) => {
                let by = "a closed UDP socket gives its port back at once";
                (None, by.to_owned())
            }
            (_, Some(round)) if !unlimited => (
                Some(round as f64 / time_wait),
                format!("{round} connections / {time_wait} s of TIME-WAIT, without tcp_tw_reuse"),
            ),
            _ => (None, "no TIME-WAIT is left on this host".to_owned()),
        }
    }
}

/// Ports of the range that are not reserved and, for TCP, not held by a listener of the host.
fn usable(case: &Case, style: &Style, range: PortRange) -> u32 {
    let Some(host) = case.hosts.get(&style.host) else {
        return range.size();
    };
    let reserved = host
        .sysctl
        .get("net.ipv4.ip_local_reserved_ports")
        .map(String::as_str)
        .unwrap_or_default();
    let reserved = edit::port_list(reserved);
    let tcp = style.protocol == Protocol::Tcp;
    let listens = |port: u16| tcp && host.listen.iter().any(|at| at.port() == port);
    let free = |port: &u16| !listens(*port) && !reserved.iter().any(|range| range.contains(*port));
    let count = (range.low..=range.high).filter(free).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}
