//! Random programs on a real kernel, whose answers the model checks.

use crate::error::RunError;
use crate::generate;
use crate::judge::{Counterexample, Judge, MOST_TRIED, has_history};
use crate::program::Program;
use crate::target::Target;
use fourtuple_harness::threads;
use fourtuple_kernel::{Behaviours, FlagSet, Kind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A run of random programs.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The kernel.
    pub on: Target,
    /// The expected behaviours of the kernel.
    pub behaviours: Behaviours,
    /// The seed of the programs.
    pub seed: u64,
    /// The type of the programs' sockets.
    pub sockets: Kind,
    /// Number of the first program.
    pub first: u64,
    /// Number of programs.
    pub count: usize,
    /// Keep all programs with their answers in [`Findings::kept`].
    pub keep: bool,
}

/// The results of a campaign.
#[derive(Debug, Default)]
pub struct Findings {
    /// Programs that ran and were checked.
    pub programs: u64,
    /// Calls that were judged.
    pub calls: u64,
    /// The outcome of each program, in order.
    pub tallies: Vec<Tally>,
    /// The most model states that were consistent with a program's answers at once.
    pub most_beliefs: usize,
    /// The programs with their answers, if the campaign keeps them.
    pub kept: Vec<(usize, Program)>,
}

/// The outcome of one program.
#[derive(Debug)]
pub struct Tally {
    /// Number of the program in the campaign, from 0.
    pub number: usize,
    /// Calls that were judged.
    pub calls: u64,
    /// The verdict.
    pub end: End,
}

/// The verdict on a program.
#[derive(Debug)]
pub enum End {
    /// Every answer is allowed.
    Allowed,
    /// An answer is not allowed.
    Disallowed(Box<(Program, Counterexample)>),
    /// The program did not run or was not checked, and the reason.
    LeftOut(String),
}

impl Findings {
    /// Programs with an answer that is not allowed.
    pub fn disallowed(&self) -> impl Iterator<Item = &(Program, Counterexample)> {
        self.tallies.iter().filter_map(|tally| match &tally.end {
            End::Disallowed(found) => Some(&**found),
            _ => None,
        })
    }

    /// The reasons why programs did not run or were not checked.
    pub fn left_out(&self) -> impl Iterator<Item = &str> {
        self.tallies.iter().filter_map(|tally| match &tally.end {
            End::LeftOut(why) => Some(&**why),
            _ => None,
        })
    }
}

