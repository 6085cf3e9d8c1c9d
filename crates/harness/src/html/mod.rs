//! One HTML file about any number of scenarios: for a screen of any size, light or dark, for paper, and for those who
//! see no pictures. It fetches nothing and runs no script, and the same input gives the same bytes.
//!
//! - `matrix`: scenarios by kernels
//! - `section`: one scenario: verdict, results, engines, remedies
//! - `timeline`: its calls, as a picture
//! - `ports`: its ports over time, as a picture
//!
//! Every picture has a name, a sentence that says what it shows, and a table with the same content.

mod matrix;
mod ports;
mod section;
mod timeline;

use fourtuple_kernel::profile;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::group::Group;
use crate::kernels::Order;
use crate::remedies::{self, Remedies};
use crate::runner::{CaseReport, ScenarioReport};
use crate::strip::{self, Strip};
use crate::verdict::{Assessment, ScenarioVerdict};

const STYLE: &str = include_str!("style.css");

/// Calls of a case for which ways out are tried; each of them is a run of its own.
const REMEDIED_CALLS: usize = 2_000;

/// A scenario with everything that its part of the page shows.
#[derive(Debug)]
pub struct Entry {
    report: ScenarioReport,
    /// For each group of cases that came out alike, what its first case shows.
    groups: Vec<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    strips: Vec<Strip>,
    /// The ways out on the first kernel of the group, and on the last if they are others there.
    remedies: Vec<Remedies>,
}

impl Entry {
    /// Looks at the ports and the ways out of a scenario that has run.
    #[must_use]
    pub fn new(report: ScenarioReport) -> Self {
        let groups = Group::all(&report);
        let groups = groups.iter().map(|group| Shown::of(&group.cases)).collect();
        Entry { report, groups }
    }

    /// The scenario.
    #[must_use]
    pub fn report(&self) -> &ScenarioReport {
        &self.report
    }
}

impl Shown {
    fn of(cases: &[&CaseReport]) -> Self {
        let case = cases[0];
        let (Some(profile), Some(reference)) = (profile::find(&case.case.kernel), case.reference())
        else {
            return Shown::default();
        };
        let calls = reference.attempts.len();
        let strips = strip::record(&case.case, &profile, calls).unwrap_or_default();
        let refused = remedies::Score::of(&reference.attempts).refused > 0;
        let mut remedies = Vec::new();
        if refused && calls <= REMEDIED_CALLS {
            remedies.extend(examine(case));
            let last = cases.iter().rev().find(|last| {
                last.case.axes == case.case.axes && last.case.kernel != case.case.kernel
            });
            let other = last.and_then(|last| examine(last));
            remedies.extend(other.filter(|other| remedies.iter().all(|one| !one.same_rows(other))));
        }
        Shown { strips, remedies }
    }
}

fn examine(case: &CaseReport) -> Option<Remedies> {
    let profile = profile::find(&case.case.kernel)?;
    remedies::examine(&case.case, &profile, &mut |_, _| {}).ok()
}

/// The page. `checked` is a line on how far the kernels' profiles were checked against real kernels.
#[must_use]
pub fn page(entries: &[Entry], checked: &str) -> String {
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
                    @if !checked.is_empty() { p.small { (checked) } }
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
                    p { "Made by fourtuple " (env!("CARGO_PKG_VERSION")) ". Times are those of the scenario, not of any clock." }
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
fn verdict(entries: &[Entry]) -> Markup {
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

fn contents(entries: &[Entry]) -> Markup {
    html! {
        h2 { "Scenarios" }
        ol.contents {
            @for (n, entry) in entries.iter().enumerate() {
                li { a href=(format!("#s{}", n + 1)) { (entry.report.name) } }
            }
        }
    }
}

/// A picture that may be wider than the screen: it is scrolled in its own box, which the keyboard reaches.
fn scrolled(label: &str, inside: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label=(format!("{label}, scrollable")) { (inside) }
    }
}

#[cfg(test)]
mod tests;
