//! The table of fixes, for people and for pull requests.

use fourtuple_analysis::remedies::{Cause, Effect, Remedies, Remedy};
use fourtuple_harness::Unmet;
use fourtuple_harness::kernels::Order;

use super::{capital, columns, labelled, unmet};
use crate::sheet::{Row, Sheet, word};

/// Rows of fixes that are shown without `--all`.
const SHOWN: usize = 6;

/// The fixes of one scenario, after the warnings about expectations that are not met: those of the
/// cases, in the same order. If nothing is refused because of that, there is nothing to fix.
#[must_use]
pub fn answer(remedies: &[Remedies], unmet: &[Vec<Unmet>], all: bool) -> String {
    let any_unmet = unmet.iter().any(|unmet| !unmet.is_empty());
    let mut out = warnings(remedies, unmet);
    if any_unmet && !remedies.iter().any(Remedies::needed) {
        out.push_str("The model refuses no call, so that no fix can be tried.\n");
    } else {
        out.push_str(&table(remedies, all));
    }
    out
}

/// The warnings about the expectations of the cases that are not met.
#[must_use]
pub fn warnings(remedies: &[Remedies], unmet: &[Vec<Unmet>]) -> String {
    let cases = remedies.iter().zip(unmet);
    let warnings = cases.filter_map(|(one, unmet)| unmet::warning(&one.kernel, unmet));
    warnings.map(|warning| format!("{warning}\n")).collect()
}

/// The fixes of one scenario on all kernels that were asked for: what works, what is often tried
/// without effect, and with `all` everything else.
#[must_use]
pub fn table(remedies: &[Remedies], all: bool) -> String {
    let Some(first) = remedies.first() else {
        return String::new();
    };
    let sheet = Sheet::new(remedies, all);
    let mut out = format!("{}\n", first.scenario);
    labelled(&mut out, "  ", &first.about);
    heads(&mut out, &sheet);
    findings(&mut out, remedies);
    if sheet.columns.is_empty() {
        out.push('\n');
        labelled(
            &mut out,
            "  ",
            "Every socket gets its port: there is nothing to fix.",
        );
        return out;
    }
    works(&mut out, &sheet, all);
    tried(&mut out, &sheet, all);
    out
}

/// The columns, with the sockets that are refused there and why.
fn heads(out: &mut String, sheet: &Sheet<'_>) {
    if !sheet.columns.is_empty() {
        out.push('\n');
    }
    let mut rules: Vec<&str> = Vec::new();
    for column in &sheet.columns {
        let one = column.first;
        let label = if sheet.columns.len() > 1 {
            format!("  {}  ", column.label)
        } else {
            "  on       ".to_owned()
        };
        labelled(out, &label, &column.title);
        let mut now = format!(
            "{}: {} of {} sockets without their port",
            list(&one.victims),
            one.before.refused,
            one.before.total
        );
        if one.unchanged.good > 0 {
            now.push_str(&format!(
                ", at {} of {} seeds",
                one.unchanged.of - one.unchanged.good,
                one.unchanged.of
            ));
        }
        if let Some((name, _)) = &one.rule {
            now.push_str(&format!(" ({name})"));
        }
        let label = if sheet.columns.len() > 1 {
            " ".repeat(label.chars().count())
        } else {
            "  refused  ".to_owned()
        };
        labelled(out, &label, &now);
        if let Some((_, text)) = &one.rule
            && !rules.contains(&text.as_str())
        {
            rules.push(text);
        }
    }
    for text in rules {
        labelled(out, "  because  ", text);
    }
    if !sheet.fine.is_empty() && !sheet.columns.is_empty() {
        labelled(out, "  fine on  ", &sheet.fine);
    }
}

