//! Shows that fuzzing detects a profile that is wrong in a single behaviour.
//!
//! Runs random programs once, checks their answers with every profile that differs from the
//! kernel's own in one behaviour, and shrinks the first programs that detect each. For behaviours
//! that no program detects, or no short one, many more programs run on the model.
//!
//! ```text
//! wrong_flags [--on host|IMAGE] [--count N] [--seed N] [--only BEHAVIOURS] [--search N]
//!     [--table FILE] [--programs FILE]
//! ```
//!
//! `--table docs/wrong-flags.md --programs crates/linux/tests/data/wrong_flags.jsonl` writes the
//! page in the repository, and the programs with which a test verifies it. `--only` selects
//! behaviours, separated by commas; each shrunk program is printed to standard error as a scenario.

mod page;
mod reasons;
mod shortest;

use fourtuple_kernel::profile::Profile;
use fourtuple_linux::fuzz::{self, Campaign, Flip};
use fourtuple_linux::search::{Search, Searched, search};
use fourtuple_linux::{Program, Shrunk, Target, farther, length, profile_of, trace};
use shortest::{SHORT, scenario, shortest};
use std::process::ExitCode;

struct Args {
    on: String,
    count: usize,
    seed: u64,
    search: u64,
    table: Option<String>,
    programs: Option<String>,
    only: Vec<String>,
}

/// A wrong behaviour and its results.
struct Row {
    flip: Flip,
    /// Number of the kernel's programs that observed the behaviour.
    looked: usize,
    shrunk: Option<Shrunk>,
    searched: Option<Searched>,
}

fn main() -> ExitCode {
    match args().and_then(|args| run(&args).map_err(|e| e.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("wrong_flags: {e}");
            ExitCode::FAILURE
        }
    }
}

fn args() -> Result<Args, String> {
    let mut all = Args {
        on: "host".into(),
        count: 1000,
        seed: 1,
        search: 1_000_000,
        table: None,
        programs: None,
        only: Vec::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        let number = || {
            value
                .parse()
                .map_err(|_| format!("{word} {value}: not a number"))
        };
        match word.as_str() {
            "--on" => all.on = value,
            "--count" => all.count = number()? as usize,
            "--seed" => all.seed = number()?,
            "--search" => all.search = number()?,
            "--only" => all.only = value.split(',').map(str::to_owned).collect(),
            "--table" => all.table = Some(value),
            "--programs" => all.programs = Some(value),
            _ => return Err(format!("unknown option `{word}`")),
        }
    }
    Ok(all)
}

fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let on = Target::named(&args.on, None)?;
    let profile =
        profile_of(on.release()).ok_or_else(|| format!("no profile is known for {}", on.name()))?;
    let campaign = Campaign {
        on: on.clone(),
        behaviours: profile.behaviours,
        sockets: fourtuple_kernel::Kind::Stream,
        seed: args.seed,
        first: 0,
        count: args.count,
        keep: true,
    };
    let findings = fuzz::run(&campaign, &|_| {})?;
    if let Some((program, _)) = findings.disallowed().next() {
        return Err(format!(
            "{} itself does not allow what {} answered to {}; `fourtuple fuzz` reports more",
            profile.name,
            on.name(),
            program.program
        )
        .into());
    }
    let programs: Vec<Program> = findings.kept.into_iter().map(|(_, p)| p).collect();
    let observed = fuzz::observed_flags(&profile.behaviours, &programs);
    let mut flips = fuzz::flip(
        &profile.behaviours,
        &programs,
        &observed,
        shortest::MOST,
        &|_, _| {},
    );
    if !args.only.is_empty() {
        flips.retain(|flip| args.only.iter().any(|name| flip.name == name));
    }
    let shortest = shortest(&on, &profile.behaviours, &flips, &programs)?;
    let mut rows: Vec<Row> = Vec::new();
    for (flip, shrunk) in flips.into_iter().zip(shortest) {
        if let Some(shrunk) = &shrunk {
            eprintln!("{}", scenario(shrunk, &flip, &profile.name));
        }
        let may = |observed: &&_| !profile.behaviours.agrees_on(&flip.behaviours, **observed);
        rows.push(Row {
            looked: observed.iter().filter(may).count(),
            flip,
            shrunk,
            searched: None,
        });
    }
    look_farther(&on, &profile, &mut rows)?;
    let simulated = look_for_short_ones(args, &on, &profile, &mut rows);
    // The search used the model alone.
    look_farther(&on, &profile, &mut rows)?;
    let text = page::page(
        args,
        &on,
        &profile.name,
        &profile.behaviours,
        &rows,
        simulated,
    );
    match &args.table {
        Some(file) => std::fs::write(file, text).map_err(|e| format!("{file}: {e}"))?,
        None => print!("{text}"),
    }
    if let Some(file) = &args.programs {
        keep(file, &on, &profile, &rows)?;
    }
    Ok(())
}

