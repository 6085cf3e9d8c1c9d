//! Recordings of real kernels: JSON lines, one boot header and then its programs.
//!
//! The format is what `fourtuple fuzz --record` writes: see `docs/traces.md`.

use fourtuple_kernel::follow::{End, Op, Seen};
use fourtuple_kernel::{Endpoint, Errno, Family, Shutdown, SockOpt, Time};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The line that opens one boot of a kernel.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Header {
    /// Format number, 1.
    pub trace: u32,
    /// Name of the kernel, for people.
    pub kernel: String,
    /// What `uname -r` said.
    pub release: String,
    /// The profile that it stands for.
    pub profile: String,
}

/// An option's value: a number, or a port range as text.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Value {
    /// As `setsockopt` takes it.
    Number(i64),
    /// `40000-40003`
    Text(String),
}

/// One step of a program with what the kernel answered.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Step {
    /// What was called.
    pub op: String,
    /// Monotonic clock when the call had returned, in microseconds.
    #[serde(default)]
    pub at_us: u64,
    /// `ok`, an errno name, `WAITING` or `NOSOCK`.
    #[serde(default)]
    pub result: String,
    /// Name of the socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sock: Option<String>,
    /// accept: name of the child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// socket: `inet` or `inet6`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// socket and accept: the process's uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// sysctl: key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// set: option.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
    /// sysctl and set: value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// bind: where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// bind and listen: the port afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// connect: where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// connect and getsockname: the local name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// accept and getpeername: the peer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// shutdown: `read`, `write` or `both`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
    /// sleep: milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// listen: backlog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<u32>,
    /// send and recv: bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub len: Option<u32>,
}

/// One program: what one process did in its own fresh network namespace.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub program: String,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// One boot of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Which kernel.
    pub header: Header,
    /// What ran, in order.
    pub programs: Vec<Program>,
}

/// A line that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TraceError {
    /// 1-based line.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// The longest line that is read: 64 MiB.
pub const MAX_LINE: usize = 64 << 20;

/// Reads recordings.
///
/// # Errors
/// The first line that is neither a header nor a program of a boot.
pub fn read(text: &str) -> Result<Vec<Boot>, TraceError> {
    let mut boots: Vec<Boot> = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let fail = |what: String| TraceError { line: n + 1, what };
        if line.trim().is_empty() {
            continue;
        }
        if line.len() > MAX_LINE {
            return Err(fail(format!("longer than {MAX_LINE} bytes")));
        }
        if line.starts_with("{\"trace\"") {
            let header: Header = serde_json::from_str(line).map_err(|e| fail(e.to_string()))?;
            if header.trace != 1 {
                return Err(fail(format!(
                    "format {} is not known, only 1 is",
                    header.trace
                )));
            }
            boots.push(Boot {
                header,
                programs: Vec::new(),
            });
            continue;
        }
        let program: Program = serde_json::from_str(line).map_err(|e| fail(e.to_string()))?;
        match boots.last_mut() {
            Some(boot) => boot.programs.push(program),
            None => return Err(fail("a program before the first header line".to_owned())),
        }
    }
    Ok(boots)
}

/// A step in the model's terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// When it had returned.
    pub at: Time,
    /// What was asked.
    pub op: Op,
    /// What was answered.
    pub seen: Seen,
}

/// Turns the names of one program's sockets into numbers.
#[derive(Clone, Debug, Default)]
pub struct Names {
    names: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> usize {
        match self.names.iter().position(|n| n == name) {
            Some(i) => i,
            None => {
                self.names.push(name.to_owned());
                self.names.len() - 1
            }
        }
    }
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    text.parse::<SocketAddr>()
        .map(Endpoint::from)
        .map_err(|_| format!("`{text}` is not an address with a port"))
}

