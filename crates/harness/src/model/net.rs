//! The hosts of a scenario as namespaces of the kernel model.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

use fourtuple_kernel::profile::{self, Profile};
use fourtuple_kernel::{
    Chooser, Family, FlagSet, MachineId, SockOpt, World, WorldNs, WorldSock, sysctl_has_no_effect,
};
use fourtuple_scenario::Case;
use fourtuple_syscall::canonical;

use crate::attempt::Name;
use crate::call;
use crate::compile::BACKLOG;
use crate::engine::EngineError;
use crate::port_timeline::Watch;

/// The beginning of the note about a sysctl that the kernel refuses; the errno follows.
pub(crate) fn refusal(host: &str, key: &str, value: &str) -> String {
    format!("{host}: sysctl {key} = {value} is refused with ")
}

/// A host of the scenario.
#[derive(Clone)]
pub(crate) struct HostNs {
    pub(crate) name: Name,
    pub(crate) ns: WorldNs,
}

/// The world with the scenario's hosts in it, and the listeners that were there from the start.
#[derive(Clone)]
pub(crate) struct Net<C: Chooser> {
    pub(crate) world: World<C>,
    /// The machines that run the kernel of the case, not one of their own.
    plain: Vec<MachineId>,
    pub(crate) hosts: Vec<HostNs>,
    by_name: BTreeMap<Name, usize>,
    by_address: BTreeMap<IpAddr, usize>,
    pub(crate) listeners: Vec<(usize, WorldSock, u16)>,
    pub(crate) notes: Vec<String>,
    /// The observer of the hosts after each event.
    pub(crate) watch: Option<Watch>,
}

impl<C: Chooser> Net<C> {
    /// Builds the hosts. `chooser` makes the source of chance of each machine from its name.
    pub(crate) fn new(
        case: &Case,
        profile: &Profile,
        chooser: &mut dyn FnMut(&str) -> C,
    ) -> Result<Self, EngineError> {
        Self::within(World::new(), case, profile, chooser)
    }

    /// Builds the hosts in a world that has none.
    pub(crate) fn within(
        world: World<C>,
        case: &Case,
        profile: &Profile,
        chooser: &mut dyn FnMut(&str) -> C,
    ) -> Result<Self, EngineError> {
        let mut net = Net {
            world,
            plain: Vec::new(),
            hosts: Vec::new(),
            by_name: BTreeMap::new(),
            by_address: BTreeMap::new(),
            listeners: Vec::new(),
            notes: Vec::new(),
            watch: None,
        };
        let mut machines: BTreeMap<&str, MachineId> = BTreeMap::new();
        for (name, host) in &*case.hosts {
            let machine = host.machine.as_deref().unwrap_or(name);
            let id = match machines.get(machine) {
                Some(id) => *id,
                None => {
                    let mut behaviours = match &host.kernel {
                        None => profile.behaviours,
                        Some(kernel) => {
                            let found = profile::find(&kernel.value);
                            found
                                .ok_or_else(|| {
                                    EngineError::new(format!(
                                        "no kernel is called {}",
                                        kernel.value
                                    ))
                                })?
                                .behaviours
                        }
                    };
                    behaviours.hz = host.hz.unwrap_or(behaviours.hz);
                    let id = net.world.add_machine(behaviours, chooser(machine));
                    machines.insert(machine, id);
                    if host.kernel.is_none() {
                        net.plain.push(id);
                    }
                    id
                }
            };
            let ns = net.world.add_namespace(id);
            net.world.set_explain(true);
            let index = net.hosts.len();
            let shared: Name = name.as_str().into();
            net.hosts.push(HostNs {
                name: shared.clone(),
                ns,
            });
            net.by_name.insert(shared, index);
            for ip in &host.addresses {
                net.world.add_address(ns, *ip);
                net.by_address.insert(ip.to_canonical(), index);
            }
            if !host.tentative.is_zero() {
                let tentative = u64::try_from(host.tentative.as_nanos()).unwrap_or(u64::MAX);
                let until = net.world.now().after(tentative);
                net.world.set_tentative(ns, until);
            }
            if let Some(time_wait) = case.time_wait {
                net.world
                    .set_time_wait(ns, u64::try_from(time_wait.as_nanos()).unwrap_or(u64::MAX));
            }
            for (key, value) in host.settings() {
                net.write_sysctl(index, key, value);
            }
        }
        for (index, host) in case.hosts.values().enumerate() {
            for at in &host.listen {
                net.listen(index, *at)?;
            }
        }
        Ok(net)
    }

    /// The behaviours of the case's kernel that were observed so far.
    pub(crate) fn observed_flags(&self) -> FlagSet {
        let machines = self.plain.iter().map(|id| self.world.observed_flags(*id));
        machines.fold(FlagSet::default(), FlagSet::union)
    }

    /// Writes a sysctl; one that the kernel refuses becomes a note, as an administrator would see
    /// it.
    pub(crate) fn write_sysctl(&mut self, host: usize, key: &str, value: &str) {
        let HostNs { name, ns } = &self.hosts[host];
        if sysctl_has_no_effect(key) {
            call::note_unmodelled(&mut self.notes, name, key);
        }
        if let Err(errno) = self.world.sysctl(*ns, key, value) {
            let note = format!("{}{errno}", refusal(name, key, value));
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
            self.world.take_refusal();
        }
    }

    /// A listener of the scenario itself: it makes no attempt, so it must not fail.
    pub(crate) fn listen(&mut self, host: usize, at: SocketAddr) -> Result<(), EngineError> {
        let HostNs { name, ns } = &self.hosts[host];
        let socket = self.world.socket(*ns, Family::of(at.ip()), 0);
        let world = &mut self.world;
        let made = world
            .set_option(socket, SockOpt::ReuseAddr(true))
            .and_then(|()| world.bind(socket, at))
            .and_then(|()| world.listen(socket, BACKLOG));
        made.map_err(|errno| {
            let at = canonical(at);
            EngineError::new(format!("host {name} cannot listen on {at}: {errno}"))
        })?;
        self.listeners.push((host, socket, at.port()));
        Ok(())
    }

    /// Accepts every connection that waits at a listener of the scenario itself, and keeps it.
    pub(super) fn accept_all(&mut self) {
        for (_, listener, _) in &self.listeners {
            while let Poll::Ready(Ok(_)) = self.world.accept(*listener, 0) {}
        }
    }

    /// The host with a name.
    pub(crate) fn host(&self, name: &str) -> Result<usize, EngineError> {
        let found = self.by_name.get(name).copied();
        found.ok_or_else(|| EngineError::new(format!("no host is called {name}")))
    }

    /// The host that a connection from `from` to an address reaches.
    pub(crate) fn reached(&self, from: usize, ip: IpAddr) -> Option<usize> {
        let ip = ip.to_canonical();
        if ip.is_loopback() || ip.is_unspecified() {
            Some(from)
        } else {
            self.by_address.get(&ip).copied()
        }
    }

    /// Notifies the observer of an event. `last` marks the end of the run.
    pub(crate) fn happened(&self, last: bool) {
        let Some(Ok(mut watch)) = self.watch.as_ref().map(|watch| watch.lock()) else {
            return;
        };
        if watch.is_due(last) {
            for HostNs { name, ns } in &self.hosts {
                watch.look(self.elapsed(), name, &self.world.buckets(*ns));
            }
        }
    }

    /// Time since the start of the scenario.
    pub(crate) fn elapsed(&self) -> u64 {
        self.world.now().since(World::<C>::START)
    }
}
