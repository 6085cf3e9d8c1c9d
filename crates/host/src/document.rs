//! The file of a capture.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the format. Fields may be added; existing fields keep their meaning.
pub const FORMAT: u32 = 1;

/// A network namespace of a host at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// The version of this format.
    pub fourtuple_capture: u32,
    /// The release of the kernel, as `uname -r` prints it.
    pub kernel: String,
    /// The time of the capture, in seconds since 1970.
    pub time: u64,
    /// The interface that the sockets were read from.
    pub source: Source,
    /// Sysctls that affect ports, and the fill of the connection tracking table.
    pub sysctl: BTreeMap<String, String>,
    /// The addresses of the namespace, apart from loopback and link-local ones.
    pub addresses: Vec<IpAddr>,
    /// The routes of IPv4.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// The TCP sockets.
    pub sockets: Vec<Socket>,
}

/// The interface that sockets were read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Netlink.
    SockDiag,
    /// `/proc/net/tcp` and `/proc/net/tcp6`, which have neither options nor bound-only sockets.
    Proc,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// The network, `0.0.0.0` with `bits` 0 for the default route.
    pub network: IpAddr,
    /// The length of the network's prefix.
    pub bits: u8,
    /// The gateway, if the network is not on the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
    /// The interface.
    pub device: String,
}

/// A TCP socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Socket {
    /// The state, as ss names it; `UNCONN` is a socket that is bound only.
    pub state: String,
    /// The local address.
    pub local: SocketAddr,
    /// The other end of a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
    /// The user who owns it; 0 for TIME-WAIT sockets, which have no owner.
    pub uid: u32,
    /// `true` for an AF_INET6 socket with IPv4 addresses.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mapped: bool,
    /// The running timer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<Timer>,
    /// The call that chose the port, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_by: Option<PortBy>,
    /// `IP_BIND_ADDRESS_NO_PORT`, where the kernel shows it (Linux 5.10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind_address_no_port: Option<bool>,
    /// `IPV6_V6ONLY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6only: Option<bool>,
    /// The cgroup, by its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<u64>,
    /// A process that has a descriptor of the socket, where `/proc` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

/// A timer of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timer {
    /// `on` (retransmission), `keepalive`, `timewait` or `persist`, as ss names them.
    pub name: String,
    /// The milliseconds until it fires.
    pub ms: u32,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name (`/proc/PID/comm`).
    pub name: String,
}

/// The call that chose the port of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortBy {
    /// bind() with the number of the port.
    Number,
    /// bind() to port 0.
    Bind,
    /// connect().
    Connect,
    /// accept(): the port of a listener.
    Accept,
}

impl PortBy {
    /// The name, as the file has it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Bind => "bind",
            Self::Connect => "connect",
            Self::Accept => "accept",
        }
    }
}

// The signature that serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A text that is not a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(String);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseError {}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// Text that is not JSON, another version of the format, a missing or wrong field.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let version = serde_json::from_str::<Version>(text).map(|one| one.fourtuple_capture);
        match version {
            Ok(Some(FORMAT)) => {}
            Ok(Some(other)) => {
                return Err(ParseError(format!(
                    "format {other} of a capture: expected {FORMAT}"
                )));
            }
            Ok(None) => {
                return Err(ParseError(
                    "JSON without `fourtuple_capture`: expected a file of `fourtuple capture`"
                        .to_owned(),
                ));
            }
            Err(error) if error.is_eof() && text.trim_start().starts_with('{') => {
                return Err(ParseError(format!("the capture is truncated: {error}")));
            }
            Err(error) => return Err(ParseError(format!("not a capture: {error}"))),
        }
        serde_json::from_str(text).map_err(|error| ParseError(format!("invalid capture: {error}")))
    }

    /// The sockets as ss prints them.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::from("Netid State Recv-Q Send-Q Local Peer\n");
        for one in &self.sockets {
            let peer = one
                .peer
                .map_or_else(|| "0.0.0.0:*".to_owned(), |peer| peer.to_string());
            // Writing to a string cannot fail.
            let _ = write!(text, "tcp {} 0 0 {} {peer}", one.state, one.local);
            if let Some(left) = one.time_wait_ms() {
                let _ = write!(text, " timer:(timewait,{left}ms,0)");
            }
            if one.bind_address_no_port == Some(true) {
                text.push_str(" inet-sockopt:(bind_address_no_port)");
            }
            if let Some(by) = one.port_by {
                let _ = write!(text, " port-by:{}", by.as_str());
            }
            text.push('\n');
        }
        text
    }

    /// The sysctls as `sysctl -a` prints them.
    #[must_use]
    pub fn sysctls(&self) -> String {
        let lines = self
            .sysctl
            .iter()
            .map(|(name, value)| format!("{name} = {value}\n"));
        lines.collect()
    }
}

