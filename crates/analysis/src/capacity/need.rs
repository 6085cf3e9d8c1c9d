//! The inverse question: the range of local ports that a load needs.

use std::str::FromStr;

use fourtuple_harness::EngineError;
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::{Case, Close, PortRange, Protocol};
use fourtuple_syscall::canonical;
use schemars::JsonSchema;
use serde::Serialize;

use super::measure::Bench;
use super::style::{Style, styles};
use super::{MOST_COUNTED, NO_PROGRAM, time_wait};
use crate::edit;

/// The most ports that a range can have: those from 1024 on.
const MOST: u64 = 64_512;
/// The upper end of the ranges that are proposed, unless they have to be wider.
const HIGH: u64 = 60_999;

/// A load: connections at once, spread over destinations, and connections opened and closed per
/// second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Need {
    /// Connections at once.
    pub connections: u64,
    /// Destinations (address and port) that they are spread over.
    pub destinations: u64,
    /// Connections that are opened and closed per second besides.
    pub per_second: f64,
}

impl FromStr for Need {
    type Err = String;

    /// Reads `40000 connections to 2 destinations, 300 per second`; every part may be left out.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected `N connections to M destinations, R per second`";
        let words: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|word| !word.is_empty() && *word != "to" && *word != "and")
            .collect();
        let mut need = Need {
            connections: 0,
            destinations: 1,
            per_second: 0.0,
        };
        let mut rest = words.as_slice();
        while let [number, unit, more @ ..] = rest {
            let count = || {
                number
                    .parse::<u64>()
                    .ok()
                    .filter(|count| *count <= 1_000_000_000)
                    .ok_or_else(|| format!("invalid number `{number}` in `--need`: {expected}"))
            };
            rest = more;
            match *unit {
                "connection" | "connections" => need.connections = count()?,
                "destination" | "destinations" => need.destinations = count()?,
                "per" if more.first() == Some(&"second") => {
                    rest = &more[1..];
                    need.per_second = count()? as f64;
                }
                other => return Err(format!("unknown unit `{other}` in `--need`: {expected}")),
            }
        }
        if !rest.is_empty() {
            return Err(format!(
                "`{}` in `--need` has no unit: {expected}",
                rest.join(" ")
            ));
        }
        if need.destinations == 0 {
            return Err("`0 destinations` in `--need`: expected at least 1".to_owned());
        }
        if need.connections == 0 && need.per_second == 0.0 {
            return Err(format!("`--need` asks for nothing: {expected}"));
        }
        Ok(need)
    }
}

/// The range that a program needs for a load.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Range {
    /// The program.
    pub program: String,
    /// The kernel.
    pub kernel: String,
    /// Ports that connections held at once need.
    pub held: u64,
    /// Ports that TIME-WAIT sockets need besides.
    pub closed: u64,
    /// Source addresses, each with the whole range.
    pub addresses: u64,
    /// The range.
    pub range: String,
    /// Connections to one destination that the model counts with this range and one address.
    pub counted: u32,
    /// A range of twice as many ports, with which ephemeral port selection stays quick; none if
    /// there is none.
    pub quick: Option<String>,
}

/// A range of this many ports, an even number.
fn range_of(ports: u64) -> PortRange {
    let ports = (ports + ports % 2).clamp(2, MOST);
    let high = if ports <= HIGH - 1023 { HIGH } else { 65_535 };
    let port = |port: u64| u16::try_from(port).unwrap_or(u16::MAX);
    PortRange::new(port(high + 1 - ports), port(high))
}

/// Computes the range for each way of connecting that a case has, and counts on the model what it
/// gives.
///
/// # Errors
/// When the case cannot be set up, or no program of it connects.
pub fn ranges(case: &Case, profile: &Profile, need: &Need) -> Result<Vec<Range>, EngineError> {
    let styles = styles(case);
    if styles.is_empty() {
        return Err(EngineError::new(NO_PROGRAM));
    }
    styles
        .iter()
        .map(|style| of_style(case, profile, style, need))
        .collect()
}

fn of_style(
    case: &Case,
    profile: &Profile,
    style: &Style,
    need: &Need,
) -> Result<Range, EngineError> {
    let no_port = style.is_late(&profile.behaviours);
    let tcp = style.protocol == Protocol::Tcp;
    // A bound port serves one connection, whatever its destination is, and so does a port of UDP.
    let shared = if tcp && (style.bind.is_empty() || no_port) {
        need.destinations
    } else {
        1
    };
    let leaves_time_wait = tcp && !matches!(style.close, Close::Server | Close::Reset);
    let in_time_wait = if leaves_time_wait {
        (need.per_second * time_wait(case)).ceil() as u64
    } else {
        0
    };
    let held = need.connections.div_ceil(shared);
    let closed = in_time_wait.div_ceil(shared);
    let own = style.addresses().max(1);
    let addresses = (held + closed).div_ceil(MOST).max(own);
    let ports = (held + closed).div_ceil(addresses);
    let range = range_of(ports);
    let mut changed = case.clone();
    edit::sysctl(
        &mut changed,
        std::slice::from_ref(&style.host),
        edit::RANGE,
        &format!("{} {}", range.low, range.high),
    );
    let mut alone = style.clone();
    alone.bind.truncate(1);
    let to = style.connect.first().map(|to| canonical(*to));
    let bench = Bench::new(&changed, profile, &alone, to.as_slice())?;
    let most = match style.shares(&profile.behaviours) {
        true => range.size(),
        false => MOST_COUNTED,
    };
    let (counted, _) = bench.fill(&[to], most)?;
    Ok(Range {
        program: style.program.clone(),
        kernel: case.kernel.clone(),
        held,
        closed,
        addresses,
        range: range.to_string(),
        counted,
        quick: (ports * 2 <= MOST).then(|| range_of(ports * 2).to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_read() {
        let need: Need = "40000 connections to 2 destinations, 300 per second"
            .parse()
            .expect("it reads");
        assert_eq!((need.connections, need.destinations), (40_000, 2));
        assert!((need.per_second - 300.0).abs() < f64::EPSILON);
        assert!("5 per second".parse::<Need>().is_ok());
        for wrong in [
            "",
            "7",
            "x connections",
            "3 apples",
            "1 connection to 0 destinations",
        ] {
            assert!(wrong.parse::<Need>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ranges_have_an_even_number_of_ports() {
        assert_eq!(range_of(3).size(), 4);
        assert_eq!(range_of(28_232).to_string(), "32768-60999");
        assert_eq!(range_of(1_000_000).to_string(), "1024-65535");
    }
}
