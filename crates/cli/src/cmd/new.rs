//! `fourtuple new`: a scenario to start from.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::output::{Failure, Output, Verdict};

/// Writes a new scenario that runs as it is, with a comment on each setting.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple new scenarios/mine/first.yaml && fourtuple run scenarios/mine"
)]
pub(crate) struct Args {
    /// The file to write; an ending is added if it has none. A file that is there already is left alone.
    name: PathBuf,
}

const TEMPLATE: &str = include_str!("new.yaml");

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let mut path = self.name;
        if !matches!(
            path.extension().and_then(|ending| ending.to_str()),
            Some("yaml" | "yml")
        ) {
            path.as_mut_os_string().push(".yaml");
        }
        write_new(&path, TEMPLATE)?;
        writeln!(out, "{}", path.display())?;
        Ok(Verdict::Good)
    }
}

/// Writes a file that is not there yet, and the directories that lead to it.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let told = |error: std::io::Error| {
        let reason = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "it is there already".to_owned(),
            kind => kind.to_string(),
        };
        Failure::Told(format!(
            "error: {} cannot be written: {reason}",
            path.display()
        ))
    };
    if let Some(directory) = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        std::fs::create_dir_all(directory).map_err(told)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(told)?;
    file.write_all(text.as_bytes()).map_err(told)
}
