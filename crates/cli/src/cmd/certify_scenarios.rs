//! `fourtuple certify` for scenarios: runs each on a real kernel and checks that the model allows
//! its answers.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use fourtuple_harness::{Engine, External, RunReport, runner};
use fourtuple_kernel::profile::Profile;
use fourtuple_linux::engine::KernelEngine;
use fourtuple_render::text;
use fourtuple_render::text::checked::Certificate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::certificate::Rows;
use crate::engines;
use crate::files::{self, Existing};
use crate::output::{Failure, Output};
use crate::selected::Selected;

/// The results of scenarios on kernels.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
pub(super) struct Found {
    /// The version of this format.
    format: u32,
    /// The results of each kernel.
    kernels: Vec<OnKernel>,
}

/// The results on one kernel.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct OnKernel {
    /// The release that uname reports.
    release: String,
    /// `host` or `vm`.
    how: String,
    /// The name by which it was selected.
    on: String,
    /// The profile that the answers were checked against.
    profile: String,
    /// The scenarios, in the order of their files.
    scenarios: Vec<Row>,
}

/// The results of one scenario.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
struct Row {
    /// The scenario.
    scenario: String,
    /// The digest of its file.
    digest: String,
    /// Number of cases that ran.
    cases: u64,
    /// Calls that were checked.
    calls: u64,
    /// Answers that the profile does not allow.
    disallowed: u64,
    /// The reason why it did not run, or not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left_out: Option<String>,
}

impl Found {
    /// True if an answer is not allowed.
    pub(super) fn bad(&self) -> bool {
        let mut rows = self.kernels.iter().flat_map(|kernel| &kernel.scenarios);
        rows.any(|row| row.disallowed > 0)
    }

    /// The number of cases that ran.
    pub(super) fn ran(&self) -> u64 {
        let rows = self.kernels.iter().flat_map(|kernel| &kernel.scenarios);
        rows.map(|row| row.cases).sum()
    }

    /// Writes the results to a file as JSON. Those that the file has of other kernels and of other
    /// scenarios stay.
    ///
    /// # Errors
    /// The file is there and is not one of results, or writing it fails.
    pub(super) fn write(self, file: &Path) -> Result<(), Failure> {
        let failed =
            |e: &dyn std::fmt::Display| Failure::Message(format!("error: {}: {e}", file.display()));
        let mut all: Found = match std::fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).map_err(|e| failed(&e))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Found::default(),
            Err(e) => return Err(failed(&e)),
        };
        all.format = self.format;
        for kernel in self.kernels {
            let same = |old: &&mut OnKernel| old.release == kernel.release && old.how == kernel.how;
            match all.kernels.iter_mut().find(same) {
                Some(old) => old.update(kernel),
                None => all.kernels.push(kernel),
            }
        }
        let mut text = serde_json::to_string_pretty(&all).map_err(|e| failed(&e))?;
        text.push('\n');
        files::write(file, text, Existing::Replace)
    }
}

impl OnKernel {
    /// Takes over the results of another run on the same kernel.
    fn update(&mut self, newer: OnKernel) {
        (self.on, self.profile) = (newer.on, newer.profile);
        for row in newer.scenarios {
            self.scenarios.retain(|old| old.scenario != row.scenario);
            self.scenarios.push(row);
        }
        // In the order of files, as directories are read.
        self.scenarios
            .sort_by_cached_key(|row| format!("{}.yaml", row.scenario));
    }
}

/// The parameters of the conformance check.
#[derive(Debug)]
pub(super) struct CheckOptions {
    /// The profile, instead of the kernel's own.
    pub(super) profile: Option<Profile>,
    /// Limit of the real time of a scenario.
    pub(super) limit: Duration,
}

/// Runs scenarios on each of the kernels.
pub(super) fn on(
    out: &mut Output,
    selected: &[Selected],
    kernels: &[&String],
    check: &CheckOptions,
    rows: &mut Rows,
) -> Result<Found, Failure> {
    let mut found = Found {
        format: 1,
        kernels: Vec::new(),
    };
    for name in kernels {
        let real = engines::real_kernel(name, check.profile.clone(), check.limit)?;
        let one = on_kernel(out, name, &real, selected)?;
        print(out, &one)?;
        engines::check_engine_completed(out, &real)?;
        let mut certificate = Certificate::new(&one.release, &one.how);
        for row in &one.scenarios {
            certificate.scenarios += row.cases;
            certificate.calls += row.calls;
            certificate.disallowed += row.disallowed;
        }
        rows.insert((one.profile.clone(), one.release.clone()), certificate);
        found.kernels.push(one);
    }
    Ok(found)
}

