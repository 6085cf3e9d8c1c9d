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
mod fixes;
mod matrix;
mod ports;
mod section;
mod source;
mod timeline;

use fourtuple_analysis::capacity::{self as measuring, Capacities, Measured};
use fourtuple_analysis::remedies::{self, Allowance, Remedies};
use fourtuple_analysis::{PortTimeline, port_timelines};
use fourtuple_harness::kernels::Order;
use fourtuple_harness::{Assessment, CaseReport, Group, ScenarioReport, ScenarioVerdict};
use fourtuple_kernel::profile;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");

/// Calls of a case up to which every fix is tried, at every seed.
const FEW_CALLS: usize = 2_000;
/// Calls that the fixes of a larger case may take.
const TRIAL_CALLS: u64 = 200_000;
/// Calls of a case up to which fixes are tried and capacities are counted.
const MOST_CALLS: usize = 50_000;

/// A scenario with everything that its part of the page shows.
#[derive(Debug)]
pub struct Entry {
    report: ScenarioReport,
    /// For each group of cases with equal outcomes, what its first case shows.
    groups: Vec<Shown>,
    /// The fixes on the first and on the last kernel of each group.
    remedies: Vec<Remedies>,
    /// The connections that each program can make, on the first kernel.
    capacities: Option<Capacities>,
}

#[derive(Debug, Default)]
struct Shown {
    timelines: Vec<PortTimeline>,
}

impl Entry {
    /// Records the ports and tries the fixes of a scenario that has run.
    #[must_use]
    pub fn new(report: ScenarioReport) -> Self {
        let groups = Group::all(&report);
        let remedies = groups.iter().flat_map(|group| fixes_of(&group.cases));
        let remedies = remedies.collect();
        let capacities = groups
            .first()
            .and_then(|group| capacities_of(group.cases[0]));
        let groups = groups.iter().map(|group| Shown::of(&group.cases)).collect();
        Entry {
            capacities,
            report,
            groups,
            remedies,
        }
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
        let timelines = port_timelines(&case.case, &profile, calls).unwrap_or_default();
        Shown { timelines }
    }
}

/// The fixes on the first kernel of a group, and on its last.
fn fixes_of(cases: &[&CaseReport]) -> Vec<Remedies> {
    let Some(reference) = cases[0].reference() else {
        return Vec::new();
    };
    let refused = remedies::SocketCounts::of(&reference.attempts).refused > 0;
    if !refused || reference.attempts.len() > MOST_CALLS {
        return Vec::new();
    }
    let first = cases[0];
    let last = cases
        .iter()
        .rev()
        .find(|last| last.case.axes == first.case.axes && last.case.kernel != first.case.kernel);
    let both = std::iter::once(&first).chain(last);
    both.filter_map(|case| examine(case)).collect()
}

fn capacities_of(case: &CaseReport) -> Option<Capacities> {
    let calls = case.reference()?.attempts.len();
    if calls > MOST_CALLS {
        return None;
    }
    let profile = profile::find(&case.case.kernel)?;
    let mut measured = Measured::default();
    measuring::measure(&case.case, &profile, &mut measured, &mut |_| {}).ok()
}

fn examine(case: &CaseReport) -> Option<Remedies> {
    let profile = profile::find(&case.case.kernel)?;
    let mut allowance = match case.reference()?.attempts.len() {
        0..=FEW_CALLS => Allowance::UNLIMITED,
        _ => Allowance::of(TRIAL_CALLS),
    };
    remedies::examine(&case.case, &profile, &mut allowance, &mut |_, _| {}).ok()
}

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
pub fn page(entries: &[Entry], about: &About) -> String {
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

/// A picture that may be wider than the screen: it is scrolled in its own box, which the keyboard
/// reaches.
fn scrolled(label: &str, inside: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label=(format!("{label}, scrollable")) { (inside) }
    }
}

#[cfg(test)]
mod tests;
