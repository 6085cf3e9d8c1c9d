//! Instructions per call, counted with valgrind by the bench of the kernel crate.

use crate::kernel;
use crate::machine::rounds::{FILLED, KERNELS, ROUND};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The calls: their names in `benches/instructions.rs`, and their descriptions.
pub(crate) const CALLS: [(&str, &str); 6] = [
    ("connect_one", "connect, one destination"),
    ("connect_another", "connect, a 9th destination"),
    ("connect_poisoned", "connect, bound ports"),
    ("bind", "bind to port 0"),
    ("close", "close"),
    ("expiry", "end of a TIME-WAIT"),
];

/// Maximum ratio of a call's cost to its cost on an empty range, at any fill. It is above 1 because
/// an empty range saves constant work: a destination with many connections has a set of its ports,
/// which each call that makes or ends a connection updates. A walk port by port would take hundreds
/// of times as long.
const FLAT: f64 = 2.0;

/// Maximum ratio of a connection's cost among many to its cost among few.
pub(crate) const LINEAR: f64 = 1.25;

/// Instructions per call for each of [`CALLS`] and each kernel, in the order of [`FILLED`].
pub(crate) type Counts = BTreeMap<(&'static str, &'static str), [f64; FILLED.len()]>;

/// Counts instructions. The inner error is the reason why nothing was counted.
pub(crate) fn count(top: &Path) -> Result<Result<Counts, String>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let ended = Command::new(cargo)
        .args(["bench", "--quiet", "--package", "fourtuple-kernel"])
        .args(["--bench", "instructions", "--"])
        .args(["--output-format=json", "--parallel=auto"])
        .current_dir(top)
        .output()
        .map_err(|e| format!("failed to start cargo: {e}"))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() {
        return Err(format!("`cargo bench`: {}\n{said}", ended.status));
    }
    let lines = String::from_utf8_lossy(&ended.stdout);
    if lines.trim().is_empty() {
        let reason = said.lines().find(|line| line.contains("not counted"));
        return Ok(Err(reason
            .ok_or("`cargo bench` printed nothing")?
            .to_owned()));
    }
    let mut single = BTreeMap::new();
    for line in lines.lines() {
        let one: Value = serde_json::from_str(line).map_err(|e| format!("gungraun: {e}"))?;
        let (id, instructions) =
            read(&one).ok_or_else(|| format!("unexpected output of gungraun: {line}"))?;
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
                    .ok_or_else(|| format!("missing count of {id}"))?;
            }
            counts.insert((call, kernel), row);
        }
    }
    Ok(Ok(counts))
}

/// Instructions per connection for this number of held connections, not counting those of a machine
/// without any; `None` without valgrind.
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

/// The id of one benchmark and its count.
fn read(one: &Value) -> Option<(String, f64)> {
    let id = one["id"].as_str()?.to_owned();
    let values = &one.pointer("/profiles/0/data/total/metrics/Ir/values")?;
    // If there was a run before, the output has both counts.
    let counted = values.get("new").or_else(|| values.pointer("/both/0"))?;
    Some((id, counted.as_f64()?))
}

/// Checks that the cost of calls depends neither on the fill of the range nor on the number of
/// connections, and prints the result.
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

/// Checks that a connection among many costs as much as one among few.
fn linear() -> Result<(), String> {
    let counts = [10_000, 1_000_000].map(|connections| held(connections, 64));
    let [Some(few), Some(many)] = counts else {
        println!("NOT CHECKED: valgrind does not count this program");
        return Ok(());
    };
    let result = format!(
        "a connection of a million takes {:.2} times the instructions of one of ten thousand",
        many / few
    );
    if many > LINEAR * few {
        return Err(format!("at most {LINEAR} times: {result}"));
    }
    println!("{result}");
    Ok(())
}
