//! The outcome of a scenario: the text of the command, and its parts.

use fourtuple_analysis::remedies::SocketCounts;
use fourtuple_harness::kernels::Order;
use fourtuple_harness::{
    Assessment, CaseReport, EngineRun, Group, Model, ScenarioReport, ScenarioVerdict, Why, runner,
    tally,
};
use fourtuple_render::text::totals::Totals;
use fourtuple_render::text::{clean, events, explain, plain, summary, unmet};
use fourtuple_render::{json, title};
use serde::Serialize;

use crate::reply::Reply;
use crate::request::Asked;
use crate::select::{self, Selected};

/// Rows of the calls of a group.
const CALLS: usize = 200;
/// Different reasons listed for one group.
const REASONS: usize = 6;

#[derive(Serialize)]
struct Ran {
    /// The output of `fourtuple run FILE --engine model`.
    text: String,
    name: String,
    about: String,
    source: Vec<String>,
    verdict: ScenarioVerdict,
    sentence: String,
    answers: Vec<Answer>,
    unmet: Vec<String>,
    not_run: Vec<String>,
    notes: Vec<String>,
    checked: String,
}

/// The outcome of some cases that is equal, ports apart.
#[derive(Serialize)]
pub(crate) struct Answer {
    title: String,
    /// The place of its first case among those of the scenario.
    point: usize,
    kernels: Vec<String>,
    sentence: String,
    ok: u32,
    refused: u32,
    total: u32,
    results: Vec<Row>,
    reasons: Vec<Reason>,
    /// The calls in order, as text.
    calls: String,
}

/// The results of one call of a process.
#[derive(Serialize)]
struct Row {
    process: String,
    call: String,
    answers: Vec<(String, u32)>,
}

/// The reason of a refusal.
#[derive(Serialize)]
struct Reason {
    plain: String,
    rule: String,
    text: String,
    ports: String,
    path: Vec<&'static str>,
}

/// Runs a scenario.
pub(crate) fn run(asked: &Asked) -> Reply {
    let (scenario, folded) = match Selected::folded(asked) {
        Ok(selected) => selected,
        Err(reply) => return reply,
    };
    let report = runner::run_folded(&scenario, &folded, &[&Model]);
    let assessment = Assessment::of(&report);
    let checked = select::certificate(folded.iter().map(|(case, ..)| &**case));
    let totals = Totals::of(&report, &assessment).summary().to_string();
    let text = format!(
        "{}\n{checked}\n{}",
        clean::text(&summary::summary(&report).to_string()),
        clean::text(&totals)
    );
    let answers = answers(&report);
    Reply::ok(&Ran {
        text,
        name: report.name.to_string(),
        about: report.about.clone(),
        source: report.source.clone(),
        verdict: assessment.verdict,
        sentence: verdict(&answers),
        unmet: unmet_lines(&report),
        not_run: not_run(&report),
        notes: notes(&report),
        answers,
        checked,
    })
}

/// The document of `fourtuple run FILE --engine model --format json`.
pub(crate) fn document(asked: &Asked) -> Reply {
    let (scenario, folded) = match Selected::folded(asked) {
        Ok(selected) => selected,
        Err(reply) => return reply,
    };
    let report = runner::run_folded(&scenario, &folded, &[&Model]);
    let mut out = Vec::new();
    let written = json::Document::start(&mut out).and_then(|mut document| {
        document.add(&mut out, &report)?;
        document.finish(&mut out)
    });
    match written.map(|()| String::from_utf8_lossy(&out).into_owned()) {
        Ok(text) => Reply::ok(&clean::text(&text)),
        Err(error) => Reply::error(format!("failed to write the outcome: {error}"), None),
    }
}

/// The text of `fourtuple explain FILE`.
pub(crate) fn explain(asked: &Asked) -> Reply {
    let mut selected = match Selected::of(asked) {
        Ok(selected) => selected,
        Err(reply) => return reply,
    };
    selected.keep_first_kernel();
    let checked = select::certificate(selected.cases.iter());
    let report = runner::run(&selected.scenario, selected.cases, &[&Model]);
    let mut text = String::new();
    for one in report.cases.iter().filter_map(CaseReport::reference) {
        text.extend(unmet::warning(&one.kernel, &one.expect_failed));
    }
    text.push_str(&explain::explain(&report));
    Reply::ok(&certified(&text, &checked))
}

/// Text of an answer as the command prints it.
pub(crate) fn lines(text: &str) -> String {
    text.lines()
        .map(|line| format!("{}\n", clean::line(line)))
        .collect()
}

