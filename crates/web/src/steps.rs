//! Every call of a case with the ports of all hosts after it.

use fourtuple_analysis::{PortChange, PortStates, PortTable, port_states};
use fourtuple_harness::{Attempt, Engine as _, Model};
use fourtuple_kernel::profile;
use fourtuple_render::text::plain;
use serde::Serialize;

use crate::reply::Reply;
use crate::request::Asked;
use crate::select::Selected;

/// Most calls of a case that are shown one by one.
const MOST_CALLS: usize = 600;

#[derive(Serialize)]
struct Steps {
    kernel: String,
    point: Vec<String>,
    tables: Vec<Table>,
    calls: Vec<Call>,
    states: Vec<State>,
    /// Calls of the case; more than there are in `calls` if it is long.
    total: usize,
}

/// The ports of a host in one of its tables.
#[derive(Serialize)]
struct Table {
    host: String,
    kind: &'static str,
    low: u16,
    high: u16,
}

#[derive(Serialize)]
struct Call {
    at_ns: u64,
    host: String,
    process: String,
    socket: String,
    call: String,
    args: String,
    result: String,
    local: Option<String>,
    why: Option<String>,
}

#[derive(Serialize)]
struct State {
    at_ns: u64,
    calls: usize,
    changes: Vec<Change>,
}

#[derive(Serialize)]
struct Change {
    table: usize,
    port: u16,
    /// None if the port became free.
    now: Option<Port>,
}

#[derive(Serialize)]
struct Port {
    #[serde(rename = "use")]
    what: &'static str,
    /// `fastreuse` and `fastreuseport` of a bind bucket.
    marks: Option<(i8, i8)>,
    owners: Vec<String>,
}

/// Records the calls and ports of one case.
pub(crate) fn steps(asked: &Asked, point: usize) -> Reply {
    let (_, folded) = match Selected::folded(asked) {
        Ok(selected) => selected,
        Err(reply) => return reply,
    };
    let Some((case, ..)) = folded.get(point) else {
        return Reply::error("the scenario has no such case", None);
    };
    // Names are checked when a scenario is expanded.
    let Some(profile) = profile::find(&case.kernel) else {
        return Reply::error(format!("unknown kernel `{}`", case.kernel), None);
    };
    let made = Model.run(case, &profile);
    let made = made.and_then(|run| Ok((run, port_states(case, &profile, MOST_CALLS)?)));
    let (run, PortStates { tables, states, .. }) = match made {
        Ok(made) => made,
        Err(cannot) => {
            let message = format!("the model cannot run the scenario: {cannot}");
            return Reply::error(message, None);
        }
    };
    Reply::ok(&Steps {
        kernel: case.kernel.clone(),
        point: case.point(),
        tables: tables.into_iter().map(table).collect(),
        calls: run.attempts.iter().take(MOST_CALLS).map(call).collect(),
        states: states
            .into_iter()
            .map(|one| State {
                at_ns: one.at_ns,
                calls: one.calls,
                changes: one.changes.into_iter().map(change).collect(),
            })
            .collect(),
        total: run.attempts.len(),
    })
}

fn call(attempt: Attempt<'_>) -> Call {
    let args: Vec<String> = attempt
        .args()
        .pairs()
        .map(|(word, value)| format!("{word} {value}"))
        .collect();
    Call {
        at_ns: attempt.at_ns(),
        host: attempt.host().to_string(),
        process: attempt.process().to_string(),
        socket: attempt.socket().to_string(),
        call: attempt.op().to_string(),
        args: args.join(" "),
        result: attempt.result().word().to_owned(),
        local: attempt.local().map(|local| local.to_string()),
        why: attempt.why().map(|why| plain::reason(why)),
    }
}

fn table(one: PortTable) -> Table {
    Table {
        host: one.host.to_string(),
        kind: one.kind.name(),
        low: one.range.low,
        high: one.range.high,
    }
}

fn change(one: PortChange) -> Change {
    Change {
        table: one.table,
        port: one.port,
        now: one.now.map(|view| Port {
            what: view.what,
            marks: view.marks,
            owners: view.owners,
        }),
    }
}
