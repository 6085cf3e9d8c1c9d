//! The shortest programs that show mutated flags.

use fourtuple_kernel::Behaviours;
use fourtuple_linux::fuzz::Flip;
use fourtuple_linux::judge::Judge;
use fourtuple_linux::{
    Program, RunError, Shrunk, Target, explained, length, scenario_text, shrink,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Number of programs that are shrunk for each wrong behaviour, until one is short: the first one
/// need not be the best.
pub(crate) const MOST: usize = 3;
/// Length up to which a program counts as short.
pub(crate) const SHORT: usize = 8;

/// For each wrong behaviour the shortest shrunk program that detects it.
pub(crate) fn shortest(
    on: &Target,
    right: &Behaviours,
    flips: &[Flip],
    programs: &[Program],
) -> Result<Vec<Option<Shrunk>>, Box<dyn std::error::Error>> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(vec![None; flips.len()]);
    let work = || -> Result<(), RunError> {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(flip) = flips.get(n) else {
                return Ok(());
            };
            let shrunk = shortest_of(on, right, flip, programs)?;
            let steps = shrunk.as_ref().map(|s| length(&s.program));
            eprintln!("{} = {}: {steps:?} steps", flip.name, flip.value);
            found.lock().unwrap_or_else(PoisonError::into_inner)[n] = shrunk;
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, Into::into);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err(RunError::Unavailable("a worker ended too early".into())))
        })
    })?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn shortest_of(
    on: &Target,
    right: &Behaviours,
    flip: &Flip,
    programs: &[Program],
) -> Result<Option<Shrunk>, RunError> {
    // An answer that the right profile does not allow either is not evidence against the wrong one.
    let allowed = |shrunk: &Shrunk| {
        let judged = Judge::new(*right).program(&shrunk.program);
        let allowed = matches!(judged, Ok(None));
        if !allowed {
            eprintln!("not allowed by the right profile: {:?}", shrunk.found);
        }
        allowed
    };
    let mut best: Option<Shrunk> = None;
    for (n, found) in &flip.noticed {
        let shrunk = explained(on, flip.behaviours, &programs[*n], found)?;
        best = best
            .into_iter()
            .chain(shrunk.filter(allowed))
            .min_by_key(|s| length(&s.program));
        if best.as_ref().is_some_and(|s| length(&s.program) <= SHORT) {
            break;
        }
    }
    // Behaviours that depend on the exact time of a real timer have no explaining profile: the
    // kernel itself is used.
    match (best, flip.noticed.first()) {
        (None, Some((n, found))) => {
            let shrunk = shrink(on, flip.behaviours, &programs[*n], found)?;
            Ok(shrunk.filter(allowed))
        }
        (best, _) => Ok(best),
    }
}

pub(crate) fn scenario(shrunk: &Shrunk, flip: &Flip, profile: &str) -> String {
    let about = format!(
        "{} to the last step, which a kernel whose {} is \"{}\" does not answer",
        shrunk.found.seen, flip.name, flip.value
    );
    scenario_text(
        &shrunk.program,
        shrunk.found.step + 1,
        profile,
        &about,
        true,
    )
}
