//! Makes a program that shows a disallowed answer as short as it goes, by asking the real kernel again.

use crate::error::RunError;
use crate::judge::{Counterexample, Judge};
use crate::on::On;
use crate::program::{Call, Outcome, Program, Step};
use fourtuple_kernel::Behaviours;

/// How often a program is run before it counts as one that does not show anything: what it shows may hang on the port that it gets.
const TRIES: usize = 8;
/// The same for the many programs without two of the steps.
const FEW_TRIES: usize = 2;
/// The most rounds, each a boot of a virtual machine.
const ROUNDS: usize = 60;

/// Programs of more steps are not tried without each two of them.
const PAIRS: usize = 14;

/// The shortest program that was found.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The program, with its answers, up to the one that is not allowed.
    pub program: Program,
    /// What is wrong with the answer to its last step.
    pub found: Counterexample,
}

/// Shrinks a program whose answer to step `found.step` is not allowed. Nothing if the kernel does not give such an answer again.
///
/// # Errors
/// When the kernel cannot be asked any more.
pub fn shrink(
    on: &On,
    behaviours: Behaviours,
    program: &Program,
    found: &Counterexample,
) -> Result<Option<Shrunk>, RunError> {
    let asker = Asker { on, behaviours };
    let mut whole = program.clone();
    whole.steps.truncate(found.step + 1);
    // The whole program first, more often than its parts.
    let again = asker.first(&[whole.clone(), whole.clone(), whole])?;
    let Some(best) = again.map(|(_, shrunk)| shrunk) else {
        return Ok(None);
    };
    let mut best = asker.simpler(best)?;
    let half = best.program.steps.len() / 2;
    best = asker.shorter(best, half)?;
    // What is simpler may need less, and what goes in twos may leave something that goes alone.
    for _ in 0..ROUNDS {
        let steps = best.program.steps.len();
        best = asker.simpler(best)?;
        best = asker.without_pairs(best)?;
        best = asker.shorter(best, 1)?;
        if best.program.steps.len() == steps {
            break;
        }
    }
    Ok(Some(best))
}

/// A program without each piece of `size` steps in turn; the last step stays.
fn without(program: &Program, size: usize) -> Vec<Program> {
    let last = program.steps.len() - 1;
    (0..last)
        .step_by(size)
        .map(|from| cut(program, &[from], size))
        .collect()
}

fn cut(program: &Program, from: &[usize], size: usize) -> Program {
    let last = program.steps.len() - 1;
    let gone = |i: usize| i != last && from.iter().any(|&f| (f..f + size).contains(&i));
    // Over the full range, following a single call takes tens of thousands of states.
    let range = |step: &Step| matches!(&step.call, Call::Sysctl { key, .. } if key.ends_with("ip_local_port_range"));
    let kept = program
        .steps
        .iter()
        .enumerate()
        .filter(|(i, step)| !gone(*i) || range(step));
    let steps = kept
        .map(|(_, step)| Step {
            answer: None,
            ..step.clone()
        })
        .collect();
    Program {
        steps,
        ..program.clone()
    }
}

/// A program without each two of its steps, where it is short enough for that.
fn without_two(program: &Program) -> Vec<Program> {
    let last = program.steps.len() - 1;
    if last > PAIRS {
        return Vec::new();
    }
    let pairs = (0..last).flat_map(|a| (a + 1..last).map(move |b| [a, b]));
    pairs.map(|pair| cut(program, &pair, 1)).collect()
}