fn findings(out: &mut String, remedies: &[Remedies]) {
    let mut bugs: Vec<(&String, Vec<&str>)> = Vec::new();
    let mut found: Vec<String> = Vec::new();
    for one in remedies {
        if let Some(text) = &one.regression {
            match bugs.iter_mut().find(|(known, _)| *known == text) {
                Some((_, kernels)) if kernels.contains(&&*one.kernel) => {}
                Some((_, kernels)) => kernels.push(&one.kernel),
                None => bugs.push((text, vec![&one.kernel])),
            }
        }
        for finding in &one.findings {
            let text = finding.to_string();
            if !found.contains(&text) {
                found.push(text);
            }
        }
    }
    let is_one = remedies.iter().all(|one| one.kernel == remedies[0].kernel);
    for (text, kernels) in bugs {
        let text = match is_one {
            true => text.clone(),
            false => format!("On {}: {text}", Order::new().compact(&kernels)),
        };
        labelled(out, "  note     ", &text);
    }
    for text in &found {
        labelled(out, "  note     ", text);
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "-".to_owned()
    } else {
        names.join(", ")
    }
}

fn works(out: &mut String, sheet: &Sheet<'_>, all: bool) {
    let rows: Vec<&Row<'_>> = sheet.working().collect();
    out.push('\n');
    if rows.is_empty() {
        let about_ports = |cause| cause != Cause::NotLocal;
        let mut columns = sheet.columns.iter();
        let text = if columns.any(|column| about_ports(column.first.cause)) {
            "No known fix works here, alone or in pairs."
        } else {
            "No port is missing, so that no fix for ports helps: see the note."
        };
        labelled(out, "  ", text);
        return;
    }
    let shown = if all {
        rows.len()
    } else {
        SHOWN.min(rows.len())
    };
    let mut head = vec![String::new(), "fix".to_owned()];
    match sheet.columns.as_slice() {
        [_] => head.push("works".to_owned()),
        several => head.extend(several.iter().map(|column| column.label.clone())),
    }
    head.push("who".to_owned());
    let mut table = vec![head];
    for (n, row) in rows[..shown].iter().enumerate() {
        let mut line = vec![format!("{}.", n + 1), row.best.name.clone()];
        line.extend(row.cells.iter().map(|cell| word(*cell)));
        line.push(list(&row.best.who));
        table.push(line);
    }
    columns(out, 2, &table);
    for (n, row) in rows[..shown].iter().enumerate() {
        let one = row.best;
        let exists = |cell: &Option<&Remedy>| cell.is_none_or(|one| one.effect != Effect::Absent);
        let since = match one.since.as_str() {
            "every kernel" | "-" => String::new(),
            _ if !all && row.cells.iter().all(exists) => String::new(),
            since => format!(" Since {since}."),
        };
        let text = format!("{}.{since} Costs: {}.{}", one.change, one.cost, stale(one));
        labelled(out, &format!("  {}. ", n + 1), &text);
    }
    if shown < rows.len() {
        let more = rows.len() - shown;
        labelled(out, "  ", &format!("{more} more work: --all lists them."));
    }
}

fn stale(one: &Remedy) -> String {
    one.stale
        .as_ref()
        .map(|why| format!(" {}.", capital(why)))
        .unwrap_or_default()
}

