//! Kernels compared on one scenario: who behaves alike, and which behaviours set the groups apart.

use fourtuple_kernel::profile::{self, Behaviours};

use super::{columns, labelled};
use crate::group::Group;
use crate::kernels::Order;
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
                rows.push(vec![tally.process.to_string(), tally.op.to_string(), tally.to_string()]);
            }
            columns(&mut out, 3, &rows);
        }
    }
    out.push('\n');
    if groups.len() < 2 {
        labelled(&mut out, "", "All of these kernels answer alike, though they may choose other ports.");
        return out;
    }
    for (n, pair) in groups.windows(2).enumerate() {
        difference(&mut out, n + 1, &pair[0], &pair[1]);
    }
    out
}

/// Every behaviour that all kernels of one group have in common and none of the other group shares can be the reason.
fn difference(out: &mut String, n: usize, a: &Group<'_>, b: &Group<'_>) {
    let (left, right) = (behaviours(a), behaviours(b));
    let (Some(first), Some(second)) = (left.first(), right.first()) else { return };
    let sets_apart = |name: &str| {
        left.iter().all(|one| right.iter().all(|other| one.differing(other).contains(&name)))
    };
    let rows: Vec<Vec<String>> = first
        .rows()
        .into_iter()
        .zip(second.rows())
        .filter(|(row, _)| sets_apart(row.name))
        .map(|(one, other)| {
            let values = format!("{} / {}", one.value, other.value);
            vec![one.name.to_owned(), values, one.function.to_owned(), one.about.to_owned()]
        })
        .collect();
    if rows.is_empty() {
        labelled(out, "", &format!("{n} and {}: no single behaviour sets all of them apart", n + 1));
        return;
    }
    labelled(out, "", &format!("{n} and {}: set apart by", n + 1));
    columns(out, 3, &rows);
}

fn behaviours(group: &Group<'_>) -> Vec<Behaviours> {
    let names = group.cases.iter().map(|case| case.case.kernel.as_str());
    names.filter_map(profile::find).map(|profile| profile.behaviours).collect()
}
