//! The connections that each program can make, and the work of a connect() as the range fills, as a
//! curve.

use maud::{Markup, html};

use fourtuple_analysis::capacity::{Capacities, Capacity, Cost};

use super::chart::{chart, line, point};
use super::loss::loss;
use super::scrolled;
use crate::text::capacity as text;

/// Ports from which on a curve says more than the numbers.
const CURVE: u32 = 64;

/// The numbers of a scenario's first kernel; nothing where no program connects.
pub(super) fn capacity(capacities: Option<&Capacities>, id: &str) -> Markup {
    let Some(all) = capacities else {
        return html! {};
    };
    html! {
        h3 { "Capacity on " (all.kernel) }
        (scrolled("Capacity", &table(all)))
        @for (n, one) in all.programs.iter().enumerate() {
            @if one.ports >= CURVE && !one.cost.is_empty() {
                (curve(one, &format!("{id}c{n}")))
            }
            @if let Some(through) = &one.through {
                (loss(through, &format!("{id}l{n}")))
            }
        }
    }
}

fn table(all: &Capacities) -> Markup {
    html! {
        table.cards {
            caption { "Each program alone, counted on the model" }
            thead {
                tr {
                    th scope="col" { "program" } th scope="col" { "" }
                    th scope="col" { "counted" } th scope="col" { "formula" }
                }
            }
            tbody {
                @for one in &all.programs {
                    @for [name, counted, _, formula, by] in text::counts(one) {
                        tr {
                            th scope="row" { (one.program) }
                            td data-label="number" { (name) }
                            td data-label="counted" { (counted) }
                            td.words data-label="formula" { (formula) " = " (by) }
                        }
                    }
                }
            }
        }
    }
}

/// Ports in use from left to right, ports that connect() looks at upwards.
fn curve(one: &Capacity, id: &str) -> Markup {
    let most = one
        .cost
        .iter()
        .map(|cost| cost.expected)
        .fold(1.0, f64::max);
    let at = |cost: &Cost| point(cost.fill, cost.expected, most);
    let label = format!(
        "Ports that connect() of {} looks at: {}.",
        one.program,
        one.cost
            .iter()
            .map(|cost| format!("{:.0} with {} % of them in use", cost.expected, cost.fill))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let drawing = html! {
        (line(one.cost.iter().map(at)))
        @for cost in &one.cost {
            @let (x, y) = at(cost);
            circle.connect cx=(x) cy=(y) r="4" {}
        }
        @if let Some(last) = one.cost.last() {
            @let (x, y) = at(last);
            text x=(x + 8) y=(y + 4) { (format!("{:.0}", last.expected)) }
        }
    };
    html! {
        h4 { "Ports that connect() of " (one.program) " looks at" }
        (chart(id, &label, &format!("{most:.0}"), &drawing))
    }
}