fn on_kernel(
    out: &mut Output,
    name: &str,
    real: &KernelEngine,
    selected: &[Selected],
) -> Result<OnKernel, Failure> {
    let own = |profile: &Profile| profile.behaviours == real.profile().behaviours;
    let folded: Vec<Vec<runner::Folded>> = selected
        .iter()
        .map(|one| {
            let mut cases = runner::fold(&one.scenario, one.cases.clone());
            cases.retain(|(_, profile, _)| own(profile));
            cases
        })
        .collect();
    let cases: Vec<_> = folded
        .iter()
        .flatten()
        .map(|(case, profile, _)| (&**case, &**profile))
        .collect();
    real.prepare(&cases);
    let mut scenarios = Vec::with_capacity(selected.len());
    for (one, cases) in selected.iter().zip(&folded) {
        let mut row = Row {
            scenario: one.scenario.name.clone(),
            digest: digest(&one.scenario.file)?,
            ..Row::default()
        };
        if cases.is_empty() {
            let asked: Vec<String> = one
                .scenario
                .kernel
                .patterns
                .iter()
                .map(|pattern| pattern.to_string())
                .collect();
            row.left_out = Some(format!("it is for {}", asked.join(", ")));
        }
        for (case, profile, _) in cases {
            match real.run(case, profile) {
                Ok(report) => {
                    row.cases += 1;
                    add(out, &mut row, &report)?;
                }
                Err(cannot) => row.left_out = Some(cannot.reason),
            }
        }
        scenarios.push(row);
    }
    Ok(OnKernel {
        release: real.on().release().to_owned(),
        how: real.on().how().to_owned(),
        on: name.to_owned(),
        profile: real.profile().name.clone(),
        scenarios,
    })
}

fn digest(file: &str) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| Failure::Message(format!("error: {file}: {e}")))?;
    Ok(fourtuple_scenario::digest(&text))
}

/// Adds a case that ran, and prints an answer that is not allowed.
fn add(out: &mut Output, row: &mut Row, report: &RunReport) -> Result<(), Failure> {
    let Some(conformance) = &report.conformance else {
        return Ok(());
    };
    row.calls += conformance.calls;
    if let Some(one) = &conformance.disallowed {
        row.disallowed += 1;
        let axes: Vec<String> = report
            .axes
            .iter()
            .map(|(name, value)| format!(", {name}={value}"))
            .collect();
        writeln!(
            out,
            "{}{}: {}",
            report.scenario,
            axes.concat(),
            text::summary::conformance(conformance)
        )?;
        for line in one.scenario.lines() {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}

/// Prints the table of one kernel.
fn print(out: &mut Output, one: &OnKernel) -> Result<(), Failure> {
    let mut cells = vec![
        ["scenario", "cases", "calls", "disallowed", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    let (mut cases, mut calls, mut disallowed, mut ran) = (0, 0, 0, 0);
    for row in &one.scenarios {
        cases += row.cases;
        calls += row.calls;
        disallowed += row.disallowed;
        ran += usize::from(row.cases > 0);
        let number = |n: u64| match row.cases {
            0 => "-".to_owned(),
            _ => n.to_string(),
        };
        let why = row.left_out.as_deref();
        cells.push(vec![
            row.scenario.clone(),
            number(row.cases),
            number(row.calls),
            number(row.disallowed),
            why.map(|why| format!("left out: {why}"))
                .unwrap_or_default(),
        ]);
    }
    let mut printed = String::new();
    text::columns(&mut printed, 0, &cells);
    out.write_all(printed.as_bytes())?;
    let left_out = one.scenarios.len() - ran;
    writeln!(
        out,
        "\n{} ({}, profile {}): {ran} scenarios, {cases} cases, {calls} calls: {disallowed} answers that the profile does not allow; {left_out} scenarios left out",
        one.release, one.how, one.profile
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_other_kernels_and_scenarios_stay() {
        let found = |release: &str, rows: &[(&str, u64)]| Found {
            format: 1,
            kernels: vec![OnKernel {
                release: release.to_owned(),
                how: "host".to_owned(),
                on: "host".to_owned(),
                profile: "linux-6.18".to_owned(),
                scenarios: rows
                    .iter()
                    .map(|(name, calls)| Row {
                        scenario: (*name).to_owned(),
                        calls: *calls,
                        ..Row::default()
                    })
                    .collect(),
            }],
        };
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("data.json");
        for one in [
            found("6.18.1", &[("a/b-c", 1), ("a/b", 2)]),
            found("6.18.2", &[("a/b", 3)]),
            found("6.18.1", &[("a/b", 4), ("a/a", 5)]),
        ] {
            one.write(&file).expect("it is written");
        }
        let text = std::fs::read_to_string(&file).expect("the file");
        let all: Found = serde_json::from_str(&text).expect("results");
        let rows: Vec<_> = (all.kernels.iter())
            .flat_map(|kernel| kernel.scenarios.iter().map(|row| (&*kernel.release, row)))
            .map(|(release, row)| (release, &*row.scenario, row.calls))
            .collect();
        assert_eq!(
            rows,
            [
                ("6.18.1", "a/a", 5),
                ("6.18.1", "a/b-c", 1),
                ("6.18.1", "a/b", 4),
                ("6.18.2", "a/b", 3)
            ]
        );
        std::fs::write(&file, "[]").expect("it is written");
        let refused = found("6.18.1", &[]).write(&file).expect_err("no results");
        assert!(format!("{refused:?}").contains("data.json"), "{refused:?}");
    }
}
