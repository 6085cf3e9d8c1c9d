//! `ss -tan` as a scenario: the host's ports as they are, and the question whether there is one left.
//!
//! | step | module |
//! |---|---|
//! | the table to rows | `table` |
//! | rows to listeners and connections that hold a port | `state` |
//! | every port as it was, by steps | `exact` |
//! | too many for that: groups of connections, as processes | `groups` |

mod exact;
mod groups;
mod state;
mod table;

use super::notes::Notes;
use super::{ImportError, Imported, MAX_IMPORTED_STEPS, Settings, finish, lines, sysctl};
use crate::model::{KernelSelector, Sysctls};

use state::State;

/// The matrix axis that says who chose the ports.
const AXIS: &str = "chosen_by_connect";

/// Makes a scenario of the output of `ss -tan`; with `-o` as well it knows how old each TIME-WAIT is.
///
/// # Errors
///
/// Output without a TCP socket, and captures over the limits.
pub fn ss(table: &str, settings: &Settings) -> Result<Imported, ImportError> {
    super::check_size(table)?;
    let mut notes = Notes::default();
    let lines = lines(table, &mut notes);
    let sysctls = match &settings.sysctl {
        Some(text) => sysctl::read(text, &mut notes)?,
        None => Sysctls::new(),
    };
    let rows = table::rows(&lines, &mut notes);
    if rows.is_empty() {
        return Err(ImportError::new(
            "there is no TCP socket in this text",
            "write it with `ss -tano`, whose addresses and ports are numbers",
        ));
    }
    let state = State::of(&rows, sysctls, &mut notes);
    let what = format!(
        "This host as ss saw it ({} listeners, {} connections with a port of their own): does a new connect() or bind() get a port?",
        state.listeners.len(),
        state.connections.len()
    );
    let mut yaml = format!(
        "about: {:?}\nkernel: [{}]\n",
        what,
        kernels(&settings.kernel)
    );
    if settings.no_port && state.steps() <= MAX_IMPORTED_STEPS {
        exact::write(&mut yaml, &state, &mut notes);
    } else {
        groups::write(&mut yaml, &state, settings.no_port, &mut notes);
    }
    finish(&yaml, notes, "Made by `fourtuple import ss`.")
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