/// Runs a campaign. `progress` is called with the number of finished programs.
///
/// # Errors
/// An error that ends the run: the kernel cannot be used any more.
pub fn run(campaign: &Campaign, progress: &(dyn Fn(usize) + Sync)) -> Result<Findings, RunError> {
    let kind = campaign.on.kind();
    let history = has_history(&campaign.behaviours);
    let on = if history {
        campaign.on.clone().in_order()
    } else {
        campaign.on.clone()
    };
    let make = |n: usize| {
        let number = campaign.first + n as u64;
        generate::make(campaign.seed, number, kind, campaign.sockets)
    };
    let findings = Mutex::new(Findings::default());
    let old = Mutex::new(Judge::new(campaign.behaviours));
    let each = |n: usize, answer: Result<Program, RunError>| {
        let program = match answer {
            Ok(program) => program,
            Err(e) => {
                return lock(&findings).tallies.push(Tally {
                    number: n,
                    calls: 0,
                    end: End::LeftOut(e.to_string()),
                });
            }
        };
        let (judged, calls, most) = if history {
            let mut judge = lock(&old);
            if on.begins_boot(n) {
                *judge = Judge::new(campaign.behaviours);
            }
            let before = judge.calls();
            let judged = judge.program(&program);
            (judged, judge.calls() - before, judge.most_states())
        } else {
            let mut judge = Judge::new(campaign.behaviours);
            let judged = judge.program(&program);
            (judged, judge.calls(), judge.most_states())
        };
        let mut findings = lock(&findings);
        findings.programs += u64::from(judged.is_ok());
        findings.calls += calls;
        findings.most_beliefs = findings.most_beliefs.max(most);
        if campaign.keep {
            findings.kept.push((n, program.clone()));
        }
        let end = match judged {
            Ok(None) => End::Allowed,
            Ok(Some(found)) => End::Disallowed(Box::new((program, found))),
            Err(e) => End::LeftOut(format!("not checked: {}", e.what)),
        };
        findings.tallies.push(Tally {
            number: n,
            calls,
            end,
        });
        progress(findings.tallies.len());
    };
    on.run(campaign.count, &make, &each)?;
    let mut findings = findings
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    findings.kept.sort_by_key(|(n, _)| *n);
    findings.tallies.sort_by_key(|tally| tally.number);
    Ok(findings)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A profile with one behaviour changed, and the programs that detect the change.
#[derive(Clone, Debug)]
pub struct Flip {
    /// The behaviour.
    pub name: &'static str,
    /// The wrong value.
    pub value: String,
    /// The changed profile.
    pub behaviours: Behaviours,
    /// The first programs, by number from 0, with an answer that this profile does not allow.
    pub noticed: Vec<(usize, Counterexample)>,
}

/// Checks the same answers with every profile that differs from the right one in a single
/// behaviour, until `most` programs detect the change. `asked` holds the observed flags of each
/// program, as returned by [`observed_flags`].
///
/// If the changed profile's kernel keeps state between programs and the right one's does not, each
/// program is checked from a fresh boot: the programs ran concurrently, in no order. A check that
/// exceeds its limit counts as not detected.
pub fn flip(
    right: &Behaviours,
    programs: &[Program],
    observed: &[FlagSet],
    most: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Vec<Flip> {
    let mut flips: Vec<Flip> = Vec::new();
    for &name in Behaviours::NAMES {
        for behaviours in right.mutants(name) {
            let row = behaviours.rows().into_iter().find(|row| row.name == name);
            let value = row.map(|row| row.value).unwrap_or_default();
            flips.push(Flip {
                name,
                value,
                behaviours,
                noticed: Vec::new(),
            });
        }
    }
    let next = AtomicUsize::new(0);
    let noticed = Mutex::new(vec![Vec::new(); flips.len()]);
    let work = || {
        while let Some(flip) = flips.get(next.fetch_add(1, Ordering::Relaxed)) {
            let at = flips
                .iter()
                .position(|f| std::ptr::eq(f, flip))
                .unwrap_or(0);
            progress(at, flips.len());
            let side_by_side = !has_history(right);
            let cannot = |n: usize| right.agrees_on(&flip.behaviours, observed[n]);
            lock(&noticed)[at] = notices(flip.behaviours, programs, most, side_by_side, &cannot);
        }
    };
    threads::crew(threads::cpus(), work);
    for (flip, noticed) in flips
        .iter_mut()
        .zip(noticed.into_inner().unwrap_or_else(PoisonError::into_inner))
    {
        flip.noticed = noticed;
    }
    flips
}

/// The flags that each program's answers may depend on: all of them on kernels that keep state
/// between programs.
pub fn observed_flags(right: &Behaviours, programs: &[Program]) -> Vec<FlagSet> {
    let of = |program: &Program| {
        let mut judge = Judge::new(*right);
        match judge.program(program) {
            Ok(None) if !has_history(right) => judge.observed_flags(),
            _ => FlagSet::ALL,
        }
    };
    programs.iter().map(of).collect()
}

fn notices(
    behaviours: Behaviours,
    programs: &[Program],
    most: usize,
    side_by_side: bool,
    cannot: &dyn Fn(usize) -> bool,
) -> Vec<(usize, Counterexample)> {
    let new = || Judge::giving_up_after(behaviours, MOST_TRIED);
    let mut judge = match side_by_side {
        true => new(),
        false => Judge::new(behaviours),
    };
    let judged = programs.iter().enumerate().filter_map(|(n, program)| {
        if cannot(n) {
            return None;
        }
        if side_by_side {
            judge = new();
        }
        let found = judge.program(program).ok().flatten()?;
        Some((n, found))
    });
    judged.take(most).collect()
}