/// A text of one line: without control characters.
pub(crate) fn printable(text: &str) -> String {
    let clean = text.chars().map(|c| match c.is_control() {
        true => '?',
        false => c,
    });
    clean.collect()
}

/// The version alone, which decides whether the rest can be read.
#[derive(Deserialize)]
struct Version {
    fourtuple_capture: Option<u32>,
}

impl Socket {
    /// A socket without options.
    #[must_use]
    pub fn new(state: &str, local: SocketAddr, peer: Option<SocketAddr>, uid: u32) -> Self {
        Socket {
            state: state.to_owned(),
            local,
            peer,
            uid,
            mapped: false,
            timer: None,
            port_by: None,
            bind_address_no_port: None,
            v6only: None,
            cgroup: None,
            process: None,
        }
    }

    /// The milliseconds that a TIME-WAIT socket has left, or a FIN-WAIT-2 that has become one.
    #[must_use]
    pub fn time_wait_ms(&self) -> Option<u32> {
        let timer = self.timer.as_ref().filter(|timer| timer.name == "timewait");
        timer.map(|timer| timer.ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn document() -> Document {
        let socket = |state: &str, local: &str, peer: &str| {
            let at = local.parse().expect("an address");
            let mut one = Socket::new(state, at, peer.parse().ok(), 33);
            one.timer = (state == "TIME-WAIT").then(|| Timer {
                name: "timewait".to_owned(),
                ms: 1_500,
            });
            one.bind_address_no_port = Some(state == "ESTAB");
            one
        };
        Document {
            fourtuple_capture: FORMAT,
            kernel: "6.18.0".to_owned(),
            time: 7,
            source: Source::SockDiag,
            sysctl: [("net.ipv4.tcp_tw_reuse".to_owned(), "2".to_owned())].into(),
            addresses: vec!["203.0.113.7".parse().expect("an address")],
            routes: Vec::new(),
            sockets: vec![
                socket("LISTEN", "127.0.0.1:80", ""),
                socket("ESTAB", "203.0.113.7:40000", "203.0.113.9:80"),
                socket("TIME-WAIT", "203.0.113.7:40001", "203.0.113.9:80"),
            ],
        }
    }

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let text = serde_json::to_string(&document()).expect("JSON");
        assert_eq!(Document::parse(&text), Ok(document()));
    }

    #[test]
    fn what_is_not_a_capture_is_named() {
        let text = serde_json::to_string(&document()).expect("JSON");
        let said = |text: &str| Document::parse(text).expect_err("an error").to_string();
        let newer = text.replace("\"fourtuple_capture\":1", "\"fourtuple_capture\":2");
        assert_eq!(said(&newer), "format 2 of a capture: expected 1");
        assert!(said("{}").starts_with("JSON without `fourtuple_capture`"));
        assert!(said(&text[..text.len() / 2]).starts_with("the capture is truncated"));
        assert!(said("LISTEN 0 0").starts_with("not a capture"));
        let wrong = text.replace("203.0.113.7:40000", "nowhere");
        assert!(said(&wrong).starts_with("invalid capture"));
    }

    #[test]
    fn the_table_is_that_of_ss() {
        assert_eq!(
            document().table(),
            "Netid State Recv-Q Send-Q Local Peer\n\
             tcp LISTEN 0 0 127.0.0.1:80 0.0.0.0:*\n\
             tcp ESTAB 0 0 203.0.113.7:40000 203.0.113.9:80 inet-sockopt:(bind_address_no_port)\n\
             tcp TIME-WAIT 0 0 203.0.113.7:40001 203.0.113.9:80 timer:(timewait,1500ms,0)\n"
        );
    }
}
