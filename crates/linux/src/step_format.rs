//! Serialises a step as one flat JSON object: `op`, `at_us`, `result`, then the fields of the op.
//! Traces have this form.

use crate::program::{Answer, BACKLOG, Call, NO_SOCKET, Step};
use fourtuple_syscall::{
    Family, Kind, Op, OptValue, Outcome, Returned, Shutdown, SockOpt, Syscall,
};
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// The result of a call on a socket that does not exist.
const NOSOCK: &str = "NOSOCK";

/// The value of a sysctl or of a socket option.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Bool(bool),
    Int(i64),
    Text(String),
}

impl From<OptValue> for Value {
    fn from(value: OptValue) -> Value {
        match value {
            OptValue::Flag(on) => Value::Bool(on),
            OptValue::Int(number) => Value::Int(number),
            OptValue::Linger(None) => Value::Bool(false),
            OptValue::Linger(Some(seconds)) => Value::Int(seconds.into()),
            OptValue::Range(range) => Value::Text(range.to_string()),
            OptValue::Name(name) => Value::Text(name.to_string()),
        }
    }
}

/// The fields of all ops.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
    op: String,
    host: Option<String>,
    at_us: Option<u64>,
    result: Option<String>,
    key: Option<String>,
    value: Option<Value>,
    sock: Option<String>,
    family: Option<String>,
    kind: Option<String>,
    uid: Option<u32>,
    nonblock: Option<bool>,
    option: Option<String>,
    at: Option<String>,
    port: Option<u16>,
    backlog: Option<i32>,
    to: Option<SocketAddr>,
    local: Option<SocketAddr>,
    new: Option<String>,
    peer: Option<SocketAddr>,
    len: Option<u32>,
    moved: Option<u32>,
    how: Option<String>,
    ms: Option<u32>,
    wait_ms: Option<u32>,
}

fn need<T>(op: &str, name: &str, field: &mut Option<T>) -> Result<T, String> {
    field.take().ok_or_else(|| format!("`{op}` needs `{name}`"))
}