/// Searches the model for a short program where fuzzing found none. Returns the number of programs
/// tried.
fn look_for_short_ones(args: &Args, on: &Target, profile: &Profile, rows: &mut [Row]) -> u64 {
    let long = |row: &&mut Row| {
        row.shrunk
            .as_ref()
            .is_none_or(|s| length(&s.program) > SHORT)
    };
    let mut rows: Vec<&mut Row> = rows.iter_mut().filter(long).collect();
    let near = rows.iter().filter_map(|row| row.shrunk.as_ref());
    let outcome = search(&Search {
        right: profile.behaviours,
        wrong: rows.iter().map(|row| row.flip.behaviours).collect(),
        steps: SHORT,
        count: args.search,
        seed: args.seed,
        near: near.map(|shrunk| shrunk.program.clone()).collect(),
        kind: on.kind(),
    });
    for (row, found) in rows.iter_mut().zip(outcome.found) {
        let (name, value) = (row.flip.name, &row.flip.value);
        eprintln!(
            "{name} = {value}: observed by {}, detected by {}",
            found.looked, found.noticed
        );
        if let Some((_, program)) = &found.shortest {
            let about = "found on the model alone";
            let steps = program.steps.len();
            let text = fourtuple_linux::scenario_text(program, steps, &profile.name, about, true);
            eprintln!("{text}");
        }
        row.searched = Some(found);
    }
    outcome.simulated
}

/// Runs long walks from programs that are not short, or lets the kernel confirm what the search
/// found instead.
fn look_farther(
    on: &Target,
    profile: &Profile,
    rows: &mut [Row],
) -> Result<(), Box<dyn std::error::Error>> {
    for row in rows.iter_mut() {
        let Some(shown) = &row.shrunk else {
            continue;
        };
        if length(&shown.program) <= SHORT {
            continue;
        }
        let (right, wrong) = (profile.behaviours, row.flip.behaviours);
        let shorter = match &row.searched {
            None => farther(on, right, wrong, Some(&shown.program), &[])?,
            Some(searched) => {
                let found = searched.shortest.iter().map(|(_, p)| p.clone());
                farther(on, right, wrong, None, &found.collect::<Vec<_>>())?
            }
        };
        if let Some(shorter) = shorter {
            let (name, value) = (row.flip.name, &row.flip.value);
            eprintln!("{name} = {value}: {} steps", length(&shorter.program));
            eprintln!("{}", scenario(&shorter, &row.flip, &profile.name));
            row.shrunk = Some(shorter);
        }
    }
    Ok(())
}

/// Writes the shrunk programs, named after the wrong value that they show.
fn keep(
    file: &str,
    on: &Target,
    profile: &Profile,
    rows: &[Row],
) -> Result<(), Box<dyn std::error::Error>> {
    let version = page::version(on);
    let kernel = format!("Linux {version}");
    let mut boot = trace::Boot {
        header: Some(trace::Header::new(&kernel, version, &profile.name)),
        programs: Vec::new(),
    };
    for row in rows {
        if let Some(shrunk) = &row.shrunk {
            boot.programs.push(Program {
                program: format!("{} = {}", row.flip.name, row.flip.value),
                ..shrunk.program.clone()
            });
        }
    }
    let mut lines = Vec::new();
    trace::write(&mut lines, &[boot])?;
    std::fs::write(file, lines).map_err(|e| format!("{file}: {e}"))?;
    Ok(())
}
