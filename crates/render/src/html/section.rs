//! One scenario: the question, the verdict, and for each group of kernels what happened and why.

use maud::{Markup, html};

use fourtuple_analysis::remedies::SocketCounts;
use fourtuple_analysis::{Answers, PortTimeline};
use fourtuple_harness::kernels::Order;
use fourtuple_harness::{Assessment, CaseReport, EngineRun, Group, Why, tally};

use super::{capacity, fixes, ports, scrolled, source, timeline};
use crate::case_label;
use crate::text::{capital, events, plain, summary};

/// Rows of the story in words.
const STORY_ROWS: usize = 80;
/// Different reasons listed for one group.
const REASONS: usize = 4;

/// The part of the page about one scenario.
pub(super) fn section(entry: &Answers, number: usize, order: &Order) -> Markup {
    let report = &entry.report;
    let groups = Group::all(report);
    let id = format!("s{number}");
    html! {
        section.scenario aria-labelledby=(id) {
            h2 id=(id) { (report.name) }
            p.question { (report.about) }
            @if !report.source.is_empty() {
                ul.source { @for source in &report.source { li { (source::source(source)) } } }
            }
            p {
                (super::badge(&Assessment::of(report)))
                @if groups.len() > 1 { " There are " (groups.len()) " different answers." }
            }
            @for (n, (group, timelines)) in groups.iter().zip(&entry.timelines).enumerate() {
                (answer(group, timelines, &format!("{id}g{}", n + 1), order))
            }
            (fixes::fixes(&entry.remedies))
            (capacity::capacity(entry.capacities.as_ref(), &id))
            @for case in report.cases.iter().filter(|case| case.reference().is_none()) {
                h3 { (case_label::title(&[case], &report.cases, order)) }
                (engines(&[case], order))
            }
        }
    }
}

fn answer(group: &Group<'_>, timelines: &[PortTimeline], id: &str, order: &Order) -> Markup {
    let first = group.cases[0];
    let Some(reference) = first.reference() else {
        return html! {};
    };
    let steps = first.case.program.steps().is_some();
    let counts = SocketCounts::of(&reference.attempts);
    let mut story = String::new();
    events::write(&group.story, &mut story, STORY_ROWS);
    html! {
        article aria-labelledby=(id) {
            h3 id=(id) { (case_label::of_group(group, order)) }
            p {
                strong { (counts.ok) " of " (counts.total) " sockets" } " got what they asked for"
                @if counts.refused > 0 { "; " (counts.refused) " found no port" }
                "."
            }
            (results(first))
            (reasons(first))
            (timeline::timeline(&reference.attempts, id))
            @for timeline in timelines { (ports::ports(timeline, id)) }
            details {
                summary { "Every call, in order" }
                (scrolled("Every call, in order", &html! { pre { (story) } }))
                @if !steps { p.small { "Calls of one process at one time with the same answer are one row." } }
            }
            (engines(&group.cases, order))
            (unmet(&group.cases))
        }
    }
}

fn results(case: &CaseReport) -> Markup {
    let Some(reference) = case.reference() else {
        return html! {};
    };
    let tallies = tally(&reference.attempts);
    let table = html! {
        table {
            caption { "Results" }
            thead { tr { th scope="col" { "process" } th scope="col" { "call" } th scope="col" { "results" } } }
            tbody {
                @for one in &tallies {
                    tr {
                        th scope="row" { (one.process) }
                        td { (one.op) }
                        td { (one) }
                    }
                }
            }
        }
    };
    scrolled("Results", &table)
}

fn reasons(case: &CaseReport) -> Markup {
    let mut found: Vec<&Why> = Vec::new();
    let attempts = case.reference().map(|one| one.attempts.iter());
    for why in attempts
        .into_iter()
        .flatten()
        .filter_map(|attempt| attempt.why())
    {
        if !found.iter().any(|one| one.rule == why.rule) {
            found.push(why);
        }
    }
    html! {
        @if !found.is_empty() {
            h4 { "Why calls were refused" }
            ul.reasons {
                @for why in found.iter().take(REASONS) {
                    li {
                        (capital(&plain::reason(why))) ". " br;
                        (why.rule.text()) " "
                        @if !why.ports.is_empty() { "(" (why.ports.words()) ") " }
                        code { (why.rule) }
                    }
                }
            }
        }
    }
}

/// The agreement of the engines with the model, cases with the same text together.
fn engines(cases: &[&CaseReport], order: &Order) -> Markup {
    let mut rows: Vec<(&'static str, String, bool, Vec<&CaseReport>)> = Vec::new();
    for case in cases {
        for run in &case.runs {
            let (engine, words, differs) = match run {
                EngineRun::NotRun { engine, reason } => {
                    (*engine, format!("cannot run this: {reason}"), false)
                }
                EngineRun::Ran(report) => {
                    let one = case
                        .agreement
                        .iter()
                        .find(|one| one.engine == report.engine);
                    let mut words = match one {
                        None => format!("{} calls", report.attempts.len()),
                        Some(one) => summary::agreement(one, case.reference(), report),
                    };
                    for note in &report.notes {
                        words.push_str("; ");
                        words.push_str(note);
                    }
                    (report.engine, words, one.is_some_and(|one| one.fails()))
                }
            };
            match rows
                .iter_mut()
                .find(|(name, same, _, _)| *name == engine && *same == words)
            {
                Some((_, _, _, equal)) => equal.push(case),
                None => rows.push((engine, words, differs, vec![case])),
            }
        }
    }
    let table = html! {
        table.engines {
            caption { "Answers, compared with those of the first" }
            thead { tr { th scope="col" { "engine" } th scope="col" { "answers" } th scope="col" { "on" } } }
            tbody {
                @for (engine, words, differs, equal) in &rows {
                    tr class=[differs.then_some("bad")] {
                        th scope="row" { (engine) }
                        td.words { (words) }
                        td { (case_label::title_within(equal, cases, order)) }
                    }
                }
            }
        }
    };
    html! {
        @if rows.len() > 1 {
            h4 { "Engines" }
            (scrolled("Engines", &table))
        }
    }
}

/// Expectations that did not come true.
fn unmet(cases: &[&CaseReport]) -> Markup {
    let mut lines: Vec<String> = Vec::new();
    for report in cases.iter().flat_map(|case| case.judged()) {
        for unmet in &report.expect_failed {
            let line = unmet
                .line
                .map(|line| format!("line {line}: "))
                .unwrap_or_default();
            let text = format!(
                "{line}{} ({}, {})",
                unmet.text, report.engine, report.kernel
            );
            if !lines.contains(&text) {
                lines.push(text);
            }
        }
    }
    html! {
        @if !lines.is_empty() {
            h4 { "Not as expected" }
            ul.unmet { @for line in &lines { li { (line) } } }
        }
    }
}
