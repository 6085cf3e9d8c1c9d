//! Kernels compared on one scenario: who behaves alike, and which behaviours set the groups apart.

use fourtuple_kernel::profile::{self, Profile};

use super::events::Story;
use super::{columns, labelled};
use crate::changes::{self, History};
use crate::engine::Engine as _;
use crate::group::Group;
use crate::kernels::Order;
use crate::model::Model;
use crate::runner::ScenarioReport;
use crate::tally::tally;

/// The comparison.
#[must_use]
pub fn compare(report: &ScenarioReport) -> String {
    let order = Order::new();
    let groups = Group::all(report);
    let mut out = format!("{}\n", report.name);
    labelled(&mut out, "  ", &report.about);
    for (n, group) in groups.iter().enumerate() {
        out.push('\n');
        labelled(&mut out, &format!("{}. ", n + 1), &group.title(&order));
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
            "All of these kernels answer alike, though they may choose other ports.",
        );
        return out;
    }
    for history in changes::histories(report, &groups) {
        labelled(&mut out, "", &told(&history));
    }
    out.push('\n');
    for (n, pair) in groups.windows(2).enumerate() {
        difference(&mut out, n + 1, &pair[0], &pair[1]);
    }
    out
}

/// A history in a sentence: where the answers change first, and what comes when.
fn told(history: &History) -> String {
    let mut words = format!("First change: {}", history.first_change());
    if !history.point.is_empty() {
        words.push_str(&format!(" (with {})", history.point));
    }
    words.push_str(". In the order of release: ");
    let parts: Vec<String> = history
        .stretches
        .iter()
        .map(|stretch| {
            let kernels = if stretch.first == stretch.last {
                stretch.first.clone()
            } else {
                format!("{}..{}", stretch.first, stretch.last)
            };
            match stretch.group {
                Some(group) => format!("{kernels} as in {}", group + 1),
                None => format!("{kernels} as in none of these"),
            }
        })
        .collect();
    words.push_str(&parts.join(", then "));
    words.push('.');
    words
}

/// Names the behaviours that make the difference: those which, changed alone in a kernel of the first group to what
/// the second group has, give the second group's answers.
fn difference(out: &mut String, n: usize, a: &Group<'_>, b: &Group<'_>) {
    let (Some(first), Some(second)) = (profile_of(a), profile_of(b)) else {
        return;
    };
    let between = format!("From {n} to {}", n + 1);
    let names = first.behaviours.differing(&second.behaviours);
    if names.is_empty() {
        labelled(
            out,
            "",
            &format!("{between} the kernel is the same; the scenario is not."),
        );
        return;
    }
    let alone: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| makes_difference(a, b, &first, &second, name))
        .collect();
    let (told, lead) = if alone.is_empty() {
        (
            names,
            "no single behaviour makes the difference; they differ in",
        )
    } else {
        (alone, "the difference is made by")
    };
    labelled(
        out,
        "",
        &format!("{between}, {} to {}, {lead}", first.name, second.name),
    );
    for (one, other) in first
        .behaviours
        .rows()
        .into_iter()
        .zip(second.behaviours.rows())
    {
        if told.contains(&one.name) {
            let text = format!(
                "{} ({}): {}, then {}",
                one.about, one.function, one.value, other.value
            );
            labelled(out, &format!("   {}  ", one.name), &text);
        }
    }
}

fn profile_of(group: &Group<'_>) -> Option<Profile> {
    profile::find(&group.cases[0].case.kernel)
}

/// Runs the first group's case with one behaviour as the second group has it.
fn makes_difference(
    a: &Group<'_>,
    b: &Group<'_>,
    first: &Profile,
    second: &Profile,
    name: &str,
) -> bool {
    let case = &a.cases[0].case;
    let changed = first.behaviours.mutants(name);
    let changed = changed
        .into_iter()
        .find(|one| !one.differing(&second.behaviours).contains(&name));
    let Some(behaviours) = changed else {
        return false;
    };
    let profile = Profile {
        behaviours,
        ..first.clone()
    };
    let Ok(run) = Model.run(case, &profile) else {
        return false;
    };
    Story::of(&run.attempts, case.program.steps().is_some()).is_like(&b.story)
}
