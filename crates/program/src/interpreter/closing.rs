//! The ends of connections and listeners.

use fourtuple_syscall::{Outcome, SockOpt, Syscall};

use super::{Ending, Execution, InstanceState, Move, OpenConnection, Served, Server};
use crate::{AcceptedFate, CallLog, Caller, Close, Role, SocketApi};

/// `SO_LINGER` that makes the next close a reset.
const RESET: Syscall<()> = Syscall::Set {
    sock: (),
    option: SockOpt::RESET,
};

impl<S, A, L> Execution<'_, S, A, L>
where
    S: Copy + Eq,
    A: SocketApi<Socket = S>,
    L: CallLog<A::Reason>,
{
    pub(super) fn hold(&mut self, n: u32, role: Role, client: S, server: Server) {
        let process = self.plan.process(self.it.instances[n as usize].process);
        let Some(time) = process.hold else { return };
        self.it.instances[n as usize].open += 1;
        let number = match role {
            Role::Connection(number) | Role::Listener(number) => number,
        };
        let one = OpenConnection {
            instance: n,
            number,
            client,
            server,
        };
        // Reuses the index of a closed connection, so that memory is bounded by the connections
        // held at once.
        let place = match self.it.free.pop() {
            Some(place) => {
                self.it.held[place as usize] = Some(one);
                place
            }
            None => {
                self.it.held.push(Some(one));
                (self.it.held.len() - 1) as u32
            }
        };
        let at = self.it.now().saturating_add(time);
        self.it.queue.push(at, Move::Release(place));
    }

    fn held(&self, place: u32) -> Option<OpenConnection<S>> {
        self.it.held.get(place as usize)?.clone()
    }

    fn caller_of(&self, held: &OpenConnection<S>) -> Caller {
        self.it.caller(held.instance, Role::Connection(held.number))
    }

    pub(super) fn release(&mut self, place: u32) {
        let Some(held) = self.held(place) else { return };
        let process = self.it.instances[held.instance as usize].process;
        match self.plan.process(process).close {
            Close::Server => {
                if let Some(server) = self.take_server(place) {
                    self.close(Caller::Server, server);
                    self.it.queue.push(self.it.now(), Move::CloseClient(place));
                    return;
                }
            }
            Close::Both => {
                if let Some(server) = self.take_server(place) {
                    self.api.close_pair(held.client, server);
                    for caller in [self.caller_of(&held), Caller::Server] {
                        let call = Syscall::Close { sock: () };
                        self.log
                            .done(self.it.now(), caller, &call, &Outcome::OK, None);
                    }
                    self.forget(place);
                    self.closed(held.instance);
                    return;
                }
            }
            Close::Reset => {
                // Cannot fail: every kernel has the option.
                self.call(self.caller_of(&held), held.client, &RESET);
            }
            Close::Client => {}
        }
        self.close(self.caller_of(&held), held.client);
        if held.server == Server::None {
            self.forget(place);
        } else {
            // The server sees the close after the client's next call.
            self.it.after_move = Some(Move::CloseServer(place));
        }
        self.closed(held.instance);
    }

    pub(super) fn close_client(&mut self, place: u32) {
        let Some(held) = self.held(place) else { return };
        self.close(self.caller_of(&held), held.client);
        self.forget(place);
        self.closed(held.instance);
    }

    pub(super) fn close_server(&mut self, place: u32) {
        if let Some(server) = self.take_server(place) {
            self.close(Caller::Server, server);
        }
        self.forget(place);
    }

    /// Removes the server's socket of a connection, to close it.
    fn take_server(&mut self, place: u32) -> Option<S> {
        let number = match self.held(place)?.server {
            Server::None => None,
            Server::Known(number) => Some(number),
            // It may not be accepted yet.
            Server::At(local, peer) => self.it.unclaimed.remove(&(local, peer)),
        };
        self.it.accepted[number? as usize]
            .take()
            .map(|one| one.socket)
    }

    fn forget(&mut self, place: u32) {
        if self.it.held[place as usize].take().is_some() {
            self.it.free.push(place);
        }
    }

    /// Counts a closed connection of an instance, which may wait for it.
    fn closed(&mut self, n: u32) {
        let instance = &mut self.it.instances[n as usize];
        instance.open = instance.open.saturating_sub(1);
        if instance.stage == InstanceState::Draining && instance.open == 0 {
            instance.stage = InstanceState::Next;
            self.it.go_on(self.plan, n);
        }
    }

    /// Closes a listener for one of the instances that have it; it ends when none has it any more.
    pub(super) fn close_listener(&mut self, ending: u32) {
        let Ending {
            opened: number,
            instance,
        } = self.it.endings[ending as usize];
        let shared_by = &mut self.it.opened[number as usize].shared_by;
        *shared_by = shared_by.saturating_sub(1);
        if *shared_by == 0 {
            self.end_listener(number);
        }
        let process = self.it.instances[instance as usize].process;
        if self.plan.process(process).per_round() == 0 {
            self.closed(instance);
        }
    }

    /// Closes the socket of a listener, and then the connections that it accepted, in their order,
    /// if the process says so.
    fn end_listener(&mut self, number: u32) {
        let opened = self.it.opened[number as usize].clone();
        if let Some(listeners) = self.it.listeners.get_mut(&opened.at) {
            listeners.retain(|one| one.of.is_none_or(|(_, of)| of != number));
        }
        let process = self.it.instances[opened.instance as usize].process;
        self.close(opened.caller, opened.socket);
        if self.plan.process(process).accepted != AcceptedFate::Keep {
            for &accepted in &opened.accepted {
                self.it
                    .queue
                    .push(self.it.now(), Move::CloseAccepted(accepted));
            }
        }
        self.it.opened[number as usize].accepted.clear();
    }

    pub(super) fn close_accepted(&mut self, number: u32) {
        let Some(Served { socket, of }) = self.it.accepted[number as usize].take() else {
            return;
        };
        let opened = of.map(|of| self.it.opened[of as usize].instance);
        let process = opened.map(|n| self.it.instances[n as usize].process);
        if process.is_some_and(|one| self.plan.process(one).accepted == AcceptedFate::Reset) {
            self.call(Caller::Server, socket, &RESET);
        }
        self.close(Caller::Server, socket);
    }
}
