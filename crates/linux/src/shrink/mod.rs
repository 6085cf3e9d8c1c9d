//! Shrinks a program that shows a disallowed answer.
//!
//! Asking a real kernel is slow because programs wait for its timers. So the shrinker first looks
//! for a profile that differs from the expected one in a single behaviour and allows what the
//! kernel answered. That profile replaces the kernel while thousands of programs are tried; the
//! kernel only confirms the short result. If no profile explains the answers, or the kernel does
//! not confirm the result, every candidate runs on the kernel itself.

pub(crate) mod edit;
mod rewrite;
mod tame;
mod walk;

use crate::error::RunError;
use crate::generate::Kind;
use crate::judge::{Counterexample, Judge, MOST_TRIED};
use crate::program::{Call, NO_SOCKET, Program, Step};
use crate::simulate::Translation;
use crate::target::Target;
use fourtuple_kernel::{Behaviours, profile};
use std::collections::BTreeSet;

/// Number of runs before a program counts as not showing the answer, which may depend on the port
/// that it gets.
const TRIES: usize = 8;
/// The same number for the many programs without two of the steps.
const FEW_TRIES: usize = 2;
/// Maximum number of rounds, each a boot of a virtual machine.
const ROUNDS: usize = 60;
/// Maximum number of profiles that are tried as an explanation.
const EXPLANATIONS: usize = 2;

/// The shortest program found.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The program, with its answers, up to the one that is not allowed.
    pub program: Program,
    /// The disallowed answer to its last step.
    pub found: Counterexample,
}

/// The length of a program: its steps and the sysctls of its hosts. The `ns` step, with which every
/// program begins, does not count.
pub fn length(program: &Program) -> usize {
    let steps = program.steps.iter().filter(|step| step.call != Call::Ns);
    let settings = program.hosts.iter().map(|host| host.sysctls.len());
    steps.count() + settings.sum::<usize>()
}

/// Shrinks a program whose answer to step `found.step` is not allowed. Returns `None` if the kernel
/// does not give such an answer again.
///
/// # Errors
/// An error of the kernel that ends the run.
pub fn shrink(
    on: &Target,
    behaviours: Behaviours,
    program: &Program,
    found: &Counterexample,
) -> Result<Option<Shrunk>, RunError> {
    let explained = explained(on, behaviours, program, found)?;
    if explained.is_some() {
        return Ok(explained);
    }
    let mut whole = program.clone();
    whole.steps.truncate(found.step + 1);
    let kernel = Asker {
        witness: Witness::Kernel(on),
        behaviours,
    };
    // The whole program first, more often than its parts.
    let again = kernel.first(&[whole.clone(), whole.clone(), whole])?;
    match again {
        Some((_, shrunk)) => kernel.shrink(shrunk).map(Some),
        None => Ok(None),
    }
}

/// Shrinks like [`shrink`], but only with profiles that explain the kernel's answers; the kernel
/// only confirms the short programs. Returns `None` if no profile explains them, or if the kernel
/// does not confirm any.
///
/// # Errors
/// An error of the kernel that ends the run.
pub fn explained(
    on: &Target,
    behaviours: Behaviours,
    program: &Program,
    found: &Counterexample,
) -> Result<Option<Shrunk>, RunError> {
    let mut whole = program.clone();
    whole.steps.truncate(found.step + 1);
    let mut explained: Vec<(Behaviours, Program)> = Vec::new();
    for right in explanations(behaviours, &whole) {
        if let Some((shortened, walked)) = on_the_model(right, behaviours, &whole, on.kind()) {
            // The farther a program is from the observed one, the likelier the model is wrong about
            // it.
            explained.extend([walked, shortened].map(|shrunk| (right, shrunk.program)));
        }
    }
    explained.sort_by_key(|(_, program)| length(program));
    borne_out(on, behaviours, &explained)
}

/// The shortest of the programs whose answer by the kernel `behaviours` do not allow, and the
/// explaining profile does. A program that its profile does not allow either shows something else.
fn borne_out(
    on: &Target,
    behaviours: Behaviours,
    explained: &[(Behaviours, Program)],
) -> Result<Option<Shrunk>, RunError> {
    let candidates: Vec<Program> = explained.iter().map(|(_, p)| p.clone()).collect();
    let kernel = Asker {
        witness: Witness::Kernel(on),
        behaviours,
    };
    let allowed = |(n, shrunk): &(usize, Shrunk)| {
        let judged = Judge::new(explained[*n].0).program(&shrunk.program);
        matches!(judged, Ok(None))
    };
    let shown = kernel.all(&candidates, TRIES)?.into_iter();
    let shown = shown.filter(allowed).map(|(_, shrunk)| shrunk);
    Ok(shown.min_by_key(|shrunk| length(&shrunk.program)))
}

