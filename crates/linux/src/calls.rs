//! Translation of program steps into the model's operations.

use crate::program::{Call, Program, Step};
use fourtuple_harness::compile;
use fourtuple_kernel as model;
use fourtuple_kernel::conformance::Op;
use fourtuple_kernel::nat::is_nat_sysctl;
use fourtuple_syscall::Syscall;

/// The operations before the first step: they make the namespaces and set their sysctls.
pub(crate) fn beginning(program: &Program) -> Vec<Op> {
    if program.hosts.is_empty() {
        return vec![Op::Ns];
    }
    let addresses = |h: &crate::HostSpec| h.addresses.clone();
    let mut ops = vec![Op::Hosts(program.hosts.iter().map(addresses).collect())];
    let place = |name: &String| program.hosts.iter().position(|host| host.name == *name);
    for (host, spec) in program.hosts.iter().enumerate() {
        if let Some(router) = spec.via.as_ref().and_then(place) {
            ops.push(Op::Via { host, router });
        }
        if let Some(nat) = &spec.nat {
            let rules = compile::nat_rules(nat);
            ops.push(Op::Nat { host, rules });
        }
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
    let known = |key: &str| model::sysctl_names().contains(&key) || is_nat_sysctl(key);
    matches!(op, Op::Sysctl { key, .. } if !known(key))
}

/// Numbers of the sockets and hosts that a program names.
pub(crate) struct Names {
    socks: Vec<String>,
    hosts: Vec<String>,
}

impl Names {
    pub(crate) fn of(program: &Program) -> Names {
        Names {
            socks: Vec::new(),
            hosts: program.hosts.iter().map(|h| h.name.clone()).collect(),
        }
    }

    /// The number of a socket, assigned at its first use.
    pub(crate) fn sock(&mut self, name: &str) -> usize {
        match self.socks.iter().position(|n| n == name) {
            Some(i) => i,
            None => {
                self.socks.push(name.to_owned());
                self.socks.len() - 1
            }
        }
    }

    fn host(&self, step: &Step) -> Result<usize, String> {
        let Some(name) = &step.host else {
            return Ok(0);
        };
        let place = self.hosts.iter().position(|h| h == name);
        place.ok_or_else(|| format!("unknown host `{name}`"))
    }

    /// The operation of a step, or the reason why the model does not know it.
    pub(crate) fn op(&mut self, step: &Step) -> Result<Op, String> {
        let host = self.host(step)?;
        Ok(match &step.call {
            Call::Ns => Op::Ns,
            Call::Addr { at } => Op::Address { host, ip: *at },
            Call::Sysctl { key, value } => Op::Sysctl {
                host,
                key: key.clone(),
                value: value.clone(),
            },
            Call::Sleep { .. } => Op::Sleep,
            Call::Sys(Syscall::Set { option, .. }) if !option.info().modelled => {
                let name = option.name();
                return Err(format!("the model does not know the option `{name}`"));
            }
            Call::Sys(call) => Op::Call {
                host,
                call: call.clone().map(|name| self.sock(&name)),
            },
        })
    }
}
