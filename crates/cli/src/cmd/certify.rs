//! `fourtuple certify`: is the model right about real kernels?

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use fourtuple_harness::text;
use fourtuple_kernel::profile;
use fourtuple_linux::judge::{Counterexample, Judge};
use fourtuple_linux::{scenario_text, trace};

use crate::certificate::{Certificate, Certificates};
use crate::output::{Failure, Output, Verdict};

/// Checks the model against real kernels: every answer of the kernel must be one that its profile allows.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourtuple certify --on recordings/*.jsonl\n  fourtuple certify scenarios --on host"
)]
pub(crate) struct Args {
    /// Scenarios to run on the kernel; with recordings none are needed.
    paths: Vec<PathBuf>,
    /// What to check against: recordings (`*.jsonl`).
    #[arg(long, num_args = 1.., required = true, value_name = "TRACE")]
    on: Vec<String>,
    /// Takes the result down in this file, from which `fourtuple kernels NAME` tells it.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let mut rows: BTreeMap<(String, String), Certificate> = BTreeMap::new();
        let mut bad = 0;
        for on in &self.on {
            let file = Path::new(on);
            let boots = trace::read_file(file).map_err(|e| Failure::Told(format!("error: {e}")))?;
            for boot in &boots {
                let Some(header) = &boot.header else {
                    return Err(Failure::Told(format!(
                        "error: {on}: the programs have no answers and no header line"
                    )));
                };
                let profile = super::kernels::find(&header.profile)?;
                let row = rows
                    .entry((profile.name.clone(), header.kernel.clone()))
                    .or_insert_with(|| Certificate::new(&header.kernel, "recording"));
                let mut judge = Judge::new(profile.behaviours);
                for program in &boot.programs {
                    row.programs += 1;
                    let found = judge
                        .program(program)
                        .map_err(|e| Failure::Told(format!("error: {on}: {e}")))?;
                    if let Some(counterexample) = found {
                        row.disallowed += 1;
                        bad += 1;
                        report(out, on, &profile.name, program, &counterexample)?;
                    }
                }
                row.calls += judge.calls();
            }
        }
        table(out, &rows)?;
        if let Some(file) = &self.certificate {
            let mut all = Certificates::read(file)?;
            for ((profile, _), certificate) in rows {
                all.put(&profile, certificate);
            }
            all.write(file)?;
        }
        Ok(if bad == 0 {
            Verdict::Good
        } else {
            Verdict::Bad
        })
    }
}

/// Tells one answer that the profile does not allow, with the smallest prefix that shows it.
fn report(
    out: &mut Output,
    on: &str,
    profile: &str,
    program: &fourtuple_linux::Program,
    found: &Counterexample,
) -> Result<(), Failure> {
    let allowed = found.allowed.join(", or ");
    writeln!(
        out,
        "{on}: {}, step {}: answered {}; {profile} allows {allowed}",
        found.program,
        found.step + 1,
        found.seen
    )?;
    let about = format!(
        "The kernel answered {} to the last step. {profile} allows {allowed}",
        found.seen
    );
    let text = scenario_text(program, found.step + 1, profile, &about, true);
    for line in text.lines() {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

fn table(out: &mut Output, rows: &BTreeMap<(String, String), Certificate>) -> Result<(), Failure> {
    let mut cells = vec![
        ["profile", "kernel", "programs", "calls", "disallowed"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let order = profile::names();
    let mut sorted: Vec<_> = rows.iter().collect();
    sorted
        .sort_by_key(|((name, kernel), _)| (order.iter().position(|n| n == name), kernel.clone()));
    let (mut programs, mut calls, mut disallowed) = (0, 0, 0);
    for ((name, kernel), c) in sorted {
        programs += c.programs;
        calls += c.calls;
        disallowed += c.disallowed;
        let row = [
            name.clone(),
            kernel.clone(),
            c.programs.to_string(),
            c.calls.to_string(),
            c.disallowed.to_string(),
        ];
        cells.push(row.to_vec());
    }
    let mut printed = String::new();
    text::columns(&mut printed, 0, &cells);
    out.write_all(printed.as_bytes())?;
    writeln!(
        out,
        "\n{programs} programs, {calls} calls: {disallowed} answers that the profiles do not allow"
    )?;
    Ok(())
}
