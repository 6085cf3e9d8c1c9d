//! The step form on the kernel model: one call after the other, in the order of the file.
//!
//! A call that would block does so in virtual time: `connect` until the kernel gives up. `accept`, `send` and `recv`
//! have nothing to wait for, because nothing happens until the next step; they answer `WAITING` at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::task::Poll;

use fourtuple_kernel::{Chooser, Endpoint, Errno, SockAddr, WorldSock};
use fourtuple_scenario::{Address, Spanned, Step};

use super::Played;
use super::net::Net;
use crate::attempt::{Answer, Args, Name};
use crate::engine::Cannot;
use crate::recorder::{Recorder, Seen, Slot};

/// Longest time that one `connect` step blocks, in nanoseconds. Kernels give up after two minutes or less.
const PATIENCE: u64 = 300_000_000_000;

/// Runs the steps of a case.
pub(super) fn run<C: Chooser>(net: Net<C>, steps: &[Spanned<Step>]) -> Result<Played<C>, Cannot> {
    let mut runner = Runner {
        net,
        recorder: Recorder::with_capacity(steps.len()),
        sockets: BTreeMap::new(),
        ports: BTreeMap::new(),
    };
    runner.net.happened(false);
    for step in steps {
        runner.step(step)?;
        runner.net.happened(false);
    }
    runner.net.happened(true);
    Ok((runner.recorder.finish(), runner.net))
}

/// A socket of the steps. It keeps its name and owner when it is closed, for calls that come too late.
struct Held {
    id: Option<WorldSock>,
    host: usize,
    process: Name,
    nonblock: bool,
}

struct Runner<C: Chooser> {
    net: Net<C>,
    recorder: Recorder,
    sockets: BTreeMap<Name, Held>,
    ports: BTreeMap<Name, u16>,
}

impl<C: Chooser> Runner<C> {
    fn step(&mut self, step: &Step) -> Result<(), Cannot> {
        match step {
            Step::Sleep(sleep) => {
                let until = self.net.world.now() + sleep.sleep;
                self.net.world.advance(until);
                return Ok(());
            }
            Step::Sysctl(sysctl) => {
                let host = self.net.host(&sysctl.on)?;
                for (key, value) in &sysctl.sysctl {
                    self.net.sysctl(host, key, value);
                }
                return Ok(());
            }
            Step::Socket(socket) => {
                let host = self.net.host(&socket.on)?;
                let family = socket.family;
                let id = self
                    .net
                    .world
                    .socket(self.net.hosts[host].ns, family, socket.uid);
                let held = Held {
                    id: Some(id),
                    host,
                    process: socket.by.as_str().into(),
                    nonblock: socket.nonblock,
                };
                self.sockets.insert(socket.socket.as_str().into(), held);
                if socket.implicit {
                    return Ok(());
                }
                let slot = self.call(step, Args::Family(socket.family));
                let result = self.set(id, &socket.options);
                self.note(slot, result.map(|()| Seen::default()));
                return Ok(());
            }
            _ => {}
        }
        let args = self.args(step);
        let args = match args {
            Ok(args) => args,
            Err(args) => {
                // The port was to come from a call that failed.
                let slot = self.call(step, args);
                self.recorder
                    .failed(slot, Answer::Foreign("NOPORT".into()), None);
                return Ok(());
            }
        };
        let slot = self.call(step, args.clone());
        let id = step
            .socket()
            .and_then(|name| self.sockets.get(name))
            .and_then(|held| held.id);
        match id {
            // The socket was closed, or comes from an accept that failed.
            None => self
                .recorder
                .failed(slot, Answer::Foreign("EBADF".into()), None),
            Some(id) => self.perform(step, id, &args, slot),
        }
        Ok(())
    }

    /// The address that a step passes, if its variable has a value.
    fn sockaddr(&self, address: &Address) -> Option<SocketAddr> {
        address.resolve(|name| self.ports.get(name).copied())
    }

    /// The arguments of a step, with its variables looked up; as an error if a variable has no value.
    fn args(&self, step: &Step) -> Result<Args, Args> {
        let address = |address: &Address, make: fn(Endpoint) -> Args| match address
            .resolve(|name| self.ports.get(name).copied())
        {
            Some(found) => Ok(make(found.into())),
            None => Err(make(Endpoint::new(address.ip.into(), 0))),
        };
        Ok(match step {
            Step::Set(set) => {
                let names: Vec<&str> = set.options.iter().map(|option| option.name()).collect();
                let values: Vec<String> = set
                    .options
                    .iter()
                    .map(|option| option.value().to_string())
                    .collect();
                Args::Option(names.join(",").into(), values.join(",").into())
            }
            Step::Bind(bind) => address(&bind.at, Args::At)?,
            Step::Connect(connect) => address(&connect.to, Args::To)?,
            Step::Listen(listen) => Args::Backlog(listen.backlog),
            Step::Accept(accept) => accept
                .accepted
                .as_deref()
                .map_or(Args::None, |name| Args::As(name.into())),
            Step::Send(transfer) | Step::Recv(transfer) => Args::Len(transfer.len),
            Step::Shutdown(shutdown) => Args::How(shutdown.how),
            _ => Args::None,
        })
    }

    /// Notes that the step's call is made now.
    fn call(&mut self, step: &Step, args: Args) -> Slot {
        let (Some(name), Some(op)) = (step.socket(), step.op()) else {
            unreachable!("steps without a socket make no call");
        };
        let held = self.sockets.get(name);
        let host = held.map_or(0, |held| held.host);
        let caller = self.recorder.caller(
            self.net.hosts[host].name.clone(),
            held.map_or_else(|| "main".into(), |held| held.process.clone()),
            name,
        );
        self.recorder.call(self.net.elapsed(), caller, op, args)
    }

