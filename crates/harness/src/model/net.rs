//! The hosts of a scenario as namespaces of the kernel model.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

use fourtuple_kernel::nat::is_nat_sysctl;
use fourtuple_kernel::profile::{self, Profile};
use fourtuple_kernel::{
    Chooser, Family, FlagSet, MachineId, SockOpt, World, WorldNs, WorldSock, sysctl_has_no_effect,
};
use fourtuple_scenario::{Case, Program, Protocol, SocketType, Step};
use fourtuple_syscall::canonical;

use crate::attempt::Name;
use crate::compile::{self, BACKLOG};
use crate::engine::refuse_nat;
use crate::error::EngineError;
use crate::notes::{note_nat, note_unmodelled};

/// The beginning of the note about a sysctl that the kernel refuses; the errno follows.
#[must_use]
pub fn sysctl_refusal(host: &str, key: &str, value: &str) -> String {
    format!("{host}: sysctl {key} = {value} is refused with ")
}

/// A host of the scenario.
#[derive(Clone)]
pub struct HostNs {
    /// The name of the host.
    pub name: Name,
    /// Its namespace in the world.
    pub ns: WorldNs,
}

/// The world with the scenario's hosts in it, and the listeners that were there from the start.
#[derive(Clone)]
pub struct Net<C: Chooser> {
    /// The world.
    pub world: World<C>,
    /// The machines that run the kernel of the case, not one of their own.
    plain: Vec<MachineId>,
    /// The hosts, in the order of the case.
    pub hosts: Vec<HostNs>,
    by_name: BTreeMap<Name, usize>,
    by_address: BTreeMap<IpAddr, usize>,
    /// The listeners of the hosts: the place of the host, the socket, the port.
    pub listeners: Vec<(usize, WorldSock, u16)>,
    /// Remarks for the report.
    pub notes: Vec<String>,
}

impl<C: Chooser> Net<C> {
    /// Builds the hosts. `chooser` makes the source of chance of each machine from its name.
    pub fn new(
        case: &Case,
        profile: &Profile,
        chooser: &mut dyn FnMut(&str) -> C,
    ) -> Result<Self, EngineError> {
        Self::within(World::new(), case, profile, chooser)
    }

    /// Builds the hosts in a world that has none.
    pub fn within(
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
            net.world.set_alone(ns, case.hosts.len() == 1);
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
        }
        net.set_ways(case)?;
        for (index, host) in case.hosts.values().enumerate() {
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

    /// Sets the routers and the NAT hosts.
    fn set_ways(&mut self, case: &Case) -> Result<(), EngineError> {
        refuse_datagrams_through_nat(case)?;
        for (index, host) in case.hosts.values().enumerate() {
            let ns = self.hosts[index].ns;
            if let Some(via) = &host.via {
                let router = self.hosts[self.host(&via.value)?].ns;
                self.world.set_router(ns, router);
            }
            if let Some(nat) = &host.nat {
                self.world.set_nat(ns, compile::nat_rules(nat));
            }
        }
        Ok(())
    }

    /// The behaviours of the case's kernel that were observed so far.
    pub fn observed_flags(&self) -> FlagSet {
        let machines = self.plain.iter().map(|id| self.world.observed_flags(*id));
        machines.fold(FlagSet::default(), FlagSet::union)
    }

    /// Writes a sysctl; one that the kernel refuses becomes a note, as an administrator would see
    /// it.
    pub fn write_sysctl(&mut self, host: usize, key: &str, value: &str) {
        let HostNs { name, ns } = &self.hosts[host];
        let tracked = self.world.nat_counters(*ns).is_some() && is_nat_sysctl(key);
        if sysctl_has_no_effect(key) && !tracked {
            note_unmodelled(&mut self.notes, name, key);
        }
        if let Err(errno) = self.world.sysctl(*ns, key, value) {
            let note = format!("{}{errno}", sysctl_refusal(name, key, value));
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
            self.world.take_refusal();
        }
    }

    /// Notes the counters of each NAT host.
    pub(super) fn note_nats(&mut self) {
        for HostNs { name, ns } in &self.hosts {
            let counters = self.world.nat_counters(*ns);
            if let Some(counters) = counters.filter(|counters| !counters.is_empty()) {
                self.notes.push(note_nat(name, &counters));
            }
        }
    }

    /// A listener of the scenario itself: it makes no attempt, so it must not fail.
    pub fn listen(&mut self, host: usize, at: SocketAddr) -> Result<(), EngineError> {
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
    pub fn host(&self, name: &str) -> Result<usize, EngineError> {
        let found = self.by_name.get(name).copied();
        found.ok_or_else(|| EngineError::new(format!("no host is called {name}")))
    }

    /// The host that a connection from `from` to an address reaches.
    pub fn reached(&self, from: usize, ip: IpAddr) -> Option<usize> {
        let ip = ip.to_canonical();
        if ip.is_loopback() || ip.is_unspecified() {
            Some(from)
        } else {
            self.by_address.get(&ip).copied()
        }
    }

    /// Time since the start of the scenario.
    pub fn elapsed(&self) -> u64 {
        self.world.now().since(World::<C>::START)
    }
}

/// Refuses a case that sends datagrams through a NAT host.
///
/// # Errors
/// It has both.
pub fn refuse_datagrams_through_nat(case: &Case) -> Result<(), EngineError> {
    match refuse_nat(case).is_err() && sends_datagrams(&case.program) {
        true => Err(EngineError::new(
            "NAT hosts of the model translate TCP, and the scenario has UDP sockets",
        )),
        false => Ok(()),
    }
}

/// Returns `true` if a program has UDP sockets.
fn sends_datagrams(program: &Program) -> bool {
    match program {
        Program::Processes(all) => all.values().any(|one| one.protocol == Protocol::Udp),
        Program::Steps(steps) => steps.iter().any(|step| match &step.value {
            Step::Socket(made) => made.kind == SocketType::Dgram,
            _ => false,
        }),
    }
}
