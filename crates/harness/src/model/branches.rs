//! Kernels that part late have the way to there in common.
//!
//! Kernels that are alike in everything that a run asks for share the whole run. Many others differ only in what comes when ports
//! have run out, or when TIME-WAITs begin to end: a long run leaves a branch there, and they go on from it.

use std::ops::RangeInclusive;

use fourtuple_kernel::profile::{Behaviours, Profile};
use fourtuple_kernel::{Asked, Seeded};

use super::processes::Sim;
use super::worlds;
use crate::alike::OnKernel;
use crate::budget::Rate;

/// How many branches are there at a time.
pub(super) const MOST: usize = 2;
/// How many calls the way to a branch takes, at least from the one before: to copy what fewer leave is not faster than to make them
/// again, and more leave much to keep.
const WAY: RangeInclusive<usize> = 1_000..=100_000;

/// The branches that the runs of one case on several kernels have left.
#[derive(Default)]
pub(super) struct Branches<'a> {
    left: Vec<Branch<'a>>,
    /// What those runs have asked for to their ends.
    asked: Option<Asked>,
}

struct Branch<'a> {
    /// The kernel of the run that left it.
    behaviours: Behaviours,
    sim: Sim<'a, Seeded>,
}

impl Branch<'_> {
    fn asked(&self) -> Asked {
        self.sim.net.asked()
    }

    fn give_back(self) {
        worlds::give_back(self.sim.net.world);
    }
}

impl Drop for Branches<'_> {
    fn drop(&mut self) {
        self.left.drain(..).for_each(Branch::give_back);
    }
}

