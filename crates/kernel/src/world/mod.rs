//! Several machines joined by an ideal network: packets take no time and none is lost.

pub(crate) mod ids;
mod views;

use crate::Errno;
use crate::Family;
use crate::Shutdown;
use crate::SockOpt;
use crate::addr::Ip;
use crate::chooser::{Chooser, Seeded};
use crate::conformance::{Observation, Op};
use crate::journal::{Journal, end_of};
use crate::machine::Machine;
use crate::profile::{Behaviours, FlagSet};
use crate::time::Time;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

pub use ids::{MachineId, WorldNs, WorldSock};

/// Machines and the ideal network between them.
///
/// ```
/// use fourtuple_kernel::{Family, Profile, Seeded, World};
/// use std::net::SocketAddr;
/// use std::task::Poll;
///
/// let kernel: Profile = "debian-12".parse()?;
/// let mut world: World = World::new();
/// let [app, api] = ["10.0.0.1:0", "10.0.0.2:80"].map(|at| {
///     let at: SocketAddr = at.parse().expect("an address");
///     let machine = world.add_machine(kernel.behaviours, Seeded::new(1, "host"));
///     let ns = world.add_namespace(machine);
///     world.add_address(ns, at.ip());
///     (ns, at)
/// });
/// let listener = world.socket(api.0, Family::Inet, 0);
/// world.bind(listener, api.1)?;
/// world.listen(listener, 8)?;
/// let client = world.socket(app.0, Family::Inet, 1000);
/// assert_eq!(world.connect(client, api.1), Poll::Ready(Ok(())));
/// assert_eq!(world.peer_addr(client)?, api.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct World<C: Chooser = Seeded> {
    machines: Vec<Machine<C>>,
    addresses: BTreeMap<Ip, WorldNs>,
    clock: Time,
    /// The calls so far, if they are recorded.
    journal: Option<Box<Journal>>,
}

impl<C: Chooser> Default for World<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Chooser> World<C> {
    /// The time at which a world's clock starts.
    pub const START: Time = Machine::<C>::START;

    /// An empty world.
    #[must_use]
    pub fn new() -> Self {
        World {
            machines: Vec::new(),
            addresses: BTreeMap::new(),
            clock: Self::START,
            journal: None,
        }
    }

    /// Records every call from now on. For worlds without namespaces: the journal does not know
    /// those that exist already.
    pub fn keep_journal(&mut self) {
        self.journal = Some(Box::default());
    }

