//! Scenarios, encoded for guests.
//!
//! A [`Script`] is a case of a scenario with everything that it needs of a kernel: hosts, sysctls,
//! listeners of the hosts, and then either steps, executed one after the other, or processes, whose
//! next call depends on the last answer: the guest interprets them, and this side repeats that. The
//! result is an [`Answered`]: the scenario's attempts, and the executed calls as a [`Program`]
//! whose answers the model can check.
//!
//! - `detection`: the limits of duplicate address detection
//! - `nat`: the NAT hosts that kernels can be
//! - `steps`: the step form
//! - `processes`: the declarative form

mod detection;
mod nat;
mod processes;
mod steps;

use crate::plan::{AnswerError, Builder, MAX_PROGRAM, Plan, ProgramError, Records};
use crate::program::{Answer, Call, HostSpec, NO_SOCKET, Program, Step};
use crate::request::GuestRequest;
use crate::wire::MAX_HOSTS;
use fourtuple_harness::{Attempts, EngineError, compile, left_out};
use fourtuple_kernel::nat::is_nat_sysctl;
use fourtuple_scenario as scenario;
use fourtuple_scenario::Case;
use fourtuple_syscall::{Family, Kind, Outcome, SockOpt, Syscall};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Backlog of the listeners of the hosts.
const BACKLOG: i32 = 4096;
/// The number of a record that does not exist, and therefore has no port.
const NO_RECORD: usize = u16::MAX as usize;
/// Duration of TIME-WAIT in every kernel (TCP_TIMEWAIT_LEN).
const TIME_WAIT: Duration = Duration::from_secs(60);

/// A source of answers to calls: the records of a run, or an adapter that executes them.
pub(crate) trait Answers {
    /// The reason why there are no more answers.
    type Error;

    /// Makes the only host of a script, unless it exists already.
    fn begin(&mut self, addresses: &[IpAddr]) -> Result<(), Self::Error>;

    /// Returns the answer to the next call.
    fn answer(&mut self, step: &Step) -> Result<Answer, Self::Error>;

    /// Returns the answer to a call whose port was to be taken from a call that returned none. The
    /// call is not made.
    fn no_port(&mut self) -> Result<Answer, Self::Error> {
        Ok(Answer {
            at_us: 0,
            outcome: NO_SOCKET,
        })
    }
}

impl Answers for Records<'_> {
    type Error = AnswerError;

    fn begin(&mut self, _: &[IpAddr]) -> Result<(), AnswerError> {
        Ok(())
    }

    fn answer(&mut self, step: &Step) -> Result<Answer, AnswerError> {
        let record = self.next().ok_or(AnswerError::Short)?;
        Ok(record.answer(&step.call))
    }

    fn no_port(&mut self) -> Result<Answer, AnswerError> {
        // The guest has a record of it.
        self.answer(&Step::new(Call::Ns))
    }
}

/// A step and the process that executes it.
#[derive(Clone, Debug)]
struct Placed {
    step: Step,
    /// 0: the process that holds the host's namespace.
    process: u16,
    /// The call, counted over the script, whose port replaces the step's own.
    port_of: Option<usize>,
}

/// A case of a scenario, ready to be run on a kernel.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    name: String,
    hosts: Vec<HostSpec>,
    /// Addresses that the scenario connects to and no host has.
    nowhere: Vec<IpAddr>,
    /// Sysctls, and listeners of the hosts.
    prelude: Vec<Placed>,
    body: Body,
    notes: Vec<String>,
    /// The real time after which no call waits any longer.
    deadline_ms: Option<u32>,
}

#[derive(Clone, Debug)]
enum Body {
    Steps(Box<steps::Steps>),
    Processes(Box<processes::Processes>),
}

/// A script that has run.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// The executed calls with their answers, in order.
    pub(crate) program: Program,
    /// The attempts of the scenario.
    pub(crate) attempts: Attempts,
    /// The attempt of each call, counted from 1; 0 for calls that are not attempts.
    pub(crate) owners: Vec<u32>,
    /// Notes for the report, such as sysctls that the kernel does not have.
    pub(crate) notes: Vec<String>,
    /// The reason why the hosts are not as the scenario has them.
    pub(crate) not_set_up: Option<String>,
}

