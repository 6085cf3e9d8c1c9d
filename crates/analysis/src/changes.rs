//! When the answers change: a scenario on the kernels between those that were asked for, in the
//! order of their release.

use fourtuple_harness::{
    CaseReport, Engine as _, EventTable, Group, Model, ScenarioReport, kernels,
};
use fourtuple_kernel::profile::{self, Behaviours, Profile};
use fourtuple_scenario::Case;
use schemars::JsonSchema;
use serde::Serialize;

/// Neighbours in the order of release with the same answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stretch {
    /// The first of them.
    pub first: String,
    /// The last of them.
    pub last: String,
    /// The group whose answers they have, counted from 0; none if they answer like no kernel that
    /// was asked for.
    pub group: Option<usize>,
}

/// The kernels from one that was asked for to another, at one point of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct History {
    /// The point of the matrix; empty without one.
    pub point: String,
    /// The stretches, the oldest first; at least two.
    pub stretches: Vec<Stretch>,
    /// The difference between each stretch and the next; one fewer than there are stretches.
    pub differences: Vec<Difference>,
}

/// The behaviours by which one kernel answers otherwise than another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// The kernel with the old answers.
    pub from: String,
    /// The kernel with the new answers.
    pub to: String,
    /// True if each of the behaviours makes the difference by itself.
    pub alone: bool,
    /// The behaviours.
    pub behaviours: Vec<Change>,
}

/// A behaviour that differs between two kernels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// Its name, as `fourtuple kernels NAME` lists it.
    pub name: &'static str,
    /// Its description with the kernel function, the old value and the new one.
    pub text: String,
}

impl Difference {
    /// Finds the behaviours which, changed alone in the first kernel to the value of the second,
    /// give the second kernel's answers. If no single one does, all in which the kernels differ.
    #[must_use]
    pub fn between(case: &Case, from: &str, to: &str) -> Option<Self> {
        let (first, second) = (profile::find(from)?, profile::find(to)?);
        let steps = case.program.steps().is_some();
        let story = |case: &Case, profile: &Profile| {
            let report = Model.run(case, profile).ok()?;
            Some(EventTable::of(&report.attempts, steps))
        };
        let mut on_second = case.clone();
        to.clone_into(&mut on_second.kernel);
        let wanted = story(&on_second, &second)?;
        let names = first.behaviours.differing(&second.behaviours);
        let makes_it = |name: &&str| {
            let mutants = first.behaviours.mutants(name).into_iter();
            let changed = mutants
                .filter(|one| !one.differing(&second.behaviours).contains(name))
                .map(|behaviours| Profile {
                    behaviours,
                    ..first.clone()
                });
            changed
                .take(1)
                .filter_map(|profile| story(case, &profile))
                .any(|story| story.is_like(&wanted))
        };
        let single: Vec<&str> = names.iter().copied().filter(makes_it).collect();
        let shown = if single.is_empty() { &names } else { &single };
        let rows = first.behaviours.rows().into_iter();
        let behaviours = rows
            .zip(second.behaviours.rows())
            .filter(|(old, _)| shown.contains(&old.name))
            .map(|(old, new)| {
                let text = format!(
                    "{} ({}): {}, then {}",
                    old.about, old.function, old.value, new.value
                );
                Change {
                    name: old.name,
                    text,
                }
            })
            .collect();
        Some(Difference {
            from: from.to_owned(),
            to: to.to_owned(),
            alone: !single.is_empty(),
            behaviours,
        })
    }
}

impl History {
    /// The first kernel that answers otherwise than the oldest.
    #[must_use]
    pub fn first_change(&self) -> &str {
        &self.stretches[1].first
    }
}

