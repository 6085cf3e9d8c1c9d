//! Text of the page on mutated flags.

use crate::reasons::reason;
use crate::shortest::{MOST, SHORT};
use crate::{Args, Row};
use fourtuple_kernel::Behaviours;
use fourtuple_linux::{Target, length};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The kernel's version without the build, which means nothing to other people.
pub(crate) fn version(on: &Target) -> &str {
    on.release().split('-').next().unwrap_or_default()
}

pub(crate) fn page(
    args: &Args,
    on: &Target,
    profile: &str,
    right: &Behaviours,
    rows: &[Row],
    searched: u64,
) -> String {
    let version = version(on);
    let mut out = format!(
        "# Mutated flags that fuzzing finds\n\n\
         {} random programs (seed {}) ran once on Linux {version}. Their answers were checked with `{profile}` and one behaviour changed at a time.\n\
         *Program* is the number of the first one with an answer that the changed profile does not allow. *Steps* is the least number of\n\
         steps, sysctls among them, of the first {MOST} such programs after shrinking them as `fourtuple fuzz` does, and\n\
         where more than {SHORT} remain, after longer random walks among programs that show the same.\n\
         The shrunk programs ran on that kernel, and the changed profile does not allow its answers to them either.\n\
         Made by `cargo run --release -p fourtuple-linux --example wrong_flags -- --table docs/wrong-flags.md --programs \
         crates/linux/tests/data/wrong_flags.jsonl`.\n\n\
         | behaviour | right | wrong | program | steps |\n|---|---|---|---|---|\n",
        args.count, args.seed,
    );
    let rights: BTreeMap<&str, String> = right
        .rows()
        .into_iter()
        .map(|r| (r.name, r.value))
        .collect();
    let steps = |row: &Row| row.shrunk.as_ref().map(|s| length(&s.program));
    let found: Vec<&Row> = rows.iter().filter(|r| !r.flip.noticed.is_empty()).collect();
    for row in &found {
        let steps = steps(row).map_or("not shortened".to_owned(), |n| n.to_string());
        let (name, value) = (row.flip.name, &row.flip.value);
        let (n, _) = row.flip.noticed[0];
        let _ = writeln!(
            out,
            "| `{name}` | {} | {value} | {n} | {steps} |",
            rights[name]
        );
    }
    let is_short = |row: &&Row| steps(row).is_some_and(|n| n <= SHORT);
    let short = found.iter().filter(|r| is_short(r)).count();
    let _ = writeln!(
        out,
        "\n{} of {} wrong values are found, {short} of them in at most {SHORT} steps.",
        found.len(),
        rows.len()
    );
    let _ = writeln!(
        out,
        "\nThe tables below are about {} more programs of at most {SHORT} steps, on the model alone, with `{profile}` as the kernel: half of\n\
         them random calls, half the longer shrunk programs above with some calls changed. *Looked at* counts those whose answers\n\
         depend on the behaviour at all, *noticed* those with an answer that the changed profile does not allow.",
        millions(searched)
    );
    let long: Vec<&&Row> = found.iter().filter(|r| !is_short(r)).collect();
    if !long.is_empty() {
        let _ = write!(
            out,
            "\n## Longer than {SHORT} steps\n\n| behaviour | wrong | looked at | noticed |\n|---|---|---|---|\n"
        );
        for row in long {
            let (looked, noticed) = counts(row);
            let (name, value) = (row.flip.name, &row.flip.value);
            let _ = writeln!(out, "| `{name}` | {value} | {looked} | {noticed} |");
        }
    }
    let _ = write!(
        out,
        "\n## Not found\n\nThe third column counts the programs, of {} random ones, that observed the behaviour on the kernel.\n\n\
         | behaviour | wrong | on the kernel | looked at | noticed | why |\n|---|---|---|---|---|---|\n",
        args.count
    );
    for row in rows.iter().filter(|r| r.flip.noticed.is_empty()) {
        let (looked, noticed) = counts(row);
        let (name, value) = (row.flip.name, &row.flip.value);
        let why = reason(name, value).unwrap_or("not known");
        let _ = writeln!(
            out,
            "| `{name}` | {value} | {} | {looked} | {noticed} | {why} |",
            row.looked
        );
    }
    out
}

fn counts(row: &Row) -> (String, String) {
    row.searched
        .as_ref()
        .map_or(("–".to_owned(), "–".to_owned()), |s| {
            (s.looked.to_string(), s.noticed.to_string())
        })
}

/// Formats a number with thousands separators.
fn millions(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
