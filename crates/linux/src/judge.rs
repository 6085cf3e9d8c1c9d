//! Judges answers of real kernels: follows a program with the port model, call by call, and says where an answer is not one
//! that the kernel's profile allows.

use crate::fuzz::has_history;
use crate::program::{Call, Family, How, OptionValue, Outcome, Program, Step};
use fourtuple_kernel as model;
use fourtuple_kernel::follow::{End, Follower, Op, Seen};
use fourtuple_kernel::{Behaviours, Endpoint, SockOpt, Time};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Follows one boot of one kernel, program after program. Where the kernel remembers nothing of one namespace in another, each
/// program is followed from the start: those that ran side by side come in the order of their numbers, not of time.
pub struct Judge {
    behaviours: Behaviours,
    follower: Follower,
    calls: u64,
    most: usize,
}

/// An answer that the profile does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// Name of the program.
    pub program: String,
    /// The step, from 0; the steps before it are the smallest prefix that shows it.
    pub step: usize,
    /// What was answered, in words.
    pub seen: String,
    /// What the profile allows, in words.
    pub allowed: Vec<String>,
}

/// A step that cannot be followed because it is not complete or not known to the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {} of `{program}`: {what}", step + 1)]
pub struct NotFollowed {
    /// Name of the program.
    pub program: String,
    /// The step, from 0.
    pub step: usize,
    /// What is missing.
    pub what: String,
}

impl Judge {
    /// Starts at the boot of a kernel with these behaviours.
    pub fn new(behaviours: Behaviours) -> Judge {
        Judge {
            behaviours,
            follower: Follower::new(behaviours),
            calls: 0,
            most: 1,
        }
    }

    /// How many calls have been judged.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// The most states of the kernel that explained all answers at once, a measure of what cannot be seen from outside.
    pub fn most_beliefs(&self) -> usize {
        self.most.max(self.follower.most_beliefs())
    }

    /// Follows one program that has answers. After a counterexample the rest of the program is left out, and the state goes on as
    /// it was before that call.
    ///
    /// # Errors
    /// A step that cannot be followed at all.
    pub fn program(&mut self, program: &Program) -> Result<Option<Counterexample>, NotFollowed> {
        if !has_history(&self.behaviours) {
            self.most = self.most_beliefs();
            self.follower = Follower::new(self.behaviours);
        }
        let mut names = Names::of(program);
        let mut begun = false;
        for (i, step) in program.steps.iter().enumerate() {
            let wrong = |what: String| NotFollowed {
                program: program.program.clone(),
                step: i,
                what,
            };
            let Some(answer) = &step.answer else {
                return Err(wrong("it has no answer".into()));
            };
            let at = Time(answer.at_us.saturating_mul(1000));
            if !begun {
                begun = true;
                let op = match &program.hosts[..] {
                    [] => Op::Ns,
                    hosts => Op::Hosts(
                        hosts
                            .iter()
                            .map(|h| h.addresses.iter().map(|&ip| ip.into()).collect())
                            .collect(),
                    ),
                };
                let ok = Seen {
                    end: End::Ok,
                    port: None,
                    name: None,
                };
                let begun = self.follower.step(at, &op, &ok);
                debug_assert!(begun.is_ok(), "a new namespace is always allowed");
                for (host, spec) in program.hosts.iter().enumerate() {
                    for (key, value) in &spec.sysctls {
                        let op = Op::Sysctl {
                            host,
                            key: key.clone(),
                            value: value.clone(),
                        };
                        // The runner has made sure that the kernel took it; a key that the model does not know changes no port.
                        let _ = self.follower.step(at, &op, &ok);
                    }
                }
            }
            if answer.result == Outcome::NoSock || matches!(step.call, Call::Ns) {
                continue;
            }
            let op = names.op(step).map_err(&wrong)?;
            if let Op::Sysctl { key, .. } = &op
                && !model::sysctl_names().contains(&key.as_str())
            {
                continue;
            }
            self.calls += 1;
            let seen = seen(step, &op).map_err(&wrong)?;
            if let Err(disallowed) = self.follower.step(at, &op, &seen) {
                return Ok(Some(Counterexample {
                    program: program.program.clone(),
                    step: i,
                    seen: words(&seen),
                    allowed: all_words(&disallowed.allowed),
                }));
            }
        }
        Ok(None)
    }
}

/// Answers in words, automatic ports summed up.
fn all_words(answers: &BTreeSet<Seen>) -> Vec<String> {
    let mut ports: Vec<u16> = Vec::new();
    let mut all = Vec::new();
    for seen in answers {
        match (seen.end, seen.port, seen.name) {
            (End::Ok, Some(port), None) => ports.push(port),
            _ => all.push(words(seen)),
        }
    }
    match ports[..] {
        [] => {}
        [port] => all.push(format!("ok, port {port}")),
        [first, .., last] => all.push(format!("ok, {} ports from {first} to {last}", ports.len())),
    }
    // A connect over the full range.
    let more = all.len().saturating_sub(16);
    all.truncate(16);
    if more > 0 {
        all.push(format!("{more} more"));
    }
    all
}

/// An answer in words: `ok, port 40001`, `EADDRINUSE`, `still waiting`.
fn words(seen: &Seen) -> String {
    let mut text = match seen.end {
        End::Ok => "ok".to_owned(),
        End::Err(e) => e.name().to_owned(),
        End::Waiting => "still waiting".to_owned(),
    };
    if let Some(port) = seen.port {
        text.push_str(&format!(", port {port}"));
    }
    if let Some(name) = seen.name {
        text.push_str(&format!(", {name}"));
    }
    text
}

