//! One HTML file about any number of scenarios: for a screen of any size, light or dark, for paper,
//! and for those who see no pictures. It fetches nothing and runs no script, and the same input
//! gives the same bytes.
//!
//! - `matrix`: scenarios by kernels
//! - `section`: one scenario: verdict, results, engines, remedies
//! - `axis`: time from left to right
//! - `capacity`: how many connections each program can make, with a curve
//! - `fixes`: its fixes, kernels side by side
//! - `timeline`: its calls, as a picture
//! - `ports`: its ports over time, as a picture
//!
//! Every picture has a name, a sentence that says what it shows, and a table with the same content.

mod axis;
mod capacity;
mod chart;
mod fixes;
mod loss;
mod matrix;
mod ports;
mod section;
mod source;
mod timeline;

use fourtuple_analysis::Answers;
use fourtuple_harness::kernels::Order;
use fourtuple_harness::{Assessment, ScenarioVerdict};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");

/// The command line and certificates that a page states about itself.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The command that makes the page.
    pub command: String,
    /// A line on how far the kernels' profiles were checked against real kernels.
    pub checked: String,
}

/// The page.
#[must_use]
pub fn page(entries: &[Answers], about: &About) -> String {
    let title = match entries {
        [only] => format!("{} · fourtuple", only.report.name),
        _ => "TCP local ports · fourtuple".to_owned(),
    };
    let order = Order::new();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#content" { "Skip to the scenarios" }
                header {
                    h1 { "TCP local ports" }
                    p.lead { (verdict(entries)) }
                    @if !about.checked.is_empty() { p.small { (about.checked) } }
                }
                main #content {
                    @if entries.len() > 1 {
                        nav aria-label="Scenarios" { (contents(entries)) }
                    }
                    (matrix::matrix(entries, &order))
                    @for (n, entry) in entries.iter().enumerate() {
                        (section::section(entry, n + 1, &order))
                    }
                }
                footer {
                    @if !about.command.is_empty() {
                        p { "Made by " code { (about.command) } "." }
                    }
                    p { "Made by fourtuple " (env!("CARGO_PKG_VERSION")) ". Times are those of the scenario, not of any clock; the page has no date, so that the same scenarios give the same bytes." }
                }
            }
        }
    };
    markup.into_string()
}

/// The verdict on one scenario.
fn badge(assessment: &Assessment) -> Markup {
    let counts = assessment.counts();
    match assessment.verdict {
        ScenarioVerdict::Failed => html! { span.badge.bad { "not as expected" } },
        ScenarioVerdict::AsExpected => html! { span.badge.good { "as expected" } },
        ScenarioVerdict::Incomplete => html! { span.badge { "not run in full" } " " (counts) "." },
        ScenarioVerdict::NothingExpected => {
            html! { span.badge { "nothing expected" } " " (counts) "." }
        }
    }
}

/// The verdict on all of them.
fn verdict(entries: &[Answers]) -> Markup {
    if let [only] = entries {
        return badge(&Assessment::of(&only.report));
    }
    let all: Vec<_> = entries
        .iter()
        .map(|entry| Assessment::of(&entry.report).verdict)
        .collect();
    let count = |verdict| all.iter().filter(|one| **one == verdict).count();
    let failed = count(ScenarioVerdict::Failed);
    let as_expected = count(ScenarioVerdict::AsExpected);
    let total = all.len();
    html! {
        @if failed > 0 {
            span.badge.bad { "not as expected" } " " (failed) " of " (total) " scenarios not as expected"
        } @else if as_expected == total {
            span.badge.good { "as expected" } " " (total) " scenarios, all as expected"
        } @else {
            span.badge { (as_expected) " of " (total) " as expected" } " The others expect nothing or were not run in full"
        }
        "; the engines agree where they must."
    }
}

fn contents(entries: &[Answers]) -> Markup {
    html! {
        h2 { "Scenarios" }
        ol.contents {
            @for (n, entry) in entries.iter().enumerate() {
                li { a href=(format!("#s{}", n + 1)) { (entry.report.name) } }
            }
        }
    }
}

/// A picture that may be wider than the screen: it is scrolled in its own box, which the keyboard
/// reaches.
fn scrolled(label: &str, inside: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label=(format!("{label}, scrollable")) { (inside) }
    }
}

#[cfg(test)]
mod tests;
