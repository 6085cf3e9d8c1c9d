//! The command as a whole process.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use wait4::Wait4 as _;

/// What a run of the command took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// Milliseconds on the clock.
    pub(crate) wall: f64,
    /// Milliseconds of processors.
    pub(crate) processor: f64,
    /// Most memory, in MiB.
    pub(crate) memory: f64,
}

/// The least of some runs.
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
            .map_err(|e| format!("{} does not start: {e}", beside.display()))?;
        let ended = child.wait4().map_err(|e| e.to_string())?;
        // A status of 1 is about what came out, which is not the question here.
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
