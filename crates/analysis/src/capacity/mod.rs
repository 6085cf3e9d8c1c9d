//! The connections that a host can make: at once, per second, and at which cost.
//!
//! The numbers are counted on the model, connection by connection, in the way in which the
//! scenario's own programs connect. The formula stands beside them, so that a difference is
//! visible: a listener inside the range, an odd number of ports, a bind() that closes ports to all
//! others.

mod measure;
pub mod nat;
pub mod need;
pub mod recording;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use fourtuple_harness::EngineError;
use fourtuple_kernel::profile::{self, Profile};
use fourtuple_scenario::{Case, Close, Hold, Options, PortRange, Program, Protocol, SockOpt};
use fourtuple_syscall::canonical;
use schemars::JsonSchema;
use serde::Serialize;

use crate::edit;
use measure::Bench;
use nat::ThroughNat;

/// Fill levels at which the range is measured, in percent of its ports in use.
pub const FILLS: [u32; 5] = [0, 50, 90, 99, 100];

/// Programs of one kind that are named.
const NAMED: usize = 4;
/// Connections to all destinations that are counted at most; with more destinations, some of them
/// are left out.
const COUNTED: u64 = 120_000;

/// One way of connecting that a program of the scenario has.
#[derive(Clone, Debug)]
struct Style {
    program: String,
    host: String,
    uid: u32,
    bind: Vec<SocketAddr>,
    options: Options,
    connect: Vec<SocketAddr>,
    close: Close,
}

impl Style {
    /// Returns `true` if another way of connecting has the same numbers: it differs at most in the
    /// destination.
    fn is_like(&self, other: &Style) -> bool {
        let local = |style: &Style| {
            let first = style.connect.first();
            first.map(|to| (to.is_ipv6(), to.ip().is_loopback()))
        };
        self.host == other.host
            && self.bind == other.bind
            && self.options == other.options
            && self.close == other.close
            && self.connect.len() == other.connect.len()
            && local(self) == local(other)
    }
}

/// The capacity of one program's way of connecting.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Capacity {
    /// The program.
    pub program: String,
    /// Its host.
    pub host: String,
    /// The way it connects, in words.
    pub how: String,
    /// The range of local ports.
    pub range: String,
    /// Ports of the range that searches may use.
    pub ports: u32,
    /// Connections at once to its first destination.
    pub to_one: MaxConnections,
    /// Connections at once to all destinations of the scenario, and how many those are.
    pub to_all: MaxConnections,
    /// The number of destinations behind `to_all`.
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
    /// Counted on the model.
    pub counted: u32,
    /// The result of the formula.
    pub formula: u64,
    /// The formula.
    pub by: String,
    /// The answer of the first call that got no port.
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
    everywhere: Vec<SocketAddr>,
    capacity: Capacity,
}

