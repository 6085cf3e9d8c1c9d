//! Behaviour-flag mutation coverage: changes one behaviour of a kernel at a time and reports which
//! recordings of that kernel, or which pinned tests, detect the change.
//!
//! ```text
//! flip [--table] [--kills] [--only BEHAVIOUR] [--jobs N] TRACE.jsonl...
//! ```
//!
//! `--table` writes `docs/flags.md`. `--kills` prints, for every boot that detects a changed
//! behaviour, the program that does, to select a small part of the recordings.

// The pinned programs belong to the tests of the kernel crate, which does not depend on recordings.
#[path = "../../kernel/tests/support/mod.rs"]
mod support;

use fourtuple_kernel::profile::{Behaviours, find};
use fourtuple_linux::judge::Judge;
use fourtuple_linux::{Program, trace};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::pins::{self, shown};

/// One boot of a recording.
struct Boot {
    file: String,
    number: usize,
    programs: Vec<Program>,
}

/// One changed behaviour of one kernel.
struct Mutant {
    profile: String,
    name: &'static str,
    value: String,
    behaviours: Behaviours,
}

/// The detections of a mutant.
struct Verdict {
    /// File, boot and program.
    kills: Vec<(String, usize, usize)>,
    pinned: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(survivors) if survivors.is_empty() => ExitCode::SUCCESS,
        Ok(survivors) => {
            eprintln!("not detected:");
            for s in survivors {
                eprintln!("  {s}");
            }
            ExitCode::FAILURE
        }
        Err(e) => {
            eprintln!("flip: {e}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<Vec<String>, String> {
    let (mut table, mut kills, mut only, mut jobs) = (false, false, None, 2);
    let mut files = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--table" => table = true,
            "--kills" => kills = true,
            "--only" => only = Some(args.next().ok_or("--only needs a behaviour")?),
            "--jobs" => {
                let n = args.next().ok_or("--jobs needs a number")?;
                jobs = n.parse().map_err(|e| format!("--jobs {n}: {e}"))?;
            }
            _ => files.push(arg),
        }
    }
    if let Some(name) = only.as_deref().filter(|n| !Behaviours::NAMES.contains(n)) {
        return Err(format!("unknown behaviour `{name}`"));
    }
    let boots = read(&files)?;
    let mutants = mutants(boots.keys(), only.as_deref())?;
    let verdicts = judge(&boots, &mutants, jobs, kills);
    if kills {
        for (m, v) in mutants.iter().zip(&verdicts) {
            for (file, boot, program) in &v.kills {
                println!(
                    "{}\t{}\t{}\t{file}\t{boot}\t{program}",
                    m.profile, m.name, m.value
                );
            }
        }
    }
    let text = render(&mutants, &verdicts);
    if table {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/flags.md");
        std::fs::write(path, text).map_err(|e| format!("docs/flags.md: {e}"))?;
    } else if !kills {
        print!("{text}");
    }
    Ok(mutants
        .iter()
        .zip(&verdicts)
        .filter(|(m, v)| v.kills.is_empty() && !v.pinned && !unseen(m))
        .map(|(m, _)| format!("{} {} = {}", m.profile, m.name, m.value))
        .collect())
}

/// Reads the recordings, by profile, short boots first.
fn read(files: &[String]) -> Result<BTreeMap<String, Vec<Boot>>, String> {
    let mut boots: BTreeMap<String, Vec<Boot>> = BTreeMap::new();
    for file in files {
        let read = trace::read_file(file.as_ref()).map_err(|e| e.to_string())?;
        for (number, boot) in read.into_iter().enumerate() {
            let header = boot
                .header
                .ok_or_else(|| format!("{file}: the programs have no header line"))?;
            boots.entry(header.profile).or_default().push(Boot {
                file: file.rsplit('/').next().unwrap_or(file).to_owned(),
                number,
                programs: boot.programs,
            });
        }
    }
    for list in boots.values_mut() {
        list.sort_by_key(|b| b.programs.iter().map(|p| p.steps.len()).sum::<usize>());
    }
    Ok(boots)
}

fn mutants<'a>(
    profiles: impl Iterator<Item = &'a String>,
    only: Option<&str>,
) -> Result<Vec<Mutant>, String> {
    let mut list = Vec::new();
    for profile in profiles {
        let b = find(profile)
            .ok_or_else(|| format!("unknown profile `{profile}`"))?
            .behaviours;
        for &name in Behaviours::NAMES {
            if only.is_some_and(|o| o != name) {
                continue;
            }
            for behaviours in b.mutants(name) {
                list.push(Mutant {
                    profile: profile.clone(),
                    name,
                    value: shown(&behaviours, name),
                    behaviours,
                });
            }
        }
    }
    Ok(list)
}

