//! `strace -f -ttt -e trace=network,close` as a scenario.
//!
//! The way of a log, which is also a map of the code:
//!
//! | step | module |
//! |---|---|
//! | a line to its parts | `line` |
//! | time stamps of all styles on one axis | `time` |
//! | lines to calls, halves joined, in the order in which they had their effect | `calls` |
//! | constants and strings in one writing | `words` |
//! | arguments to addresses and options | `args` |
//! | descriptors to sockets | `fds` |
//! | calls to events on sockets | `story` |
//! | the part of a long log that is kept | `window` |
//! | what is not in the log: hosts, addresses, servers, clients | `world` |
//! | events to steps | `steps` |
//! | a log of one pattern to processes | `repeat` |

mod args;
mod before;
mod calls;
mod fds;
mod line;
mod repeat;
mod steps;
mod story;
mod time;
mod window;
mod words;
mod world;

use super::checked::{Assumptions, Holder};
use super::kind;
use super::notes::{Note, Notes};
use super::{ImportError, Imported, Settings, finish, sysctl};
use crate::model::{Body, KernelSelector, Network, Scenario, Sysctls};

use story::Story;

/// Makes a scenario of the output of `strace -f -ttt -e trace=network,close`.
///
/// # Errors
///
/// As [`Log::read`] and [`Log::scenario`].
pub fn strace(log: &str, settings: &Settings) -> Result<Imported, ImportError> {
    let log = Log::read(log, settings)?;
    log.scenario(&log.assumptions())
}

/// An strace log that has been read, from which scenarios with different assumptions can be made.
#[derive(Clone, Debug)]
pub struct Log {
    story: Story,
    sysctls: Option<Sysctls>,
    kernel: Vec<String>,
    /// What other programs held when the log begins.
    before: Vec<Holder>,
}

impl Log {
    /// Reads a log.
    ///
    /// # Errors
    ///
    /// A log without a socket call that decides about a port, and captures over the limits.
    pub fn read(log: &str, settings: &Settings) -> Result<Self, ImportError> {
        super::check_size(log)?;
        let mut notes = Notes::default();
        let sysctls = match &settings.sysctl {
            Some(text) => Some(sysctl::read(text, &mut notes)?),
            None => None,
        };
        let calls = calls::calls(log, &mut notes);
        let mut story = story::read(&calls, || notes.clone());
        if !story.events.iter().any(|event| event.act.asks()) {
            return Err(no_calls(log, &story.notes));
        }
        window::cut(&mut story);
        let before = match &settings.before {
            Some(text) => before::holders(text, sysctls.as_ref(), &mut story.notes)?,
            None => Vec::new(),
        };
        Ok(Self {
            story,
            sysctls,
            kernel: settings.kernel.clone(),
            before,
        })
    }

    /// What is assumed before anything is tried: the sockets that were there when the log begins, if they are known.
    #[must_use]
    pub fn assumptions(&self) -> Assumptions {
        Assumptions {
            holders: self.before.clone(),
            ..Assumptions::default()
        }
    }

    /// Makes a scenario of the log.
    ///
    /// # Errors
    ///
    /// A scenario that would be over the limits of the format.
    pub fn scenario(&self, assumptions: &Assumptions) -> Result<Imported, ImportError> {
        let mut story = self.story.clone();
        story.reorder(&assumptions.late);
        let (sockets, tasks) = (story.socks.len(), story.tasks.len());
        let world = world::World::of(&mut story, self.sysctls.clone(), assumptions);
        let regular = repeat::processes(&story, &world, assumptions);
        let (hosts, program, expect, recorded) = match regular {
            Some(made) => (world.hosts(false), made.program, made.expect, made.recorded),
            None => {
                let (program, recorded) = steps::steps(&mut story, &world, assumptions);
                (world.hosts(true), program, Vec::new(), recorded)
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
            "Do the recorded programs get the same answers? (an strace log: {sockets} TCP {}, {tasks} {})",
            plural(sockets, "socket"),
            plural(tasks, "task"),
        );
        let scenario = Scenario::new(about, KernelSelector::of(&self.kernel), body);
        assumed(&mut story, assumptions, self.before.len());
        let title = "Made by `fourtuple import strace`.";
        let mut made = finish(scenario.to_yaml(), story.notes, title)?;
        made.recorded = recorded;
        made.range = world.range();
        Ok(made)
    }
}

/// Says what a caller assumed.
fn assumed(story: &mut Story, assumptions: &Assumptions, known: usize) {
    let notes = &mut story.notes;
    if assumptions.outsiders_close_first {
        notes.assumed("sockets outside the log close their connections first: the recorded answers do not fit otherwise. Record `read,readv,recvfrom,recvmsg` as well to know");
    }
    if assumptions.known_ports {
        notes.assumed("bind() to port 0 gets the port that the log shows later");
    }
    for line in &assumptions.late {
        notes.assumed(format!(
            "the call that begins on line {line} has its effect after the calls that overlap it: the recorded answers do not fit otherwise"
        ));
    }
    for holder in assumptions.holders.iter().skip(known) {
        notes.assumed(match holder {
            Holder::Port(at) => format!("a program outside the log listens on {at}"),
            Holder::Range { to, count, bound, .. } => format!(
                "programs outside the log held {count} {} of the range of local ports when it begins{}, on ports that {} chose",
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

/// Why a text has no call that asks for a port.
fn no_calls(log: &str, notes: &Notes) -> ImportError {
    let wanted = "record it with `strace -f -ttt -e trace=network,close -o LOG PROGRAM`";
    if let Some((what, help)) = kind::of(log)
        && what != kind::STRACE
    {
        return ImportError::new(format!("this is {what}, not an strace log"), help);
    }
    let mut message = "the log has no bind, listen, connect or accept of a TCP socket".to_owned();
    let notes = notes.clone().finish();
    let odd = notes
        .iter()
        .filter(|note| matches!(note, Note::NotUnderstood(_)));
    for note in odd.take(3) {
        message.push_str(&format!("\n  {note}"));
    }
    ImportError::new(message, wanted)
}
