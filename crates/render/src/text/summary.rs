//! A scenario in a few lines, for the terminal.

use std::collections::BTreeSet;

use fourtuple_analysis::findings;
use fourtuple_harness::kernels::Order;
use fourtuple_harness::{
    Agreement, Attempts, CaseReport, Conformance, EngineRun, Group, Name, RunReport,
    ScenarioReport, Tally, Why, tally,
};
use fourtuple_kernel::{Rule, profile};

use super::{Style, Text, plain};
use crate::case_label::title;

/// The lines of one scenario.
#[must_use]
pub fn summary(report: &ScenarioReport) -> Text {
    let order = Order::new();
    let mut out = Text::default();
    out.styled(Style::Heading, &report.name);
    out.push("\n");
    out.labelled((None, "  "), None, &report.about);
    // Groups differ in the order of calls as well, of which a summary says nothing.
    let mut outcomes: Vec<(Vec<&CaseReport>, Text)> = Vec::new();
    for group in Group::all(report) {
        let text = outcome(group.cases[0]);
        match outcomes.iter_mut().find(|(_, known)| *known == text) {
            Some((cases, _)) => cases.extend(group.cases),
            None => outcomes.push((group.cases, text)),
        }
    }
    for (cases, text) in &outcomes {
        out.labelled((None, "  on "), None, &title(cases, &report.cases, &order));
        out.append(text);
    }
    for (engines, line) in engine_lines(report) {
        let mut compared = report.cases.iter().flat_map(|case| &case.agreement);
        let differs = compared.any(|one| one.fails() && engines.contains(&one.engine));
        out.labelled((None, "  "), differs.then_some(Style::Bad), &line);
    }
    unmet(&mut out, report);
    out
}

/// The results of one case, and the findings about it.
fn outcome(case: &CaseReport) -> Text {
    let mut out = Text::default();
    let Some(reference) = case.reference() else {
        return out;
    };
    results(&mut out, &reference.attempts);
    if let Some(profile) = profile::find(&case.case.kernel) {
        for finding in findings(&case.case, &profile, &reference.attempts) {
            out.labelled((None, "    note: "), None, &finding.to_string());
        }
    }
    out
}

/// Expectations that did not hold.
fn unmet(out: &mut Text, report: &ScenarioReport) {
    for run in report.cases.iter().flat_map(CaseReport::judged) {
        for unmet in &run.expect_failed {
            let line = unmet
                .line
                .map(|line| format!("line {line}: "))
                .unwrap_or_default();
            let text = format!("{line}{} ({}, {})", unmet.text, run.engine, run.kernel);
            out.labelled((Some(Style::Bad), "  NOT AS EXPECTED  "), None, &text);
        }
    }
}

/// A line for each process, `binders bind 4 ok, connect 4 ok`, with the reasons of its refused
/// calls below: in plain words, then in the kernel's.
fn results(out: &mut Text, attempts: &Attempts) {
    let tallies = tally(attempts);
    let width = tallies
        .iter()
        .map(|tally| tally.process.chars().count())
        .max()
        .unwrap_or(0);
    let reasons = reasons(attempts);
    let mut given: Vec<Rule> = Vec::new();
    for of_one in tallies.chunk_by(|a, b| a.process == b.process) {
        let process = &of_one[0].process;
        let words: Vec<String> = of_one
            .iter()
            .map(|tally| format!("{} {tally}", tally.op))
            .collect();
        let is_refused = |tally: &Tally| tally.answers.iter().any(|(answer, _)| !answer.is_ok());
        let style = of_one.iter().any(is_refused).then_some(Style::Refused);
        let label = format!("    {:width$}  ", &**process);
        out.labelled((None, &label), style, &words.join(", "));
        let label = format!("    {:width$}    ", "");
        for (_, why) in reasons.iter().filter(|(name, _)| *name == process) {
            let plain = format!("because {}", plain::reason(why));
            out.labelled((None, &label), None, &plain);
            let ports = if why.ports.is_empty() {
                String::new()
            } else {
                format!(" ({})", why.ports.words())
            };
            let rule = if given.contains(&why.rule) {
                format!("{}, as above{ports}", why.rule)
            } else {
                let text = why.rule.text().trim_end_matches('.');
                format!("{}: {text}{ports}", why.rule)
            };
            out.labelled((None, &label), Some(Style::Faint), &rule);
            given.push(why.rule);
        }
    }
}