/// Numbers for the names that a program makes up.
struct Names {
    socks: Vec<String>,
    hosts: Vec<String>,
    /// The user of each socket.
    uids: Vec<u32>,
}

impl Names {
    fn of(program: &Program) -> Names {
        let hosts = program.hosts.iter().map(|h| h.name.clone()).collect();
        Names {
            socks: Vec::new(),
            hosts,
            uids: Vec::new(),
        }
    }

    fn sock(&mut self, name: &str) -> usize {
        match self.socks.iter().position(|n| n == name) {
            Some(i) => i,
            None => {
                self.socks.push(name.to_owned());
                self.uids.push(0);
                self.socks.len() - 1
            }
        }
    }

    fn host(&self, step: &Step) -> Result<usize, String> {
        match &step.host {
            None => Ok(0),
            Some(name) => self
                .hosts
                .iter()
                .position(|h| h == name)
                .ok_or_else(|| format!("there is no host `{name}`")),
        }
    }

    /// The call in the model's terms.
    fn op(&mut self, step: &Step) -> Result<Op, String> {
        let host = self.host(step)?;
        Ok(match &step.call {
            Call::Ns => Op::Ns,
            Call::Addr { at } => Op::Address {
                host,
                ip: (*at).into(),
            },
            Call::Sysctl { key, value } => Op::Sysctl {
                host,
                key: key.clone(),
                value: value.clone(),
            },
            Call::Socket {
                sock, family, uid, ..
            } => {
                let (sock, uid) = (self.sock(sock), uid.unwrap_or(0));
                self.uids[sock] = uid;
                Op::Socket {
                    host,
                    sock,
                    family: match family {
                        Family::Inet => model::Family::Inet,
                        Family::Inet6 => model::Family::Inet6,
                    },
                    uid,
                }
            }
            Call::Set {
                sock,
                option,
                value,
            } => Op::Set {
                sock: self.sock(sock),
                opt: option_of(option, value)?,
            },
            Call::Bind { sock, at } => Op::Bind {
                sock: self.sock(sock),
                at: (*at).into(),
            },
            Call::Listen { sock, backlog } => Op::Listen {
                sock: self.sock(sock),
                backlog: u32::try_from(backlog.unwrap_or(crate::plan::BACKLOG)).unwrap_or(u32::MAX),
            },
            Call::Connect { sock, to, .. } => Op::Connect {
                sock: self.sock(sock),
                to: (*to).into(),
            },
            Call::Accept { sock, new, uid, .. } => {
                let (sock, new) = (self.sock(sock), self.sock(new));
                let uid = uid.unwrap_or(self.uids[sock]);
                self.uids[new] = uid;
                Op::Accept { sock, new, uid }
            }
            Call::Send { sock, len, .. } => Op::Send {
                sock: self.sock(sock),
                len: *len,
            },
            Call::Recv { sock, len, .. } => Op::Recv {
                sock: self.sock(sock),
                len: *len,
            },
            Call::Shutdown { sock, how } => Op::Shutdown {
                sock: self.sock(sock),
                how: match how {
                    How::Read => model::Shutdown::Read,
                    How::Write => model::Shutdown::Write,
                    How::Both => model::Shutdown::Both,
                },
            },
            Call::Disconnect { sock } => Op::Disconnect {
                sock: self.sock(sock),
            },
            Call::Close { sock } => Op::Close {
                sock: self.sock(sock),
            },
            Call::Getsockname { sock } => Op::Getsockname {
                sock: self.sock(sock),
            },
            Call::Getpeername { sock } => Op::Getpeername {
                sock: self.sock(sock),
            },
            Call::Sleep { .. } => Op::Sleep,
        })
    }
}

/// The option in the model's terms.
fn option_of(name: &str, value: &OptionValue) -> Result<SockOpt, String> {
    let number = match value {
        OptionValue::Bool(false) if name == "linger" => -1,
        OptionValue::Bool(on) => i64::from(*on),
        OptionValue::Int(n) => *n,
        OptionValue::Text(text) if name == "bindtodevice" => match text.as_str() {
            "" => 0,
            "lo" => 1,
            "eth0" => 2,
            _ => return Err(format!("the model does not know the interface `{text}`")),
        },
        OptionValue::Text(text) => {
            let (low, high) = text
                .split_once('-')
                .and_then(|(l, h)| {
                    Some((l.trim().parse::<u16>().ok()?, h.trim().parse::<u16>().ok()?))
                })
                .ok_or_else(|| format!("`{text}` is not a value of `{name}`"))?;
            i64::from(low) | i64::from(high) << 16
        }
    };
    SockOpt::from_name(name, number)
        .ok_or_else(|| format!("the model does not know the option `{name}`"))
}

/// The answer in the model's terms.
fn seen(step: &Step, op: &Op) -> Result<Seen, String> {
    let answer = step.answer.as_ref().ok_or("it has no answer")?;
    let end = match answer.result {
        Outcome::Ok => End::Ok,
        Outcome::Waiting | Outcome::NoSock => End::Waiting,
        Outcome::Errno(e) => {
            let name = e.to_string();
            End::Err(
                model::Errno::from_name(&name)
                    .ok_or_else(|| format!("the model does not know the errno {name}"))?,
            )
        }
    };
    let endpoint = |a: Option<SocketAddr>| a.filter(|_| end == End::Ok).map(Endpoint::from);
    let name = match op {
        Op::Connect { .. } | Op::Getsockname { .. } => endpoint(answer.local),
        Op::Accept { .. } | Op::Getpeername { .. } => endpoint(answer.peer),
        _ => None,
    };
    let port = answer
        .port
        .filter(|_| end == End::Ok && matches!(op, Op::Bind { .. } | Op::Listen { .. }));
    Ok(Seen { end, port, name })
}
