//! Groups of cases whose outcomes are equal except for port numbers.

use std::sync::Arc;

use crate::events::EventTable;
use crate::runner::{CaseReport, ScenarioReport};

/// Cases with the same story.
#[derive(Debug)]
pub struct Group<'a> {
    /// The story that they share.
    pub story: EventTable,
    /// The cases; never empty.
    pub cases: Vec<&'a CaseReport>,
    /// All cases of the scenario.
    pub all: &'a [CaseReport],
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
}
