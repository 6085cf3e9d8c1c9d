//! `fourtuple report`: scenarios and their outcomes as one HTML page.

use std::io::Write as _;
use std::path::PathBuf;

use fourtuple_analysis::Answers;
use fourtuple_harness::{Assessment, Engine, runner};
use fourtuple_render::html::{self, About};
use fourtuple_render::text::clean;
use fourtuple_render::text::totals::Totals;

use crate::engines::{self, EngineArgs, Made};
use crate::files::{self, Existing};
use crate::link::Playground;
use crate::output::{Failure, Output, Verdict};
use crate::progress::Progress;
use crate::select::{self, Overrides};
use crate::selected;
use crate::shard::{Shard, Sweep};

/// Writes an HTML report of scenarios and their outcomes.
///
/// The page shows what happened on each kernel and why, the ports over time, and fixes. It is one
/// self-contained file, readable on phones, in dark mode and on paper.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple report scenarios/rhel-6.5 -o report.html\n\nExit status: 0 if all expectations are met and the engines agree, 1 if not, 2 if a scenario or the arguments are invalid, or nothing ran. The page is written unless the status is 2."
)]
pub(crate) struct Args {
    /// Scenario files, or directories of them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The file to write, replacing an existing one [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    sweep: Sweep,
    /// Print the address of each scenario in the playground instead of a page. The scenario is in
    /// the address itself.
    #[arg(long, conflicts_with_all = ["output", "shard"])]
    link: bool,
    /// Address at which the playground is served; `web/build` makes it.
    #[arg(long, value_name = "URL")]
    playground: Option<String>,
    #[command(flatten)]
    engines: EngineArgs,
    #[command(flatten)]
    overrides: Overrides,
}

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        if self.link {
            return self.links(out);
        }
        let engines = self.engines.make()?;
        let mut selected = select::all(&self.paths, &self.overrides)?;
        if let Some(path) = &self.output {
            files::refuse_inputs(path, selected.iter().map(|one| one.scenario.file.as_str()))?;
        }
        self.sweep.shard.keep(&mut selected);
        let asked: Vec<&dyn Engine> = engines.iter().map(Made::engine).collect();
        let folded = selected::fold(selected);
        self.overrides.budget.check(&folded, &asked)?;
        engines::prepare(&engines, &folded);
        let checked = selected::certificate(&folded);
        let total = folded.len();
        let mut entries = Vec::with_capacity(total);
        let mut totals = Totals::default();
        {
            let progress = Progress::of(total);
            for (n, one) in folded.iter().enumerate() {
                progress.at(n, &*one.scenario.name);
                let report = runner::run_folded(&one.scenario, &one.cases, &asked);
                totals.add(Totals::of(&report, &Assessment::of(&report)));
                entries.push(Answers::new(report));
            }
        }
        let verdict = Verdict::of(&totals, self.engines.named());
        let about = About {
            command: self.command(),
            checked,
        };
        let page = html::page(&entries, &about);
        let page = clean::text(&page);
        match &self.output {
            None => out.write_all(page.as_bytes())?,
            Some(path) => {
                files::write(path, page.as_bytes(), Existing::Replace)?;
                writeln!(out, "{}", path.display())?;
            }
        }
        engines::check_engines_completed(out, &engines)?;
        verdict
    }

    /// Prints the addresses of the scenarios.
    fn links(&self, out: &mut Output) -> Result<Verdict, Failure> {
        let playground = Playground::at(self.playground.as_deref())?;
        for one in select::all(&self.paths, &self.overrides)? {
            let link = playground.link(one.scenario.file_text(), &self.overrides)?;
            writeln!(out, "{link}")?;
        }
        Ok(Verdict::Good)
    }

    /// The command that produces the same page.
    fn command(&self) -> String {
        let mut command = "fourtuple report".to_owned();
        for path in &self.paths {
            command.push_str(&format!(" {}", path.display()));
        }
        if !self.overrides.kernel.is_empty() {
            command.push_str(&format!(" --kernel {}", self.overrides.kernel.join(",")));
        }
        if self.sweep.shard != Shard::default() {
            command.push_str(&format!(" --shard {}", self.sweep.shard));
        }
        command
    }
}
