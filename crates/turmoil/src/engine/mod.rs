//! Two engines for scenarios: `turmoil` on this crate's sockets, and `stock` on turmoil's own.

mod drive;
mod grant;
mod linux;
mod notes;
mod processes;
mod stock;

pub use linux::Turmoil;
pub use stock::Stock;

/// The text of a simulation's error without the number of the task in it: tokio counts tasks over the whole process,
/// so the number says how much else has run, not what happened.
pub(crate) fn without_task_number(text: &str) -> String {
    let Some((before, after)) = text.split_once("task ") else {
        return text.to_owned();
    };
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() == after.len() {
        text.to_owned()
    } else {
        format!("{before}a task{rest}")
    }
}