/// The rest: what is often tried with its reason, and the number of all others; each with its
/// reason with `all`.
fn tried(out: &mut String, sheet: &Sheet<'_>, all: bool) {
    let rest: Vec<&Row<'_>> = sheet
        .rows
        .iter()
        .filter(|row| !row.best.effect.works())
        .collect();
    if all {
        each(out, &rest);
        return;
    }
    // Where no port is missing, there is nothing to say about what is tried for want of one.
    let about_ports = |cause| cause != Cause::NotLocal;
    let mut columns = sheet.columns.iter();
    let about_ports = columns.any(|column| about_ports(column.first.cause));
    let tried = |row: &&&Row<'_>| {
        let was_tried = !matches!(row.best.effect, Effect::DoesNotApply | Effect::Untried);
        about_ports && row.best.often_tried && was_tried
    };
    let shown: Vec<String> = rest
        .iter()
        .filter(tried)
        .map(|row| short(row.best))
        .collect();
    let untried = |row: &&&Row<'_>| row.best.effect == Effect::Untried;
    let rest = rest.iter().filter(|row| !tried(row));
    let (untried, hidden): (Vec<&&Row<'_>>, Vec<&&Row<'_>>) = rest.partition(untried);
    let mut text = String::new();
    if !shown.is_empty() {
        text = format!("No fix: {}.", shown.join("; "));
    }
    if !hidden.is_empty() {
        let count = |effect: Effect, words: &str| {
            let with = hidden.iter().filter(|row| row.best.effect == effect);
            let n = with.count();
            (n > 0).then(|| format!("{n} {words}"))
        };
        let parts = [
            count(Effect::ByLuck, "by luck only"),
            count(Effect::HelpsPartly, "in part"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let parts = match parts.as_slice() {
            [] => String::new(),
            parts => format!(" ({})", parts.join(", ")),
        };
        let n = hidden.len();
        text.push_str(&format!(
            " {n} others do not help{parts}: --all lists them."
        ));
    }
    out.push('\n');
    labelled(out, "  ", text.trim_start());
    if !untried.is_empty() {
        let names: Vec<&str> = untried.iter().map(|row| row.best.name.as_str()).collect();
        let text = format!("Not tried, for want of calls: {}.", names.join("; "));
        labelled(out, "  ", &text);
    }
}

/// A fix that is none, with its reason in a few words.
fn short(one: &Remedy) -> String {
    let by_luck = match one.effect {
        Effect::Nothing | Effect::Absent => String::new(),
        effect => format!("{}: ", effect.words()),
    };
    let why = one
        .why
        .as_deref()
        .unwrap_or("the same sockets are refused as before");
    format!("{} ({by_luck}{why})", one.name)
}

/// Every fix that is none, a paragraph each.
fn each(out: &mut String, rest: &[&Row<'_>]) {
    if !rest.is_empty() {
        out.push_str("\n  No fix\n");
    }
    for row in rest {
        let one = row.best;
        let after = one
            .seeds
            .map(|seeds| format!(" at {seeds} seeds"))
            .unwrap_or_default();
        let why = match (&one.why, one.effect) {
            (Some(why), _) => why,
            (None, Effect::Untried) => "the calls that trials may make are used up",
            (None, _) => "the same sockets are refused as before",
        };
        let text = format!(
            "{} {}{after}: {why}.{}",
            one.name,
            one.effect.words(),
            stale(one)
        );
        labelled(out, "  - ", &text);
    }
}

/// The fixes as a table in Markdown, to paste into a pull request.
#[must_use]
pub fn markdown(remedies: &[Remedies], all: bool) -> String {
    let Some(first) = remedies.first() else {
        return String::new();
    };
    let sheet = Sheet::new(remedies, all);
    let mut out = format!(
        "### {}\n\n{}\n\n",
        cell(&first.scenario),
        cell(&first.about)
    );
    if sheet.columns.is_empty() {
        out.push_str("Every socket gets its port: there is nothing to fix.\n");
        return out;
    }
    let mut head = vec!["fix".to_owned()];
    head.extend(sheet.columns.iter().map(|column| cell(&column.title)));
    head.extend(["who", "change", "cost"].map(str::to_owned));
    let rows: Vec<Vec<String>> = sheet
        .rows
        .iter()
        .filter(|row| all || row.best.effect.works() || row.best.often_tried)
        .map(|row| {
            let one = row.best;
            let mut line = vec![cell(&one.name)];
            line.extend(row.cells.iter().map(|cell| word(*cell)));
            line.push(cell(&list(&one.who)));
            line.push(cell(if one.effect.works() {
                &one.change
            } else {
                one.why.as_deref().unwrap_or("")
            }));
            line.push(if one.effect.works() {
                cell(&one.cost)
            } else {
                String::new()
            });
            line
        })
        .collect();
    crate::text::markdown(&mut out, &head, &rows);
    out
}

/// Text inside a cell of a Markdown table.
fn cell(text: &str) -> String {
    crate::text::escape_markdown(text)
}
