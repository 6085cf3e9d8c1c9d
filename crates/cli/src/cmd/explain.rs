//! `fourtuple explain`: one scenario on one kernel, down to the kernel functions.

use std::path::PathBuf;

use fourtuple_harness::{CaseReport, Model, runner};
use fourtuple_render::text;

use crate::output::{Failure, Output, Verdict};
use crate::progress::Progress;
use crate::select::{self, Overrides};

/// Explains the outcome of a scenario on one kernel.
///
/// Shows the calls, the rules that refused them, and the state that the kernel examined.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple explain scenarios/rhel-6.5/connect-after-bind.yaml --kernel linux-6.18\n\nExit status: 0, or 2 if the scenario or the arguments are invalid."
)]
pub(crate) struct Args {
    /// The scenario file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let mut selected = select::one(&self.file, &self.overrides)?;
        // Explains one kernel, the first selected one, at every point of the matrix.
        let first = selected.cases.first().map(|case| case.kernel.clone());
        selected
            .cases
            .retain(|case| Some(&case.kernel) == first.as_ref());
        self.overrides
            .budget
            .check_model(std::slice::from_ref(&selected), 1)?;
        let checked = selected.certificate();
        let progress = Progress::new();
        progress.show(&*selected.scenario.name);
        let report = runner::run(&selected.scenario, selected.cases, &[&Model]);
        let mut text = String::new();
        for one in report.cases.iter().filter_map(CaseReport::reference) {
            text.extend(text::unmet::warning(&one.kernel, &one.expect_failed));
        }
        text.push_str(&text::explain::explain(&report));
        drop(progress);
        out.text(&text)?;
        out.text("\n")?;
        out.faint(&checked)?;
        Ok(Verdict::Good)
    }
}
