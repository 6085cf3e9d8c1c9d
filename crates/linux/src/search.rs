//! Searches for short programs that distinguish two profiles, by running very many on the model. A
//! search without a result is evidence, not proof, that there is none.

use crate::generate::Kind;
use crate::judge::Judge;
use crate::program::{Call, HostSpec, Program, Step};
use crate::shrink::edit::Palette;
use crate::shrink::length;
use crate::simulate::Translation;
use fourtuple_harness::{SeededRng, threads};
use fourtuple_kernel::Behaviours;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Maximum number of ports from which a kernel may choose one: with more, each answer without a
/// port is consistent with all of them, and the check becomes slow.
const FEW_PORTS: u32 = 64;
/// Limit of the work of a check, in calls tried on a state of the model. A program that exceeds it
/// counts as no detection.
const MOST_TRIED: u64 = 4_000;

/// The parameters of a search.
#[derive(Clone, Debug)]
pub struct Search {
    /// The profile that gives the answers.
    pub right: Behaviours,
    /// The profiles to distinguish from it.
    pub wrong: Vec<Behaviours>,
    /// Maximum number of steps of a program, including the sysctls of its hosts.
    pub steps: usize,
    /// Number of programs.
    pub count: u64,
    /// The seed of the programs.
    pub seed: u64,
    /// Half of the programs are variants of these, with steps removed and changed.
    pub near: Vec<Program>,
    /// The kind of programs.
    pub kind: Kind,
}

/// The result of a search.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Number of programs that ran; the others were invalid, or chose from too many ports.
    pub simulated: u64,
    /// The result for each wrong profile.
    pub found: Vec<Searched>,
}

/// The result for one wrong profile.
#[derive(Clone, Debug, Default)]
pub struct Searched {
    /// Number of programs that observed the wrong behaviour, so that their answers may depend on
    /// it.
    pub looked: u64,
    /// Number of programs with an answer that it does not allow.
    pub noticed: u64,
    /// The shortest of those, with its number; the first one if there are several.
    pub shortest: Option<(u64, Program)>,
}

/// Runs many programs on all CPUs. The result does not depend on the number of CPUs.
pub fn search(search: &Search) -> Outcome {
    let next = AtomicU64::new(0);
    let empty = Outcome {
        simulated: 0,
        found: vec![Searched::default(); search.wrong.len()],
    };
    let all = Mutex::new(empty.clone());
    let palette = Palette::general(search.kind);
    let near: Vec<(Palette, &Program)> = search
        .near
        .iter()
        .map(|program| (Palette::of(program, search.kind), program))
        .collect();
    let work = || {
        let mut own = empty.clone();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= search.count {
                break;
            }
            let mut rng = SeededRng::new(search.seed, number);
            let made = match near.is_empty() || rng.percent(50) {
                true => anything(&palette, search.steps, &mut rng),
                false => {
                    let (palette, program) = &near[rng.below(near.len())];
                    less(palette, program, search.steps, &mut rng)
                }
            };
            if let Some(program) = made {
                own.simulated += u64::from(search.one(number, &program, &mut own.found));
            }
        }
        let mut all = all.lock().unwrap_or_else(|broken| broken.into_inner());
        all.simulated += own.simulated;
        for (sum, own) in all.found.iter_mut().zip(own.found) {
            sum.add(own);
        }
    };
    threads::crew(threads::cpus(), work);
    all.into_inner()
        .unwrap_or_else(|broken| broken.into_inner())
}

impl Search {
    /// Runs one program and records its result. Returns `false` if it cannot run, or if its check
    /// would be slow.
    fn one(&self, number: u64, program: &Program, found: &mut [Searched]) -> bool {
        let Some(translation) = Translation::of(program) else {
            return false;
        };
        let Some(simulated) = translation.simulate(self.right, number) else {
            return false;
        };
        if simulated.choice > FEW_PORTS {
            return false;
        }
        for (wrong, found) in self.wrong.iter().zip(found) {
            if self.right.agrees_on(wrong, simulated.observed_flags) {
                continue;
            }
            found.looked += 1;
            if translation.gives(*wrong, number, &simulated.program) {
                continue;
            }
            let judged = Judge::giving_up_after(*wrong, MOST_TRIED).program(&simulated.program);
            if let Ok(Some(seen)) = judged {
                found.noticed += 1;
                let mut shown = simulated.program.clone();
                shown.steps.truncate(seen.step + 1);
                found.keep(number, shown);
            }
        }
        true
    }
}

impl Searched {
    fn keep(&mut self, number: u64, program: Program) {
        let better = |(n, kept): &(u64, Program)| (length(kept), *n) <= (length(&program), number);
        if !self.shortest.as_ref().is_some_and(better) {
            self.shortest = Some((number, program));
        }
    }

    fn add(&mut self, other: Searched) {
        self.looked += other.looked;
        self.noticed += other.noticed;
        if let Some((number, program)) = other.shortest {
            self.keep(number, program);
        }
    }
}

/// A random program with a few calls on a few sockets, on one host or two.
fn anything(palette: &Palette, steps: usize, rng: &mut SeededRng) -> Option<Program> {
    let hosts = match rng.percent(80) {
        true => Vec::new(),
        false => two_hosts(),
    };
    let mut program = Program {
        program: "searched".into(),
        steps: match hosts.is_empty() {
            true => vec![Step::new(Call::Ns)],
            false => Vec::new(),
        },
        hosts,
    };
    palette.fill(&mut program, steps, rng)
}

/// A variant of a program: steps are removed until it is short enough, and some others changed.
fn less(
    palette: &Palette,
    program: &Program,
    steps: usize,
    rng: &mut SeededRng,
) -> Option<Program> {
    let mut program = program.clone();
    while length(&program) > steps && program.steps.len() > 1 {
        let settings = program.hosts.iter_mut().find(|h| !h.sysctls.is_empty());
        match settings {
            Some(host) if rng.percent(40) => drop(host.sysctls.pop_first()),
            _ => {
                let place = rng.below(program.steps.len());
                if program.steps[place].call != Call::Ns {
                    program.steps.remove(place);
                }
            }
        }
    }
    let changed = palette.edited(&program, rng)?;
    (length(&changed) <= steps).then_some(changed)
}

fn two_hosts() -> Vec<HostSpec> {
    let host = |name: &str, address: [u8; 4]| HostSpec {
        name: name.into(),
        addresses: vec![address.into()],
        ..HostSpec::default()
    };
    vec![host("a", [10, 0, 0, 1]), host("b", [10, 0, 0, 3])]
}
