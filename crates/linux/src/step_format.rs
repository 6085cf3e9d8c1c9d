//! Serialises a step as one flat JSON object: `op`, `at_us`, `result`, then the fields of the op.
//! Traces have this form.

use crate::program::{Answer, Call, Family, How, OptionValue, Outcome, Step};
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::net::{IpAddr, SocketAddr};

/// The fields of all ops.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
    op: String,
    host: Option<String>,
    at_us: Option<u64>,
    result: Option<String>,
    key: Option<String>,
    value: Option<OptionValue>,
    sock: Option<String>,
    family: Option<String>,
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

impl Flat {
    fn address<T: std::str::FromStr>(&mut self) -> Result<T, String> {
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
        let op = op.as_str();
        if op == "ns" {
            return Ok(Call::Ns);
        } else if op == "addr" {
            return Ok(Call::Addr {
                at: self.address::<IpAddr>()?,
            });
        } else if op == "sysctl" {
            let value = match need(op, "value", &mut self.value)? {
                OptionValue::Text(s) => s,
                OptionValue::Int(n) => n.to_string(),
                OptionValue::Bool(b) => u8::from(b).to_string(),
            };
            return Ok(Call::Sysctl {
                key: need(op, "key", &mut self.key)?,
                value,
            });
        } else if op == "sleep" {
            return Ok(Call::Sleep {
                ms: need(op, "ms", &mut self.ms)?,
            });
        }
        const OPS: [&str; 13] = [
            "socket",
            "set",
            "bind",
            "listen",
            "connect",
            "accept",
            "send",
            "recv",
            "shutdown",
            "disconnect",
            "close",
            "getsockname",
            "getpeername",
        ];
        if !OPS.contains(&op) {
            return Err(format!(
                "unknown op `{op}`: expected ns, addr, sysctl, sleep, {}",
                OPS.join(", ")
            ));
        }
        let sock = need(op, "sock", &mut self.sock)?;
        let wait_ms = self.wait_ms;
        Ok(match op {
            "socket" => Call::Socket {
                sock,
                family: word("family", &self.family, Family::from_name)?.unwrap_or(Family::Inet),
                uid: self.uid,
                nonblock: self.nonblock.unwrap_or(false),
            },
            "set" => Call::Set {
                sock,
                option: need(op, "option", &mut self.option)?,
                value: need(op, "value", &mut self.value)?,
            },
            "bind" => Call::Bind {
                sock,
                at: self.address()?,
            },
            "listen" => Call::Listen {
                sock,
                backlog: self.backlog,
            },
            "connect" => Call::Connect {
                sock,
                to: need(op, "to", &mut self.to)?,
                wait_ms,
            },
            "accept" => Call::Accept {
                sock,
                new: need(op, "new", &mut self.new)?,
                uid: self.uid,
                wait_ms,
            },
            "send" => Call::Send {
                sock,
                len: need(op, "len", &mut self.len)?,
                wait_ms,
            },
            "recv" => Call::Recv {
                sock,
                len: need(op, "len", &mut self.len)?,
                wait_ms,
            },
            "shutdown" => Call::Shutdown {
                sock,
                how: word("how", &self.how, How::from_name)?.unwrap_or(How::Both),
            },
            "disconnect" => Call::Disconnect { sock },
            "close" => Call::Close { sock },
            "getsockname" => Call::Getsockname { sock },
            _ => Call::Getpeername { sock },
        })
    }

    fn answer(&self, call: &Call) -> Result<Option<Answer>, String> {
        let Some(result) = &self.result else {
            return Ok(None);
        };
        // Only fields that are written for this op count, so that reading and writing are inverse.
        let (local, peer, port, moved) = match call {
            Call::Bind { at, .. } => {
                let local = self.port.map(|port| SocketAddr::new(at.ip(), port));
                (local, None, self.port, None)
            }
            Call::Listen { .. } => (None, None, self.port, None),
            _ => (self.local, self.peer, None, self.moved),
        };
        let result = result
            .parse::<Outcome>()
            .map_err(|e| format!("`result`: {e}"))?;
        Ok(Some(Answer {
            at_us: self.at_us.unwrap_or(0),
            result,
            local,
            peer,
            port,
            moved,
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
            answer,
        })
    }
}

fn op(call: &Call) -> &'static str {
    match call {
        Call::Ns => "ns",
        Call::Addr { .. } => "addr",
        Call::Sysctl { .. } => "sysctl",
        Call::Socket { .. } => "socket",
        Call::Set { .. } => "set",
        Call::Bind { .. } => "bind",
        Call::Listen { .. } => "listen",
        Call::Connect { .. } => "connect",
        Call::Accept { .. } => "accept",
        Call::Send { .. } => "send",
        Call::Recv { .. } => "recv",
        Call::Shutdown { .. } => "shutdown",
        Call::Disconnect { .. } => "disconnect",
        Call::Close { .. } => "close",
        Call::Getsockname { .. } => "getsockname",
        Call::Getpeername { .. } => "getpeername",
        Call::Sleep { .. } => "sleep",
    }
}

impl Call {
    /// The name of the call in traces.
    pub fn op(&self) -> &'static str {
        op(self)
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
            f.put("result", &a.result.to_string())?;
        }
        f.maybe("sock", &self.call.sock())?;
        match &self.call {
            Call::Ns
            | Call::Disconnect { .. }
            | Call::Close { .. }
            | Call::Getsockname { .. }
            | Call::Getpeername { .. } => {}
            Call::Addr { at } => f.put("at", at)?,
            Call::Sysctl { key, value } => {
                f.put("key", key)?;
                f.put("value", value)?;
            }
            Call::Socket {
                family,
                uid,
                nonblock,
                ..
            } => {
                f.put("family", family.as_str())?;
                f.maybe("uid", uid)?;
                f.maybe("nonblock", &nonblock.then_some(true))?;
            }
            Call::Set { option, value, .. } => {
                f.put("option", option)?;
                f.put("value", value)?;
            }
            Call::Bind { at, .. } => f.put("at", at)?,
            Call::Listen { backlog, .. } => f.maybe("backlog", backlog)?,
            Call::Connect { to, wait_ms, .. } => {
                f.put("to", to)?;
                f.maybe("wait_ms", wait_ms)?;
            }
            Call::Accept {
                new, uid, wait_ms, ..
            } => {
                f.put("new", new)?;
                f.maybe("uid", uid)?;
                f.maybe("wait_ms", wait_ms)?;
            }
            Call::Send { len, wait_ms, .. } | Call::Recv { len, wait_ms, .. } => {
                f.put("len", len)?;
                f.maybe("wait_ms", wait_ms)?;
            }
            Call::Shutdown { how, .. } => f.put("how", how.as_str())?,
            Call::Sleep { ms } => f.put("ms", ms)?,
        }
        if let Some(a) = &self.answer {
            match &self.call {
                // The field is written even if there is no port (`null`).
                Call::Bind { .. } | Call::Listen { .. } => f.put("port", &a.port)?,
                _ => {
                    f.maybe("local", &a.local)?;
                    f.maybe("peer", &a.peer)?;
                    f.maybe("moved", &a.moved)?;
                }
            }
        }
        f.0.end()
    }
}
