//! The declarative form: what the guest is told to play, and what it tells of it.

use super::steps::{peer_of, word};
use super::{Answered, options};
use crate::options::sock_opt;
use crate::plan::{AnswerError, Builder, Records, bytes, socket_address};
use crate::program::{Call, OptionValue, Outcome, Step};
use crate::wire::*;
use fourtuple_harness::attempt::Args;
use fourtuple_harness::call::{self, Numbering};
use fourtuple_harness::{Caller, Cannot, Recorder, Seen, SocketId};
use fourtuple_scenario as scenario;
use fourtuple_scenario::{Accepted, Case, Close, Hold, Op};
use indexmap::IndexMap;
use std::net::IpAddr;
use std::time::Duration;

/// Backlog of the listeners of processes; they accept at once.
const BACKLOG: i32 = 4096;

/// Processes to be played.
#[derive(Clone, Debug)]
pub(super) struct Play {
    processes: Vec<Playing>,
    standing: Vec<Standing>,
    hosts: Vec<String>,
    wait_ms: u32,
}

/// A listener that is there from the start.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) host: usize,
    pub(super) sock: String,
    pub(super) port: u16,
}

#[derive(Clone, Debug)]
struct Playing {
    name: String,
    host: usize,
    process: scenario::Process,
    options: Vec<(String, OptionValue)>,
    /// Places of the processes that it comes after.
    after: Vec<usize>,
    /// The place of the process that it inherits from.
    inherit: Option<usize>,
    /// The host that each address to connect to belongs to.
    reached: Vec<Option<usize>>,
}

impl Play {
    pub(super) fn of(
        case: &Case,
        processes: &IndexMap<String, scenario::Process>,
        standing: Vec<Standing>,
        wait_ms: u32,
    ) -> Result<Play, Cannot> {
        let mut all = Vec::new();
        let (mut instances, mut connections, mut listeners) = (0u64, 0u64, 0u64);
        for (name, process) in processes {
            let host = case
                .hosts
                .get_index_of(process.on.as_str())
                .ok_or_else(|| Cannot::new(format!("no host is called {}", process.on)))?;
            let place_of = |name: &str| {
                let found = processes.get_index_of(name);
                found.ok_or_else(|| Cannot::new(format!("no process is called {name}")))
            };
            let after = process.after.iter().map(|name| place_of(name));
            let owner = |ip: IpAddr| {
                let has = |host: &scenario::Host| host.addresses.contains(&ip);
                let other = !ip.is_loopback() && !ip.is_unspecified();
                other.then(|| case.hosts.values().position(has)).flatten()
            };
            instances += u64::from(process.count);
            connections += process.total_connections();
            let parent = process
                .inherit
                .as_deref()
                .and_then(|name| processes.get(name));
            listeners += u64::from(process.count) * process.listen.len() as u64;
            listeners += parent.map_or(0, |parent| {
                u64::from(process.count) * u64::from(parent.count) * parent.listen.len() as u64
            });
            all.push(Playing {
                name: name.clone(),
                host,
                options: options::of(&process.options, case.hosts.len())?,
                after: after.collect::<Result<_, _>>()?,
                inherit: process.inherit.as_deref().map(place_of).transpose()?,
                reached: process
                    .connect
                    .iter()
                    .map(|to| owner(plain(to.ip())))
                    .collect(),
                process: process.clone(),
            });
        }
        let most = MAX_CONNECTIONS as u64;
        if instances > most || connections > most || listeners > MAX_LISTENERS as u64 {
            return Err(Cannot::new(format!(
                "it has more than {most} connections or {MAX_LISTENERS} listeners"
            )));
        }
        if all.len() > MAX_PROCESSES {
            return Err(Cannot::new(format!(
                "it has more than {MAX_PROCESSES} processes"
            )));
        }
        Ok(Play {
            processes: all,
            standing,
            hosts: case.hosts.keys().cloned().collect(),
            wait_ms,
        })
    }

    /// Adds the operation that plays it.
    pub(super) fn plan(&self, builder: &mut Builder) -> Result<(), String> {
        let mut o = Vec::new();
        let first = builder.slots();
        if first + MAX_LISTENERS + 2 * MAX_CONNECTIONS > MAX_SOCKETS {
            return Err("it has too many listeners".into());
        }
        o.extend((first as u16).to_le_bytes());
        o.extend(self.wait_ms.to_le_bytes());
        count(&mut o, self.standing.len())?;
        for standing in &self.standing {
            o.push(standing.host as u8);
            o.extend(
                builder
                    .slot(&standing.sock, standing.host as u8)?
                    .to_le_bytes(),
            );
            o.extend(standing.port.to_le_bytes());
        }
        count(&mut o, self.processes.len())?;
        for (place, playing) in self.processes.iter().enumerate() {
            builder.user(Some(playing.process.uid), 0)?;
            playing.encode(place, &mut o)?;
        }
        builder.op(OP_PLAY, 0, 0, &o).map(|_| ())
    }

