//! `fourtuple remedies`: tries every known fix on a scenario.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use fourtuple_analysis::remedies::{self, Allowance, Remedies};
use fourtuple_harness::Unmet;
use fourtuple_kernel::profile;
use fourtuple_render::json::{RemediesDocument, RemediesLine, Versioned};
use fourtuple_render::text;

use crate::budget::TRIED;
use crate::files::{self, Existing};
use crate::output::{Failure, Output, Verdict};
use crate::progress::Progress;
use crate::select::{self, Overrides};
use crate::shard::Sweep;

/// Tries every known fix on a scenario.
///
/// Reports which fixes work whatever ports the kernel selects, who has to apply each, and its cost.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// The scenario file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// Write the changed scenario of each row to DIR.
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// List everything that was tried, including fixes without effect.
    #[arg(long)]
    all: bool,
    /// Maximum number of socket calls that the trials simulate in all. Where they do not suffice,
    /// the fixes for the cause are tried first, at fewer seeds, and the rest is listed as not
    /// tried.
    #[arg(long, value_name = "CALLS", default_value_t = 1_500_000)]
    max_calls: u64,
    #[command(flatten)]
    sweep: Sweep,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write the table for a pull request instead of a terminal.
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "format")]
    export: Option<super::Export>,
}

const AFTER: &str = "\
Example: fourtuple remedies scenarios/rhel-6.5/connect-after-bind.yaml --kernel linux-6.18 --write out
         fourtuple run out

Exit status: 0 if no socket is refused or a fix works, 1 if no known fix works or an expectation of the scenario is not met, 2 if the arguments are invalid.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table.
    Text,
    /// One JSON document.
    Json,
    /// A JSON object on each line, for each case.
    JsonLines,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let mut selected = select::one(&self.file, &self.overrides)?;
        let seal = self.sweep.shard.seal("remedies", [selected.sweep_item()]);
        self.sweep.shard.keep(&mut selected.cases);
        self.overrides
            .budget
            .check_trials(&selected, TRIED, self.max_calls)?;
        let mut allowance = Allowance::of(self.max_calls);
        let mut all: Vec<Remedies> = Vec::new();
        let mut unmet: Vec<Vec<Unmet>> = Vec::new();
        {
            let progress = Progress::new();
            for (n, case) in selected.cases.iter().enumerate() {
                // Names are checked when a scenario is expanded.
                let Some(profile) = profile::find(&case.kernel) else {
                    continue;
                };
                let mut say = |done, total| {
                    progress.show(format!("{}: {done} of {total} tried", case.kernel))
                };
                let mut part = allowance.part(selected.cases.len() - n);
                let found = remedies::examine(case, &profile, &mut part, &mut say);
                allowance.put_back(part);
                unmet.push(fourtuple_analysis::unmet(case));
                all.push(found.map_err(|cannot| {
                    Failure::Message(format!(
                        "error: the model cannot run the scenario: {cannot}"
                    ))
                })?);
            }
        }
        let written = match &self.write {
            None => Vec::new(),
            Some(dir) => write(dir, &all, &selected.scenario.source)?,
        };
        match self.format {
            _ if self.export == Some(super::Export::Markdown) => {
                out.text(&text::remedies::warnings(&all, &unmet))?;
                out.text(&text::remedies::markdown(&all, self.all))?;
            }
            Format::Text => {
                out.text(&text::remedies::answer(&all, &unmet, self.all))?;
                out.text("\n")?;
                out.faint(&selected.certificate())?;
            }
            Format::Json => {
                let document = RemediesDocument {
                    remedies: &all,
                    expect_failed: unmet.concat(),
                };
                Versioned::new(document).write_line(out)?;
            }
            Format::JsonLines => {
                for (remedies, expect_failed) in all.iter().zip(&unmet) {
                    let line = RemediesLine {
                        remedies,
                        expect_failed,
                    };
                    Versioned::new(line).write_line(out)?;
                }
                if let Some(seal) = seal {
                    seal.write(out)?;
                }
            }
        }
        if let (Some(dir), false) = (&self.write, written.is_empty()) {
            crate::output::complain(&format!(
                "wrote {} scenarios to {}",
                written.len(),
                dir.display()
            ));
        }
        let hopeless = |one: &Remedies| one.needed() && !one.any_works();
        let wrong = unmet.iter().any(|unmet| !unmet.is_empty());
        Ok(if wrong || all.iter().any(hopeless) {
            Verdict::Bad
        } else {
            Verdict::Good
        })
    }
}

/// Writes a scenario for each row that changes one: `rhel-6.5-01-connect-without-bind.yaml`.
fn write(dir: &Path, all: &[Remedies], source: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let names = fourtuple_harness::kernels::names();
    let mut written = Vec::new();
    for one in all {
        let point: String = one
            .point
            .iter()
            .map(|axis| format!("-{}", safe(axis)))
            .collect();
        for (n, remedy) in one.remedies.iter().enumerate() {
            let Some(text) = remedies::scenario_of(one, remedy, source, &names) else {
                continue;
            };
            let path = dir.join(format!(
                "{}{point}-{:02}-{}.yaml",
                one.kernel,
                n + 1,
                remedy.id
            ));
            files::write(&path, text, Existing::ReplaceFile)?;
            written.push(path);
        }
    }
    Ok(written)
}

/// Replaces characters that some systems do not allow in file names.
fn safe(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '=' | '_') {
                c
            } else {
                '_'
            }
        })
        .collect()
}