impl Measured {
    fn find(&self, case: &Case, style: &Style, everywhere: &[SocketAddr]) -> Option<&Capacity> {
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
/// When the case cannot be set up, or no process in it connects.
pub fn measure(
    case: &Case,
    profile: &Profile,
    measured: &mut Measured,
    progress: &mut dyn FnMut(&str),
) -> Result<Capacities, EngineError> {
    if let Program::Processes(all) = &*case.program
        && let Some((name, _)) = all.iter().find(|(_, one)| one.protocol == Protocol::Udp)
    {
        return Err(EngineError::new(format!(
            "`{name}` uses UDP, whose sockets each need a port whatever their destination is: connections are counted for TCP alone"
        )));
    }
    let styles = styles(case);
    if styles.is_empty() {
        return Err(EngineError::new("no program of this scenario connects"));
    }
    let mut everywhere: Vec<SocketAddr> = Vec::new();
    for to in styles.iter().flat_map(|style| &style.connect) {
        if !everywhere.contains(to) {
            everywhere.push(*to);
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

/// The different ways of connecting; programs that differ only in number, time or destination are
/// one. A program is measured alone, so that another destination of its kind gives the same
/// numbers.
fn styles(case: &Case) -> Vec<Style> {
    let mut found: Vec<(Style, usize)> = Vec::new();
    let mut add = |style: Style| match found.iter_mut().find(|(one, _)| one.is_like(&style)) {
        Some((one, more)) => {
            *more += 1;
            if *more < NAMED {
                one.program.push_str(&format!(", {}", style.program));
            }
        }
        None => found.push((style, 0)),
    };
    match &*case.program {
        Program::Processes(all) => {
            for (name, process) in all
                .iter()
                .filter(|(_, process)| !process.connect.is_empty())
            {
                add(Style {
                    program: name.clone(),
                    host: process.on.clone(),
                    uid: process.uid,
                    bind: process.bind.clone(),
                    options: process.options.clone(),
                    connect: process.connect.clone(),
                    // Connections that are held for ever are not closed by either side; TIME-WAIT
                    // on the client is the usual case.
                    close: if process.hold == Hold::Forever {
                        Close::Client
                    } else {
                        process.close
                    },
                });
            }
        }
        Program::Steps(_) => {
            for name in edit::processes(case) {
                let habits = edit::habits(case, &name);
                if habits.connect.is_empty() {
                    continue;
                }
                let mut connect = habits.connect;
                connect.dedup();
                add(Style {
                    program: name,
                    host: habits.host,
                    uid: 0,
                    bind: habits.bind.into_iter().take(1).collect(),
                    options: Options::default(),
                    connect,
                    close: Close::Client,
                });
            }
        }
    }
    let named = |(mut style, more): (Style, usize)| {
        if more >= NAMED {
            style
                .program
                .push_str(&format!(" and {} more", more + 1 - NAMED));
        }
        style
    };
    found.into_iter().map(named).collect()
}

fn of_style(
    case: &Case,
    profile: &Profile,
    style: &Style,
    everywhere: &[SocketAddr],
    progress: &mut dyn FnMut(&str),
) -> Result<Capacity, EngineError> {
    let first = canonical(style.connect[0]);
    // A program reaches destinations of its own family.
    let all: Vec<SocketAddr> = everywhere
        .iter()
        .filter(|to| to.is_ipv6() == style.connect[0].is_ipv6())
        .map(|to| canonical(*to))
        .collect();
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
    progress("connections at once to one destination");
    let (one, then_one) = bench()?.fill(&[first])?;
    progress("connections at once to all destinations");
    let (many, then_many) = match all {
        [_] => (one, then_one.clone()),
        _ => bench()?.fill(all)?,
    };
    progress("connections one after the other");
    let rate = bench()?.rate(first, ports)?;
    progress("the work of a connect() as the range fills");
    let cost = bench()?.cost(first, range, one)?;

    let no_port = profile.behaviours.bind_address_no_port
        && style.options.has(SockOpt::BindAddressNoPort(true));
    let binds_port = !style.bind.is_empty() && !no_port;
    let addresses = if profile.behaviours.bind_shares || no_port {
        distinct(&style.bind).max(1)
    } else {
        1
    };
    let per_address = u64::from(ports);
    let by_address = if addresses > 1 {
        format!(" x {addresses} addresses")
    } else {
        String::new()
    };
    let destinations = all.len() as u64;
    let formula = |destinations: u64| match binds_port {
        true => (
            per_address * addresses,
            format!("{ports} ports{by_address}; a bound port serves one connection"),
        ),
        false => (
            per_address * addresses * destinations,
            format!(
                "{ports} ports{by_address} x {destinations} destination{}",
                if destinations == 1 { "" } else { "s" }
            ),
        ),
    };
    let held = |counted, (formula, by): (u64, String), then| MaxConnections {
        counted,
        formula,
        by,
        then,
    };
    let seconds = time_wait(case);
    let unlimited = matches!(style.close, Close::Server | Close::Reset);
    let per_round = formula(1).0 as f64;
    Ok(Capacity {
        program: style.program.clone(),
        host: style.host.clone(),
        how: how(style),
        range: range.to_string(),
        ports,
        to_one: held(one, formula(1), then_one),
        to_all: held(many, formula(destinations), then_many),
        destinations: u32::try_from(destinations).unwrap_or(u32::MAX),
        rate: Rate {
            formula: (!unlimited).then(|| per_round / seconds),
            by: if unlimited {
                "no TIME-WAIT is left on this host".to_owned()
            } else {
                format!("{per_round} connections / {seconds} s of TIME-WAIT, without tcp_tw_reuse")
            },
            ..rate
        },
        cost,
        through: nat::through(case, &style.host, case_profile),
    })
}

fn distinct(bind: &[SocketAddr]) -> u64 {
    let mut ips: Vec<_> = bind.iter().map(SocketAddr::ip).collect();
    ips.sort_unstable();
    ips.dedup();
    ips.len() as u64
}

/// Ports of the range that are not reserved and not held by a listener of the host.
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
    let listens = |port: u16| host.listen.iter().any(|at| at.port() == port);
    let free = |port: &u16| !listens(*port) && !reserved.iter().any(|range| range.contains(*port));
    let count = (range.low..=range.high).filter(free).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn how(style: &Style) -> String {
    let mut words = if style.bind.is_empty() {
        "connects without bind".to_owned()
    } else {
        // Taken in turn, an address may be there several times.
        let different: BTreeSet<&SocketAddr> = style.bind.iter().collect();
        let at: Vec<String> = different.iter().take(3).map(ToString::to_string).collect();
        let more = match different.len().saturating_sub(at.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("binds {}{more}, then connects", at.join(", "))
    };
    let options: Vec<String> = style
        .options
        .iter()
        .map(|option| format!("{} {}", option.name(), option.value()))
        .collect();
    if !options.is_empty() {
        words.push_str(&format!(" ({})", options.join(", ")));
    }
    words
}
