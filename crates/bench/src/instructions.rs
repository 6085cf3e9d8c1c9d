//! Instructions per call, which the bench of the kernel crate counts with valgrind.

use crate::kernel;
use crate::machine::rounds::{FILLED, KERNELS, ROUND};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The calls by their names in `benches/instructions.rs`, and in words.
pub(crate) const CALLS: [(&str, &str); 6] = [
    ("connect_one", "connect, one destination"),
    ("connect_another", "connect, a 9th destination"),
    ("connect_poisoned", "connect, bound ports"),
    ("bind", "bind to port 0"),
    ("close", "close"),
    ("expiry", "end of a TIME-WAIT"),
];

/// Times what a call costs on an empty range, it may cost however full the range is. It is more than 1 because an empty range
/// leaves out things that do not grow: once a destination has many connections, a set of its ports is kept, and each call that
/// begins or ends one keeps it up. A walk port by port would be hundreds of times.
const FLAT: f64 = 2.0;

/// Times what a connection takes of ten thousand, one of a million may take.
const LINEAR: f64 = 1.25;

/// Instructions per call for each of [`CALLS`] and each kernel, in the order of [`FILLED`].
pub(crate) type Counts = BTreeMap<(&'static str, &'static str), [f64; FILLED.len()]>;

/// What was counted, or a sentence why nothing was.
pub(crate) fn count(top: &Path) -> Result<Result<Counts, String>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let ended = Command::new(cargo)
        .args(["bench", "--quiet", "--package", "fourtuple-kernel"])
        .args(["--bench", "instructions", "--"])
        .args(["--output-format=json", "--parallel=auto"])
        .current_dir(top)
        .output()
        .map_err(|e| format!("cargo does not start: {e}"))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() {
        return Err(format!("`cargo bench`: {}\n{said}", ended.status));
    }
    let lines = String::from_utf8_lossy(&ended.stdout);
    if lines.trim().is_empty() {
        let reason = said.lines().find(|line| line.contains("not counted"));
        return Ok(Err(reason.ok_or("`cargo bench` says nothing")?.to_owned()));
    }
    let mut single = BTreeMap::new();
    for line in lines.lines() {
        let one: Value = serde_json::from_str(line).map_err(|e| format!("gungraun: {e}"))?;
        let (id, instructions) =
            read(&one).ok_or_else(|| format!("gungraun writes something else now: {line}"))?;
        single.insert(id, instructions / ROUND as f64);
    }
    let mut counts = Counts::new();
    for (call, _) in CALLS {
        for (k, kernel) in KERNELS.into_iter().enumerate() {
            let mut row = [0.0; FILLED.len()];
            for (f, cell) in row.iter_mut().enumerate() {
                let id = format!("{call}_{}", k * FILLED.len() + f);
                *cell = *single
                    .get(&id)
                    .ok_or_else(|| format!("there is no count of {id}"))?;
            }
            counts.insert((call, kernel), row);
        }
    }
    Ok(Ok(counts))
}

/// Instructions per connection of so many held connections, beyond those of a machine without any; none where there is no valgrind.
pub(crate) fn held(connections: usize, destinations: usize) -> Option<f64> {
    let all = of_this_program(connections, destinations)?;
    Some((all - of_this_program(0, destinations)?) / connections as f64)
}

fn of_this_program(connections: usize, destinations: usize) -> Option<f64> {
    let ended = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args([
            kernel::HELD,
            &connections.to_string(),
            &destinations.to_string(),
        ])
        .output()
        .ok()
        .filter(|ended| ended.status.success())?;
    let said = String::from_utf8_lossy(&ended.stderr);
    let (_, count) = said.split_once("Collected :")?;
    count.split_whitespace().next()?.parse().ok()
}

/// The id of one benchmark and what was counted.
fn read(one: &Value) -> Option<(String, f64)> {
    let id = one["id"].as_str()?.to_owned();
    let values = &one.pointer("/profiles/0/data/total/metrics/Ir/values")?;
    // With a run before it there are both.
    let counted = values.get("new").or_else(|| values.pointer("/both/0"))?;
    Some((id, counted.as_f64()?))
}

/// Checks that calls cost the same however full the range is and however many connections there are, and says what came out.
pub(crate) fn flat(top: &Path) -> Result<(), String> {
    let counts = match count(top)? {
        Ok(counts) => counts,
        Err(reason) => {
            println!("NOT CHECKED: {reason}");
            return Ok(());
        }
    };
    let mut all = Vec::new();
    for ((call, kernel), row) in &counts {
        for (filled, count) in FILLED.into_iter().zip(row) {
            all.push((count / row[0], format!("{call} on {kernel} at {filled} %")));
        }
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let beyond: Vec<String> = (all.iter())
        .filter(|(times, _)| *times > FLAT)
        .map(|(times, what)| format!("{what} takes {times:.2} times the instructions at 0 %"))
        .collect();
    if !beyond.is_empty() {
        return Err(format!("at most {FLAT} times: {}", beyond.join("; ")));
    }
    if let Some((times, what)) = all.last() {
        println!(
            "{} counts, the most {times:.2} times that at 0 %: {what}",
            all.len()
        );
    }
    linear()
}

/// Checks that many connections cost each as much as few do.
fn linear() -> Result<(), String> {
    let counts = [10_000, 1_000_000].map(|connections| held(connections, 64));
    let [Some(few), Some(many)] = counts else {
        println!("NOT CHECKED: valgrind does not count this program");
        return Ok(());
    };
    let told = format!(
        "a connection of a million takes {:.2} times the instructions of one of ten thousand",
        many / few
    );
    if many > LINEAR * few {
        return Err(format!("at most {LINEAR} times: {told}"));
    }
    println!("{told}");
    Ok(())
}