    /// Puts what the guest tells into calls and attempts.
    pub(super) fn answered(
        &self,
        records: &mut Records,
        to: &mut Answered,
    ) -> Result<(), AnswerError> {
        let length = u32::from_le_bytes(records.take().ok_or(AnswerError::Short)?) as usize;
        if records.0.len() != length {
            return Err(AnswerError::Short);
        }
        let mut telling = Telling {
            play: self,
            recorder: Recorder::default(),
            accepted: Vec::new(),
            last_ns: 0,
            to,
        };
        while !records.0.is_empty() {
            telling.entry(records).ok_or(AnswerError::Short)?;
        }
        let attempts = telling.recorder.finish();
        to.attempts = attempts;
        Ok(())
    }
}

impl Playing {
    fn encode(&self, place: usize, o: &mut Vec<u8>) -> Result<(), String> {
        let process = &self.process;
        o.push(self.host as u8);
        o.extend((place as u16 + 1).to_le_bytes());
        o.extend(process.uid.to_le_bytes());
        o.extend(process.count.to_le_bytes());
        o.extend(nanos(process.start).to_le_bytes());
        o.extend(process.connections.to_le_bytes());
        o.extend(process.repeat.to_le_bytes());
        o.extend(nanos(process.every).to_le_bytes());
        let hold = match process.hold {
            Hold::Forever => HOLD_FOREVER,
            Hold::For(time) => nanos(time).min(HOLD_FOREVER - 1),
        };
        o.extend(hold.to_le_bytes());
        o.push(match process.close {
            Close::Client => CLOSE_CLIENT,
            Close::Server => CLOSE_SERVER,
            Close::Both => CLOSE_BOTH,
            Close::Reset => CLOSE_RESET,
        });
        o.push(match process.accepted {
            Accepted::Keep => ACCEPTED_KEEP,
            Accepted::Close => ACCEPTED_CLOSE,
            Accepted::Reset => ACCEPTED_RESET,
        });
        let parent = self.inherit.map_or(INHERITS_NONE, |place| place as u16);
        o.extend(parent.to_le_bytes());
        count(o, self.after.len())?;
        for after in &self.after {
            o.extend((*after as u16).to_le_bytes());
        }
        count(o, process.bind.len())?;
        for at in &process.bind {
            socket_address(o, at);
        }
        count(o, process.listen.len())?;
        for at in &process.listen {
            socket_address(o, at);
        }
        count(o, process.connect.len())?;
        for (to, reached) in process.connect.iter().zip(&self.reached) {
            o.push(reached.map_or(255, |host| host as u8));
            socket_address(o, to);
        }
        count(o, self.options.len())?;
        for (name, value) in &self.options {
            let encoded = sock_opt(name, value)?.encode();
            o.extend(encoded.level.to_le_bytes());
            o.extend(encoded.option.to_le_bytes());
            bytes(o, encoded.value());
        }
        Ok(())
    }
}