/// The different reasons of refused calls by process, in the order in which they came up.
fn reasons(attempts: &Attempts) -> Vec<(&Name, &Why)> {
    let mut found: Vec<(&Name, &Why)> = Vec::new();
    for attempt in attempts {
        let Some(why) = attempt.why() else { continue };
        if !found
            .iter()
            .rev()
            .any(|(process, one)| one.rule == why.rule && *process == attempt.process())
        {
            found.push((attempt.process(), why));
        }
    }
    found
}

/// The agreement of an engine with the model, as text.
#[must_use]
pub fn agreement(one: &Agreement, reference: Option<&RunReport>, report: &RunReport) -> String {
    let calls = one.attempts;
    if let Some(conformance) = &report.conformance {
        return self::conformance(conformance);
    }
    if one.agrees {
        return format!("the same on all {calls} calls");
    }
    if one.differing_results == 0 {
        return match one.required {
            true => format!(
                "DIFFERS in {} of {calls} addresses, {}",
                one.differing,
                first(one)
            ),
            false => "the same results, with other ports".to_owned(),
        };
    }
    let word = if one.required {
        "DIFFERS"
    } else {
        "other results"
    };
    let mut words = format!("{word} on {} of {calls} calls", one.differing_results);
    let theirs = tally(&report.attempts);
    let ours = reference
        .map(|reference| tally(&reference.attempts))
        .unwrap_or_default();
    let differing: Vec<String> = ours
        .iter()
        .filter_map(|tally| {
            let other = theirs
                .iter()
                .find(|one| one.process == tally.process && one.op == tally.op);
            let got = other.map_or_else(|| "none".to_owned(), ToString::to_string);
            let same = got == tally.to_string();
            (!same).then(|| format!("{} {} {got} instead of {tally}", tally.process, tally.op))
        })
        .collect();
    if differing.is_empty() || one.required {
        words.push_str(&format!(", {}", first(one)));
    }
    if !differing.is_empty() {
        words.push_str(&format!(": {}", differing.join("; ")));
    }
    words
}

/// The conformance of a real kernel, as text.
#[must_use]
pub fn conformance(conformance: &Conformance) -> String {
    let Conformance {
        running,
        profile,
        calls,
        ..
    } = conformance;
    match &conformance.disallowed {
        None => format!("{running}: {calls} calls, each answered as {profile} allows"),
        Some(one) => {
            let place = match one.n {
                0 => String::new(),
                n => format!("call {n}, "),
            };
            format!(
                "DIFFERS: {running} answered {} to {place}{}, where {profile} allows {}",
                one.seen,
                one.call,
                one.allowed()
            )
        }
    }
}

fn first(one: &Agreement) -> String {
    let Some(first) = &one.first else {
        return String::new();
    };
    let got = first.got.as_deref().unwrap_or("no call");
    let wanted = first.reference.as_deref().unwrap_or("no call");
    format!(
        "first in call {}, {}: {got}, where {} says {wanted}",
        first.n, first.call, one.with
    )
}

