//! `ss -tuan`, `netstat -tuan`, `/proc/net/tcp` and `/proc/net/udp` as a scenario: the captured
//! ports of the host, and the question whether a new program gets one.
//!
//! | step | module |
//! |---|---|
//! | the table to rows | `table` |
//! | rows to listeners and connections that hold a port | `state` |
//! | rows to UDP sockets | `datagram` |
//! | every port as captured, by steps | `exact` |
//! | too many ports for that: groups of connections, as processes | `groups` |

mod datagram;
mod exact;
mod groups;
mod state;
pub(crate) mod table;

use super::kind;
use super::notes::Notes;
use super::{ImportError, Imported, MAX_IMPORTED_STEPS, Settings, finish, lines_after, sysctl};
use crate::model::{KernelSelector, Sysctls};

use state::State;

/// The matrix axis for the call that chose the ports.
const AXIS: &str = "chosen_by_connect";

/// Converts the output of `ss -tuan`, of `netstat -tuan`, or of `/proc/net/tcp` and
/// `/proc/net/udp`. With timers (`-o`), the age of each TIME-WAIT socket is known.
///
/// # Errors
///
/// Output without a TCP or UDP socket, and captures over the limits.
pub fn ss(table: &str, settings: &Settings) -> Result<Imported, ImportError> {
    let one = Table {
        name: "",
        text: table,
    };
    tables(&[one], settings)
}

/// One of several tables of the same host.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// The name by which notes name its lines.
    pub name: &'a str,
    /// The text, as for [`ss`].
    pub text: &'a str,
}

/// Converts several tables of one host. A socket that more than one of them shows is there once,
/// with what all of them show of it.
///
/// # Errors
///
/// As [`ss`]; no table has a socket.
pub fn tables(tables: &[Table<'_>], settings: &Settings) -> Result<Imported, ImportError> {
    let mut notes = Notes::default();
    let mut rows = Vec::new();
    let mut before = 0;
    for Table { name, text } in tables {
        super::check_size(text)?;
        notes.begin(name, before);
        let lines = lines_after(before, text, &mut notes);
        table::merge(&mut rows, table::rows(&lines, &mut notes));
        before += text.lines().count();
    }
    let sysctls = match &settings.sysctl {
        Some(text) => sysctl::read(text, &mut notes)?,
        None => Sysctls::new(),
    };
    if rows.is_empty() {
        let text = tables.first().map_or("", |table| table.text);
        return Err(no_rows(text, notes));
    }
    let state = State::of(&rows, sysctls, &mut notes);
    let mut held = Vec::new();
    if state.has_tcp {
        held.push(counted(state.listeners.len(), "listener"));
        let sockets = counted(state.connections.len(), "socket");
        held.push(format!("{sockets} with a port of their own"));
    }
    if !state.datagrams.is_empty() {
        held.push(counted(state.datagrams.len(), "UDP socket"));
    }
    let what = format!(
        "Does a new {} get a port on this captured host ({})?",
        if state.has_tcp {
            "program"
        } else {
            "UDP socket"
        },
        held.join(", ")
    );
    let mut yaml = format!(
        "about: {:?}\nkernel: [{}]\n",
        what,
        kernels(&settings.kernel)
    );
    // A UDP socket gets its port back by bind() on every kernel.
    let exact = settings.no_port || !state.has_tcp;
    if exact && state.steps() <= MAX_IMPORTED_STEPS {
        exact::write(&mut yaml, &state, &mut notes);
    } else {
        groups::write(&mut yaml, &state, settings.no_port, &mut notes);
    }
    finish(yaml, notes, "Made by `fourtuple import ss`.")
}

fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// Explains a text without a socket.
fn no_rows(text: &str, notes: Notes) -> ImportError {
    match kind::of(text) {
        Some((what, help)) if ![kind::SS, kind::NETSTAT, kind::PROC].contains(&what) => {
            ImportError::new(format!("this is {what}, not a table of sockets"), help)
        }
        _ => {
            let mut message = "no TCP or UDP socket in this text".to_owned();
            for note in notes.finish().iter().take(3) {
                message.push_str(&format!("\n  {note}"));
            }
            let help = "capture it with `ss -tuano`, which prints addresses and ports as numbers";
            ImportError::new(message, help)
        }
    }
}

fn kernels(names: &[String]) -> String {
    let selector = KernelSelector::of(names);
    let names: Vec<String> = selector
        .patterns
        .iter()
        .map(|one| one.value.to_string())
        .collect();
    names.join(", ")
}
