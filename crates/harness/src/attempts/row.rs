//! One row of the attempts: inline columns, and indices into the pools.

use fourtuple_syscall::Returned;

use crate::attempt::{Caller, SocketId};

/// One attempt, in half a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    at_ns: u64,
    /// The index of the caller, times two; odd if the socket has a name.
    caller: u32,
    instance: u32,
    /// The number of the socket, or where its name is.
    socket: u32,
    call: u32,
    answer: u32,
    /// Ports of the addresses that the answer has; 0 where it has none.
    local_port: u16,
    peer_port: u16,
}

const _: () = assert!(size_of::<Row>() == 32);

/// A value that is equal for equivalent attempts of one outcome: the caller, the call without its
/// socket, and the answer without its ports. The other way round, attempts that are equal in all of
/// this may still have different marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    caller: u32,
    call: u32,
    answer: u32,
}

impl Row {
    /// A call that has not returned.
    pub(super) fn new(at_ns: u64, caller: Caller, call: u32, answer: u32) -> Self {
        let (named, socket) = match caller.socket {
            SocketId::Named(at) => (true, at),
            SocketId::Numbered(number) => (false, number),
        };
        Row {
            at_ns,
            caller: (caller.who.0 << 1) | u32::from(named),
            instance: caller.instance,
            socket,
            call,
            answer,
            local_port: 0,
            peer_port: 0,
        }
    }

    /// The call has returned.
    pub(super) fn answered(&mut self, answer: u32, returned: Returned) {
        self.answer = answer;
        self.local_port = returned.local.map_or(0, |local| local.port());
        self.peer_port = returned.peer.map_or(0, |peer| peer.port());
    }

    /// The index of the caller.
    pub(super) fn caller(&self) -> u32 {
        self.caller >> 1
    }

    /// The index of the socket's name, or its number.
    pub(super) fn socket(&self) -> SocketId {
        match self.caller & 1 {
            1 => SocketId::Named(self.socket),
            _ => SocketId::Numbered(self.socket),
        }
    }

    /// The index of the call.
    pub(super) fn call(&self) -> u32 {
        self.call
    }

    /// The index of the answer.
    pub(super) fn answer(&self) -> u32 {
        self.answer
    }

    pub(super) fn local_port(&self) -> u16 {
        self.local_port
    }

    pub(super) fn peer_port(&self) -> u16 {
        self.peer_port
    }

    pub(crate) fn at_ns(&self) -> u64 {
        self.at_ns
    }

    pub(crate) fn instance(&self) -> u32 {
        self.instance
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            caller: self.caller,
            call: self.call,
            answer: self.answer,
        }
    }

    /// Returns whether two rows are the same in what is no index.
    pub(super) fn same_own(&self, other: &Row) -> bool {
        self.at_ns == other.at_ns
            && self.instance == other.instance
            && self.local_port == other.local_port
            && self.peer_port == other.peer_port
    }

    /// Returns whether two rows have the same indices of a call.
    pub(super) fn same_call(&self, other: &Row) -> bool {
        self.call == other.call && self.caller == other.caller && self.socket == other.socket
    }
}