/// Walks from the oldest to the newest kernel of each family selected, and reports where
/// the answers change. When no family was asked for twice, the walk goes from the oldest to the
/// newest of all, along mainline.
#[must_use]
pub fn histories(report: &ScenarioReport, groups: &[Group<'_>]) -> Vec<History> {
    let mut points: Vec<(String, Vec<&CaseReport>)> = Vec::new();
    for case in &report.cases {
        let point = case.point();
        match points.iter_mut().find(|(one, _)| *one == point) {
            Some((_, cases)) => cases.push(case),
            None => points.push((point, vec![case])),
        }
    }
    let mut found = Vec::new();
    for (point, cases) in points {
        let mut walk = Walk {
            groups,
            case: &cases[0].case,
            others: Vec::new(),
            known: cases
                .iter()
                .filter_map(|case| known(groups, case))
                .collect(),
        };
        for path in paths(&cases) {
            let stretches = walk.along(&path);
            if stretches.len() > 1 {
                let differences = stretches.windows(2).filter_map(|pair| {
                    let mut case = walk.case.clone();
                    case.kernel.clone_from(&pair[0].last);
                    Difference::between(&case, &pair[0].last, &pair[1].first)
                });
                found.push(History {
                    point: point.clone(),
                    differences: differences.collect(),
                    stretches,
                });
            }
        }
    }
    found
}

/// The ways to walk, each as names in the order of release.
fn paths(cases: &[&CaseReport]) -> Vec<Vec<String>> {
    let all = profile::names();
    let place = |name: &str| all.iter().position(|one| one == name);
    let mut asked: Vec<usize> = cases
        .iter()
        .flat_map(|case| &case.kernels)
        .filter_map(|name| place(name))
        .collect();
    asked.sort_unstable();
    asked.dedup();
    let between = |family: &str, ends: &[usize]| -> Vec<String> {
        let (Some(first), Some(last)) = (ends.first(), ends.last()) else {
            return Vec::new();
        };
        (*first..=*last)
            .filter(|at| {
                let released =
                    kernels::family(&all[*at]) == family && !kernels::is_stable(&all[*at]);
                released || ends.contains(at)
            })
            .map(|at| all[at].clone())
            .collect()
    };
    let mut families: Vec<(&str, Vec<usize>)> = Vec::new();
    for at in &asked {
        let family = kernels::family(&all[*at]);
        match families.iter_mut().find(|(one, _)| *one == family) {
            Some((_, ends)) => ends.push(*at),
            None => families.push((family, vec![*at])),
        }
    }
    let walked: Vec<Vec<String>> = families
        .iter()
        .filter(|(_, ends)| ends.len() > 1)
        .map(|(family, ends)| between(family, ends))
        .collect();
    if walked.is_empty() {
        return vec![between(kernels::MAINLINE, &asked)];
    }
    walked
}

/// The kernel's behaviours and its group, for a case that has run.
fn known(groups: &[Group<'_>], case: &CaseReport) -> Option<(Behaviours, usize)> {
    let holds = |group: &Group<'_>| group.cases.iter().any(|one| std::ptr::eq(*one, case));
    let group = groups.iter().position(holds)?;
    let profile = profile::find(&case.case.kernel)?;
    Some((profile.behaviours, group))
}

struct Walk<'a> {
    groups: &'a [Group<'a>],
    /// A case of this point of the matrix, to be run on other kernels.
    case: &'a Case,
    /// Answers that no kernel gives that was asked for.
    others: Vec<EventTable>,
    /// Answers by behaviours: a group, or beyond the groups one of the others.
    known: Vec<(Behaviours, usize)>,
}

impl Walk<'_> {
    fn along(&mut self, path: &[String]) -> Vec<Stretch> {
        let mut stretches: Vec<(Stretch, usize)> = Vec::new();
        for name in path {
            let Some(answers) = self.answers(name) else {
                continue;
            };
            match stretches.last_mut() {
                Some((stretch, same)) if *same == answers => stretch.last.clone_from(name),
                _ => {
                    let stretch = Stretch {
                        first: name.clone(),
                        last: name.clone(),
                        group: (answers < self.groups.len()).then_some(answers),
                    };
                    stretches.push((stretch, answers));
                }
            }
        }
        stretches.into_iter().map(|(stretch, _)| stretch).collect()
    }

    /// Returns the group of a kernel's answers; none if the case cannot run on it.
    fn answers(&mut self, name: &str) -> Option<usize> {
        let profile = profile::find(name)?;
        let known = self.known.iter();
        if let Some((_, answers)) = known.clone().find(|(one, _)| *one == profile.behaviours) {
            return Some(*answers);
        }
        let mut case = self.case.clone();
        case.kernel = name.to_owned();
        let report = Model.run(&case, &profile).ok()?;
        let story = EventTable::of(&report.attempts, case.program.steps().is_some());
        let groups = self.groups.iter().map(|group| &group.story);
        let found = groups
            .chain(&self.others)
            .position(|one| one.is_like(&story));
        let answers = found.unwrap_or_else(|| {
            self.others.push(story);
            self.groups.len() + self.others.len() - 1
        });
        self.known.push((profile.behaviours, answers));
        Some(answers)
    }
}
