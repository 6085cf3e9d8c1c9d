//! Cases that came out alike, ports apart.

use crate::kernels::Order;
use crate::runner::{CaseReport, ScenarioReport};
use crate::text::events::Story;

/// Cases with the same story.
#[derive(Debug)]
pub struct Group<'a> {
    /// The story that they share.
    pub story: Story,
    /// The cases; never empty.
    pub cases: Vec<&'a CaseReport>,
}

impl<'a> Group<'a> {
    /// The groups of a scenario, in the order of their first case. Cases that no engine can run are left out.
    #[must_use]
    pub fn all(report: &'a ScenarioReport) -> Vec<Group<'a>> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        for case in &report.cases {
            let Some(reference) = case.reference() else {
                continue;
            };
            let story = Story::of(&reference.attempts, case.case.program.steps().is_some());
            match groups.iter_mut().find(|group| group.story.is_like(&story)) {
                Some(group) => group.cases.push(case),
                None => groups.push(Group {
                    story,
                    cases: vec![case],
                }),
            }
        }
        groups
    }

    /// Which cases these are: `rhel-6.5, linux-6.18` or `rhel-6.5, linux-6.18 with tw_reuse=1`.
    #[must_use]
    pub fn title(&self, order: &Order) -> String {
        title(&self.cases, order)
    }
}

/// Cases by the points of the matrix that they are about, kernels written short.
#[must_use]
pub fn title(cases: &[&CaseReport], order: &Order) -> String {
    // Points with the same kernels share a line, kernels with the same points as well.
    let mut by_point: Vec<(String, Vec<&str>)> = Vec::new();
    for case in cases {
        let point = point(case);
        let names = case.kernels.iter().map(|name| &**name);
        match by_point.iter_mut().find(|(one, _)| *one == point) {
            Some((_, kernels)) => kernels.extend(names),
            None => by_point.push((point, names.collect())),
        }
    }
    let mut by_kernels: Vec<(String, Vec<String>)> = Vec::new();
    for (point, kernels) in by_point {
        let kernels = order.compact(&kernels);
        match by_kernels.iter_mut().find(|(one, _)| *one == kernels) {
            Some((_, points)) => points.push(point),
            None => by_kernels.push((kernels, vec![point])),
        }
    }
    let parts = by_kernels
        .into_iter()
        .map(|(kernels, points)| match points.as_slice() {
            [only] if only.is_empty() => kernels,
            _ => format!("{kernels} with {}", points.join(" or ")),
        });
    parts.collect::<Vec<_>>().join("; ")
}

/// Some of the cases of a section, whose title has told the point of the matrix if there is only one.
#[must_use]
pub fn title_within(cases: &[&CaseReport], section: &[&CaseReport], order: &Order) -> String {
    let first = section.first().map(|case| point(case));
    if section.iter().any(|case| Some(point(case)) != first) {
        return title(cases, order);
    }
    let names: Vec<&str> = cases
        .iter()
        .flat_map(|case| &case.kernels)
        .map(|name| &**name)
        .collect();
    order.compact(&names)
}

/// A point of the matrix: `tw_reuse=1 hold=2s`; empty without a matrix.
#[must_use]
pub fn point(case: &CaseReport) -> String {
    let axes: Vec<String> = case
        .case
        .axes
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    axes.join(" ")
}
