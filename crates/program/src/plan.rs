//! Processes with every name resolved.

use alloc::vec::Vec;
use core::net::SocketAddr;

use fourtuple_syscall::{Kind, SockOpt};

use crate::Nanos;

/// A host, by its index in the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u32);

/// A process, by its index in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u32);

impl ProcessId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A socket of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A listener, counted from 0.
    Listener(u32),
    /// A connection, counted from 0 over all rounds.
    Connection(u32),
}

/// The end that closes a connection that has been held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Close {
    /// The client, with a FIN; the server closes next.
    #[default]
    Client,
    /// The server, with a FIN; the client closes next.
    Server,
    /// Both in one instant, before either has seen the other's FIN.
    Both,
    /// The client, with a RST.
    Reset,
}

/// The fate of accepted connections when their listener is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcceptedFate {
    /// They stay open.
    #[default]
    Keep,
    /// They are closed after the listener, with a FIN.
    Close,
    /// They are closed after the listener, with a RST.
    Reset,
}

/// An address to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address as it is passed to `connect`.
    pub addr: SocketAddr,
    /// The host whose listeners the connection reaches.
    pub host: Option<HostId>,
}

/// A process: `count` instances that open listeners and make connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The host that it runs on.
    pub host: HostId,
    /// The type of its sockets.
    pub kind: Kind,
    /// The user of its sockets.
    pub uid: u32,
    /// The number of instances.
    pub count: u32,
    /// The start time of the instances, for a process that waits for no other.
    pub start: Nanos,
    /// The processes whose attempts must be finished before this one starts.
    pub after: Vec<ProcessId>,
    /// The options of each socket, in the order in which they are set.
    pub options: Vec<SockOpt>,
    /// The addresses that connections bind to, in turn.
    pub bind: Vec<SocketAddr>,
    /// The addresses that connections go to, in turn.
    pub connect: Vec<Target>,
    /// Connections of one round of one instance.
    pub connections: u32,
    /// The time between two connections of one instance.
    pub every: Nanos,
    /// The time for which a connection is held; `None` for ever.
    pub hold: Option<Nanos>,
    /// The end that closes connections.
    pub close: Close,
    /// Rounds of one instance.
    pub repeat: u32,
    /// An instance ends at its first failure of `bind`, `listen` or `connect`.
    pub stop_on_failure: bool,
    /// The addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// The backlog of the listeners.
    pub backlog: i32,
    /// The time for which the listeners are open, its own and inherited ones; `None` for ever.
    pub listen_for: Option<Nanos>,
    /// The process whose listeners its instances share, as after fork(). Without a start of its own
    /// it starts when they listen.
    pub inherit: Option<ProcessId>,
    /// The fate of the connections that the listeners have accepted.
    pub accepted: AcceptedFate,
}

impl Process {
    /// A process on a host that makes no calls.
    #[must_use]
    pub const fn new(host: HostId) -> Self {
        Process {
            host,
            kind: Kind::Stream,
            uid: 0,
            count: 1,
            start: 0,
            after: Vec::new(),
            options: Vec::new(),
            bind: Vec::new(),
            connect: Vec::new(),
            connections: 1,
            every: 0,
            hold: None,
            close: Close::Client,
            repeat: 1,
            stop_on_failure: false,
            listen: Vec::new(),
            backlog: 4096,
            listen_for: None,
            inherit: None,
            accepted: AcceptedFate::Keep,
        }
    }

    /// Returns `true` if the process starts when the one that it inherits from listens.
    pub(crate) fn is_forked(&self) -> bool {
        self.inherit.is_some() && self.start == 0 && self.after.is_empty()
    }

    /// Connections of one round of one instance; 0 for a process that only listens.
    #[must_use]
    pub const fn per_round(&self) -> u32 {
        if self.connect.is_empty() && self.bind.is_empty() {
            0
        } else {
            self.connections
        }
    }

