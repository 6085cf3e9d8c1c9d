//! What the tasks of one run share, and the hosts on which they run.

use super::api::{Api, Place};
use super::driver::Driver;
use super::pace::Pace;
use super::steps;
use crate::config::Linux;
use crate::engine::grant::Grant;
use crate::host::{Kernel, boot};
use crate::network::Network;
use crate::sim::LinuxSim;
use crate::{Errno, Socket};
use fourtuple_harness::call::note_unmodelled;
use fourtuple_harness::compile::BACKLOG;
use fourtuple_harness::{Answer, Attempts, Caller, Cannot, Name, Recorder, Seen, Slot};
use fourtuple_kernel::profile::{self, Profile};
use fourtuple_kernel::{Endpoint, Family, Refusal, SockOpt, sysctl_has_no_effect};
use fourtuple_program::HostId;
use fourtuple_scenario::{Case, Program};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
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
    fn place(&self) -> Place {
        Place {
            machine: self.machine.clone(),
            namespace: self.namespace,
        }
    }
}

type Job = Box<dyn FnOnce()>;

/// See the module's documentation.
pub(super) struct Scene {
    pub(super) hosts: Vec<HostInfo>,
    pub(super) network: Arc<Network>,
    pub(super) pace: Pace,
    /// The processes, of a case in the declarative form.
    driver: Option<Driver>,
    recorder: RefCell<Recorder>,
    notes: RefCell<Vec<String>>,
    failed: RefCell<Option<Cannot>>,
    /// Calls to be made on a machine, in order, and the task that makes them.
    jobs: BTreeMap<Name, (RefCell<Vec<Job>>, tokio::sync::Notify)>,
    /// Longest time that a packet is under way.
    pub(super) latency: Duration,
    booted: Cell<bool>,
    /// Sysctls that have no effect on ports, by host, until they are noted.
    unmodelled: Vec<(String, String)>,
}

/// The errno of an error of a socket call.
pub(super) fn errno_of(error: &io::Error) -> Option<Errno> {
    error.raw_os_error()?.try_into().ok().map(Errno::new)
}

