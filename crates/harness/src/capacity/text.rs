//! Capacities for people and for pull requests.

use super::{Capacities, Capacity, Held};
use crate::kernels::Order;
use crate::text::{columns, escape_markdown, labelled};

/// Programs and kernels with the same numbers.
struct Same<'a> {
    first: &'a Capacity,
    programs: Vec<String>,
    /// Point of the matrix, and the kernels there.
    on: Vec<(String, Vec<&'a str>)>,
}

/// A number, with a decimal only below ten.
fn number(value: f64) -> String {
    if value < 9.95 && value.fract().abs() > 1e-9 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn join<'a>(all: &'a [Capacities]) -> Vec<Same<'a>> {
    let same = |a: &Capacity, b: &Capacity| {
        a.host == b.host
            && a.how == b.how
            && a.range == b.range
            && a.ports == b.ports
            && a.to_one == b.to_one
            && a.to_all == b.to_all
            && a.rate == b.rate
            && a.cost == b.cost
    };
    let mut found: Vec<Same<'a>> = Vec::new();
    for case in all {
        let point = case.point.join(" ");
        for one in &case.programs {
            let at = match found.iter().position(|known| same(known.first, one)) {
                Some(at) => at,
                None => {
                    found.push(Same {
                        first: one,
                        programs: Vec::new(),
                        on: Vec::new(),
                    });
                    found.len() - 1
                }
            };
            let entry = &mut found[at];
            if !entry.programs.contains(&one.program) {
                entry.programs.push(one.program.clone());
            }
            match entry.on.iter_mut().find(|(known, _)| *known == point) {
                Some((_, kernels)) if kernels.contains(&case.kernel.as_str()) => {}
                Some((_, kernels)) => kernels.push(&case.kernel),
                None => entry.on.push((point.clone(), vec![&case.kernel])),
            }
        }
    }
    found
}

fn kernels(same: &Same<'_>, order: &Order) -> String {
    let parts: Vec<String> = same
        .on
        .iter()
        .map(|(point, kernels)| {
            let kernels = order.compact(kernels);
            if point.is_empty() {
                kernels
            } else {
                format!("{kernels} with {point}")
            }
        })
        .collect();
    parts.join("; ")
}

/// The capacities of a scenario; programs and kernels with the same numbers once.
#[must_use]
pub fn report(all: &[Capacities]) -> String {
    let Some(first) = all.first() else {
        return String::new();
    };
    let order = Order::new();
    let mut out = format!("{}\n", first.scenario);
    labelled(&mut out, "  ", &first.about);
    for same in join(all) {
        let one = same.first;
        out.push('\n');
        labelled(
            &mut out,
            "  ",
            &format!(
                "{} on {} ({}): {}; ports {}, {} of them for ephemeral port selection",
                same.programs.join(", "),
                one.host,
                kernels(&same, &order),
                one.how,
                one.range,
                one.ports
            ),
        );
        program(&mut out, one);
    }
    out
}

/// The counts and formulas of one program: name, count, formula and its text.
pub(crate) fn counts(one: &Capacity) -> Vec<[String; 5]> {
    let then = |held: &Held| {
        held.then
            .clone()
            .map_or_else(|| "-".to_owned(), |errno| format!("then {errno}"))
    };
    let mut counts = vec![("at once, to one destination".to_owned(), &one.to_one)];
    // With a single destination it would be the same line again.
    if one.destinations > 1 {
        let name = format!("at once, to all {} destinations", one.destinations);
        counts.push((name, &one.to_all));
    }
    let mut rows: Vec<[String; 5]> = counts
        .into_iter()
        .map(|(name, held)| {
            [
                name,
                held.counted.to_string(),
                then(held),
                held.formula.to_string(),
                held.by.clone(),
            ]
        })
        .collect();
    let limit = |value: Option<f64>| value.map_or_else(|| "no limit".to_owned(), number);
    rows.push([
        format!("per second, closed by {}", one.rate.close),
        limit(one.rate.per_second),
        String::new(),
        limit(one.rate.formula),
        one.rate.by.clone(),
    ]);
    rows
}

fn program(out: &mut String, one: &Capacity) {
    let mut rows = vec![
        ["", "counted", "", "formula", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(counts(one).iter().map(|row| row.to_vec()));
    columns(out, 4, &rows);
    if let Some(after) = one.rate.runs_out_after {
        let again = one.rate.recovers_after.map_or_else(
            || "does not recover within ten minutes".to_owned(),
            |seconds| format!("the next one goes through {} s later", number(seconds)),
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
            "connect() selects no port here: bind() has chosen it.",
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
            number(cost.expected),
            cost.most.to_string(),
        ]);
    }
    columns(out, 4, &rows);
}

/// The capacities as a table in Markdown, to paste into a pull request.
#[must_use]
pub fn markdown(all: &[Capacities]) -> String {
    let Some(first) = all.first() else {
        return String::new();
    };
    let order = Order::new();
    let mut out = format!(
        "### {}\n\n{}\n\n",
        escape_markdown(&first.scenario),
        escape_markdown(&first.about)
    );
    let head = ["program", "kernels", "", "counted", "formula"].map(str::to_owned);
    let mut rows = Vec::new();
    for same in join(all) {
        for [name, counted, _, formula, by] in counts(same.first) {
            rows.push(vec![
                escape_markdown(&same.programs.join(", ")),
                escape_markdown(&kernels(&same, &order)),
                name,
                counted,
                escape_markdown(&format!("{formula} = {by}")),
            ]);
        }
    }
    crate::text::markdown(&mut out, &head, &rows);
    out
}
