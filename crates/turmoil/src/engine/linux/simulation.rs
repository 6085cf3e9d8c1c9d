//! The state that the tasks of one run share, and the hosts on which they run.

use super::api::{Api, HostPlace};
use super::pace::Pace;
use super::steps::Steps;
use crate::config::Linux;
use crate::engine::notes::Notes;
use crate::engine::processes::Processes;
use crate::host::Kernels;
use crate::host::{Role, boot};
use crate::network::Network;
use crate::sim::LinuxSim;
use fourtuple_harness::{
    Attempts, EngineError, Name, compile, note_nat, refuse_datagrams_through_nat,
};
use fourtuple_kernel::nat::is_nat_sysctl;
use fourtuple_kernel::profile::{self, Profile};
use fourtuple_kernel::sysctl_has_no_effect;
use fourtuple_program::HostId;
use fourtuple_scenario::{Case, Program};
use fourtuple_syscall::canonical;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A host of the scenario: a namespace of a machine, which is a turmoil host.
#[derive(Debug)]
pub(super) struct HostInfo {
    pub(super) name: Name,
    pub(super) machine: Name,
    pub(super) namespace: usize,
    turmoil: IpAddr,
    listen: Vec<SocketAddr>,
}

impl HostInfo {
    fn place(&self) -> HostPlace {
        HostPlace {
            name: self.name.clone(),
            machine: self.machine.clone(),
            namespace: self.namespace,
        }
    }
}

/// The program of a scenario.
enum Driver {
    Processes(Box<Processes<Api>>),
    Steps(Box<Steps>),
}

/// See the module's documentation.
pub(super) struct Simulation {
    hosts: Vec<HostInfo>,
    kernels: Arc<Kernels>,
    pace: Pace,
    driver: Driver,
    notes: Rc<Notes>,
    failed: RefCell<Option<EngineError>>,
    booted: Cell<bool>,
    /// Sysctls that have no effect on ports, by host, until they are noted.
    unmodelled: Vec<(String, String)>,
}

impl Simulation {
    /// Registers the scenario's hosts with the simulation. On a network with latency, a client of
    /// its own runs the program.
    pub(super) fn new(
        case: &Case,
        profile: &Profile,
        sim: &mut LinuxSim<'_>,
    ) -> Result<Rc<Self>, EngineError> {
        refuse_datagrams_through_nat(case)?;
        let mut machines: Vec<(Name, IpAddr, Vec<Linux>)> = Vec::new();
        let mut hosts = Vec::new();
        let mut unmodelled = Vec::new();
        for (name, host) in &*case.hosts {
            let machine = host.machine.as_deref().unwrap_or(name);
            let mut behaviours = match &host.kernel {
                None => profile.behaviours,
                Some(kernel) => {
                    let found = profile::find(&kernel.value);
                    found
                        .ok_or_else(|| {
                            EngineError::new(format!("unknown kernel {}", kernel.value))
                        })?
                        .behaviours
                }
            };
            behaviours.hz = host.hz.unwrap_or(behaviours.hz);
            let mut linux = Linux::with_behaviours(case.kernel_of(name), behaviours)
                .only_addresses(host.addresses.iter().copied())
                .seed(case.seed)
                .window(u32::MAX)
                .loopback(Duration::ZERO);
            linux.time_wait = case.time_wait;
            linux.tentative = host.tentative;
            linux.alone = case.hosts.len() == 1;
            linux.nat = host.nat.as_ref().map(compile::nat_rules);
            linux.sysctls = host
                .settings()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            let unknown = linux.sysctls.iter().map(|(key, _)| key);
            let is_tracked = |key: &str| linux.nat.is_some() && is_nat_sysctl(key);
            let unknown = unknown.filter(|key| sysctl_has_no_effect(key) && !is_tracked(key));
            unmodelled.extend(unknown.map(|key| (name.clone(), key.clone())));
            let found = machines
                .iter()
                .position(|(n, ..)| **n == *machine)
                .unwrap_or_else(|| {
                    machines.push((machine.into(), sim.lookup(machine), Vec::new()));
                    machines.len() - 1
                });
            let (machine, turmoil, linuxes) = &mut machines[found];
            hosts.push(HostInfo {
                name: name.as_str().into(),
                machine: machine.clone(),
                namespace: linuxes.len(),
                turmoil: *turmoil,
                listen: host.listen.clone(),
            });
            linuxes.push(linux);
        }
        let pace = Pace::new(Arc::clone(sim.kernels()), case);
        let notes = Rc::new(Notes::default());
        let places = hosts.iter().map(HostInfo::place).collect();
        let api = Api::new(Arc::clone(sim.kernels()), places, Rc::clone(&notes));
        let driver = match &*case.program {
            Program::Processes(_) => Driver::Processes(Box::new(Processes::new(
                case,
                Arc::clone(&sim.kernels().network.clock),
                api,
            )?)),
            Program::Steps(_) => Driver::Steps(Box::new(Steps::new(case, pace.clone(), api)?)),
        };
        let simulation = Rc::new(Simulation {
            kernels: Arc::clone(sim.kernels()),
            pace,
            driver,
            notes,
            failed: RefCell::default(),
            booted: Cell::new(false),
            unmodelled,
            hosts,
        });
        for (name, turmoil, linuxes) in machines {
            let board = sim.board(name.to_string(), turmoil, linuxes);
            let simulation = Rc::clone(&simulation);
            sim.raw().host(turmoil, move || {
                boot(
                    Arc::clone(&board),
                    Role::Host,
                    machine(Rc::clone(&simulation), name.clone()),
                )
            });
        }
        set_ways(case, &simulation.hosts, &sim.kernels().network)?;
        if !simulation.pace.is_ideal() {
            let program = Rc::clone(&simulation).run();
            sim.raw().client("scheduler", async move {
                program.await;
                Ok(())
            });
        }
        Ok(simulation)
    }