fn judge(
    boots: &BTreeMap<String, Vec<Boot>>,
    mutants: &[Mutant],
    jobs: usize,
    every_boot: bool,
) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some(m) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = Verdict {
                        kills: boots[&m.profile]
                            .iter()
                            .filter_map(|b| first_disallowed(b, m.behaviours))
                            .take(if every_boot { usize::MAX } else { 1 })
                            .collect(),
                        pinned: pinned(m),
                    };
                    done.lock()
                        .expect("no job panics")
                        .insert((&m.profile, m.name, &m.value), verdict);
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no job panics");
    mutants
        .iter()
        .map(|m| {
            done.remove(&(&m.profile, m.name, &m.value))
                .expect("judged")
        })
        .collect()
}

/// Maximum number of states; a changed kernel that exceeds it is skipped because checking takes too
/// long.
const MOST_STATES: usize = 400;

/// The first program of a boot with an answer that the behaviours do not allow.
fn first_disallowed(boot: &Boot, b: Behaviours) -> Option<(String, usize, usize)> {
    let mut judge = Judge::new(b);
    for (n, program) in boot.programs.iter().enumerate() {
        match judge.program(program) {
            Ok(None) if judge.most_states() <= MOST_STATES => {}
            Ok(Some(_)) => return Some((boot.file.clone(), boot.number, n)),
            _ => return None,
        }
    }
    None
}

fn pinned(m: &Mutant) -> bool {
    let b = find(&m.profile).expect("read above").behaviours;
    pins::all()
        .into_iter()
        .filter(|p| p.behaviour == m.name)
        .any(|p| p.distinguishes(&b, &m.behaviours))
}

/// Changes that no program can detect; `tests/flags.rs` gives the reasons.
fn unseen(m: &Mutant) -> bool {
    let b = find(&m.profile).expect("read above").behaviours;
    pins::UNSEEN.iter().any(|(name, _)| *name == m.name)
        || pins::equivalent(m.name, &b, &m.behaviours)
}

fn render(mutants: &[Mutant], verdicts: &[Verdict]) -> String {
    let mut out = String::from(
        "# Behaviour-flag mutation coverage\n\n\
         One behaviour of a kernel is changed at a time to each other value that it can have; the\n\
         recordings of that kernel are checked against the changed kernel. `2/3` means that the\n\
         recordings detect two of three other values. A pinned test is the program of\n\
         `flag_<behaviour>` in `crates/kernel/tests/flags.rs`, whose answer is given for each value.\n\
         Made by `cargo run --release -p fourtuple-linux --example flip -- --table TRACES`.\n\n\
         | behaviour | detected by recordings of | pinned tests | not detected |\n\
         |---|---|---|---|\n",
    );
    let mut totals = (0, 0, 0, 0, 0);
    for &name in Behaviours::NAMES {
        let mut by_profile: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        let (mut pinned, mut all, mut equivalent) = (0, 0, false);
        let mut nothing = BTreeSet::new();
        for (m, v) in mutants.iter().zip(verdicts).filter(|(m, _)| m.name == name) {
            let cell = by_profile.entry(&m.profile).or_default();
            cell.1 += 1;
            cell.0 += usize::from(!v.kills.is_empty());
            all += 1;
            pinned += usize::from(v.pinned);
            totals.0 += 1;
            totals.1 += usize::from(!v.kills.is_empty());
            totals.2 += usize::from(v.pinned);
            if v.kills.is_empty() && !v.pinned {
                if unseen(m) {
                    totals.4 += 1;
                    equivalent = true;
                } else {
                    totals.3 += 1;
                    nothing.insert(m.profile.as_str());
                }
            }
        }
        if all == 0 {
            continue;
        }
        let recordings: Vec<String> = by_profile
            .iter()
            .filter(|(_, (killed, _))| *killed > 0)
            .map(|(p, (killed, of))| {
                if killed == of {
                    (*p).to_owned()
                } else {
                    format!("{p} {killed}/{of}")
                }
            })
            .collect();
        let dash = |s: String| if s.is_empty() { "–".to_owned() } else { s };
        let pinned = match pinned {
            0 => "–".to_owned(),
            n if n == all => "all".to_owned(),
            n => format!("{n}/{all}"),
        };
        let nothing = match pins::UNSEEN.iter().find(|(n, _)| *n == name) {
            Some((_, why)) if equivalent => format!("cannot be seen: {why}"),
            _ if equivalent && nothing.is_empty() => {
                "two values are the same rule, see `equivalent`".to_owned()
            }
            _ => dash(Vec::from_iter(nothing).join(", ")),
        };
        let recordings = dash(recordings.join(", "));
        let _ = writeln!(out, "| `{name}` | {recordings} | {pinned} | {nothing} |");
    }
    let _ = writeln!(
        out,
        "\n{} changed kernels: {} are detected by recordings, {} by pinned tests. {} cannot be detected by \
         any program, for the reasons above. {} others are not detected.",
        totals.0, totals.1, totals.2, totals.4, totals.3
    );
    out
}