/// Parses a field with a fixed set of values.
fn word<T>(
    name: &str,
    text: &Option<String>,
    read: fn(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    let Some(text) = text else {
        return Ok(None);
    };
    read(text)
        .map(Some)
        .ok_or_else(|| format!("invalid `{name}` value `{text}`"))
}

/// The result of a call as recordings write it.
pub(crate) fn result(outcome: &Outcome) -> String {
    match *outcome {
        NO_SOCKET => NOSOCK.to_owned(),
        outcome => outcome.to_string(),
    }
}

/// The outcome with this result and, where it is a success, these values.
pub(crate) fn outcome(result: &str, returned: Returned) -> Result<Outcome, String> {
    Ok(match result {
        "ok" => Outcome::Ok(returned),
        "WAITING" => Outcome::WouldBlock,
        NOSOCK => NO_SOCKET,
        name => Outcome::Err(
            name.parse()
                .map_err(|e| format!("invalid result `{name}`: {e}, `ok` or `WAITING`"))?,
        ),
    })
}

impl Flat {
    fn address<T: FromStr>(&mut self) -> Result<T, String> {
        let text = need(&self.op, "at", &mut self.at)?;
        text.parse().map_err(|_| {
            format!(
                "invalid `at` value `{text}`: `{}` needs an address of another form",
                self.op
            )
        })
    }

    fn call(&mut self) -> Result<Call, String> {
        let op = self.op.clone();
        Ok(match op.as_str() {
            "ns" => Call::Ns,
            "addr" => Call::Addr {
                at: self.address::<IpAddr>()?,
            },
            "sysctl" => Call::Sysctl {
                value: match need(&op, "value", &mut self.value)? {
                    Value::Text(s) => s,
                    Value::Int(n) => n.to_string(),
                    Value::Bool(b) => u8::from(b).to_string(),
                },
                key: need(&op, "key", &mut self.key)?,
            },
            "sleep" => Call::Sleep {
                ms: need(&op, "ms", &mut self.ms)?,
            },
            name => match Op::from_name(name) {
                Some(op) => Call::Sys(self.sys(op)?),
                None => {
                    let all: Vec<&str> = Op::ALL.iter().map(|op| op.as_str()).collect();
                    return Err(format!(
                        "unknown op `{name}`: expected ns, addr, sysctl, sleep, {}",
                        all.join(", ")
                    ));
                }
            },
        })
    }

    fn sys(&mut self, op: Op) -> Result<Syscall<String>, String> {
        let sock = need(op.as_str(), "sock", &mut self.sock)?;
        Ok(match op {
            Op::Socket => Syscall::Socket {
                sock,
                family: word("family", &self.family, Family::from_name)?.unwrap_or(Family::Inet),
                kind: word("kind", &self.kind, Kind::from_name)?.unwrap_or(Kind::Stream),
                uid: self.uid.unwrap_or(0),
                nonblock: self.nonblock.unwrap_or(false),
            },
            Op::Set => Syscall::Set {
                sock,
                option: self.option()?,
            },
            Op::Bind => Syscall::Bind {
                sock,
                addr: self.address()?,
            },
            Op::Listen => Syscall::Listen {
                sock,
                backlog: self.backlog.unwrap_or(BACKLOG),
            },
            Op::Connect => Syscall::Connect {
                sock,
                addr: need(op.as_str(), "to", &mut self.to)?,
            },
            Op::Accept => Syscall::Accept {
                sock,
                new: need(op.as_str(), "new", &mut self.new)?,
                uid: self.uid,
            },
            Op::Send => Syscall::Send {
                sock,
                len: need(op.as_str(), "len", &mut self.len)?,
            },
            Op::Recv => Syscall::Recv {
                sock,
                len: need(op.as_str(), "len", &mut self.len)?,
            },
            Op::SendTo => Syscall::SendTo {
                sock,
                addr: need(op.as_str(), "to", &mut self.to)?,
                len: need(op.as_str(), "len", &mut self.len)?,
            },
            Op::RecvFrom => Syscall::RecvFrom {
                sock,
                len: need(op.as_str(), "len", &mut self.len)?,
            },
            Op::Shutdown => Syscall::Shutdown {
                sock,
                how: word("how", &self.how, Shutdown::from_name)?.unwrap_or(Shutdown::Both),
            },
            Op::Disconnect => Syscall::Disconnect { sock },
            Op::Close => Syscall::Close { sock },
            Op::Getsockname => Syscall::Getsockname { sock },
            Op::Getpeername => Syscall::Getpeername { sock },
        })
    }

    fn option(&mut self) -> Result<SockOpt, String> {
        let name = need("set", "option", &mut self.option)?;
        let text = match need("set", "value", &mut self.value)? {
            Value::Bool(on) => on.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Text(text) => text,
        };
        SockOpt::parse(&name, &text)
            .map_err(|e| format!("invalid socket option `{name}` with value `{text}`: {e}"))
    }

    fn answer(&self, call: &Call) -> Result<Option<Answer>, String> {
        let Some(result) = &self.result else {
            return Ok(None);
        };
        // Only fields that are written for this op count, so that reading and writing are inverse.
        let bound = |ip| Returned {
            local: self.port.map(|port| SocketAddr::new(ip, port)),
            ..Returned::default()
        };
        let returned = match call.sys() {
            Some(Syscall::Bind { addr, .. }) => bound(addr.ip()),
            Some(Syscall::Listen { .. }) => bound(Ipv4Addr::UNSPECIFIED.into()),
            _ => Returned {
                local: self.local,
                peer: self.peer,
                bytes: self.moved,
                ..Returned::default()
            },
        };
        Ok(Some(Answer {
            at_us: self.at_us.unwrap_or(0),
            outcome: outcome(result, returned).map_err(|e| format!("`result`: {e}"))?,
        }))
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut flat = Flat::deserialize(deserializer)?;
        let call = flat.call().map_err(D::Error::custom)?;
        let answer = flat.answer(&call).map_err(D::Error::custom)?;
        Ok(Step {
            host: flat.host,
            call,
            wait_ms: flat.wait_ms,
            answer,
        })
    }
}

/// Writes fields, some of them optional.
struct Fields<M>(M);

impl<M: SerializeMap> Fields<M> {
    fn put(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), M::Error> {
        self.0.serialize_entry(name, value)
    }

    fn maybe<T: Serialize>(&mut self, name: &str, value: &Option<T>) -> Result<(), M::Error> {
        value.as_ref().map_or(Ok(()), |v| self.put(name, v))
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut f = Fields(serializer.serialize_map(None)?);
        f.put("op", self.call.op())?;
        f.maybe("host", &self.host)?;
        if let Some(a) = &self.answer {
            f.put("at_us", &a.at_us)?;
            f.put("result", &result(&a.outcome))?;
        }
        f.maybe("sock", &self.call.sock())?;
        match &self.call {
            Call::Ns => {}
            Call::Addr { at } => f.put("at", at)?,
            Call::Sysctl { key, value } => {
                f.put("key", key)?;
                f.put("value", value)?;
            }
            Call::Sleep { ms } => f.put("ms", ms)?,
            Call::Sys(call) => f.arguments(call)?,
        }
        f.maybe("wait_ms", &self.wait_ms)?;
        if let Some(a) = &self.answer {
            let returned = match a.outcome {
                Outcome::Ok(returned) => returned,
                _ => Returned::default(),
            };
            match self.call.sys() {
                // The field is written even if there is no port (`null`).
                Some(Syscall::Bind { .. } | Syscall::Listen { .. }) => {
                    f.put("port", &returned.local.map(|at| at.port()))?;
                }
                _ => {
                    f.maybe("local", &returned.local)?;
                    f.maybe("peer", &returned.peer)?;
                    f.maybe("moved", &returned.bytes)?;
                }
            }
        }
        f.0.end()
    }
}

impl<M: SerializeMap> Fields<M> {
    /// The arguments of a system call that are not its defaults.
    fn arguments(&mut self, call: &Syscall<String>) -> Result<(), M::Error> {
        match call {
            Syscall::Socket {
                family,
                kind,
                uid,
                nonblock,
                ..
            } => {
                self.put("family", family.as_str())?;
                let datagram = *kind == Kind::Datagram;
                self.maybe("kind", &datagram.then_some(kind.as_str()))?;
                self.maybe("uid", &(*uid != 0).then_some(uid))?;
                self.maybe("nonblock", &nonblock.then_some(true))
            }
            Syscall::Set { option, .. } => {
                self.put("option", option.name())?;
                self.put("value", &Value::from(option.value()))
            }
            Syscall::Bind { addr, .. } => self.put("at", addr),
            Syscall::Listen { backlog, .. } => {
                self.maybe("backlog", &(*backlog != BACKLOG).then_some(backlog))
            }
            Syscall::Connect { addr, .. } => self.put("to", addr),
            Syscall::Accept { new, uid, .. } => {
                self.put("new", new)?;
                self.maybe("uid", uid)
            }
            Syscall::SendTo { addr, len, .. } => {
                self.put("to", addr)?;
                self.put("len", len)
            }
            Syscall::Send { len, .. }
            | Syscall::Recv { len, .. }
            | Syscall::RecvFrom { len, .. } => self.put("len", len),
            Syscall::Shutdown { how, .. } => self.put("how", how.as_str()),
            Syscall::Disconnect { .. }
            | Syscall::Close { .. }
            | Syscall::Getsockname { .. }
            | Syscall::Getpeername { .. } => Ok(()),
        }
    }
}