    /// Returns `true` if an instance has nothing to do after this round, counted from 0.
    pub(crate) const fn is_last_round(&self, round: u32) -> bool {
        self.per_round() == 0 || round + 1 >= self.repeat
    }

    /// The address that a connection binds to, if any. Lists are used cyclically over all
    /// connections of all instances.
    #[must_use]
    pub fn bind_of(&self, instance: u32, connection: u32) -> Option<SocketAddr> {
        self.in_turn(&self.bind, instance, connection)
    }

    /// The address that a connection goes to, if any.
    #[must_use]
    pub fn connect_of(&self, instance: u32, connection: u32) -> Option<Target> {
        self.in_turn(&self.connect, instance, connection)
    }

    fn in_turn<T: Copy>(&self, list: &[T], instance: u32, connection: u32) -> Option<T> {
        if list.is_empty() {
            return None;
        }
        let turn = u64::from(instance) * u64::from(self.connections) + u64::from(connection);
        let index = turn % list.len() as u64;
        list.get(index as usize).copied()
    }

    /// The number of a socket in the process, counted from 1. It does not depend on the order in
    /// which instances run: the first instance has the first numbers, its listeners before its
    /// connections, then the second, and so on.
    #[must_use]
    pub fn number_of(&self, instance: u32, socket: Role) -> u32 {
        let listeners = u32::try_from(self.listen.len()).unwrap_or(u32::MAX);
        let each = self
            .per_round()
            .saturating_mul(self.repeat)
            .saturating_add(listeners);
        let own = match socket {
            Role::Listener(n) => n,
            Role::Connection(n) => listeners.saturating_add(n),
        };
        each.saturating_mul(instance)
            .saturating_add(own)
            .saturating_add(1)
    }
}

/// The processes of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    processes: Vec<Process>,
    /// For each process, those that wait for it.
    then: Vec<Vec<ProcessId>>,
    /// For each process, those that start when it listens.
    forks: Vec<Vec<ProcessId>>,
    /// The first instance of each process.
    first: Vec<u32>,
    closes: bool,
}

impl Plan {
    /// Makes a plan. A process that waits for one that is not in the plan never starts.
    #[must_use]
    pub fn new(processes: Vec<Process>) -> Self {
        let mut then: Vec<Vec<ProcessId>> = processes.iter().map(|_| Vec::new()).collect();
        let mut forks = then.clone();
        let mut first = Vec::with_capacity(processes.len());
        let mut instances = 0u32;
        for (waiter, process) in (0..).zip(&processes) {
            first.push(instances);
            instances = instances.saturating_add(process.count);
            if let (true, Some(parent)) = (process.is_forked(), process.inherit)
                && let Some(list) = forks.get_mut(parent.index())
            {
                list.push(ProcessId(waiter));
            }
            for awaited in &process.after {
                if let Some(list) = then.get_mut(awaited.index()) {
                    list.push(ProcessId(waiter));
                }
            }
        }
        let closes = |one: &Process| one.hold.is_some() || one.accepted != AcceptedFate::Keep;
        Plan {
            closes: processes.iter().any(closes),
            processes,
            then,
            forks,
            first,
        }
    }

    /// All processes, by index.
    #[must_use]
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// The process with this index.
    #[must_use]
    pub fn process(&self, id: ProcessId) -> &Process {
        &self.processes[id.index()]
    }

    /// The processes that wait for this one.
    pub(crate) fn then(&self, id: ProcessId) -> &[ProcessId] {
        &self.then[id.index()]
    }

    /// The processes that start when this one listens.
    pub(crate) fn forks(&self, id: ProcessId) -> &[ProcessId] {
        &self.forks[id.index()]
    }

    /// The numbers of a process's instances.
    pub(crate) fn instances(&self, id: ProcessId) -> core::ops::Range<u32> {
        let first = self.first[id.index()];
        first..first.saturating_add(self.process(id).count)
    }

    /// True if accepted sockets are ever closed.
    pub(crate) fn closes(&self) -> bool {
        self.closes
    }
}
