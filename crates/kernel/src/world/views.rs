//! The visible state of a world: names of sockets, states, buckets.

use super::{World, WorldNs, WorldSock};
use crate::Errno;
use crate::chooser::Chooser;
use crate::conn::socket::State;
use crate::explain::reason::Refusal;
use crate::explain::view::{BucketView, SocketView};
use crate::machine::Machine;
use std::net::SocketAddr;

impl<C: Chooser> World<C> {
    /// [`Machine::local_addr`]
    #[must_use]
    pub fn local_addr(&self, s: WorldSock) -> SocketAddr {
        self.machines[s.machine.0].local_addr(s.sock)
    }

    /// [`Machine::peer_addr`]
    ///
    /// # Errors
    /// As there.
    pub fn peer_addr(&self, s: WorldSock) -> Result<SocketAddr, Errno> {
        self.machines[s.machine.0].peer_addr(s.sock)
    }

    /// [`Machine::state`]
    #[must_use]
    pub fn state(&self, s: WorldSock) -> State {
        self.machines[s.machine.0].state(s.sock)
    }

    /// [`Machine::set_explain`] on every machine.
    pub fn set_explain(&mut self, on: bool) {
        for m in &mut self.machines {
            m.set_explain(on);
        }
    }

    /// [`Machine::take_refusal`] of the machine whose call failed.
    pub fn take_refusal(&mut self) -> Option<Refusal> {
        self.machines.iter_mut().find_map(Machine::take_refusal)
    }

    /// [`Machine::bucket`]
    #[must_use]
    pub fn bucket(&self, ns: WorldNs, port: u16) -> Option<BucketView> {
        self.machines[ns.machine.0].bucket(ns.ns, port)
    }

    /// [`Machine::buckets`]
    #[must_use]
    pub fn buckets(&self, ns: WorldNs) -> Vec<BucketView> {
        self.machines[ns.machine.0].buckets(ns.ns)
    }

    /// [`Machine::sockets`]
    #[must_use]
    pub fn sockets(&self, ns: WorldNs) -> Vec<SocketView> {
        self.machines[ns.machine.0].sockets(ns.ns)
    }
}
