//! `fourtuple certify`: checks the model against real kernels.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use fourtuple_kernel::profile;
use fourtuple_linux::judge::{Counterexample, Judge};
use fourtuple_linux::{profile_of_recording, scenario_text, trace};
use fourtuple_render::text;
use fourtuple_render::text::checked::Certificate;

use super::certify_scenarios::{self, CheckOptions};
use crate::certificate::{Certificates, Rows};
use crate::engines::WaitArgs;
use crate::output::{Failure, Output, Verdict};
use crate::select::{self, Overrides};
use crate::selected::Selected;
use crate::shard::{Seal, Sweep};

/// Checks the model against real kernels.
///
/// Runs scenarios, or reads recordings, and checks every answer of the kernel for conformance: it
/// must be one that the kernel's profile allows, given the answers before it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourtuple certify scenarios --on host\n  fourtuple certify scenarios --on debian:6.1 --kernel debian-12\n  fourtuple certify --on recordings/*.jsonl\n\nExit status: 0 if the profiles allow every answer, 1 if not, 2 if a scenario, a recording or the arguments are invalid."
)]
pub(crate) struct Args {
    /// Scenario files to run on the kernel, or directories of them. Recordings need none.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Kernels to check: `host` for the running kernel, an image (a bzImage or a name such as
    /// debian:6.1), or recordings (`*.jsonl`).
    #[arg(long, num_args = 1.., required = true, value_name = "host|IMAGE|TRACE")]
    on: Vec<String>,
    /// Write a certificate to FILE, to be added to crates/render/data/certificates.json.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Write the result of each scenario to FILE, as JSON. Results that FILE has of other kernels
    /// and scenarios stay.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Profile to check against [default: the profile of the kernel's release].
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    #[command(flatten)]
    sweep: Sweep,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    overrides: Overrides,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let (mut recordings, kernels): (Vec<_>, Vec<_>) =
            self.on.iter().partition(|on| on.ends_with(".jsonl"));
        let has_recordings = !recordings.is_empty();
        let mut selected = match (kernels.is_empty(), self.paths.is_empty()) {
            (true, _) => Vec::new(),
            (false, false) => select::all(&self.paths, &self.overrides)?,
            (false, true) => {
                return Err(Failure::Message(
                    "error: no scenarios to run\n  = help: name some, such as `fourtuple certify scenarios --on host`"
                        .to_owned(),
                ));
            }
        };
        let seal = self.seal(&selected);
        self.sweep.shard.keep(&mut recordings);
        self.sweep.shard.keep(&mut selected);
        let mut rows = Rows::new();
        let mut bad = false;
        // A part of a sweep may have nothing to do.
        let mut nothing = recordings.is_empty() && seal.is_none();
        let mut not_checked = 0;
        for on in &recordings {
            bad |= recording(out, on, self.overrides.hz, &mut rows, &mut not_checked)?;
        }
        if has_recordings {
            table(out, &rows, not_checked)?;
        }
        if !selected.is_empty() {
            let profile = self.profile.as_deref().map(super::kernels::find);
            let profile = profile.transpose()?;
            self.overrides
                .budget
                .check_model(&selected, kernels.len() as u64)?;
            let found = certify_scenarios::on(
                out,
                &selected,
                &kernels,
                &CheckOptions {
                    profile,
                    limit: self.wait.limit(),
                },
                &mut rows,
            )?;
            bad |= found.bad();
            nothing &= found.ran() == 0;
            if let Some(file) = &self.data {
                found.write(file)?;
            }
        }
        if let Some(file) = &self.certificate {
            let mut all = Certificates::to_extend(file, seal.as_ref())?;
            for ((profile, _), certificate) in rows {
                all.put(&profile, certificate);
            }
            all.write(file)?;
        }
        if nothing {
            out.flush()?;
            return Err(Failure::Message(
                "error: nothing ran\n  = help: the table says why each scenario was left out"
                    .to_owned(),
            ));
        }
        Ok(if bad { Verdict::Bad } else { Verdict::Good })
    }

    /// The seal of this part of the sweep.
    fn seal(&self, selected: &[Selected]) -> Option<Seal> {
        let options = format!("{:?} {:?}", self.profile, self.overrides.hz);
        let scenarios = selected.iter().map(Selected::sweep_item);
        let items = self.on.iter().cloned().chain([options]).chain(scenarios);
        self.sweep.shard.seal("certify", items)
    }
}

/// Returns `true` if each program of a boot ended before the next one began. Concurrent programs
/// move the starts of each other's port searches.
fn one_after_another(programs: &[fourtuple_linux::Program]) -> bool {
    let mut ended = 0;
    programs.iter().all(|program| {
        let mut at = program
            .steps
            .iter()
            .filter_map(|step| Some(step.answer.as_ref()?.at_us));
        let begins = at.next().unwrap_or(ended);
        let after = begins >= ended;
        ended = at.next_back().unwrap_or(begins).max(ended);
        after
    })
}

/// Checks a recording. Returns `true` if an answer is not allowed or could not be checked.
fn recording(
    out: &mut Output,
    on: &str,
    hz: Option<u32>,
    rows: &mut Rows,
    not_checked: &mut u64,
) -> Result<bool, Failure> {
    let boots =
        trace::read_file(Path::new(on)).map_err(|e| Failure::Message(format!("error: {e}")))?;
    let mut bad = false;
    for boot in &boots {
        let Some(header) = &boot.header else {
            return Err(Failure::Message(format!(
                "error: {on}: the programs have no answers and no header line"
            )));
        };
        let mut profile = profile_of_recording(&header.profile, &header.release)
            .map_or_else(|| super::kernels::find(&header.profile), Ok)?;
        if let Some(hz) = header.hz.or(hz) {
            profile.behaviours.hz = hz;
        }
        let row = rows
            .entry((profile.name.clone(), header.kernel.clone()))
            .or_insert_with(|| Certificate::new(&header.kernel, "recording"));
        let mut judge = match one_after_another(&boot.programs) {
            true => Judge::new(profile.behaviours).checking_starts(),
            false => Judge::new(profile.behaviours),
        };
        for program in &boot.programs {
            let found = match judge.program(program) {
                Err(e) if e.too_many => {
                    writeln!(out, "{on}: {e}")?;
                    *not_checked += 1;
                    bad = true;
                    continue;
                }
                judged => judged.map_err(|e| Failure::Message(format!("error: {on}: {e}")))?,
            };
            row.programs += 1;
            if let Some(counterexample) = found {
                row.disallowed += 1;
                bad = true;
                report(out, on, &profile.name, program, &counterexample)?;
            }
        }
        row.calls += judge.calls();
    }
    Ok(bad)
}

/// Prints an answer that the profile does not allow, with the smallest prefix that shows it.
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

fn table(out: &mut Output, rows: &Rows, not_checked: u64) -> Result<(), Failure> {
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
        "\n{programs} programs, {calls} calls: {disallowed} answers that the profiles do not allow, {not_checked} programs not checked"
    )?;
    Ok(())
}