/// The engines of all cases together, each line with the engines that it is about: those that agree
/// in one line, the others one by one.
fn engine_lines(report: &ScenarioReport) -> Vec<(Vec<&'static str>, String)> {
    let mut agree: Vec<&'static str> = Vec::new();
    let mut lines: Vec<(Vec<&'static str>, String)> = Vec::new();
    let engines = report
        .cases
        .first()
        .map(|case| case.runs.iter().map(engine_of).collect::<Vec<_>>());
    for engine in engines.unwrap_or_default() {
        if let Some(of_kernel) = real(report, engine) {
            lines.extend(of_kernel.into_iter().map(|line| (vec![engine], line)));
            continue;
        }
        let words: Vec<String> = report
            .cases
            .iter()
            .filter_map(|case| words(case, engine))
            .collect();
        let mut distinct: Vec<&String> = Vec::new();
        for one in &words {
            if !distinct.contains(&one) {
                distinct.push(one);
            }
        }
        match distinct.as_slice() {
            [] => agree.push(engine),
            [only] => lines.push((vec![engine], format!("{engine}: {only}"))),
            [first, rest @ ..] => {
                let more = rest.len();
                let line = format!("{engine}: {first}; and {more} other ways on other cases");
                lines.push((vec![engine], line));
            }
        }
    }
    if agree.len() > 1 {
        let line = format!("{} agree on every call", agree.join(" and "));
        lines.insert(0, (agree, line));
    }
    lines
}

/// The lines of an engine that has a real kernel: conformance, summed up over the cases, and
/// which cases it has no kernel for.
fn real(report: &ScenarioReport, engine: &'static str) -> Option<Vec<String>> {
    let runs = || {
        report
            .cases
            .iter()
            .flat_map(|case| case.runs.iter().map(move |run| (case, run)))
            .filter(|(_, run)| engine_of(run) == engine)
    };
    let checked = |run: &EngineRun| matches!(run, EngineRun::Ran(ran) if ran.conformance.is_some());
    let reasons: BTreeSet<&str> = runs()
        .filter_map(|(_, run)| match run {
            EngineRun::NotRun { reason, .. } => Some(reason.as_str()),
            EngineRun::Ran(_) => None,
        })
        .collect();
    let never = runs().all(|(_, run)| matches!(run, EngineRun::NotRun { .. }));
    let shown = runs().any(|(_, run)| checked(run)) || never && reasons.len() > 1;
    if !shown {
        return None;
    }
    let mut lines: Vec<String> = Vec::new();
    // Per kernel and profile: how many cases and calls.
    let mut good: Vec<(&str, &str, u64, u64)> = Vec::new();
    let mut notes: Vec<&String> = Vec::new();
    let mut cannot: Vec<(&str, Vec<&str>)> = Vec::new();
    for (case, run) in runs() {
        match run {
            EngineRun::NotRun { reason, .. } => {
                let names = case.kernels.iter().map(|name| &**name);
                match cannot.iter_mut().find(|(same, _)| *same == reason.as_str()) {
                    Some((_, kernels)) => kernels.extend(names),
                    None => cannot.push((reason.as_str(), names.collect())),
                }
            }
            EngineRun::Ran(ran) => {
                notes.extend(ran.notes.iter());
                let Some(conformance) = &ran.conformance else {
                    continue;
                };
                if !conformance.allowed() {
                    lines.push(format!("{engine}: {}", self::conformance(conformance)));
                    continue;
                }
                let known = good.iter_mut().find(|(running, profile, ..)| {
                    *running == conformance.running && *profile == conformance.profile
                });
                match known {
                    Some((.., cases, calls)) => {
                        *cases += 1;
                        *calls += conformance.calls;
                    }
                    None => good.push((
                        &conformance.running,
                        &conformance.profile,
                        1,
                        conformance.calls,
                    )),
                }
            }
        }
    }
    for (running, profile, cases, calls) in good {
        let over = match cases {
            1 => String::new(),
            n => format!(" of {n} cases"),
        };
        lines.push(format!(
            "{engine}: {running}: {calls} calls{over}, each answered as {profile} allows"
        ));
    }
    let order = Order::new();
    for (reason, kernels) in cannot {
        lines.push(format!(
            "{engine}: not on {}: {reason}",
            order.compact(&kernels)
        ));
    }
    let mut printed: Vec<&String> = Vec::new();
    for note in notes {
        if !printed.contains(&note) {
            lines.push(format!("{engine}: {note}"));
            printed.push(note);
        }
    }
    Some(lines)
}

fn engine_of(run: &EngineRun) -> &'static str {
    match run {
        EngineRun::Ran(report) => report.engine,
        EngineRun::NotRun { engine, .. } => engine,
    }
}

/// The differences of an engine on a case; none if there is nothing to report.
fn words(case: &CaseReport, engine: &str) -> Option<String> {
    let run = case.runs.iter().find(|run| engine_of(run) == engine)?;
    match run {
        EngineRun::NotRun { reason, .. } => Some(format!("cannot run this: {reason}")),
        EngineRun::Ran(report) => {
            let one = case.agreement.iter().find(|one| one.engine == engine);
            let mut parts: Vec<String> = Vec::new();
            if let Some(one) = one.filter(|one| !one.agrees) {
                parts.push(agreement(one, case.reference(), report));
            }
            // What an engine for contrast cannot do is in the snapshot; here it would hide what the
            // others say.
            if one.is_none_or(|one| one.required) {
                parts.extend(report.notes.iter().cloned());
            }
            (!parts.is_empty()).then(|| parts.join("; "))
        }
    }
}