/// Runs several long random walks from a shrunk program, on the model with the behaviours `right`,
/// and returns the shortest result that the kernel confirms, if it is shorter. `others` are
/// candidates as well.
///
/// # Errors
/// An error of the kernel that ends the run.
pub fn farther(
    on: &Target,
    right: Behaviours,
    wrong: Behaviours,
    start: Option<&Program>,
    others: &[Program],
) -> Result<Option<Shrunk>, RunError> {
    let asker = Asker {
        witness: Witness::Profile(right),
        behaviours: wrong,
    };
    let mut candidates: Vec<(Behaviours, Program)> = others
        .iter()
        .map(|program| (right, program.clone()))
        .collect();
    if let Some(shown) = start.and_then(|start| asker.shows(start, TRIES)) {
        for way in 1..=walk::WAYS {
            let shows = |p: &Program| asker.shows_at_a_cost(p, FEW_TRIES);
            let way = walk::Way::long(way);
            let walked = walk::walk(&shows, shown.clone(), on.kind(), way);
            candidates.push((right, walked.program));
        }
    }
    candidates.retain(|(_, p)| start.is_none_or(|start| length(p) < length(start)));
    candidates.sort_by_key(|(_, program)| length(program));
    borne_out(on, wrong, &candidates)
}

/// The profiles that differ from the expected one in one behaviour and allow all answers of a
/// program. For numeric behaviours the values of known kernels come first: there are more values
/// than can be tried.
fn explanations(believed: Behaviours, program: &Program) -> Vec<Behaviours> {
    let mut judge = Judge::new(believed);
    if judge.program(program).is_err() {
        return Vec::new();
    }
    let observed = judge.observed_flags();
    // If a range of ports is rejected, ports come from the full range, and nearly every answer is
    // possible.
    let allows = |other: &Behaviours| {
        let judged = Judge::giving_up_after(*other, MOST_TRIED).program(program);
        matches!(judged, Ok(None))
    };
    let kernels = profile::all();
    let next_to_it = |name: &&str| {
        let mut values: Vec<Behaviours> = Vec::new();
        let of_kernels = kernels.iter().map(|k| believed.with(name, &k.behaviours));
        for other in of_kernels.chain(believed.mutants(name)) {
            if other != believed && !values.contains(&other) {
                values.push(other);
            }
        }
        values
    };
    let all = Behaviours::NAMES.iter().flat_map(next_to_it);
    all.filter(|other| !believed.agrees_on(other, observed))
        .filter(allows)
        .take(EXPLANATIONS)
        .collect()
}

/// Shrinks a program on the model: a kernel with the behaviours `right` answers what the behaviours
/// `wrong` do not allow. Returns the result after leaving out steps, and after a random walk from
/// there. Returns `None` if the program does not show it.
fn on_the_model(
    right: Behaviours,
    wrong: Behaviours,
    program: &Program,
    kind: Kind,
) -> Option<(Shrunk, Shrunk)> {
    let asker = Asker {
        witness: Witness::Profile(right),
        behaviours: wrong,
    };
    let first = asker.shows(program, TRIES)?;
    // Asking a profile cannot fail.
    let shortened = asker.shrink(first).ok()?;
    let walked = walk::walk(
        &|p| asker.shows_at_a_cost(p, FEW_TRIES),
        shortened.clone(),
        kind,
        walk::Way::SHORT,
    );
    Some((shortened, asker.shrink(walked).ok()?))
}

/// The source of answers to the programs that are tried.
#[derive(Clone, Copy)]
enum Witness<'a> {
    Kernel(&'a Target),
    /// A profile that replaces the kernel.
    Profile(Behaviours),
}

struct Asker<'a> {
    witness: Witness<'a>,
    behaviours: Behaviours,
}

