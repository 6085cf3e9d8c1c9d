//! Shorter and simpler variants of a program, in a fixed order.

use super::Shrunk;
use super::edit::unasked;
use super::tame::{is_tame, range_of};
use crate::program::{Call, Program, Step};
use fourtuple_syscall::Syscall;

/// Maximum number of steps of a program for trying to remove each pair of them.
const PAIRS: usize = 14;

/// The program without each piece of `size` steps in turn; the last step stays.
pub(super) fn without(program: &Program, size: usize) -> Vec<Program> {
    let last = program.steps.len() - 1;
    (0..last)
        .step_by(size)
        .map(|from| cut(program, &[from], size))
        .filter(|shorter| is_as_tame(shorter, program))
        .collect()
}

/// Keeps a quickly checked program from becoming a slow one.
fn is_as_tame(shorter: &Program, program: &Program) -> bool {
    is_tame(shorter) || !is_tame(program)
}

fn cut(program: &Program, from: &[usize], size: usize) -> Program {
    let last = program.steps.len() - 1;
    let gone = |i: usize| i != last && from.iter().any(|&f| (f..f + size).contains(&i));
    let kept = program.steps.iter().enumerate().filter(|(i, _)| !gone(*i));
    Program {
        steps: kept.map(|(_, step)| unasked(step)).collect(),
        ..program.clone()
    }
}

/// The program without each pair of its steps, if it is short enough.
pub(super) fn without_two(program: &Program) -> Vec<Program> {
    let last = program.steps.len() - 1;
    if last > PAIRS {
        return Vec::new();
    }
    let pairs = (0..last).flat_map(|a| (a + 1..last).map(move |b| [a, b]));
    pairs
        .map(|pair| cut(program, &pair, 1))
        .filter(|shorter| is_as_tame(shorter, program))
        .collect()
}

/// The same steps in a simpler environment, the simplest first: on one host, as one user, with
/// fewer ports.
pub(super) fn simplified(program: &Program) -> Vec<Program> {
    let asked = Program {
        steps: program.steps.iter().map(unasked).collect(),
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
        Call::Sys(Syscall::Socket { uid, .. }) => *uid = 0,
        Call::Sys(Syscall::Accept { uid, .. }) => *uid = None,
        _ => {}
    }));
    all.extend([0, 1].map(|more| {
        each(&|step| {
            if let Call::Sysctl { key, value } = &mut step.call
                && let Some((low, high)) = range_of(key, value)
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

/// Removes all pieces that can be removed one by one at once, then either half of them.
pub(super) fn together(
    program: &Program,
    size: usize,
    fruitful: &[(usize, Shrunk)],
) -> Vec<Program> {
    let pieces: Vec<usize> = fruitful.iter().map(|(n, _)| n * size).collect();
    let halves = pieces.split_at(pieces.len() / 2);
    let all = [&pieces[..], halves.0, halves.1];
    all.into_iter()
        .filter(|p| p.len() > 1)
        .map(|p| cut(program, p, size))
        .filter(|shorter| is_as_tame(shorter, program))
        .collect()
}
