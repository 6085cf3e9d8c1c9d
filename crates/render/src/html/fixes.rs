//! The fixes of a scenario, kernels side by side.

use maud::{Markup, html};

use fourtuple_analysis::remedies::{Effect, Remedies};

use super::matrix::whole;
use super::scrolled;
use crate::sheet::{Row, Sheet, word};

/// The table of fixes; nothing where no socket is refused.
pub(super) fn fixes(remedies: &[Remedies]) -> Markup {
    let sheet = Sheet::new(remedies, false);
    if sheet.columns.is_empty() {
        return html! {};
    }
    html! {
        h3 { "Fixes" }
        @if sheet.working().next().is_none() {
            p { "No known fix works here, alone or in pairs." }
        } @else {
            (scrolled("Fixes", &table(&sheet)))
        }
        (rest(&sheet))
    }
}

fn table(sheet: &Sheet<'_>) -> Markup {
    html! {
        table.remedies.cards {
            caption { "Fixes, tried on the model of each kernel" }
            thead {
                tr {
                    th scope="col" { "fix" }
                    @for column in &sheet.columns { th scope="col" { (whole(&column.title)) } }
                    th scope="col" { "who" } th scope="col" { "since" } th scope="col" { "cost" }
                }
            }
            tbody {
                @for row in sheet.working() {
                    tr {
                        th scope="row" { (row.best.name) br; span.change { (row.best.change) } }
                        @for (cell, column) in row.cells.iter().zip(&sheet.columns) {
                            td class=[class(cell.map(|one| one.effect))] data-label=(column.title) { (word(*cell)) }
                        }
                        td data-label="who" { (row.best.who.join(", ")) }
                        td data-label="since" { (row.best.since) }
                        td.words data-label="cost" {
                            (row.best.cost)
                            @if let Some(stale) = &row.best.stale { br; strong.bad { (stale) } }
                        }
                    }
                }
            }
        }
    }
}

/// The colour of a cell; the word in it says the same.
fn class(effect: Option<Effect>) -> Option<&'static str> {
    match effect? {
        Effect::Always => Some("all"),
        Effect::Usually | Effect::ByLuck | Effect::HelpsPartly => Some("some"),
        _ => None,
    }
}

fn rest(sheet: &Sheet<'_>) -> Markup {
    let rows: Vec<&Row<'_>> = sheet
        .rows
        .iter()
        .filter(|row| !row.best.effect.works() && row.best.effect != Effect::DoesNotApply)
        .collect();
    let (untried, rows): (Vec<&Row<'_>>, Vec<&Row<'_>>) = rows
        .into_iter()
        .partition(|row| row.best.effect == Effect::Untried);
    let untried: Vec<&str> = untried.iter().map(|row| row.best.name.as_str()).collect();
    html! {
        @if !rows.is_empty() {
            details.idle {
                summary { "No fix here" }
                ul {
                    @for row in rows {
                        li {
                            strong { (row.best.name) } ": " (row.best.effect.words())
                            @if let Some(why) = &row.best.why { " – " (why) }
                            @if let Some(stale) = &row.best.stale { " – " (stale) }
                        }
                    }
                }
            }
        }
        @if !untried.is_empty() {
            p.small { "Not tried, because a run of this scenario is long: " (untried.join("; ")) "." }
        }
    }
}
