//! What the tasks of a run on turmoil's own sockets share.

use super::calls::{Failed, call};
use super::processes::Programs;
use crate::clock::Clock;
use crate::engine::drive::aftermath;
use crate::engine::linux;
use fourtuple_harness::{Answer, Args, Attempts, Caller, Cannot, Name, Recorder, Seen, Slot};
use fourtuple_kernel::{Endpoint, Ip};
use fourtuple_scenario::{Case, Op, Program, Step};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use turmoil::net::TcpStream;
use turmoil::{IpVersion, Sim};

/// A host of the scenario.
pub(super) struct HostInfo {
    pub(super) name: Name,
    /// turmoil's only address of it.
    pub(super) turmoil: IpAddr,
    addresses: Vec<IpAddr>,
}

type Job = Box<dyn FnOnce()>;

/// See the module's documentation.
pub(super) struct Stage {
    pub(super) hosts: Vec<HostInfo>,
    pub(super) v4: bool,
    pub(super) programs: Programs,
    recorder: RefCell<Recorder>,
    notes: RefCell<Vec<String>>,
    failed: RefCell<Option<Cannot>>,
    /// Accepted streams, with their host, by the server's end and the client's.
    pub(super) accepted: RefCell<BTreeMap<(SocketAddr, SocketAddr), (usize, TcpStream)>>,
    /// What a host is to do, and the word to it. turmoil's sockets only work on their own host.
    jobs: Vec<(RefCell<Vec<Job>>, Notify)>,
    /// Tasks that have something left to do.
    pub(super) tasks: Cell<usize>,
    pub(super) clock: Clock,
    /// Until when the scenario's faults may give somebody something to do.
    pub(super) aftermath: Option<Duration>,
    /// When a host had no port left, how much had been closed by then, and turmoil's words for it.
    exhausted: RefCell<BTreeMap<usize, (Duration, u64, String)>>,
    closes: Rc<Cell<u64>>,
    /// The sockets of the steps. turmoil's may be dropped on their own host only, or when the
    /// simulation is gone, as these are.
    pub(super) sockets: RefCell<Vec<Rc<dyn Any>>>,
}

/// All addresses that a case mentions.
fn addresses(case: &Case) -> Vec<IpAddr> {
    let mut all = Vec::new();
    for host in case.hosts.values() {
        all.extend(host.addresses.iter().copied());
        all.extend(host.listen.iter().map(SocketAddr::ip));
    }
    match &*case.program {
        Program::Processes(processes) => {
            for process in processes.values() {
                let ends = process
                    .connect
                    .iter()
                    .chain(&process.bind)
                    .chain(&process.listen);
                all.extend(ends.map(SocketAddr::ip));
            }
        }
        Program::Steps(steps) => {
            for step in steps {
                match &step.value {
                    Step::Bind(bind) => all.push(bind.at.ip),
                    Step::Connect(connect) => all.push(connect.to.ip),
                    _ => {}
                }
            }
        }
    }
    all
}

/// turmoil's builder for a case, with notes on what it cannot be told.
pub(super) fn builder(case: &Case) -> Result<(turmoil::Builder, Vec<String>), Cannot> {
    let mut builder = linux::builder(case);
    let mut notes = Vec::new();
    let v6 = addresses(case).iter().any(IpAddr::is_ipv6);
    if v6 {
        if addresses(case).iter().any(IpAddr::is_ipv4) {
            return Err(Cannot::new(
                "turmoil simulates one address family at a time",
            ));
        }
        builder.ip_version(IpVersion::V6);
    }
    let mut ranges: Vec<&str> = Vec::new();
    for (name, host) in &*case.hosts {
        if host.addresses.len() > 1 {
            notes.push(format!(
                "turmoil gives {name} one address instead of {}",
                host.addresses.len()
            ));
        }
        for (key, value) in &host.sysctl {
            if key == "net.ipv4.ip_local_port_range" {
                if !ranges.contains(&value.as_str()) {
                    ranges.push(value);
                }
            } else {
                notes.push(format!("turmoil has no {key}"));
            }
        }
    }
    match ranges[..] {
        [] => notes.push("turmoil's range of ports is 49152-65535".to_owned()),
        [first, ..] => {
            if ranges.len() > 1 {
                notes.push(format!(
                    "turmoil has one range of ports for all hosts: {first}"
                ));
            }
            if let Some((low, high)) = first.split_once([' ', '-'])
                && let (Ok(low), Ok(high)) = (low.trim().parse(), high.trim().parse())
            {
                builder.ephemeral_ports(low..=high);
            }
        }
    }
    notes.dedup();
    Ok((builder, notes))
}