fn count(o: &mut Vec<u8>, n: usize) -> Result<(), String> {
    let n = u16::try_from(n).map_err(|_| "a list is too long".to_owned())?;
    o.extend(n.to_le_bytes());
    Ok(())
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// An IPv4 address that is written as an IPv6 one, as what it is.
fn plain(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

/// Reads the guest's entries one after the other.
struct Telling<'a> {
    play: &'a Play,
    recorder: Recorder,
    /// The host of each accepted socket.
    accepted: Vec<usize>,
    /// Virtual time of the entry before.
    last_ns: u64,
    to: &'a mut Answered,
}

/// Who makes a call.
struct Who {
    host: usize,
    sock: String,
    caller: Option<Caller>,
}

impl Telling<'_> {
    fn entry(&mut self, records: &mut Records) -> Option<()> {
        let [who, code, detail] = records.take()?;
        let process = u16::from_le_bytes(records.take()?) as usize;
        let instance = u32::from_le_bytes(records.take()?);
        let number = u32::from_le_bytes(records.take()?);
        let at_ns = u64::from_le_bytes(records.take()?);
        let record = records.next()?;
        let last_ns = std::mem::replace(&mut self.last_ns, at_ns);
        let playing = self.play.processes.get(process);
        let by = self.who(who, process, instance, number)?;
        let call = match code {
            OP_SLEEP => {
                let passed = at_ns.saturating_sub(last_ns).div_ceil(1_000_000);
                let ms = u32::try_from(passed).unwrap_or(u32::MAX);
                Call::Sleep { ms }
            }
            OP_ACCEPT => {
                self.accepted.push(by.host);
                Call::Accept {
                    sock: by.sock,
                    new: format!("accepted.{}", self.accepted.len()),
                    uid: None,
                    wait_ms: None,
                }
            }
            OP_CLOSE => Call::Close { sock: by.sock },
            OP_SET if detail == DETAIL_RESET => Call::Set {
                sock: by.sock,
                option: "linger".into(),
                value: OptionValue::Int(0),
            },
            _ => playing?.call(who, code, detail, instance, number, by.sock)?,
        };
        let step = Step {
            host: Some(self.play.hosts.get(by.host)?.clone()),
            answer: Some(record.answer(&call)),
            call,
        };
        let owner = match by.caller {
            Some(caller) => self.attempt(caller, at_ns, &step),
            None => 0,
        };
        self.to.keep(step, owner);
        Some(())
    }

    fn who(&mut self, who: u8, process: usize, instance: u32, number: u32) -> Option<Who> {
        let nobody = |host: usize, sock: String| Who {
            host,
            sock,
            caller: None,
        };
        Some(match who {
            WHO_NOBODY => nobody(0, String::new()),
            WHO_STANDING => {
                let standing = self.play.standing.get(number as usize)?;
                nobody(standing.host, standing.sock.clone())
            }
            WHO_ACCEPTED => {
                let host = *self.accepted.get(number as usize)?;
                nobody(host, format!("accepted.{}", number + 1))
            }
            _ => {
                let Playing {
                    name,
                    host,
                    process,
                    ..
                } = self.play.processes.get(process)?;
                let numbering = Numbering::of(process);
                let k = if who == WHO_LISTENER {
                    numbering.listener(instance, number)
                } else {
                    let per_round = process.connections.max(1);
                    numbering.connection(instance, number / per_round, number % per_round)
                };
                Who {
                    host: *host,
                    sock: format!("{name}.{k}"),
                    caller: Some(Caller {
                        who: self
                            .recorder
                            .who(self.play.hosts.get(*host)?.as_str(), name.as_str()),
                        instance: instance + 1,
                        socket: SocketId::Numbered(k),
                    }),
                }
            }
        })
    }

    /// Adds a call to the attempts if it is one; answers its number.
    fn attempt(&mut self, caller: Caller, at_ns: u64, step: &Step) -> u32 {
        let Some(answer) = &step.answer else {
            return 0;
        };
        let refused = answer.result != Outcome::Ok;
        let (op, args) = match &step.call {
            Call::Bind { at, .. } => (Op::Bind, Args::At((*at).into())),
            Call::Listen { .. } => (Op::Listen, Args::Backlog(BACKLOG.unsigned_abs())),
            Call::Connect { to, .. } => (Op::Connect, Args::To((*to).into())),
            Call::Set { option, value, .. } if refused => {
                let value = match value {
                    OptionValue::Bool(on) => on.to_string(),
                    OptionValue::Int(n) => n.to_string(),
                    OptionValue::Text(text) => text.clone(),
                };
                (Op::Set, Args::Option(option.as_str().into(), value.into()))
            }
            _ => return 0,
        };
        let slot = self.recorder.call(at_ns, caller, op, args);
        if refused {
            self.recorder.failed(slot, word(answer.result), None);
        } else {
            let peer = match &step.call {
                Call::Connect { to, .. } => Some(peer_of(*to, answer.local).into()),
                _ => None,
            };
            let seen = Seen {
                local: answer.local.map(Into::into),
                peer,
                bytes: None,
            };
            self.recorder.ok(slot, seen);
        }
        self.recorder.attempt(slot).n()
    }
}

impl Playing {
    /// A call of one of its instances.
    fn call(
        &self,
        who: u8,
        code: u8,
        detail: u8,
        instance: u32,
        number: u32,
        sock: String,
    ) -> Option<Call> {
        let process = &self.process;
        let connection = number % process.connections.max(1);
        let (at, to) = if who == WHO_LISTENER {
            (process.listen.get(number as usize).copied(), None)
        } else {
            (
                process.bind_of(instance, connection),
                process.connect_of(instance, connection),
            )
        };
        Some(match code {
            OP_SOCKET => Call::Socket {
                sock,
                family: call::family(at, to),
                uid: Some(process.uid),
                nonblock: who == WHO_LISTENER,
            },
            OP_SET => {
                let (option, value) = self.options.get(usize::from(detail))?.clone();
                Call::Set {
                    sock,
                    option,
                    value,
                }
            }
            OP_BIND => Call::Bind { sock, at: at? },
            OP_LISTEN => Call::Listen {
                sock,
                backlog: Some(BACKLOG),
            },
            OP_CONNECT => Call::Connect {
                sock,
                to: to?,
                wait_ms: None,
            },
            _ => return None,
        })
    }
}
