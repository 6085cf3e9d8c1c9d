//! Capacities for people.

use super::{Capacities, Capacity, Held};
use crate::text::{columns, labelled};

/// The capacities of one case.
#[must_use]
pub fn report(all: &Capacities) -> String {
    let point = if all.point.is_empty() {
        String::new()
    } else {
        format!(" with {}", all.point.join(" "))
    };
    let mut out = format!("{} on {}{point}\n", all.scenario, all.kernel);
    labelled(&mut out, "  ", &all.about);
    for one in &all.programs {
        out.push('\n');
        labelled(
            &mut out,
            "  ",
            &format!(
                "{} on {}: {}; ports {}, {} of them for searches",
                one.program, one.host, one.how, one.range, one.ports
            ),
        );
        program(&mut out, one);
    }
    out
}

fn program(out: &mut String, one: &Capacity) {
    let then = |held: &Held| {
        held.then
            .clone()
            .map_or_else(|| "-".to_owned(), |errno| format!("then {errno}"))
    };
    let mut rows = vec![
        ["", "counted", "", "formula", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut counts = vec![("at once, to one destination".to_owned(), &one.to_one)];
    // With a single destination it would be the same line again.
    if one.destinations > 1 {
        let name = format!("at once, to all {} destinations", one.destinations);
        counts.push((name, &one.to_all));
    }
    for (name, held) in counts {
        rows.push(vec![
            name,
            held.counted.to_string(),
            then(held),
            held.formula.to_string(),
            held.by.clone(),
        ]);
    }
    let number = |value: Option<f64>| {
        value.map_or_else(|| "no limit".to_owned(), |value| format!("{value:.1}"))
    };
    rows.push(vec![
        format!("per second, closed by {}", one.rate.close),
        number(one.rate.per_second),
        String::new(),
        number(one.rate.formula),
        one.rate.by.clone(),
    ]);
    columns(out, 4, &rows);
    if let Some(after) = one.rate.runs_out_after {
        let again = one.rate.recovers_after.map_or_else(
            || "does not recover within ten minutes".to_owned(),
            |seconds| format!("the next one goes through {seconds:.1} s later"),
        );
        labelled(
            out,
            "    ",
            &format!(
                "Connecting as fast as it can, it runs out after {after} connections; {again}."
            ),
        );
    }
    if one.cost.is_empty() {
        labelled(
            out,
            "    ",
            "connect() searches for no port here: bind() has chosen it.",
        );
        return;
    }
    let mut rows = vec![
        ["ports in use", "ports that connect() looks at", "at most"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for cost in &one.cost {
        rows.push(vec![
            format!("{} %", cost.fill),
            format!("{:.1}", cost.expected),
            cost.most.to_string(),
        ]);
    }
    columns(out, 4, &rows);
}
