//! `fourtuple lint`: settings that have no effect, and likely surprises.

use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use fourtuple_analysis::{LintFinding, LintRule, lint};
use fourtuple_render::json::{LintDocument, LintEntry, Versioned};

use crate::budget::TRIED;
use crate::github;
use crate::output::{Failure, Output, Verdict};
use crate::progress::Progress;
use crate::remark::{self, Remark};
use crate::sarif::Log;
use crate::select::{self, Overrides};

/// Finds settings without effect, and likely surprises.
///
/// Reports each with its line and a fix. "No effect" is tested, not guessed: the scenario runs on
/// every kernel that it names, with and without the setting. A comment on the line of a finding, or
/// on the line above, allows it: `# lint: allow does-nothing`; for the whole file: `# lint:
/// allow-file does-nothing`.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(crate) struct Args {
    /// Scenario files, or directories of them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// Format of the findings.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

fn after_help() -> String {
    let mut text = "Rules:\n".to_owned();
    for rule in LintRule::ALL {
        text.push_str(&format!("  {:<18} {}\n", rule.name(), rule.about()));
    }
    text.push_str(
        "\nExample: fourtuple lint scenarios\n\n\
         Exit status: 0 without findings, 1 with findings, 2 if a scenario or the arguments are invalid.",
    );
    text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Each finding with its line.
    Text,
    /// One JSON document.
    Json,
    /// Annotations for GitHub Actions.
    Github,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let names = fourtuple_harness::kernels::names();
        let selected = select::all(&self.paths, &self.overrides)?;
        self.overrides.budget.check_model(&selected, TRIED)?;
        let total = selected.len();
        let mut found: Vec<LintFinding> = Vec::new();
        let mut scenarios = 0;
        {
            let progress = Progress::of(total);
            for (n, one) in selected.iter().enumerate() {
                let name = &one.scenario.name;
                progress.at(n, &**name);
                let mut say = |what: &str| progress.show(format!("{name}: {what}"));
                let findings = lint(&one.scenario, &names, &mut say)?;
                scenarios += usize::from(!findings.is_empty());
                found.extend(findings);
            }
        }
        let s = |n: usize| if n == 1 { "" } else { "s" };
        let summary = match found.len() {
            0 => format!("{total} scenario{}: no findings", s(total)),
            n => format!(
                "{n} finding{} in {scenarios} of {total} scenario{}",
                s(n),
                s(total)
            ),
        };
        match self.format {
            Format::Text => {
                for one in &found {
                    out.diagnostic(&one.diagnostic)?;
                }
                out.text(&summary)?;
            }
            Format::Json => {
                let findings = found.iter().map(LintEntry::from).collect();
                Versioned::new(LintDocument { findings }).write_line(out)?;
            }
            Format::Github => {
                github::write(out, &remarks(&found))?;
                writeln!(out, "{summary}")?;
            }
            Format::Sarif => {
                let rules = LintRule::ALL.iter().map(|rule| (rule.name(), rule.about()));
                let mut log = Log::new(rules);
                log.add(&remarks(&found));
                log.write(out)?;
            }
        }
        Ok(if found.is_empty() {
            Verdict::Good
        } else {
            Verdict::Bad
        })
    }
}

fn remarks(found: &[LintFinding]) -> Vec<Remark> {
    found.iter().map(remark::on_finding).collect()
}