impl Scene {
    /// Registers the scenario's hosts with the simulation, and the client that conducts them.
    pub(super) fn new(
        case: &Case,
        profile: &Profile,
        sim: &mut LinuxSim<'_>,
    ) -> Result<Rc<Self>, Cannot> {
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
                            Cannot::new(format!("no kernel is called {}", kernel.value))
                        })?
                        .behaviours
                }
            };
            behaviours.hz = host.hz.unwrap_or(behaviours.hz);
            let mut linux = Linux::with_behaviours(case.kernel_of(name), behaviours)
                .only_addresses(host.addresses.iter().copied())
                .seed(case.seed)
                .window(u32::MAX);
            linux.time_wait = case.time_wait;
            linux.sysctls = host
                .settings()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            let unknown = linux.sysctls.iter().map(|(key, _)| key);
            let unknown = unknown.filter(|key| sysctl_has_no_effect(key));
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
        let pace = Pace::new(Arc::clone(sim.network()), case);
        let driver = match &*case.program {
            Program::Processes(_) => {
                let places = hosts.iter().map(HostInfo::place).collect();
                let api = Api::new(Arc::clone(sim.network()), places);
                Some(Driver::new(case, pace.clone(), api)?)
            }
            Program::Steps(_) => None,
        };
        let scene = Rc::new(Scene {
            jobs: machines
                .iter()
                .map(|(name, ..)| (name.clone(), Default::default()))
                .collect(),
            network: Arc::clone(sim.network()),
            pace,
            driver,
            recorder: RefCell::default(),
            notes: RefCell::default(),
            failed: RefCell::default(),
            latency: case.network.latency.unwrap_or_default().max,
            booted: Cell::new(false),
            unmodelled,
            hosts,
        });
        for (name, turmoil, linuxes) in machines {
            let board = sim.board(name.to_string(), turmoil, linuxes);
            let scene = Rc::clone(&scene);
            sim.raw().host(turmoil, move || {
                boot(Arc::clone(&board), machine(Rc::clone(&scene), name.clone()))
            });
        }
        let conducted = Rc::clone(&scene);
        let steps = case.program.steps().map(<[_]>::to_vec);
        sim.raw().client("conductor", async move {
            conducted.booted();
            match (steps, &conducted.driver) {
                (Some(steps), _) => steps::run(Rc::clone(&conducted), &steps).await,
                (None, Some(driver)) if conducted.pace.is_ideal() => driver.conduct().await,
                (None, Some(driver)) => driver.watch().await,
                (None, None) => {}
            }
            Ok(())
        });
        Ok(scene)
    }

    /// All machines have booted for the first time.
    fn booted(&self) {
        self.booted.set(true);
        for (host, key) in &self.unmodelled {
            self.note_sysctl(host, key);
        }
        for machine in self.jobs.keys() {
            let Some(kernel) = self.network.kernel(machine) else {
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
                self.note(format!(
                    "{name}: sysctl {key} = {value} is refused with {errno}"
                ));
            }
        }
    }

    /// turmoil's address of a host of the scenario.
    pub(super) fn turmoil_host(&self, name: &str) -> IpAddr {
        let found = self.hosts.iter().find(|h| *h.name == *name);
        found.map_or_else(|| IpAddr::from([0, 0, 0, 0]), |h| h.turmoil)
    }

    pub(super) fn host(&self, name: &str) -> Option<usize> {
        self.hosts.iter().position(|h| *h.name == *name)
    }

    /// The kernel that a host runs on now.
    pub(super) fn kernel(&self, host: usize) -> Option<Arc<Kernel>> {
        self.network.kernel(&self.hosts[host].machine)
    }

    /// A socket on a host, made by a task that runs on its machine.
    pub(super) fn socket(&self, host: usize, family: Family, uid: u32) -> io::Result<Socket> {
        Socket::in_namespace(self.hosts[host].namespace, family, uid)
    }

    /// Says something about the run, once.
    pub(super) fn note(&self, note: String) {
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Notes a sysctl that has no effect on ports.
    pub(super) fn note_sysctl(&self, host: &str, key: &str) {
        if sysctl_has_no_effect(key) {
            note_unmodelled(&mut self.notes.borrow_mut(), host, key);
        }
    }

    pub(super) fn fail(&self, cannot: Cannot) {
        self.failed.borrow_mut().get_or_insert(cannot);
    }

    pub(super) fn failed(&self) -> Option<Cannot> {
        self.failed.borrow_mut().take()
    }

    /// The outcome.
    pub(super) fn finish(&self) -> (Attempts, Vec<String>) {
        let attempts = match &self.driver {
            Some(driver) => driver.attempts(),
            None => self.recorder.take().finish(),
        };
        (attempts, self.notes.take())
    }

    /// Who makes a call on a socket of the steps.
    pub(super) fn caller(&self, host: &Name, process: Name, socket: &str) -> Caller {
        let mut recorder = self.recorder.borrow_mut();
        recorder.caller(host.clone(), process, socket)
    }

    /// Notes that a call is made now.
    pub(super) fn call(
        &self,
        caller: Caller,
        op: fourtuple_scenario::Op,
        args: fourtuple_harness::Args,
    ) -> Slot {
        let at = self.network.clock.elapsed().unwrap_or_default();
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        self.recorder.borrow_mut().call(at, caller, op, args)
    }

    /// Notes what a call has returned.
    pub(super) fn answer(&self, slot: Slot, result: Result<Seen, Errno>, refusal: Option<Refusal>) {
        match result {
            Ok(seen) => self.recorder.borrow_mut().ok(slot, seen),
            Err(errno) => self
                .recorder
                .borrow_mut()
                .failed(slot, Answer::Errno(errno), refusal),
        }
    }

    /// Notes the answer of a call on a socket.
    pub(super) fn result(&self, slot: Slot, socket: &Socket, result: io::Result<Seen>) {
        match result {
            Ok(seen) => self.recorder.borrow_mut().ok(slot, seen),
            Err(error) => {
                let answer = errno_of(&error)
                    .map_or_else(|| Answer::Foreign(error.to_string().into()), Answer::Errno);
                self.recorder
                    .borrow_mut()
                    .failed(slot, answer, socket.take_refusal());
            }
        }
    }

    pub(super) fn foreign(&self, slot: Slot, answer: Answer) {
        self.recorder.borrow_mut().failed(slot, answer, None);
    }

    /// Sleeps on a network where time passes by itself.
    pub(super) async fn pause(&self, time: Duration) {
        let end = self.pace.now() + time;
        self.network.clock.sleep_until(Some(end)).await;
    }

    /// Makes a call on the machine of a host, from a task of that machine. None if it is down.
    pub(super) async fn on<R: 'static>(
        &self,
        host: usize,
        call: impl FnOnce() -> R + 'static,
    ) -> Option<R> {
        let machine = &self.hosts[host].machine;
        if !self.kernel(host)?.enter(|s| s.up) {
            return None;
        }
        let (jobs, notify) = self.jobs.get(machine)?;
        let result = Rc::new(RefCell::new(None));
        let done = Grant::new();
        let (result2, done2) = (Rc::clone(&result), Rc::clone(&done));
        jobs.borrow_mut().push(Box::new(move || {
            *result2.borrow_mut() = Some(call());
            done2.give();
        }));
        notify.notify_one();
        done.taken().await;
        result.take()
    }

    /// The kernel's address of a socket, as attempts show it.
    pub(super) fn local(socket: &Socket) -> Seen {
        Seen {
            local: Some(socket.ends().0),
            ..Seen::default()
        }
    }

    pub(super) fn ends(socket: &Socket) -> Seen {
        let (local, peer) = socket.ends();
        Seen {
            local: Some(local),
            peer,
            bytes: None,
        }
    }
}

