//! `fourtuple fuzz --engines`: runs random scenarios on several engines, which must agree.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fourtuple_analysis::fuzz::{self, Batch, Examined, Finding, Shape};
use fourtuple_harness::{Engine, External, threads};
use fourtuple_linux::engine;

use crate::engines::{self, Made};
use crate::files::{self, Existing};
use crate::output::{Failure, Output, Verdict, complain};
use crate::progress::Progress;

/// Scenarios that run after each other and in a random order.
const BATCH: u64 = 50;
/// The same where a kernel with a real clock takes part: runs that wait overlap within a batch.
const BATCH_SLOWLY: u64 = 200;
/// Maximum number of scenarios that are tried to shrink a finding.
const SHRINKING: usize = 3_000;
/// The same if one of the engines has a real clock.
const SHRINKING_SLOWLY: usize = 150;
/// Maximum number of findings that are shown; further ones are counted.
const SHOWN: usize = 10;
/// Maximum wait of a connect() on a real clock.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Scenarios to make, and the engines to run them on.
pub(super) struct Engines<'a> {
    pub(super) names: &'a [String],
    pub(super) seed: u64,
    pub(super) first: u64,
    pub(super) count: u64,
    /// True if findings are not shrunk.
    pub(super) whole: bool,
    /// A directory for the scenarios of findings.
    pub(super) save: Option<&'a std::path::Path>,
}

impl Engines<'_> {
    pub(super) fn run(&self, out: &mut Output) -> Result<Verdict, Failure> {
        let engines = self.engines()?;
        let all: Vec<&dyn Engine> = engines.iter().map(Made::engine).collect();
        let external: Vec<&dyn External> = engines.iter().filter_map(Made::external).collect();
        let engines = fuzz::Engines {
            all: &all,
            external: &external,
        };
        let kernel = match self.has_real() {
            true => Some(
                engines::real_kernel("host", None, MAX_WAIT)?
                    .profile()
                    .name
                    .clone(),
            ),
            false => None,
        };
        let shape = Shape { kernel };
        let examined = {
            let progress = Progress::of(self.count as usize);
            self.examine(&shape, engines, &|done| progress.at(done, "scenarios"))
        };
        for finding in examined.findings.iter().take(SHOWN) {
            self.show(out, finding, engines)?;
        }
        for (reason, count) in &examined.left_out {
            complain(&format!("left out ({count}): {reason}"));
        }
        writeln!(
            out,
            "{} scenarios of seed {} from {} on, {} runs, {} attempts on {}: {} findings",
            self.count,
            self.seed,
            self.first,
            examined.runs,
            examined.attempts,
            self.names.join(", "),
            examined.findings.len(),
        )?;
        Ok(match examined.findings.is_empty() && examined.runs > 0 {
            true => Verdict::Good,
            false => Verdict::Bad,
        })
    }

    fn has_real(&self) -> bool {
        self.names.iter().any(|name| name == engine::LINUX.name)
    }

    fn batch(&self) -> u64 {
        match self.has_real() {
            true => BATCH_SLOWLY,
            false => BATCH,
        }
    }

    fn engines(&self) -> Result<Vec<Made>, Failure> {
        let engines = engines::for_fuzz(self.names, MAX_WAIT)?;
        match engines.len() {
            0 | 1 => Err(Failure::Message(
                "error: at least two engines are needed\n  = help: name several, such as `--engines model,turmoil`"
                    .to_owned(),
            )),
            _ => Ok(engines),
        }
    }

    /// Examines all batches, on all CPUs. Only one thread runs scenarios on the machine's own
    /// kernel.
    fn examine(
        &self,
        shape: &Shape,
        engines: fuzz::Engines<'_>,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Examined {
        let done = AtomicUsize::new(0);
        let size = self.batch();
        let starts: Vec<u64> = (0..self.count).step_by(size as usize).collect();
        let threads = match self.has_real() {
            true => 1,
            false => threads::cpus(),
        };
        let batches = threads::map(threads, starts, |start| {
            let batch = Batch {
                seed: self.seed,
                first: self.first + start,
                count: size.min(self.count - start),
                shape,
            };
            let examined = fuzz::examine(&batch, engines);
            let so_far = done.fetch_add(batch.count as usize, Ordering::Relaxed);
            progress(so_far + batch.count as usize);
            examined
        });
        let mut all = Examined::default();
        batches.into_iter().for_each(|batch| all.add(batch));
        all
    }

    /// Prints a finding, shrunk if possible, and the command that repeats it.
    fn show(
        &self,
        out: &mut Output,
        finding: &Finding,
        engines: fuzz::Engines<'_>,
    ) -> Result<(), Failure> {
        let most = match self.has_real() {
            true => SHRINKING_SLOWLY,
            false => SHRINKING,
        };
        let shrunk = match self.whole {
            true => None,
            false => fuzz::shrink(finding, self.seed, engines, most),
        };
        let shown = shrunk.as_ref().unwrap_or(finding);
        writeln!(
            out,
            "scenario {}, {}: {}",
            finding.number,
            finding.kind.as_str(),
            shown.what
        )?;
        // A finding that depends on other scenarios needs the whole batch.
        let (first, count) = match shrunk.is_some() {
            true => (finding.number, 1),
            false => {
                let size = self.batch();
                let start = (finding.number - self.first) / size * size;
                (self.first + start, size.min(self.count - start))
            }
        };
        writeln!(
            out,
            "repeat it with: fourtuple fuzz --engines {} --seed {} --first {first} --count {count}",
            self.names.join(","),
            self.seed,
        )?;
        let text = shown.scenario.to_yaml();
        for line in text.lines() {
            writeln!(out, "    {line}")?;
        }
        writeln!(out)?;
        out.flush()?;
        if let Some(directory) = self.save {
            let file = directory.join(&shown.scenario.file);
            files::write(&file, &text, Existing::ReplaceFile)?;
        }
        Ok(())
    }
}
