//! Kernels compared on one scenario: equivalent kernels, and the behaviours that set the groups
//! apart.

use fourtuple_analysis::{Difference, History, histories};
use fourtuple_harness::kernels::Order;
use fourtuple_harness::{Group, ScenarioReport, tally};

use super::{columns, labelled};
use crate::case_label;

/// The comparison.
#[must_use]
pub fn compare(report: &ScenarioReport) -> String {
    let order = Order::new();
    let groups = Group::all(report);
    let mut out = format!("{}\n", report.name);
    labelled(&mut out, "  ", &report.about);
    for (n, group) in groups.iter().enumerate() {
        out.push('\n');
        labelled(
            &mut out,
            &format!("{}. ", n + 1),
            &case_label::of_group(group, &order),
        );
        if let Some(reference) = group.cases[0].reference() {
            let mut rows = Vec::new();
            for tally in tally(&reference.attempts) {
                rows.push(vec![
                    tally.process.to_string(),
                    tally.op.to_string(),
                    tally.to_string(),
                ]);
            }
            columns(&mut out, 3, &rows);
        }
    }
    out.push('\n');
    if groups.len() < 2 {
        labelled(
            &mut out,
            "",
            "All of these kernels give the same answers; the port numbers may differ.",
        );
        return out;
    }
    let walked = histories(report, &groups);
    for history in &walked {
        over_time(&mut out, history);
    }
    if walked.is_empty() {
        for (n, pair) in groups.windows(2).enumerate() {
            let between = format!("From {} to {}", n + 1, n + 2);
            difference(&mut out, &between, &pair[0], &pair[1]);
        }
    }
    out
}

/// A history: the first change, then every change with the behaviours that make it.
fn over_time(out: &mut String, history: &History) {
    let mut words = format!("First change: {}", history.first_change());
    if !history.point.is_empty() {
        words.push_str(&format!(" (with {})", history.point));
    }
    words.push_str(". In the order of release:");
    labelled(out, "", &words);
    for (n, stretch) in history.stretches.iter().enumerate() {
        let kernels = if stretch.first == stretch.last {
            stretch.first.clone()
        } else {
            format!("{}..{}", stretch.first, stretch.last)
        };
        let answers = match stretch.group {
            Some(group) => format!("{kernels} as in {}", group + 1),
            None => format!("{kernels} as in none of these"),
        };
        let made = n
            .checked_sub(1)
            .and_then(|before| history.differences.get(before));
        match made {
            None => labelled(out, "  ", &answers),
            Some(made) if made.alone => {
                labelled(out, "  ", &format!("{answers}; the difference is made by"));
                behaviours(out, made);
            }
            Some(made) => {
                labelled(
                    out,
                    "  ",
                    &format!("{answers}; no single behaviour makes the difference; they differ in"),
                );
                behaviours(out, made);
            }
        }
    }
}

fn behaviours(out: &mut String, made: &Difference) {
    for one in &made.behaviours {
        labelled(out, &format!("     {}  ", one.name), &one.text);
    }
}

/// Names the behaviours that set two groups apart which no release connects.
fn difference(out: &mut String, between: &str, a: &Group<'_>, b: &Group<'_>) {
    let (first, second) = (&a.cases[0].case, &b.cases[0].case);
    if first.axes != second.axes {
        labelled(
            out,
            "",
            &format!("{between} the scenario differs: the matrix has another point."),
        );
        return;
    }
    let Some(made) = Difference::between(first, &first.kernel, &second.kernel) else {
        return;
    };
    let lead = if made.alone {
        "the difference is made by"
    } else {
        "no single behaviour makes the difference; they differ in"
    };
    labelled(
        out,
        "",
        &format!("{between}, {} to {}, {lead}", made.from, made.to),
    );
    behaviours(out, &made);
}

/// The comparison as a table in Markdown, to paste into a pull request.
#[must_use]
pub fn markdown(report: &ScenarioReport) -> String {
    let order = Order::new();
    let groups = Group::all(report);
    let mut out = format!(
        "### {}\n\n{}\n\n",
        super::escape_markdown(&report.name),
        super::escape_markdown(&report.about)
    );
    let mut rows = Vec::new();
    for (n, group) in groups.iter().enumerate() {
        let Some(reference) = group.cases[0].reference() else {
            continue;
        };
        let answers: Vec<String> = tally(&reference.attempts)
            .iter()
            .map(|tally| format!("{} {} {tally}", tally.process, tally.op))
            .collect();
        rows.push(vec![
            (n + 1).to_string(),
            super::escape_markdown(&case_label::of_group(group, &order)),
            super::escape_markdown(&answers.join("; ")),
        ]);
    }
    let head = ["", "kernels", "answers"].map(str::to_owned);
    super::markdown(&mut out, &head, &rows);
    for history in histories(report, &groups) {
        for made in &history.differences {
            let names: Vec<&str> = made.behaviours.iter().map(|one| one.name).collect();
            out.push_str(&format!(
                "\n- {} to {}: {}",
                made.from,
                made.to,
                super::escape_markdown(&names.join(", "))
            ));
        }
    }
    out.push('\n');
    out
}