/// What runs on a machine.
async fn machine(scene: Rc<Scene>, machine: Name) -> turmoil::Result {
    let hosts: Vec<usize> = (0..scene.hosts.len())
        .filter(|&h| scene.hosts[h].machine == machine)
        .collect();
    for &host in &hosts {
        for &at in &scene.hosts[host].listen {
            if let Err(cannot) = listen(&scene, host, at) {
                scene.fail(cannot.clone());
                return Err(cannot.into());
            }
        }
    }
    if let Some(driver) = &scene.driver {
        let hosts: Vec<HostId> = hosts.iter().map(|host| HostId(*host as u32)).collect();
        driver.run_on(&hosts, scene.booted.get()).await;
    }
    let (jobs, notify) = &scene.jobs[&machine];
    loop {
        for job in jobs.take() {
            job();
        }
        notify.notified().await;
    }
}

/// Opens a listener of the scenario itself: it makes no attempt, so it must not fail.
fn listen(scene: &Rc<Scene>, host: usize, at: SocketAddr) -> Result<(), Cannot> {
    let listens = |error: String| {
        let (name, at) = (&scene.hosts[host].name, Endpoint::from(at));
        Cannot::new(format!("host {name} cannot listen on {at}: {error}"))
    };
    if let Some(driver) = &scene.driver {
        let opened = driver.listen(HostId(host as u32), at);
        return opened.map_err(|outcome| listens(outcome.to_string()));
    }
    let open = || {
        let socket = scene.socket(host, Family::of(at.ip()), 0)?;
        socket.set(SockOpt::ReuseAddr(true))?;
        socket.bind(at)?;
        socket.listen(BACKLOG)?;
        Ok(socket)
    };
    let socket = open().map_err(|error: io::Error| {
        let errno = errno_of(&error);
        listens(errno.map_or_else(|| error.to_string(), |errno| errno.to_string()))
    })?;
    accept_all(Rc::new(socket));
    Ok(())
}

/// Accepts everything on a listener and keeps it, on behalf of root.
fn accept_all(listener: Rc<Socket>) {
    tokio::task::spawn_local(async move {
        let mut kept = Vec::new();
        loop {
            match listener.accept_as(0).await {
                Ok((socket, _)) => kept.push(socket),
                Err(_) if listener.state() == crate::State::Listen => {}
                Err(_) => break,
            }
        }
        std::future::pending::<()>().await;
    });
}
