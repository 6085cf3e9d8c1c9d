//! The connections that each program can make, and the work of a connect() as the range fills, as a
//! curve.

use maud::{Markup, html};

use fourtuple_analysis::capacity::{Capacities, Capacity, Cost};

use super::loss::loss;
use super::scrolled;
use crate::text::capacity as text;

/// Ports from which on a curve says more than the numbers.
const CURVE: u32 = 64;
const LEFT: usize = 64;
const WIDTH: usize = 320;
const HEIGHT: usize = 130;
const TOP: usize = 12;

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
    let x = |cost: &Cost| LEFT + WIDTH * cost.fill as usize / 100;
    let y = |cost: &Cost| TOP + HEIGHT - (HEIGHT as f64 * cost.expected / most) as usize;
    let points: Vec<String> = one
        .cost
        .iter()
        .map(|cost| format!("{},{}", x(cost), y(cost)))
        .collect();
    let last = one.cost.last();
    let label = format!(
        "Ports that connect() of {} looks at: {}.",
        one.program,
        one.cost
            .iter()
            .map(|cost| format!("{:.0} with {} % of them in use", cost.expected, cost.fill))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let (width, height) = (LEFT + WIDTH + 72, TOP + HEIGHT + 40);
    let floor = TOP + HEIGHT;
    html! {
        h4 { "Ports that connect() of " (one.program) " looks at" }
        (scrolled("Curve", &html! {
            svg role="img" aria-labelledby=(id) width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) {
                title id=(id) { (label) }
                line.lane x1=(LEFT) x2=(LEFT + WIDTH) y1=(floor) y2=(floor) {}
                line.lane x1=(LEFT) x2=(LEFT) y1=(TOP) y2=(floor) {}
                text.time x=(LEFT - 8) y=(floor + 4) text-anchor="end" { "0" }
                text.time x=(LEFT - 8) y=(TOP + 6) text-anchor="end" { (format!("{most:.0}")) }
                text.time x=(LEFT) y=(floor + 18) { "0 %" }
                text.time x=(LEFT + WIDTH) y=(floor + 18) text-anchor="end" { "100 % of the ports in use" }
                polyline.curve points=(points.join(" ")) {}
                @for cost in &one.cost { circle.connect cx=(x(cost)) cy=(y(cost)) r="4" {} }
                @if let Some(last) = last {
                    text x=(x(last) + 8) y=(y(last) + 4) { (format!("{:.0}", last.expected)) }
                }
            }
        }))
    }
}