impl Script {
    /// Translates a case. `wait` is the time that a blocking connect waits for an answer.
    ///
    /// # Errors
    /// One line: the part of the case that a real kernel cannot execute.
    pub(crate) fn of(case: &Case, wait: Duration) -> Result<Script, EngineError> {
        possible(case)?;
        let hosts: Vec<HostSpec> = case
            .hosts
            .iter()
            .map(|(name, host)| HostSpec {
                name: name.clone(),
                addresses: of_its_own(&host.addresses),
                tentative_ms: u32::try_from(host.tentative.as_millis()).unwrap_or(u32::MAX),
                via: host.via.as_ref().map(|via| via.value.clone()),
                nat: host.nat.clone(),
                ..HostSpec::default()
            })
            .collect();
        let mut prelude = Vec::new();
        for (name, host) in &*case.hosts {
            for (key, value) in host.settings() {
                prelude.push(sysctl(name, key, value));
            }
        }
        let mut listeners = Vec::new();
        for (place, (name, host)) in case.hosts.iter().enumerate() {
            for at in &host.listen {
                let sock = format!("listener.{}", listeners.len() + 1);
                // The guest plays the declarative form in one thread and never waits in accept().
                let nonblock = case.program.steps().is_none();
                prelude.extend(listener(name, &sock, *at, nonblock));
                listeners.push(processes::Standing {
                    host: place,
                    sock,
                    port: at.port(),
                });
            }
        }
        let mut notes = Vec::new();
        if !case.network.is_ideal() {
            notes.push(left_out(case));
        }
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        let body = match &*case.program {
            scenario::Program::Steps(_) => {
                let before = prelude.len();
                Body::Steps(Box::new(steps::Steps::of(
                    case, before, listeners, wait_ms,
                )?))
            }
            scenario::Program::Processes(of_case) => {
                if of_case
                    .values()
                    .any(|one| one.close == scenario::Close::Both)
                {
                    notes.push(
                        "`close: both` is one side after the other: packets take no time".into(),
                    );
                }
                Body::Processes(Box::new(processes::Processes::of(
                    case, of_case, listeners, wait_ms,
                )?))
            }
        };
        Ok(Script {
            name: case.scenario.clone(),
            nowhere: nowhere(case),
            hosts,
            prelude,
            body,
            notes,
            deadline_ms: None,
        })
    }

    /// The same script whose calls all stop waiting at this time after its start.
    pub(crate) fn ending_within(self, time: Duration) -> Script {
        Script {
            deadline_ms: Some(u32::try_from(time.as_millis()).unwrap_or(u32::MAX)),
            ..self
        }
    }
}

/// Checks that real kernels can execute a case.
fn possible(case: &Case) -> Result<(), EngineError> {
    if case.time_wait.is_some_and(|time| time != TIME_WAIT) {
        return Err(EngineError::new(
            "TIME-WAIT is 60 s in every kernel and cannot be changed",
        ));
    }
    if case
        .hosts
        .keys()
        .any(|name| case.kernel_of(name) != case.kernel)
    {
        return Err(EngineError::new("its hosts have different kernels"));
    }
    nat::possible(case)?;
    detection::possible(case)?;
    if case.hosts.len() > MAX_HOSTS {
        return Err(EngineError::new(format!(
            "it has more than {MAX_HOSTS} hosts"
        )));
    }
    Ok(())
}

/// Checks that a real kernel can set an option: it numbers and names interfaces itself.
fn settable(option: SockOpt, hosts: usize) -> Result<(), EngineError> {
    let reason = match option {
        // A host has one interface for each of the others.
        SockOpt::BindToDevice(name) if name.as_str() == "eth0" && hosts != 2 => {
            "the interface eth0 is only known where there are two hosts"
        }
        SockOpt::BindToIfIndex(2..) => {
            "real kernels number their interfaces themselves; only lo is always 1"
        }
        _ => return Ok(()),
    };
    Err(EngineError::new(reason))
}

/// The addresses of a host without those that every host has.
fn of_its_own(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut own = Vec::new();
    for ip in addresses {
        if !ip.is_loopback() && !ip.is_unspecified() && !own.contains(ip) {
            own.push(*ip);
        }
    }
    own
}

