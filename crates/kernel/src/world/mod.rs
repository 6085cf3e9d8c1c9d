//! Several machines joined by an ideal network: packets take no time, and none is lost but by a NAT
//! host on the way.

pub(crate) mod ids;
mod route;
mod views;

use crate::Errno;
use crate::Family;
use crate::Shutdown;
use crate::SockOpt;
use crate::chooser::{Chooser, Seeded};
use crate::conformance::Op;
use crate::journal::Journal;
use crate::machine::Machine;
use crate::nat::Ways;
use crate::profile::{Behaviours, FlagSet};
use crate::time::Time;
use fourtuple_syscall::{Kind, Outcome, Returned, Syscall};
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
    ways: Ways<WorldNs>,
    /// Some host is a NAT host.
    has_nat: bool,
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
            ways: Ways::default(),
            has_nat: false,
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

    /// Records an operation on a host.
    fn note_host(&mut self, ns: WorldNs, op: impl FnOnce(usize) -> Op, outcome: Outcome) {
        if let Some(journal) = &mut self.journal {
            let op = op(journal.host(ns));
            journal.add(self.clock, op, outcome);
        }
    }

    /// Records a call on a socket.
    fn note(&mut self, call: Syscall<WorldSock>, outcome: Outcome) {
        if let Some(journal) = &mut self.journal {
            let call = call.map(|sock| journal.sock(sock));
            journal.add(self.clock, call.into(), outcome);
        }
    }

    /// The local address of a socket, as its calls return it.
    fn local(&self, s: WorldSock) -> Returned {
        Returned {
            local: self.journal.is_some().then(|| self.local_addr(s)),
            ..Returned::default()
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
        self.ways.add_address(ns, ip);
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

    /// [`Machine::sysctl`]
    ///
    /// # Errors
    /// As there.
    pub fn sysctl(&mut self, ns: WorldNs, key: &str, value: &str) -> Result<(), Errno> {
        let r = self.machines[ns.machine.0].sysctl(ns.ns, key, value);
        let op = |host| Op::Sysctl {
            host,
            key: key.to_owned(),
            value: value.to_owned(),
        };
        self.note_host(ns, op, r.into());
        r
    }

    /// [`Machine::set_tentative`]
    pub fn set_tentative(&mut self, ns: WorldNs, until: Time) {
        self.machines[ns.machine.0].set_tentative(ns.ns, until);
        self.note_host(ns, |host| Op::Tentative { host, until }, Outcome::OK);
    }

    /// [`Machine::set_alone`]
    pub fn set_alone(&mut self, ns: WorldNs, alone: bool) {
        self.machines[ns.machine.0].set_alone(ns.ns, alone);
    }

    /// [`Machine::set_time_wait`]
    pub fn set_time_wait(&mut self, ns: WorldNs, nanos: u64) {
        self.machines[ns.machine.0].set_time_wait(ns.ns, nanos);
    }

    /// [`Machine::socket`]
    pub fn socket(&mut self, ns: WorldNs, family: Family, uid: u32) -> WorldSock {
        self.socket_of(ns, family, Kind::Stream, uid)
    }

    /// [`Machine::socket_of`]
    pub fn socket_of(&mut self, ns: WorldNs, family: Family, kind: Kind, uid: u32) -> WorldSock {
        let made = WorldSock {
            machine: ns.machine,
            sock: self.machines[ns.machine.0].socket_of(ns.ns, family, kind, uid),
        };
        if let Some(journal) = &mut self.journal {
            let nonblock = false;
            let call = Syscall::Socket {
                sock: journal.sock(made),
                family,
                kind,
                uid,
                nonblock,
            };
            let host = journal.host(ns);
            journal.add(self.clock, Op::Call { host, call }, Outcome::OK);
        }
        made
    }

    /// [`Machine::set_option`]
    ///
    /// # Errors
    /// As there.
    pub fn set_option(&mut self, s: WorldSock, opt: SockOpt) -> Result<(), Errno> {
        let r = self.machines[s.machine.0].set_option(s.sock, opt);
        let (sock, option) = (s, opt);
        self.note(Syscall::Set { sock, option }, r.into());
        r
    }

    /// [`Machine::bind`]
    ///
    /// # Errors
    /// As there.
    pub fn bind(&mut self, s: WorldSock, at: SocketAddr) -> Result<(), Errno> {
        let r = self.machines[s.machine.0].bind(s.sock, at);
        let (sock, addr) = (s, at);
        self.note(
            Syscall::Bind { sock, addr },
            r.map(|()| self.local(s)).into(),
        );
        r
    }

    /// [`Machine::listen`]
    ///
    /// # Errors
    /// As there.
    pub fn listen(&mut self, s: WorldSock, backlog: u32) -> Result<(), Errno> {
        let r = self.machines[s.machine.0].listen(s.sock, backlog);
        let call = Syscall::Listen {
            sock: s,
            backlog: i32::try_from(backlog).unwrap_or(i32::MAX),
        };
        self.note(call, r.map(|()| self.local(s)).into());
        r
    }

    /// [`Machine::connect`]; the whole handshake has happened when this returns.
    pub fn connect(&mut self, s: WorldSock, to: SocketAddr) -> Poll<Result<(), Errno>> {
        let mut r = self.machines[s.machine.0].connect(s.sock, to);
        if r == Poll::Pending {
            self.settle();
            r = self.ask_connect_result(s);
        }
        let (sock, addr) = (s, to);
        self.note(
            Syscall::Connect { sock, addr },
            r.map_ok(|()| self.local(s)).into(),
        );
        r
    }

    fn ask_connect_result(&mut self, s: WorldSock) -> Poll<Result<(), Errno>> {
        let ends = self.ends_through_nat(s);
        let r = self.machines[s.machine.0].connect_result(s.sock);
        if r == Poll::Ready(Err(Errno::ETIMEDOUT)) {
            self.explain_drop(s, ends);
        }
        self.settle();
        r
    }

    /// [`Machine::connect_result`]
    pub fn connect_result(&mut self, s: WorldSock) -> Poll<Result<(), Errno>> {
        let r = self.ask_connect_result(s);
        if r.is_ready() {
            let outcome = r.map_ok(|()| self.local(s)).into();
            if let Some(journal) = &mut self.journal {
                journal.connected(self.clock, s, outcome);
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
        let accepted = r.map_ok(|child| Returned {
            peer: self.machines[machine.0].remote_addr(child.sock),
            ..Returned::default()
        });
        if let Some(journal) = &mut self.journal {
            let call = Syscall::Accept {
                sock: journal.sock(s),
                new: match r {
                    Poll::Ready(Ok(child)) => journal.sock(child),
                    _ => journal.next_sock(),
                },
                uid: Some(uid),
            };
            journal.add(self.clock, call.into(), accepted.into());
        }
        r
    }

    /// [`Machine::send_bytes`]
    pub fn send(&mut self, s: WorldSock, len: u32) -> Poll<Result<u32, Errno>> {
        let r = self.machines[s.machine.0].send_bytes(s.sock, len);
        self.settle();
        self.note(Syscall::Send { sock: s, len }, r.map_ok(moved).into());
        r
    }

    /// [`Machine::recv_bytes`]
    pub fn recv(&mut self, s: WorldSock, len: u32) -> Poll<Result<u32, Errno>> {
        let r = self.machines[s.machine.0].recv_bytes(s.sock, len);
        self.note(Syscall::Recv { sock: s, len }, r.map_ok(moved).into());
        r
    }

    /// [`Machine::send_to`] with a destination; [`World::send`] is the one without.
    pub fn send_to(
        &mut self,
        s: WorldSock,
        addr: SocketAddr,
        len: u32,
    ) -> Poll<Result<u32, Errno>> {
        let r = self.machines[s.machine.0].send_to(s.sock, Some(addr), len);
        self.settle();
        let returned = |bytes| Returned {
            bytes: Some(bytes),
            ..self.local(s)
        };
        let call = Syscall::SendTo { sock: s, addr, len };
        self.note(call, r.map_ok(returned).into());
        r
    }

    /// [`Machine::recv_from`]
    pub fn recv_from(
        &mut self,
        s: WorldSock,
        len: u32,
    ) -> Poll<Result<(u32, Option<SocketAddr>), Errno>> {
        let r = self.machines[s.machine.0].recv_from(s.sock, len);
        let received = |(bytes, peer)| Returned {
            peer,
            ..moved(bytes)
        };
        self.note(
            Syscall::RecvFrom { sock: s, len },
            r.map_ok(received).into(),
        );
        r
    }

    /// [`Machine::shutdown`]
    ///
    /// # Errors
    /// As there.
    pub fn shutdown(&mut self, s: WorldSock, how: Shutdown) -> Result<(), Errno> {
        let r = self.machines[s.machine.0].shutdown(s.sock, how);
        self.settle();
        self.note(Syscall::Shutdown { sock: s, how }, r.into());
        r
    }

    /// [`Machine::disconnect`]
    ///
    /// # Errors
    /// As there.
    pub fn disconnect(&mut self, s: WorldSock) -> Result<(), Errno> {
        let r = self.machines[s.machine.0].disconnect(s.sock);
        self.settle();
        self.note(Syscall::Disconnect { sock: s }, r.into());
        r
    }

    /// [`Machine::close`]
    pub fn close(&mut self, s: WorldSock) {
        self.machines[s.machine.0].close(s.sock);
        self.settle();
        self.note(Syscall::Close { sock: s }, Outcome::OK);
    }

    /// [`Machine::crash`]
    pub fn crash(&mut self, ns: WorldNs) {
        self.machines[ns.machine.0].crash(ns.ns);
    }
}

/// The values of a send() or recv() that moved bytes.
fn moved(bytes: u32) -> Returned {
    Returned {
        bytes: Some(bytes),
        ..Returned::default()
    }
}