/// The same with the line about the checks of profiles.
pub(crate) fn certified(text: &str, checked: &str) -> String {
    format!("{}\n{checked}\n", lines(text))
}

/// The groups of cases with equal outcomes.
pub(crate) fn answers(report: &ScenarioReport) -> Vec<Answer> {
    let order = Order::new();
    let groups = Group::all(report);
    groups
        .iter()
        .filter_map(|group| answer(group, &order))
        .collect()
}

fn answer(group: &Group<'_>, order: &Order) -> Option<Answer> {
    let first = group.cases.first()?;
    let reference = first.reference()?;
    let counts = SocketCounts::of(&reference.attempts);
    let reasons = reasons(first);
    let mut calls = String::new();
    events::write(&group.story, &mut calls, CALLS);
    let kernels = group.cases.iter().flat_map(|case| &case.kernels);
    Some(Answer {
        title: title(&group.cases, group.all, order),
        point: group
            .all
            .iter()
            .position(|case| std::ptr::eq(case, *first))
            .unwrap_or(0),
        kernels: kernels.map(|name| name.to_string()).collect(),
        sentence: sentence(counts, reasons.first()),
        ok: counts.ok,
        refused: counts.refused,
        total: counts.total,
        results: tally(&reference.attempts)
            .iter()
            .map(|one| Row {
                process: one.process.to_string(),
                call: one.op.to_string(),
                answers: one
                    .answers
                    .iter()
                    .map(|(answer, count)| (answer.word().to_owned(), *count))
                    .collect(),
            })
            .collect(),
        reasons,
        calls,
    })
}

/// One sentence about the sockets of an outcome.
fn sentence(counts: SocketCounts, reason: Option<&Reason>) -> String {
    let SocketCounts { refused, total, .. } = counts;
    let sockets = if total == 1 { "socket" } else { "sockets" };
    match (refused, reason) {
        (0, None) => format!("all of {total} {sockets} get what they ask for"),
        (0, Some(reason)) => format!("no socket lacks a port, but a call fails: {}", reason.plain),
        (_, None) => format!("{refused} of {total} {sockets} get no port"),
        (_, Some(reason)) => format!(
            "{refused} of {total} {sockets} get no port: {}",
            reason.plain
        ),
    }
}

/// The verdict on a scenario in one sentence.
fn verdict(answers: &[Answer]) -> String {
    match answers {
        [] => "Nothing ran.".to_owned(),
        [only] => format!("On {}, {}.", only.title, only.sentence),
        [first, rest @ ..] => {
            let n = rest.len() + 1;
            format!(
                "There are {n} different answers. On {}, {}.",
                first.title, first.sentence
            )
        }
    }
}

fn reasons(case: &CaseReport) -> Vec<Reason> {
    let mut found: Vec<&Why> = Vec::new();
    let attempts = case.reference().map(|one| one.attempts.iter());
    for why in attempts.into_iter().flatten().filter_map(|one| one.why()) {
        if found.len() < REASONS && !found.iter().any(|one| one.rule == why.rule) {
            found.push(why);
        }
    }
    let reason = |why: &&Why| Reason {
        plain: plain::reason(why),
        rule: why.rule.name().to_owned(),
        text: why.rule.text().to_owned(),
        ports: match why.ports.is_empty() {
            true => String::new(),
            false => why.ports.words(),
        },
        path: why.path.clone(),
    };
    found.iter().map(reason).collect()
}

fn unmet_lines(report: &ScenarioReport) -> Vec<String> {
    let runs = report.cases.iter().flat_map(CaseReport::judged);
    distinct(runs.flat_map(|run| {
        run.expect_failed.iter().map(|one| {
            let place = one.line.map(|line| format!("line {line}: "));
            format!("{}{} ({})", place.unwrap_or_default(), one.text, run.kernel)
        })
    }))
}

fn not_run(report: &ScenarioReport) -> Vec<String> {
    let runs = report.cases.iter().flat_map(|case| &case.runs);
    distinct(runs.filter_map(|run| match run {
        EngineRun::NotRun { reason, .. } => Some(reason.clone()),
        _ => None,
    }))
}

fn notes(report: &ScenarioReport) -> Vec<String> {
    let runs = report.cases.iter().flat_map(CaseReport::reports);
    distinct(runs.flat_map(|run| run.notes.iter().cloned()))
}

/// The lines, each once, in the order of their first occurrence.
fn distinct(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in all {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
