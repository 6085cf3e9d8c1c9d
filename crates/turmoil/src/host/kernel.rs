//! The lock around a kernel, its clock, and the lookup of the calling task's kernel.

use super::state::{Spec, State};
use crate::clock::lock;
use crate::network::{Network, Place};
use fourtuple_kernel::FlagSet;
use fourtuple_kernel::nat::Trace;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;

/// One boot of a host.
pub(crate) struct Kernel {
    pub(crate) name: String,
    pub(crate) boot: u64,
    pub(crate) network: Arc<Network>,
    /// The kernels of all hosts.
    pub(crate) kernels: Arc<Kernels>,
    state: Mutex<State>,
    /// Wakes the task that sends segments and fires timers.
    pub(crate) pump: Notify,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel")
            .field("name", &self.name)
            .field("boot", &self.boot)
            .finish_non_exhaustive()
    }
}

impl Kernel {
    /// Boots a machine. `nth` counts the boots of this host from 1.
    pub(crate) fn new(spec: &Spec, nth: u64, kernels: &Arc<Kernels>) -> Arc<Self> {
        let network = Arc::clone(&kernels.network);
        let kernel = Arc::new(Kernel {
            name: spec.name.clone(),
            boot: network.next_boot(),
            state: Mutex::new(State::new(spec, nth, Arc::clone(&network))),
            network,
            kernels: Arc::clone(kernels),
            pump: Notify::new(),
        });
        kernel.enter(|s| s.peers.set_boot(kernel.boot));
        kernel
    }

    /// Runs a call at the current time.
    pub(crate) fn enter<R>(&self, call: impl FnOnce(&mut State) -> R) -> R {
        let now = self.network.now();
        let mut state = lock(&self.state);
        if let Some(now) = now.filter(|_| state.up) {
            state.advance(now);
        }
        let result = call(&mut state);
        let woken = std::mem::take(&mut state.woken);
        let kick = std::mem::take(&mut state.kick);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        if kick {
            self.pump.notify_one();
        }
        result
    }
}

impl Kernel {
    /// Waits until the host's software may call bind() or connect(): over the loopback interface
    /// until the clock has caught up with it, and for ever once the software has ended.
    pub(crate) async fn turn(&self, to: Option<SocketAddr>) {
        loop {
            let wait = self.enter(|s| match to {
                _ if s.exited => Some(None),
                Some(to) if s.is_own(to) => s.loopback.busy_until(s.machine.now()).map(Some),
                _ => None,
            });
            match wait {
                None => return,
                Some(until) => self.network.sleep_until(until).await,
            }
        }
    }
}

/// The kernels of a simulation, by the names of their hosts.
#[derive(Debug)]
pub(crate) struct Kernels {
    pub(crate) network: Arc<Network>,
    table: Mutex<BTreeMap<String, Arc<Kernel>>>,
    /// Behaviour flags observed by kernels that have been shut down.
    observed_flags: Mutex<FlagSet>,
}

impl Kernels {
    pub(crate) fn new(ports: u16) -> Arc<Self> {
        Arc::new(Kernels {
            network: Network::new(ports),
            table: Mutex::default(),
            observed_flags: Mutex::default(),
        })
    }

    /// Adds a kernel, in the place of the one that its host ran before.
    pub(super) fn add(&self, kernel: &Arc<Kernel>) {
        let before = lock(&self.table).insert(kernel.name.clone(), Arc::clone(kernel));
        before.iter().for_each(|kernel| self.gone(kernel));
    }

    /// Records the observed flags of a kernel that has been shut down.
    fn gone(&self, kernel: &Kernel) {
        let observed_flags = kernel.enter(|state| state.machine.observed_flags());
        let mut all = lock(&self.observed_flags);
        *all = all.union(observed_flags);
    }

    /// The behaviour flags observed by kernels that have been shut down.
    pub(crate) fn observed_flags(&self) -> FlagSet {
        *lock(&self.observed_flags)
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Kernel>> {
        lock(&self.table).get(name).cloned()
    }

    /// Follows a connection from a namespace through the NAT hosts on its way.
    pub(crate) fn trace(&self, start: Place, ends: (SocketAddr, SocketAddr)) -> Option<Trace> {
        if !self.network.has_routers() {
            return None;
        }
        self.network.ways().trace(start, ends, |at, from, to| {
            let kernel = self.get(&self.network.name(at.0)?)?;
            kernel.enter(|s| s.machine.nat_trace(s.namespace(at.1), from, to))
        })
    }

    pub(crate) fn all(&self) -> Vec<Arc<Kernel>> {
        lock(&self.table).values().cloned().collect()
    }

    /// Returns `true` if the software of a host has ended.
    pub(crate) fn has_exited(&self, name: &str) -> bool {
        let kernel = self.get(name);
        kernel.is_some_and(|kernel| kernel.enter(|state| state.exited))
    }

    /// Opens ports on all hosts for one that has joined the network.
    pub(crate) fn host_added(&self) {
        self.all()
            .iter()
            .for_each(|kernel| kernel.pump.notify_one());
    }

    /// Ends the simulation: shuts the kernels down and drops all references to them.
    pub(crate) fn end(&self) {
        let kernels = std::mem::take(&mut *lock(&self.table));
        for kernel in kernels.values() {
            kernel.enter(State::crash);
            self.gone(kernel);
        }
    }
}

thread_local! {
    /// Kernels by the runtime that turmoil created for the host. Used for lookups, never iterated.
    static KERNELS: RefCell<HashMap<Id, Arc<Kernel>>> = RefCell::new(HashMap::new());
}

/// Registers a kernel for the current runtime, until it is dropped.
pub(super) struct Registration(Id);

impl Registration {
    pub(super) fn new(kernel: &Arc<Kernel>) -> Self {
        let id = Handle::current().id();
        KERNELS.with_borrow_mut(|k| k.insert(id, Arc::clone(kernel)));
        Registration(id)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // At the end of a thread the table may have been dropped already.
        let kernel = KERNELS.try_with(|k| k.borrow_mut().remove(&self.0));
        drop(kernel);
    }
}

/// The kernel of the host on which the calling task runs.
pub(crate) fn current() -> std::io::Result<Arc<Kernel>> {
    let found = Handle::try_current()
        .ok()
        .and_then(|h| KERNELS.with_borrow(|k| k.get(&h.id()).cloned()));
    found.ok_or_else(|| std::io::Error::other(crate::NoLinux))
}
