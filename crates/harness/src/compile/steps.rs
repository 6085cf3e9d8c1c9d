//! The step form as a plan.

use std::net::SocketAddr;

use fourtuple_program::{HostId, PortName, SockName, Step, StepPlan};
use fourtuple_scenario as scenario;
use fourtuple_scenario::{Address, Case};
use fourtuple_syscall::Syscall;
use indexmap::IndexSet;

use super::{host, nanos, number};
use crate::error::EngineError;

/// Numbers for the names of a case.
#[derive(Default)]
struct Names<'a> {
    sockets: IndexSet<&'a str>,
    ports: IndexSet<&'a str>,
    /// Accepted sockets without a name.
    nameless: u32,
}

/// The plan of a case in the step form. Hosts and steps have the numbers of their places in the
/// case; each step of the file is one of the plan.
///
/// # Errors
/// When the case is in the declarative form, or mentions a host that it does not have.
pub fn steps(case: &Case) -> Result<StepPlan, EngineError> {
    let steps = case.program.steps();
    let steps = steps.ok_or_else(|| EngineError::new("processes have no fixed order of steps"))?;
    let mut names = Names::default();
    let plan = steps.iter().zip(1..).map(|(one, next)| {
        let mut step = names.step(case, one)?;
        if let Step::Socket { listens, .. } = &mut step {
            *listens = steps[next..].iter().any(|later| {
                matches!(&later.value, scenario::Step::Listen(_)) && later.socket() == one.socket()
            });
        }
        Ok(step)
    });
    Ok(StepPlan::new(plan.collect::<Result<_, EngineError>>()?))
}

impl<'a> Names<'a> {
    fn sock(&mut self, name: &'a str) -> SockName {
        SockName(number(self.sockets.insert_full(name).0))
    }

    fn port(&mut self, name: &'a str) -> PortName {
        PortName(number(self.ports.insert_full(name).0))
    }

    /// An address, and the variable that its port comes from.
    fn address(&mut self, address: &'a Address) -> (SocketAddr, Option<PortName>) {
        let fixed = address.resolve(|_| Some(0));
        let fixed = fixed.unwrap_or(SocketAddr::new(address.ip, 0));
        (fixed, address.variable().map(|name| self.port(name)))
    }

    fn step(&mut self, case: &Case, step: &'a scenario::Step) -> Result<Step, EngineError> {
        Ok(match step {
            scenario::Step::Sleep(sleep) => Step::Sleep(nanos(sleep.sleep)),
            scenario::Step::Sysctl(of) => Step::Sysctl {
                host: HostId(number(host(case, &of.on)?)),
                settings: of.sysctl.clone().into_iter().collect(),
            },
            scenario::Step::Socket(of) => Step::Socket {
                sock: self.sock(&of.socket),
                host: HostId(number(host(case, &of.on)?)),
                family: of.family,
                kind: of.kind.kind(),
                uid: of.uid,
                nonblock: of.nonblock,
                listens: false,
                options: of.options.iter().collect(),
                implicit: of.implicit,
            },
            scenario::Step::Set(set) => Step::Set {
                sock: self.sock(&set.set),
                options: set.options.iter().collect(),
            },
            _ => {
                let (call, port) = self.call(step)?;
                Step::Call {
                    call,
                    port,
                    port_as: step.port_as().map(|name| self.port(name)),
                }
            }
        })
    }

    fn call(
        &mut self,
        step: &'a scenario::Step,
    ) -> Result<(Syscall<SockName>, Option<PortName>), EngineError> {
        let Some(sock) = step.socket().map(|name| self.sock(name)) else {
            return Err(EngineError::new("a step makes no call"));
        };
        let mut port = None;
        let mut address = |names: &mut Self, of: &'a Address| {
            let (addr, variable) = names.address(of);
            port = variable;
            addr
        };
        let call = match step {
            scenario::Step::Bind(bind) => Syscall::Bind {
                sock,
                addr: address(self, &bind.at),
            },
            scenario::Step::Connect(connect) => Syscall::Connect {
                sock,
                addr: address(self, &connect.to),
            },
            scenario::Step::Listen(listen) => Syscall::Listen {
                sock,
                backlog: i32::try_from(listen.backlog).unwrap_or(i32::MAX),
            },
            scenario::Step::Accept(accept) => Syscall::Accept {
                sock,
                new: match &accept.accepted {
                    Some(name) => self.sock(name),
                    None => {
                        // Counted from above, where no name is.
                        self.nameless += 1;
                        SockName(u32::MAX - self.nameless)
                    }
                },
                uid: None,
            },
            scenario::Step::Send(transfer) => Syscall::Send {
                sock,
                len: transfer.len,
            },
            scenario::Step::Recv(transfer) => Syscall::Recv {
                sock,
                len: transfer.len,
            },
            scenario::Step::Sendto(send) => Syscall::SendTo {
                sock,
                addr: address(self, &send.to),
                len: send.len,
            },
            scenario::Step::Recvfrom(transfer) => Syscall::RecvFrom {
                sock,
                len: transfer.len,
            },
            scenario::Step::Shutdown(shutdown) => Syscall::Shutdown {
                sock,
                how: shutdown.how,
            },
            scenario::Step::Disconnect(_) => Syscall::Disconnect { sock },
            scenario::Step::Close(_) => Syscall::Close { sock },
            scenario::Step::Getsockname(_) => Syscall::Getsockname { sock },
            scenario::Step::Getpeername(_) => Syscall::Getpeername { sock },
            scenario::Step::Socket(_)
            | scenario::Step::Set(_)
            | scenario::Step::Sysctl(_)
            | scenario::Step::Sleep(_) => return Err(EngineError::new("a step makes no call")),
        };
        Ok((call, port))
    }
}
