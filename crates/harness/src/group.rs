//! Groups of cases whose outcomes are equal except for port numbers.

use std::sync::Arc;

use crate::case_label;
use crate::kernels::Order;
use crate::runner::{CaseReport, ScenarioReport};
use crate::text::events::EventTable;

/// Cases with the same story.
#[derive(Debug)]
pub struct Group<'a> {
    /// The story that they share.
    pub story: EventTable,
    /// The cases; never empty.
    pub cases: Vec<&'a CaseReport>,
    /// All cases of the scenario.
    all: &'a [CaseReport],
}

impl<'a> Group<'a> {
    /// The groups of a scenario, in the order of their first case. Cases that no engine can run are
    /// left out.
    #[must_use]
    pub fn all(report: &'a ScenarioReport) -> Vec<Group<'a>> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        for case in &report.cases {
            let Some(reference) = case.reference() else {
                continue;
            };
            // Kernels for which one run stands share its attempts.
            let same = |one: &&CaseReport| {
                one.reference()
                    .is_some_and(|known| Arc::ptr_eq(&known.attempts, &reference.attempts))
            };
            if let Some(group) = groups.iter_mut().find(|group| group.cases.iter().any(same)) {
                group.cases.push(case);
                continue;
            }
            let story = EventTable::of(&reference.attempts, case.case.program.steps().is_some());
            match groups.iter_mut().find(|group| group.story.is_like(&story)) {
                Some(group) => group.cases.push(case),
                None => groups.push(Group {
                    story,
                    cases: vec![case],
                    all: &report.cases,
                }),
            }
        }
        groups
    }

    /// Which cases these are: `rhel-6.5, linux-6.18` or `rhel-6.5, linux-6.18 with tw_reuse=1`.
    #[must_use]
    pub fn title(&self, order: &Order) -> String {
        title(&self.cases, self.all, order)
    }
}

/// Which of all cases of a report these are, kernels written short, axes that make no difference
/// left out.
#[must_use]
pub fn title(cases: &[&CaseReport], all: &[CaseReport], order: &Order) -> String {
    let all: Vec<&CaseReport> = all.iter().collect();
    case_label::label(cases, &all, case_label::WhenAll::Spell, order)
}

/// Which of the cases of a section these are; what all of the section have in common is left out.
#[must_use]
pub fn title_within(cases: &[&CaseReport], section: &[&CaseReport], order: &Order) -> String {
    match case_label::label(cases, section, case_label::WhenAll::Omit, order) {
        words if words.is_empty() => "all of these".to_owned(),
        words => words,
    }
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
