//! The hosts of a run on turmoil's own sockets, and the notes about it.

use crate::clock::Clock;
use crate::engine::linux;
use crate::engine::notes::Notes;
use fourtuple_harness::EngineError;
use fourtuple_scenario::{Case, Program, Step};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use turmoil::{IpVersion, Sim};

/// A host of the scenario.
struct HostInfo {
    name: String,
    /// Its only address in turmoil.
    turmoil: IpAddr,
    addresses: Vec<IpAddr>,
}

/// See the module's documentation.
pub(super) struct Simulation {
    hosts: Vec<HostInfo>,
    pub(super) notes: Notes,
    failed: RefCell<Option<EngineError>>,
    pub(super) clock: Arc<Clock>,
    started: Cell<bool>,
    start: Notify,
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

/// turmoil's builder for a case, with notes on unsupported settings.
pub(super) fn builder(case: &Case) -> Result<(turmoil::Builder, Vec<String>), EngineError> {
    let mut builder = linux::builder(case);
    let mut notes = Vec::new();
    let v6 = addresses(case).iter().any(IpAddr::is_ipv6);
    if v6 {
        if addresses(case).iter().any(IpAddr::is_ipv4) {
            return Err(EngineError::new(
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

impl Simulation {
    pub(super) fn new(case: &Case, notes: Vec<String>, sim: &mut Sim<'_>) -> Rc<Self> {
        let hosts = case.hosts.iter().map(|(name, host)| HostInfo {
            name: name.clone(),
            turmoil: sim.lookup(name.as_str()),
            addresses: host.addresses.clone(),
        });
        Rc::new(Simulation {
            hosts: hosts.collect(),
            notes: Notes::from(notes),
            failed: RefCell::default(),
            clock: Arc::new(Clock::new()),
            started: Cell::new(false),
            start: Notify::new(),
        })
    }

    /// turmoil's address of a host of the scenario.
    pub(super) fn turmoil_host(&self, name: &str) -> IpAddr {
        let found = self.hosts.iter().find(|host| host.name == name);
        found.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |host| host.turmoil)
    }

    /// Starts the programs, after all hosts have opened their listeners.
    pub(super) fn start(&self) {
        self.started.set(true);
        self.start.notify_waiters();
    }

    /// Waits for the start of the programs.
    pub(super) async fn started(&self) {
        let start = self.start.notified();
        if !self.started.get() {
            start.await;
        }
    }

    /// The time since the start.
    pub(super) fn now(&self) -> Duration {
        self.clock.elapsed().unwrap_or_default()
    }

    /// Sleeps for a time.
    pub(super) async fn pause(&self, time: Duration) {
        self.clock.sleep_until(Some(self.now() + time)).await;
    }

    /// Waits for a future, at most for a time.
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

    /// Converts an address of the scenario to turmoil's. An address without a host is unchanged.
    pub(super) fn place(&self, at: SocketAddr) -> SocketAddr {
        let host = self.hosts.iter().find(|h| h.addresses.contains(&at.ip()));
        host.map_or(at, |h| SocketAddr::new(h.turmoil, at.port()))
    }

    /// The wildcard address.
    pub(super) fn any(&self) -> IpAddr {
        if self.hosts.iter().all(|h| h.turmoil.is_ipv4()) {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        }
    }

    /// The address of a listener in turmoil: the wildcard, or loopback.
    pub(super) fn listen_at(&self, at: SocketAddr) -> SocketAddr {
        if at.ip().is_loopback() || at.ip().is_unspecified() {
            return at;
        }
        let note = "turmoil listens on every address of a host, never on one of them";
        self.notes.add(note.to_owned());
        SocketAddr::new(self.any(), at.port())
    }

    /// Converts a turmoil address to the scenario's: the first address of the host.
    pub(super) fn shown(&self, at: SocketAddr) -> SocketAddr {
        let host = self.hosts.iter().find(|h| h.turmoil == at.ip());
        let ip = host.and_then(|h| h.addresses.first().copied());
        SocketAddr::new(ip.unwrap_or(at.ip()), at.port())
    }

    pub(super) fn fail(&self, cannot: EngineError) {
        self.failed.borrow_mut().get_or_insert(cannot);
    }

    pub(super) fn failed(&self) -> Option<EngineError> {
        self.failed.borrow().clone()
    }
}