    /// The calls so far, if they are recorded.
    #[must_use]
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_deref()
    }

    /// Records a call.
    fn note(&mut self, op: impl FnOnce(&mut Journal) -> Op, seen: impl FnOnce() -> Observation) {
        if let Some(journal) = &mut self.journal {
            let op = op(journal);
            journal.add(self.clock, op, seen());
        }
    }

    /// Adds a machine that has just booted.
    pub fn add_machine(&mut self, behaviours: Behaviours, chooser: C) -> MachineId {
        let mut m = Machine::new(behaviours, chooser);
        m.set_clock(self.clock);
        self.machines.push(m);
        MachineId(self.machines.len() - 1)
    }

    /// [`Machine::observed_flags`]
    #[must_use]
    pub fn observed_flags(&self, machine: MachineId) -> FlagSet {
        self.machines[machine.0].observed_flags()
    }

    /// Adds a network namespace that has a route to all addresses of the world.
    pub fn add_namespace(&mut self, machine: MachineId) -> WorldNs {
        let ns = self.machines[machine.0].add_namespace();
        self.machines[machine.0].set_routed(ns, true);
        let made = WorldNs { machine, ns };
        if let Some(journal) = &mut self.journal {
            journal.namespace(made);
        }
        made
    }

    /// Gives a namespace an address. The first one to have an address gets its packets.
    pub fn add_address(&mut self, ns: WorldNs, ip: IpAddr) {
        self.machines[ns.machine.0].add_address(ns.ns, ip);
        self.addresses.entry(ip.into()).or_insert(ns);
        if let Some(journal) = &mut self.journal {
            journal.address(ns, ip);
        }
    }

    /// A machine, for calls that this type does not have.
    #[must_use]
    pub fn machine(&self, m: MachineId) -> &Machine<C> {
        &self.machines[m.0]
    }

    /// A machine, to change.
    pub fn machine_mut(&mut self, m: MachineId) -> &mut Machine<C> {
        &mut self.machines[m.0]
    }

    /// The time on the clock that all machines share.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock
    }

    /// The moment at which the next timer of any machine can fire.
    #[must_use]
    pub fn next_event(&mut self) -> Option<Time> {
        let machines = self.machines.iter_mut();
        machines.filter_map(Machine::next_event).min()
    }

    /// The same up to `to`, for stops within [`World::advance`], which callers do not observe.
    fn next_timer(&mut self, to: Time) -> Option<Time> {
        let machines = self.machines.iter_mut();
        machines.filter_map(|m| m.next_timer_by(to)).min()
    }

    /// Lets time pass on all machines; timers fire in the order of time, then of machines.
    pub fn advance(&mut self, to: Time) {
        if to <= self.clock && !self.machines.iter().any(Machine::is_due) {
            return;
        }
        // Timers that fire may arm others for the same moment: one more round, and again.
        while let Some(next) = self.next_timer(to) {
            let next = next.max(self.clock);
            for m in &mut self.machines {
                m.advance(next);
            }
            self.clock = next;
            self.settle();
        }
        for m in &mut self.machines {
            m.advance(to);
        }
        self.clock = self.clock.max(to);
        self.settle();
    }

    /// Carries all packets that are under way to where they go.
    fn settle(&mut self) {
        let mut quiet = 0;
        for m in (0..self.machines.len()).cycle() {
            // Every machine in turn has had nothing to send.
            if quiet == self.machines.len() {
                return;
            }
            quiet += 1;
            if self.machines[m].outbox.is_empty() {
                continue;
            }
            while let Some((_, seg)) = self.machines[m].segment() {
                quiet = 1;
                if let Some(to) = self.addresses.get(&seg.dst.ip).copied() {
                    self.machines[to.machine.0].deliver(to.ns, seg);
                }
            }
        }
    }

    /// [`Machine::sysctl`]
    ///
    /// # Errors
    /// As there.
    pub fn sysctl(&mut self, ns: WorldNs, key: &str, value: &str) -> Result<(), Errno> {
        let r = self.machines[ns.machine.0].sysctl(ns.ns, key, value);
        let op = |journal: &mut Journal| Op::Sysctl {
            host: journal.host(ns),
            key: key.to_owned(),
            value: value.to_owned(),
        };
        self.note(op, || Observation::of(r));
        r
    }

    /// [`Machine::set_tentative`]
    pub fn set_tentative(&mut self, ns: WorldNs, until: Time) {
        self.machines[ns.machine.0].set_tentative(ns.ns, until);
        let op = |journal: &mut Journal| Op::Tentative {
            host: journal.host(ns),
            until,
        };
        self.note(op, || Observation::OK);
    }

    /// [`Machine::set_time_wait`]
    pub fn set_time_wait(&mut self, ns: WorldNs, nanos: u64) {
        self.machines[ns.machine.0].set_time_wait(ns.ns, nanos);
    }

    /// [`Machine::socket`]
    pub fn socket(&mut self, ns: WorldNs, family: Family, uid: u32) -> WorldSock {
        let made = WorldSock {
            machine: ns.machine,
            sock: self.machines[ns.machine.0].socket(ns.ns, family, uid),
        };
        let op = |journal: &mut Journal| Op::Socket {
            host: journal.host(ns),
            sock: journal.sock(made),
            family,
            uid,
        };
        self.note(op, || Observation::of(Ok(())));
        made
    }

    /// [`Machine::set_option`]
    ///
    /// # Errors
    /// As there.
    pub fn set_option(&mut self, s: WorldSock, opt: SockOpt) -> Result<(), Errno> {
        let r = self.machines[s.machine.0].set_option(s.sock, opt);
        let op = |journal: &mut Journal| Op::Set {
            sock: journal.sock(s),
            opt,
        };
        self.note(op, || Observation::of(r));
        r
    }

    /// [`Machine::bind`]
    ///
    /// # Errors
    /// As there.
    pub fn bind(&mut self, s: WorldSock, at: SocketAddr) -> Result<(), Errno> {
        let r = self.machines[s.machine.0].bind(s.sock, at);
        if self.journal.is_some() {
            let seen = self.with_port(s, r);
            self.note(
                |journal| Op::Bind {
                    sock: journal.sock(s),
                    at,
                },
                || seen,
            );
        }
        r
    }

    /// [`Machine::listen`]
    ///
    /// # Errors
    /// As there.
    pub fn listen(&mut self, s: WorldSock, backlog: u32) -> Result<(), Errno> {
        let r = self.machines[s.machine.0].listen(s.sock, backlog);
        if self.journal.is_some() {
            let seen = self.with_port(s, r);
            self.note(
                |journal| Op::Listen {
                    sock: journal.sock(s),
                    backlog,
                },
                || seen,
            );
        }
        r
    }

    /// [`Machine::connect`]; the whole handshake has happened when this returns.
    pub fn connect(&mut self, s: WorldSock, to: SocketAddr) -> Poll<Result<(), Errno>> {
        let mut r = self.machines[s.machine.0].connect(s.sock, to);
        if r == Poll::Pending {
            self.settle();
            r = self.ask_connect_result(s);
        }
        if self.journal.is_some() {
            let seen = self.with_name(s, r);
            self.note(
                |journal| Op::Connect {
                    sock: journal.sock(s),
                    to,
                },
                || seen,
            );
        }
        r
    }

    fn ask_connect_result(&mut self, s: WorldSock) -> Poll<Result<(), Errno>> {
        let r = self.machines[s.machine.0].connect_result(s.sock);
        self.settle();
        r
    }

    /// The observable answer of a bind() or listen().
    fn with_port(&self, s: WorldSock, r: Result<(), Errno>) -> Observation {
        Observation {
            port: r.is_ok().then(|| self.local_addr(s).port()),
            ..Observation::of(r)
        }
    }

    /// The observable answer of a connect().
    fn with_name(&self, s: WorldSock, r: Poll<Result<(), Errno>>) -> Observation {
        Observation {
            name: matches!(r, Poll::Ready(Ok(()))).then(|| self.local_addr(s)),
            ..Observation::bare(end_of(&r))
        }
    }

    /// [`Machine::connect_result`]
    pub fn connect_result(&mut self, s: WorldSock) -> Poll<Result<(), Errno>> {
        let r = self.ask_connect_result(s);
        if self.journal.is_some() && r != Poll::Pending {
            let (at, seen) = (self.clock, self.with_name(s, r));
            if let Some(journal) = &mut self.journal {
                journal.connected(at, s, seen);
            }
        }
        r
    }

    /// [`Machine::accept`]
    pub fn accept(&mut self, s: WorldSock, uid: u32) -> Poll<Result<WorldSock, Errno>> {
        let machine = s.machine;
        let r = match self.machines[machine.0].accept(s.sock, uid) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(r) => Poll::Ready(r.map(|sock| WorldSock { machine, sock })),
        };
        if self.journal.is_some() {
            let child = match r {
                Poll::Ready(Ok(child)) => Some(child),
                _ => None,
            };
            let seen = Observation {
                name: child.and_then(|child| self.machines[machine.0].remote_addr(child.sock)),
                ..Observation::bare(end_of(&r))
            };
            let op = |journal: &mut Journal| Op::Accept {
                sock: journal.sock(s),
                new: child.map_or(journal.next_sock(), |child| journal.sock(child)),
                uid,
            };
            self.note(op, || seen);
        }
        r
    }

    /// [`Machine::send_bytes`]
    pub fn send(&mut self, s: WorldSock, len: u32) -> Poll<Result<u32, Errno>> {
        let r = self.machines[s.machine.0].send_bytes(s.sock, len);
        self.settle();
        let op = |journal: &mut Journal| Op::Send {
            sock: journal.sock(s),
            len,
        };
        self.note(op, || Observation::bare(end_of(&r)));
        r
    }

    /// [`Machine::recv_bytes`]
    pub fn recv(&mut self, s: WorldSock, len: u32) -> Poll<Result<u32, Errno>> {
        let r = self.machines[s.machine.0].recv_bytes(s.sock, len);
        let op = |journal: &mut Journal| Op::Recv {
            sock: journal.sock(s),
            len,
        };
        self.note(op, || Observation::bare(end_of(&r)));
        r
    }

    /// [`Machine::shutdown`]
    ///
    /// # Errors
    /// As there.
    pub fn shutdown(&mut self, s: WorldSock, how: Shutdown) -> Result<(), Errno> {
        let r = self.machines[s.machine.0].shutdown(s.sock, how);
        self.settle();
        let op = |journal: &mut Journal| Op::Shutdown {
            sock: journal.sock(s),
            how,
        };
        self.note(op, || Observation::of(r));
        r
    }

    /// [`Machine::disconnect`]
    ///
    /// # Errors
    /// As there.
    pub fn disconnect(&mut self, s: WorldSock) -> Result<(), Errno> {
        let r = self.machines[s.machine.0].disconnect(s.sock);
        self.settle();
        let op = |journal: &mut Journal| Op::Disconnect {
            sock: journal.sock(s),
        };
        self.note(op, || Observation::of(r));
        r
    }

    /// [`Machine::close`]
    pub fn close(&mut self, s: WorldSock) {
        self.machines[s.machine.0].close(s.sock);
        self.settle();
        let op = |journal: &mut Journal| Op::Close {
            sock: journal.sock(s),
        };
        self.note(op, || Observation::of(Ok(())));
    }

    /// [`Machine::crash`]
    pub fn crash(&mut self, ns: WorldNs) {
        self.machines[ns.machine.0].crash(ns.ns);
    }
}
