//! Addresses with ports: `192.168.0.12:0`, `[::1]:80`, and in steps `127.0.0.1:$p`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::port::port;
use super::{Invalid, Name, Word};
use crate::diagnostic::quoted;

/// An address in a step. Its port may be a variable that an earlier step set with `port_as`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The IP address; `0.0.0.0` and `::` are the wildcards.
    pub ip: IpAddr,
    /// The scope id of a link-local address, an interface number of the host: 1 is `lo`, 2 is
    /// `eth0`, 0 is none.
    pub scope: u32,
    /// The port.
    pub port: PortRef,
}

/// A port in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortRef {
    /// A number; 0 lets the kernel choose.
    Number(u16),
    /// `$name`: the port that an earlier step kept under this name.
    Variable(String),
}

impl Address {
    /// Resolves the variable; `None` if `lookup` does not know it.
    pub fn resolve(&self, lookup: impl FnOnce(&str) -> Option<u16>) -> Option<SocketAddr> {
        let port = match &self.port {
            PortRef::Number(port) => *port,
            PortRef::Variable(name) => lookup(name)?,
        };
        Some(joined(self.ip, self.scope, port))
    }

    /// The variable in place of the port, if there is one.
    pub fn variable(&self) -> Option<&str> {
        match &self.port {
            PortRef::Number(_) => None,
            PortRef::Variable(name) => Some(name),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self {
            ip: address.ip(),
            scope: match address {
                SocketAddr::V4(_) => 0,
                SocketAddr::V6(v6) => v6.scope_id(),
            },
            port: PortRef::Number(address.port()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => write!(f, "{ip}:")?,
            IpAddr::V6(ip) => match INTERFACES.iter().find(|(_, number)| *number == self.scope) {
                Some((name, _)) => write!(f, "[{ip}%{name}]:")?,
                None => write!(f, "[{ip}]:")?,
            },
        }
        match &self.port {
            PortRef::Number(port) => write!(f, "{port}"),
            PortRef::Variable(name) => write!(f, "${name}"),
        }
    }
}

/// The interfaces of a host, by name and number.
const INTERFACES: &[(&str, u32)] = &[("lo", 1), ("eth0", 2)];

/// Joins an address with its scope id and port.
fn joined(ip: IpAddr, scope: u32, port: u16) -> SocketAddr {
    match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope)),
    }
}

/// Parses an IPv6 address with an optional interface, as in `fe80::1%eth0`.
fn scoped(text: &str) -> Result<(IpAddr, u32), Invalid> {
    let (ip, zone) = match text.split_once('%') {
        Some((ip, zone)) => (ip, Some(zone)),
        None => (text, None),
    };
    let not_an_address = || Invalid::message(format!("{} is not an IPv6 address", quoted(ip)));
    let ip: Ipv6Addr = ip.parse().map_err(|_| not_an_address())?;
    let Some(zone) = zone else {
        return Ok((IpAddr::V6(ip), 0));
    };
    if !ip.is_unicast_link_local() {
        return Err(
            Invalid::message(format!("{ip} is not a link-local address")).and_help(format!(
                "write `[{ip}]`; only link-local addresses have an interface"
            )),
        );
    }
    let number = |(name, number): &(&str, u32)| *name == zone || number.to_string() == zone;
    match INTERFACES.iter().find(|one| number(one)) {
        Some((_, number)) => Ok((IpAddr::V6(ip), *number)),
        None => Err(
            Invalid::message(format!("unknown interface {}", quoted(zone)))
                .and_help(format!("write `[{ip}%eth0]`, or `%lo`")),
        ),
    }
}

/// Splits `ADDR:PORT` into address, scope id and port.
fn split(text: &str) -> Result<(IpAddr, u32, &str), Invalid> {
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, port) = rest
            .split_once("]:")
            .ok_or_else(|| Invalid::help("write an IPv6 address as `[::1]:80`"))?;
        let (ip, scope) = scoped(ip)?;
        return Ok((ip, scope, port));
    }
    // Without brackets, a port is indistinguishable from the last group of the address, so the
    // error asks for both.
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(Invalid::help(
            "put the address in brackets, then the port: `[::1]:80`",
        ));
    }
    let Some((ip, port)) = text.rsplit_once(':') else {
        let help = if text.parse::<IpAddr>().is_ok() {
            format!("add a port: `{text}:0` lets the kernel choose one")
        } else {
            "addresses are written as numbers, with a port: `192.168.0.12:0`".to_owned()
        };
        return Err(Invalid::help(help));
    };
    if ip.contains(':') {
        return Err(Invalid::help(format!(
            "put the address in brackets: `[{ip}]:{port}`"
        )));
    }
    match ip.parse::<IpAddr>() {
        Ok(ip) => Ok((ip, 0, port)),
        Err(_) => Err(
            Invalid::message(format!("{} is not an IP address", quoted(ip))).and_help(
                "addresses are written as numbers: `192.168.0.12:0`; names are not looked up",
            ),
        ),
    }
}

impl Word for SocketAddr {
    const EXPECTED: &'static str = "ADDR:PORT such as `192.168.0.12:0` or `[::1]:80`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        let (ip, scope, number) = split(text)?;
        if number.starts_with('$') {
            return Err(Invalid::message("`$` variables are only valid in steps")
                .and_help("for a matrix axis, write `${name}`"));
        }
        Ok(joined(ip, scope, port(number)?))
    }
}

/// ADDR:PORT with a port other than 0: a destination or a listener.
pub(crate) struct Endpoint(pub(crate) SocketAddr);

impl Word for Endpoint {
    const EXPECTED: &'static str = "ADDR:PORT such as `192.168.0.4:3000` or `[::1]:80`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        let address = SocketAddr::parse(text)?;
        if address.port() == 0 {
            return Err(
                Invalid::message("`connect` and `listen` do not accept port 0")
                    .and_help("give the port a number from 1 to 65535"),
            );
        }
        Ok(Self(address))
    }
}

impl Word for Address {
    const EXPECTED: &'static str =
        "ADDR:PORT such as `127.0.0.1:5000`, `[::1]:0` or `127.0.0.1:$p`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        let (ip, scope, number) = split(text)?;
        let port = match number.strip_prefix('$') {
            Some(name) => PortRef::Variable(Name::parse(name)?.0),
            None => PortRef::Number(port(number)?),
        };
        Ok(Self { ip, scope, port })
    }
}

/// An IP address without a port.
pub(crate) struct AnyAddress(pub(crate) IpAddr);

impl Word for AnyAddress {
    const EXPECTED: &'static str = "an IP address such as `192.168.0.12` or `fd00::1`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        let ip: IpAddr = text.parse().map_err(|_| {
            if text.contains('/') {
                Invalid::help("omit the prefix length")
            } else {
                Invalid::default()
            }
        })?;
        if let IpAddr::V4(native) = ip.to_canonical()
            && ip.is_ipv6()
        {
            return Err(Invalid::message(format!("{ip} is an IPv4-mapped address"))
                .and_help(format!("write `{native}`")));
        }
        // Linux accepts any of these as a host's address, but packets to them never come back.
        let is_no_host = match ip {
            IpAddr::V4(ip) => ip.is_broadcast() || ip.octets()[0] == 0,
            IpAddr::V6(ip) => ip.is_unspecified(),
        };
        if is_no_host || ip.is_multicast() {
            return Err(
                Invalid::message(format!("{ip} is not a valid host address"))
                    .and_help("give the host an address of its own, such as `10.0.0.1`"),
            );
        }
        Ok(Self(ip))
    }
}
