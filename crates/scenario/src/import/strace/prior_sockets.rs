//! The sockets that existed before a log begins, as shown by another tool.

use std::net::{IpAddr, SocketAddr};

use indexmap::IndexMap;

use super::plural;
use crate::import::checked::Holder;
use crate::import::notes::Notes;
use crate::import::ss::table::{self, State};
use crate::import::sysctl::range_of;
use crate::import::{ImportError, kind, lines};
use crate::model::Sysctls;
use crate::value::Protocol;

/// Most listeners that are created.
const MAX_LISTENERS: usize = 200;
/// Most destinations of connections.
const MAX_GROUPS: usize = 50;

/// Derives the holders of ports from a socket table. Only ephemeral ports and listeners matter.
pub(super) fn holders(
    text: &str,
    sysctls: Option<&Sysctls>,
    notes: &mut Notes,
) -> Result<Vec<Holder>, ImportError> {
    let mut own = Notes::default();
    let mut rows = table::rows(&lines(text, &mut own), &mut own);
    let is_table = !rows.is_empty();
    rows.retain(|row| row.protocol == Protocol::Tcp);
    if !is_table {
        let what = kind::of(text).map_or("an unknown kind of text", |(what, _)| what);
        return Err(ImportError::new(
            format!("failed to read the sockets before the log: this is {what}"),
            "capture them with `ss -tan` before the recording begins",
        ));
    }
    let range = sysctls.and_then(range_of);
    let mut listeners: Vec<SocketAddr> = Vec::new();
    let mut groups: IndexMap<(IpAddr, Option<SocketAddr>), u32> = IndexMap::new();
    for row in &rows {
        let port = row.local.port();
        if row.state == State::Listen {
            if !listeners.contains(&row.local) {
                listeners.push(row.local);
            }
        } else if range.is_none_or(|range| range.contains(port)) {
            let accepted = rows
                .iter()
                .any(|one| one.state == State::Listen && one.local.port() == port);
            if !accepted {
                *groups.entry((row.local.ip(), row.peer)).or_default() += 1;
            }
        }
    }
    groups.sort_by(|_, a, _, b| b.cmp(a));
    let left =
        listeners.len().saturating_sub(MAX_LISTENERS) + groups.len().saturating_sub(MAX_GROUPS);
    if left > 0 {
        notes.left_out(format!(
            "{left} further listeners and destinations of the sockets before the log"
        ));
    }
    let held: u32 = groups.values().sum();
    notes.assumed(format!(
        "when the log begins, other programs have {} {} and hold {held} {} of the ephemeral port range, chosen by connect(), according to the socket table",
        listeners.len(),
        plural(listeners.len(), "listener"),
        plural(held as usize, "port"),
    ));
    let listeners = listeners.into_iter().take(MAX_LISTENERS).map(Holder::Port);
    let groups = groups.into_iter().take(MAX_GROUPS);
    let groups = groups.map(|((from, to), count)| Holder::Range {
        from: Some(from).filter(|from| !from.is_unspecified()),
        to,
        count,
        bound: to.is_none(),
    });
    Ok(listeners.chain(groups).collect())
}
