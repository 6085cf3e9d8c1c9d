//! The parts of a world, as callers name them.

use crate::machine::{NsId, SockId};

/// A machine of a world, as returned by [`World::add_machine`](super::World::add_machine).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineId(pub(super) usize);

/// A network namespace of a world, as returned by
/// [`World::add_namespace`](super::World::add_namespace).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorldNs {
    /// Its machine.
    pub machine: MachineId,
    /// The namespace on that machine.
    pub ns: NsId,
}

/// A socket of a world, as returned by [`World::socket`](super::World::socket) and
/// [`World::accept`](super::World::accept).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorldSock {
    /// Its machine.
    pub machine: MachineId,
    /// The socket on that machine.
    pub sock: SockId,
}