impl Asker<'_> {
    /// Leaves out and simplifies as much as possible.
    fn shrink(&self, shown: Shrunk) -> Result<Shrunk, RunError> {
        let mut best = self.simpler(shown)?;
        let half = best.program.steps.len() / 2;
        best = self.shorter(best, half)?;
        // A simpler program may need fewer steps, and removing pairs may allow removing single
        // steps.
        for _ in 0..ROUNDS {
            let steps = best.program.steps.len();
            best = self.simpler(best)?;
            if self.is_quick(&best.program) {
                best = self.without_pairs(best)?;
            }
            best = self.shorter(best, 1)?;
            if best.program.steps.len() == steps {
                break;
            }
        }
        Ok(best)
    }

    /// Leaves out ever smaller pieces, starting with `size` steps.
    fn shorter(&self, mut best: Shrunk, mut size: usize) -> Result<Shrunk, RunError> {
        for _ in 0..ROUNDS {
            size = size.min(best.program.steps.len().saturating_sub(1));
            if size == 0 {
                break;
            }
            let candidates = rewrite::without(&best.program, size);
            let mut fruitful = self.all(&candidates, TRIES)?;
            fruitful.retain(|(_, shrunk)| shrunk.program.steps.len() < best.program.steps.len());
            let together = rewrite::together(&best.program, size, &fruitful);
            match self.first(&together)? {
                Some((_, shrunk)) => best = shrunk,
                None => match fruitful.into_iter().next() {
                    Some((_, shrunk)) => best = shrunk,
                    None => size /= 2,
                },
            }
        }
        Ok(best)
    }

    fn without_pairs(&self, mut best: Shrunk) -> Result<Shrunk, RunError> {
        for _ in 0..ROUNDS {
            let fruitful = self.all(&rewrite::without_two(&best.program), FEW_TRIES)?;
            match fruitful.into_iter().next() {
                Some((_, shrunk)) if shrunk.program.steps.len() < best.program.steps.len() => {
                    best = shrunk;
                }
                _ => break,
            }
        }
        Ok(best)
    }

    /// True if a program can be tried in hundreds of variations.
    fn is_quick(&self, program: &Program) -> bool {
        let waits = program.steps.iter().map(|step| match step.call {
            Call::Sleep { ms } => ms,
            _ => 0,
        });
        match self.witness {
            Witness::Kernel(on) => on.kind().virtual_time || waits.sum::<u32>() < 1_000,
            Witness::Profile(_) => true,
        }
    }

    fn simpler(&self, mut best: Shrunk) -> Result<Shrunk, RunError> {
        for _ in 0..ROUNDS {
            match self.first(&rewrite::simplified(&best.program))? {
                Some((_, shrunk)) => best = shrunk,
                None => break,
            }
        }
        Ok(best)
    }

    /// The programs that still show a disallowed answer, with their indices.
    fn all(&self, programs: &[Program], tries: usize) -> Result<Vec<(usize, Shrunk)>, RunError> {
        let on = match self.witness {
            Witness::Kernel(on) => on,
            Witness::Profile(_) => {
                let shown = programs.iter().map(|program| self.shows(program, tries));
                let placed = shown.enumerate().filter_map(|(n, shown)| Some((n, shown?)));
                return Ok(placed.collect());
            }
        };
        let many: Vec<Program> = programs
            .iter()
            .flat_map(|p| std::iter::repeat_n(p.clone(), tries))
            .collect();
        let mut found: Vec<(usize, Shrunk)> = Vec::new();
        for (n, answer) in on.run_all(&many)?.into_iter().enumerate() {
            let place = n / tries;
            if found.last().is_some_and(|(p, _)| *p == place) {
                continue;
            }
            if let Some(shrunk) = answer.ok().and_then(|p| self.judge(p).0) {
                found.push((place, shrunk));
            }
        }
        Ok(found)
    }

    fn first(&self, programs: &[Program]) -> Result<Option<(usize, Shrunk)>, RunError> {
        Ok(self.all(programs, TRIES)?.into_iter().next())
    }

    /// Returns the program if it shows a disallowed answer. Only with a profile as the witness.
    fn shows(&self, program: &Program, tries: usize) -> Option<Shrunk> {
        self.shows_at_a_cost(program, tries).0
    }

    /// As [`Self::shows`], and the cost of the check.
    fn shows_at_a_cost(&self, program: &Program, tries: usize) -> (Option<Shrunk>, u64) {
        let Witness::Profile(right) = self.witness else {
            return (None, 0);
        };
        let Some(translation) = Translation::of(program) else {
            return (None, 0);
        };
        let mut seen = BTreeSet::new();
        let mut cost = 0;
        let shown = (0..tries as u64).find_map(|seed| {
            let simulated = translation.simulate(right, seed)?;
            cost += simulated.program.steps.len() as u64;
            // Most programs do not depend on random numbers, and the same answers have the same
            // verdict.
            let outcomes = simulated.program.steps.iter().map(Step::outcome);
            if !seen.insert(outcomes.collect::<Vec<_>>())
                || right.agrees_on(&self.behaviours, simulated.observed_flags)
            {
                return None;
            }
            // Most programs do not show it, and answers that the wrong profile gives itself need no
            // check.
            cost += simulated.program.steps.len() as u64;
            if translation.gives(self.behaviours, seed, &simulated.program) {
                return None;
            }
            let (shown, tried) = self.judge(simulated.program);
            cost += tried;
            shown
        });
        (shown, cost)
    }

    /// The disallowed answer of a program that has run, and the cost of the check.
    fn judge(&self, mut program: Program) -> (Option<Shrunk>, u64) {
        let mut judge = match self.witness {
            Witness::Kernel(_) => Judge::new(self.behaviours),
            Witness::Profile(_) => Judge::giving_up_after(self.behaviours, MOST_TRIED),
        };
        let judged = judge.program(&program);
        let tried = judge.tried();
        let Ok(Some(found)) = judged else {
            return (None, tried);
        };
        program.steps.truncate(found.step + 1);
        let real = |step: &Step| step.outcome() != Some(NO_SOCKET);
        program.steps.retain(real);
        let found = Counterexample {
            step: program.steps.len().saturating_sub(1),
            ..found
        };
        (Some(Shrunk { program, found }), tried)
    }
}