impl<'a> Branches<'a> {
    /// Where the next run can begin that is not at the start, the furthest there is. `rest`: the kernels on which the case has not
    /// run, that of the run among them, and first.
    pub(super) fn take(&mut self, rest: &[OnKernel<'_>]) -> Option<Sim<'a, Seeded>> {
        let ((_, profile), after) = rest.split_first()?;
        let is_for_any = |one: &Branch<'_>, kernels: &[OnKernel<'_>]| {
            is_for_any(&one.behaviours, one.asked(), self.asked, kernels)
        };
        let (left, done): (Vec<_>, Vec<_>) = std::mem::take(&mut self.left)
            .into_iter()
            .partition(|one| is_for_any(one, rest));
        self.left = left;
        done.into_iter().for_each(Branch::give_back);
        let furthest = self.furthest(profile)?;
        let mut sim = if is_for_any(&self.left[furthest], after) {
            self.left[furthest].sim.copy(worlds::take())
        } else {
            self.left.swap_remove(furthest).sim
        };
        sim.net.go_on_as(profile);
        Some(sim)
    }

    /// The branch with the longest way behind it from which a kernel can go on.
    fn furthest(&self, profile: &Profile) -> Option<usize> {
        let left = self.left.iter().enumerate();
        let leads = left
            .filter(|(_, one)| one.behaviours.alike(&profile.behaviours, one.asked()))
            .map(|(n, one)| (one.sim.calls(), n));
        leads.max().map(|(_, n)| n)
    }

    /// A run comes to a place where kernels part. `after`: those on which the case will run after it.
    pub(super) fn offer(
        &mut self,
        sim: &mut Sim<'a, Seeded>,
        profile: &Profile,
        after: &[OnKernel<'_>],
    ) {
        let (asked, behaviours) = (sim.net.asked(), profile.behaviours);
        let on_the_way = self
            .left
            .iter()
            .filter(|one| one.behaviours.alike(&behaviours, one.asked()));
        let before = on_the_way.map(|one| one.sim.calls()).max().unwrap_or(0);
        let far = sim.calls().saturating_sub(before) >= *WAY.start();
        if far
            && sim.calls() <= *WAY.end()
            && self.left.len() < MOST
            && is_for_any(&behaviours, asked, self.asked, after)
        {
            let sim = sim.copy(worlds::take());
            self.left.push(Branch { behaviours, sim });
        }
    }

    /// A run is over.
    pub(super) fn note(&mut self, asked: Asked) {
        self.asked = Some(self.asked.unwrap_or_default().and(asked));
    }
}

/// Whether any of the kernels is alike in what has been asked for at a branch, and not in what runs ask for to their ends. As long
/// as there is none that has ended, that can be anything.
fn is_for_any(
    behaviours: &Behaviours,
    asked: Asked,
    in_all: Option<Asked>,
    kernels: &[OnKernel<'_>],
) -> bool {
    let in_all = in_all.unwrap_or(Asked::ALL);
    kernels.iter().any(|(_, other)| {
        behaviours.alike(&other.behaviours, asked) && !behaviours.alike(&other.behaviours, in_all)
    })
}

/// Bytes that the branches of a case with so many calls take, at most.
pub(super) fn memory(calls: u64) -> u64 {
    if calls < *WAY.start() as u64 {
        return 0;
    }
    calls.min(*WAY.end() as u64) * Rate::MODEL.bytes * MOST as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::budget::calls;
    use crate::engine::Engine;
    use crate::kernels;
    use crate::model::Model;
    use crate::report::RunReport;
    use crate::runner::{Folded, fold};
    use fourtuple_scenario::{expand, parse};

    const FULL: &str = "
hosts:
  app:
    addresses: [10.0.0.3]
    sysctl: { net.ipv4.ip_local_port_range: 30000-31199 }
  api: { addresses: [10.0.1.1, 10.0.1.2], listen: [10.0.1.1:80, 10.0.1.2:80] }
processes:
  first: { on: app, connections: 1200, bind: 10.0.0.3:0, connect: 10.0.1.1:80 }
  second: { on: app, after: first, connections: 3, bind: 10.0.0.3:0, connect: 10.0.1.2:80 }
  third: { on: app, after: second, connections: 3, connect: 10.0.1.2:80 }
";
    const AFTER_A_MINUTE: &str = "
hosts:
  app:
    addresses: [10.0.0.3]
    sysctl: { net.ipv4.ip_local_port_range: 30000-31199 }
  api: { addresses: [10.0.1.1], listen: 10.0.1.1:80 }
processes:
  first: { on: app, connections: 1250, every: 52ms, connect: 10.0.1.1:80, hold: 0s }
";

    fn on_all_kernels(what: &str) -> Vec<Folded> {
        let text = format!("about: a scenario of the tests\nkernel: all\n{what}");
        let scenario = parse("test.yaml", &text).unwrap_or_else(|errors| panic!("{errors}"));
        let cases = expand(&scenario, &kernels::names());
        fold(&scenario, cases.unwrap_or_else(|errors| panic!("{errors}")))
    }

    #[test]
    fn who_goes_on_from_a_branch_ends_like_one_who_went_all_the_way() {
        for what in [FULL, AFTER_A_MINUTE] {
            let folded = on_all_kernels(what);
            let cases: Vec<OnKernel<'_>> = folded.iter().map(|one| (&*one.0, &*one.1)).collect();
            let mut branches = Branches::default();
            let (mut from_branches, mut most) = (0, 0);
            for (n, &(case, profile)) in cases.iter().enumerate() {
                from_branches += usize::from(branches.furthest(profile).is_some());
                let this = Model::run_at(&cases, n, &mut branches).expect("it can run");
                most = most.max(branches.left.len());
                let alone = Model.run(case, profile).expect("it can run");
                let seen = |report: &RunReport| (Arc::clone(&report.attempts), report.asked);
                assert_eq!(seen(&this), seen(&alone), "{}", profile.name);
            }
            assert!(from_branches > 2, "{from_branches} of {}", cases.len());
            assert!(most <= MOST);
        }
    }

    #[test]
    fn short_ways_are_made_again() {
        let folded = on_all_kernels(&FULL.replace("1200", "300").replace("31199", "30299"));
        let cases: Vec<OnKernel<'_>> = folded.iter().map(|one| (&*one.0, &*one.1)).collect();
        let mut branches = Branches::default();
        for n in 0..cases.len() {
            Model::run_at(&cases, n, &mut branches).expect("it can run");
            assert!(branches.left.is_empty());
        }
        assert_eq!(memory(calls(cases[0].0)), 0);
    }
}