impl Step {
    fn field<'a, T: ?Sized>(&self, name: &str, v: Option<&'a T>) -> Result<&'a T, String> {
        v.ok_or_else(|| format!("a `{}` step needs `{name}`", self.op))
    }

    /// The step in the model's terms; `None` if the socket did not exist, which says nothing.
    ///
    /// # Errors
    /// What is missing or not known.
    pub fn call(&self, names: &mut Names) -> Result<Option<Call>, String> {
        if self.result == "NOSOCK" {
            return Ok(None);
        }
        let mut sock = || -> Result<usize, String> {
            Ok(names.number(self.field("sock", self.sock.as_deref())?))
        };
        let uid = self.uid.unwrap_or(0);
        let op = match self.op.as_str() {
            "ns" => Op::Ns,
            "sleep" => Op::Sleep,
            "sysctl" => Op::Sysctl {
                host: 0,
                key: self.field("key", self.key.as_deref())?.to_owned(),
                value: match self.field("value", self.value.as_ref())? {
                    Value::Number(n) => n.to_string(),
                    Value::Text(t) => t.clone(),
                },
            },
            "socket" => Op::Socket {
                host: 0,
                sock: sock()?,
                family: match self.field("family", self.family.as_deref())? {
                    "inet" => Family::Inet,
                    "inet6" => Family::Inet6,
                    other => return Err(format!("family `{other}` is not `inet` or `inet6`")),
                },
                uid,
            },
            "set" => Op::Set {
                sock: sock()?,
                opt: self.option()?,
            },
            "bind" => Op::Bind {
                sock: sock()?,
                at: endpoint(self.field("at", self.at.as_deref())?)?,
            },
            "listen" => Op::Listen {
                sock: sock()?,
                backlog: self.backlog.unwrap_or(128),
            },
            "connect" => Op::Connect {
                sock: sock()?,
                to: endpoint(self.field("to", self.to.as_deref())?)?,
            },
            "accept" => {
                let sock = sock()?;
                Op::Accept {
                    sock,
                    new: names.number(self.field("new", self.new.as_deref())?),
                    uid,
                }
            }
            "send" => Op::Send {
                sock: sock()?,
                len: self.len.unwrap_or(1),
            },
            "recv" => Op::Recv {
                sock: sock()?,
                len: self.len.unwrap_or(1),
            },
            "shutdown" => Op::Shutdown {
                sock: sock()?,
                how: match self.how.as_deref() {
                    Some("read") => Shutdown::Read,
                    Some("write") => Shutdown::Write,
                    Some("both") | None => Shutdown::Both,
                    Some(other) => {
                        return Err(format!("`{other}` is not `read`, `write` or `both`"));
                    }
                },
            },
            "disconnect" => Op::Disconnect { sock: sock()? },
            "close" => Op::Close { sock: sock()? },
            "getsockname" => Op::Getsockname { sock: sock()? },
            "getpeername" => Op::Getpeername { sock: sock()? },
            other => return Err(format!("`{other}` is not a step")),
        };
        let end = match self.result.as_str() {
            "ok" => End::Ok,
            "WAITING" => End::Waiting,
            name => {
                End::Err(Errno::from_name(name).ok_or_else(|| format!("`{name}` is not an errno"))?)
            }
        };
        let ok = end == End::Ok;
        let name = match op {
            Op::Connect { .. } | Op::Getsockname { .. } => self.local.as_deref(),
            Op::Accept { .. } | Op::Getpeername { .. } => self.peer.as_deref(),
            _ => None,
        };
        let name = name.filter(|_| ok).map(endpoint).transpose()?;
        let port = self
            .port
            .filter(|_| ok && matches!(op, Op::Bind { .. } | Op::Listen { .. }));
        let at = Time(self.at_us.saturating_mul(1000));
        Ok(Some(Call {
            at,
            op,
            seen: Seen { end, port, name },
        }))
    }

    fn option(&self) -> Result<SockOpt, String> {
        let name = self.field("option", self.option.as_deref())?;
        let value = match self.field("value", self.value.as_ref())? {
            Value::Number(n) => *n,
            Value::Text(t) => {
                let (low, high) = t
                    .split_once('-')
                    .and_then(|(l, h)| Some((l.parse::<u16>().ok()?, h.parse::<u16>().ok()?)))
                    .ok_or_else(|| format!("`{t}` is not a port range"))?;
                i64::from(low) | i64::from(high) << 16
            }
        };
        SockOpt::from_name(name, value).ok_or_else(|| format!("`{name}` is not a socket option"))
    }
}
