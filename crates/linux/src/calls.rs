//! Translation of program steps into the model's operations.

use crate::options::sock_opt;
use crate::program::{Call, Program, Step};
use fourtuple_kernel as model;
use fourtuple_kernel::conformance::Op;

/// The operations before the first step: they make the namespaces and set their sysctls.
pub(crate) fn beginning(program: &Program) -> Vec<Op> {
    if program.hosts.is_empty() {
        return vec![Op::Ns];
    }
    let addresses = |h: &crate::HostSpec| h.addresses.clone();
    let mut ops = vec![Op::Hosts(program.hosts.iter().map(addresses).collect())];
    for (host, spec) in program.hosts.iter().enumerate() {
        if spec.tentative_ms > 0 {
            // Until its end is observed.
            let until = model::Time(u64::MAX);
            ops.push(Op::Tentative { host, until });
        }
        ops.extend(spec.sysctls.iter().map(|(key, value)| Op::Sysctl {
            host,
            key: key.clone(),
            value: value.clone(),
        }));
    }
    ops
}

/// Returns true for a sysctl that the model does not know; it has no effect on ports.
pub(crate) fn is_unknown(op: &Op) -> bool {
    matches!(op, Op::Sysctl { key, .. } if !model::sysctl_names().contains(&key.as_str()))
}

/// Numbers of the sockets and hosts that a program names.
pub(crate) struct Names {
    socks: Vec<String>,
    hosts: Vec<String>,
    /// The user of each socket.
    uids: Vec<u32>,
}

impl Names {
    pub(crate) fn of(program: &Program) -> Names {
        let hosts = program.hosts.iter().map(|h| h.name.clone()).collect();
        Names {
            socks: Vec::new(),
            hosts,
            uids: Vec::new(),
        }
    }

    /// The number of a socket, assigned at its first use.
    pub(crate) fn sock(&mut self, name: &str) -> usize {
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
                .ok_or_else(|| format!("unknown host `{name}`")),
        }
    }

    /// Translates a step into an operation of the model.
    pub(crate) fn op(&mut self, step: &Step) -> Result<Op, String> {
        let host = self.host(step)?;
        Ok(match &step.call {
            Call::Ns => Op::Ns,
            Call::Addr { at } => Op::Address { host, ip: (*at) },
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
                    family: *family,
                    uid,
                }
            }
            Call::Set {
                sock,
                option,
                value,
            } => Op::Set {
                sock: self.sock(sock),
                opt: match sock_opt(option, value)? {
                    opt if opt.info().modelled => opt,
                    _ => return Err(format!("the model does not know the option `{option}`")),
                },
            },
            Call::Bind { sock, at } => Op::Bind {
                sock: self.sock(sock),
                at: *at,
            },
            Call::Listen { sock, backlog } => Op::Listen {
                sock: self.sock(sock),
                backlog: u32::try_from(backlog.unwrap_or(crate::plan::BACKLOG)).unwrap_or(u32::MAX),
            },
            Call::Connect { sock, to, .. } => Op::Connect {
                sock: self.sock(sock),
                to: *to,
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
                how: *how,
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