    fn note(&mut self, slot: Slot, result: Result<Seen, Errno>) {
        match result {
            Ok(seen) => self.recorder.ok(slot, seen),
            Err(errno) => {
                let refusal = self.net.world.take_refusal();
                self.recorder.failed(slot, Answer::Errno(errno), refusal);
            }
        }
    }

    /// Sets every option; the first failure is the answer, and does not keep the others from being set.
    fn set(&mut self, id: WorldSock, options: &fourtuple_scenario::Options) -> Result<(), Errno> {
        let mut answer = Ok(());
        for option in options.iter() {
            let set = self.net.world.set_option(id, option);
            answer = answer.and(set);
        }
        answer
    }

    fn perform(&mut self, step: &Step, id: WorldSock, args: &Args, slot: Slot) {
        let passed = match step {
            Step::Bind(bind) => self.sockaddr(&bind.at),
            Step::Connect(connect) => self.sockaddr(&connect.to),
            _ => None,
        };
        let world = &mut self.net.world;
        let result = match (step, args) {
            (Step::Set(set), _) => self.set(id, &set.options).map(|()| Seen::default()),
            (Step::Bind(_), Args::At(at)) => {
                let at = passed.map_or((*at).into(), SockAddr::from);
                world.bind(id, at).map(|()| self.local(id))
            }
            (Step::Listen(_), Args::Backlog(backlog)) => {
                world.listen(id, *backlog).map(|()| self.local(id))
            }
            (Step::Connect(_), Args::To(to)) => {
                match self.connect(step, id, passed.map_or((*to).into(), SockAddr::from)) {
                    Some(result) => result.map(|()| self.ends(id)),
                    None => return,
                }
            }
            (Step::Accept(accept), _) => match world.accept(id, 0) {
                Poll::Ready(child) => {
                    child.map(|child| self.accepted(step, accept.accepted.as_deref(), child))
                }
                Poll::Pending => return self.would_block(step, slot),
            },
            (Step::Send(_), Args::Len(len)) => match world.send(id, *len) {
                Poll::Ready(bytes) => bytes.map(moved),
                Poll::Pending => return self.would_block(step, slot),
            },
            (Step::Recv(_), Args::Len(len)) => match world.recv(id, *len) {
                Poll::Ready(bytes) => bytes.map(moved),
                Poll::Pending => return self.would_block(step, slot),
            },
            (Step::Shutdown(shutdown), _) => {
                world.shutdown(id, shutdown.how).map(|()| Seen::default())
            }
            (Step::Disconnect(_), _) => world.disconnect(id).map(|()| Seen::default()),
            (Step::Close(_), _) => {
                world.close(id);
                self.gone(step);
                Ok(Seen::default())
            }
            (Step::Getsockname(_), _) => Ok(self.local(id)),
            (Step::Getpeername(_), _) => world.peer_addr(id).map(|peer| Seen {
                peer: Some(peer),
                ..Seen::default()
            }),
            _ => unreachable!("every other step was performed before"),
        };
        if let (Some(name), Ok(seen)) = (step.port_as(), &result) {
            let at = if matches!(step, Step::Getpeername(_)) {
                seen.peer
            } else {
                seen.local
            };
            if let Some(at) = at {
                self.ports.insert(name.into(), at.port);
            }
        }
        self.note(slot, result);
    }

    fn local(&self, id: WorldSock) -> Seen {
        Seen {
            local: Some(self.net.world.local_addr(id)),
            ..Seen::default()
        }
    }

    fn ends(&self, id: WorldSock) -> Seen {
        Seen {
            peer: self.net.world.peer_addr(id).ok(),
            ..self.local(id)
        }
    }

    fn nonblock(&self, step: &Step) -> bool {
        step.socket()
            .and_then(|name| self.sockets.get(name))
            .is_some_and(|held| held.nonblock)
    }

    /// Connects; nothing when the call is still waiting.
    fn connect(&mut self, step: &Step, id: WorldSock, to: SockAddr) -> Option<Result<(), Errno>> {
        let mut answer = self.net.world.connect(id, to);
        if answer == Poll::Pending && self.nonblock(step) {
            return Some(Err(Errno::EINPROGRESS));
        }
        let deadline = self.net.world.now().after(PATIENCE);
        loop {
            match answer {
                Poll::Ready(result) => return Some(result),
                Poll::Pending => {
                    let next = self
                        .net
                        .world
                        .next_event()
                        .filter(|next| *next <= deadline)?;
                    self.net.world.advance(next);
                    answer = self.net.world.connect_result(id);
                }
            }
        }
    }

    fn accepted(&mut self, step: &Step, name: Option<&str>, child: WorldSock) -> Seen {
        if let Some((name, listener)) =
            name.zip(step.socket().and_then(|name| self.sockets.get(name)))
        {
            let held = Held {
                id: Some(child),
                host: listener.host,
                process: listener.process.clone(),
                nonblock: false,
            };
            self.sockets.insert(name.into(), held);
        }
        self.ends(child)
    }

    fn would_block(&mut self, step: &Step, slot: Slot) {
        let answer = if self.nonblock(step) {
            Answer::Errno(Errno::EAGAIN)
        } else {
            Answer::Waiting
        };
        self.recorder.failed(slot, answer, None);
    }

    fn gone(&mut self, step: &Step) {
        if let Some(held) = step.socket().and_then(|name| self.sockets.get_mut(name)) {
            held.id = None;
        }
    }
}

fn moved(bytes: u32) -> Seen {
    Seen {
        bytes: Some(bytes),
        ..Seen::default()
    }
}
