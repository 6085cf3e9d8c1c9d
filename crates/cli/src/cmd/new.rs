//! `fourtuple new`: a scenario to start from.

use std::fs::Metadata;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::corpus;
use crate::files::{self, Existing};
use crate::output::{Failure, Output, Verdict};

/// Writes a new scenario from a template or the corpus.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: fourtuple new scenarios/mine/first.yaml && fourtuple run scenarios/mine\n         \
                  fourtuple new mine.yaml --from timewait/who-closes-first\n         \
                  fourtuple new --from timewait    (lists the scenarios of the topic)\n\nExit status: 0, or 2 if the arguments are invalid or the file exists."
)]
pub(crate) struct Args {
    /// The file to write; `.yaml` is added if it has no extension. An existing file is not
    /// overwritten. With `--from` the default is the scenario's own name in the current directory.
    #[arg(required_unless_present = "from")]
    name: Option<PathBuf>,
    /// The scenario of the corpus to copy.
    #[arg(long, value_name = "TOPIC/NAME")]
    from: Option<String>,
}

const TEMPLATE: &str = include_str!("new.yaml");
/// The file that editors read the format from.
const SCHEMA: &str = "scenario.schema.json";
/// Number of parent directories that are searched for the schema.
const LEVELS: usize = 4;

impl Args {
    pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
        let text = match &self.from {
            Some(from) => corpus::find(from)?,
            None => TEMPLATE,
        };
        let own = || {
            self.from
                .as_deref()
                .and_then(|from| Path::new(from).file_name())
        };
        let mut path = self
            .name
            .or_else(|| own().map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from("scenario"));
        refuse(&path)?;
        if !matches!(
            path.extension().and_then(|ending| ending.to_str()),
            Some("yaml" | "yml")
        ) {
            path.as_mut_os_string().push(".yaml");
        }
        let text = format!("{}{text}", modeline(&path));
        files::write(&path, text, Existing::Keep)?;
        writeln!(out, "{}", path.display())?;
        Ok(Verdict::Good)
    }
}

/// Refuses a path that cannot be a new file.
fn refuse(path: &Path) -> Result<(), Failure> {
    let ends_in_slash = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let kind = path.metadata().ok();
    let reason = if path.file_name().is_none()
        || ends_in_slash
        || kind.as_ref().is_some_and(Metadata::is_dir)
    {
        "it is a directory"
    } else if kind.is_some_and(|kind| !kind.is_file()) {
        "it is not a file"
    } else {
        return Ok(());
    };
    Err(Failure::Message(format!(
        "error: failed to write {}: {reason}\n  = help: name a file, such as `{}`",
        path.display(),
        path.with_file_name("first.yaml").display()
    )))
}

/// The comment with the schema's path for editors, if a parent directory of the file contains the
/// schema.
fn modeline(path: &Path) -> String {
    let directory = path.parent().unwrap_or(Path::new(""));
    let up = |level: usize| format!("{}{SCHEMA}", "../".repeat(level));
    (0..LEVELS)
        .map(up)
        .find(|below| plain(directory, below).is_file())
        .map_or_else(String::new, |below| {
            format!("# yaml-language-server: $schema={below}\n")
        })
}

/// A path relative to a directory that may not exist yet, so `..` is resolved here.
fn plain(directory: &Path, below: &str) -> PathBuf {
    let mut path = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    for part in below.split('/') {
        if part == ".." {
            path.pop();
        } else {
            path.push(part);
        }
    }
    path
}