/// The addresses that are connected to and that no host has.
fn nowhere(case: &Case) -> Vec<IpAddr> {
    let hosts = case.hosts.values().flat_map(|host| host.addresses.iter());
    let rules = case.hosts.values().filter_map(|host| host.nat.as_ref());
    let rules = rules.map(compile::nat_rules);
    let virtual_ones: Vec<IpAddr> = rules
        .flat_map(|rules| rules.addresses().collect::<Vec<_>>())
        .collect();
    let known: BTreeSet<IpAddr> = hosts.copied().chain(virtual_ones).collect();
    let is_lost = |ip: &IpAddr| {
        let mapped = matches!(ip, IpAddr::V6(six) if six.to_ipv4_mapped().is_some());
        let other = ip.is_multicast() || ip.is_unspecified() || ip.is_loopback();
        !known.contains(ip) && !mapped && !other && *ip != IpAddr::from([255; 4])
    };
    destinations(case).into_iter().filter(is_lost).collect()
}

/// The addresses that are connected to.
fn destinations(case: &Case) -> BTreeSet<IpAddr> {
    match &*case.program {
        scenario::Program::Steps(steps) => steps
            .iter()
            .filter_map(|step| match &step.value {
                scenario::Step::Connect(connect) => Some(connect.to.ip),
                _ => None,
            })
            .collect(),
        scenario::Program::Processes(processes) => processes
            .values()
            .flat_map(|process| process.connect.iter().map(SocketAddr::ip))
            .collect(),
    }
}

fn placed(host: &str, call: impl Into<Call>) -> Placed {
    Placed {
        step: Step {
            host: Some(host.to_owned()),
            ..Step::new(call)
        },
        process: 0,
        port_of: None,
    }
}

fn sysctl(host: &str, key: &str, value: &str) -> Placed {
    let (key, value) = (key.to_owned(), value.to_owned());
    placed(host, Call::Sysctl { key, value })
}

/// The calls that make a listener of a host.
fn listener(host: &str, sock: &str, at: SocketAddr, nonblock: bool) -> [Placed; 4] {
    let sock = || sock.to_owned();
    let calls = [
        Syscall::Socket {
            sock: sock(),
            family: Family::of(at.ip()),
            kind: Kind::Stream,
            uid: 0,
            nonblock,
        },
        Syscall::Set {
            sock: sock(),
            option: SockOpt::ReuseAddr(true),
        },
        Syscall::Bind {
            sock: sock(),
            addr: at,
        },
        Syscall::Listen {
            sock: sock(),
            backlog: BACKLOG,
        },
    ];
    calls.map(|call| placed(host, call))
}

impl GuestRequest for Script {
    type Answered = Answered;

    fn name(&self) -> &str {
        &self.name
    }

    fn plan(&self) -> Result<Plan, ProgramError> {
        let wrong = |message: String| ProgramError {
            program: self.name.clone(),
            step: None,
            message,
        };
        let mut builder = Builder::default();
        if let Some(ms) = self.deadline_ms {
            builder.deadline(ms);
        }
        builder
            .topology(&self.hosts, &self.nowhere, false)
            .map_err(wrong)?;
        let mut records = Vec::new();
        let own: &[Placed] = match &self.body {
            Body::Steps(steps) => steps.placed(),
            Body::Processes(_) => &[],
        };
        if self.prelude.len() + own.len() > MAX_PROGRAM {
            return Err(wrong(format!("more than {MAX_PROGRAM} calls")));
        }
        for one in self.prelude.iter().chain(own) {
            let port_of = one
                .port_of
                .map(|call| records.get(call).copied().unwrap_or(NO_RECORD));
            let record = builder.step(&one.step, &self.hosts, one.process, port_of);
            records.push(record.map_err(wrong)?);
        }
        if let Body::Processes(processes) = &self.body {
            processes.plan(&mut builder).map_err(wrong)?;
        }
        builder.finish().map_err(wrong)
    }

    fn answered(&self, plan: &Plan, frame: &[u8]) -> Result<Answered, AnswerError> {
        let mut records = plan.records(frame)?;
        let answered = self.answers(&mut records)?;
        match records.0 {
            [] => Ok(answered),
            _ => Err(AnswerError::Short),
        }
    }

