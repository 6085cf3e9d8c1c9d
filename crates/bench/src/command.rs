//! Measurements of the command as a whole process.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use wait4::Wait4 as _;

/// The resources that a run of the command used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// Wall-clock time in milliseconds.
    pub(crate) wall: f64,
    /// CPU time in milliseconds.
    pub(crate) processor: f64,
    /// Maximum resident set in MiB.
    pub(crate) memory: f64,
}

/// The minimum of several runs.
pub(crate) fn run(top: &Path, arguments: &[&str], runs: usize) -> Result<Took, String> {
    let beside = std::env::current_exe()
        .map_err(|e| e.to_string())?
        .with_file_name("fourtuple");
    let mut least = Took {
        wall: f64::INFINITY,
        processor: f64::INFINITY,
        memory: f64::INFINITY,
    };
    for _ in 0..runs {
        let start = Instant::now();
        let child = Command::new(&beside)
            .args(arguments)
            .current_dir(top)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("failed to start {}: {e}", beside.display()))?;
        let ended = child.wait4().map_err(|e| e.to_string())?;
        // Status 1 reports findings, which do not matter here.
        if !matches!(ended.status.code(), Some(0 | 1)) {
            return Err(format!(
                "`fourtuple {}`: {}",
                arguments.join(" "),
                ended.status
            ));
        }
        let used = ended.rusage;
        least.wall = least.wall.min(start.elapsed().as_secs_f64() * 1e3);
        least.processor = least
            .processor
            .min((used.utime + used.stime).as_secs_f64() * 1e3);
        least.memory = least.memory.min(used.maxrss as f64 / f64::from(1 << 20));
    }
    Ok(least)
}
