//! The read-only view of a kernel's tables that the port rules take as their argument.

use crate::chooser::Chooser;
use crate::conn::socket::{Sock, Tw};
use crate::machine::Machine;
use crate::namespace::Namespace;
use crate::profile::TrackedBehaviours;
use crate::slab::Slab;
use crate::time::Time;

/// One network namespace, and the sockets and rules of its machine.
pub(crate) struct Tables<'a> {
    pub(crate) ns: &'a Namespace,
    pub(crate) socks: &'a Slab<Sock>,
    pub(crate) tws: &'a Slab<Tw>,
    pub(crate) rules: &'a TrackedBehaviours,
    pub(crate) now: Time,
}

impl Tables<'_> {
    /// The uid that the rules see (`sock_i_uid`): on kernels that read it from the file, a socket
    /// without one counts as root's.
    pub(crate) fn uid_of(&self, sock: &Sock) -> u32 {
        sock.uid_seen(self.rules)
    }
}

impl<C: Chooser> Machine<C> {
    /// The tables of a namespace, and the chooser for what they leave undecided.
    pub(crate) fn tables(&mut self, ns: u16) -> (Tables<'_>, &mut C) {
        let tables = Tables {
            ns: &self.nss[usize::from(ns)],
            socks: &self.socks,
            tws: &self.tw.socks,
            rules: &self.b,
            now: self.clock,
        };
        (tables, &mut self.chooser)
    }
}
