//! `strace -f -ttt -e trace=network,close` as a scenario.
//!
//! The stages of an import, which are also a map of the code:
//!
//! | step | module |
//! |---|---|
//! | a line to its parts | `line` |
//! | time stamps of all styles on one axis | `time` |
//! | lines to calls, halves joined, in the order in which they took effect | `calls` |
//! | constants and strings in one spelling | `constants` |
//! | arguments to addresses and options | `args` |
//! | descriptors to sockets | `fds` |
//! | calls to events on sockets | `history` |
//! | the part of a long log that is kept | `window` |
//! | facts that the log does not show: hosts, addresses, servers, clients | `environment` |
//! | events to steps | `steps` |
//! | a regular log to processes | `regular` |

mod args;
mod calls;
mod constants;
mod environment;
mod fds;
mod history;
mod line;
mod prior_sockets;
mod regular;
mod steps;
mod time;
mod window;

use super::checked::{Assumptions, Holder};
use super::kind;
use super::notes::{Note, Notes};
use super::{ImportError, Imported, Settings, finish, sysctl};
use crate::model::{Body, KernelSelector, Network, Scenario, Sysctls};

use history::History;

/// Converts the output of `strace -f -ttt -e trace=network,close`.
///
/// # Errors
///
/// As [`Log::read`] and [`Log::scenario`].
pub fn strace(log: &str, settings: &Settings) -> Result<Imported, ImportError> {
    let log = Log::read(log, settings)?;
    log.scenario(&log.assumptions())
}

/// A parsed strace log, from which scenarios with different assumptions can be generated.
#[derive(Clone, Debug)]
pub struct Log {
    history: History,
    sysctls: Option<Sysctls>,
    kernel: Vec<String>,
    /// Ports that other programs hold when the log begins.
    before: Vec<Holder>,
}

impl Log {
    /// Parses a log.
    ///
    /// # Errors
    ///
    /// A log without a socket call that affects ports, and captures over the limits.
    pub fn read(log: &str, settings: &Settings) -> Result<Self, ImportError> {
        super::check_size(log)?;
        let mut notes = Notes::default();
        let sysctls = match &settings.sysctl {
            Some(text) => Some(sysctl::read(text, &mut notes)?),
            None => None,
        };
        let calls = calls::calls(log, &mut notes);
        let mut history = history::read(&calls, || notes.clone());
        if !history.events.iter().any(|event| event.act.asks()) {
            return Err(no_calls(log, &history.notes));
        }
        history.leave_out_datagrams();
        window::cut(&mut history);
        let before = match &settings.before {
            Some(text) => prior_sockets::holders(text, sysctls.as_ref(), &mut history.notes)?,
            None => Vec::new(),
        };
        Ok(Self {
            history,
            sysctls,
            kernel: settings.kernel.clone(),
            before,
        })
    }

    /// The initial assumptions: the sockets that existed when the log begins, if they are known.
    #[must_use]
    pub fn assumptions(&self) -> Assumptions {
        Assumptions {
            holders: self.before.clone(),
            ..Assumptions::default()
        }
    }

    /// Generates the scenario of the log.
    ///
    /// # Errors
    ///
    /// A scenario over the limits of the format.
    pub fn scenario(&self, assumptions: &Assumptions) -> Result<Imported, ImportError> {
        let mut history = self.history.clone();
        history.reorder(&assumptions.late);
        let sockets = counted(&history);
        let tasks = history.tasks.len();
        let environment =
            environment::Environment::of(&mut history, self.sysctls.clone(), assumptions);
        let regular = regular::processes(&history, &environment, assumptions);
        let (hosts, program, expect, recorded) = match regular {
            Some(made) => (
                environment.hosts(false),
                made.program,
                made.expect,
                made.recorded,
            ),
            None => {
                let (program, recorded) = steps::steps(&mut history, &environment, assumptions);
                (environment.hosts(true), program, Vec::new(), recorded)
            }
        };
        let body = Body {
            seed: 1,
            time_wait: None,
            network: Network::default(),
            hosts,
            program,
            expect,
        };
        let about = format!(
            "Do the recorded programs get the same answers? (an strace log: {sockets}, {tasks} {})",
            plural(tasks, "task"),
        );
        let scenario = Scenario::new(about, KernelSelector::of(&self.kernel), body);
        assumed(&mut history, assumptions, self.before.len());
        let title = "Made by `fourtuple import strace`.";
        let mut made = finish(scenario.to_yaml(), history.notes, title)?;
        made.recorded = recorded;
        made.range = environment.range();
        Ok(made)
    }
}

/// The number of sockets of each protocol.
fn counted(history: &History) -> String {
    let udp = history.socks.iter().filter(|one| one.is_datagram()).count();
    let tcp = history.socks.len() - udp;
    let text = |count, name| format!("{count} {name} {}", plural(count, "socket"));
    match (tcp, udp) {
        (tcp, 0) => text(tcp, "TCP"),
        (0, udp) => text(udp, "UDP"),
        (tcp, udp) => format!("{}, {}", text(tcp, "TCP"), text(udp, "UDP")),
    }
}

/// Notes the assumptions of a caller.
fn assumed(history: &mut History, assumptions: &Assumptions, known: usize) {
    let notes = &mut history.notes;
    if assumptions.outsiders_close_first {
        notes.assumed("sockets outside the log close their connections first: otherwise the model does not reproduce the recorded answers. Record `read,readv,recvfrom,recvmsg` to be certain");
    }
    if assumptions.known_ports {
        notes.assumed("bind() to port 0 gets the port that the log shows later");
    }
    for line in &assumptions.late {
        notes.assumed(format!(
            "the call that begins on line {line} takes effect after the calls that overlap it: otherwise the model does not reproduce the recorded answers"
        ));
    }
    for holder in assumptions.holders.iter().skip(known) {
        notes.assumed(match holder {
            Holder::Port(at) => format!("a program outside the log listens on {at}"),
            Holder::Range { to, count, bound, .. } => format!(
                "programs outside the log held {count} {} of the ephemeral port range when it begins{}, on ports that {} chose",
                plural(*count as usize, "port"),
                to.map_or_else(String::new, |to| format!(", with connections to {to}")),
                if *bound { "bind()" } else { "connect()" },
            ),
        });
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 {
        word.to_owned()
    } else {
        format!("{word}s")
    }
}

/// Explains a text without a call that asks for a port.
fn no_calls(log: &str, notes: &Notes) -> ImportError {
    let wanted = "record it with `strace -f -ttt -e trace=network,close -o LOG PROGRAM`";
    if let Some((what, help)) = kind::of(log)
        && what != kind::STRACE
    {
        return ImportError::new(format!("this is {what}, not an strace log"), help);
    }
    let mut message =
        "the log has no bind, listen, connect, accept or sendto of a TCP or UDP socket".to_owned();
    let notes = notes.clone().finish();
    let odd = notes
        .iter()
        .filter(|note| matches!(note, Note::NotUnderstood(_)));
    for note in odd.take(3) {
        message.push_str(&format!("\n  {note}"));
    }
    ImportError::new(message, wanted)
}
