//! How connections are held and closed, and who goes first.

use fourtuple_kernel::{Chooser, SockOpt, WorldSock};
use fourtuple_scenario::{Close, Hold};

use super::{Held, Server, Sim, Task};

impl<C: Chooser> Sim<'_, C> {
    pub(super) fn hold(&mut self, instance: u32, client: WorldSock, server: Server) {
        let state = &mut self.instances[instance as usize];
        let Hold::For(time) = self.programs[state.program].process.hold else {
            return;
        };
        state.open += 1;
        let held = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        self.held.push(Held {
            instance,
            client,
            server,
        });
        self.push(self.net.world.now() + time, Task::Release(held));
    }

    pub(super) fn release(&mut self, held: u32) {
        let Held {
            instance, client, ..
        } = self.held[held as usize];
        let close = self.programs[self.instances[instance as usize].program]
            .process
            .close;
        match close {
            Close::Server => {
                if let Some(server) = self.forget(held) {
                    self.net.world.close(server);
                    self.soon(Task::CloseClient(held));
                    return;
                }
            }
            Close::Both => {
                if let Some(server) = self.forget(held) {
                    self.net.close_both(client, server);
                    self.closed(instance);
                    return;
                }
            }
            Close::Reset => {
                // The option cannot fail: every kernel has it.
                let _ = self.net.world.set_option(client, SockOpt::RESET);
            }
            Close::Client => {}
        }
        self.close_client(held);
        self.soon(Task::CloseServer(held));
    }

    pub(super) fn close_client(&mut self, held: u32) {
        let Held {
            instance, client, ..
        } = self.held[held as usize];
        self.net.world.close(client);
        self.closed(instance);
    }

    pub(super) fn close_server(&mut self, held: u32) {
        if let Some(server) = self.forget(held) {
            self.net.world.close(server);
        }
    }

    /// The server's socket of a connection, which from now on is nobody's.
    fn forget(&mut self, held: u32) -> Option<WorldSock> {
        let server = &mut self.held[held as usize].server;
        match *server {
            Server::None => None,
            Server::Known(known) => {
                *server = Server::None;
                Some(known)
            }
            // It may not have been accepted yet.
            Server::At(local, peer) => self.accepted.swap_remove(&(local, peer)),
        }
    }

    /// One connection of an instance is closed.
    pub(super) fn closed(&mut self, instance: u32) {
        let state = &mut self.instances[instance as usize];
        state.open = state.open.saturating_sub(1);
        if state.draining && state.open == 0 {
            state.draining = false;
            self.next(instance);
        }
    }
}
