//! The calls that an instance makes: listeners, and one connection after the other.

use std::rc::Rc;
use std::task::Poll;

use fourtuple_kernel::{Chooser, Endpoint, Errno, WorldSock};
use fourtuple_scenario::Op;

use super::{BACKLOG, Calling, Instance, Program, Server, Sim, Task};
use crate::attempt::{Answer, Args};
use crate::call;
use crate::model::net::Net;
use crate::recorder::{Caller, Seen, Slot, SocketId};

impl<C: Chooser> Sim<'_, C> {
    pub(super) fn caller(&self, instance: u32, number: u32) -> Caller {
        let Instance { program, index, .. } = self.instances[instance as usize];
        Caller {
            who: self.programs[program].who,
            instance: index + 1,
            socket: SocketId::Numbered(number),
        }
    }

    /// Notes a call that has returned at once.
    pub(super) fn note(&mut self, slot: Slot, result: Result<Seen, Errno>) {
        match result {
            Ok(seen) => self.recorder.ok(slot, seen),
            Err(errno) => {
                let refusal = self.net.world.take_refusal();
                self.recorder.failed(slot, Answer::Errno(errno), refusal);
            }
        }
    }

    /// A new socket with the process's options. An option that the kernel refuses is an attempt; the program goes on.
    pub(super) fn socket(
        &mut self,
        instance: u32,
        caller: Caller,
        at: Option<Endpoint>,
        to: Option<Endpoint>,
    ) -> WorldSock {
        let program = &self.programs[self.instances[instance as usize].program];
        let ns = self.net.hosts[program.host].ns;
        let family = call::family(at.map(Into::into), to.map(Into::into));
        let socket = self.net.world.socket(ns, family, program.process.uid);
        let options = Rc::clone(&program.options);
        for (option, args) in &*options {
            let set = self.net.world.set_option(socket, *option);
            if let Err(errno) = set {
                let slot = self
                    .recorder
                    .call(self.net.elapsed(), caller, Op::Set, args.clone());
                self.note(slot, Err(errno));
            }
        }
        socket
    }

    pub(super) fn bind(&mut self, caller: Caller, socket: WorldSock, at: Endpoint) -> bool {
        let slot = self
            .recorder
            .call(self.net.elapsed(), caller, Op::Bind, Args::At(at));
        let result = self.net.world.bind(socket, at);
        let seen = |net: &Net<C>| Seen {
            local: Some(net.world.local_addr(socket)),
            ..Seen::default()
        };
        let result = result.map(|()| seen(&self.net));
        let bound = result.is_ok();
        self.note(slot, result);
        bound
    }

    pub(super) fn open_listeners(&mut self, instance: u32) {
        let Instance { program, index, .. } = self.instances[instance as usize];
        let Program {
            process,
            numbering,
            host,
            ..
        } = &self.programs[program];
        let (process, numbering, host) = (*process, *numbering, *host);
        for (n, at) in (0..).zip(&process.listen) {
            let at = Endpoint::from(*at);
            let caller = self.caller(instance, numbering.listener(index, n));
            let socket = self.socket(instance, caller, Some(at), None);
            if !self.bind(caller, socket, at) {
                self.net.world.close(socket);
                continue;
            }
            let slot = self.recorder.call(
                self.net.elapsed(),
                caller,
                Op::Listen,
                Args::Backlog(BACKLOG),
            );
            let result = self.net.world.listen(socket, BACKLOG);
            let local = self.net.world.local_addr(socket);
            let listens = result.is_ok();
            self.note(
                slot,
                result.map(|()| Seen {
                    local: Some(local),
                    ..Seen::default()
                }),
            );
            if listens {
                self.listeners
                    .entry((host, local.port))
                    .or_default()
                    .push(socket);
            } else {
                self.net.world.close(socket);
            }
        }
    }

    /// Makes the next connection of an instance. `false` if the instance need not wait for an answer.
    pub(super) fn connect_waits(&mut self, instance: u32) -> bool {
        let now = self.net.world.now();
        let state = &mut self.instances[instance as usize];
        let (index, round, connection) = (state.index, state.round, state.connection);
        state.connection += 1;
        state.last = now;
        let Program {
            process, numbering, ..
        } = &self.programs[state.program];
        let at = process.bind_of(index, connection).map(Endpoint::from);
        let to = process.connect_of(index, connection).map(Endpoint::from);
        let number = numbering.connection(index, round, connection);
        let caller = self.caller(instance, number);
        let socket = self.socket(instance, caller, at, to);
        if let Some(at) = at
            && !self.bind(caller, socket, at)
        {
            self.net.world.close(socket);
            return false;
        }
        let Some(to) = to else {
            self.hold(instance, socket, Server::None);
            return false;
        };
        let slot = self
            .recorder
            .call(self.net.elapsed(), caller, Op::Connect, Args::To(to));
        let called = self.net.world.connect(socket, to);
        let answer = match called {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        };
        let answered = answer.is_some();
        self.instances[instance as usize].calling = Some(Calling {
            socket,
            slot,
            to,
            answer,
            accepted: None,
        });
        if answered {
            self.note_answer(instance);
            self.soon(Task::Answered(instance));
        } else {
            self.waiting.push(instance);
        }
        true
    }

    /// Notes what a connect returned, and lets the server accept.
    pub(super) fn note_answer(&mut self, instance: u32) {
        let Instance {
            program,
            calling: Some(calling),
            ..
        } = &self.instances[instance as usize]
        else {
            return;
        };
        let (socket, slot, to, host) = (
            calling.socket,
            calling.slot,
            calling.to,
            self.programs[*program].host,
        );
        let Some(answer) = calling.answer else { return };
        if let Err(errno) = answer {
            // Which address a failed connect() leaves is a question of its own: nobody here asks it.
            self.note(slot, Err(errno));
            return;
        }
        let (local, peer) = (
            self.net.world.local_addr(socket),
            self.net.world.peer_addr(socket).ok(),
        );
        let seen = Seen {
            local: Some(local),
            peer,
            bytes: None,
        };
        self.note(slot, Ok(seen));
        let accepted = self.accept_all(host, to, peer.map(|peer| (peer, local)));
        if let Some(calling) = &mut self.instances[instance as usize].calling {
            calling.accepted = accepted;
        }
    }

    /// Listeners accept everything at once and keep it. Answers with the socket that has these ends, if it is among them.
    fn accept_all(
        &mut self,
        from: usize,
        to: Endpoint,
        ends: Option<(Endpoint, Endpoint)>,
    ) -> Option<WorldSock> {
        let host = self.net.reached(from, to.ip)?;
        let listeners = self.listeners.get(&(host, to.port))?;
        let mut found = None;
        for listener in listeners {
            while let Poll::Ready(Ok(child)) = self.net.world.accept(*listener, 0) {
                if self.closes
                    && let Ok(peer) = self.net.world.peer_addr(child)
                {
                    let of_child = (self.net.world.local_addr(child), peer);
                    if ends == Some(of_child) {
                        found = Some(child);
                    } else {
                        self.accepted.insert(of_child, child);
                    }
                }
            }
        }
        found
    }

    pub(super) fn answered(&mut self, instance: u32) {
        let Some(calling) = self.instances[instance as usize].calling.take() else {
            return;
        };
        if calling.answer == Some(Ok(())) {
            let socket = calling.socket;
            let server = match (calling.accepted, self.net.world.peer_addr(socket)) {
                (_, Err(_)) => Server::None,
                (Some(accepted), Ok(_)) => Server::Known(accepted),
                (None, Ok(peer)) => Server::At(peer, self.net.world.local_addr(socket)),
            };
            self.hold(instance, socket, server);
        } else {
            self.net.world.close(calling.socket);
        }
        self.next(instance);
    }
}
