//! The calls of a [`World`](crate::World) and its answers, as the conformance checker reads them.
//!
//! A journal of the model is checked like a recording of a real kernel: the model's own answers
//! must be among those that its profile allows.

use crate::conformance::Op;
use crate::time::Time;
use crate::world::ids::{WorldNs, WorldSock};
use fourtuple_syscall::{Outcome, Syscall};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One call and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The time at which it had returned.
    pub at: Time,
    /// The call.
    pub op: Op,
    /// The outcome.
    pub seen: Outcome,
}

/// The calls of a world so far, its namespaces taken as the hosts of one kernel.
///
/// ```
/// use fourtuple_kernel::conformance::Op;
/// use fourtuple_kernel::{Family, Profile, Seeded, World};
/// use fourtuple_syscall::Syscall;
///
/// let kernel: Profile = "debian-12".parse()?;
/// let mut world: World = World::new();
/// world.keep_journal();
/// let machine = world.add_machine(kernel.behaviours, Seeded::new(1, "host"));
/// let ns = world.add_namespace(machine);
/// world.socket(ns, Family::Inet, 0);
///
/// let journal = world.journal().ok_or("no journal")?;
/// let calls = journal.entries(World::<Seeded>::START);
/// assert!(matches!(calls[1].op, Op::Call { call: Syscall::Socket { sock: 0, .. }, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Journal {
    hosts: Vec<(WorldNs, Vec<IpAddr>)>,
    socks: BTreeMap<WorldSock, usize>,
    entries: Vec<Entry>,
    last: Option<Time>,
    concurrent: bool,
}

impl Journal {
    /// Everything in order, beginning with the hosts.
    #[must_use]
    pub fn entries(&self, start: Time) -> Vec<Entry> {
        let addresses = self.hosts.iter().map(|(_, addresses)| addresses.clone());
        let hosts = Entry {
            at: start,
            op: Op::Hosts(addresses.collect()),
            seen: Outcome::OK,
        };
        std::iter::once(hosts)
            .chain(self.entries.iter().cloned())
            .collect()
    }

    /// Returns `true` if a connect() was pending while other calls were made. The conformance
    /// checker takes one call after the other and cannot check that.
    #[must_use]
    pub fn is_concurrent(&self) -> bool {
        self.concurrent
    }

    pub(crate) fn namespace(&mut self, ns: WorldNs) {
        self.hosts.push((ns, Vec::new()));
    }

    pub(crate) fn address(&mut self, ns: WorldNs, ip: IpAddr) {
        if let Some((_, addresses)) = self.hosts.iter_mut().find(|(of, _)| *of == ns) {
            addresses.push(ip);
        }
    }

    /// The number of a host.
    pub(crate) fn host(&self, ns: WorldNs) -> usize {
        let place = self.hosts.iter().position(|(of, _)| *of == ns);
        place.unwrap_or(usize::MAX)
    }

    /// The number of a socket, a new one for a socket that was not seen before.
    pub(crate) fn sock(&mut self, sock: WorldSock) -> usize {
        let next = self.socks.len();
        *self.socks.entry(sock).or_insert(next)
    }

    /// The number of the socket that the next accept makes, if it makes one.
    pub(crate) fn next_sock(&self) -> usize {
        self.socks.len()
    }

    /// Records a call that has returned.
    pub(crate) fn add(&mut self, at: Time, op: Op, seen: Outcome) {
        if self.last.is_some_and(|last| last < at) {
            self.entries.push(Entry {
                at,
                op: Op::Sleep,
                seen: Outcome::OK,
            });
        }
        self.last = Some(at);
        self.entries.push(Entry { at, op, seen });
    }

    /// Records the end of a connect() that was pending.
    pub(crate) fn connected(&mut self, at: Time, sock: WorldSock, answer: Outcome) {
        let number = self.sock(sock);
        let is_its =
            |op: &Op| matches!(op.call(), Some(Syscall::Connect { sock, .. }) if *sock == number);
        match self.entries.last_mut() {
            Some(last) if is_its(&last.op) => {
                if last.seen == Outcome::WouldBlock {
                    (last.at, last.seen) = (at, answer);
                    self.last = Some(at);
                }
            }
            // The caller asks again about a connect that has long ended, or one that others went
            // past.
            _ => {
                let connect = self.entries.iter().rev().find(|entry| is_its(&entry.op));
                self.concurrent |= connect.is_some_and(|entry| entry.seen == Outcome::WouldBlock);
            }
        }
    }
}