    fn program(answered: &Answered) -> &Program {
        &answered.program
    }
}

impl Script {
    /// Checks that adapters can execute a script.
    ///
    /// # Errors
    /// One line: the part that they cannot execute.
    pub(crate) fn for_adapter(&self) -> Result<(), EngineError> {
        if let Some(ip) = self.nowhere.first() {
            return Err(EngineError::new(format!(
                "it connects to {ip}, which no host has"
            )));
        }
        if let Some(host) = self
            .hosts
            .iter()
            .find(|host| host.nat.is_some() || host.via.is_some())
        {
            return Err(EngineError::new(format!(
                "{} has `nat` or `via`, and an adapter has one network",
                host.name
            )));
        }
        if self.hosts.iter().any(|host| host.tentative_ms > 0) {
            return Err(EngineError::new(
                "it times duplicate address detection, and an adapter waits until it is over",
            ));
        }
        Ok(())
    }

    /// Executes the script call by call.
    pub(crate) fn execute<A: Answers>(&self, by: &mut A) -> Result<Answered, A::Error> {
        let hosts = self.hosts.first();
        by.begin(hosts.map_or(&[], |host| &host.addresses))?;
        self.answers(by)
    }

    /// Takes the answers to all calls, in order.
    fn answers<A: Answers>(&self, by: &mut A) -> Result<Answered, A::Error> {
        let mut answered = Answered {
            program: Program {
                program: self.name.clone(),
                hosts: self.hosts.clone(),
                steps: Vec::new(),
            },
            attempts: Attempts::default(),
            owners: Vec::new(),
            notes: self.notes.clone(),
            not_set_up: None,
        };
        for one in &self.prelude {
            let step = answer(one, by, &[])?;
            answered.keep(step, 0);
        }
        match &self.body {
            Body::Steps(steps) => steps.answered(by, &mut answered)?,
            Body::Processes(processes) => processes.answered(by, &mut answered)?,
        }
        Ok(answered)
    }
}

impl Answered {
    /// Adds an executed call, and the notes about its failure.
    fn keep(&mut self, step: Step, owner: u32) {
        let host = step.host.as_deref().unwrap_or_default();
        let failed = step.outcome().filter(|outcome| !outcome.is_ok());
        match (&step.call, failed) {
            (Call::Sysctl { key, value }, Some(errno)) => {
                let note = format!("{host}: sysctl {key} = {value} is refused with {errno}");
                if is_nat_sysctl(key) {
                    self.not_set_up = Some(note.clone());
                }
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
            (Call::Sys(Syscall::Bind { sock, addr }), Some(errno))
                if owner == 0 && sock.starts_with("listener.") =>
            {
                self.not_set_up = Some(format!("host {host} cannot listen on {addr}: {errno}"));
            }
            _ => {}
        }
        let mut step = step;
        if let Call::Sys(Syscall::Socket { nonblock, .. }) = &mut step.call {
            // Listeners are non-blocking to accept only pending connections. A checker that replays
            // the calls in order does not need that.
            *nonblock = false;
        }
        self.program.steps.push(step);
        self.owners.push(owner);
    }
}

/// The answer to a call, with the port that it was executed with. `calls` are all calls before it.
fn answer<A: Answers>(one: &Placed, by: &mut A, calls: &[Step]) -> Result<Step, A::Error> {
    let mut step = one.step.clone();
    let port = one.port_of.map(|call| calls.get(call).and_then(port_of));
    if let Some(Some(port)) = port
        && let Call::Sys(
            Syscall::Bind { addr, .. }
            | Syscall::Connect { addr, .. }
            | Syscall::SendTo { addr, .. },
        ) = &mut step.call
    {
        addr.set_port(port);
    }
    step.answer = Some(match port {
        Some(None) => by.no_port()?,
        _ => by.answer(&step)?,
    });
    Ok(step)
}

/// The port that a call returned.
fn port_of(step: &Step) -> Option<u16> {
    let Outcome::Ok(returned) = step.outcome()? else {
        return None;
    };
    let address = returned.local.or(returned.peer)?;
    (address.port() != 0).then(|| address.port())
}

#[cfg(test)]
mod tests;