    /// Runs the program of the scenario to its end, once all machines have booted.
    pub(super) async fn run(self: Rc<Self>) {
        self.booted();
        match &self.driver {
            Driver::Steps(steps) => steps.run_all().await,
            Driver::Processes(driver) if self.pace.is_ideal() => driver.run_all(&self.pace).await,
            Driver::Processes(driver) => driver.watch().await,
        }
    }

    /// Returns `true` if packets take no time.
    pub(super) fn is_ideal(&self) -> bool {
        self.pace.is_ideal()
    }

    /// Marks the first boot of all machines as complete. Notes sysctls that kernels reject, or that
    /// do not affect ports.
    fn booted(&self) {
        self.booted.set(true);
        for (host, key) in &self.unmodelled {
            self.notes.unmodelled(host, key);
        }
        let machines: BTreeSet<&Name> = self.hosts.iter().map(|host| &host.machine).collect();
        for machine in machines {
            let Some(kernel) = self.kernels.get(machine) else {
                continue;
            };
            for (namespace, key, value, errno) in
                kernel.enter(|s| std::mem::take(&mut s.refused_sysctls))
            {
                let host = self
                    .hosts
                    .iter()
                    .find(|h| h.machine == *machine && h.namespace == namespace);
                let name = host.map_or("", |h| &*h.name);
                self.notes.refused(name, &key, &value, errno);
            }
        }
    }

    /// turmoil's address of a host of the scenario.
    pub(super) fn turmoil_host(&self, name: &str) -> IpAddr {
        let found = self.hosts.iter().find(|h| *h.name == *name);
        found.map_or_else(|| IpAddr::from([0, 0, 0, 0]), |h| h.turmoil)
    }

    /// Adds a note about the run, once.
    pub(super) fn note(&self, note: String) {
        self.notes.add(note);
    }

    pub(super) fn fail(&self, cannot: EngineError) {
        self.failed.borrow_mut().get_or_insert(cannot);
    }

    pub(super) fn failed(&self) -> Option<EngineError> {
        self.failed.borrow_mut().take()
    }

    /// Notes the counters of each NAT host.
    pub(super) fn note_nats(&self) {
        for host in &self.hosts {
            let Some(kernel) = self.kernels.get(&host.machine) else {
                continue;
            };
            let counters = kernel.enter(|s| s.machine.nat_counters(s.namespace(host.namespace)));
            if let Some(counters) = counters.filter(|counters| !counters.is_empty()) {
                self.notes.add(note_nat(&host.name, &counters));
            }
        }
    }

    /// Returns the attempts and the notes.
    pub(super) fn finish(&self) -> (Attempts, Vec<String>) {
        let attempts = match &self.driver {
            Driver::Processes(driver) => driver.attempts(),
            Driver::Steps(steps) => steps.attempts(),
        };
        (attempts, self.notes.take())
    }
}

/// Sets the hosts that `via` names, and the addresses that hosts have by their rules of NAT.
fn set_ways(case: &Case, hosts: &[HostInfo], network: &Network) -> Result<(), EngineError> {
    for (host, own) in case.hosts.values().zip(hosts) {
        let at = (own.turmoil, own.namespace);
        if let Some(nat) = &host.nat {
            network.add_virtual(at, compile::nat_rules(nat).addresses());
        }
        let via = host.via.as_ref().map(|via| &*via.value);
        let router = hosts.iter().find(|one| via == Some(&*one.name));
        if let Some(router) = router
            && network
                .set_router(at, (router.turmoil, router.namespace))
                .is_err()
        {
            return Err(EngineError::new(format!(
                "{} forwards packets beside another host of its machine",
                router.name
            )));
        }
    }
    Ok(())
}

/// The software of a machine.
async fn machine(simulation: Rc<Simulation>, machine: Name) -> turmoil::Result {
    let hosts: Vec<usize> = (0..simulation.hosts.len())
        .filter(|&h| simulation.hosts[h].machine == machine)
        .collect();
    for &host in &hosts {
        for &at in &simulation.hosts[host].listen {
            if let Err(cannot) = listen(&simulation, host, at) {
                simulation.fail(cannot.clone());
                return Err(cannot.into());
            }
        }
    }
    if let Driver::Processes(driver) = &simulation.driver {
        let hosts: Vec<HostId> = hosts.iter().map(|host| HostId(*host as u32)).collect();
        driver.run_on(&hosts, simulation.booted.get()).await;
    }
    std::future::pending().await
}

/// Opens a listener of the scenario itself. It is not an attempt, so a failure is an error.
fn listen(simulation: &Simulation, host: usize, at: SocketAddr) -> Result<(), EngineError> {
    let id = HostId(host as u32);
    let opened = match &simulation.driver {
        Driver::Processes(driver) => driver.listen(id, at),
        Driver::Steps(steps) => steps.listen(id, at),
    };
    opened.map_err(|outcome| {
        let (name, at) = (&simulation.hosts[host].name, canonical(at));
        EngineError::new(format!("host {name} cannot listen on {at}: {outcome}"))
    })
}
