//! The state of an interpreter for explorations of all orders: possible moves and their sockets.

use super::{InstanceState, Interpreter, Move, Server};
use crate::{HostId, Nanos, ProcessId};

/// The state of an instance.
#[derive(Clone, Copy, Debug)]
pub struct Place<S> {
    /// The process.
    pub process: ProcessId,
    /// Its number within the process, counted from 0.
    pub index: u32,
    /// Its next action.
    pub stage: InstanceState<S>,
    /// The time of that action, if it waits for a time.
    pub at: Nanos,
    /// Rounds that are complete.
    pub round: u32,
    /// Connections of the round that have begun.
    pub connection: u32,
    /// The time at which its last connection began.
    pub last: Nanos,
    /// Connections of the round that are not closed.
    pub open: u32,
}

/// A future close.
#[derive(Clone, Copy, Debug)]
pub struct Upcoming<S> {
    /// The time of the close.
    pub at: Nanos,
    /// The close.
    pub what: Move,
    /// The instance that owns the connection or listener; `None` for accepted sockets.
    pub instance: Option<u32>,
    /// The instance's socket, if it is still open.
    pub client: Option<S>,
    /// The accepted socket, if there is one.
    pub server: Option<S>,
}

impl<S: Copy + Eq> Interpreter<S> {
    /// The instances, by number.
    pub fn places(&self) -> impl Iterator<Item = Place<S>> {
        self.instances.iter().map(|one| Place {
            process: one.process,
            index: one.index,
            stage: one.stage,
            at: one.at,
            round: one.round,
            connection: one.connection,
            last: one.last,
            open: one.open,
        })
    }

    /// The future closes, in no particular order.
    pub fn upcoming(&self) -> impl Iterator<Item = Upcoming<S>> {
        let after_move = self.after_move.iter().map(|what| (self.now(), what));
        let all = self.queue.iter().chain(after_move);
        all.filter_map(|(at, what)| self.close_of(at, *what))
    }

    fn close_of(&self, at: Nanos, what: Move) -> Option<Upcoming<S>> {
        let (instance, client, server) = match what {
            Move::Go(_) | Move::Answered(_) => return None,
            Move::Release(held) | Move::CloseClient(held) | Move::CloseServer(held) => {
                let held = self.held[held as usize].as_ref()?;
                let number = match held.server {
                    Server::None => None,
                    Server::Known(number) => Some(number),
                    Server::At(local, peer) => self.unclaimed.get(&(local, peer)).copied(),
                };
                let client = !matches!(what, Move::CloseServer(_));
                let server = number.and_then(|number| self.accepted[number as usize].as_ref());
                (
                    Some(held.instance),
                    client.then_some(held.client),
                    server.map(|one| one.socket),
                )
            }
            Move::CloseListener(ending) => {
                let ending = self.endings[ending as usize];
                let opened = &self.opened[ending.opened as usize];
                (Some(ending.instance), Some(opened.socket), None)
            }
            Move::CloseAccepted(number) => {
                let socket = self.accepted[number as usize].as_ref()?.socket;
                (None, None, Some(socket))
            }
        };
        Some(Upcoming {
            at,
            what,
            instance,
            client,
            server,
        })
    }

    /// The listeners, by host and port.
    pub fn listeners(&self) -> impl Iterator<Item = (HostId, u16, S)> {
        let all = self.listeners.iter();
        all.flat_map(|((host, port), list)| list.iter().map(|one| (*host, *port, one.socket)))
    }

    /// The processes of instances with a pending connect, one entry per instance.
    pub fn calling(&self) -> impl Iterator<Item = ProcessId> {
        let calling = self.calling.iter();
        calling.map(|n| self.instances[*n as usize].process)
    }
}

impl<S> InstanceState<S> {
    /// The socket that the instance is about to use.
    pub fn socket(self) -> Option<S> {
        match self {
            InstanceState::Listen(_, socket)
            | InstanceState::Connect(socket, _)
            | InstanceState::Calling(socket) => Some(socket),
            InstanceState::Held
            | InstanceState::Open(_)
            | InstanceState::Next
            | InstanceState::Draining
            | InstanceState::Done => None,
        }
    }
}
