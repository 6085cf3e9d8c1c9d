//! The snapshot of a scenario, which is reviewed in a pull request.
//!
//! The question comes first, then a section for each group of cases with equal outcomes: a table of
//! results, what happened in which order and why calls were refused, the ports, and how the engines
//! agree.

use std::collections::BTreeSet;

use fourtuple_harness::kernels::Order;
use fourtuple_harness::{CaseReport, EngineRun, Group, Name, ScenarioReport, Tally, tally};
use fourtuple_kernel::Rule;

use super::{WIDTH, columns, events, labelled, ports};
use crate::case_label;

/// The ports of each process, and the cases in which they were the same.
type Choice<'a> = (Vec<(Name, String)>, Vec<&'a CaseReport>);

/// Lines that a snapshot has printed already: most are the same in each of its sections.
#[derive(Default)]
struct Printed {
    /// Notes of engines.
    notes: BTreeSet<(&'static str, Vec<String>)>,
    /// Rules by which calls were refused.
    rules: Vec<Rule>,
}

/// Rows of events in one snapshot, over all its sections.
const ROWS: usize = 60;
/// Rows of events that every section may have, however many there are.
const LEAST_ROWS: usize = 8;
/// Lines of different port choices in one section.
const PORT_LINES: usize = 24;

/// The text of the snapshot.
#[must_use]
pub fn snapshot(report: &ScenarioReport) -> String {
    let order = Order::new();
    let groups = Group::all(report);
    let mut out = String::new();
    labelled(&mut out, "question  ", &report.about);
    for source in &report.source {
        labelled(&mut out, "source    ", source);
    }
    labelled(&mut out, "asked of  ", &verdict(report, &groups, &order));
    let limit = (ROWS / groups.len().max(1)).max(LEAST_ROWS);
    let mut printed = Printed::default();
    for group in &groups {
        section(&mut out, group, limit, &order, &mut printed);
    }
    for case in report
        .cases
        .iter()
        .filter(|case| case.reference().is_none())
    {
        out.push('\n');
        rule(&mut out, &case_label::title(&[case], &report.cases, &order));
        engines(&mut out, &[case], &order, &mut printed);
    }
    out
}

/// The kernels that ran, and the number of different answers.
fn verdict(report: &ScenarioReport, groups: &[Group<'_>], order: &Order) -> String {
    let kernels: BTreeSet<&str> = report
        .cases
        .iter()
        .flat_map(|case| &case.kernels)
        .map(|name| &**name)
        .collect();
    let points: BTreeSet<String> = report.cases.iter().map(CaseReport::point).collect();
    let mut over = match kernels.len() {
        1 => "1 kernel".to_owned(),
        // A count would change every snapshot whenever a kernel is added.
        n if n == order.len() => "all kernels".to_owned(),
        n => format!("{n} kernels"),
    };
    if points.len() > 1 {
        over.push_str(&format!(" at {} points of the matrix", points.len()));
    }
    match groups.len() {
        0 => format!("{over}; no engine can run this"),
        1 if report.cases.len() == 1 && kernels.len() == 1 => over,
        1 => format!("{over}, with the same answer from all"),
        n => format!("{over}, with {n} different answers"),
    }
}

/// A heading. It may take several lines, the last of which is filled up.
fn rule(out: &mut String, title: &str) {
    let lines = super::wrap(title, WIDTH - 4);
    for (n, line) in lines.iter().enumerate() {
        let lead = if n == 0 { "==" } else { "  " };
        out.push_str(&format!("{lead} {line}"));
        if n + 1 == lines.len() {
            let rest = WIDTH.saturating_sub(line.chars().count() + 4);
            let fill: String = std::iter::repeat_n('=', rest).collect();
            out.push_str(format!(" {fill}").trim_end());
        }
        out.push('\n');
    }
}

fn section(
    out: &mut String,
    group: &Group<'_>,
    limit: usize,
    order: &Order,
    printed: &mut Printed,
) {
    out.push('\n');
    rule(out, &case_label::of_group(group, order));
    let first = group.cases[0];
    let Some(reference) = first.reference() else {
        return;
    };
    let steps = first.case.program.steps().is_some();
    if !steps {
        out.push('\n');
        results(out, &tally(&reference.attempts));
    }
    out.push('\n');
    events::write_rows(&group.story, out, limit, &mut printed.rules);
    out.push('\n');
    port_choices(out, &group.cases, steps, order);
    engines(out, &group.cases, order, printed);
    remarks(out, &group.cases, order);
}

fn results(out: &mut String, tallies: &[Tally]) {
    let mut rows = vec![vec![
        "process".to_owned(),
        "call".to_owned(),
        "results".to_owned(),
    ]];
    let mut last = None;
    for tally in tallies {
        let again = last == Some(&tally.process);
        let process = if again {
            String::new()
        } else {
            tally.process.to_string()
        };
        rows.push(vec![process, tally.op.to_string(), tally.to_string()]);
        last = Some(&tally.process);
    }
    columns(out, 2, &rows);
}

/// Kernels of one group differ in the ports they choose; each different choice is listed once.
fn port_choices(out: &mut String, cases: &[&CaseReport], steps: bool, order: &Order) {
    let mut choices: Vec<Choice<'_>> = Vec::new();
    for case in cases {
        let Some(reference) = case.reference() else {
            continue;
        };
        let lines = ports::lines(&reference.attempts, steps);
        match choices.iter_mut().find(|(one, _)| *one == lines) {
            Some((_, equal)) => equal.push(case),
            None => choices.push((lines, vec![case])),
        }
    }
    choices.retain(|(lines, _)| !lines.is_empty());
    if choices.is_empty() {
        return;
    }
    out.push_str("  ports\n");
    let single = choices.len() == 1;
    let mut written = 0;
    for (lines, equal) in &choices {
        if written > PORT_LINES {
            out.push_str(&format!(
                "    ... {} different choices in all\n",
                choices.len()
            ));
            break;
        }
        let indent = if single { 4 } else { 6 };
        if !single {
            labelled(out, "    ", &case_label::title_within(equal, cases, order));
            written += 1;
        }
        let width = lines
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0);
        if steps {
            let words: Vec<String> = lines
                .iter()
                .map(|(name, ports)| format!("{name} {ports}"))
                .collect();
            labelled(out, &" ".repeat(indent), &words.join(", "));
            written += 1;
            continue;
        }
        for (name, ports) in lines {
            let label = format!("{:indent$}{:width$}  ", "", &**name);
            labelled(out, &label, ports);
            written += 1;
        }
    }
}

/// The agreement of each engine with the model, a line for each different result, with
/// its notes below.
fn engines(out: &mut String, cases: &[&CaseReport], order: &Order, printed: &mut Printed) {
    let mut lines: Vec<(EngineLines, Vec<&CaseReport>)> = Vec::new();
    for case in cases {
        for words in engine_lines(case) {
            match lines.iter_mut().find(|(same, _)| *same == words) {
                Some((_, equal)) => equal.push(case),
                None => lines.push((words, vec![case])),
            }
        }
    }
    if lines.is_empty() {
        return;
    }
    out.push_str("  engines\n");
    lines.sort_by_key(|(words, _)| words.place);
    let width = lines
        .iter()
        .map(|(words, _)| words.engine.len())
        .max()
        .unwrap_or(0);
    for (words, equal) in &lines {
        let engine = words.engine;
        let split = lines.iter().filter(|(one, _)| one.engine == engine).count() > 1;
        let on = if split {
            format!("on {}: ", case_label::title_within(equal, cases, order))
        } else {
            String::new()
        };
        labelled(
            out,
            &format!("    {engine:width$}  "),
            &format!("{on}{}", words.verdict),
        );
        let label = format!("    {:width$}  - ", "");
        if words.notes.len() > 1 && !printed.notes.insert((engine, words.notes.clone())) {
            labelled(out, &label, "what was noted above");
            continue;
        }
        for note in &words.notes {
            labelled(out, &label, note);
        }
    }
}

/// The text about one engine.
#[derive(PartialEq)]
struct EngineLines {
    /// Its place among the engines that were asked.
    place: usize,
    engine: &'static str,
    verdict: String,
    notes: Vec<String>,
}

fn engine_lines(case: &CaseReport) -> Vec<EngineLines> {
    let reference = case.reference();
    let words = case.runs.iter().enumerate().map(|(place, run)| match run {
        EngineRun::NotRun { engine, reason } => EngineLines {
            place,
            engine,
            verdict: format!("cannot run this: {reason}"),
            notes: Vec::new(),
        },
        EngineRun::Ran(report) => {
            let compared = case
                .agreement
                .iter()
                .find(|one| one.engine == report.engine);
            let verdict = compared.map_or_else(
                || format!("{} calls", report.attempts.len()),
                |one| super::summary::agreement(one, reference, report),
            );
            EngineLines {
                place,
                engine: report.engine,
                verdict,
                notes: report.notes.clone(),
            }
        }
    });
    words.collect()
}

/// Expectations that did not come true. They fail the test as well, but the snapshot says so to
/// the reviewer.
fn remarks(out: &mut String, cases: &[&CaseReport], order: &Order) {
    let mut lines: Vec<(String, Vec<&CaseReport>)> = Vec::new();
    for case in cases {
        for report in case.judged() {
            for unmet in &report.expect_failed {
                let text = format!("{} ({})", unmet.text, report.engine);
                match lines.iter_mut().find(|(one, _)| *one == text) {
                    Some((_, equal)) => equal.push(case),
                    None => lines.push((text, vec![case])),
                }
            }
        }
    }
    if lines.is_empty() {
        return;
    }
    out.push_str("  not as expected\n");
    for (text, equal) in lines {
        labelled(
            out,
            "    ",
            &format!(
                "{text}, on {}",
                case_label::title_within(&equal, cases, order)
            ),
        );
    }
}
