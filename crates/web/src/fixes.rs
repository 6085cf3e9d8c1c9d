//! The fixes of a scenario, with the edit of each.

use fourtuple_analysis::remedies::{self, Allowance, Remedies, Remedy};
use fourtuple_analysis::unmet;
use fourtuple_harness::Unmet;
use fourtuple_kernel::profile;
use fourtuple_render::text;
use fourtuple_scenario::{Case, Scenario};
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use crate::reply::Reply;
use crate::request::Asked;
use crate::run;
use crate::select::{self, Selected};

#[derive(Serialize)]
struct Fixes {
    /// The output of `fourtuple remedies`.
    text: String,
    cases: Vec<OfCase>,
}

/// The fixes on one kernel, at one point of the matrix.
#[derive(Serialize)]
struct OfCase {
    #[serde(flatten)]
    tried: Remedies,
    /// The edit of each fix, in the same order; none where nothing can be changed.
    edits: Vec<Option<Edit>>,
}

/// A fix as a change of the scenario.
#[derive(Serialize)]
struct Edit {
    /// The changed scenario.
    text: String,
    /// The lines that differ, with some lines around them, each after `-`, `+` or a space; after
    /// `@`, the place of the lines that follow.
    diff: Vec<(char, String)>,
    /// True if the comments and the layout of the scenario stay.
    keeps_layout: bool,
}

/// Unchanged lines that are shown around changed ones.
const AROUND: usize = 3;

/// Tries the fixes with at most `calls` calls.
pub(crate) fn fixes(asked: &Asked, calls: u64, progress: &mut dyn FnMut(usize, usize)) -> Reply {
    let selected = match Selected::within_limits(asked, 1) {
        Ok(selected) => selected,
        Err(reply) => return reply,
    };
    let Selected { scenario, cases } = selected;
    let mut allowance = Allowance::of(calls);
    let mut all: Vec<Remedies> = Vec::new();
    let mut changed: Vec<Vec<Option<Edit>>> = Vec::new();
    let mut missed: Vec<Vec<Unmet>> = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        // Names are checked when a scenario is expanded.
        let Some(profile) = profile::find(&case.kernel) else {
            continue;
        };
        // Every case has an equal share of the progress.
        let mut say = |done: usize, of: usize| progress(n * of + done, cases.len() * of);
        let mut part = allowance.part(cases.len() - n);
        let found = remedies::examine(case, &profile, &mut part, &mut say);
        allowance.put_back(part);
        missed.push(unmet(case));
        match found {
            Ok(found) => {
                let edits = found.remedies.iter();
                changed.push(edits.map(|one| edit(&scenario, case, one)).collect());
                all.push(found);
            }
            Err(cannot) => {
                let message = format!("the model cannot run the scenario: {cannot}");
                return Reply::error(message, None);
            }
        }
    }
    Reply::ok(&Fixes {
        text: run::certified(
            &text::remedies::answer(&all, &missed, false),
            &select::certificate(cases.iter()),
        ),
        cases: all
            .into_iter()
            .zip(changed)
            .map(|(tried, edits)| OfCase { tried, edits })
            .collect(),
    })
}

/// The scenario with a fix, with the lines that change.
fn edit(scenario: &Scenario, case: &Case, remedy: &Remedy) -> Option<Edit> {
    let edited = remedies::edited(scenario, case, remedy)?;
    let diff = TextDiff::from_lines(&edited.before, &edited.text);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(AROUND) {
        let first = group.first().map_or(0, |op| op.old_range().start);
        lines.push(('@', format!("line {}", first + 1)));
        let changes = group.iter().flat_map(|op| diff.iter_changes(op));
        lines.extend(changes.map(|change| {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            (sign, change.value().trim_end_matches('\n').to_owned())
        }));
    }
    Some(Edit {
        diff: lines,
        text: edited.text,
        keeps_layout: edited.keeps_layout,
    })
}
