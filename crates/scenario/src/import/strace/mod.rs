//! `strace -f -ttt -e trace=network,close` as a scenario.
//!
//! The way of a log, which is also a map of the code:
//!
//! | step | module |
//! |---|---|
//! | a line to its parts | `line` |
//! | lines to calls, halves joined, in the order in which they had their effect | `calls` |
//! | arguments to addresses and options | `args` |
//! | descriptors to sockets | `fds` |
//! | calls to events on sockets | `story` |
//! | what is not in the log: hosts, addresses, servers, clients | `world` |
//! | events to steps | `steps` |
//! | a log of one pattern to processes | `repeat` |

mod args;
mod calls;
mod fds;
mod line;
mod repeat;
mod steps;
mod story;
mod world;

use super::notes::Notes;
use super::{ImportError, Imported, Settings, finish, lines, sysctl};
use crate::model::{Body, KernelSelector, Network, Scenario};

use story::{Act, Story};

/// Makes a scenario of the output of `strace -f -ttt -e trace=network,close`.
///
/// # Errors
///
/// A log without a socket call that decides about a port, and captures over the limits.
pub fn strace(log: &str, settings: &Settings) -> Result<Imported, ImportError> {
    super::check_size(log)?;
    let mut notes = Notes::default();
    let lines = lines(log, &mut notes);
    let sysctls = match &settings.sysctl {
        Some(text) => Some(sysctl::read(text, &mut notes)?),
        None => None,
    };
    let calls = calls::calls(&lines, &mut notes);
    let mut story = story::read(&calls, || notes.clone());
    if !story.events.iter().any(|event| event.act.asks()) {
        return Err(ImportError::new(
            "the log has no bind, listen, connect or accept of a TCP socket",
            "record it with `strace -f -ttt -e trace=network,close -o LOG PROGRAM`",
        ));
    }
    trim(&mut story);
    let recorded = story.socks.len();
    let tasks = story.tasks.len();
    let world = world::World::of(&mut story, sysctls);
    let (hosts, program, expect) = match repeat::processes(&story, &world) {
        Some((program, expect)) => (world.hosts(false), program, expect),
        None => {
            let program = steps::steps(&mut story, &world);
            (world.hosts(true), program, Vec::new())
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
        "Do the recorded programs get the same answers? (an strace log: {recorded} TCP {}, {tasks} {})",
        plural(recorded, "socket"),
        plural(tasks, "task"),
    );
    let scenario = Scenario::new(about, KernelSelector::of(&settings.kernel), body);
    finish(
        &scenario.to_yaml(),
        story.notes,
        "Made by `fourtuple import strace`.",
    )
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 {
        word.to_owned()
    } else {
        format!("{word}s")
    }
}

/// Leaves out what happened after the last call that asks for a port: no answer depends on it.
fn trim(story: &mut Story) {
    let last = story.events.iter().rposition(|event| event.act.asks());
    let end = last.map_or(0, |last| last + 1);
    let tail = story.events.split_off(end);
    let closes = tail.iter().filter(|event| event.act == Act::Close).count();
    if closes > 0 {
        story.notes.left_out(format!(
            "{closes} {} after the last call that asks for a port",
            plural(closes, "close")
        ));
    }
}