impl Stage {
    pub(super) fn new(
        case: &Case,
        notes: Vec<String>,
        sim: &mut Sim<'_>,
    ) -> Result<Rc<Self>, Cannot> {
        let hosts: Vec<HostInfo> = case
            .hosts
            .iter()
            .map(|(name, host)| HostInfo {
                name: name.as_str().into(),
                turmoil: sim.lookup(name.as_str()),
                addresses: host.addresses.clone(),
            })
            .collect();
        let mut recorder = Recorder::default();
        let programs = match &*case.program {
            Program::Processes(processes) => Programs::new(processes, |on, name| {
                let found = hosts.iter().position(|h| *h.name == *on);
                let host = found.ok_or_else(|| Cannot::new(format!("no host is called {on}")))?;
                Ok((host, recorder.who(hosts[host].name.clone(), name)))
            })?,
            Program::Steps(_) => Programs::default(),
        };
        Ok(Rc::new(Stage {
            jobs: hosts.iter().map(|_| Default::default()).collect(),
            v4: hosts.iter().all(|h| h.turmoil.is_ipv4()),
            hosts,
            programs,
            recorder: RefCell::new(recorder),
            notes: RefCell::new(notes),
            failed: RefCell::default(),
            accepted: RefCell::default(),
            tasks: Cell::new(0),
            clock: Clock::new(),
            aftermath: aftermath(case),
            exhausted: RefCell::default(),
            closes: Rc::default(),
            sockets: RefCell::default(),
        }))
    }

