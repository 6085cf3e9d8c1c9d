//! Shows that fuzzing finds a profile that is wrong in a single behaviour.
//!
//! Runs random programs once, judges their answers by every profile that differs from the kernel's own in one behaviour, and shortens
//! the first programs that notice each.
//!
//! ```text
//! wrong_flags [--on host|IMAGE] [--count N] [--seed N] [--only BEHAVIOUR] [--table FILE]
//! ```
//!
//! `--table docs/wrong-flags.md` writes the table that is kept in the project. `--only` asks about one behaviour; each shortened program goes
//! to standard error as a scenario.

mod reasons;

use fourtuple_kernel::Behaviours;
use fourtuple_linux::fuzz::{self, Campaign, Flip};
use fourtuple_linux::{Call, On, Program, RunError, Shrunk, profile_of, scenario_text, shrink};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

struct Args {
    on: String,
    count: usize,
    seed: u64,
    table: Option<String>,
    only: Option<String>,
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
        table: None,
        only: None,
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
            "--only" => all.only = Some(value),
            "--table" => all.table = Some(value),
            _ => return Err(format!("{word} is not known")),
        }
    }
    Ok(all)
}

fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let on = On::named(&args.on, None)?;
    let profile =
        profile_of(on.release()).ok_or_else(|| format!("no profile is known for {}", on.name()))?;
    let campaign = Campaign {
        on: on.clone(),
        behaviours: profile.behaviours,
        seed: args.seed,
        first: 0,
        count: args.count,
        keep: true,
    };
    let findings = fuzz::run(&campaign, &|_| {})?;
    if let Some((program, _)) = findings.disallowed().next() {
        return Err(format!(
            "{} itself does not allow what {} answered to {}; `fourtuple fuzz` tells more",
            profile.name,
            on.name(),
            program.program
        )
        .into());
    }
    let programs: Vec<Program> = findings.kept.into_iter().map(|(_, p)| p).collect();
    let mut flips = fuzz::flip(&profile.behaviours, &programs, MOST, &|n, of| {
        eprintln!("judged {n} of {of}")
    });
    if let Some(only) = &args.only {
        flips.retain(|flip| flip.name == only);
    }
    let mut rows = Vec::new();
    for flip in &flips {
        let shortest = shortest(&on, flip, &programs)?;
        if let Some(shrunk) = &shortest {
            eprintln!(
                "{} = {}: {} steps\n{}",
                flip.name,
                flip.value,
                length(&shrunk.program),
                scenario(shrunk, flip, &profile.name)
            );
        }
        rows.push((flip, shortest));
    }
    let text = table(args, &on, &profile.name, &profile.behaviours, &rows);
    match &args.table {
        Some(file) => std::fs::write(file, text).map_err(|e| format!("{file}: {e}"))?,
        None => print!("{text}"),
    }
    Ok(())
}

/// So many programs that noticed a wrong behaviour are shortened, until one is short: what shows it plainly need not come first.
const MOST: usize = 4;
/// What counts as short.
const SHORT: usize = 8;

/// The shortest of the programs that noticed a wrong behaviour, shortened.
fn shortest(on: &On, flip: &Flip, programs: &[Program]) -> Result<Option<Shrunk>, RunError> {
    let mut best: Option<Shrunk> = None;
    for (n, found) in &flip.noticed {
        let shrunk = shrink(on, flip.behaviours, &programs[*n], found)?;
        best = best
            .into_iter()
            .chain(shrunk)
            .min_by_key(|s| length(&s.program));
        if best.as_ref().is_some_and(|s| length(&s.program) <= SHORT) {
            break;
        }
    }
    Ok(best)
}

fn scenario(shrunk: &Shrunk, flip: &Flip, profile: &str) -> String {
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

/// Steps as a scenario has them: its namespace is there from the start.
fn length(program: &Program) -> usize {
    let step = |s: &&fourtuple_linux::Step| s.call != Call::Ns;
    program.steps.iter().filter(step).count()
}

fn table(
    args: &Args,
    on: &On,
    profile: &str,
    right: &Behaviours,
    rows: &[(&Flip, Option<Shrunk>)],
) -> String {
    // What follows the version names a build, which says nothing to others.
    let version = on.release().split('-').next().unwrap_or_default();
    let mut out = format!(
        "# Wrong behaviours that fuzzing finds\n\n\
         {} random programs (seed {}) ran once on Linux {version}. Their answers were judged by `{profile}` with one behaviour changed at a time.\n\
         *Program* is the number of the first one with an answer that the changed profile does not allow. *Steps* is the least number of\n\
         steps, the port range among them, that are left of the first {MOST} such programs once they are shortened on that kernel.\n\
         Made by `cargo run --release -p fourtuple-linux --example wrong_flags -- --table docs/wrong-flags.md`.\n\n\
         | behaviour | right | wrong | program | steps |\n|---|---|---|---|---|\n",
        args.count, args.seed,
    );
    let rights: BTreeMap<&str, String> = right
        .rows()
        .into_iter()
        .map(|r| (r.name, r.value))
        .collect();
    let (mut found, mut short) = (0, 0);
    let mut unseen: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (flip, shrunk) in rows {
        let Some((n, _)) = flip.noticed.first() else {
            let why = reasons::reason(flip.name, &flip.value).unwrap_or("not known");
            unseen
                .entry((flip.name, why))
                .or_default()
                .push(&flip.value);
            continue;
        };
        found += 1;
        let steps = shrunk.as_ref().map(|s| length(&s.program));
        short += usize::from(steps.is_some_and(|n| n <= SHORT));
        let steps = steps.map_or("not seen again".to_owned(), |n| n.to_string());
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {n} | {steps} |",
            flip.name, rights[flip.name], flip.value
        );
    }
    let _ = writeln!(
        out,
        "\n{found} of {} wrong values are found, {short} of them in at most {SHORT} steps.",
        rows.len()
    );
    if !unseen.is_empty() {
        out.push_str(
            "\n## Not met by these programs on this kernel\n\n| behaviour | wrong | why |\n|---|---|---|\n",
        );
        for ((name, why), values) in unseen {
            let _ = writeln!(out, "| `{name}` | {} | {why} |", values.join("; "));
        }
    }
    out
}