/// The same steps in a simpler world, the simplest first: on one host, as one user, with fewer ports.
fn simplified(program: &Program) -> Vec<Program> {
    let asked = Program {
        steps: program
            .steps
            .iter()
            .map(|step| Step {
                answer: None,
                ..step.clone()
            })
            .collect(),
        ..program.clone()
    };
    let each = |change: &dyn Fn(&mut Step)| {
        let mut changed = asked.clone();
        changed.steps.iter_mut().for_each(change);
        changed
    };
    let mut all = Vec::new();
    if !asked.hosts.is_empty() {
        let mut one = each(&|step| step.host = None);
        one.hosts.clear();
        all.push(one);
    }
    all.push(each(&|step| match &mut step.call {
        Call::Socket { uid, .. } | Call::Accept { uid, .. } => *uid = None,
        _ => {}
    }));
    all.extend([0, 1].map(|more| {
        each(&|step| {
            if let Call::Sysctl { key, value } = &mut step.call
                && key.ends_with("ip_local_port_range")
                && let Some((low, high)) = value.split_once(' ')
                && let (Ok(low), Ok(high)) = (low.parse::<u16>(), high.parse::<u16>())
            {
                *value = format!("{low} {}", high.min(low.saturating_add(more)));
            }
        })
    }));
    all.retain(|changed| {
        let differs = |(a, b): (&Step, &Step)| (&a.host, &a.call) != (&b.host, &b.call);
        changed.hosts != program.hosts || changed.steps.iter().zip(&program.steps).any(differs)
    });
    all
}

/// All pieces that can go one by one gone at once, then half of them.
fn together(program: &Program, size: usize, fruitful: &[(usize, Shrunk)]) -> Vec<Program> {
    let pieces: Vec<usize> = fruitful.iter().map(|(n, _)| n * size).collect();
    let halves = pieces.split_at(pieces.len() / 2);
    let all = [&pieces[..], halves.0, halves.1];
    all.into_iter()
        .filter(|p| p.len() > 1)
        .map(|p| cut(program, p, size))
        .collect()
}

struct Asker<'a> {
    on: &'a On,
    behaviours: Behaviours,
}

impl Asker<'_> {
    /// Leaves out pieces of ever fewer steps, from `size` on.
    fn shorter(&self, mut best: Shrunk, mut size: usize) -> Result<Shrunk, RunError> {
        for _ in 0..ROUNDS {
            size = size.min(best.program.steps.len().saturating_sub(1));
            if size == 0 {
                break;
            }
            let candidates = without(&best.program, size);
            let mut fruitful = self.all(&candidates, TRIES)?;
            fruitful.retain(|(_, shrunk)| shrunk.program.steps.len() < best.program.steps.len());
            let together = together(&best.program, size, &fruitful);
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
            let fruitful = self.all(&without_two(&best.program), FEW_TRIES)?;
            match fruitful.into_iter().next() {
                Some((_, shrunk)) if shrunk.program.steps.len() < best.program.steps.len() => {
                    best = shrunk;
                }
                _ => break,
            }
        }
        Ok(best)
    }

    fn simpler(&self, mut best: Shrunk) -> Result<Shrunk, RunError> {
        for _ in 0..ROUNDS {
            match self.first(&simplified(&best.program))? {
                Some((_, shrunk)) => best = shrunk,
                None => break,
            }
        }
        Ok(best)
    }

    /// Those of some programs that still show a disallowed answer, by their place.
    fn all(&self, programs: &[Program], tries: usize) -> Result<Vec<(usize, Shrunk)>, RunError> {
        let many: Vec<Program> = programs
            .iter()
            .flat_map(|p| std::iter::repeat_n(p.clone(), tries))
            .collect();
        let mut found: Vec<(usize, Shrunk)> = Vec::new();
        for (n, answer) in self.on.run_all(&many)?.into_iter().enumerate() {
            let place = n / tries;
            if found.last().is_some_and(|(p, _)| *p == place) {
                continue;
            }
            if let Some(shrunk) = answer.ok().and_then(|p| self.judge(p)) {
                found.push((place, shrunk));
            }
        }
        Ok(found)
    }

    fn first(&self, programs: &[Program]) -> Result<Option<(usize, Shrunk)>, RunError> {
        Ok(self.all(programs, TRIES)?.into_iter().next())
    }

    fn judge(&self, mut program: Program) -> Option<Shrunk> {
        let found = Judge::new(self.behaviours).program(&program).ok()??;
        program.steps.truncate(found.step + 1);
        let real = |s: &Step| {
            s.answer
                .as_ref()
                .is_none_or(|a| a.result != Outcome::NoSock)
        };
        program.steps.retain(real);
        let found = Counterexample {
            step: program.steps.len().saturating_sub(1),
            ..found
        };
        Some(Shrunk { program, found })
    }
}