    /// turmoil's address of a host of the scenario.
    pub(super) fn turmoil_host(&self, name: &str) -> IpAddr {
        let found = self.host(name).map(|host| self.hosts[host].turmoil);
        found.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// The time since the start.
    pub(super) fn now(&self) -> Duration {
        self.clock.elapsed().unwrap_or_default()
    }

    /// Sleeps for a time.
    pub(super) async fn pause(&self, time: Duration) {
        self.clock.sleep_until(Some(self.now() + time)).await;
    }

    /// Waits for something, but no longer than a time.
    pub(super) async fn within<R>(
        &self,
        time: Duration,
        what: impl Future<Output = R>,
    ) -> Option<R> {
        tokio::select! {
            biased;
            result = what => Some(result),
            () = self.pause(time) => None,
        }
    }

    pub(super) fn host(&self, name: &str) -> Option<usize> {
        self.hosts.iter().position(|h| *h.name == *name)
    }

    /// Has something done on a host.
    pub(super) fn on(&self, host: usize, job: impl FnOnce() + 'static) {
        self.clock.touch();
        let (jobs, notify) = &self.jobs[host];
        jobs.borrow_mut().push(Box::new(job));
        notify.notify_one();
    }

    /// Does what a host is to do, for ever.
    pub(super) async fn work(&self, host: usize) {
        let (jobs, notify) = &self.jobs[host];
        loop {
            for job in jobs.take() {
                job();
            }
            notify.notified().await;
        }
    }

    /// Connects from a host. turmoil looks through all sockets for every port before it says that
    /// there is none, so it is asked once only as long as nothing can have changed.
    pub(super) async fn connect(&self, host: usize, to: SocketAddr) -> Result<TcpStream, Failed> {
        let state = (self.now(), self.closes.get());
        if let Some((at, closes, text)) = self.exhausted.borrow().get(&host)
            && (*at, *closes) == state
        {
            return Err(Failed::Panic(text.clone()));
        }
        let connected = call(TcpStream::connect(self.place(to))).await;
        if let Err(Failed::Panic(text)) = &connected
            && text.ends_with("ports exhausted")
        {
            let (at, closes) = state;
            let found = (at, closes, text.clone());
            self.exhausted.borrow_mut().insert(host, found);
        }
        connected
    }

    /// Closes a stream on its own host, which is that of the calling task.
    pub(super) fn close(&self, stream: TcpStream) {
        self.closes.set(self.closes.get() + 1);
        drop(stream);
    }

    /// Closes the server's end of a connection.
    pub(super) fn close_server(&self, ends: Option<(SocketAddr, SocketAddr)>) {
        let found = ends.and_then(|ends| self.accepted.borrow_mut().remove(&ends));
        if let Some((host, stream)) = found {
            let closes = Rc::clone(&self.closes);
            self.on(host, move || {
                closes.set(closes.get() + 1);
                drop(stream);
            });
        }
    }

    /// Where turmoil finds an address of the scenario. One that nobody has stays as it is.
    pub(super) fn place(&self, at: SocketAddr) -> SocketAddr {
        let host = self.hosts.iter().find(|h| h.addresses.contains(&at.ip()));
        host.map_or(at, |h| SocketAddr::new(h.turmoil, at.port()))
    }

    /// Where a listener goes: turmoil listens on all addresses, or on loopback.
    pub(super) fn listen_at(&self, at: SocketAddr) -> SocketAddr {
        if at.ip().is_loopback() || at.ip().is_unspecified() {
            return at;
        }
        self.note("turmoil listens on every address of a host, never on one of them".to_owned());
        let any = if self.v4 {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        } else {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        };
        SocketAddr::new(any, at.port())
    }

    /// A turmoil address as the scenario has it: the first address of the host.
    pub(super) fn shown(&self, at: SocketAddr) -> Endpoint {
        let host = self.hosts.iter().find(|h| h.turmoil == at.ip());
        let ip = host
            .and_then(|h| h.addresses.first().copied())
            .unwrap_or(at.ip());
        Endpoint::new(Ip::from(ip), at.port())
    }

    /// Says something about the run, once.
    pub(super) fn note(&self, note: String) {
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    pub(super) fn fail(&self, cannot: Cannot) {
        self.failed.borrow_mut().get_or_insert(cannot);
    }

    pub(super) fn failed(&self) -> Option<Cannot> {
        self.failed.borrow().clone()
    }

    pub(super) fn finish(&self) -> (Attempts, Vec<String>) {
        (self.recorder.take().finish(), self.notes.take())
    }

    /// Who makes a call on a socket of the steps.
    pub(super) fn caller(&self, host: &Name, process: Name, socket: &str) -> Caller {
        let mut recorder = self.recorder.borrow_mut();
        recorder.caller(host.clone(), process, socket)
    }

    pub(super) fn call(&self, caller: Caller, op: Op, args: Args) -> Slot {
        let at = self.clock.touch().unwrap_or_default();
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        self.recorder.borrow_mut().call(at, caller, op, args)
    }

    pub(super) fn ok(&self, slot: Slot, seen: Seen) {
        self.clock.touch();
        self.recorder.borrow_mut().ok(slot, seen);
    }

    pub(super) fn failed_with(&self, slot: Slot, answer: Answer) {
        self.clock.touch();
        self.recorder.borrow_mut().failed(slot, answer, None);
    }

    /// Notes how a call of turmoil failed.
    pub(super) fn refused(&self, slot: Slot, failed: &Failed) {
        if let Failed::Panic(text) = failed {
            self.note(format!("turmoil panics, which ends the task: {text}"));
        }
        self.failed_with(slot, failed.answer());
    }

    /// Both ends of a stream as attempts show them.
    pub(super) fn ends(&self, stream: &TcpStream) -> Seen {
        Seen {
            local: stream.local_addr().ok().map(|at| self.shown(at)),
            peer: stream.peer_addr().ok().map(|at| self.shown(at)),
            bytes: None,
        }
    }
}
