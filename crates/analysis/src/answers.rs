//! All answers about one scenario that has run, as a report shows them.

use fourtuple_harness::{CaseReport, Group, ScenarioReport};
use fourtuple_kernel::profile;

use crate::capacity::{Capacities, Measured, measure};
use crate::port_timeline::{PortTimeline, port_timelines};
use crate::remedies::{self, Allowance, Remedies, SocketCounts};

/// Calls of a case up to which every fix is tried, at every seed.
const FEW_CALLS: usize = 2_000;
/// Calls that the fixes of a larger case may take.
const TRIAL_CALLS: u64 = 200_000;
/// Calls of a case up to which fixes are tried and capacities are counted.
const MOST_CALLS: usize = 50_000;

/// A scenario that has run, with the answers about it.
#[derive(Debug)]
pub struct Answers {
    /// The outcomes.
    pub report: ScenarioReport,
    /// For each group of cases with equal outcomes, the ports of its first case over time.
    pub timelines: Vec<Vec<PortTimeline>>,
    /// The fixes on the first and on the last kernel of each group.
    pub remedies: Vec<Remedies>,
    /// The connections that each program can make, on the first kernel.
    pub capacities: Option<Capacities>,
}

impl Answers {
    /// Records the ports, tries the fixes and counts the capacities of a scenario that has run.
    #[must_use]
    pub fn new(report: ScenarioReport) -> Self {
        let groups = Group::all(&report);
        let first = groups.first().map(|group| group.cases[0]);
        Answers {
            timelines: groups
                .iter()
                .map(|group| timelines_of(group.cases[0]))
                .collect(),
            remedies: groups
                .iter()
                .flat_map(|group| fixes_of(&group.cases))
                .collect(),
            capacities: first.and_then(capacities_of),
            report,
        }
    }
}

fn timelines_of(case: &CaseReport) -> Vec<PortTimeline> {
    let (Some(profile), Some(reference)) = (profile::find(&case.case.kernel), case.reference())
    else {
        return Vec::new();
    };
    port_timelines(&case.case, &profile, reference.attempts.len()).unwrap_or_default()
}

/// The fixes on the first kernel of a group, and on its last.
fn fixes_of(cases: &[&CaseReport]) -> Vec<Remedies> {
    let Some(reference) = cases[0].reference() else {
        return Vec::new();
    };
    let refused = SocketCounts::of(&reference.attempts).refused > 0;
    if !refused || reference.attempts.len() > MOST_CALLS {
        return Vec::new();
    }
    let first = cases[0];
    let last = cases
        .iter()
        .rev()
        .find(|last| last.case.axes == first.case.axes && last.case.kernel != first.case.kernel);
    let both = std::iter::once(&first).chain(last);
    both.filter_map(|case| examine(case)).collect()
}

fn capacities_of(case: &CaseReport) -> Option<Capacities> {
    let calls = case.reference()?.attempts.len();
    if calls > MOST_CALLS {
        return None;
    }
    let profile = profile::find(&case.case.kernel)?;
    let mut measured = Measured::default();
    measure(&case.case, &profile, &mut measured, &mut |_| {}).ok()
}

fn examine(case: &CaseReport) -> Option<Remedies> {
    let profile = profile::find(&case.case.kernel)?;
    let mut allowance = match case.reference()?.attempts.len() {
        0..=FEW_CALLS => Allowance::UNLIMITED,
        _ => Allowance::of(TRIAL_CALLS),
    };
    remedies::examine(&case.case, &profile, &mut allowance, &mut |_, _| {}).ok()
}
